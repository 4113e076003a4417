//! Entering, forgetting, removing, draining: what persons want while something runs.

use tokend_engine::{
    AccountKey, AccountPlan, AttemptKind, Effect, Event, Fate, Missing, ProviderAnswer, Verdict,
    WaiterFault, Want,
};

use crate::harness::{A, Desk, Step, granted, plan, rate, secs};

#[test]
fn wishes_wait_for_the_attempt_in_flight_and_are_done_in_order() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    let get = desk.get();
    let forget = desk.forget();
    let entered = desk.enter(true);
    assert_eq!((desk.verdict(forget), desk.verdict(entered)), (None, None));
    desk.hold.clear();
    desk.answer(granted(3600));
    desk.token(get);
    assert_eq!(desk.verdict(forget), Some(Verdict::Done));
    desk.token(entered);
    let commits: Vec<_> = desk
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
        desk.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh],
        "what was entered was tried"
    );
}

#[test]
fn forget_leaves_nothing_to_serve_or_to_log_in_with() {
    let mut desk = Desk::with(plan());
    desk.get();
    let forget = desk.forget();
    assert_eq!(desk.verdict(forget), Some(Verdict::Done));
    assert!(desk.served.is_empty());
    let durable = &desk.store[&A];
    assert_eq!((durable.held, durable.refresh), (None, None));
    let get = desk.get();
    assert_eq!(
        desk.fault(get),
        WaiterFault::LoginRequired(Missing::NoCredential)
    );
}

#[test]
fn a_wish_does_not_wait_for_the_line_of_the_host() {
    let mut desk = Desk::with(plan());
    let other = AccountKey(2);
    desk.adopt(other, plan(), true, false);
    desk.host(100, secs(1), 1);
    desk.hold.insert(Step::Send);
    desk.want(other, Want::Get, None, 0, 600);
    let inline = desk.get();
    let forget = desk.forget();
    assert_eq!(desk.verdict(forget), Some(Verdict::Done));
    assert_eq!(
        desk.fault(inline),
        WaiterFault::LoginRequired(Missing::NoCredential)
    );
}

#[test]
fn a_credential_that_is_entered_is_answered_in_time() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    desk.get();
    let behind_an_attempt = desk.enter(false);
    desk.advance(secs(61));
    assert_eq!(desk.fault(behind_an_attempt), WaiterFault::TimedOut);
    desk.answer(granted(3600));
    let tried = |desk: &Desk| {
        desk.position(
            0,
            |e| matches!(e, Effect::Claim(_, _, _, entered) if entered.is_some()),
        )
    };
    assert_eq!(tried(&desk), None, "what was not begun is not done");
    let being_tried = desk.enter(false);
    desk.advance(secs(61));
    assert_eq!(desk.fault(being_tried), WaiterFault::TimedOut);
    desk.hold.insert(Step::Commit);
    desk.answer(granted(3600));
    let being_stored = desk.position(
        0,
        |e| matches!(e, Effect::Commit(_, commit) if commit.fate == Some(Fate::Takes)),
    );
    assert!(
        being_stored.is_some(),
        "nobody waits for it, and it goes on"
    );
    desk.hold.clear();
    desk.let_go();
    assert!(desk.engine.is_settled());
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn an_account_that_comes_back_in_mid_attempt_is_served_again() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    let first = desk.get();
    desk.tell(Event::Remove(A));
    assert_eq!(desk.fault(first), WaiterFault::Gone);
    let absent = desk.get();
    assert_eq!(desk.fault(absent), WaiterFault::Gone);
    let entered = desk.enter(true);
    assert_eq!(desk.fault(entered), WaiterFault::Gone);
    desk.adopt(A, plan(), true, false);
    let back = desk.get();
    desk.answer(granted(3600));
    desk.token(back);
    assert!(desk.served.contains_key(&A));
    assert_eq!(desk.sent().len(), 1);
}

#[test]
fn a_removed_account_leaves_its_place_at_the_host_free() {
    let mut desk = Desk::new();
    desk.host(100, secs(1), 1);
    let keys: Vec<_> = (1..=5).map(AccountKey).collect();
    for key in &keys {
        desk.adopt(*key, plan(), true, false);
    }
    desk.hold.insert(Step::Send);
    for key in &keys {
        desk.want(*key, Want::Get, None, 0, 600);
    }
    // One is in flight, four are in line; all but the last are removed.
    for key in &keys[..4] {
        desk.tell(Event::Remove(*key));
    }
    assert_eq!(desk.sent().len(), 1);
    desk.answer(granted(60));
    assert_eq!(desk.sent().last().map(|sent| sent.1), Some(AccountKey(5)));
    desk.answer(granted(60));
    let dropped = desk
        .log
        .iter()
        .filter(|(_, e)| matches!(e, Effect::Dropped(_)))
        .count();
    assert_eq!(dropped, 4);
}

