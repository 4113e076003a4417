//! What accounts of one provider share, and what those of another do not feel.

use std::collections::BTreeSet;
use std::time::Duration;

use tokend_engine::{
    AccountKey, AccountPlan, Event, HostKey, HostPlan, HostUsed, Pace, ProviderAnswer, Tat,
    Timestamp, WaiterFault, Want,
};

use crate::harness::{A, Bench, HOST, Step, granted, plan, rate, secs};

fn used_up(tat: Tat) -> Event {
    let sent_by = Vec::new();
    Event::HostUsed(HOST, HostUsed { tat, sent_by })
}

fn crowd(count: u32) -> Bench {
    let mut bench = Bench::new();
    for key in 1..=count {
        bench.adopt(AccountKey(key), plan(), true, false);
    }
    bench
}

#[test]
fn a_hundred_accounts_keep_the_cap_and_the_rate_of_their_host() {
    let mut bench = crowd(100);
    bench.host(5, secs(1), 3);
    bench.hold.insert(Step::Send);
    let waiters: Vec<_> = (1..=100)
        .map(|key| bench.want(AccountKey(key), Want::Get, None, 3600, 3600))
        .collect();
    for _ in 0..1_000 {
        assert!(bench.held.len() <= 3, "{} in flight", bench.held.len());
        bench.advance(Duration::from_millis(100));
        if !bench.held.is_empty() {
            bench.answer(granted(36_000));
        }
    }
    for waiter in waiters {
        bench.token(waiter);
    }
    let sent = bench.sent();
    assert_eq!(sent.len(), 100);
    for (i, first) in sent.iter().enumerate() {
        for (j, last) in sent.iter().enumerate().skip(i) {
            assert!((j - i) as u64 <= 4 + (last.0 - first.0) / 1000, "{i}..={j}");
        }
    }
}

#[test]
fn the_line_is_fair() {
    let mut bench = crowd(20);
    bench.host(1, secs(1), 1);
    for key in 1..=20 {
        bench.want(AccountKey(key), Want::Get, None, 3600, 3600);
    }
    // Those at the front ask again and again; they do not overtake anybody.
    for _ in 0..40 {
        bench.advance(Duration::from_millis(500));
        bench.want(AccountKey(1), Want::Forced, None, 3600, 3600);
    }
    let order: Vec<_> = bench.sent().iter().map(|sent| sent.1.0).collect();
    let others: Vec<_> = order.iter().copied().filter(|key| *key != 1).collect();
    assert_eq!(others, (2..=20).collect::<Vec<_>>());
    let first = order.iter().skip(1).position(|key| *key == 1);
    assert!(first.is_none_or(|place| place >= 19), "{order:?}");
}

#[test]
fn a_host_that_stalls_delays_nobody_elsewhere() {
    let mut bench = crowd(10);
    bench.host(100, secs(1), 2);
    let elsewhere = HostKey(2);
    let there = AccountPlan {
        host: elsewhere,
        ..plan()
    };
    let limits = HostPlan {
        rate: rate(100, secs(1)),
        in_flight: 2,
    };
    bench.tell(Event::Host(elsewhere, limits));
    bench.adopt(AccountKey(50), there, true, false);
    bench.hold.insert(Step::Send);
    for key in 1..=10 {
        bench.want(AccountKey(key), Want::Get, None, 0, 3600);
    }
    bench.hold.clear();
    let waiter = bench.want(AccountKey(50), Want::Get, None, 0, 1);
    bench.token(waiter);
    assert_eq!(bench.held.len(), 2);
}

#[test]
fn a_place_at_the_host_is_given_back_however_an_attempt_ends() {
    let mut bench = crowd(1);
    bench.host(1_000, Duration::from_millis(1), 1);
    let key = AccountKey(1);
    for step in [Step::Claim, Step::Record, Step::Commit] {
        bench.refuse.insert(step);
        bench.want(key, Want::Forced, None, 0, 60);
        bench.refuse.clear();
        bench.advance(secs(60));
        let waiter = bench.want(key, Want::Forced, None, 0, 60);
        bench.token(waiter);
    }
    for answer in [
        ProviderAnswer::MaybeSent,
        ProviderAnswer::NotSent,
        granted(0),
    ] {
        bench.answers.push_back(answer);
        bench.want(key, Want::Forced, None, 0, 60);
        bench.advance(secs(60));
        let waiter = bench.want(key, Want::Forced, None, 0, 60);
        bench.token(waiter);
    }
}

