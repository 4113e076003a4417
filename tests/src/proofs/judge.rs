//! What the provider must not have seen.
//!
//! Pure: judges the provider's books against what was known of the store. Each rule is one promise.

use std::time::Duration;

use crate::simulator::{
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

/// What is known after a death, a restart, and the account's next answers.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) api: Api,
    pub(super) log: &'a Excerpt,
    pub(super) violations: &'a [Violation],
    /// The store's file was byte for byte as before the attempt.
    pub(super) untouched: bool,
    /// The restarted daemon found an attempt in doubt.
    pub(super) doubt: bool,
    /// Token requests the provider had seen when the daemon was dead.
    pub(super) seen: usize,
    /// The refresh token went on working without a further login.
    pub(super) goes_on: bool,
    pub(super) attempts: Pace,
    pub(super) logins: Pace,
}

/// What came of one death.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Promises broken, in words.
    pub broken: Vec<String>,
    /// A login although the refresh token lived: the intent was durable, the request had not arrived, and nothing can tell the
    /// daemon so. The unavoidable window.
    pub in_the_window: bool,
}

/// Judges one death and what followed.
pub(super) fn judge(evidence: &Evidence<'_>) -> Findings {
    let Evidence { api, log, .. } = *evidence;
    let mut broken = Vec::new();
    let mut demand = |kept: bool, promise: String| {
        if !kept {
            broken.push(promise);
        }
    };
    for violation in evidence.violations {
        demand(false, format!("the provider complains: {violation:?}"));
    }
    // Nothing is sent before its intent and its debit are durable.
    demand(
        !evidence.untouched || evidence.seen <= 1,
        "a request left before its intent was durable".to_owned(),
    );
    demand(
        !(evidence.untouched && evidence.doubt),
        "the daemon doubts an attempt that its store knows nothing of".to_owned(),
    );
    let further = log.logins().saturating_sub(1);
    let first_arrived = log.refreshes_with(1) > 0;
    match api {
        // Logging in again is the only way it has.
        Api::ClientCredentials => {}
        // Reuse costs nothing there, so nothing calls for a login.
        Api::FirebaseAccounts => demand(further == 0, format!("{further} logins for nothing")),
        Api::AdVerification | Api::JwtApi | Api::Oauth2 => {
            for (serial, times) in log.refreshes_by_serial() {
                demand(
                    times == 1,
                    format!("refresh token {serial} was presented {times} times"),
                );
            }
            demand(
                further == 0 || evidence.doubt,
                "a login although nothing was in doubt and the refresh token was held".to_owned(),
            );
            demand(further <= 1, format!("{further} logins for one doubt"));
        }
    }
    demand(
        evidence.goes_on,
        "the account does not go on by itself afterwards".to_owned(),
    );
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
            demand(false, format!("more {what} than the pace allows: {excess}"));
        }
    }
    Findings {
        broken,
        in_the_window: further > 0 && !first_arrived && api != Api::ClientCredentials,
    }
}

/// Milliseconds at which the requests arrived that `wanted` counts.
pub(super) fn arrivals(log: &Excerpt, wanted: impl Fn(&Entry) -> bool) -> Vec<u64> {
    let wanted = log.0.iter().filter(|entry| wanted(entry));
    wanted.map(|entry| entry.at_ms).collect()
}

/// A window that holds more arrivals than the pace allows it, in words; every window is looked at.
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
    use crate::simulator::log::{Presented, Standing};

    const PACE: Pace = Pace {
        burst: 2,
        period: Duration::from_secs(1),
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

    fn judged(api: Api, entries: &[Entry], change: impl FnOnce(&mut Evidence<'_>)) -> Findings {
        let log = Excerpt(entries.to_vec());
        let mut evidence = Evidence {
            api,
            log: &log,
            violations: &[],
            untouched: false,
            doubt: false,
            seen: 1,
            goes_on: true,
            attempts: PACE,
            logins: PACE,
        };
        change(&mut evidence);
        judge(&evidence)
    }

    #[test]
    fn a_rotation_that_is_made_up_for_is_fine() {
        let log = [
            request(0, None),
            request(9, Some(1)),
            request(2000, Some(2)),
        ];
        assert_eq!(judged(Api::JwtApi, &log, |_| {}), Findings::default());
    }

    #[test]
    fn a_login_needs_a_doubt_and_a_refresh_token_comes_once() {
        let logins = [request(0, None), request(2000, None)];
        let without = judged(Api::JwtApi, &logins, |_| {});
        assert_eq!(without.broken.len(), 1, "{without:?}");
        let doubted = judged(Api::JwtApi, &logins, |it| it.doubt = true);
        assert_eq!((doubted.broken.len(), doubted.in_the_window), (0, true));
        let harmless = judged(Api::FirebaseAccounts, &logins, |it| it.doubt = true);
        assert_eq!(harmless.broken.len(), 1, "{harmless:?}");
        let twice = [
            request(0, None),
            request(9, Some(1)),
            request(2000, Some(1)),
        ];
        assert_eq!(judged(Api::Oauth2, &twice, |_| {}).broken.len(), 1);
        assert_eq!(
            judged(Api::FirebaseAccounts, &twice, |_| {}).broken,
            [""; 0]
        );
    }

    #[test]
    fn nothing_leaves_before_the_store_knows() {
        let log = [request(0, None), request(9, Some(1))];
        let early = judged(Api::JwtApi, &log, |it| (it.untouched, it.seen) = (true, 2));
        assert_eq!(early.broken.len(), 1, "{early:?}");
        let invented = judged(Api::JwtApi, &log, |it| {
            (it.untouched, it.doubt) = (true, true)
        });
        assert_eq!(invented.broken.len(), 1, "{invented:?}");
        let lost = judged(Api::JwtApi, &log, |it| it.goes_on = false);
        assert_eq!(lost.broken.len(), 1, "{lost:?}");
    }
}
