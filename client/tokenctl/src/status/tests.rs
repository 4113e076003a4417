//! The three shapes, compared as people, scripts and programs see them.

use jiff::Timestamp;
use tokend_client::{
    AccountState, AccountStatus, AttemptKind, Fault, FaultCode, LastAttempt, PaceStatus,
};

use super::*;

const NOW: i64 = 1_700_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

pub(super) fn valid() -> AccountStatus {
    let pace = PaceStatus {
        left: 3,
        burst: 5,
        period_ms: 60_000,
        next_at_ms: 0,
    };
    AccountStatus {
        account: "ads".parse().unwrap(),
        dialect: "ad-verification".into(),
        base_url: "https://ads.example.com".into(),
        state: AccountState::Valid,
        has_token: true,
        expires_at_ms: Some(1_700_002_530_000),
        remaining_ms: Some(2_530_999),
        lifetime_ms: Some(3_600_000),
        has_refresh_token: true,
        unpersisted: false,
        attempts: pace,
        logins: PaceStatus {
            left: 1,
            burst: 1,
            period_ms: 600_000,
            ..pace
        },
        next_attempt_at_ms: Some(1_700_001_800_000),
        last_attempt: Some(LastAttempt {
            kind: AttemptKind::Refresh,
            at_ms: 1_699_999_700_000,
            duration_ms: 120,
            outcome: "granted".into(),
        }),
        problem: None,
        waiters: 0,
    }
}

fn paced() -> AccountStatus {
    let advice = "wait for it, or ask less often; the provider suspends accounts that generate tokens too often";
    AccountStatus {
        account: "a-longer-name".parse().unwrap(),
        state: AccountState::Paced,
        has_token: false,
        expires_at_ms: None,
        remaining_ms: None,
        lifetime_ms: None,
        has_refresh_token: false,
        unpersisted: true,
        attempts: PaceStatus {
            left: 0,
            burst: 5,
            period_ms: 60_000,
            next_at_ms: 1_700_000_042_000,
        },
        next_attempt_at_ms: None,
        last_attempt: None,
        problem: Some(
            Fault::new(
                FaultCode::Paced,
                "the rate limit allows no attempt now\u{1b}[2J",
            )
            .advise(advice)
            .retry_after(42_000),
        ),
        waiters: 2,
        ..valid()
    }
}

