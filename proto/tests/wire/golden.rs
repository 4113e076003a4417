//! The bytes of every message, checked in: a change to them breaks an installed daemon or client.
//!
//! `GOLDEN_WRITE_MISSING=1 cargo test -p tokend-proto --test wire` writes the files of *new* variants. It never
//! touches a file that exists.

use std::fs;
use std::path::PathBuf;

use crate::samples::{credential, finding, name, payload, requests, responses, secret, status};
use tokend_proto::*;

#[test]
fn every_request_keeps_its_bytes() {
    for (variant, frame) in requests() {
        let golden = golden(&format!("request-{variant}.hex"), &hex(&payload(&frame)));
        let bytes = unhex(&golden);
        let decoded = decode_client(&bytes).unwrap_or_else(|error| panic!("{variant}: {error}"));
        assert_eq!(decoded, frame, "{variant} decodes to something else");
        assert_eq!(
            payload(&decoded),
            bytes,
            "{variant} encodes to something else"
        );
    }
}

#[test]
fn every_response_keeps_its_bytes() {
    for (variant, frame) in responses() {
        let golden = golden(&format!("response-{variant}.hex"), &hex(&payload(&frame)));
        let bytes = unhex(&golden);
        let decoded = decode_server(&bytes).unwrap_or_else(|error| panic!("{variant}: {error}"));
        assert_eq!(decoded, frame, "{variant} decodes to something else");
        assert_eq!(
            payload(&decoded),
            bytes,
            "{variant} encodes to something else"
        );
    }
}

#[test]
fn every_request_has_a_kind_of_its_own() {
    let mut kinds: Vec<_> = requests().iter().map(|(_, it)| it.request.kind()).collect();
    kinds.push(Request::Other(77).kind());
    assert_eq!(kinds.len(), RequestKind::ALL.len());
    for kind in RequestKind::ALL {
        let same = kinds.iter().filter(|it| **it == kind);
        assert_eq!(same.count(), 1, "{}", kind.as_str());
    }
}

/// The decoder itself says how many variants there are; a sample and a file must exist for each.
#[test]
fn no_variant_is_without_a_golden_file() {
    let known = |is_unknown: &dyn Fn(&[u8]) -> bool| {
        let is_known = |tag: &u32| {
            let payload = [&7_u64.to_le_bytes()[..], &tag.to_le_bytes(), &[0; 64]].concat();
            !is_unknown(&payload)
        };
        (0..).take_while(is_known).count()
    };
    let request = |bytes: &[u8]| {
        let read = decode_client(bytes);
        matches!(read, Ok(frame) if matches!(frame.request, Request::Other(_)))
    };
    let response = |bytes: &[u8]| {
        let read = decode_server(bytes);
        matches!(read, Ok(frame) if matches!(frame.response, Response::Other(_)))
    };
    assert_eq!(known(&request), requests().len());
    assert_eq!(known(&response), responses().len());
    let files = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name());
    let frames = files
        .filter(|name| name.to_string_lossy().ends_with(".hex"))
        .count();
    assert_eq!(frames, requests().len() + responses().len());
}

