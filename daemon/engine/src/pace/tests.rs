//! The window arithmetic of a pace, and what survives being stored.

use proptest::prelude::*;

use super::*;

fn rate(burst: u32, period_ms: u64) -> Rate {
    Rate::new(burst, Duration::from_millis(period_ms)).unwrap()
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn a_burst_is_granted_at_once_and_then_one_a_period() {
    let rate = rate(3, 1000);
    let start = at(1_700_000_000_000);
    let mut tat = Tat::default();
    for left in [3, 2, 1] {
        assert_eq!(rate.left(tat, start), (left, start));
        tat = rate.debit(tat, start).unwrap();
    }
    assert_eq!(
        rate.debit(tat, start),
        Err(start.after(Duration::from_secs(1)))
    );
    assert_eq!(
        rate.left(tat, start),
        (0, start.after(Duration::from_secs(1)))
    );
    let later = start.after(Duration::from_secs(1));
    tat = rate.debit(tat, later).unwrap();
    assert_eq!(
        rate.debit(tat, later),
        Err(later.after(Duration::from_secs(1)))
    );
}

#[test]
fn asking_what_is_left_costs_nothing() {
    let rate = rate(1, 60_000);
    let tat = Tat::default();
    for _ in 0..10 {
        assert_eq!(rate.left(tat, at(5_000)).0, 1);
    }
    assert!(rate.debit(tat, at(5_000)).is_ok());
}

#[test]
fn a_stored_state_from_the_far_future_is_clamped_to_a_full_wait() {
    let rate = rate(2, 1000);
    let now = at(1_000_000);
    let clamped = rate.clamp(Tat(Timestamp::FAR), now);
    assert_eq!(clamped, Tat(now.after(Duration::from_secs(2))));
    assert_eq!(
        rate.debit(clamped, now),
        Err(now.after(Duration::from_secs(1)))
    );
    let honest = Tat(now.after(Duration::from_millis(700)));
    assert_eq!(rate.clamp(honest, now), honest);
}

#[test]
fn rates_that_cannot_be_kept_are_refused() {
    assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
    assert_eq!(Rate::new(1, Duration::ZERO), None);
    assert_eq!(Rate::new(1, LONGEST_PERIOD + Duration::from_secs(1)), None);
    assert_eq!(Rate::new(LARGEST_BURST + 1, Duration::from_millis(1)), None);
    assert_eq!(Rate::new(100_000, LONGEST_PERIOD), None);
}

proptest! {
    /// In no window are there more debits than `burst + window / period`, whatever the gaps, and with every state passed through
    /// milliseconds as the store does it.
    #[test]
    fn no_window_holds_more_than_the_pace_allows(
        burst in 1u32..6,
        period_ms in 1u64..5_000,
        gaps in proptest::collection::vec(0u64..4_000, 1..200),
    ) {
        let rate = rate(burst, period_ms);
        let mut now = at(1_700_000_000_000);
        let mut tat = Tat::default();
        let mut granted = Vec::new();
        for gap in gaps {
            now = now.after(Duration::from_millis(gap));
            match rate.debit(tat, now) {
                Ok(next) => {
                    tat = Tat(at(next.0.as_millis()));
                    granted.push(now.as_millis());
                }
                Err(earliest) => {
                    prop_assert!(earliest > now);
                    prop_assert!(rate.debit(tat, earliest).is_ok(), "the returned time must be granted");
                }
            }
        }
        for (i, first) in granted.iter().enumerate() {
            for (j, last) in granted.iter().enumerate().skip(i) {
                let allowed = u64::from(burst) + (last - first) / period_ms;
                prop_assert!((j - i + 1) as u64 <= allowed, "{} in {} ms", j - i + 1, last - first);
            }
        }
    }
}
