//! Tokens in the requests of HTTP libraries, with a source and an API that do as told. `tests` shows the same at a real daemon.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tokend_client::{Answer, ClientError, Token, TokenSource};
use tokend_proto::{ApiLine, ApisPage, Fault, FaultCode, Request, Response};

use crate::fake::{Act, FakeDaemon, name, secret, token};

/// Gives `one` until that is reported, then `two`; 400 with `expired` is a refusal too.
#[derive(Clone, Default)]
pub(crate) struct Source {
    pub(crate) urls: Vec<String>,
    pub(crate) reported: Arc<Mutex<Vec<String>>>,
    /// Has no successor for a refused token.
    pub(crate) ends: bool,
}

impl Source {
    pub(crate) fn new() -> Self {
        Self {
            urls: vec!["https://api.example.com/v1".to_owned()],
            ..Self::default()
        }
    }
}

impl TokenSource for Source {
    fn token(&self) -> Answer<'_, Arc<Token>> {
        let text = match self.reported.lock().unwrap().len() {
            0 => "one",
            _ => "two",
        };
        Box::pin(async move { Ok(Arc::new(Token::bearer(secret(text)))) })
    }

    fn reject<'a>(&'a self, refused: &'a Token) -> Answer<'a, Arc<Token>> {
        let mut reported = self.reported.lock().unwrap();
        reported.push(refused.access_token.expose().to_owned());
        match self.ends {
            true => {
                let fault = Fault::new(FaultCode::LoginRequired, "ads has no login");
                let error = ClientError::from(fault.advise("tokenctl login ads"));
                Box::pin(async { Err(error) })
            }
            false => Box::pin(async { Ok(Arc::new(Token::bearer(secret("two")))) }),
        }
    }

    fn is_refusal<'a>(&'a self, status: u16, body: &'a [u8]) -> Answer<'a, bool> {
        Box::pin(async move { Ok(status == 401 || (status == 400 && body == b"expired")) })
    }

    fn urls(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { Ok(self.urls.clone()) })
    }
}

/// What an API was sent: the header `Authorization` of each request, or nothing.
pub(crate) type Presented = Arc<Mutex<Vec<Option<String>>>>;

/// An API on a port, that gives each request the next of some answers.
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) presented: Presented,
    thread: Option<JoinHandle<()>>,
}

impl Api {
    pub(crate) fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let presented = Presented::default();
        let all = Arc::clone(&presented);
        let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
        let thread = thread::spawn(move || {
            while let Some(status) = statuses.pop_front() {
                let mut stream = listener.accept().unwrap().0;
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head = lines
                    .map(Result::unwrap)
                    .take_while(|line| !line.is_empty());
                let mut values = head.filter_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    let is_it = name.eq_ignore_ascii_case("authorization");
                    is_it.then(|| value.to_owned())
                });
                let value = values.next();
                // The whole head is read, or the connection would be reset.
                assert_eq!(values.next(), None);
                all.lock().unwrap().push(value);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self {
            url,
            presented,
            thread: Some(thread),
        }
    }

    /// Waits for its last request.
    pub(crate) fn presented(mut self) -> Vec<Option<String>> {
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut self.presented.lock().unwrap())
    }
}

/// A daemon whose account `ads` is for this URL.
pub(crate) fn daemon(url: &str) -> FakeDaemon {
    let url = url.to_owned();
    FakeDaemon::start(move |_, request| {
        Act::Reply(match request {
            Request::Get { .. } => Response::Token(token("one")),
            Request::Reject { .. } => Response::Token(token("two")),
            Request::Refusal { status, .. } => Response::Refusal {
                is_refusal: *status == 401,
            },
            Request::Apis { .. } => Response::Apis(ApisPage {
                apis: vec![ApiLine {
                    account: name("ads"),
                    urls: vec![url.clone()],
                }],
                next: None,
            }),
            _ => Response::Fault(Fault::new(FaultCode::BadRequest, "not in this test")),
        })
    })
}

/// A server of gRPC that refuses the token `one`.
#[cfg(feature = "tonic")]
pub(crate) struct GrpcServer {
    pub(crate) url: String,
    pub(crate) presented: Presented,
    _runtime: tokio::runtime::Runtime,
}

#[cfg(feature = "tonic")]
impl GrpcServer {
    pub(crate) fn start() -> Self {
        use http_body_util::{BodyExt as _, Full};
        use tonic::{Status, body::Body, transport::server::TcpIncoming};

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let address = (Ipv4Addr::LOCALHOST, 0);
        let bound = tokio::net::TcpListener::bind(address);
        let listener = runtime.block_on(bound).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let presented = Presented::default();
        let all = Arc::clone(&presented);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let value = request.headers().get(http::header::AUTHORIZATION);
            let value = value.map(|value| value.to_str().unwrap().to_owned());
            let is_refused = value.as_deref() == Some("Bearer one");
            all.lock().unwrap().push(value);
            let mut trailers = http::HeaderMap::new();
            trailers.insert(Status::GRPC_STATUS, 0.into());
            // One message without bytes.
            let message = Full::new(bytes::Bytes::from_static(&[0; 5]));
            let message = message.with_trailers(std::future::ready(Some(Ok(trailers))));
            let answer = match is_refused {
                true => Status::unauthenticated("who?").into_http(),
                false => http::Response::new(Body::new(message)),
            };
            std::future::ready(Ok::<_, Status>(answer))
        });
        let server = tonic::transport::Server::builder();
        let served = server.serve_with_incoming(service, TcpIncoming::from(listener));
        drop(runtime.spawn(served));
        Self {
            url,
            presented,
            _runtime: runtime,
        }
    }
}

