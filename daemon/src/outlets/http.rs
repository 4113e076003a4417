//! HTTP and JSON over a Unix socket. The contract is `proto/openapi.json`.
//!
//! Owns one connection: requests one after the other, each with its limits, and streams. `line` has the deadlines, `content` the bodies. Must
//! never decide on an answer while another is still to be written: its first byte leaves in the step that decided.

mod content;
mod line;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use interprocess::local_socket::tokio::Stream;
use tokend_outlets::http::{
    self as protocol, Answer, Beside, Call, Form, MOST_BODY, Problem, Shape,
};
use tokend_peer::Connection;
use tokend_policy::{Outlet, Peer};
use tokend_process::shutdown::Shutdown;
use tokend_process::stack;
use tokend_proto::{Fault, Request as Asked};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use self::content::{Content, Reply};
use self::line::{Busy, Line, Progress};
use super::caller::{self, Caller, Gone, still};
use super::shared::Shared;
use crate::requests::Requests;
use crate::server::accept::{Protocol, until_closing};
use crate::server::connection::{Bounds, Ended};
use crate::server::parting::part;

/// The longest head of a request, in bytes, and the number of its headers.
const HEAD: (usize, usize) = (16 * 1024, 64);

/// HTTP and JSON.
pub(super) struct Http;

impl Protocol for Http {
    const OUTLET: Option<Outlet> = Some(Outlet::Http);

    fn serve(
        stream: Stream,
        caller: (Peer, u64),
        requests: Arc<Requests>,
        bounds: Bounds,
        stage: watch::Receiver<Shutdown>,
    ) -> impl Future<Output = Ended> + Send {
        until_closing(serve(stream, caller, requests, bounds), stage)
    }

    fn refusal(fault: Fault) -> Cow<'static, [u8]> {
        Problem::of(fault).message().into()
    }
}

