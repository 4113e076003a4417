//! The requests to the relay, and its answers.
//!
//! Owns the five services: a tunnel, a request that is passed on, and the daemon's questions whether a target can be reached, why it was
//! not, and who ended a tunnel to it. Everything else is refused with a sentence. Logs hosts, ports and failures, never a path, a header
//! or a body.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;

use super::body::{Relayed, sentence};
use super::connect::Connect;
use super::failure::{Failure, FailureKind};
use super::forward::{discard, forward};
use super::places::Place;
use super::protocol::{ENDED, FAILURE, ORDERLY, REACH, STATUS, TARGET};
use super::recent_failures::{End, RecentFailures};
use super::target::Target;
use super::tunnel::{Ending, Tunnel};
use tokend_process::clock::Clock;

/// The tunnel that an answer promises.
pub(super) type Promised = Arc<Mutex<Option<Tunnel>>>;

#[derive(Debug)]
pub(super) struct Service {
    recent: Arc<RecentFailures>,
}

/// The service that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Tunnel,
    Forward,
    Reach,
    Failure,
    Ended,
}

impl Wanted {
    /// The service and its target; or the mistake in the request.
    fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(Self, Target), &'static str> {
        let authority = uri.authority();
        if *method == Method::CONNECT {
            let target = authority.and_then(|authority| Target::of(authority, None));
            return Ok((Self::Tunnel, target.ok_or("CONNECT takes host:port")?));
        }
        match (uri.scheme_str(), authority) {
            (Some("http"), Some(authority)) => {
                let target = Target::of(authority, Some(80));
                let help = "an address has a host, and neither user name nor password";
                return Ok((Self::Forward, target.ok_or(help)?));
            }
            (None, _) => {}
            _ => return Err("only http:// addresses are passed on; use CONNECT for others"),
        }
        let about = || {
            let authority = headers.get(TARGET)?.to_str().ok()?.parse().ok()?;
            Target::of(&authority, None)
        };
        match (uri.path(), about()) {
            (REACH, Some(target)) => Ok((Self::Reach, target)),
            (FAILURE, Some(target)) => Ok((Self::Failure, target)),
            (ENDED, Some(target)) => Ok((Self::Ended, target)),
            _ => Err(
                "this is the egress relay of tokend: it takes CONNECT host:port, and requests for http:// addresses",
            ),
        }
    }
}

impl Service {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            recent: Arc::new(RecentFailures::new(clock)),
        }
    }

    /// Serves a request. A tunnel is put into `promised` and begins when the answer has been written.
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
        promised: &Promised,
        place: &Place,
    ) -> Response<Relayed> {
        let (wanted, target, how) = match understood(&request) {
            Ok(understood) => understood,
            Err(sentence) => {
                tracing::warn!("a request to the relay was refused: {sentence}");
                let mut refusal = refusal(&Failure::new(FailureKind::Denied, sentence));
                *refusal.status_mut() = StatusCode::BAD_REQUEST;
                return refusal;
            }
        };
        place.may_be_quiet(how.quiet, how.is_stated);
        let awaited = Awaited(Some(&target));
        let done = match wanted {
            Wanted::Tunnel => {
                let upgrade = hyper::upgrade::on(&mut request);
                how.tunnel(&target).await.map(|stream| {
                    let ending = Ending::new(&self.recent, how.named(&target));
                    let tunnel = Tunnel {
                        upgrade,
                        stream,
                        ending,
                    };
                    *promised.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
                    Response::new(Relayed::Right(Full::default()))
                })
            }
            Wanted::Forward if how.proxy.is_some() => {
                let words = "a request for an http:// address goes through no proxy";
                Err(Failure::new(FailureKind::Denied, words))
            }
            Wanted::Forward => forward(request, &target, &how).await.map(closing),
            Wanted::Reach => how
                .connect(&target)
                .await
                .map(|_| text(StatusCode::OK, "reached")),
            Wanted::Failure => {
                awaited.ended();
                return match self.recent.of(&how.named(&target)) {
                    Some(failure) => text(StatusCode::OK, &failure.words),
                    None => text(StatusCode::NOT_FOUND, "nothing failed there of late"),
                };
            }
            Wanted::Ended => {
                awaited.ended();
                return match self.recent.end_of(&how.named(&target)) {
                    Some(End::Target) => text(StatusCode::OK, ORDERLY),
                    Some(End::Broken) => text(StatusCode::OK, "the target broke it off"),
                    Some(End::Relay) => text(StatusCode::NOT_FOUND, "the relay ended it"),
                    None => text(StatusCode::NOT_FOUND, "nothing ended there of late"),
                };
            }
        };
        awaited.ended();
        self.concluded(done, &how.named(&target))
    }

    /// An answer, or a failure, which is logged and remembered.
    fn concluded(
        &self,
        done: Result<Response<Relayed>, Failure>,
        named: &str,
    ) -> Response<Relayed> {
        match done {
            Ok(response) => {
                tracing::debug!("{named}: reached");
                self.recent.forget(named);
                response
            }
            Err(failure) => {
                tracing::warn!("not reached: {named}: {}: {}", failure.kind, failure.words);
                self.recent.keep(named, &failure);
                refusal(&failure)
            }
        }
    }

    /// Refuses a request with the reason. For a tunnel the reason is also remembered, since the daemon's HTTP library does not read the
    /// answer.
    pub(super) async fn refuse(
        &self,
        request: Request<Incoming>,
        kind: FailureKind,
        why: &str,
    ) -> Response<Relayed> {
        let failure = Failure::new(kind, why);
        if let (FailureKind::Full, Ok((Wanted::Tunnel, target, how))) = (kind, understood(&request))
        {
            self.recent.keep(&how.named(&target), &failure);
        }
        // If bytes stay unread, the kernel discards the answer.
        discard(&mut request.into_body()).await;
        refusal(&failure)
    }
}

