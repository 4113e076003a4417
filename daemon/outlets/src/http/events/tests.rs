use tokend_proto::{Fault, FaultCode, SecretText, Token};

use super::*;

fn event(form: Stream, response: &Response) -> String {
    let account = "ads".parse().unwrap();
    let bytes = form.event(&account, response).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn events_are_lines_or_server_sent() {
    let token = Response::Token(Token {
        access_token: SecretText::new("T").unwrap(),
        token_type: "Bearer".into(),
        expires_at_ms: None,
        remaining_ms: None,
        scope: None,
        grant: 7,
    });
    let object = r#"{"event":"token","account":"ads","access_token":"T","token_type":"Bearer","expires_at":null}"#;
    assert_eq!(event(Stream::Lines, &token), format!("{object}\n"));
    assert_eq!(
        event(Stream::ServerSent, &token),
        format!("event: token\ndata: {object}\n\n")
    );
    assert_eq!(
        event(Stream::Lines, &Response::Retired { grant: 7 }),
        "{\"event\":\"retired\",\"account\":\"ads\"}\n"
    );
}

#[test]
fn the_last_event_says_why_and_when() {
    let fault = Fault::new(FaultCode::Draining, "the daemon is stopping")
        .advise("try again")
        .retry_after(1_000);
    let unavailable = event(Stream::Lines, &Response::Unavailable(fault.clone()));
    assert!(
        unavailable.starts_with("{\"event\":\"unavailable\""),
        "{unavailable}"
    );
    let ended = event(Stream::Lines, &Response::Fault(fault));
    let expected = "{\"event\":\"ended\",\"account\":\"ads\",\"code\":\"draining\",\"message\":\"the daemon is stopping\",\"advice\":\"try again\",\"retry_after\":1}\n";
    assert_eq!(ended, expected);
}
