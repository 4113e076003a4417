//! What people want done to an account's credential, one after the other.
//!
//! Owns the queue. Few accounts have one at any time, and a hundred thousand must not each keep room for it: an empty queue is one word.

use std::collections::VecDeque;

use crate::durable::AttemptKind;
use crate::event::Demand;
use crate::ids::WaiterId;

/// An entered credential, while an attempt tries it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trial {
    pub(crate) waiter: WaiterId,
    pub(crate) demand: Demand,
    pub(crate) kind: AttemptKind,
    pub(crate) can_login: bool,
    /// Whether it is the held refresh token, entered again.
    pub(crate) same: bool,
    /// Whether its waiter was answered before the trial was over.
    pub(crate) answered: bool,
}

/// What a person wants done to the credential.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    /// Try an entered credential.
    Enter(Trial),
    Forget {
        waiter: WaiterId,
        can_login: bool,
    },
}

/// A queue of wishes that takes memory only while it has any.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "the queue itself is four words, and most accounts never have one"
)]
pub(crate) struct Wishes(Option<Box<VecDeque<Wish>>>);

impl Wishes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Wish> {
        self.0.iter().flat_map(|queue| queue.iter())
    }

    pub(crate) fn front(&self) -> Option<&Wish> {
        self.0.as_ref()?.front()
    }

    pub(crate) fn push_back(&mut self, wish: Wish) {
        self.0.get_or_insert_default().push_back(wish);
    }

    pub(crate) fn pop_front(&mut self) -> Option<Wish> {
        let first = self.0.as_mut()?.pop_front();
        self.let_go();
        first
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&Wish) -> bool) {
        if let Some(queue) = &mut self.0 {
            queue.retain(keep);
        }
        self.let_go();
    }

    fn let_go(&mut self) {
        if self.0.as_ref().is_some_and(|queue| queue.is_empty()) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(waiter: u64) -> Wish {
        Wish::Forget {
            waiter: WaiterId(waiter),
            can_login: false,
        }
    }

    #[test]
    fn wishes_are_taken_in_order_and_an_empty_queue_takes_no_room() {
        let mut wishes = Wishes::default();
        assert!(wishes.is_empty() && wishes.front().is_none() && wishes.pop_front().is_none());
        for waiter in 1..=3 {
            wishes.push_back(wish(waiter));
        }
        let front = wishes.front().map(Wish::waiter);
        assert_eq!(front, Some(WaiterId(1)));
        wishes.retain(|wish| wish.waiter() != WaiterId(2));
        let left = wishes.iter().map(Wish::waiter).collect::<Vec<_>>();
        assert_eq!(left, [WaiterId(1), WaiterId(3)]);
        assert_eq!(wishes.pop_front().map(|it| it.waiter()), Some(WaiterId(1)));
        assert!(!wishes.is_empty());
        wishes.retain(|_| false);
        assert!(wishes.is_empty() && wishes.0.is_none());
    }
}
