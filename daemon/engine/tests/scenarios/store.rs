//! A store that refuses.

use tokend_engine::{AttemptKind, Effect, Event, Fate, WaiterFault, Want};

use crate::harness::{A, Bench, Step, granted, plan, secs};

fn count(bench: &Bench, what: impl Fn(&Effect) -> bool) -> usize {
    bench.log.iter().filter(|(_, effect)| what(effect)).count()
}

#[test]
fn a_refused_intent_sends_nothing_costs_no_pace_and_recovers() {
    for step in [Step::Claim, Step::Record] {
        let mut bench = Bench::with(plan());
        bench.refuse.insert(step);
        let hasty = bench.get();
        assert!(
            matches!(bench.fault(hasty), WaiterFault::StoreUnavailable { retry } if retry > bench.at(0))
        );
        let patient = bench.want(A, Want::Get, None, 600, 600);
        bench.advance(secs(60));
        assert_eq!(bench.sent(), []);
        assert_eq!(bench.view().attempts.1, 100, "the pace is as it was");
        assert_eq!(
            bench.verdict(patient),
            None,
            "who waits long enough goes on waiting"
        );
        bench.refuse.clear();
        bench.advance(secs(60));
        bench.token(patient);
    }
}

#[test]
fn a_store_that_refuses_only_intents_is_not_asked_in_a_loop() {
    for step in [Step::Claim, Step::Record] {
        let mut bench = Bench::with(plan());
        bench.refuse.insert(step);
        bench.want(A, Want::Get, None, 3600, 3600);
        bench.advance(secs(3600));
        let claims = count(&bench, |effect| matches!(effect, Effect::Claim(..)));
        assert!(
            (5..=150).contains(&claims),
            "{claims} in an hour, refusing {step:?}"
        );
    }
}

#[test]
fn a_refused_outcome_is_served_from_memory_and_nothing_is_attempted_until_it_has_landed() {
    let mut bench = Bench::with(plan());
    bench.refuse.insert(Step::Commit);
    let waiter = bench.get();
    let grant = bench.token(waiter);
    assert!(bench.served[&A].unpersisted);
    let served = bench.get();
    assert_eq!(bench.token(served), grant);
    let forced = bench.force(0);
    assert!(matches!(
        bench.fault(forced),
        WaiterFault::StoreUnavailable { .. }
    ));
    let rejecter = bench.want(A, Want::Rejected(grant), None, 0, 60);
    assert!(matches!(
        bench.fault(rejecter),
        WaiterFault::StoreUnavailable { .. }
    ));
    bench.advance(secs(7200));
    assert_eq!(bench.sent().len(), 1);
    assert!(!bench.engine.is_settled());
    let commits = count(&bench, |effect| matches!(effect, Effect::Commit(..)));
    assert!(
        (200..=300).contains(&commits),
        "{commits} tries in two hours"
    );
    bench.refuse.clear();
    bench.advance(secs(60));
    assert!(
        bench.store[&A].refresh.is_some(),
        "the refresh token has landed"
    );
    assert!(bench.engine.is_settled());
    let next = bench.get();
    bench.token(next);
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
}

#[test]
fn a_token_served_from_memory_is_called_stored_once_it_is() {
    let mut bench = Bench::with(plan());
    bench.refuse.insert(Step::Commit);
    bench.get();
    assert!(bench.served[&A].unpersisted);
    bench.refuse.clear();
    bench.advance(secs(1));
    assert!(!bench.served[&A].unpersisted);
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn a_refused_change_does_not_make_a_stored_token_look_unstored() {
    let mut bench = Bench::with(plan());
    bench.get();
    bench.refuse.insert(Step::Commit);
    bench
        .answers
        .push_back(tokend_engine::ProviderAnswer::CredentialRejected);
    bench.enter(false);
    bench.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    assert!(!bench.served[&A].unpersisted);
}

#[test]
fn a_refused_failure_waits_for_the_store_before_the_next_attempt() {
    let mut bench = Bench::with(plan());
    bench
        .answers
        .push_back(tokend_engine::ProviderAnswer::NotSent);
    bench.refuse.insert(Step::Commit);
    let patient = bench.want(A, Want::Get, None, 7200, 7200);
    bench.advance(secs(3600));
    assert_eq!(bench.sent().len(), 1);
    bench.refuse.clear();
    bench.advance(secs(60));
    bench.token(patient);
}

#[test]
fn a_wish_the_store_refuses_is_told_at_once_and_still_carried_out() {
    let mut bench = Bench::with(plan());
    bench.refuse.insert(Step::Commit);
    let entered = bench.enter(false);
    assert!(matches!(
        bench.fault(entered),
        WaiterFault::StoreUnavailable { .. }
    ));
    let second = bench.enter(false);
    let forget = bench.forget();
    assert!(
        matches!(bench.fault(second), WaiterFault::StoreUnavailable { .. }),
        "it was not begun"
    );
    assert!(matches!(
        bench.fault(forget),
        WaiterFault::StoreUnavailable { .. }
    ));
    bench.refuse.clear();
    bench.advance(secs(60));
    let commits: Vec<_> = bench
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
    assert!(bench.engine.is_settled());
}

#[test]
fn a_drain_with_a_store_that_refuses_leaves_nobody_waiting() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    bench.refuse.insert(Step::Commit);
    let waiter = bench.want(A, Want::Get, None, 3600, 3600);
    bench.tell(Event::Drain);
    bench.answer(tokend_engine::ProviderAnswer::NotSent);
    assert!(matches!(
        bench.fault(waiter),
        WaiterFault::StoreUnavailable { .. }
    ));
    bench.refuse.clear();
    bench.advance(secs(60));
    assert!(bench.engine.is_settled());
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn one_account_whose_write_is_slow_delays_no_other() {
    let mut bench = Bench::with(plan());
    let other = tokend_engine::AccountKey(2);
    bench.adopt(other, plan(), true, false);
    bench.hold.insert(Step::Commit);
    bench.get();
    bench.hold.clear();
    let waiter = bench.want(other, Want::Get, None, 0, 60);
    bench.token(waiter);
    bench.answers.push_back(granted(60));
    bench.let_go();
}
