//! Records that a peer can cause as often as it likes: denials, failures, and reports of refused tokens.
//!
//! Owns the rule that the first record of a kind is written at once, and that all others of the same minute become one record with their
//! count. A peer without permissions thus takes no room from the records of others. Has no clock: callers pass the time.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use tokend_config::AuditEvent;
use tokend_policy::Peer;

use super::event::Event;

/// How long equal records are counted together, in milliseconds.
pub(super) const MINUTE: u64 = 60_000;
/// How many kinds of records of one user are counted separately in a minute; a kind is an account, request, outcome, unit and program.
/// Further kinds are counted as one.
pub(super) const KINDS: usize = 30;
/// How many users are counted separately in a minute. Some machines have 65,536 user ids for each person.
const USERS: usize = 256;
/// How often the table is searched for quiet users when it has no room for another.
const SWEEP: u64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Repeats {
    users: HashMap<u32, User>,
    /// The records of users beyond the limit.
    others: BTreeMap<AuditEvent, Repeat>,
    hasher: RandomState,
    swept: u64,
}

#[derive(Debug, Default)]
struct User {
    /// The key is a hash of the kind, with a seed that is unknown outside.
    kinds: HashMap<u64, Repeat>,
    /// The records of kinds beyond the limit.
    others: BTreeMap<AuditEvent, Repeat>,
}

/// One kind of record, in one minute.
#[derive(Debug)]
struct Repeat {
    began: u64,
    more: u64,
    /// The record to write for all of them: one of their number.
    event: Option<Box<Event>>,
}

/// The decision about a record.
#[derive(Debug)]
pub(super) enum Seen {
    /// The record is written now.
    First(Event),
    /// The record was counted; `true` for the first one.
    Again(bool),
}

impl Repeats {
    /// Whether records of this kind are counted.
    pub(super) fn are_of(kind: AuditEvent) -> bool {
        matches!(
            kind,
            AuditEvent::Denial | AuditEvent::Failure | AuditEvent::Reject
        )
    }

    pub(super) fn see(&mut self, event: Event, now: u64) -> Seen {
        let uid = match &event.peer {
            Some(peer) if Self::are_of(event.kind) => peer.uid,
            _ => return Seen::First(event),
        };
        let kind = self.kind(&event);
        if !self.users.contains_key(&uid) && !self.has_room(now) {
            let detail = "more users than are kept apart";
            return count(&mut self.others, common(&event, None, detail), now);
        }
        let user = self.users.entry(uid).or_default();
        if let Some(repeat) = user.kinds.get_mut(&kind) {
            if repeat.more == 0 && repeat.is_over(now) {
                repeat.began = now;
                return Seen::First(event);
            }
            return repeat.again(|| Box::new(event));
        }
        if user.kinds.len() >= KINDS {
            user.drop_quiet_kinds(now);
        }
        if user.kinds.len() >= KINDS {
            let detail = "more accounts and requests of this user than are kept apart";
            let common = common(&event, event.peer.clone(), detail);
            return count(&mut user.others, common, now);
        }
        user.kinds.insert(kind, Repeat::new(now));
        Seen::First(event)
    }

    /// The records that are due for past minutes; at the last call for all minutes.
    pub(super) fn due(&mut self, now: u64, last: bool) -> Vec<Event> {
        let mut due = Vec::new();
        let mut over = |repeat: &mut Repeat| {
            let over = last || repeat.is_over(now);
            if over && let Some(event) = repeat.event.take() {
                let count = Some(repeat.more);
                due.push(Event { count, ..*event });
            }
            over
        };
        self.users.retain(|_, user| {
            user.kinds.retain(|_, repeat| !over(repeat));
            user.others.retain(|_, repeat| !over(repeat));
            !user.kinds.is_empty() || !user.others.is_empty()
        });
        self.others.retain(|_, repeat| !over(repeat));
        due
    }

    /// When the next record is due if no other comes.
    pub(super) fn next(&self) -> Option<u64> {
        let users = self.users.values();
        let of_users = users.flat_map(|user| user.kinds.values().chain(user.others.values()));
        of_users
            .chain(self.others.values())
            .filter(|repeat| repeat.more > 0)
            .map(|repeat| repeat.began + MINUTE)
            .min()
    }

    fn has_room(&mut self, now: u64) -> bool {
        if self.users.len() >= USERS && now.saturating_sub(self.swept) >= SWEEP {
            self.swept = now;
            self.users.retain(|_, user| {
                user.drop_quiet_kinds(now);
                !user.kinds.is_empty() || !user.others.is_empty()
            });
        }
        self.users.len() < USERS
    }

    fn kind(&self, event: &Event) -> u64 {
        let peer = event.peer.as_ref();
        self.hasher.hash_one((
            event.kind as u8,
            event.outcome,
            event.request,
            event.account.as_ref().map(|account| account.as_str()),
            peer.and_then(|peer| peer.unit()),
            peer.and_then(|peer| peer.user_unit()),
            peer.and_then(|peer| peer.executable()),
        ))
    }
}

impl User {
    fn drop_quiet_kinds(&mut self, now: u64) {
        self.kinds
            .retain(|_, repeat| repeat.more > 0 || !repeat.is_over(now));
    }
}