/// Serves one connection of a peer until it ends.
async fn serve<S>(stream: S, caller: (Peer, u64), requests: Arc<Requests>, bounds: Bounds) -> Ended
where
    S: AsyncRead + AsyncWrite + Connection + Unpin + Send + 'static,
{
    let shared = Shared::new(stream);
    let progress = Progress::new();
    let line = Line::new(shared.clone(), Arc::clone(&progress), bounds);
    let caller = Caller::new(shared.clone(), caller, Arc::clone(&requests));
    let caller = Arc::new(Mutex::new(caller));
    let service = service_fn(|request| {
        let busy = Busy::begin(&progress);
        let (caller, progress) = (Arc::clone(&caller), Arc::clone(&progress));
        async move {
            // One request at a time: the one before has let go of it.
            let caller = caller.lock_owned().await;
            let exchange = Exchange {
                caller,
                progress,
                frame: bounds.frame,
            };
            exchange.reply(request, busy).await
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Only makes the line be read while it is idle: `line` has the deadlines, and they are shorter.
        .header_read_timeout(bounds.idle + bounds.frame + Duration::from_secs(1))
        .max_headers(HEAD.1)
        .max_buf_size(HEAD.0)
        // A body is not copied behind the head, where it would stay until the next one.
        .writev(true);
    let served = still(
        &requests,
        builder.serve_connection(TokioIo::new(line), service),
    )
    .await;
    let ended = progress.ended(served);
    // After the last answer: what was refused may still be on its way here.
    if let Ended::Closed | Ended::Protocol(_) = ended {
        part(shared).await;
    }
    ended
}

/// One request on its way to an answer.
struct Exchange<S> {
    caller: OwnedMutexGuard<Caller<S>>,
    progress: Arc<Progress>,
    /// How long the body may take.
    frame: Duration,
}

impl<S> Exchange<S>
where
    S: Connection + Send + 'static,
{
    async fn reply(self, request: Request<Incoming>, busy: Busy) -> io::Result<Response<Reply>> {
        let (head, body) = request.into_parts();
        let (asked, shape) = match self.read(head, body).await {
            Ok(Some(asked)) => asked,
            Ok(None) => return Ok(whole(protocol::health(), busy)),
            Err(problem) => {
                if let Err(Gone) = self.caller.rest().await {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                self.caller.spend(1);
                return Ok(refused(&problem, busy));
            }
        };
        self.progress.written().await;
        self.answer(asked, shape, busy).await
    }

    /// The request, with its body. None asks for whether the daemon serves.
    async fn read(&self, head: Parts, body: Incoming) -> Result<Option<(Asked, Shape)>, Problem> {
        match protocol::call(&head)? {
            Call::Health => Ok(None),
            Call::Ask(asked, shape) => Ok(Some((asked, shape))),
            Call::Form(form) => self.read_body(form, body).await.map(Some),
        }
    }

    async fn read_body(&self, form: Form, mut body: Incoming) -> Result<(Asked, Shape), Problem> {
        let too_large = || {
            let message = format!("the body is longer than {MOST_BODY} bytes");
            Problem::new(413, "too-large", message)
        };
        if body.size_hint().lower() > MOST_BODY as u64 {
            return Err(too_large());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BODY));
        let reading = async {
            while let Some(frame) = body.frame().await {
                let broken = |_| Problem::new(400, "bad-request", "the body is cut off");
                let data = frame.map_err(broken)?.into_data().unwrap_or_default();
                if bytes.len() + data.len() > MOST_BODY {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&data);
            }
            Ok(())
        };
        match timeout(self.frame, reading).await {
            Ok(read) => read?,
            Err(_) => {
                return Err(Problem::new(
                    408,
                    "too-slow",
                    "the body did not come in time",
                ));
            }
        }
        stack::wiped(|| form.with(&bytes))
    }

    async fn answer(
        mut self,
        asked: Asked,
        shape: Shape,
        busy: Busy,
    ) -> io::Result<Response<Reply>> {
        let account = asked.account().cloned();
        match (self.caller.ask(asked).await, shape, account) {
            (Err(Gone), ..) => Err(io::ErrorKind::ConnectionAborted.into()),
            (Ok(caller::Answer::Now(response)), shape, _) => {
                let beside = Beside {
                    sinks: self.caller.sinks_of(&response),
                    refused_below_400: self.caller.refused_below_400(&response),
                };
                Ok(match protocol::answer(shape, response, &beside) {
                    Ok(answer) => whole(answer, busy),
                    Err(problem) => refused(&problem, busy),
                })
            }
            (Ok(caller::Answer::Watch(first, watching)), Shape::Watch(form), Some(account)) => {
                let Self {
                    caller, progress, ..
                } = self;
                let telling = content::Telling {
                    caller,
                    account,
                    form,
                    first,
                };
                let content = Content::events(telling, watching);
                let reply = Reply::stream(content, progress, busy);
                Ok(response(StatusCode::OK, form.media_type(), reply))
            }
            // Only a watch begins one.
            (Ok(caller::Answer::Watch(..)), ..) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

fn whole(answer: Answer, busy: Busy) -> Response<Reply> {
    match answer {
        Answer::Json(body) => {
            response(StatusCode::OK, "application/json", Reply::whole(body, busy))
        }
        Answer::Nothing => {
            let mut response = response(StatusCode::NO_CONTENT, "", Reply::nothing(busy));
            response.headers_mut().remove(header::CONTENT_TYPE);
            response
        }
    }
}

fn refused(problem: &Problem, busy: Busy) -> Response<Reply> {
    let status = StatusCode::from_u16(problem.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Zeroizing::new(problem.body());
    let mut response = response(status, protocol::PROBLEM, Reply::whole(body, busy));
    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(method) = problem.allowed() {
        headers.insert(header::ALLOW, HeaderValue::from_static(method));
    }
    // What of the body was not read is not read any more.
    if matches!(
        status,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
    ) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn response(status: StatusCode, kind: &'static str, reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