#[test]
fn the_table_is_aligned_and_wraps_advice_under_its_line() {
    let expected = "\
ACCOUNT        STATE  EXPIRES IN   ATTEMPTS LEFT  NEXT ATTEMPT        PROBLEM
ads            valid  42 min 10 s  3 of 5         in 30 min           -
a-longer-name  paced  -            0 of 5         not before in 42 s  paced
    the rate limit allows no attempt now [2J
    wait for it, or ask less often; the provider
    suspends accounts that generate tokens too often
";
    assert_eq!(table(&[valid(), paced()], now(), 54), expected);
}

#[test]
fn the_details_show_everything() {
    let shown = detail(&valid(), None, now(), 200);
    for expected in [
        "account        ads\n",
        "provider       https://ads.example.com, in the dialect ad-verification\n",
        "access token   expires in 42 min 10 s (at ",
        ", of a lifetime of 1 h\n",
        "refresh token  held\n",
        "stored         yes\n",
        "attempts       3 of 5 left, one more every 1 min; allowed now\n",
        "logins         1 of 1 left, one more every 10 min; allowed now\n",
        "next attempt   in 30 min (",
        "last attempt   refresh 5 min ago, took 120 ms: granted\n",
        "waiting        nobody\n",
    ] {
        assert!(
            shown.contains(expected),
            "{expected:?} is missing in\n{shown}"
        );
    }
    assert!(!shown.contains("problem"));
}

#[test]
fn the_details_of_a_troubled_account_say_what_to_do() {
    let shown = detail(&paced(), None, now(), 60);
    for expected in [
        "access token   none\n",
        "refresh token  none\n",
        "stored         no: the newest credential is in memory only,\n               because the store refused it\n",
        "attempts       0 of 5 left, one more every 1 min; allowed in\n",
        "next attempt   when somebody asks\n",
        "last attempt   none yet\n",
        "waiting        2 requests\n",
        "problem        the rate limit allows no attempt now [2J\n               (paced)\n",
        "advice         wait for it, or ask less often; the provider\n               suspends ",
        "try again      in 42 s (",
    ] {
        assert!(
            shown.contains(expected),
            "{expected:?} is missing in\n{shown}"
        );
    }
    assert!(
        !shown.contains('\u{1b}'),
        "a provider's words cannot move the cursor"
    );
}

#[test]
fn a_token_without_an_end_or_past_it_is_told_as_such() {
    let endless = AccountStatus {
        remaining_ms: None,
        expires_at_ms: None,
        ..valid()
    };
    assert!(
        detail(&endless, None, now(), 200)
            .contains("held; the provider does not say how long it lives")
    );
    assert!(table(&[endless], now(), 80).contains("unknown"));
    let expired = AccountStatus {
        remaining_ms: Some(0),
        ..valid()
    };
    assert!(detail(&expired, None, now(), 200).contains("expired, of a lifetime of 1 h"));
    assert!(table(&[expired], now(), 80).contains("expired"));
    let absolute = AccountStatus {
        remaining_ms: None,
        ..valid()
    };
    assert!(detail(&absolute, None, now(), 200).contains("expires in 42 min 10 s ("));
}

#[test]
fn scripts_get_eight_columns() {
    let shown = lines(&[valid(), paced()]);
    let expected = "ads\tvalid\t2530\t2023-11-14T22:55:30Z\t3\t1\t2023-11-14T22:43:20Z\t-\n\
        a-longer-name\tpaced\t-\t-\t0\t1\t-\tpaced\n";
    assert_eq!(shown, expected);
}

#[test]
fn programs_get_objects() {
    let shown = serde_json::to_value(json(&[paced()], &[], None)).unwrap();
    let expected = serde_json::json!([{
        "account": "a-longer-name",
        "dialect": "ad-verification",
        "base_url": "https://ads.example.com",
        "state": "paced",
        "has_token": false,
        "expires_at": null,
        "expires_in": null,
        "lifetime_ms": null,
        "has_refresh_token": false,
        "unpersisted": true,
        "attempts": { "left": 0, "burst": 5, "period_ms": 60_000, "next_at": "2023-11-14T22:14:02Z" },
        "logins": { "left": 1, "burst": 1, "period_ms": 600_000, "next_at": "1970-01-01T00:00:00Z" },
        "next_attempt_at": null,
        "last_attempt": null,
        "problem": {
            "code": "paced",
            "message": "the rate limit allows no attempt now\u{1b}[2J",
            "advice": "wait for it, or ask less often; the provider suspends accounts that generate tokens too often",
            "retry_after_ms": 42_000,
        },
        "waiters": 2,
        "sinks": [],
    }]);
    assert_eq!(shown, expected);
    let shown = serde_json::to_value(json(&[valid()], &[], None)).unwrap();
    assert_eq!(shown[0]["expires_in"], 2530);
    assert_eq!(shown[0]["expires_at"], "2023-11-14T22:55:30Z");
    assert_eq!(
        shown[0]["last_attempt"],
        serde_json::json!({
            "kind": "refresh", "at": "2023-11-14T22:08:20Z", "duration_ms": 120, "outcome": "granted",
        })
    );
}

#[test]
fn what_a_newer_daemon_says_is_shown_by_its_number_and_in_its_words() {
    let mut newer = paced();
    newer.state = AccountState::from_number(40);
    newer.problem =
        Some(Fault::new(FaultCode::from_number(41), "the quota is spent").advise("buy more"));
    newer.last_attempt = valid().last_attempt.map(|last| LastAttempt {
        kind: AttemptKind::from_number(42),
        ..last
    });
    let row = lines(&[newer.clone()]);
    assert!(row.starts_with("a-longer-name\tother-40\t"), "{row}");
    assert!(row.ends_with("\tother-41\n"), "{row}");
    let object = serde_json::to_value(json(&[newer.clone()], &[], None)).unwrap();
    assert_eq!(object[0]["state"], "other-40");
    assert_eq!(object[0]["last_attempt"]["kind"], "other-42");
    assert_eq!(object[0]["problem"]["code"], "other-41");
    assert_eq!(object[0]["problem"]["advice"], "buy more");
    for shown in [
        table(&[newer.clone()], now(), 80),
        detail(&newer, None, now(), 80),
    ] {
        for expected in ["other-40", "other-41", "the quota is spent", "buy more"] {
            assert!(
                shown.contains(expected),
                "{expected:?} is missing in\n{shown}"
            );
        }
    }
}