/// The enums inside messages are append-only too. Each is listed in a message of its own, where the decoder says
/// how many variants it knows; one that is not listed here, or moved, fails.
#[test]
fn nested_variants_keep_their_tags() {
    let fault = |code| payload(&answer(Response::Fault(Fault::new(code, ""))));
    let state = |state| status_with(|status| status.state = state);
    let kind = |kind| status_with(|status| status.last_attempt.as_mut().unwrap().kind = kind);
    let login = |secret| {
        let request = Request::Login {
            account: name("a"),
            secret,
        };
        payload(&ClientFrame {
            id: RequestId(0),
            request,
        })
    };
    let faults = FaultCode::ALL.map(|code| (code.as_str(), fault(code)));
    let states = AccountState::ALL.map(|each| (each.as_str(), state(each)));
    let kinds = AttemptKind::ALL.map(|each| (each.as_str(), kind(each)));
    let logins = [
        ("password", login(LoginSecret::Password(secret("")))),
        (
            "refresh-token",
            login(LoginSecret::RefreshToken(secret(""))),
        ),
        (
            "client-secret",
            login(LoginSecret::ClientSecret(secret(""))),
        ),
    ];
    let found = |finding| {
        payload(&answer(Response::Diagnosis(DiagnosisPage {
            findings: vec![finding],
            next: None,
        })))
    };
    let severities = Severity::ALL.map(|severity| {
        let finding = Finding {
            severity,
            ..finding()
        };
        (severity.as_str(), found(finding))
    });
    let topics = Topic::ALL.map(|topic| {
        let finding = Finding { topic, ..finding() };
        (topic.as_str(), found(finding))
    });
    let origins = SecretOrigin::ALL.map(|each| (each.as_str(), origin(each)));
    let tags = [
        tags("fault", &faults, is_other),
        tags("state", &states, is_other),
        tags("attempt", &kinds, is_other),
        tags("login", &logins, is_refused),
        tags("severity", &severities, is_other),
        tags("topic", &topics, is_other),
        tags("origin", &origins, is_other),
    ]
    .concat();
    assert_eq!(golden("tags.txt", &tags), tags);
}

fn origin(origin: SecretOrigin) -> Vec<u8> {
    let mut status = credential();
    for field in &mut status.fields {
        field.origin = origin;
    }
    payload(&answer(Response::Credential(Box::new(status))))
}

/// The tags of one enum, found where messages differ that differ only in it.
fn tags(of: &str, variants: &[(&str, Vec<u8>)], is_unknown: impl Fn(&[u8]) -> bool) -> String {
    let [(_, first), (_, second), ..] = variants else {
        panic!("{of} has at least two variants")
    };
    let differs = first.iter().zip(second).position(|(a, b)| a != b);
    let at = differs.expect("variants differ");
    let unknown = |tag: u32| {
        let mut bytes = first.clone();
        bytes.splice(at..at + 4, tag.to_le_bytes());
        is_unknown(&bytes)
    };
    let known = (0..).take_while(|&tag| !unknown(tag)).count();
    assert_eq!(
        known,
        variants.len(),
        "{of}: every variant is listed in this test"
    );
    let line = |(name, bytes): &(&str, Vec<u8>)| format!("{of} {} {name}\n", tag_at(bytes, at));
    variants.iter().map(line).collect()
}

/// Whether some number in an answer is unknown.
fn is_other(bytes: &[u8]) -> bool {
    decode_server(bytes).is_ok_and(|frame| format!("{frame:?}").contains("Other("))
}

/// Whether a request holds an unknown variant.
fn is_refused(bytes: &[u8]) -> bool {
    matches!(decode_client(bytes), Err(WireError::Malformed(why)) if why.contains("variant index"))
}

fn status_with(change: impl FnOnce(&mut AccountStatus)) -> Vec<u8> {
    let mut status = status();
    change(&mut status);
    payload(&answer(Response::Status(StatusPage {
        accounts: vec![status],
        next: None,
    })))
}

fn answer(response: Response) -> ServerFrame {
    ServerFrame {
        id: RequestId(0),
        response,
    }
}

fn tag_at(bytes: &[u8], at: usize) -> u32 {
    let tag = bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .expect("a tag is there");
    u32::from_le_bytes(*tag)
}

fn golden(file: &str, current: &str) -> String {
    let path = folder().join(file);
    if !path.exists() && std::env::var_os("GOLDEN_WRITE_MISSING").is_some() {
        fs::write(&path, current).expect("the golden folder can be written");
    }
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{file} ({error}): a new variant needs its golden file"))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(32).map(|line| {
        let digits = line.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>() + "\n"
    });
    lines.collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("golden files are ASCII");
        u8::from_str_radix(pair, 16).expect("golden files are hexadecimal")
    };
    digits.chunks(2).map(byte).collect()
}
