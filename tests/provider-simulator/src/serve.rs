//! Sockets and HTTP: takes a request through log, fault script and ledger, and applies faults.
//!
//! Must never decide what an account may have. A lock is held for one step only, never across a wait.

use std::{
    convert::Infallible,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{
    BodyExt as _, Full, Limited,
    channel::{Channel, Sender},
    combinators::UnsyncBoxBody,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{interval, sleep},
};

use super::{
    api,
    calls::Call,
    fault::{Canned, Fault, FaultKind, delay},
    http::{Answer, Request},
    shared::Shared,
    spec::Api,
    ticket::Ticket,
};

/// Largest request body read; tokens are small.
const MAX_REQUEST: usize = 1 << 20;
/// Time between two bytes of an endless body.
const TRICKLE: Duration = Duration::from_millis(100);
/// The part of a large body that is sent at once.
const CHUNK: usize = 64 * 1024;

type Body = UnsyncBoxBody<Bytes, Broken>;

/// The connection should end without an answer, or in the middle of one.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("scripted fault")
    }
}

impl std::error::Error for Broken {}

/// Serves connections until the task is aborted; `closed` is dropped after the listener, which signals that.
pub(super) async fn listen(
    shared: Arc<Shared>,
    only: Option<Api>,
    listener: std::net::TcpListener,
    closed: SyncSender<Infallible>,
) {
    let _closed = closed;
    let mut connections = JoinSet::new();
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, peer)) = accepted {
                    connections.spawn(connection(Arc::clone(&shared), only, stream, peer));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(shared: Arc<Shared>, only: Option<Api>, stream: TcpStream, _peer: SocketAddr) {
    // A second descriptor of the socket, to arm a reset while hyper owns the first.
    let Ok(handle) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    let handle = Arc::new(handle);
    let service = service_fn(|request| {
        let (shared, handle) = (Arc::clone(&shared), Arc::clone(&handle));
        async move { exchange(&shared, only, &handle, request).await }
    });
    // An error here is a peer that went away or one of our faults.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

async fn exchange(
    shared: &Arc<Shared>,
    only: Option<Api>,
    socket: &OwnedFd,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let Some((api, path)) = target(only, parts.uri.path()) else {
        let body = "no such provider; paths start with /p/000 … /p/003 or /p/oauth2\n";
        return Ok(finished(Answer::raw(
            404,
            "text/plain; charset=utf-8",
            body,
        )));
    };
    let Ok(body) = Limited::new(body, MAX_REQUEST).collect().await else {
        return Err(Broken);
    };
    let request = Request {
        method: parts.method,
        path,
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let (endpoint, call) = api::read(api, &shared.deployment(api), &request);
    let ticket = Ticket::arrive(shared, api, endpoint, &request, call.as_ref().ok());
    let fault = ticket.fault();
    match fault {
        None => {
            let answer = ticket.process(&call);
            Ok(answered(ticket, answer))
        }
        Some(Fault {
            kind,
            processed: true,
        }) => {
            let answer = ticket.process(&call);
            misbehave(ticket, kind, Some(answer), &call, socket).await
        }
        Some(Fault {
            kind,
            processed: false,
        }) => misbehave(ticket, kind, None, &call, socket).await,
    }
}

/// The API that a path means, and the path without the prefix that says so.
fn target(only: Option<Api>, path: &str) -> Option<(Api, String)> {
    let prefixed = path.strip_prefix("/p/").and_then(|rest| {
        let (name, _) = rest.split_once('/').unwrap_or((rest, ""));
        Some((name.parse().ok()?, rest.get(name.len()..)?.to_owned()))
    });
    prefixed.or_else(|| Some((only?, path.to_owned())))
}

/// Applies a fault; `answer` is there if the request was processed.
async fn misbehave(
    ticket: Ticket,
    kind: FaultKind,
    answer: Option<Answer>,
    call: &Result<Call, Answer>,
    socket: &OwnedFd,
) -> Result<Response<Body>, Broken> {
    let html = || Answer::raw(200, "text/html", "<!doctype html><title>Sign in</title>");
    match kind {
        FaultKind::Slow { ms } => {
            sleep(delay(ms)).await;
            let answer = answer.unwrap_or_else(|| ticket.process(call));
            Ok(answered(ticket, answer))
        }
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Reset => {
            // Closing with a linger time of zero sends RST instead of FIN.
            let armed = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
            debug_assert!(armed.is_ok(), "SO_LINGER is settable on a TCP socket");
            ticket.note(None);
            Err(Broken)
        }
        FaultKind::Reply(canned) => {
            let answer = reply(&canned, &ticket);
            Ok(answered(ticket, answer))
        }
        FaultKind::Throttled { retry_after } => {
            let answer = Answer::json(
                429,
                &serde_json::json!({"detail": "Request was throttled."}),
            );
            let answer = match retry_after.map(|it| ticket.retry_after(&it)) {
                Some(value) => answer.with("retry-after", value),
                None => answer,
            };
            Ok(answered(ticket, answer))
        }
        FaultKind::Garbage => {
            let bytes: Vec<u8> = (0..=255).rev().cycle().take(600).collect();
            Ok(answered(
                ticket,
                Answer::raw(200, "application/json", bytes),
            ))
        }
        FaultKind::WrongContentType => {
            let mut answer = answer.unwrap_or_else(html);
            answer
                .headers
                .retain(|(name, _)| name != header::CONTENT_TYPE.as_str());
            Ok(answered(ticket, answer.with("content-type", "text/html")))
        }
        FaultKind::Huge { bytes } => Ok(streamed(ticket, None, move |sender| huge(sender, bytes))),
        FaultKind::Trickle => Ok(streamed(ticket, None, trickle)),
        FaultKind::Truncated => {
            let canned = || Bytes::from_static(br#"{"access_token":"eyJhbGciOiJIUzI1NiIs"}"#);
            let whole = answer.map_or_else(canned, |answer| answer.body);
            let half = whole.slice(..whole.len() / 2);
            Ok(streamed(ticket, Some(whole.len()), move |sender| {
                truncated(sender, half)
            }))
        }
    }
}

fn reply(canned: &Canned, ticket: &Ticket) -> Answer {
    if canned.status >= 500 && canned.body.is_empty() && canned.headers.is_empty() {
        return api::failure(
            ticket.api,
            &ticket.shared.deployment(ticket.api),
            canned.status,
        );
    }
    let (status, headers) = (canned.status, canned.headers.clone());
    Answer {
        status,
        headers,
        body: Bytes::from(canned.body.clone()),
    }
}

async fn huge(mut sender: Sender<Bytes, Broken>, bytes: u64) {
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    drop(sender.send_data(Bytes::from_static(b"\"")).await);
    while left > 0
        && sender
            .send_data(chunk.slice(..left.min(CHUNK)))
            .await
            .is_ok()
    {
        left = left.saturating_sub(CHUNK);
    }
    drop(sender.send_data(Bytes::from_static(b"\"")).await);
}

async fn trickle(mut sender: Sender<Bytes, Broken>) {
    let mut beat = interval(TRICKLE);
    while sender.send_data(Bytes::from_static(b" ")).await.is_ok() {
        beat.tick().await;
    }
}

async fn truncated(mut sender: Sender<Bytes, Broken>, half: Bytes) {
    drop(sender.send_data(half).await);
    sender.abort(Broken);
}

/// Notes the answer and ends the count of the request as running before the peer can receive it.
fn answered(ticket: Ticket, answer: Answer) -> Response<Body> {
    ticket.note(Some(answer.status));
    drop(ticket);
    finished(answer)
}

/// An answer whose body `write` produces; the request counts as running until the body ends.
fn streamed<F>(
    ticket: Ticket,
    length: Option<usize>,
    write: impl FnOnce(Sender<Bytes, Broken>) -> F,
) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    ticket.note(Some(200));
    let (sender, body) = Channel::new(1);
    let writing = write(sender);
    tokio::spawn(async move {
        writing.await;
        drop(ticket);
    });
    let mut response = Response::new(body.boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

fn finished(answer: Answer) -> Response<Body> {
    let status = answer.status();
    let body = Full::new(answer.body)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in answer.headers {
        let name = header::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, header::HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        // Hyper would hand over the connection; no other protocol is spoken here.
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}
