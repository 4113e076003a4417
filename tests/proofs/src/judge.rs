//! What the provider must never have seen.
//!
//! Pure: compares the provider's log with what was known of the store, life by life. Each rule is one promise.

use std::time::Duration;

use tokend_provider_simulator::{
    log::{Entry, Excerpt, Violation},
    spec::{Api, Endpoint},
};

/// Arrivals are noted in whole milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);

/// A limit as configured: `burst` at once, and one more every `period`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) burst: usize,
    pub(super) period: Duration,
}

/// The attempt that dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A refresh whose refresh token lives; for client credentials, which have none, a login.
    Rotation,
    /// The first login of a new account.
    FirstLogin,
    /// A refresh that the provider refuses, and the login after it.
    LoginAgain,
}

/// What the provider had counted at a given time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) logins: usize,
    pub(super) requests: usize,
}

/// One life of the daemon: how it began, and what was known when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// It found an attempt in doubt; unknown for a daemon that died before it served.
    pub(super) doubt: Option<bool>,
    /// It found a token that its API accepts.
    pub(super) fresh: bool,
    /// The store's files were byte for byte the same at its end as before its attempt.
    pub(super) untouched: bool,
    /// A client received a token that the API accepts.
    pub(super) answered: bool,
    /// Counted once nothing of it was in flight any more.
    pub(super) seen: Seen,
}

/// What is known after all deaths, and the account's next answers.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) api: Api,
    pub(super) attempt: Attempt,
    pub(super) log: &'a Excerpt,
    pub(super) violations: &'a [Violation],
    /// Before the attempt of the first life.
    pub(super) brink: Seen,
    /// All lives in order; the last was not killed.
    pub(super) lives: &'a [Life],
    /// The refresh token kept working without a further login.
    pub(super) goes_on: bool,
    pub(super) attempts: Pace,
    pub(super) logins: Pace,
}

/// The result of one death, or of several in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Broken promises, in words.
    pub broken: Vec<String>,
    /// One login more than a daemon that never dies would have needed: the intent was durable, the outcome was not, and nothing tells the
    /// next daemon what became of the request. This is the unavoidable window.
    pub in_the_window: bool,
}

/// Judges the events after the deaths.
pub(super) fn judge(evidence: &Evidence<'_>) -> Findings {
    let Evidence { api, log, .. } = *evidence;
    let mut broken = Vec::new();
    for violation in evidence.violations {
        broken.push(format!("the provider complains: {violation:?}"));
    }
    let (mut before, mut previous) = (evidence.brink, None);
    for (life, number) in evidence.lives.iter().zip(1usize..) {
        let promises = each_life(evidence, previous, life, before);
        broken.extend(
            promises
                .into_iter()
                .map(|promise| format!("life {number}: {promise}")),
        );
        (before, previous) = (life.seen, Some(life));
    }
    if rotates(api) {
        for (serial, times) in log.refreshes_by_serial() {
            if times != 1 {
                broken.push(format!(
                    "refresh token {serial} was presented {times} times"
                ));
            }
        }
    }
    if !evidence.goes_on {
        broken.push("the account does not go on by itself afterwards".to_owned());
    }
    for (what, pace, counted) in [
        (
            "attempts",
            evidence.attempts,
            arrivals(log, Entry::is_token_request),
        ),
        (
            "logins",
            evidence.logins,
            arrivals(log, |entry| entry.endpoint == Endpoint::Login),
        ),
    ] {
        if let Some(excess) = excess(&counted, pace) {
            broken.push(format!("more {what} than the rate limit allows: {excess}"));
        }
    }
    let further = log.logins().saturating_sub(evidence.brink.logins);
    let in_the_window = match (api, evidence.attempt) {
        (Api::ClientCredentials, _) => false,
        (_, Attempt::Rotation) => further > 0 && log.refreshes_with(1) == 0,
        (_, Attempt::FirstLogin | Attempt::LoginAgain) => further > 1,
    };
    Findings {
        broken,
        in_the_window,
    }
}

/// Whether the reuse of a refresh token may cost something.
fn rotates(api: Api) -> bool {
    matches!(api, Api::AdVerification | Api::JwtApi | Api::Oauth2)
}

