//! The invariants the crate promises, each by the name it has in the crate's documentation, and scenarios beside them.
#![expect(
    clippy::indexing_slicing,
    reason = "a test that expects too much may stop loudly"
)]

mod harness;
mod scenarios;

use tokend_engine::{
    AttemptId, AttemptKind, Effect, Event, GrantId, Missing, ProviderAnswer, Verdict, WaiterFault,
    Want,
};

use crate::harness::{A, Bench, Step, granted, plan, secs};

#[test]
fn the_engine_never_sees_a_secret() {
    // Everything that goes in and comes out can be printed; the types have no place for text at all, which this spells out by
    // printing one exchange: only words of the engine and numbers appear.
    let mut bench = Bench::with(plan());
    let waiter = bench.get();
    bench.token(waiter);
    let printed = format!("{:?}", bench.log);
    assert!(
        printed.contains("Claim") && printed.contains("Publish"),
        "{printed}"
    );
    assert!(!printed.contains('"'), "text appears: {printed}");
}

#[test]
fn the_engine_cannot_fail_an_event_for_a_finished_attempt_is_a_no_op() {
    let mut bench = Bench::with(plan());
    bench.get();
    let (before, done) = (bench.view(), bench.log.len());
    for id in [0, 1, 2, u64::MAX].map(AttemptId) {
        bench.tell(Event::Claimed(A, id, Ok(())));
        bench.tell(Event::Recorded(A, id, Ok(())));
        bench.tell(Event::Answered(A, id, ProviderAnswer::CredentialRejected));
        bench.tell(Event::Answered(A, id, granted(1)));
        bench.tell(Event::Committed(A, Ok(())));
    }
    assert_eq!(bench.log.len(), done, "nothing is done for what is over");
    assert_eq!(bench.view(), before);
}

#[test]
fn at_most_one_attempt_per_account_exists() {
    let mut bench = Bench::with(plan());
    for step in [Step::Claim, Step::Record, Step::Send, Step::Commit] {
        bench.hold.insert(step);
        for want in [Want::Get, Want::Forced, Want::Rejected(GrantId(99))] {
            bench.want(A, want, None, 600, 600);
        }
        bench.advance(secs(30));
        let claims = bench
            .log
            .iter()
            .filter(|(_, effect)| matches!(effect, Effect::Claim(..)));
        assert_eq!(claims.count(), 1, "while held at {step:?}");
        bench.hold.remove(&step);
        match step {
            Step::Send => {}
            _ => bench.hold.extend(
                [Step::Record, Step::Send, Step::Commit]
                    .iter()
                    .filter(|next| **next > step),
            ),
        }
        bench.let_go();
        if step == Step::Send {
            assert_eq!(bench.sent().len(), 1);
        }
    }
    assert_eq!(bench.sent().len(), 1, "all of them got the same one");
}

#[test]
fn nothing_is_sent_before_its_intent_and_its_debit_are_durable() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Record);
    let waiter = bench.want(A, Want::Get, None, 0, 600);
    bench.advance(secs(300));
    assert_eq!(bench.sent(), []);
    let Some(Effect::Record(_, id, durable)) = bench.held.front().cloned() else {
        panic!("the intent is to be stored: {:?}", bench.held);
    };
    assert_eq!(durable.intent.map(|intent| intent.attempt), Some(id));
    assert!(
        durable.attempts > tokend_engine::Tat::default(),
        "the debit is in it"
    );
    assert!(
        durable.logins > tokend_engine::Tat::default(),
        "also that of logins"
    );
    bench.hold.clear();
    bench.let_go();
    assert_eq!(bench.kinds(), [AttemptKind::Login]);
    bench.token(waiter);
}

