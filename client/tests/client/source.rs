//! Sources of tokens: those of the library, and a fake one, as trait objects.

use std::sync::Arc;

use tokend_client::{
    Answer, BlockingClient, BlockingTokenSource, Client, ClientError, GetOptions, Token,
    TokenSource,
};
use tokend_proto::{ApiLine, ApisPage, Fault, FaultCode, Request, Response};

use crate::fake::{Act, FakeDaemon, name, secret, token};

const URL: &str = "https://api.example.com/";

fn daemon() -> FakeDaemon {
    FakeDaemon::start(|_, request| {
        Act::Reply(match request {
            Request::Get { .. } => Response::Token(token("one")),
            Request::Reject { token: refused, .. } if *refused == secret("one") => {
                Response::Token(token("two"))
            }
            // An administrator's answer: there is a newer one, for somebody else.
            Request::Reject { .. } => Response::Done {
                message: "done".into(),
            },
            Request::Refusal { status, body, .. } => Response::Refusal {
                is_refusal: *status == 400 && body.expose() == "expired",
            },
            Request::Apis { .. } => Response::Apis(ApisPage {
                apis: vec![ApiLine {
                    account: name("ads"),
                    urls: vec![URL.into()],
                }],
                next: None,
            }),
            _ => Response::Fault(Fault::new(FaultCode::BadRequest, "not in this test")),
        })
    })
}

fn is_not_allowed<T>(answered: &Result<T, ClientError>) -> bool {
    matches!(answered, Err(ClientError::Fault(fault)) if fault.code == FaultCode::NotAllowed)
}

#[tokio::test]
async fn an_account_is_a_source() {
    let daemon = daemon();
    let client = Client::connect(&daemon.socket().into()).await.unwrap();
    let source: Arc<dyn TokenSource> = Arc::new(client.account(GetOptions::new(name("ads"))));
    let one = source.token().await.unwrap();
    assert_eq!(*one, token("one").into());
    let two = source.reject(&one).await.unwrap();
    assert_eq!(*two, token("two").into());
    assert!(is_not_allowed(&source.reject(&two).await));
    assert!(source.is_refusal(400, b"expired").await.unwrap());
    assert!(!source.is_refusal(401, b"").await.unwrap());
    assert_eq!(source.urls().await.unwrap(), [URL]);
}

#[test]
fn an_account_is_a_blocking_source() {
    let daemon = daemon();
    let client = BlockingClient::connect(&daemon.socket().into()).unwrap();
    let account = client.account(GetOptions::new(name("ads")));
    let mut source: Box<dyn BlockingTokenSource> = Box::new(account);
    let one = source.token().unwrap();
    let two = source.reject(&one).unwrap();
    assert_eq!((one, &two), (token("one").into(), &token("two").into()));
    assert!(is_not_allowed(&source.reject(&two)));
    assert!(source.is_refusal(400, b"expired").unwrap());
    assert_eq!(source.urls().unwrap(), [URL]);
}

struct Fake;

impl Fake {
    fn named(text: &str) -> Token {
        Token::bearer(secret(text))
    }
}

impl TokenSource for Fake {
    fn token(&self) -> Answer<'_, Arc<Token>> {
        Box::pin(async { Ok(Arc::new(Self::named("one"))) })
    }

    fn reject<'a>(&'a self, _: &'a Token) -> Answer<'a, Arc<Token>> {
        Box::pin(async { Ok(Arc::new(Self::named("two"))) })
    }
}

impl BlockingTokenSource for Fake {
    fn token(&mut self) -> Result<Token, ClientError> {
        Ok(Self::named("one"))
    }

    fn reject(&mut self, _: &Token) -> Result<Token, ClientError> {
        Ok(Self::named("two"))
    }
}

#[tokio::test]
async fn a_source_can_be_faked() {
    let source: Box<dyn TokenSource> = Box::new(Fake);
    let one = source.token().await.unwrap();
    assert_eq!(one.access_token, secret("one"));
    assert_eq!(
        source.reject(&one).await.unwrap().access_token,
        secret("two")
    );
    // Nobody has said where it may go.
    assert!(source.urls().await.unwrap().is_empty());
    assert!(source.is_refusal(401, b"").await.unwrap());

    let mut source: Box<dyn BlockingTokenSource> = Box::new(Fake);
    let one = source.token().unwrap();
    assert_eq!(source.reject(&one).unwrap().access_token, secret("two"));
    assert!(!source.is_refusal(403, b"").unwrap() && source.urls().unwrap().is_empty());
}