#[cfg(feature = "tower")]
mod layer {
    use bytes::Bytes;
    use http::header::AUTHORIZATION;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use tokend_client::{RequestError, TokenLayer};
    use tower::{ServiceBuilder, ServiceExt as _, service_fn};

    use super::*;

    type Answers = Arc<Mutex<VecDeque<(u16, Vec<u8>)>>>;

    /// Sends one request; its answer, and what was presented.
    async fn sent(
        source: &Source,
        url: &str,
        answers: &[(u16, &[u8])],
    ) -> (Result<(u16, Bytes), String>, Vec<Option<String>>) {
        let answers = answers
            .iter()
            .map(|(status, body)| (*status, body.to_vec()));
        let answers: Answers = Arc::new(Mutex::new(answers.collect()));
        let presented = Presented::default();
        let all = Arc::clone(&presented);
        let api = service_fn(move |request: Request<Full<Bytes>>| {
            let value = request.headers().get(AUTHORIZATION);
            let value = value.map(|value| {
                assert!(value.is_sensitive());
                value.to_str().unwrap().to_owned()
            });
            all.lock().unwrap().push(value);
            let (status, body) = answers.lock().unwrap().pop_front().unwrap();
            async move {
                let response = Response::builder().status(status);
                response.body(Full::from(body))
            }
        });
        let layer = TokenLayer::new(source.clone());
        let service = ServiceBuilder::new().layer(layer).service(api);
        let request = Request::get(url).body(Full::from("a body")).unwrap();
        let said = match service.oneshot(request).await {
            Ok(response) => {
                let status = response.status().as_u16();
                Ok((status, response.collect().await.unwrap().to_bytes()))
            }
            Err(error) => Err(error.downcast::<RequestError>().unwrap().to_string()),
        };
        let presented = std::mem::take(&mut *presented.lock().unwrap());
        (said, presented)
    }

    fn bearer(tokens: &[&str]) -> Vec<Option<String>> {
        let header = |token: &&str| (!token.is_empty()).then(|| format!("Bearer {token}"));
        tokens.iter().map(header).collect()
    }

    const URL: &str = "https://api.example.com/v1/users";

    #[tokio::test]
    async fn a_refusal_is_reported_once_and_followed_by_one_request() {
        for refusal in [(401, &b"who?"[..]), (400, b"expired")] {
            let source = Source::new();
            let answers = [refusal, (200, b"hello")];
            let (said, presented) = sent(&source, URL, &answers).await;
            assert_eq!(said, Ok((200, Bytes::from("hello"))));
            assert_eq!(presented, bearer(&["one", "two"]));
            assert_eq!(*source.reported.lock().unwrap(), ["one"]);
        }
        let source = Source::new();
        let (said, presented) = sent(&source, URL, &[(401, b"who?"), (401, b"still")]).await;
        assert_eq!(said, Ok((401, Bytes::from("still"))));
        assert_eq!(presented, bearer(&["one", "two"]));
        assert_eq!(*source.reported.lock().unwrap(), ["one"]);
    }

