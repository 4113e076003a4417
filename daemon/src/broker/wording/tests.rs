//! Every sentence for people, written out to be read.

mod refused;

use super::*;
use crate::testing::Site;
use tokend_process::clock::testing::FakeClock;
use tokend_upstream::secrets::{FileError, SecretError};

const ACCOUNT: &str = "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"https://ads.example.com\"\nusername = \"u\"\nclient_id = \"c\"\n";
const WITH_FILE: &str = "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"https://ads.example.com\"\nusername = \"u\"\nclient_id = \"c\"\npassword = { file = \"pw\" }\n";

fn worded(
    site: &str,
    why: impl FnOnce(Timestamp) -> Why,
    said: Option<&str>,
) -> (FaultCode, String) {
    let account = Site::new(site).account();
    let (clock, _hands) = FakeClock::start(1_790_000_000_000, 0, "a");
    let notes = Notes {
        message: said.map(Into::into),
        ..Notes::default()
    };
    let fault = FaultText {
        account: &account,
        notes: &notes,
        clock: &clock,
        withheld: None,
        blocked: true,
    }
    .tell(why(clock.steady()));
    let retry = fault
        .retry_after_ms
        .map_or_else(String::new, |ms| format!(" [{ms} ms]"));
    (
        fault.code,
        format!(
            "{}{retry}\n  {}",
            fault.message,
            fault.advice.expect("every fault says what to do")
        ),
    )
}

fn failed(problem: Problem) -> impl FnOnce(Timestamp) -> Why {
    move |now| Why::Failed {
        problem,
        retry: now.after(Duration::from_secs(5)),
    }
}

fn login(missing: Missing) -> impl FnOnce(Timestamp) -> Why {
    move |_| Why::LoginRequired(missing)
}

#[test]
fn what_the_machine_is_short_of_is_no_mistake_of_the_configuration() {
    let source = std::io::Error::from_raw_os_error(24);
    let error = tokend_upstream::PrepareError::Secret {
        account: "ads".into(),
        field: "password".into(),
        source: SecretError::File {
            path: "pw".into(),
            why: FileError::Unreadable(source),
        },
    };
    assert!(error.is_shortage());
    let text = error.to_string();
    assert!(
        text.contains("Too many open files") && text.contains("LimitNOFILE="),
        "{text}"
    );
    let site = Site::new(
        "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\n",
    );
    let notes = Notes {
        message: Some(text.into()),
        was_short: true,
        ..Notes::default()
    };
    let clock = Clock::system();
    let account = site.account();
    let fault_text = FaultText {
        account: &account,
        notes: &notes,
        clock: &clock,
        withheld: None,
        blocked: false,
    };
    let retry = clock.steady();
    let fault = fault_text.tell(Why::Failed {
        problem: Problem::Unprepared,
        retry,
    });
    assert_eq!(fault.code, FaultCode::TooBusy, "{fault:?}");
}

#[test]
fn a_token_that_may_have_been_ended_is_told_with_whatever_keeps_another_one_away() {
    let account = Site::new(ACCOUNT).account();
    let (clock, _hands) = FakeClock::start(1_790_000_000_000, 0, "a");
    let (notes, retry) = (Notes::default(), clock.steady());
    let fault_text = |withheld| FaultText {
        account: &account,
        notes: &notes,
        clock: &clock,
        withheld,
        blocked: false,
    };
    let problem = Problem::InDoubt;
    for why in [
        Why::Failed { problem, retry },
        Why::LoginRequired(Missing::InDoubt),
        Why::TimedOut,
    ] {
        let said = fault_text(Some(Withheld::PerhapsEnded)).tell(why).message;
        let ending = "; the token held before is not handed out, since a refresh may have ended it";
        assert!(said.ends_with(ending), "{said}");
        for other in [None, Some(Withheld::AskedOtherwise)] {
            assert!(!fault_text(other).tell(why).message.ends_with(ending));
        }
    }
}

#[test]
fn login_required_says_what_is_missing_and_how_to_give_it() {
    let said = Some("status 401: bad password");
    assert_eq!(
        worded(ACCOUNT, login(Missing::CredentialRejected), said),
        (
            FaultCode::LoginRequired,
            "the provider refuses the credential of account ads (status 401: bad password)\n  \
         run `tokenctl login ads` and enter its password or a refresh token (`--refresh-token`)"
                .into()
        )
    );
    assert_eq!(worded(WITH_FILE, login(Missing::CredentialRejected), None), (FaultCode::LoginRequired,
        "the provider refuses the credential of account ads\n  \
         correct the password that [account.ads] refers to, then run `tokenctl reload`; it is not tried again until then".into()));
    assert_eq!(
        worded(ACCOUNT, login(Missing::NoCredential), None),
        (
            FaultCode::LoginRequired,
            "account ads has no credential to log in with\n  \
         run `tokenctl login ads` and enter its password or a refresh token (`--refresh-token`)"
                .into()
        )
    );
    assert_eq!(worded(ACCOUNT, login(Missing::InDoubt), None), (FaultCode::LoginRequired,
        "account ads has only a refresh token that may be spent: an answer was lost, and presenting it again could revoke everything\n  \
         run `tokenctl login ads` and enter its password or a refresh token (`--refresh-token`)".into()));
    assert_eq!(worded(ACCOUNT, login(Missing::RefreshRejected), Some("status 400")), (FaultCode::LoginRequired,
        "the refresh token of account ads was refused and there is nothing to log in with (status 400)\n  \
         run `tokenctl login ads` and enter its password or a refresh token (`--refresh-token`)".into()));
}

