//! An account that is to be kept fresh: as long as there is something to obtain a token with, and none, it is tried again, whatever
//! happened last and whether or not somebody asks.

use tokend_engine::{
    AccountPlan, AttemptKind, ClaimRefusal, Effect, Event, Keeping, ProviderAnswer, RefreshPolicy,
    Reuse, Want,
};

use crate::harness::{A, Bench, Step, granted, plan, rate, secs};

const FAILED: ProviderAnswer = ProviderAnswer::Misbehaved {
    maybe_processed: false,
};

fn always() -> AccountPlan {
    AccountPlan {
        refresh: RefreshPolicy::Always,
        ..plan()
    }
}

/// A bench whose account has nothing but what is entered.
fn poor() -> Bench {
    let mut bench = Bench::new();
    bench.adopt(A, always(), false, false);
    bench
}

fn is_served(bench: &Bench) -> bool {
    bench
        .served
        .get(&A)
        .is_some_and(|served| served.held.is_good(bench.at(0), None))
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
        let mut bench = poor();
        bench.answers.extend([failure; 2]);
        let entered = bench.enter(true);
        assert_eq!(bench.unproven(entered).1, Keeping::InPlace);
        bench.advance(secs(600));
        assert_eq!(bench.kinds(), [AttemptKind::Refresh; 3], "{failure:?}");
        assert!(is_served(&bench), "{failure:?}");
    }
}

#[test]
fn failures_until_after_the_end_of_the_token_are_followed_by_more() {
    let mut bench = poor();
    bench.answers.push_back(granted(60));
    let entered = bench.enter(true);
    bench.token(entered);
    bench.answers.extend([FAILED; 12]);
    bench.advance(secs(3600));
    assert!(is_served(&bench), "{:?}", bench.sent());
}

#[test]
fn a_restart_in_the_middle_of_failures_goes_on() {
    let mut bench = poor();
    bench.answers.extend([FAILED; 3]);
    bench.enter(true);
    for _ in 0..3 {
        bench.crash(always(), false, false);
        bench.advance(secs(60));
    }
    assert!(is_served(&bench));
}

#[test]
fn what_was_forgotten_and_entered_again_is_tried_again() {
    let mut bench = poor();
    let entered = bench.enter(true);
    bench.token(entered);
    bench.forget();
    bench.advance(secs(86_400));
    assert_eq!(bench.sent().len(), 1, "with nothing there is nothing to do");
    bench.answers.extend([FAILED; 2]);
    bench.enter(true);
    bench.advance(secs(60));
    assert!(is_served(&bench));
}

#[test]
fn a_doubt_is_followed_by_what_is_safe() {
    let reuse = Reuse::Rotates;
    let mut bench = Bench::new();
    bench.adopt(A, AccountPlan { reuse, ..always() }, false, false);
    bench.answers.extend([ProviderAnswer::MaybeSent; 2]);
    bench.enter(true);
    bench.advance(secs(60));
    assert_eq!(bench.kinds(), [AttemptKind::Refresh; 3]);
    assert!(is_served(&bench));
}

#[test]
fn a_store_that_refused_is_followed_by_an_attempt_when_it_writes_again() {
    let mut bench = poor();
    let entered = bench.enter(true);
    bench.token(entered);
    let before = bench.sent().len();
    bench.refuse.insert(Step::Record);
    let held = bench.served.get(&A).map(|served| served.held.grant);
    bench.want(A, Want::Rejected(held.unwrap_or_default()), None, 0, 1);
    bench.advance(secs(60));
    assert_eq!(bench.sent().len(), before);
    bench.refuse.clear();
    bench.advance(secs(60));
    assert_eq!(bench.sent().len(), before + 1);
    assert!(is_served(&bench));
}

#[test]
fn a_pace_that_is_used_up_is_waited_for_and_not_forgotten() {
    let narrow = AccountPlan {
        attempts: rate(2, secs(1800)),
        ..always()
    };
    let mut bench = Bench::new();
    bench.adopt(A, narrow, false, false);
    bench.answers.extend([FAILED; 2]);
    bench.enter(true);
    bench.advance(secs(1799));
    assert_eq!(bench.sent().len(), 2);
    bench.advance(secs(2));
    assert_eq!(bench.sent().len(), 3);
    assert!(is_served(&bench));
}

#[test]
fn a_refused_refresh_token_is_followed_by_logins_until_one_works() {
    let mut bench = Bench::with(always());
    bench.answers.push_back(granted(60));
    bench.advance(secs(1));
    bench
        .answers
        .extend([ProviderAnswer::RefreshRejected, FAILED, FAILED]);
    bench.advance(secs(120));
    use AttemptKind::{Login, Refresh};
    assert_eq!(bench.kinds()[..5], [Login, Refresh, Login, Login, Login]);
    assert!(is_served(&bench));
}

#[test]
fn a_reload_that_wants_it_always_fresh_begins_at_once() {
    let mut bench = Bench::with(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan()
    });
    bench.answers.push_back(granted(60));
    bench.get();
    bench.advance(secs(600));
    let before = bench.sent().len();
    assert!(!is_served(&bench));
    bench.tell(Event::Replan {
        account: A,
        plan: always(),
        can_login: true,
        cured: false,
    });
    bench.advance(secs(1));
    assert_eq!(bench.sent().len(), before + 1);
    assert!(is_served(&bench));
}

#[test]
fn a_secret_that_could_not_be_had_is_looked_for_again() {
    let mut bench = Bench::new();
    bench.hold.insert(Step::Claim);
    bench.adopt(A, always(), true, false);
    bench.advance(secs(1));
    let Some(Effect::Claim(key, id, ..)) = bench.held.pop_front() else {
        panic!("an attempt was to begin");
    };
    bench.hold.clear();
    bench.tell(Event::Claimed(key, id, Err(ClaimRefusal::Secret)));
    bench.advance(secs(60));
    assert!(is_served(&bench));
}

#[test]
fn a_refused_credential_is_still_left_alone() {
    let mut bench = Bench::with(always());
    bench.answers.push_back(ProviderAnswer::CredentialRejected);
    bench.advance(secs(86_400));
    assert_eq!(bench.sent().len(), 1);
}