#[test]
fn a_drain_lets_the_attempt_finish_answers_all_and_begins_nothing() {
    let mut desk = Desk::with(AccountPlan {
        attempts: rate(1, secs(60)),
        ..plan()
    });
    let other = AccountKey(2);
    desk.adopt(
        other,
        AccountPlan {
            attempts: rate(1, secs(60)),
            ..plan()
        },
        true,
        false,
    );
    desk.hold.insert(Step::Send);
    let runs = desk.want(A, Want::Get, None, 3600, 3600);
    desk.want(other, Want::Get, None, 3600, 3600);
    let queued = desk.enter(false);
    desk.tell(Event::Drain);
    assert_eq!(desk.fault(queued), WaiterFault::Draining);
    for late in [desk.get(), desk.enter(false), desk.forget()] {
        assert_eq!(desk.fault(late), WaiterFault::Draining);
    }
    assert!(!desk.engine.is_settled());
    desk.answer(granted(3600));
    desk.token(runs);
    desk.answer(ProviderAnswer::NotSent);
    assert!(
        desk.engine.is_settled(),
        "also after a failure nobody is left waiting"
    );
    desk.advance(secs(86_400));
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn who_waits_for_an_attempt_that_fails_in_a_drain_is_told_how_it_failed() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    let waiter = desk.want(A, Want::Get, None, 3600, 3600);
    desk.tell(Event::Drain);
    desk.answer(ProviderAnswer::NotSent);
    assert!(matches!(desk.fault(waiter), WaiterFault::Failed { .. }));
}

#[test]
fn whoever_leaves_counts_no_longer_and_nothing_begins_for_their_sake() {
    let mut desk = Desk::with(AccountPlan {
        attempts: rate(1, secs(600)),
        ..plan()
    });
    desk.hold.insert(Step::Send);
    let first = desk.get();
    desk.tell(Event::Left(A, first));
    assert_eq!(desk.view().waiters, 0);
    desk.hold.clear();
    desk.answer(granted(3600));
    assert!(desk.served.contains_key(&A), "what runs goes on");
    let second = desk.force(3600);
    assert_eq!(desk.view().waiters, 1, "it waits for the pace");
    desk.tell(Event::Left(A, second));
    desk.advance(secs(1200));
    assert_eq!(desk.sent().len(), 1);
    assert_eq!((desk.verdict(first), desk.verdict(second)), (None, None));
}

/// A token that is served still while a newer grant was born expired.
fn served_beside_one_born_expired() -> (Desk, tokend_engine::GrantId) {
    let mut desk = Desk::with(plan());
    let get = desk.get();
    let first = desk.token(get);
    desk.answers.push_back(granted(0));
    desk.force(0);
    assert_eq!(desk.served[&A].held.grant, first, "it is good still");
    assert_ne!(desk.store[&A].held.map(|held| held.grant), Some(first));
    (desk, first)
}

#[test]
fn forget_leaves_no_older_token_to_serve_where_a_newer_one_was_born_expired() {
    let (mut desk, _) = served_beside_one_born_expired();
    let forget = desk.forget();
    assert_eq!(desk.verdict(forget), Some(Verdict::Done));
    assert!(desk.served.is_empty());
}

#[test]
fn a_rejected_token_is_served_no_more_where_a_newer_one_was_born_expired() {
    let (mut desk, first) = served_beside_one_born_expired();
    let reported = desk.want(A, Want::Rejected(first), None, 600, 660);
    assert!(desk.served.is_empty(), "before another one is there");
    desk.advance(secs(600));
    assert_ne!(desk.token(reported), first);
}

#[test]
fn a_rejected_token_is_served_no_more_while_a_newer_one_is_being_stored() {
    let mut desk = Desk::with(plan());
    let get = desk.get();
    let first = desk.token(get);
    desk.hold.insert(Step::Commit);
    desk.force(0);
    let reported = desk.want(A, Want::Rejected(first), None, 0, 60);
    assert!(desk.served.is_empty());
    desk.hold.clear();
    desk.let_go();
    assert_ne!(desk.token(reported), first);
}

#[test]
fn a_report_of_an_older_token_leaves_the_one_that_is_served() {
    let mut desk = Desk::with(plan());
    let get = desk.get();
    let first = desk.token(get);
    let forced = desk.force(0);
    let second = desk.token(forced);
    desk.answers.push_back(granted(0));
    desk.force(0);
    desk.want(A, Want::Rejected(first), None, 0, 60);
    assert_eq!(desk.served[&A].held.grant, second);
}

#[test]
fn an_account_that_leaves_the_configuration_serves_no_older_token_either() {
    let (mut desk, _) = served_beside_one_born_expired();
    desk.hold.insert(Step::Send);
    desk.force(600);
    desk.advance(secs(600));
    desk.tell(Event::Remove(A));
    assert!(desk.served.is_empty());
}
