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

#[test]
fn words_of_a_provider_begin_no_event_of_their_own() {
    let words = "no\r\n\r\nevent: token\rdata: {}\n\n\u{2028}\u{85}\u{0}";
    let fault = Fault::new(FaultCode::ProviderBusy, words).advise(words);
    for response in [
        Response::Unavailable(fault.clone()),
        Response::Fault(fault),
        Response::Token(Token {
            access_token: SecretText::new(words).unwrap(),
            token_type: words.into(),
            expires_at_ms: None,
            remaining_ms: None,
            scope: Some(words.into()),
            grant: 7,
        }),
    ] {
        for (form, ends) in [(Stream::Lines, 1), (Stream::ServerSent, 3)] {
            let event = event(form, &response);
            assert_eq!(event.matches(['\n', '\r']).count(), ends, "{event}");
            assert!(
                event.ends_with("}\n") || event.ends_with("}\n\n"),
                "{event}"
            );
        }
    }
}