#[test]
fn a_wider_cap_lets_the_line_move_at_once() {
    let mut bench = crowd(10);
    bench.host(1_000, secs(1), 1);
    bench.hold.insert(Step::Send);
    for key in 1..=10 {
        bench.want(AccountKey(key), Want::Get, None, 0, 3600);
    }
    assert_eq!(bench.held.len(), 1);
    bench.host(1_000, secs(1), 4);
    assert_eq!(bench.held.len(), 4);
}

#[test]
fn nobody_in_line_twice_and_nobody_left_in_it() {
    let mut bench = crowd(30);
    bench.host(1, secs(1), 1);
    for round in 0..3 {
        for key in 1..=30 {
            bench.want(AccountKey(key), Want::Get, None, 5 + round, 5 + round);
        }
    }
    bench.advance(secs(60));
    let keys: BTreeSet<_> = bench.sent().iter().map(|sent| sent.1).collect();
    assert_eq!(
        keys.len(),
        bench.sent().len(),
        "those who timed out are not attempted"
    );
    let due = bench.engine.poll_timeout(bench.at(0));
    assert!(due.is_none_or(|at| at > bench.at(1)), "{due:?}");
}

#[test]
fn the_first_attempts_of_a_start_know_what_every_account_knew_of_the_host() {
    let always = AccountPlan {
        refresh: tokend_engine::RefreshPolicy::Always,
        ..plan()
    };
    let mut bench = crowd(0);
    bench.host(1, secs(10), 5);
    for key in [1, 2] {
        bench.adopt(AccountKey(key), always, true, false);
    }
    bench.answers.extend([granted(1), granted(3600)]);
    bench.want(AccountKey(1), Want::Get, None, 0, 60);
    bench.advance(secs(600));
    bench.want(AccountKey(2), Want::Get, None, 0, 60);
    let last = bench.sent().last().map(|sent| sent.0);
    bench.engine = tokend_engine::Engine::new(1);
    bench.host(1, secs(10), 5);
    // The first one adopted is due at once, and only the second one knows that the host was just asked.
    bench.store.get_mut(&AccountKey(1)).unwrap().held = None;
    bench.store.get_mut(&AccountKey(1)).unwrap().host = Tat::default();
    for key in [1, 2] {
        bench.adopt(AccountKey(key), always, true, false);
    }
    let before = bench.sent().len();
    bench.advance(secs(60));
    let next = bench.sent().get(before).map(|sent| sent.0);
    assert!(
        next.unwrap() >= last.unwrap() + 10_000,
        "{next:?} after {last:?}"
    );
}

#[test]
fn the_pace_of_a_host_outlives_the_account_that_knows_it() {
    for planned_first in [true, false] {
        let mut bench = crowd(0);
        bench.host(1, secs(600), 5);
        bench.adopt(AccountKey(1), plan(), true, false);
        let first = bench.want(AccountKey(1), Want::Get, None, 0, 60);
        bench.token(first);
        let used = bench.store.get(&AccountKey(1)).unwrap().host;
        // The next daemon does not know the first account, only its record.
        bench.engine = tokend_engine::Engine::new(1);
        let reports = [used, Tat::default()].map(used_up);
        if planned_first {
            bench.host(1, secs(600), 5);
        }
        reports.into_iter().for_each(|event| bench.tell(event));
        if !planned_first {
            bench.advance(secs(60));
            bench.host(1, secs(600), 5);
        }
        bench.adopt(AccountKey(2), plan(), true, false);
        bench.want(AccountKey(2), Want::Get, None, 3600, 3600);
        bench.advance(secs(1200));
        let sent: Vec<_> = bench.sent().iter().map(|sent| (sent.1, sent.0)).collect();
        let [(AccountKey(1), before), (AccountKey(2), after)] = sent[..] else {
            panic!("{sent:?}");
        };
        assert_eq!(after, before + 600_000, "planned first: {planned_first}");
    }
}

