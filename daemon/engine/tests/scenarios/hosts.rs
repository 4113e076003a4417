//! What accounts of one provider share, and what those of another do not feel.

use std::collections::BTreeSet;
use std::time::Duration;

use tokend_engine::{AccountKey, Event, HostKey, HostPlan, Plan, Want};

use crate::harness::{A, Desk, HOST, Step, granted, plan, rate, secs};

fn crowd(count: u32) -> Desk {
    let mut desk = Desk::new();
    for key in 1..=count {
        desk.adopt(AccountKey(key), plan(), true, false);
    }
    desk
}

#[test]
fn a_hundred_accounts_keep_the_cap_and_the_rate_of_their_host() {
    let mut desk = crowd(100);
    desk.host(5, secs(1), 3);
    desk.hold.insert(Step::Send);
    let waiters: Vec<_> = (1..=100)
        .map(|key| desk.want(AccountKey(key), Want::Get, None, 0, 3600))
        .collect();
    for _ in 0..1_000 {
        assert!(desk.held.len() <= 3, "{} in flight", desk.held.len());
        desk.advance(Duration::from_millis(100));
        if !desk.held.is_empty() {
            desk.answer(granted(36_000));
        }
    }
    for waiter in waiters {
        desk.token(waiter);
    }
    let sent = desk.sent();
    assert_eq!(sent.len(), 100);
    for (i, first) in sent.iter().enumerate() {
        for (j, last) in sent.iter().enumerate().skip(i) {
            assert!((j - i) as u64 <= 4 + (last.0 - first.0) / 1000, "{i}..={j}");
        }
    }
}

#[test]
fn the_line_is_fair() {
    let mut desk = crowd(20);
    desk.host(1, secs(1), 1);
    for key in 1..=20 {
        desk.want(AccountKey(key), Want::Get, None, 0, 3600);
    }
    // Those at the front ask again and again; they do not overtake anybody.
    for _ in 0..40 {
        desk.advance(Duration::from_millis(500));
        desk.want(AccountKey(1), Want::Forced, None, 0, 3600);
    }
    let order: Vec<_> = desk.sent().iter().map(|sent| sent.1.0).collect();
    let others: Vec<_> = order.iter().copied().filter(|key| *key != 1).collect();
    assert_eq!(others, (2..=20).collect::<Vec<_>>());
    let first = order.iter().skip(1).position(|key| *key == 1);
    assert!(first.is_none_or(|place| place >= 19), "{order:?}");
}

#[test]
fn a_host_that_stalls_delays_nobody_elsewhere() {
    let mut desk = crowd(10);
    desk.host(100, secs(1), 2);
    let elsewhere = HostKey(2);
    let there = Plan {
        host: elsewhere,
        ..plan()
    };
    let limits = HostPlan {
        rate: rate(100, secs(1)),
        in_flight: 2,
    };
    desk.tell(Event::Host(elsewhere, limits));
    desk.adopt(AccountKey(50), there, true, false);
    desk.hold.insert(Step::Send);
    for key in 1..=10 {
        desk.want(AccountKey(key), Want::Get, None, 0, 3600);
    }
    desk.hold.clear();
    let waiter = desk.want(AccountKey(50), Want::Get, None, 0, 1);
    desk.token(waiter);
    assert_eq!(desk.held.len(), 2);
}

#[test]
fn a_place_at_the_host_is_given_back_however_an_attempt_ends() {
    let mut desk = crowd(1);
    desk.host(1_000, Duration::from_millis(1), 1);
    let key = AccountKey(1);
    for step in [Step::Claim, Step::Record, Step::Commit] {
        desk.refuse.insert(step);
        desk.want(key, Want::Forced, None, 0, 60);
        desk.refuse.clear();
        desk.advance(secs(60));
        let waiter = desk.want(key, Want::Forced, None, 0, 60);
        desk.token(waiter);
    }
    for answer in [
        tokend_engine::Answer::MaybeSent,
        tokend_engine::Answer::NotSent,
        granted(0),
    ] {
        desk.answers.push_back(answer);
        desk.want(key, Want::Forced, None, 0, 60);
        desk.advance(secs(60));
        let waiter = desk.want(key, Want::Forced, None, 0, 60);
        desk.token(waiter);
    }
}

