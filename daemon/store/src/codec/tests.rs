//! Round trips, the checked-in record, and what is refused.

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::record::{BlockReason, EnteredSecret, Entry, StoredAttemptKind};

/// One record of schema 1 with every field, as written by the first version. It must open for ever.
const FIRST: &str = include_str!("../../tests/golden/record-v1.json");
/// The same as this build writes it, with every field.
const GOLDEN: &str = include_str!("../../tests/golden/record-v2.json");

fn text(record: &Record) -> Zeroizing<Vec<u8>> {
    encode(record, 0, 0).unwrap()
}

#[test]
fn a_record_of_older_versions_keeps_its_meaning_and_is_written_in_the_form_of_today() {
    let golden = GOLDEN.trim_end().as_bytes();
    let record = decode(golden).unwrap();
    assert_eq!(record.anchor.wall_ms, 1_795_000_000_000);
    assert_eq!(record.last_begun, 2);
    let credential = &record.credential;
    assert_eq!(
        credential.secret("password").unwrap().expose_secret(),
        "pass \"word\" \\ ä\n"
    );
    assert_eq!(
        credential.secret("client_secret").unwrap().expose_secret(),
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
    let entered = |name: &str| credential.secrets.get(name).unwrap().entry;
    let then = Entry {
        at: Some(1_794_000_000_000),
        by: None,
    };
    assert_eq!(
        (entered("password"), entered("client_secret")),
        (then, then)
    );
    assert_eq!(credential.refresh_entered, None);
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
    let today = text(&record);
    let today = std::str::from_utf8(&today).unwrap();
    let secrets = r#""secrets":{"client_secret":{"secret":"cs","at":1794000000000},"password":{"secret":"pass \"word\" \\ ä\n","at":1794000000000}}"#;
    assert!(
        today.contains(secrets) && !today.contains("entered_at"),
        "{today}"
    );
}

#[test]
fn what_a_person_entered_and_is_not_in_use_yet_is_kept_and_needs_no_newer_schema() {
    let golden = include_str!("../../tests/golden/record-v2-candidate.json").trim_end();
    let record = decode(golden.as_bytes()).unwrap();
    let candidate = record.candidate.as_ref().unwrap();
    assert_eq!(candidate.attempt, 17);
    let token = candidate.entered.secrets.refresh_token().unwrap();
    assert_eq!(token.expose_secret(), "rt-entered");
    let spare = record.credential.spare_refresh_token.as_ref().unwrap();
    assert_eq!(spare.expose_secret(), "rt-spare");
    let today = text(&record);
    let today = std::str::from_utf8(&today).unwrap();
    let same = r#""candidate":{"attempt":17,"kind":"refresh-token","secret":"rt-entered"}"#;
    assert!(today.contains(same), "{today}");
    assert!(!format!("{record:?}").contains("rt-"), "{record:?}");
}

#[test]
fn secrets_are_kept_by_the_names_of_their_fields_with_who_entered_them() {
    let golden = include_str!("../../tests/golden/record-v2-secrets.json").trim_end();
    let record = decode(golden.as_bytes()).unwrap();
    let entered = record.credential.secrets.get("private_key").unwrap();
    assert_eq!(entered.secret.expose_secret(), "-----BEGIN\nkey\n");
    let by = |at, by| Entry {
        at: Some(at),
        by: Some(by),
    };
    assert_eq!(entered.entry, by(1_794_000_000_000, 1000));
    let refresh = record.credential.refresh_entered;
    assert_eq!(refresh, Some(by(1_794_000_000_001, 0)));
    let candidate = record.candidate.as_ref().unwrap();
    assert_eq!(candidate.entered.entry, by(1_794_000_000_002, 1001));
    let pin = candidate.entered.secrets.field("pin").unwrap();
    assert_eq!(pin.expose_secret(), "0815");
    assert_eq!(text(&record).as_slice(), golden.as_bytes());
    let shown = format!("{record:?}");
    assert!(
        !shown.contains("0815") && !shown.contains("BEGIN"),
        "{shown}"
    );
}

#[test]
fn what_older_versions_put_on_trial_is_a_secret_of_its_field() {
    for (kind, field) in [("password", "password"), ("client-secret", "client_secret")] {
        let stored = GOLDEN.trim_end().replace(
            "\"pace\":",
            &format!(
                "\"candidate\":{{\"attempt\":3,\"kind\":\"{kind}\",\"secret\":\"typed\"}},\"pace\":"
            ),
        );
        let candidate = decode(stored.as_bytes()).unwrap().candidate.unwrap();
        let secret = candidate.entered.secrets.field(field).unwrap();
        assert_eq!(secret.expose_secret(), "typed");
        assert_eq!(candidate.entered.entry, Entry::default());
    }
    for half in [r#""kind":"password""#, r#""secret":"typed""#] {
        let stored = GOLDEN.trim_end().replace(
            "\"pace\":",
            &format!("\"candidate\":{{\"attempt\":3,{half}}},\"pace\":"),
        );
        assert!(decode(stored.as_bytes()).is_err(), "{half}");
    }
}

#[test]
fn the_time_of_an_older_version_is_that_of_the_refresh_token_if_nothing_else_was_entered() {
    let stored = r#"{"schema":2,"record":{"anchor":{"wall_ms":1,"boot_ms":2,"boot_id":"b"},"identity":"i","last_begun":0,"credential":{"refresh_token":"r","entered_at":7},"pace":{"attempts_tat":0,"logins_tat":0,"host_tat":0},"failures":0}}"#;
    let record = decode(stored.as_bytes()).unwrap();
    let entry = record.credential.refresh_entered.unwrap();
    assert_eq!((entry.at, entry.by), (Some(7), None));
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
    let newer = decode(GOLDEN.trim_end().as_bytes()).unwrap();
    assert_eq!(text(&record), text(&newer));
}

#[test]
fn a_record_with_only_what_is_required_decodes() {
    let least = r#"{"schema":2,"record":{"anchor":{"wall_ms":1,"boot_ms":2,"boot_id":"b"},"identity":"i","last_begun":0,"credential":{},"pace":{"attempts_tat":0,"logins_tat":0,"host_tat":0},"failures":0}}"#;
    let record = decode(least.as_bytes()).unwrap();
    assert!(record.grant.is_none() && record.credential.secrets.is_empty());
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
    record.credential.refresh_token = Some("x".repeat(MAX_RECORD_BYTES).into());
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
        record.credential.secrets = password
            .map(|it| ("password".into(), EnteredSecret::new(it, Entry::default())))
            .into_iter()
            .collect();
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
            decoded.credential.secret("password").map(|secret| secret.expose_secret()),
            record.credential.secret("password").map(|secret| secret.expose_secret())
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