#[test]
fn a_faster_pace_does_not_owe_what_a_stored_slower_one_ran_up() {
    let mut bench = crowd(0);
    bench.engine = tokend_engine::Engine::new(1);
    let stored = Tat(bench.at(86_400));
    bench.tell(used_up(stored));
    bench.host(2, secs(5), 5);
    bench.adopt(A, plan(), true, false);
    let waiter = bench.want(A, Want::Get, None, 0, 60);
    bench.advance(secs(5));
    bench.token(waiter);
}

/// Waits until a host admits the next attempt, by the fault that names its rate limit.
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
    let mut bench = crowd(20);
    bench.host(4, secs(5), 20);
    bench.hold.insert(Step::Record);
    for key in 1..=20 {
        bench.want(AccountKey(key), Want::Get, None, 3600, 7200);
    }
    // Time enough for the pace to have come back, had the four left when they were let in.
    bench.advance(secs(60));
    assert_eq!(bench.held.len(), 4);
    bench.hold.clear();
    bench.let_go();
    assert_eq!(bench.sent().len(), 4);
    bench.advance(secs(80));
    let sent: Vec<u64> = bench.sent().iter().map(|sent| sent.0).collect();
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
    let mut bench = Bench::new();
    bench.host(2, secs(3600), 5);
    bench.adopt(A, tight, true, false);
    let before = bench.view();
    for _ in 0..6 {
        bench.answers.push_back(ProviderAnswer::NotSent);
        bench.force(0);
    }
    assert_eq!(bench.sent().len(), 6);
    assert_eq!(
        (bench.view().attempts.1, bench.view().logins.1),
        (before.attempts.1, before.logins.1)
    );
    assert!(
        bench.view().earliest.unwrap() > bench.at(0),
        "the backoff stays"
    );
    // What is stored says the same: no restart owes more.
    let stored = bench.store.get(&A).unwrap().clone();
    assert_eq!(
        (stored.attempts, stored.logins, stored.host),
        Default::default()
    );
    bench.engine = tokend_engine::Engine::new(9);
    bench.tell(used_up(stored.host));
    bench.host(2, secs(3600), 5);
    bench.adopt(A, tight, true, false);
    bench.advance(secs(600));
    let waiter = bench.get();
    bench.token(waiter);
}

#[test]
fn what_never_left_gives_nothing_back_that_others_have_not_owed() {
    let mut bench = crowd(5);
    bench.host(2, secs(100), 5);
    bench.hold.insert(Step::Send);
    for key in [1, 2] {
        bench.want(AccountKey(key), Want::Get, None, 3600, 7200);
    }
    assert_eq!(bench.held.len(), 2);
    // The first never leaves; the second does. One more may follow at once, and another after the pace.
    bench.answer(ProviderAnswer::NotSent);
    bench.answer(granted(3600));
    bench.hold.clear();
    for key in [3, 4] {
        bench.want(AccountKey(key), Want::Get, None, 3600, 7200);
    }
    assert_eq!(bench.sent().len(), 3);
    bench.advance(secs(99));
    assert_eq!(bench.sent().len(), 3);
    bench.advance(secs(1));
    assert_eq!(bench.sent().len(), 4);
}

#[test]
fn a_crash_after_the_intent_gives_nothing_back() {
    let mut bench = Bench::new();
    bench.host(1, secs(600), 5);
    bench.adopt(A, plan(), true, false);
    bench.hold.insert(Step::Send);
    bench.get();
    bench.advance(secs(30));
    let stored = bench.store.get(&A).unwrap().clone();
    assert!(stored.intent.is_some());
    bench.hold.clear();
    bench.held.clear();
    bench.engine = tokend_engine::Engine::new(9);
    let sent_by = vec![bench.at(0)];
    let tat = stored.host;
    bench.tell(Event::HostUsed(HOST, HostUsed { tat, sent_by }));
    bench.host(1, secs(600), 5);
    bench.adopt(A, plan(), true, false);
    let waiter = bench.force(0);
    assert_eq!(host_paced(bench.fault(waiter)), bench.at(600));
}