/// The promises that one life broke.
fn each_life(
    evidence: &Evidence<'_>,
    previous: Option<&Life>,
    life: &Life,
    before: Seen,
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut demand = |kept: bool, promise: &str| {
        if !kept {
            broken.push(promise.to_owned());
        }
    };
    let requests = life.seen.requests.saturating_sub(before.requests);
    let logins = life.seen.logins.saturating_sub(before.logins);
    let doubt = life.doubt == Some(true);
    // Nothing is sent before its intent and its debit are durable.
    demand(
        !life.untouched || requests == 0,
        "a request left before its intent was durable",
    );
    demand(
        life.doubt.is_some() || requests == 0,
        "a request left although nobody was served yet",
    );
    if let Some(previous) = previous {
        demand(
            !(previous.untouched && previous.doubt == Some(false) && doubt),
            "the daemon doubts an attempt that its store knows nothing of",
        );
        demand(
            !(previous.answered && doubt),
            "a token was handed out before it was durable",
        );
    }
    if evidence.api == Api::ClientCredentials {
        // A login is its only way to a token; the rate limit bounds it.
        return broken;
    }
    demand(logins <= 1, "more than one login");
    let reason = match (evidence.attempt, previous) {
        // Reuse costs nothing there, so nothing calls for a login.
        (Attempt::Rotation, _) if !rotates(evidence.api) => false,
        // Nothing is in doubt in the first life.
        (Attempt::Rotation, None) => false,
        (Attempt::Rotation, Some(_)) => doubt,
        (Attempt::FirstLogin | Attempt::LoginAgain, None) => true,
        (Attempt::FirstLogin | Attempt::LoginAgain, Some(previous)) => {
            !previous.answered && !life.fresh
        }
    };
    demand(
        reason || logins == 0,
        "a login although nothing was in doubt and a credential or token was held",
    );
    broken
}

/// The arrival times, in milliseconds, of the requests that `wanted` selects.
pub(super) fn arrivals(log: &Excerpt, wanted: impl Fn(&Entry) -> bool) -> Vec<u64> {
    let wanted = log.0.iter().filter(|entry| wanted(entry));
    wanted.map(|entry| entry.at_ms).collect()
}

