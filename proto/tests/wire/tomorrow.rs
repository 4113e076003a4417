//! Messages of a newer peer are read as far as possible, and messages that version 1 cannot read are never sent to it.

use tokend_proto::*;

use crate::samples::{self, finding, payload, status};

fn answer(response: Response) -> ServerFrame {
    ServerFrame {
        id: RequestId(3),
        response,
    }
}

/// An answer in which every number is unknown.
fn all_of_tomorrow() -> [ServerFrame; 3] {
    let fault = Fault {
        code: FaultCode::from_number(19),
        ..samples::fault()
    };
    let mut status = status();
    status.state = AccountState::from_number(10);
    status.problem = Some(fault.clone());
    if let Some(last) = &mut status.last_attempt {
        last.kind = AttemptKind::from_number(2);
    }
    let finding = Finding {
        topic: Topic::from_number(7),
        severity: Severity::from_number(3),
        ..finding()
    };
    [
        answer(Response::Fault(fault)),
        answer(Response::Status(StatusPage {
            accounts: vec![status],
            next: None,
        })),
        answer(Response::Diagnosis(DiagnosisPage {
            findings: vec![finding],
            next: None,
        })),
    ]
}

#[test]
fn numbers_of_tomorrow_arrive_with_everything_around_them() {
    for frame in all_of_tomorrow() {
        assert!(format!("{frame:?}").contains("Other("), "{frame:?}");
        assert_eq!(decode_server(&payload(&frame)), Ok(frame));
    }
    assert!(Severity::from_number(3) > Severity::Problem);
}

#[test]
fn version_1_is_never_sent_a_number_it_does_not_know() {
    for frame in all_of_tomorrow() {
        assert_eq!(frame.clone().for_version(2), frame, "version 2 reads it");
        let sent = frame.clone().for_version(1);
        let shown = format!("{sent:?}");
        assert!(!shown.contains("Other("), "{shown}");
        let (Response::Fault(old), Response::Fault(new)) = (&sent.response, &frame.response) else {
            continue;
        };
        assert_eq!(old.code, FaultCode::TooBusy);
        assert_eq!((&old.message, &old.advice), (&new.message, &new.advice));
        assert_eq!(old.retry_after_ms, new.retry_after_ms);
    }
    for (_, frame) in samples::responses() {
        assert_eq!(frame.clone().for_version(1), frame, "what it knows stays");
    }
}

#[test]
fn kinds_of_tomorrow_are_skipped_whatever_they_hold() {
    for (kind, rest) in [(19_u32, &b""[..]), (20, &[0xff; 900]), (u32::MAX, b"x")] {
        let bytes = [&5_u64.to_le_bytes()[..], &kind.to_le_bytes(), rest].concat();
        let asked = decode_client(&bytes).unwrap();
        assert_eq!(
            (asked.id, asked.request),
            (RequestId(5), Request::Other(kind))
        );
        let answered = decode_server(&bytes).unwrap();
        assert_eq!(
            (answered.id, answered.response),
            (RequestId(5), Response::Other(kind))
        );
    }
    let mut out = Vec::new();
    let never = answer(Response::Other(9));
    assert!(matches!(
        encode(&never, &mut out),
        Err(WireError::Malformed(_))
    ));
    assert_eq!(out, b"", "nothing of it is sent");
}

/// Hello and welcome as version 0.1.0 wrote them, which are golden: version 1 is spoken both ways.
#[test]
fn version_1_is_spoken_with_a_client_and_a_daemon_of_0_1_0() {
    let Some((_, hello)) = samples::requests().into_iter().next() else {
        panic!("the first sample is hello");
    };
    let Request::Hello {
        magic,
        oldest,
        newest,
        ..
    } = hello.request
    else {
        panic!("{hello:?}");
    };
    assert_eq!(negotiate(magic, oldest, newest), Ok(1));
    let Request::Hello { oldest, newest, .. } = Request::hello("a client of today") else {
        panic!("hello is hello");
    };
    // A daemon of 0.1.0 chooses the newest version that both know, and it knows 1.
    assert_eq!((oldest, newest), (1, 2));
}