#[test]
fn nothing_is_published_before_its_refresh_token_is_durable() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Commit);
    let first = bench.get();
    // Whoever comes while the grant is being stored must not see it either, however they come.
    let second = bench.get();
    bench.tell(Event::Remove(A));
    bench.adopt(A, plan(), true, false);
    let third = bench.get();
    bench.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    bench.advance(secs(1));
    assert!(bench.served.is_empty());
    assert_eq!(
        bench.fault(first),
        WaiterFault::Gone,
        "it waited for an account that was removed"
    );
    assert_eq!(bench.fault(second), WaiterFault::Gone);
    assert_eq!(bench.verdict(third), None);
    bench.hold.clear();
    bench.let_go();
    let grant = bench.token(third);
    assert_eq!(bench.served[&A].held.grant, grant);
    assert!(!bench.served[&A].unpersisted);
    let published = bench.position(0, |effect| matches!(effect, Effect::Publish(..)));
    let settled = bench.position(0, |effect| {
        matches!(effect, Effect::Settle(_, Verdict::Token(_)))
    });
    assert!(
        published < settled,
        "a token is served before its waiter has it"
    );
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn an_attempt_that_was_sent_is_never_given_up() {
    // Not by a waiter that goes away, not by removal, not by a drain.
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    let waiter = bench.get();
    bench.advance(secs(120));
    assert_eq!(bench.fault(waiter), WaiterFault::TimedOut);
    bench.tell(Event::Remove(A));
    bench.tell(Event::Drain);
    bench.advance(secs(120));
    assert!(!bench.engine.is_settled());
    assert!(
        !bench
            .log
            .iter()
            .any(|(_, e)| matches!(e, Effect::Dropped(_) | Effect::Release(..)))
    );
    bench.answer(granted(3600));
    assert!(
        bench.store[&A].refresh.is_some(),
        "what it brought is stored"
    );
    assert!(
        bench.served.is_empty(),
        "and not served, because the account is gone"
    );
    assert!(matches!(bench.log.last(), Some((_, Effect::Dropped(A)))));
    assert!(bench.engine.is_settled());
}

#[test]
fn every_waiter_is_settled_exactly_once() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    let patient: Vec<_> = (0..50)
        .map(|_| bench.want(A, Want::Get, None, 0, 600))
        .collect();
    let hasty = bench.want(A, Want::Get, None, 0, 5);
    let spoilt = bench.want(A, Want::Get, Some(secs(7200)), 0, 600);
    bench.advance(secs(10));
    assert_eq!(bench.fault(hasty), WaiterFault::TimedOut);
    bench.answer(granted(3600));
    bench.advance(secs(1000));
    // `verdict` asserts that there is one and only one.
    for waiter in patient {
        bench.token(waiter);
    }
    assert!(matches!(
        bench.fault(spoilt),
        WaiterFault::Unattainable { .. }
    ));
    assert_eq!(bench.sent().len(), 1);
    let nobody = bench.want(tokend_engine::AccountKey(99), Want::Get, None, 0, 5);
    assert_eq!(bench.fault(nobody), WaiterFault::Gone);
}

#[test]
fn a_rejected_credential_is_not_tried_again_until_something_changes() {
    let rejected = WaiterFault::LoginRequired(Missing::CredentialRejected);
    let mut bench = Bench::with(plan());
    bench.answers.push_back(ProviderAnswer::CredentialRejected);
    let first = bench.want(A, Want::Get, None, 3600, 3600);
    assert_eq!(bench.fault(first), rejected);
    for _ in 0..10 {
        let again = bench.want(A, Want::Get, None, 3600, 3600);
        assert_eq!(bench.fault(again), rejected);
        bench.advance(secs(86_400));
    }
    bench.crash(plan(), true, false);
    let after_restart = bench.get();
    assert_eq!(bench.fault(after_restart), rejected);
    assert_eq!(bench.sent().len(), 1);
    // Something changes: the secret, seen at a reload.
    bench.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    let cured = bench.get();
    bench.token(cured);
    assert_eq!(bench.sent().len(), 2);
}
