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

use crate::harness::{A, Desk, Step, granted, plan, secs};

#[test]
fn the_engine_never_sees_a_secret() {
    // Everything that goes in and comes out can be printed; the types have no place for text at all, which this spells out by
    // printing one exchange: only words of the engine and numbers appear.
    let mut desk = Desk::with(plan());
    let waiter = desk.get();
    desk.token(waiter);
    let printed = format!("{:?}", desk.log);
    assert!(
        printed.contains("Claim") && printed.contains("Publish"),
        "{printed}"
    );
    assert!(!printed.contains('"'), "text appears: {printed}");
}

#[test]
fn the_engine_cannot_fail_an_event_for_a_finished_attempt_is_a_no_op() {
    let mut desk = Desk::with(plan());
    desk.get();
    let (before, done) = (desk.view(), desk.log.len());
    for id in [0, 1, 2, u64::MAX].map(AttemptId) {
        desk.tell(Event::Claimed(A, id, Ok(())));
        desk.tell(Event::Recorded(A, id, Ok(())));
        desk.tell(Event::Answered(A, id, ProviderAnswer::CredentialRejected));
        desk.tell(Event::Answered(A, id, granted(1)));
        desk.tell(Event::Committed(A, Ok(())));
    }
    assert_eq!(desk.log.len(), done, "nothing is done for what is over");
    assert_eq!(desk.view(), before);
}

#[test]
fn at_most_one_attempt_per_account_exists() {
    let mut desk = Desk::with(plan());
    for step in [Step::Claim, Step::Record, Step::Send, Step::Commit] {
        desk.hold.insert(step);
        for want in [Want::Get, Want::Forced, Want::Rejected(GrantId(99))] {
            desk.want(A, want, None, 600, 600);
        }
        desk.advance(secs(30));
        let claims = desk
            .log
            .iter()
            .filter(|(_, effect)| matches!(effect, Effect::Claim(..)));
        assert_eq!(claims.count(), 1, "while held at {step:?}");
        desk.hold.remove(&step);
        match step {
            Step::Send => {}
            _ => desk.hold.extend(
                [Step::Record, Step::Send, Step::Commit]
                    .iter()
                    .filter(|next| **next > step),
            ),
        }
        desk.let_go();
        if step == Step::Send {
            assert_eq!(desk.sent().len(), 1);
        }
    }
    assert_eq!(desk.sent().len(), 1, "all of them got the same one");
}

#[test]
fn nothing_is_sent_before_its_intent_and_its_debit_are_durable() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Record);
    let waiter = desk.want(A, Want::Get, None, 0, 600);
    desk.advance(secs(300));
    assert_eq!(desk.sent(), []);
    let Some(Effect::Record(_, id, durable)) = desk.held.front().cloned() else {
        panic!("the intent is to be stored: {:?}", desk.held);
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
    desk.hold.clear();
    desk.let_go();
    assert_eq!(desk.kinds(), [AttemptKind::Login]);
    desk.token(waiter);
}

#[test]
fn nothing_is_published_before_its_refresh_token_is_durable() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Commit);
    let first = desk.get();
    // Whoever comes while the grant is being stored must not see it either, however they come.
    let second = desk.get();
    desk.tell(Event::Remove(A));
    desk.adopt(A, plan(), true, false);
    let third = desk.get();
    desk.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    desk.advance(secs(1));
    assert!(desk.served.is_empty());
    assert_eq!(
        desk.fault(first),
        WaiterFault::Gone,
        "it waited for an account that was removed"
    );
    assert_eq!(desk.fault(second), WaiterFault::Gone);
    assert_eq!(desk.verdict(third), None);
    desk.hold.clear();
    desk.let_go();
    let grant = desk.token(third);
    assert_eq!(desk.served[&A].held.grant, grant);
    assert!(!desk.served[&A].unpersisted);
    let published = desk.position(0, |effect| matches!(effect, Effect::Publish(..)));
    let settled = desk.position(0, |effect| {
        matches!(effect, Effect::Settle(_, Verdict::Token(_)))
    });
    assert!(published < settled, "a token is served before it is told");
    assert_eq!(desk.sent().len(), 1);
}

#[test]
fn an_attempt_that_was_sent_is_never_given_up() {
    // Not by a waiter that goes away, not by removal, not by a drain.
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    let waiter = desk.get();
    desk.advance(secs(120));
    assert_eq!(desk.fault(waiter), WaiterFault::TimedOut);
    desk.tell(Event::Remove(A));
    desk.tell(Event::Drain);
    desk.advance(secs(120));
    assert!(!desk.engine.is_settled());
    assert!(
        !desk
            .log
            .iter()
            .any(|(_, e)| matches!(e, Effect::Dropped(_) | Effect::Release(..)))
    );
    desk.answer(granted(3600));
    assert!(
        desk.store[&A].refresh.is_some(),
        "what it brought is stored"
    );
    assert!(
        desk.served.is_empty(),
        "and not served, because the account is gone"
    );
    assert!(matches!(desk.log.last(), Some((_, Effect::Dropped(A)))));
    assert!(desk.engine.is_settled());
}

#[test]
fn every_waiter_is_settled_exactly_once() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    let patient: Vec<_> = (0..50)
        .map(|_| desk.want(A, Want::Get, None, 0, 600))
        .collect();
    let hasty = desk.want(A, Want::Get, None, 0, 5);
    let spoilt = desk.want(A, Want::Get, Some(secs(7200)), 0, 600);
    desk.advance(secs(10));
    assert_eq!(desk.fault(hasty), WaiterFault::TimedOut);
    desk.answer(granted(3600));
    desk.advance(secs(1000));
    // `verdict` asserts that there is one and only one.
    for waiter in patient {
        desk.token(waiter);
    }
    assert!(matches!(
        desk.fault(spoilt),
        WaiterFault::Unattainable { .. }
    ));
    assert_eq!(desk.sent().len(), 1);
    let nobody = desk.want(tokend_engine::AccountKey(99), Want::Get, None, 0, 5);
    assert_eq!(desk.fault(nobody), WaiterFault::Gone);
}

#[test]
fn a_rejected_credential_is_not_tried_again_until_something_changes() {
    let rejected = WaiterFault::LoginRequired(Missing::CredentialRejected);
    let mut desk = Desk::with(plan());
    desk.answers.push_back(ProviderAnswer::CredentialRejected);
    let first = desk.want(A, Want::Get, None, 3600, 3600);
    assert_eq!(desk.fault(first), rejected);
    for _ in 0..10 {
        let again = desk.want(A, Want::Get, None, 3600, 3600);
        assert_eq!(desk.fault(again), rejected);
        desk.advance(secs(86_400));
    }
    desk.crash(plan(), true, false);
    let after_restart = desk.get();
    assert_eq!(desk.fault(after_restart), rejected);
    assert_eq!(desk.sent().len(), 1);
    // Something changes: the secret, seen at a reload.
    desk.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    let cured = desk.get();
    desk.token(cured);
    assert_eq!(desk.sent().len(), 2);
}
