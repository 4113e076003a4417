//! Entering, forgetting, removing, draining: what persons want while something runs.

use tokend_engine::{
    AccountKey, AccountPlan, AttemptKind, Effect, Event, Fate, Missing, ProviderAnswer, Verdict,
    WaiterFault, Want,
};

use crate::harness::{A, Bench, Step, granted, plan, rate, secs};

#[test]
fn wishes_wait_for_the_attempt_in_flight_and_are_done_in_order() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    let get = bench.get();
    let forget = bench.forget();
    let entered = bench.enter(true);
    assert_eq!(
        (bench.verdict(forget), bench.verdict(entered)),
        (None, None)
    );
    bench.hold.clear();
    bench.answer(granted(3600));
    bench.token(get);
    assert_eq!(bench.verdict(forget), Some(Verdict::Done));
    bench.token(entered);
    let commits: Vec<_> = bench
        .log
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Commit(_, commit) => Some((
                commit.granted.is_some(),
                commit.forget,
                commit.fate == Some(Fate::Takes),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        commits,
        [
            (true, false, false),
            (false, true, false),
            (true, false, true)
        ]
    );
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh],
        "what was entered was tried"
    );
}

#[test]
fn forget_leaves_nothing_to_serve_or_to_log_in_with() {
    let mut bench = Bench::with(plan());
    bench.get();
    let forget = bench.forget();
    assert_eq!(bench.verdict(forget), Some(Verdict::Done));
    assert!(bench.served.is_empty());
    let durable = &bench.store[&A];
    assert_eq!((durable.held, durable.refresh), (None, None));
    let get = bench.get();
    assert_eq!(
        bench.fault(get),
        WaiterFault::LoginRequired(Missing::NoCredential)
    );
}

#[test]
fn a_wish_does_not_wait_for_the_line_of_the_host() {
    let mut bench = Bench::with(plan());
    let other = AccountKey(2);
    bench.adopt(other, plan(), true, false);
    bench.host(100, secs(1), 1);
    bench.hold.insert(Step::Send);
    bench.want(other, Want::Get, None, 0, 600);
    let inline = bench.get();
    let forget = bench.forget();
    assert_eq!(bench.verdict(forget), Some(Verdict::Done));
    assert_eq!(
        bench.fault(inline),
        WaiterFault::LoginRequired(Missing::NoCredential)
    );
}

#[test]
fn a_credential_that_is_entered_is_answered_in_time() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    bench.get();
    let behind_an_attempt = bench.enter(false);
    bench.advance(secs(61));
    assert_eq!(bench.fault(behind_an_attempt), WaiterFault::TimedOut);
    bench.answer(granted(3600));
    let tried = |bench: &Bench| {
        bench.position(
            0,
            |e| matches!(e, Effect::Claim(_, _, _, entered) if entered.is_some()),
        )
    };
    assert_eq!(tried(&bench), None, "what was not begun is not done");
    let being_tried = bench.enter(false);
    bench.advance(secs(61));
    assert_eq!(bench.fault(being_tried), WaiterFault::TimedOut);
    bench.hold.insert(Step::Commit);
    bench.answer(granted(3600));
    let being_stored = bench.position(
        0,
        |e| matches!(e, Effect::Commit(_, commit) if commit.fate == Some(Fate::Takes)),
    );
    assert!(
        being_stored.is_some(),
        "nobody waits for it, and it goes on"
    );
    bench.hold.clear();
    bench.let_go();
    assert!(bench.engine.is_settled());
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn an_account_that_comes_back_in_mid_attempt_is_served_again() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    let first = bench.get();
    bench.tell(Event::Remove(A));
    assert_eq!(bench.fault(first), WaiterFault::Gone);
    let absent = bench.get();
    assert_eq!(bench.fault(absent), WaiterFault::Gone);
    let entered = bench.enter(true);
    assert_eq!(bench.fault(entered), WaiterFault::Gone);
    bench.adopt(A, plan(), true, false);
    let back = bench.get();
    bench.answer(granted(3600));
    bench.token(back);
    assert!(bench.served.contains_key(&A));
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn a_removed_account_leaves_its_place_at_the_host_free() {
    let mut bench = Bench::new();
    bench.host(100, secs(1), 1);
    let keys: Vec<_> = (1..=5).map(AccountKey).collect();
    for key in &keys {
        bench.adopt(*key, plan(), true, false);
    }
    bench.hold.insert(Step::Send);
    for key in &keys {
        bench.want(*key, Want::Get, None, 0, 600);
    }
    // One is in flight, four are in line; all but the last are removed.
    for key in &keys[..4] {
        bench.tell(Event::Remove(*key));
    }
    assert_eq!(bench.sent().len(), 1);
    bench.answer(granted(60));
    assert_eq!(bench.sent().last().map(|sent| sent.1), Some(AccountKey(5)));
    bench.answer(granted(60));
    let dropped = bench
        .log
        .iter()
        .filter(|(_, e)| matches!(e, Effect::Dropped(_)))
        .count();
    assert_eq!(dropped, 4);
}

