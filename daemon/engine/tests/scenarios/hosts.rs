//! What accounts of one provider share, and what those of another do not feel.

use std::collections::BTreeSet;
use std::time::Duration;

use tokend_engine::{
    AccountKey, AccountPlan, Event, HostKey, HostPlan, HostUsed, Pace, ProviderAnswer, Tat,
    Timestamp, WaiterFault, Want,
};

use crate::harness::{A, Desk, HOST, Step, granted, plan, rate, secs};

fn used_up(tat: Tat) -> Event {
    let sent_by = Vec::new();
    Event::HostUsed(HOST, HostUsed { tat, sent_by })
}

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
        .map(|key| desk.want(AccountKey(key), Want::Get, None, 3600, 3600))
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
        desk.want(AccountKey(key), Want::Get, None, 3600, 3600);
    }
    // Those at the front ask again and again; they do not overtake anybody.
    for _ in 0..40 {
        desk.advance(Duration::from_millis(500));
        desk.want(AccountKey(1), Want::Forced, None, 3600, 3600);
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
    let there = AccountPlan {
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
        ProviderAnswer::MaybeSent,
        ProviderAnswer::NotSent,
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
            desk.want(AccountKey(key), Want::Get, None, 5 + round, 5 + round);
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
    let always = AccountPlan {
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
    desk.store.get_mut(&AccountKey(1)).unwrap().host = Tat::default();
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
        let told = [used, Tat::default()].map(used_up);
        if planned_first {
            desk.host(1, secs(600), 5);
        }
        told.into_iter().for_each(|event| desk.tell(event));
        if !planned_first {
            desk.advance(secs(60));
            desk.host(1, secs(600), 5);
        }
        desk.adopt(AccountKey(2), plan(), true, false);
        desk.want(AccountKey(2), Want::Get, None, 3600, 3600);
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
    let stored = Tat(desk.at(86_400));
    desk.tell(used_up(stored));
    desk.host(2, secs(5), 5);
    desk.adopt(A, plan(), true, false);
    let waiter = desk.want(A, Want::Get, None, 0, 60);
    desk.advance(secs(5));
    desk.token(waiter);
}

/// Waits until a host lets the next attempt begin, told as the pace that is used up.
fn host_paced(fault: WaiterFault) -> Timestamp {
    match fault {
        WaiterFault::Paced {
            retry,
            by: Pace::Host(_),
            ..
        } => retry,
        other => panic!("not held by its host but {other:?}"),
    }
}

#[test]
fn behind_a_slow_disk_no_more_leave_at_once_than_the_host_allows() {
    let mut desk = crowd(20);
    desk.host(4, secs(5), 20);
    desk.hold.insert(Step::Record);
    for key in 1..=20 {
        desk.want(AccountKey(key), Want::Get, None, 3600, 7200);
    }
    // Time enough for the pace to have come back, had the four left when they were let in.
    desk.advance(secs(60));
    assert_eq!(desk.held.len(), 4);
    desk.hold.clear();
    desk.let_go();
    assert_eq!(desk.sent().len(), 4);
    desk.advance(secs(80));
    let sent: Vec<u64> = desk.sent().iter().map(|sent| sent.0).collect();
    assert_eq!(sent.len(), 20);
    for (i, first) in sent.iter().enumerate() {
        for (j, last) in sent.iter().enumerate().skip(i) {
            assert!(((j - i) as u64) < 4 + (last - first) / 5000, "{sent:?}");
        }
    }
}

#[test]
fn what_never_left_is_not_owed_by_the_account_nor_by_its_host() {
    let tight = AccountPlan {
        attempts: rate(3, secs(60)),
        logins: rate(2, secs(300)),
        ..plan()
    };
    let mut desk = Desk::new();
    desk.host(2, secs(3600), 5);
    desk.adopt(A, tight, true, false);
    let before = desk.view();
    for _ in 0..6 {
        desk.answers.push_back(ProviderAnswer::NotSent);
        desk.force(0);
    }
    assert_eq!(desk.sent().len(), 6);
    assert_eq!(
        (desk.view().attempts.1, desk.view().logins.1),
        (before.attempts.1, before.logins.1)
    );
    assert!(
        desk.view().earliest.unwrap() > desk.at(0),
        "the backoff stays"
    );
    // What is stored says the same: no restart owes more.
    let stored = desk.store.get(&A).unwrap().clone();
    assert_eq!(
        (stored.attempts, stored.logins, stored.host),
        Default::default()
    );
    desk.engine = tokend_engine::Engine::new(9);
    desk.tell(used_up(stored.host));
    desk.host(2, secs(3600), 5);
    desk.adopt(A, tight, true, false);
    desk.advance(secs(600));
    let waiter = desk.get();
    desk.token(waiter);
}

#[test]
fn what_never_left_gives_nothing_back_that_others_have_not_owed() {
    let mut desk = crowd(5);
    desk.host(2, secs(100), 5);
    desk.hold.insert(Step::Send);
    for key in [1, 2] {
        desk.want(AccountKey(key), Want::Get, None, 3600, 7200);
    }
    assert_eq!(desk.held.len(), 2);
    // The first never leaves; the second does. One more may follow at once, and another after the pace.
    desk.answer(ProviderAnswer::NotSent);
    desk.answer(granted(3600));
    desk.hold.clear();
    for key in [3, 4] {
        desk.want(AccountKey(key), Want::Get, None, 3600, 7200);
    }
    assert_eq!(desk.sent().len(), 3);
    desk.advance(secs(99));
    assert_eq!(desk.sent().len(), 3);
    desk.advance(secs(1));
    assert_eq!(desk.sent().len(), 4);
}

#[test]
fn a_crash_after_the_intent_gives_nothing_back() {
    let mut desk = Desk::new();
    desk.host(1, secs(600), 5);
    desk.adopt(A, plan(), true, false);
    desk.hold.insert(Step::Send);
    desk.get();
    desk.advance(secs(30));
    let stored = desk.store.get(&A).unwrap().clone();
    assert!(stored.intent.is_some());
    desk.hold.clear();
    desk.held.clear();
    desk.engine = tokend_engine::Engine::new(9);
    let sent_by = vec![desk.at(0)];
    let tat = stored.host;
    desk.tell(Event::HostUsed(HOST, HostUsed { tat, sent_by }));
    desk.host(1, secs(600), 5);
    desk.adopt(A, plan(), true, false);
    let waiter = desk.force(0);
    assert_eq!(host_paced(desk.fault(waiter)), desk.at(600));
}

#[test]
fn a_used_up_host_is_told_at_once_with_when() {
    let mut desk = crowd(6);
    desk.host(2, secs(100), 5);
    for key in [1, 2] {
        desk.want(AccountKey(key), Want::Get, None, 0, 60);
    }
    let now = desk.want(AccountKey(3), Want::Get, None, 0, 30);
    assert_eq!(host_paced(desk.fault(now)), desk.at(100));
    let view = desk.engine.view(AccountKey(3), desk.at(0)).unwrap();
    assert_eq!(
        (view.host, view.earliest),
        (desk.at(100), Some(desk.at(100)))
    );
    // Those who are before it in the line take their share.
    let patient = desk.want(AccountKey(4), Want::Get, None, 150, 300);
    let second = desk.want(AccountKey(5), Want::Get, None, 150, 300);
    assert_eq!(desk.verdict(patient), None);
    assert_eq!(host_paced(desk.fault(second)), desk.at(200));
    desk.advance(secs(100));
    desk.token(patient);
}

#[test]
fn a_short_wait_at_a_host_is_waited_and_one_that_is_too_long_is_told() {
    let mut desk = crowd(30);
    desk.host(1, secs(1), 5);
    let waiters: Vec<_> = (1..=30)
        .map(|key| desk.want(AccountKey(key), Want::Get, None, 0, 30))
        .collect();
    let told = waiters.iter().filter(|it| desk.verdict(**it).is_some());
    assert_eq!(
        told.count(),
        1 + 19,
        "one at once, ten in ten seconds, the others not"
    );
    let brief = desk.want(AccountKey(30), Want::Get, None, 0, 5);
    assert!(host_paced(desk.fault(brief)) > desk.at(5));
    desk.advance(secs(10));
    let served = waiters.iter().take(11);
    for waiter in served {
        desk.token(*waiter);
    }
}

#[test]
fn whoever_waits_for_an_attempt_to_end_is_told_once_that_uses_the_pace_up() {
    let mut desk = crowd(3);
    desk.host(1, secs(500), 1);
    desk.hold.insert(Step::Send);
    desk.want(AccountKey(1), Want::Get, None, 0, 60);
    let waiter = desk.want(AccountKey(2), Want::Get, None, 0, 60);
    let patient = desk.want(AccountKey(3), Want::Get, None, 600, 900);
    assert_eq!(
        desk.verdict(waiter),
        None,
        "it may begin as soon as the other ends"
    );
    desk.hold.clear();
    desk.answer(granted(3600));
    assert_eq!(host_paced(desk.fault(waiter)), desk.at(500));
    desk.advance(secs(500));
    desk.token(patient);
}

#[test]
fn logins_and_refreshes_at_two_hosts_each_keep_the_pace_of_theirs() {
    let (here, there) = (HOST, HostKey(2));
    let both = AccountPlan {
        refresh_host: Some(there),
        ..plan()
    };
    let mut desk = Desk::new();
    let slow = HostPlan {
        rate: rate(1, secs(600)),
        in_flight: 5,
    };
    for host in [here, there] {
        desk.tell(Event::Host(host, slow));
    }
    desk.adopt(A, both, true, false);
    // Another account is at the second host only.
    let only = AccountPlan {
        host: there,
        ..plan()
    };
    desk.adopt(AccountKey(2), only, true, false);
    let login = desk.force(0);
    desk.token(login);
    assert_eq!(desk.engine.host(A), Some(here));
    let refresh = desk.force(0);
    desk.token(refresh);
    assert_eq!(
        desk.engine.host(A),
        Some(there),
        "what is stored is about the host of the last one"
    );
    let other = desk.want(AccountKey(2), Want::Get, None, 0, 30);
    assert_eq!(host_paced(desk.fault(other)), desk.at(600));
    // Another dialect sends refreshes to the first host: whoever stands in line at the second stands there no longer.
    let waiter = desk.force(3600);
    assert_eq!(desk.verdict(waiter), None);
    desk.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    desk.advance(secs(600));
    desk.token(waiter);
    assert_eq!(desk.engine.host(A), Some(here));
}
