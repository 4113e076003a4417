//! Document 003, the accounts API behind Firebase: what a client can act on besides the exchanges of `exchanges.rs`. It has no
//! sample bodies.

use std::time::Duration;

use tokend_dialect::{
    Catalog, DeclaredReuse, ExchangeKind, Fields, LifetimeSource, ProviderReply, REFRESH_TOKEN,
};

use crate::support::*;

#[test]
fn a_long_credential_stays_on_one_line() {
    let dialect = builtin("firebase-accounts");
    let password = "long password with: colons and é ".repeat(10);
    let fields = fields(&[("username", "johndoe"), ("password", &password)]);
    let request = dialect
        .request(ExchangeKind::Login, &endpoint(&dialect), &fields)
        .unwrap();
    let value = header(&request, "authorization").unwrap();
    assert!(value.len() > 400 && !value.contains('\n'));
}

#[test]
fn a_jwt_may_end_before_its_45_minutes_and_not_after() {
    let dialect = builtin("firebase-accounts");
    for (life, expected) in [(600, 599), (3600, 2700)] {
        let token = jwt(&format!(
            r#"{{"iat": {DATE_UNIX}, "exp": {}}}"#,
            DATE_UNIX + life
        ));
        let grant = grant(
            &dialect,
            ExchangeKind::Login,
            &format!(r#"{{"access": "{token}"}}"#),
        );
        assert_eq!(
            (grant.lifetime, grant.lifetime_source),
            (seconds(expected), LifetimeSource::Jwt)
        );
    }
}

#[test]
fn the_undocumented_refresh_request_can_be_changed() {
    let dialect = builtin("firebase-accounts");
    let form = with_options(
        &dialect,
        &[
            ("refresh_encoding", "form"),
            ("refresh_key", "refresh_token"),
        ],
    );
    let request = dialect
        .request(
            ExchangeKind::Refresh,
            &form,
            &fields(&[(REFRESH_TOKEN, "a+b")]),
        )
        .unwrap();
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(body(&request), "refresh_token=a%2Bb");
}

#[test]
fn a_refresh_token_that_comes_back_is_taken() {
    let dialect = builtin("firebase-accounts");
    assert_eq!(dialect.reuse(), DeclaredReuse::None);
    let rotated = grant(
        &dialect,
        ExchangeKind::Refresh,
        r#"{"access": "a2", "refresh": "r2"}"#,
    );
    assert_eq!(refresh(&rotated), Some("r2"));
}

#[test]
fn an_api_refuses_a_token_with_401() {
    let dialect = builtin("firebase-accounts");
    assert!(dialect.rejection().matches(401, b"{}"));
    assert!(!dialect.rejection().matches(400, b"{}"));
}

#[test]
fn throttling_told_with_400_is_no_refusal() {
    let dialect = builtin("firebase-accounts");
    for code in [
        "QUOTA_EXCEEDED : Exceeded quota for verifying passwords.",
        "TOO_MANY_ATTEMPTS_TRY_LATER",
    ] {
        for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
            let body = format!(r#"{{"error": {{"code": 400, "message": "{code}"}}}}"#);
            let reply = dialect.read_reply(kind, &response(400, &[], body), &Fields::new());
            assert!(
                matches!(
                    reply,
                    ProviderReply::Busy {
                        retry_after: Some(_),
                        ..
                    }
                ),
                "{reply:?}"
            );
        }
    }
    let warning = read(
        &dialect,
        ExchangeKind::Login,
        429,
        r#"{"detail": "Slow down or your account may be suspended."}"#,
    );
    assert!(matches!(warning, ProviderReply::Busy { .. }), "{warning:?}");
}

#[test]
fn a_suspended_account_is_left_alone() {
    let dialect = builtin("firebase-accounts");
    for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
        let reply = read(
            &dialect,
            kind,
            400,
            r#"{"error": {"message": "USER_DISABLED"}}"#,
        );
        assert!(
            matches!(reply, ProviderReply::CredentialRejected(_)),
            "{reply:?}"
        );
        let reply = read(
            &dialect,
            kind,
            403,
            r#"{"detail": "This account has been suspended."}"#,
        );
        assert!(
            matches!(reply, ProviderReply::CredentialRejected(_)),
            "{reply:?}"
        );
    }
}

#[test]
fn its_pacing_is_the_strictest_and_says_why() {
    let catalog = Catalog::builtin();
    let strict = catalog.find("firebase-accounts").unwrap();
    assert!(strict.show().contains("account suspension"));
    let pacing = strict.pacing();
    assert!(
        pacing.attempts.period >= Duration::from_secs(180)
            && pacing.logins.period >= Duration::from_secs(1800)
    );
    for (dialect, _) in catalog.iter() {
        let other = dialect.pacing();
        assert!(
            dialect.show().contains("Pacing:"),
            "{} says why",
            dialect.name()
        );
        for (strict, other) in [
            (pacing.attempts, other.attempts),
            (pacing.logins, other.logins),
            (pacing.host, other.host),
        ] {
            assert!(
                strict.burst <= other.burst && strict.period >= other.period,
                "{}",
                dialect.name()
            );
        }
        assert!(pacing.host_in_flight <= other.host_in_flight);
    }
}