impl Repeat {
    fn new(began: u64) -> Self {
        Self {
            began,
            more: 0,
            event: None,
        }
    }

    fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.began) >= MINUTE
    }

    fn again(&mut self, event: impl FnOnce() -> Box<Event>) -> Seen {
        self.more += 1;
        let first = self.event.is_none();
        if first {
            self.event = Some(event());
        }
        Seen::Again(first)
    }
}

/// Counts a record beyond the limits. None of these is written at once.
fn count(others: &mut BTreeMap<AuditEvent, Repeat>, event: Event, now: u64) -> Seen {
    let repeat = others.entry(event.kind);
    let repeat = repeat.or_insert_with(|| Repeat::new(now));
    repeat.again(|| Box::new(event))
}

/// The common record for one user's kinds beyond [`KINDS`], or for users beyond [`USERS`].
fn common(event: &Event, peer: Option<Peer>, detail: &str) -> Event {
    Event {
        peer,
        detail: Some(detail.into()),
        ..Event::new(event.kind, event.outcome)
    }
}

#[cfg(test)]
mod tests {
    use tokend_proto::{FaultCode, RequestKind};

    use super::*;
    use crate::outcome::{Outcome, Trigger};
    use crate::tests::{name, peer};

    fn denial(uid: u32, account: &str) -> Event {
        Event {
            peer: Some(peer(uid)),
            account: Some(name(account)),
            request: Some(Trigger::Request(RequestKind::Get)),
            ..Event::new(AuditEvent::Denial, Outcome::Fault(FaultCode::NotAllowed))
        }
    }

    fn summary(events: &[Event]) -> Vec<(Option<u32>, Option<&str>, Option<u64>)> {
        let mut summary: Vec<_> = events
            .iter()
            .map(|event| {
                let uid = event.peer.as_ref().map(|peer| peer.uid);
                (
                    uid,
                    event.account.as_ref().map(|it| it.as_str()),
                    event.count,
                )
            })
            .collect();
        summary.sort_unstable();
        summary
    }

    #[test]
    fn the_first_is_recorded_at_once_and_the_others_of_a_minute_are_one_with_their_number() {
        let mut repeats = Repeats::default();
        assert!(matches!(
            repeats.see(denial(7, "ads"), 1_000),
            Seen::First(_)
        ));
        assert!(matches!(
            repeats.see(denial(7, "ads"), 1_001),
            Seen::Again(true)
        ));
        for _ in 0..1_400_000 {
            assert!(matches!(
                repeats.see(denial(7, "ads"), 5_000),
                Seen::Again(false)
            ));
        }
        // Another account, another user.
        assert!(matches!(
            repeats.see(denial(7, "bids"), 5_000),
            Seen::First(_)
        ));
        assert!(matches!(
            repeats.see(denial(8, "ads"), 5_000),
            Seen::First(_)
        ));
        assert_eq!(repeats.next(), Some(61_000));
        assert!(repeats.due(60_999, false).is_empty());
        let due = repeats.due(61_000, false);
        assert_eq!(summary(&due), [(Some(7), Some("ads"), Some(1_400_001))]);
        assert_eq!(repeats.next(), None);
        assert!(matches!(
            repeats.see(denial(7, "ads"), 61_000),
            Seen::First(_)
        ));
    }

    #[test]
    fn names_that_are_made_up_are_one_record_beyond_some() {
        let mut repeats = Repeats::default();
        let first = |seen: &Seen| matches!(seen, Seen::First(_));
        let recorded = (0..100_000)
            .map(|number| repeats.see(denial(7, &format!("zzz{number}")), 0))
            .filter(first)
            .count();
        assert_eq!(recorded, KINDS);
        let due = repeats.due(MINUTE, false);
        assert_eq!(
            summary(&due),
            [(Some(7), None, Some(100_000 - KINDS as u64))]
        );
    }

    #[test]
    fn users_that_are_made_up_are_one_record_beyond_some_and_make_room_when_they_are_quiet() {
        let mut repeats = Repeats::default();
        let first = |seen: &Seen| matches!(seen, Seen::First(_));
        let recorded = (0..65_536)
            .map(|uid| repeats.see(denial(uid, "ads"), 0))
            .filter(first)
            .count();
        assert_eq!(recorded, USERS);
        assert!(
            first(&repeats.see(denial(70_000, "ads"), MINUTE)),
            "the others are quiet"
        );
        let due = repeats.due(MINUTE, false);
        assert_eq!(summary(&due), [(None, None, Some(65_536 - USERS as u64))]);
    }

    #[test]
    fn what_hands_out_a_token_or_changes_something_is_recorded_each_time() {
        let mut repeats = Repeats::default();
        for kind in [
            AuditEvent::Release,
            AuditEvent::Refresh,
            AuditEvent::Login,
            AuditEvent::Forget,
            AuditEvent::Reload,
        ] {
            for _ in 0..3 {
                let event = Event {
                    peer: Some(peer(7)),
                    ..Event::new(kind, Outcome::Ok)
                };
                assert!(matches!(repeats.see(event, 0), Seen::First(_)), "{kind:?}");
            }
        }
        assert_eq!(repeats.next(), None);
    }
}