#[test]
fn a_drain_lets_the_attempt_finish_answers_all_and_begins_nothing() {
    let mut bench = Bench::with(AccountPlan {
        attempts: rate(1, secs(60)),
        ..plan()
    });
    let other = AccountKey(2);
    bench.adopt(
        other,
        AccountPlan {
            attempts: rate(1, secs(60)),
            ..plan()
        },
        true,
        false,
    );
    bench.hold.insert(Step::Send);
    let runs = bench.want(A, Want::Get, None, 3600, 3600);
    bench.want(other, Want::Get, None, 3600, 3600);
    let queued = bench.enter(false);
    bench.tell(Event::Drain);
    assert_eq!(bench.fault(queued), WaiterFault::Draining);
    for late in [bench.get(), bench.enter(false), bench.forget()] {
        assert_eq!(bench.fault(late), WaiterFault::Draining);
    }
    assert!(!bench.engine.is_settled());
    bench.answer(granted(3600));
    bench.token(runs);
    bench.answer(ProviderAnswer::NotSent);
    assert!(
        bench.engine.is_settled(),
        "also after a failure nobody is left waiting"
    );
    bench.advance(secs(86_400));
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn who_waits_for_an_attempt_that_fails_in_a_drain_is_told_how_it_failed() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    let waiter = bench.want(A, Want::Get, None, 3600, 3600);
    bench.tell(Event::Drain);
    bench.answer(ProviderAnswer::NotSent);
    assert!(matches!(bench.fault(waiter), WaiterFault::Failed { .. }));
}

#[test]
fn whoever_leaves_counts_no_longer_and_nothing_begins_for_their_sake() {
    let mut bench = Bench::with(AccountPlan {
        attempts: rate(1, secs(600)),
        ..plan()
    });
    bench.hold.insert(Step::Send);
    let first = bench.get();
    bench.tell(Event::Left(A, first));
    assert_eq!(bench.view().waiters, 0);
    bench.hold.clear();
    bench.answer(granted(3600));
    assert!(bench.served.contains_key(&A), "what runs goes on");
    let second = bench.force(3600);
    assert_eq!(bench.view().waiters, 1, "it waits for the pace");
    bench.tell(Event::Left(A, second));
    bench.advance(secs(1200));
    assert_eq!(bench.sent().len(), 1);
    assert_eq!((bench.verdict(first), bench.verdict(second)), (None, None));
}

/// A token that is served still while a newer grant was born expired.
fn served_beside_one_born_expired() -> (Bench, tokend_engine::GrantId) {
    let mut bench = Bench::with(plan());
    let get = bench.get();
    let first = bench.token(get);
    bench.answers.push_back(granted(0));
    bench.force(0);
    assert_eq!(bench.served[&A].held.grant, first, "it is good still");
    assert_ne!(bench.store[&A].held.map(|held| held.grant), Some(first));
    (bench, first)
}

#[test]
fn forget_leaves_no_older_token_to_serve_where_a_newer_one_was_born_expired() {
    let (mut bench, _) = served_beside_one_born_expired();
    let forget = bench.forget();
    assert_eq!(bench.verdict(forget), Some(Verdict::Done));
    assert!(bench.served.is_empty());
}

#[test]
fn a_rejected_token_is_served_no_more_where_a_newer_one_was_born_expired() {
    let (mut bench, first) = served_beside_one_born_expired();
    let reported = bench.want(A, Want::Rejected(first), None, 600, 660);
    assert!(bench.served.is_empty(), "before another one is there");
    bench.advance(secs(600));
    assert_ne!(bench.token(reported), first);
}

#[test]
fn a_rejected_token_is_served_no_more_while_a_newer_one_is_being_stored() {
    let mut bench = Bench::with(plan());
    let get = bench.get();
    let first = bench.token(get);
    bench.hold.insert(Step::Commit);
    bench.force(0);
    let reported = bench.want(A, Want::Rejected(first), None, 0, 60);
    assert!(bench.served.is_empty());
    bench.hold.clear();
    bench.let_go();
    assert_ne!(bench.token(reported), first);
}

#[test]
fn a_report_of_an_older_token_leaves_the_one_that_is_served() {
    let mut bench = Bench::with(plan());
    let get = bench.get();
    let first = bench.token(get);
    let forced = bench.force(0);
    let second = bench.token(forced);
    bench.answers.push_back(granted(0));
    bench.force(0);
    bench.want(A, Want::Rejected(first), None, 0, 60);
    assert_eq!(bench.served[&A].held.grant, second);
}

#[test]
fn an_account_that_leaves_the_configuration_serves_no_older_token_either() {
    let (mut bench, _) = served_beside_one_born_expired();
    bench.hold.insert(Step::Send);
    bench.force(600);
    bench.advance(secs(600));
    bench.tell(Event::Remove(A));
    assert!(bench.served.is_empty());
}
