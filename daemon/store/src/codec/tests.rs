//! Round trips, the checked-in record, and what is refused.

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::record::{BlockReason, StoredAttemptKind};

/// One record of schema 1 with every field, as written by the first version. It must open for ever.
const FIRST: &str = include_str!("../../tests/golden/record-v1.json");
/// The same as this build writes it, with every field.
const GOLDEN: &str = include_str!("../../tests/golden/record-v2.json");

fn text(record: &Record) -> Zeroizing<Vec<u8>> {
    encode(record, 0, 0).unwrap()
}

#[test]
fn the_golden_record_decodes_and_encodes_to_the_same_bytes() {
    let golden = GOLDEN.trim_end().as_bytes();
    let record = decode(golden).unwrap();
    assert_eq!(record.anchor.wall_ms, 1_795_000_000_000);
    assert_eq!(record.last_begun, 2);
    let credential = &record.credential;
    assert_eq!(
        credential.password.as_ref().unwrap().expose_secret(),
        "pass \"word\" \\ ä\n"
    );
    assert_eq!(
        credential.client_secret.as_ref().unwrap().expose_secret(),
        "cs"
    );
    assert_eq!(
        credential.refresh_token.as_ref().unwrap().expose_secret(),
        "rt-9"
    );
    assert!(
        credential.refresh_in_doubt && credential.refresh_refused && record.deferred_by_provider
    );
    assert_eq!(
        record.provider_message.as_deref(),
        Some("token is no longer valid")
    );
    assert_eq!(credential.entered_at, Some(1_794_000_000_000));
    let grant = record.grant.as_ref().unwrap();
    assert_eq!(grant.access_token.expose_secret(), "at-9");
    assert_eq!(grant.expires_at, Some(1_795_000_003_600));
    assert_eq!(record.pace.logins_tat, -2);
    assert_eq!(
        record.intent.as_ref().unwrap().kind,
        StoredAttemptKind::Refresh
    );
    assert_eq!(
        record.block.as_ref().unwrap().reason,
        BlockReason::Misconfigured
    );
    assert_eq!(record.last_attempt.as_ref().unwrap().duration_ms, u64::MAX);
    assert_eq!(record.host.as_deref(), Some("https://ads.example.com"));
    assert_eq!(text(&record).as_slice(), golden);
}

#[test]
fn what_a_person_entered_and_is_not_in_use_yet_is_kept_and_needs_no_newer_schema() {
    let golden = include_str!("../../tests/golden/record-v2-candidate.json").trim_end();
    let record = decode(golden.as_bytes()).unwrap();
    let candidate = record.candidate.as_ref().unwrap();
    assert_eq!(
        (candidate.attempt, candidate.kind),
        (17, CandidateKind::RefreshToken)
    );
    assert_eq!(candidate.secret.expose_secret(), "rt-entered");
    let spare = record.credential.spare_refresh_token.as_ref().unwrap();
    assert_eq!(spare.expose_secret(), "rt-spare");
    assert_eq!(text(&record).as_slice(), golden.as_bytes());
    assert!(!format!("{record:?}").contains("rt-"), "{record:?}");
}

#[test]
fn what_later_versions_keep_beside_is_kept_and_needs_no_newer_schema() {
    let golden = include_str!("../../tests/golden/record-v2-later.json").trim_end();
    let record = decode(golden.as_bytes()).unwrap();
    assert!(record.credential.spare_unsent && record.grant.as_ref().unwrap().overtaken);
    assert_eq!(
        record.asks.as_deref(),
        Some("00c0ffee00c0ffee-0123456789abcdef")
    );
    let stored = record.no_verdict.clone().unwrap();
    assert_eq!((stored.refreshes, stored.lost_logins), (2, 1));
    assert!(stored.login_refused && stored.login_misconfigured);
    assert_eq!(
        stored.provider_message.as_deref(),
        Some("status 400: invalid_grant")
    );
    assert_eq!(text(&record).as_slice(), golden.as_bytes());
}

#[test]
fn a_record_of_schema_1_lacks_only_the_name_of_its_host() {
    let mut record = decode(FIRST.trim_end().as_bytes()).unwrap();
    assert_eq!(record.host, None);
    record.host = Some("https://ads.example.com".to_owned());
    assert_eq!(text(&record).as_slice(), GOLDEN.trim_end().as_bytes());
}

#[test]
fn a_record_with_only_what_is_required_decodes() {
    let least = r#"{"schema":2,"record":{"anchor":{"wall_ms":1,"boot_ms":2,"boot_id":"b"},"identity":"i","last_begun":0,"credential":{},"pace":{"attempts_tat":0,"logins_tat":0,"host_tat":0},"failures":0}}"#;
    let record = decode(least.as_bytes()).unwrap();
    assert!(record.grant.is_none() && record.credential.password.is_none());
    assert_eq!(text(&record).as_slice(), least.as_bytes());
}