#[test]
fn a_wider_cap_lets_the_line_move_at_once() {
    let mut desk = crowd(10);
    desk.host(1_000, secs(1), 1);
    desk.hold.insert(Step::Send);
    for key in 1..=10 {
        desk.want(AccountKey(key), Want::Get, None, 0, 3600);
    }
    assert_eq!(desk.held.len(), 1);
    desk.host(1_000, secs(1), 4);
    assert_eq!(desk.held.len(), 4);
}

#[test]
fn nobody_in_line_twice_and_nobody_left_in_it() {
    let mut desk = crowd(30);
    desk.host(1, secs(1), 1);
    for round in 0..3 {
        for key in 1..=30 {
            desk.want(AccountKey(key), Want::Get, None, 0, 5 + round);
        }
    }
    desk.advance(secs(60));
    let keys: BTreeSet<_> = desk.sent().iter().map(|sent| sent.1).collect();
    assert_eq!(
        keys.len(),
        desk.sent().len(),
        "those who timed out are not attempted"
    );
    let due = desk.engine.poll_timeout(desk.at(0));
    assert!(due.is_none_or(|at| at > desk.at(1)), "{due:?}");
}

#[test]
fn the_first_attempts_of_a_start_know_what_every_account_knew_of_the_host() {
    let always = Plan {
        refresh: tokend_engine::RefreshPolicy::Always,
        ..plan()
    };
    let mut desk = crowd(0);
    desk.host(1, secs(10), 5);
    for key in [1, 2] {
        desk.adopt(AccountKey(key), always, true, false);
    }
    desk.answers.extend([granted(1), granted(3600)]);
    desk.want(AccountKey(1), Want::Get, None, 0, 60);
    desk.advance(secs(600));
    desk.want(AccountKey(2), Want::Get, None, 0, 60);
    let last = desk.sent().last().map(|sent| sent.0);
    desk.engine = tokend_engine::Engine::new(1);
    desk.host(1, secs(10), 5);
    // The first one adopted is due at once, and only the second one knows that the host was just asked.
    desk.store.get_mut(&AccountKey(1)).unwrap().held = None;
    desk.store.get_mut(&AccountKey(1)).unwrap().host = tokend_engine::Tat::default();
    for key in [1, 2] {
        desk.adopt(AccountKey(key), always, true, false);
    }
    let before = desk.sent().len();
    desk.advance(secs(60));
    let next = desk.sent().get(before).map(|sent| sent.0);
    assert!(
        next.unwrap() >= last.unwrap() + 10_000,
        "{next:?} after {last:?}"
    );
}

#[test]
fn the_pace_of_a_host_outlives_the_account_that_knows_it() {
    for planned_first in [true, false] {
        let mut desk = crowd(0);
        desk.host(1, secs(600), 5);
        desk.adopt(AccountKey(1), plan(), true, false);
        let first = desk.want(AccountKey(1), Want::Get, None, 0, 60);
        desk.token(first);
        let used = desk.store.get(&AccountKey(1)).unwrap().host;
        // The next daemon does not know the first account, only its record.
        desk.engine = tokend_engine::Engine::new(1);
        let told = [used, tokend_engine::Tat::default()].map(|tat| Event::HostUsed(HOST, tat));
        if planned_first {
            desk.host(1, secs(600), 5);
        }
        told.into_iter().for_each(|event| desk.tell(event));
        if !planned_first {
            desk.advance(secs(60));
            desk.host(1, secs(600), 5);
        }
        desk.adopt(AccountKey(2), plan(), true, false);
        desk.want(AccountKey(2), Want::Get, None, 0, 3600);
        desk.advance(secs(1200));
        let sent: Vec<_> = desk.sent().iter().map(|sent| (sent.1, sent.0)).collect();
        let [(AccountKey(1), before), (AccountKey(2), after)] = sent[..] else {
            panic!("{sent:?}");
        };
        assert_eq!(after, before + 600_000, "planned first: {planned_first}");
    }
}

#[test]
fn a_faster_pace_does_not_owe_what_a_stored_slower_one_ran_up() {
    let mut desk = crowd(0);
    desk.engine = tokend_engine::Engine::new(1);
    desk.tell(Event::HostUsed(HOST, tokend_engine::Tat(desk.at(86_400))));
    desk.host(2, secs(5), 5);
    desk.adopt(A, plan(), true, false);
    let waiter = desk.want(A, Want::Get, None, 0, 60);
    desk.advance(secs(5));
    desk.token(waiter);
}
