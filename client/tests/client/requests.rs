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
