//! Waiting after failures, with jitter.
//!
//! Owns full-jitter exponential backoff. The jitter is a hash of the engine's seed, the account and the attempt, so a run can be
//! repeated with its seed. Never sleeps.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use crate::durable::{AttemptKind, Deferral};
use crate::ids::{AccountKey, AttemptId};
use crate::time::{Timestamp, millis};

/// The shortest wait after a failure.
const FLOOR: Duration = Duration::from_secs(1);
/// The longest wait after failed refreshes.
const LONGEST_REFRESH: Duration = Duration::from_secs(5 * 60);
/// The longest wait after failed logins: a provider may count them against the account although it sends no answer.
const LONGEST_LOGIN: Duration = Duration::from_secs(60 * 60);
/// The longest wait after refreshes that something in front of the provider answered.
pub(crate) const LONGEST_UNRECOGNISED: Duration = Duration::from_secs(6 * 60 * 60);
/// The longest Retry-After that is accepted, so that a nonsensical one does not block an account for years.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Random numbers that are the same for the same seed, account and attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice {
    seed: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, account: AccountKey, attempt: AttemptId) -> Self {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        Self {
            seed: hasher.hash_one((seed, account, attempt)),
        }
    }

    /// A number from 0 to `most`.
    pub(crate) fn roll(&self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(sides) => self.seed % sides,
            None => self.seed,
        }
    }

    /// A time of up to `most`, in milliseconds.
    pub(crate) fn roll_up_to(&self, most: Duration) -> Duration {
        Duration::from_millis(self.roll(millis(most)))
    }
}

/// A wait, doubled so many times.
pub(crate) fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.min(16))
}

/// The wait after the given number of failures in a row.
pub(crate) fn backoff(kind: AttemptKind, failures: u32, dice: &Dice, now: Timestamp) -> Deferral {
    let longest = match kind {
        AttemptKind::Refresh => LONGEST_REFRESH,
        AttemptKind::Login => LONGEST_LOGIN,
    };
    let jitter = dice.roll_up_to(doubled(FLOOR, failures).min(longest));
    Deferral {
        until: now.after(FLOOR + jitter),
        by_provider: false,
    }
}

/// The wait the provider asked for.
pub(crate) fn asked_by_provider(wait: Duration, now: Timestamp) -> Deferral {
    Deferral {
        until: now.after(wait.clamp(FLOOR, LONGEST_RETRY_AFTER)),
        by_provider: true,
    }
}

/// A stored wait, limited to what may follow `now`: a clock that was wrong must not block an account for years.
pub(crate) fn clamp(deferral: Deferral, now: Timestamp) -> Option<Deferral> {
    let longest = if deferral.by_provider {
        LONGEST_RETRY_AFTER
    } else {
        LONGEST_UNRECOGNISED
    };
    (deferral.until > now).then(|| Deferral {
        until: deferral.until.min(now.after(longest)),
        ..deferral
    })
}

/// The wait before a refused write is tried again. Without jitter: nobody else uses our store.
pub(crate) fn unsaved(tries: u32, now: Timestamp) -> Timestamp {
    let wait = doubled(Duration::from_millis(250), tries);
    now.after(wait.min(Duration::from_secs(30)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_ceiling_and_never_to_nothing() {
        let now = Timestamp::from_millis(1_000_000);
        for failures in [0, 1, 5, 16, 17, u32::MAX] {
            for attempt in 0..50 {
                let dice = Dice::new(7, AccountKey(1), AttemptId(attempt));
                let refresh = backoff(AttemptKind::Refresh, failures, &dice, now)
                    .until
                    .since(now);
                let login = backoff(AttemptKind::Login, failures, &dice, now)
                    .until
                    .since(now);
                assert!(refresh >= FLOOR && refresh <= FLOOR + LONGEST_REFRESH);
                assert!(login >= FLOOR && login <= FLOOR + LONGEST_LOGIN);
            }
        }
    }

    #[test]
    fn a_retry_after_of_years_is_clamped_to_a_day() {
        let now = Timestamp::from_millis(0);
        assert_eq!(
            asked_by_provider(Duration::from_secs(10 * 365 * 86_400), now)
                .until
                .since(now),
            LONGEST_RETRY_AFTER
        );
        assert_eq!(
            asked_by_provider(Duration::ZERO, now).until.since(now),
            FLOOR
        );
    }
}
