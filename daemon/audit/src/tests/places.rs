//! A kind of place more than there are.

use super::*;
use crate::destination::Takes;

/// A place beside the three there are, with little room.
static FOURTH: Destination = Destination {
    name: "fourth",
    takes: Takes::AllButDenials,
    room: Room {
        records: 8,
        denials: 0,
    },
    required: true,
    open: |_| Ok(None),
    check: |_, _| Ok(false),
};

#[test]
fn one_more_place_has_a_queue_and_bounds_and_counters_of_its_own() {
    let places = DESTINATIONS.iter().chain([&FOURTH]);
    let bench = bench_of(places, 3, true, Clock::system());
    let queues = &bench.queues;
    let mut kept = 0;
    while queues.push(release()) == Ok(()) {
        kept += 1;
        assert!(kept <= 8, "it is full");
    }
    assert!(kept == 8 && !queues.may_release());
    queues
        .push(Event::new(AuditEvent::Start, Outcome::Ok))
        .unwrap();
    let lost = queues
        .tallies()
        .map(|(name, tally)| (name, tally.lost.get()));
    assert_eq!(
        lost.collect::<Vec<_>>(),
        [
            ("journal", 0),
            ("file", 0),
            ("denials-file", 0),
            ("fourth", 1)
        ]
    );
}
