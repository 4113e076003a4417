//! Units of processes that were looked at a moment ago.
//!
//! Owns remembering them for a second, so that a process which connects again and again is not looked at each
//! time. A process is identified by the number that no other has had since the machine started, and by the user
//! and group it connected with. Must never remember a failed reading, nor anything about a process for which
//! the kernel has no such number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokend_policy::{Peer, Units};

/// How long units stay valid. A process that moves to another control group counts as a member of its old one
/// for no longer.
const GOOD_FOR_MS: u64 = 1000;
/// How many processes are remembered.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<HashMap<u64, Known>>);

#[derive(Debug)]
struct Known {
    ids: (u32, u32, u32),
    units: Units,
    until_ms: u64,
}

impl Recent {
    /// The units of the process with this number, if they were read within the last second.
    pub(crate) fn of(&self, number: u64, peer: &Peer, now_ms: u64) -> Option<Units> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&number)?;
        (known.ids == ids(peer) && now_ms < known.until_ms).then(|| known.units.clone())
    }

    pub(crate) fn note(&self, number: u64, peer: &Peer, units: Units, now_ms: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, known| now_ms < known.until_ms);
        }
        // If a thousand processes connect within a second, the units of all others are read again each time.
        if known.len() < MOST {
            let until_ms = now_ms.saturating_add(GOOD_FOR_MS);
            let fresh = Known {
                ids: ids(peer),
                units,
                until_ms,
            };
            known.insert(number, fresh);
        }
    }
}

fn ids(peer: &Peer) -> (u32, u32, u32) {
    (peer.uid, peer.gid, peer.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(name: &str) -> Units {
        Units {
            system: Some(name.into()),
            user: None,
        }
    }

    #[test]
    fn units_are_known_for_a_second_and_of_nobody_else() {
        let recent = Recent::default();
        let peer = Peer::new(7, 8, 9);
        recent.note(70, &peer, units("a.service"), 5000);
        assert_eq!(recent.of(70, &peer, 5999), Some(units("a.service")));
        assert_eq!(recent.of(70, &peer, 6000), None);
        assert_eq!(recent.of(71, &peer, 5000), None);
        for other in [Peer::new(0, 8, 9), Peer::new(7, 0, 9), Peer::new(7, 8, 10)] {
            assert_eq!(recent.of(70, &other, 5000), None);
        }
        recent.note(70, &peer, units("b.service"), 6000);
        assert_eq!(recent.of(70, &peer, 6999), Some(units("b.service")));
    }

    #[test]
    fn many_processes_take_no_more_room_than_a_thousand() {
        let recent = Recent::default();
        let peer = Peer::new(7, 8, 9);
        let most = u64::try_from(MOST).unwrap();
        for number in 0..=most {
            recent.note(number, &peer, units("a.service"), 0);
        }
        assert!(recent.of(most - 1, &peer, 1).is_some());
        assert!(recent.of(most, &peer, 1).is_none());
        // A second later there is room again.
        recent.note(most, &peer, units("a.service"), GOOD_FOR_MS);
        assert!(recent.of(most, &peer, GOOD_FOR_MS).is_some());
        assert!(recent.of(0, &peer, GOOD_FOR_MS).is_none());
    }
}
