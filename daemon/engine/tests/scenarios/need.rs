//! An account that is to be kept fresh: as long as there is something to obtain a token with, and none, it is tried again, whatever
//! happened last and whether or not somebody asks.

use tokend_engine::{
    AccountPlan, AttemptKind, ClaimRefusal, Effect, Event, Keeping, ProviderAnswer, RefreshPolicy,
    Reuse, Want,
};

use crate::harness::{A, Desk, Step, granted, plan, rate, secs};

const FAILED: ProviderAnswer = ProviderAnswer::Misbehaved {
    maybe_processed: false,
};

fn always() -> AccountPlan {
    AccountPlan {
        refresh: RefreshPolicy::Always,
        ..plan()
    }
}

/// A desk whose account has nothing but what is entered.
fn poor() -> Desk {
    let mut desk = Desk::new();
    desk.adopt(A, always(), false, false);
    desk
}

fn is_served(desk: &Desk) -> bool {
    desk.served
        .get(&A)
        .is_some_and(|served| served.held.is_good(desk.at(0), None))
}

#[test]
fn a_pasted_refresh_token_whose_first_use_fails_is_tried_again() {
    for failure in [
        FAILED,
        ProviderAnswer::NotSent,
        ProviderAnswer::Busy { retry_after: None },
        ProviderAnswer::Busy {
            retry_after: Some(secs(120)),
        },
        ProviderAnswer::Unrecognised,
    ] {
        let mut desk = poor();
        desk.answers.extend([failure; 2]);
        let entered = desk.enter(true);
        assert_eq!(desk.unproven(entered).1, Keeping::InPlace);
        desk.advance(secs(600));
        assert_eq!(desk.kinds(), [AttemptKind::Refresh; 3], "{failure:?}");
        assert!(is_served(&desk), "{failure:?}");
    }
}

#[test]
fn failures_until_after_the_end_of_the_token_are_followed_by_more() {
    let mut desk = poor();
    desk.answers.push_back(granted(60));
    let entered = desk.enter(true);
    desk.token(entered);
    desk.answers.extend([FAILED; 12]);
    desk.advance(secs(3600));
    assert!(is_served(&desk), "{:?}", desk.sent());
}

#[test]
fn a_restart_in_the_middle_of_failures_goes_on() {
    let mut desk = poor();
    desk.answers.extend([FAILED; 3]);
    desk.enter(true);
    for _ in 0..3 {
        desk.crash(always(), false, false);
        desk.advance(secs(60));
    }
    assert!(is_served(&desk));
}

#[test]
fn what_was_forgotten_and_entered_again_is_tried_again() {
    let mut desk = poor();
    let entered = desk.enter(true);
    desk.token(entered);
    desk.forget();
    desk.advance(secs(86_400));
    assert_eq!(desk.sent().len(), 1, "with nothing there is nothing to do");
    desk.answers.extend([FAILED; 2]);
    desk.enter(true);
    desk.advance(secs(60));
    assert!(is_served(&desk));
}

#[test]
fn a_doubt_is_followed_by_what_is_safe() {
    let reuse = Reuse::Rotates;
    let mut desk = Desk::new();
    desk.adopt(A, AccountPlan { reuse, ..always() }, false, false);
    desk.answers.extend([ProviderAnswer::MaybeSent; 2]);
    desk.enter(true);
    desk.advance(secs(60));
    assert_eq!(desk.kinds(), [AttemptKind::Refresh; 3]);
    assert!(is_served(&desk));
}

#[test]
fn a_store_that_refused_is_followed_by_an_attempt_when_it_writes_again() {
    let mut desk = poor();
    let entered = desk.enter(true);
    desk.token(entered);
    let before = desk.sent().len();
    desk.refuse.insert(Step::Record);
    let held = desk.served.get(&A).map(|served| served.held.grant);
    desk.want(A, Want::Rejected(held.unwrap_or_default()), None, 0, 1);
    desk.advance(secs(60));
    assert_eq!(desk.sent().len(), before);
    desk.refuse.clear();
    desk.advance(secs(60));
    assert_eq!(desk.sent().len(), before + 1);
    assert!(is_served(&desk));
}

#[test]
fn a_pace_that_is_used_up_is_waited_for_and_not_forgotten() {
    let narrow = AccountPlan {
        attempts: rate(2, secs(1800)),
        ..always()
    };
    let mut desk = Desk::new();
    desk.adopt(A, narrow, false, false);
    desk.answers.extend([FAILED; 2]);
    desk.enter(true);
    desk.advance(secs(1799));
    assert_eq!(desk.sent().len(), 2);
    desk.advance(secs(2));
    assert_eq!(desk.sent().len(), 3);
    assert!(is_served(&desk));
}

#[test]
fn a_refused_refresh_token_is_followed_by_logins_until_one_works() {
    let mut desk = Desk::with(always());
    desk.answers.push_back(granted(60));
    desk.advance(secs(1));
    desk.answers
        .extend([ProviderAnswer::RefreshRejected, FAILED, FAILED]);
    desk.advance(secs(120));
    use AttemptKind::{Login, Refresh};
    assert_eq!(desk.kinds()[..5], [Login, Refresh, Login, Login, Login]);
    assert!(is_served(&desk));
}

#[test]
fn a_reload_that_wants_it_always_fresh_begins_at_once() {
    let mut desk = Desk::with(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan()
    });
    desk.answers.push_back(granted(60));
    desk.get();
    desk.advance(secs(600));
    let before = desk.sent().len();
    assert!(!is_served(&desk));
    desk.tell(Event::Replan {
        account: A,
        plan: always(),
        can_login: true,
        cured: false,
    });
    desk.advance(secs(1));
    assert_eq!(desk.sent().len(), before + 1);
    assert!(is_served(&desk));
}

#[test]
fn a_secret_that_could_not_be_had_is_looked_for_again() {
    let mut desk = Desk::new();
    desk.hold.insert(Step::Claim);
    desk.adopt(A, always(), true, false);
    desk.advance(secs(1));
    let Some(Effect::Claim(key, id, ..)) = desk.held.pop_front() else {
        panic!("an attempt was to begin");
    };
    desk.hold.clear();
    desk.tell(Event::Claimed(key, id, Err(ClaimRefusal::Secret)));
    desk.advance(secs(60));
    assert!(is_served(&desk));
}

#[test]
fn a_refused_credential_is_still_left_alone() {
    let mut desk = Desk::with(always());
    desk.answers.push_back(ProviderAnswer::CredentialRejected);
    desk.advance(secs(86_400));
    assert_eq!(desk.sent().len(), 1);
}