#[test]
fn a_record_keeps_what_was_tried_without_a_verdict() {
    let least = r#"{"schema":2,"record":{"anchor":{"wall_ms":1,"boot_ms":2,"boot_id":"b"},"identity":"i","last_begun":0,"credential":{},"pace":{"attempts_tat":0,"logins_tat":0,"host_tat":0},"failures":0,"no_verdict":{"logins":3,"logins_from":-5,"fingerprint":"login-1"}}}"#;
    let record = decode(least.as_bytes()).unwrap();
    let stored = record.no_verdict.clone().unwrap();
    assert_eq!(
        (stored.refreshes, stored.logins, stored.logins_from),
        (0, 3, Some(-5))
    );
    assert_eq!(stored.provider_message, None, "nobody noted it");
    assert_eq!(text(&record).as_slice(), least.as_bytes());
}

#[test]
fn a_newer_schema_is_told_as_newer_whatever_else_it_holds() {
    for (newer, schema) in [
        (
            r#"{"schema":3,"record":{"wholly":"different"}}"#.to_owned(),
            3,
        ),
        (r#"{"schema":9}"#.to_owned(), 9),
        (GOLDEN.replace("\"schema\":2", "\"schema\":4"), 4),
    ] {
        assert_eq!(
            decode(newer.as_bytes()).unwrap_err(),
            QuarantineReason::Newer { schema }
        );
    }
}

#[test]
fn a_text_that_is_no_record_is_refused_without_quoting_it() {
    for bad in [
        "".to_owned(),
        "{}".to_owned(),
        r#"{"schema":0,"record":{}}"#.to_owned(),
        GOLDEN.replace("\"failures\":3", "\"failures\":\"hunter2\""),
        GOLDEN.replace("\"failures\":3", "\"failures\":3,\"hunter2\":1"),
        GOLDEN.replace("misconfigured", "hunter2"),
    ] {
        let error = decode(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, QuarantineReason::Malformed { .. }), "{bad}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn a_record_no_token_could_fill_is_refused() {
    let mut record = decode(GOLDEN.trim_end().as_bytes()).unwrap();
    record.credential.password = Some("x".repeat(MAX_RECORD_BYTES).into());
    let EncodeError::TooLarge { bytes } = encode(&record, 0, 0).unwrap_err() else {
        panic!("expected it to be too large");
    };
    assert!(bytes > MAX_RECORD_BYTES);
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", decode(GOLDEN.trim_end().as_bytes()).unwrap());
    for secret in ["pass ", "\"cs\"", "rt-9", "at-9"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("REDACTED"));
}

fn secret() -> impl Strategy<Value = Option<SecretString>> {
    proptest::option::of(any::<String>().prop_map(SecretString::from))
}

fn grant() -> impl Strategy<Value = StoredGrant> {
    (
        any::<u64>(),
        any::<String>(),
        any::<String>(),
        any::<Option<String>>(),
        any::<i64>(),
        any::<Option<i64>>(),
        any::<bool>(),
    )
        .prop_map(
            |(id, access_token, token_type, scope, issued_at, expires_at, overtaken)| StoredGrant {
                id,
                access_token: access_token.into(),
                token_type,
                scope,
                issued_at,
                expires_at,
                overtaken,
            },
        )
}

proptest! {
    #[test]
    fn any_record_survives_the_round_trip_in_one_allocation(
        identity: String,
        password in secret(),
        refresh_token in secret(),
        grant in proptest::option::of(grant()),
        tats: (i64, i64, i64),
        front in 0_usize..40,
    ) {
        let mut record = decode(GOLDEN.trim_end().as_bytes()).unwrap();
        record.identity = identity;
        record.credential.password = password;
        record.credential.refresh_token = refresh_token;
        record.grant = grant;
        record.pace = PaceState { attempts_tat: tats.0, logins_tat: tats.1, host_tat: tats.2 };

        let encoded = encode(&record, front, 16).unwrap();
        // It was not moved, so no copy of a secret is left behind.
        prop_assert_eq!(encoded.capacity(), encoded.len() + 16);
        let decoded = decode(&encoded[front..]).unwrap();
        let again = text(&decoded);
        prop_assert_eq!(again.as_slice(), &encoded[front..]);
        prop_assert_eq!(decoded.identity, record.identity);
        prop_assert_eq!(
            decoded.credential.password.as_ref().map(|secret| secret.expose_secret()),
            record.credential.password.as_ref().map(|secret| secret.expose_secret())
        );
        prop_assert_eq!(
            decoded.grant.map(|grant| grant.access_token.expose_secret().to_owned()),
            record.grant.map(|grant| grant.access_token.expose_secret().to_owned())
        );
    }

    #[test]
    fn no_text_makes_it_panic(text: Vec<u8>) {
        let _refused = decode(&text);
    }
}