/// The service that a request asks for, its target, and how to reach the target; or the mistake in the request.
fn understood<B>(request: &Request<B>) -> Result<(Wanted, Target, Connect), &'static str> {
    let headers = request.headers();
    let (wanted, target) = Wanted::of(request.method(), request.uri(), headers)?;
    Ok((wanted, target, Connect::of(headers)?))
}

/// Logs when the peer goes away before there is an answer, mostly because the daemon's own time limit has passed.
struct Awaited<'a>(Option<&'a Target>);

impl Awaited<'_> {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if let Some(target) = self.0 {
            tracing::warn!(
                "not waited for: {target}: the client went away before there was an answer"
            );
        }
    }
}

/// The answer for a failure, for the daemon and for people.
fn refusal(failure: &Failure) -> Response<Relayed> {
    let mut response = text(failure.kind.status(), &failure.words);
    if let Some(value) = failure.kind.header() {
        response.headers_mut().insert(STATUS, value);
    }
    response
}

fn text(status: StatusCode, words: &str) -> Response<Relayed> {
    let mut response = closing(Response::new(sentence(words)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// Closes the connection after this answer: a connection has one request.
fn closing(mut response: Response<Relayed>) -> Response<Relayed> {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, uri: &str, about: Option<&str>) -> Option<(Wanted, String)> {
        let mut headers = HeaderMap::new();
        if let Some(about) = about {
            headers.insert(TARGET, about.parse().unwrap());
        }
        let (wanted, target) = Wanted::of(method, &uri.parse().unwrap(), &headers).ok()?;
        Some((wanted, target.to_string()))
    }

    #[test]
    fn five_things_can_be_wanted_and_nothing_else() {
        let some = |wanted, target: &str| Some((wanted, target.to_owned()));
        let (connect, get, post) = (Method::CONNECT, Method::GET, Method::POST);
        assert_eq!(of(&connect, "a:443", None), some(Wanted::Tunnel, "a:443"));
        assert_eq!(
            of(&post, "http://127.0.0.1:81/x?y", None),
            some(Wanted::Forward, "127.0.0.1:81")
        );
        assert_eq!(of(&get, "http://a/", None), some(Wanted::Forward, "a:80"));
        assert_eq!(of(&get, REACH, Some("a:1")), some(Wanted::Reach, "a:1"));
        assert_eq!(of(&get, FAILURE, Some("a:1")), some(Wanted::Failure, "a:1"));
        assert_eq!(of(&get, ENDED, Some("a:1")), some(Wanted::Ended, "a:1"));
        for (method, uri, about) in [
            (&connect, "a", None),
            (&get, "/", None),
            (&get, "/metrics", Some("a:1")),
            (&get, REACH, None),
            (&get, REACH, Some("a")),
            (&get, "https://a/", None),
            (&get, "ftp://a/", None),
            (&get, "http://user:pw@a/", None),
        ] {
            assert_eq!(of(method, uri, about), None, "{method} {uri}");
        }
    }
}
