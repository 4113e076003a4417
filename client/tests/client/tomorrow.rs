//! Daemons of other releases: new messages are read as far as possible, and old daemons are spoken to as before.

#[cfg(feature = "async")]
use tokend_client::Client;
use tokend_client::{BlockingClient, ClientError, FaultCode, GetOptions};
use tokend_proto::{Fault, Response};

use crate::fake::{Act, FakeDaemon, name, token};

fn ads() -> GetOptions {
    GetOptions::new(name("ads"))
}

/// An answer of an unknown kind, to request 1; then an unknown fault; then a token.
fn daemon_of_tomorrow() -> FakeDaemon {
    FakeDaemon::start(|count, _| match count {
        0 => Act::Raw(framed(
            &[&1_u64.to_le_bytes()[..], &99_u32.to_le_bytes(), b"new"].concat(),
        )),
        1 => Act::Reply(Response::Fault(
            Fault::new(FaultCode::from_number(40), "the quota is spent").advise("buy more"),
        )),
        _ => Act::Reply(Response::Token(token("t"))),
    })
}

/// A daemon that greets in the bytes of 0.1.0, as they were recorded.
fn daemon_of_0_1_0() -> FakeDaemon {
    let welcome = || {
        let hex = include_str!("../../../proto/tests/golden/response-welcome.hex");
        let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        let payload: Result<Vec<u8>, _> = digits.chunks(2).map(byte).collect();
        Act::Raw(framed(&payload.unwrap()))
    };
    FakeDaemon::greeting(welcome, |_, _| Act::Reply(Response::Token(token("t"))))
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..], payload].concat()
}

fn is_unknown_kind(error: &ClientError) -> bool {
    let text = error.to_string();
    matches!(error, ClientError::Protocol { .. }) && text.contains("only a newer client knows")
}

/// Only its number is new.
fn is_told_whole(error: &ClientError) -> bool {
    let ClientError::Fault(fault) = error else {
        return false;
    };
    assert_eq!(error.advice(), Some("buy more"));
    (fault.code.number(), fault.message.as_str()) == (40, "the quota is spent")
}

#[test]
fn a_blocking_client_reads_answers_of_tomorrow_and_the_connection_goes_on() {
    let daemon = daemon_of_tomorrow();
    let mut client = BlockingClient::connect(&daemon.socket().into()).unwrap();
    let error = client.get(&ads()).unwrap_err();
    assert!(is_unknown_kind(&error), "{error}");
    let error = client.get(&ads()).unwrap_err();
    assert!(is_told_whole(&error), "{error}");
    assert_eq!(client.get(&ads()).unwrap(), token("t").into());
    assert_eq!(daemon.connections(), 1);
}

#[test]
fn a_blocking_client_speaks_version_1_with_a_daemon_of_0_1_0() {
    let daemon = daemon_of_0_1_0();
    let mut client = BlockingClient::connect(&daemon.socket().into()).unwrap();
    assert_eq!(client.get(&ads()).unwrap(), token("t").into());
}

#[cfg(feature = "async")]
#[tokio::test]
async fn an_async_client_reads_answers_of_tomorrow_and_the_connection_goes_on() {
    let daemon = daemon_of_tomorrow();
    let client = Client::connect(&daemon.socket().into()).await.unwrap();
    let error = client.get(&ads()).await.unwrap_err();
    assert!(is_unknown_kind(&error), "{error}");
    let error = client.get(&ads()).await.unwrap_err();
    assert!(is_told_whole(&error), "{error}");
    assert_eq!(client.get(&ads()).await.unwrap(), token("t").into());
    assert_eq!(daemon.connections(), 1);
}

#[cfg(feature = "async")]
#[tokio::test]
async fn an_async_client_speaks_version_1_with_a_daemon_of_0_1_0() {
    let daemon = daemon_of_0_1_0();
    let client = Client::connect(&daemon.socket().into()).await.unwrap();
    assert_eq!(client.get(&ads()).await.unwrap(), token("t").into());
}