/// A window with more arrivals than the rate limit allows, in words; every window is checked.
pub(super) fn excess(arrivals: &[u64], pace: Pace) -> Option<String> {
    let period = pace.period.as_millis().max(1);
    arrivals.iter().enumerate().find_map(|(begin, first)| {
        arrivals
            .get(begin..)?
            .iter()
            .zip(1usize..)
            .find_map(|(last, count)| {
                let window = last.saturating_sub(*first);
                let refilled = (u128::from(window) + ROUNDING.as_millis()) / period;
                let allowed = pace
                    .burst
                    .saturating_add(usize::try_from(refilled).unwrap_or(usize::MAX));
                (count > allowed).then(|| {
                    format!("{count} in {window} ms, {allowed} allowed; arrivals at {arrivals:?}")
                })
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokend_provider_simulator::log::{Presented, Standing};

    const PACE: Pace = Pace {
        burst: 2,
        period: Duration::from_secs(1),
    };
    const DIED: Life = Life {
        doubt: Some(false),
        fresh: false,
        untouched: false,
        answered: false,
        seen: Seen {
            logins: 1,
            requests: 2,
        },
    };

    #[test]
    fn every_window_is_looked_at() {
        assert_eq!(excess(&[], PACE), None);
        assert_eq!(excess(&[5, 5, 1005, 2005], PACE), None);
        assert!(excess(&[5, 5, 1000], PACE).is_some(), "too early by 5 ms");
        assert!(excess(&[0, 9000, 9001, 9002], PACE).is_some());
    }

    fn request(at_ms: u64, refresh_with: Option<u64>) -> Entry {
        let presented = refresh_with.map(|serial| Presented {
            serial: Some(serial),
            standing: Standing::Current,
        });
        Entry {
            sequence: 0,
            at_ms,
            took_ms: Some(1),
            account: Some("it".to_owned()),
            api: Api::JwtApi,
            endpoint: match presented {
                Some(_) => Endpoint::Refresh,
                None => Endpoint::Login,
            },
            method: "POST".to_owned(),
            path: "/".to_owned(),
            presented,
            fault: None,
            processed: true,
            issued: None,
            status: Some(200),
            abandoned: false,
        }
    }

    /// The first life saw the first `seen` requests, the last life all others.
    fn judged(
        (api, attempt): (Api, Attempt),
        entries: &[Entry],
        seen: usize,
        change: impl FnOnce(&mut [Life; 2]),
    ) -> Findings {
        let log = Excerpt(entries.to_vec());
        let count = |entries: &[Entry]| {
            let log = Excerpt(entries.to_vec());
            Seen {
                logins: log.logins(),
                requests: log.token_requests(),
            }
        };
        let mut lives = [DIED; 2];
        lives[0].seen = count(&entries[..seen]);
        lives[1].seen = count(entries);
        change(&mut lives);
        judge(&Evidence {
            api,
            attempt,
            log: &log,
            violations: &[],
            brink: match attempt {
                Attempt::Rotation | Attempt::LoginAgain => count(&entries[..1]),
                Attempt::FirstLogin => Seen::default(),
            },
            lives: &lives,
            goes_on: true,
            attempts: PACE,
            logins: PACE,
        })
    }

    const JWT: (Api, Attempt) = (Api::JwtApi, Attempt::Rotation);

    #[test]
    fn a_rotation_that_is_made_up_for_is_fine() {
        let log = [
            request(0, None),
            request(9, Some(1)),
            request(2000, Some(2)),
        ];
        assert_eq!(judged(JWT, &log, 2, |_| {}), Findings::default());
    }

    #[test]
    fn a_login_needs_a_doubt_and_a_refresh_token_comes_once() {
        let logins = [request(0, None), request(2000, None)];
        let without = judged(JWT, &logins, 1, |_| {});
        assert_eq!(without.broken.len(), 1, "{without:?}");
        let doubted = judged(JWT, &logins, 1, |it| it[1].doubt = Some(true));
        assert_eq!((doubted.broken.len(), doubted.in_the_window), (0, true));
        let firebase = (Api::FirebaseAccounts, Attempt::Rotation);
        let harmless = judged(firebase, &logins, 1, |it| it[1].doubt = Some(true));
        assert_eq!(harmless.broken.len(), 1, "{harmless:?}");
        let at_once = judged(JWT, &logins, 2, |_| {});
        assert_eq!(at_once.broken.len(), 1, "{at_once:?}");
        let twice = [
            request(0, None),
            request(9, Some(1)),
            request(2000, Some(1)),
        ];
        let oauth = (Api::Oauth2, Attempt::Rotation);
        assert_eq!(judged(oauth, &twice, 2, |_| {}).broken.len(), 1);
        assert_eq!(judged(firebase, &twice, 2, |_| {}).broken, [""; 0]);
    }

    #[test]
    fn a_login_is_not_made_again_once_its_token_was_had() {
        let logins = [request(0, None), request(2000, None)];
        let first = (Api::JwtApi, Attempt::FirstLogin);
        let lost = judged(first, &logins, 1, |_| {});
        assert_eq!((lost.broken.len(), lost.in_the_window), (0, true));
        let answered = judged(first, &logins, 1, |it| it[0].answered = true);
        assert_eq!(answered.broken.len(), 1, "{answered:?}");
        let held = judged(first, &logins, 1, |it| it[1].fresh = true);
        assert_eq!(held.broken.len(), 1, "{held:?}");
        let many = [request(0, None), request(2000, None), request(4000, None)];
        assert_eq!(judged(first, &many, 1, |_| {}).broken.len(), 1);
    }

    #[test]
    fn nothing_leaves_before_the_store_knows() {
        let log = [request(0, None), request(9, Some(1))];
        let early = judged(JWT, &log, 2, |it| it[0].untouched = true);
        assert_eq!(early.broken.len(), 1, "{early:?}");
        let unserved = judged(JWT, &log, 2, |it| it[0].doubt = None);
        assert_eq!(unserved.broken.len(), 1, "{unserved:?}");
        let invented = judged(JWT, &log, 1, |it| {
            (it[0].untouched, it[1].doubt) = (true, Some(true))
        });
        assert_eq!(invented.broken.len(), 1, "{invented:?}");
        let early = judged(JWT, &log, 2, |it| {
            (it[0].answered, it[1].doubt) = (true, Some(true))
        });
        assert_eq!(early.broken.len(), 1, "{early:?}");
    }

    #[test]
    fn an_account_that_does_not_go_on_is_told() {
        let log = Excerpt::default();
        let lost = judge(&Evidence {
            api: Api::JwtApi,
            attempt: Attempt::Rotation,
            log: &log,
            violations: &[],
            brink: Seen::default(),
            lives: &[],
            goes_on: false,
            attempts: PACE,
            logins: PACE,
        });
        assert_eq!(lost.broken.len(), 1, "{lost:?}");
    }
}
