//! Peers of other releases: what they are sent, and what becomes of what they send.

use super::super::frame_for;
use super::*;

/// The bytes that a client of 0.1.0 opens with, as they were recorded, in a frame.
fn hello_of_0_1_0() -> Vec<u8> {
    let hex = include_str!("../../../../../proto/tests/golden/request-hello.hex");
    let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    let payload: Vec<u8> = digits.chunks(2).map(byte).collect();
    [
        &u32::try_from(payload.len()).unwrap().to_le_bytes()[..],
        &payload,
    ]
    .concat()
}

#[tokio::test(start_paused = true)]
async fn a_client_of_0_1_0_is_answered_in_version_1() {
    let mut talk = Talk::start();
    talk.client.write_all(&hello_of_0_1_0()).await.unwrap();
    let (id, welcome) = talk.hear().await;
    assert!(
        matches!(welcome, Response::Welcome { version: 1, .. }),
        "{welcome:?}"
    );
    assert_eq!(id, 0);
    talk.say(1, get("nobody")).await;
    assert!(matches!(talk.hear().await, (1, Response::Fault(_))));
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_that_both_know_is_spoken() {
    for (oldest, newest, spoken) in [(1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 9, 2), (1, u16::MAX, 2)] {
        let mut talk = Talk::start();
        let hello = Request::Hello {
            magic: tokend_proto::MAGIC,
            oldest,
            newest,
            client: "test".to_owned(),
        };
        talk.say(0, hello).await;
        let (_, welcome) = talk.hear().await;
        let Response::Welcome { version, .. } = welcome else {
            panic!("{welcome:?}");
        };
        assert_eq!(version, spoken, "{oldest} to {newest}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_to_version_1_leaves_with_a_number_it_fails_on() {
    let tomorrow = || Response::Fault(Fault::new(FaultCode::from_number(900), "what is new"));
    for (version, sent) in [
        (None, FaultCode::TooBusy),
        (Some(1), FaultCode::TooBusy),
        (Some(2), FaultCode::from_number(900)),
    ] {
        let answered = frame_for(version, RequestId(4), tomorrow());
        let Response::Fault(fault) = answered.response else {
            panic!("{answered:?}");
        };
        assert_eq!((fault.code, fault.message.as_str()), (sent, "what is new"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_tomorrow_is_answered_and_the_connection_goes_on() {
    for (kind, rest) in [(76_u32, &b""[..]), (77, &[0xff; 300]), (u32::MAX, b"x")] {
        let mut talk = Talk::greeted().await;
        let payload = [&9_u64.to_le_bytes()[..], &kind.to_le_bytes(), rest].concat();
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        talk.client.write_all(&length).await.unwrap();
        talk.client.write_all(&payload).await.unwrap();
        let (id, Response::Fault(fault)) = talk.hear().await else {
            panic!("kind {kind}");
        };
        assert_eq!((id, fault.code), (9, FaultCode::BadRequest));
        assert!(fault.message.contains(&format!("kind {kind}")), "{fault}");
        assert!(fault.advice.is_some_and(|it| it.contains("same release")));
        talk.say(10, Request::List { after: None }).await;
        assert!(matches!(talk.hear().await, (10, Response::Accounts(_))));
    }
    // Before hello nothing is answered that is not understood.
    let mut talk = Talk::start();
    let payload = [&9_u64.to_le_bytes()[..], &77_u32.to_le_bytes()].concat();
    talk.client.write_all(&12_u32.to_le_bytes()).await.unwrap();
    talk.client.write_all(&payload).await.unwrap();
    assert_eq!(talk.fault().await, FaultCode::BadRequest);
    assert!(matches!(talk.ended().await, Ended::Protocol(_)));
}