    #[tokio::test]
    async fn an_answer_that_refuses_nothing_is_whole() {
        let long = vec![b'x'; 100_000];
        for (status, body) in [(200, &long[..]), (403, &long), (400, b""), (204, b"")] {
            let source = Source::new();
            let (said, presented) = sent(&source, URL, &[(status, body)]).await;
            assert_eq!(said, Ok((status, Bytes::copy_from_slice(body))));
            assert_eq!(presented, bearer(&["one"]));
            assert!(source.reported.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_url_of_nobody_gets_no_token_and_reports_none() {
        for url in [
            "https://evil.test/v1",
            "http://api.example.com/v1",
            "https://api.example.com/v2",
            "/v1",
        ] {
            let source = Source::new();
            let (said, presented) = sent(&source, url, &[(401, b"who?")]).await;
            assert_eq!(said, Ok((401, Bytes::from("who?"))), "{url}");
            assert_eq!(presented, bearer(&[""]), "{url}");
            assert!(source.reported.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_failure_has_our_words() {
        let source = Source {
            ends: true,
            ..Source::new()
        };
        let (said, presented) = sent(&source, URL, &[(401, b"who?")]).await;
        assert_eq!(said.unwrap_err(), "ads has no login; tokenctl login ads");
        assert_eq!(presented, bearer(&["one"]));

        let (said, presented) = sent(&Source::default(), URL, &[]).await;
        let said = said.unwrap_err();
        assert!(said.contains("; add urls"), "{said}");
        assert_eq!(presented, []);
    }
}

#[cfg(feature = "tonic")]
mod grpc {
    use bytes::Bytes;
    use http::header::AUTHORIZATION;
    use http::{Request, Response, StatusCode};
    use http_body_util::channel::Channel;
    use http_body_util::{BodyExt as _, Full};
    use tokend_client::{GrpcTokenLayer, RequestError};
    use tonic::body::Body;
    use tonic::{Code, Status};
    use tower::{ServiceBuilder, ServiceExt as _, service_fn};

    use super::*;

    const SERVER: &str = "https://api.example.com";

    fn source() -> Source {
        Source {
            urls: vec![SERVER.to_owned()],
            ..Source::default()
        }
    }

    /// What a server was sent: the token and, where it reads them, the messages.
    type Calls = Arc<Mutex<Vec<(Option<String>, Bytes)>>>;

    /// Makes one call to a server that gives these answers, and reads the messages only where it answers with `OK`.
    async fn called(
        source: &Source,
        body: Body,
        answers: &[fn() -> Response<Body>],
    ) -> (Result<Response<Body>, Status>, Vec<(Option<String>, Bytes)>) {
        let answers: VecDeque<_> = answers.iter().copied().collect();
        let answers = Arc::new(Mutex::new(answers));
        let calls = Calls::default();
        let all = Arc::clone(&calls);
        let server = service_fn(move |request: Request<Body>| {
            let (all, answers) = (Arc::clone(&all), Arc::clone(&answers));
            async move {
                let token = request.headers().get(AUTHORIZATION);
                let token = token.map(|value| value.to_str().unwrap().to_owned());
                let answer = answers.lock().unwrap().pop_front().unwrap()();
                let messages = match answer.headers().is_empty() && answer.status() == 200 {
                    true => request.into_body().collect().await?.to_bytes(),
                    false => Bytes::new(),
                };
                all.lock().unwrap().push((token, messages));
                Ok::<_, Status>(answer)
            }
        });
        let layer = GrpcTokenLayer::new(source.clone(), SERVER.parse().unwrap());
        let service = ServiceBuilder::new().layer(layer).service(server);
        let mut request = Request::new(body);
        *request.uri_mut() = "/greeter/Hello".parse().unwrap();
        let said = service.oneshot(request).await;
        let said = said.map_err(|error| *error.downcast::<Status>().unwrap());
        let calls = std::mem::take(&mut *calls.lock().unwrap());
        (said, calls)
    }

    fn presents(token: &str, messages: &'static str) -> (Option<String>, Bytes) {
        (Some(format!("Bearer {token}")), Bytes::from(messages))
    }

    fn refused() -> Response<Body> {
        Status::unauthenticated("who?").into_http()
    }

    fn by_proxy() -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
    }

    fn fine() -> Response<Body> {
        Response::new(Body::empty())
    }

    #[tokio::test]
    async fn a_call_whose_messages_are_there_is_repeated() {
        for refusal in [refused, by_proxy] {
            let source = source();
            let body = Body::new(Full::new(Bytes::from("hello")));
            let (said, calls) = called(&source, body, &[refusal, fine]).await;
            assert!(said.unwrap().headers().is_empty());
            let expected = [presents("one", ""), presents("two", "hello")];
            assert_eq!(calls, expected);
            assert_eq!(*source.reported.lock().unwrap(), ["one"]);
        }
    }

    #[tokio::test]
    async fn a_call_whose_messages_are_to_come_is_reported_and_not_repeated() {
        let source = source();
        let (mut sender, body) = Channel::<Bytes, Status>::new(2);
        sender.send_data(Bytes::from("hello")).await.unwrap();
        let (said, calls) = called(&source, Body::new(body), &[refused]).await;
        let status = Status::from_header_map(said.unwrap().headers()).unwrap();
        assert_eq!(status.message(), "who?");
        assert_eq!(calls, [presents("one", "")]);
        assert_eq!(*source.reported.lock().unwrap(), ["one"]);
        drop(sender);

        // Nothing of what was taken ahead is lost, and what comes later follows it.
        let (mut sender, body) = Channel::<Bytes, Status>::new(2);
        sender.send_data(Bytes::from("hello, ")).await.unwrap();
        let later = async move { sender.send_data(Bytes::from("world")).await };
        let call = called(&source, Body::new(body), &[fine]);
        // The call begins first.
        let ((_, calls), _) = tokio::join!(call, later);
        assert_eq!(calls, [presents("two", "hello, world")]);
    }

    #[tokio::test]
    async fn a_failure_is_a_status_with_our_words() {
        let source = Source {
            ends: true,
            ..source()
        };
        let (said, _) = called(&source, Body::empty(), &[refused]).await;
        let status = said.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(status.message(), "ads has no login; tokenctl login ads");
        let cause = std::error::Error::source(&status).unwrap();
        assert!(cause.downcast_ref::<RequestError>().is_some());

        let (said, calls) = called(&Source::default(), Body::empty(), &[]).await;
        assert_eq!(said.unwrap_err().code(), Code::FailedPrecondition);
        assert_eq!(calls, []);
    }
}
