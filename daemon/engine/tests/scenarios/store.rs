//! A store that refuses.

use tokend_engine::{AttemptKind, Effect, Event, Fate, WaiterFault, Want};

use crate::harness::{A, Desk, Step, granted, plan, secs};

fn count(desk: &Desk, what: impl Fn(&Effect) -> bool) -> usize {
    desk.log.iter().filter(|(_, effect)| what(effect)).count()
}

#[test]
fn a_refused_intent_sends_nothing_costs_no_pace_and_recovers() {
    for step in [Step::Claim, Step::Record] {
        let mut desk = Desk::with(plan());
        desk.refuse.insert(step);
        let hasty = desk.get();
        assert!(
            matches!(desk.fault(hasty), WaiterFault::StoreUnavailable { retry } if retry > desk.at(0))
        );
        let patient = desk.want(A, Want::Get, None, 600, 600);
        desk.advance(secs(60));
        assert_eq!(desk.sent(), []);
        assert_eq!(desk.view().attempts.1, 100, "the pace is as it was");
        assert_eq!(
            desk.verdict(patient),
            None,
            "who waits long enough goes on waiting"
        );
        desk.refuse.clear();
        desk.advance(secs(60));
        desk.token(patient);
    }
}

#[test]
fn a_store_that_refuses_only_intents_is_not_asked_in_a_loop() {
    for step in [Step::Claim, Step::Record] {
        let mut desk = Desk::with(plan());
        desk.refuse.insert(step);
        desk.want(A, Want::Get, None, 3600, 3600);
        desk.advance(secs(3600));
        let claims = count(&desk, |effect| matches!(effect, Effect::Claim(..)));
        assert!(
            (5..=150).contains(&claims),
            "{claims} in an hour, refusing {step:?}"
        );
    }
}

#[test]
fn a_refused_outcome_is_served_from_memory_and_nothing_is_attempted_until_it_has_landed() {
    let mut desk = Desk::with(plan());
    desk.refuse.insert(Step::Commit);
    let waiter = desk.get();
    let grant = desk.token(waiter);
    assert!(desk.served[&A].unpersisted);
    let served = desk.get();
    assert_eq!(desk.token(served), grant);
    let forced = desk.force(0);
    assert!(matches!(
        desk.fault(forced),
        WaiterFault::StoreUnavailable { .. }
    ));
    let rejecter = desk.want(A, Want::Rejected(grant), None, 0, 60);
    assert!(matches!(
        desk.fault(rejecter),
        WaiterFault::StoreUnavailable { .. }
    ));
    desk.advance(secs(7200));
    assert_eq!(desk.sent().len(), 1);
    assert!(!desk.engine.is_settled());
    let commits = count(&desk, |effect| matches!(effect, Effect::Commit(..)));
    assert!(
        (200..=300).contains(&commits),
        "{commits} tries in two hours"
    );
    desk.refuse.clear();
    desk.advance(secs(60));
    assert!(
        desk.store[&A].refresh.is_some(),
        "the refresh token has landed"
    );
    assert!(desk.engine.is_settled());
    let next = desk.get();
    desk.token(next);
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
}

#[test]
fn a_token_served_from_memory_is_called_stored_once_it_is() {
    let mut desk = Desk::with(plan());
    desk.refuse.insert(Step::Commit);
    desk.get();
    assert!(desk.served[&A].unpersisted);
    desk.refuse.clear();
    desk.advance(secs(1));
    assert!(!desk.served[&A].unpersisted);
    assert_eq!(desk.sent().len(), 1);
}

#[test]
fn a_refused_change_does_not_make_a_stored_token_look_unstored() {
    let mut desk = Desk::with(plan());
    desk.get();
    desk.refuse.insert(Step::Commit);
    desk.answers
        .push_back(tokend_engine::ProviderAnswer::CredentialRejected);
    desk.enter(false);
    desk.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    assert!(!desk.served[&A].unpersisted);
}

#[test]
fn a_refused_failure_waits_for_the_store_before_the_next_attempt() {
    let mut desk = Desk::with(plan());
    desk.answers
        .push_back(tokend_engine::ProviderAnswer::NotSent);
    desk.refuse.insert(Step::Commit);
    let patient = desk.want(A, Want::Get, None, 7200, 7200);
    desk.advance(secs(3600));
    assert_eq!(desk.sent().len(), 1);
    desk.refuse.clear();
    desk.advance(secs(60));
    desk.token(patient);
}

#[test]
fn a_wish_the_store_refuses_is_told_at_once_and_still_carried_out() {
    let mut desk = Desk::with(plan());
    desk.refuse.insert(Step::Commit);
    let entered = desk.enter(false);
    assert!(matches!(
        desk.fault(entered),
        WaiterFault::StoreUnavailable { .. }
    ));
    let second = desk.enter(false);
    let forget = desk.forget();
    assert!(
        matches!(desk.fault(second), WaiterFault::StoreUnavailable { .. }),
        "it was not begun"
    );
    assert!(matches!(
        desk.fault(forget),
        WaiterFault::StoreUnavailable { .. }
    ));
    desk.refuse.clear();
    desk.advance(secs(60));
    let commits: Vec<_> = desk
        .log
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Commit(_, commit) => Some((commit.fate, commit.forget)),
            _ => None,
        })
        .collect();
    assert!(
        commits
            .iter()
            .all(|commit| *commit == (Some(Fate::Takes), false)),
        "{commits:?}"
    );
    assert!(desk.engine.is_settled());
}

#[test]
fn a_drain_with_a_store_that_refuses_leaves_nobody_waiting() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    desk.refuse.insert(Step::Commit);
    let waiter = desk.want(A, Want::Get, None, 3600, 3600);
    desk.tell(Event::Drain);
    desk.answer(tokend_engine::ProviderAnswer::NotSent);
    assert!(matches!(
        desk.fault(waiter),
        WaiterFault::StoreUnavailable { .. }
    ));
    desk.refuse.clear();
    desk.advance(secs(60));
    assert!(desk.engine.is_settled());
    assert_eq!(desk.sent().len(), 1);
}

#[test]
fn one_account_whose_write_is_slow_delays_no_other() {
    let mut desk = Desk::with(plan());
    let other = tokend_engine::AccountKey(2);
    desk.adopt(other, plan(), true, false);
    desk.hold.insert(Step::Commit);
    desk.get();
    desk.hold.clear();
    let waiter = desk.want(other, Want::Get, None, 0, 60);
    desk.token(waiter);
    desk.answers.push_back(granted(60));
    desk.let_go();
}