#[test]
fn a_used_up_host_is_told_at_once_with_when() {
    let mut bench = crowd(6);
    bench.host(2, secs(100), 5);
    for key in [1, 2] {
        bench.want(AccountKey(key), Want::Get, None, 0, 60);
    }
    let now = bench.want(AccountKey(3), Want::Get, None, 0, 30);
    assert_eq!(host_paced(bench.fault(now)), bench.at(100));
    let view = bench.engine.view(AccountKey(3), bench.at(0)).unwrap();
    assert_eq!(
        (view.host, view.earliest),
        (bench.at(100), Some(bench.at(100)))
    );
    // Those who are before it in the line take their share.
    let patient = bench.want(AccountKey(4), Want::Get, None, 150, 300);
    let second = bench.want(AccountKey(5), Want::Get, None, 150, 300);
    assert_eq!(bench.verdict(patient), None);
    assert_eq!(host_paced(bench.fault(second)), bench.at(200));
    bench.advance(secs(100));
    bench.token(patient);
}

#[test]
fn a_short_wait_at_a_host_is_waited_and_one_that_is_too_long_is_told() {
    let mut bench = crowd(30);
    bench.host(1, secs(1), 5);
    let waiters: Vec<_> = (1..=30)
        .map(|key| bench.want(AccountKey(key), Want::Get, None, 0, 30))
        .collect();
    let answered = waiters.iter().filter(|it| bench.verdict(**it).is_some());
    assert_eq!(
        answered.count(),
        1 + 19,
        "one at once, ten in ten seconds, the others not"
    );
    let brief = bench.want(AccountKey(30), Want::Get, None, 0, 5);
    assert!(host_paced(bench.fault(brief)) > bench.at(5));
    bench.advance(secs(10));
    let served = waiters.iter().take(11);
    for waiter in served {
        bench.token(*waiter);
    }
}

#[test]
fn whoever_waits_for_an_attempt_to_end_is_told_once_that_uses_the_pace_up() {
    let mut bench = crowd(3);
    bench.host(1, secs(500), 1);
    bench.hold.insert(Step::Send);
    bench.want(AccountKey(1), Want::Get, None, 0, 60);
    let waiter = bench.want(AccountKey(2), Want::Get, None, 0, 60);
    let patient = bench.want(AccountKey(3), Want::Get, None, 600, 900);
    assert_eq!(
        bench.verdict(waiter),
        None,
        "it may begin as soon as the other ends"
    );
    bench.hold.clear();
    bench.answer(granted(3600));
    assert_eq!(host_paced(bench.fault(waiter)), bench.at(500));
    bench.advance(secs(500));
    bench.token(patient);
}

#[test]
fn logins_and_refreshes_at_two_hosts_each_keep_the_pace_of_theirs() {
    let (here, there) = (HOST, HostKey(2));
    let both = AccountPlan {
        refresh_host: Some(there),
        ..plan()
    };
    let mut bench = Bench::new();
    let slow = HostPlan {
        rate: rate(1, secs(600)),
        in_flight: 5,
    };
    for host in [here, there] {
        bench.tell(Event::Host(host, slow));
    }
    bench.adopt(A, both, true, false);
    // Another account is at the second host only.
    let only = AccountPlan {
        host: there,
        ..plan()
    };
    bench.adopt(AccountKey(2), only, true, false);
    let login = bench.force(0);
    bench.token(login);
    assert_eq!(bench.engine.host(A), Some(here));
    let refresh = bench.force(0);
    bench.token(refresh);
    assert_eq!(
        bench.engine.host(A),
        Some(there),
        "what is stored is about the host of the last one"
    );
    let other = bench.want(AccountKey(2), Want::Get, None, 0, 30);
    assert_eq!(host_paced(bench.fault(other)), bench.at(600));
    // Another dialect sends refreshes to the first host: whoever stands in line at the second stands there no longer.
    let waiter = bench.force(3600);
    assert_eq!(bench.verdict(waiter), None);
    bench.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    bench.advance(secs(600));
    bench.token(waiter);
    assert_eq!(bench.engine.host(A), Some(here));
}