#[test]
fn logins_that_nobody_understood_end_with_how_to_try_the_same_credential_again() {
    for site in [ACCOUNT, WITH_FILE] {
        let (code, text) = worded(site, login(Missing::Unrecognised), Some("status 404"));
        assert_eq!(code, FaultCode::LoginRequired);
        assert!(
            text.starts_with("three logins of account ads in a row were answered"),
            "{text}"
        );
        assert!(
            text.contains("if it is right, `tokenctl refresh ads` tries it once more")
                && text.contains("may be wrong")
                && !text.contains("no credential was refused"),
            "{text}"
        );
    }
}

#[test]
fn logins_without_an_answer_end_with_the_word_that_the_password_may_be_wrong() {
    for (site, advice) in [
        (
            ACCOUNT,
            "if the credential may be wrong, run `tokenctl login ads` and enter its password",
        ),
        (
            WITH_FILE,
            "if the password that [account.ads] refers to may be wrong, correct it",
        ),
    ] {
        let (code, text) = worded(site, login(Missing::NoAnswer), None);
        assert_eq!(code, FaultCode::LoginRequired);
        assert!(
            text.contains("when the password is wrong") && text.contains(advice),
            "{text}"
        );
        assert!(
            text.ends_with("`tokenctl refresh ads` tries it once more"),
            "{text}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn failures_say_what_happened_when_to_come_back_and_what_helps() {
    for (problem, said, code, text) in [
        (
            Problem::Unprepared,
            Some("cannot read the password of account ads: file pw: no such file"),
            FaultCode::Misconfigured,
            "cannot read the password of account ads: file pw: no such file [5000 ms]\n  \
             correct it, then run `tokenctl reload` or `tokenctl refresh ads`; nothing was sent",
        ),
        (
            Problem::Unreachable,
            Some("connection refused"),
            FaultCode::ProviderUnreachable,
            "account ads: the provider was not reached (connection refused) [5000 ms]\n  \
             check that https://ads.example.com is right and reachable from this machine; the next request tries again",
        ),
        (
            Problem::Busy,
            Some("status 429"),
            FaultCode::ProviderBusy,
            "account ads: the provider is busy (status 429) [5000 ms]\n  wait: the provider asked for a pause",
        ),
        (
            Problem::Misbehaved,
            Some("status 200: no access token"),
            FaultCode::ProviderMisbehaved,
            "account ads: the provider's answer makes no sense (status 200: no access token) [5000 ms]\n  \
             check the provider's own status page; `tokenctl status ads` shows the last attempt",
        ),
        (
            Problem::Unrecognised,
            Some("status 403: an HTML page, \"Attention Required!\""),
            FaultCode::ProviderMisbehaved,
            "account ads: something in front of the provider answered, or the provider in words that its dialect does not know \
             (status 403: an HTML page, \"Attention Required!\") [5000 ms]\n  \
             no credential was refused: the same one is tried again after the wait, or at once with `tokenctl refresh ads`; check what is \
             between this machine and https://ads.example.com (proxy, firewall, gateway, base_url and path); if the answer is the provider's \
             own, give dialect oauth2 a rule for it (tokend-dialect(5))",
        ),
        (
            Problem::InDoubt,
            None,
            FaultCode::InDoubt,
            "account ads: the outcome of the last attempt is not known [5000 ms]\n  \
             nothing to do: after the wait the daemon continues in the way that is safe at this provider; after three logins in a row without an \
             answer it stops, since the password may be wrong",
        ),
        (
            Problem::RefreshRejected,
            None,
            FaultCode::Paced,
            "account ads: the refresh token was refused [5000 ms]\n  a login follows as soon as the rate limit allows",
        ),
        (
            Problem::BornExpired,
            None,
            FaultCode::ProviderMisbehaved,
            "account ads: the token came with no lifetime left [5000 ms]\n  compare the provider's clock and the lifetime its dialect reads",
        ),
    ] {
        assert_eq!(
            worded(ACCOUNT, failed(problem), said),
            (code, text.to_owned())
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn everything_else_says_what_to_do_too() {
    let paced = |by, problem| {
        move |now: Timestamp| Why::Paced {
            retry: now.after(Duration::from_secs(60)),
            by,
            problem,
        }
    };
    let wait = "wait (`tokenctl get ads --wait DURATION` does it for you); `tokenctl status ads` shows the rate limit, and [account.ads.pacing] sets it, if the provider allows more";
    assert_eq!(
        worded(ACCOUNT, paced(Pace::Attempts, None), None),
        (
            FaultCode::Paced,
            format!(
                "the rate limit of token requests for account ads is reached [60000 ms]\n  {wait}"
            )
        )
    );
    let (code, text) = worded(ACCOUNT, paced(Pace::Host(AttemptKind::Login), None), None);
    assert_eq!(code, FaultCode::Paced);
    assert!(
        text.contains("the rate limit of http")
            && text.contains(
                ", which all accounts there share, account ads too, is reached [60000 ms]"
            ),
        "{text}"
    );
    assert_eq!(
        worded(
            ACCOUNT,
            paced(Pace::Logins, Some(Problem::Busy)),
            Some("status 503")
        ),
        (
            FaultCode::Paced,
            format!(
                "the rate limit of logins for account ads is reached; the last one failed: the provider is busy (status 503) [60000 ms]\n  {wait}"
            )
        )
    );
    assert_eq!(worded(ACCOUNT, |_| Why::Misconfigured, Some("status 400 (invalid_scope)")), (FaultCode::Misconfigured,
        "the provider of account ads calls the request wrong (status 400 (invalid_scope))\n  \
         check [account.ads] and dialect oauth2 (built in: to change it, write one that extends it) against the provider's documentation, then \
         run `tokenctl reload`, or `tokenctl refresh ads` to try again unchanged".into()));
    assert_eq!(worded(ACCOUNT, |_| Why::Unattainable { lifetime: Duration::from_secs(2_700) }, None), (FaultCode::ValidityUnattainable,
        "tokens of account ads live only 45 min, which is less than the validity that was requested\n  \
         ask with a `--min-validity` of at most nine tenths of that lifetime".into()));
    assert_eq!(
        worded(ACCOUNT, |_| Why::TimedOut, None),
        (
            FaultCode::Timeout,
            "no token for account ads within the time given [1000 ms]\n  \
         the daemon continues the attempt: ask again, or with a longer `--timeout`"
                .into()
        )
    );
    assert_eq!(
        worded(ACCOUNT, |_| Why::Draining, None),
        (
            FaultCode::Draining,
            "the daemon is stopping [1000 ms]\n  try again once it is back".into()
        )
    );
    assert_eq!(
        worded(ACCOUNT, |now| Why::StoreUnavailable { retry: now }, None),
        (
            FaultCode::StoreUnavailable,
            "the store cannot be written, so no request is sent for account ads [1 ms]\n  \
         check the daemon's log for the reason: a full disk, a read-only file system, a disk error"
                .into()
        )
    );
    assert_eq!(
        worded(ACCOUNT, |_| Why::Gone, None),
        (
            FaultCode::UnknownAccount,
            "account ads is no longer configured\n  `tokenctl list` shows the accounts you may use"
                .into()
        )
    );
}

#[test]
fn durations_are_told_by_their_two_largest_units() {
    for (ms, text) in [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (90_000, "1 min 30 s"),
        (3_600_000, "1 h"),
        (90_061_000, "1 d 1 h"),
    ] {
        assert_eq!(duration(Duration::from_millis(ms)), text);
    }
}

#[test]
fn the_host_is_named_that_is_asked_and_not_the_one_of_base_url() {
    let site = Site::new(
        "dialect_dir = \"dialects\"\n[account.ads]\nprovider = \"elsewhere\"\nbase_url = \"https://here.example.com/api\"\nusername = \"u\"\nclient_id = \"c\"\n",
    );
    site.dialect(
        "elsewhere",
        "extends = \"oauth2\"\nsummary = \"two hosts\"\n[refresh]\npath = \"https://there.example.com/token\"\n",
    );
    let account = site.account();
    let (clock, _hands) = FakeClock::start(1_790_000_000_000, 0, "a");
    let retry = clock.steady();
    for (kind, stored, login, asked, host) in [
        (
            AttemptKind::Login,
            tokend_store::StoredAttemptKind::Login,
            true,
            "https://here.example.com/api ",
            "https://here.example.com,",
        ),
        (
            AttemptKind::Refresh,
            tokend_store::StoredAttemptKind::Refresh,
            false,
            "https://there.example.com ",
            "https://there.example.com,",
        ),
    ] {
        let notes = Notes {
            last_attempt: Some(tokend_store::StoredAttempt {
                id: 1,
                kind: stored,
                at: 0,
                duration_ms: 0,
                outcome: String::new(),
            }),
            ..Notes::default()
        };
        let fault_text = FaultText {
            account: &account,
            notes: &notes,
            clock: &clock,
            withheld: None,
            blocked: false,
        };
        let problem = Problem::Unreachable;
        let advice = fault_text.tell(Why::Failed { problem, retry }).advice;
        assert!(
            advice.as_deref().unwrap().contains(asked),
            "{login} {advice:?}"
        );
        let by = Pace::Host(kind);
        let problem = None;
        let message = fault_text.tell(Why::Paced { retry, by, problem }).message;
        assert!(message.contains(host), "{message}");
    }
}
