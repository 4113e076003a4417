//! What is held was asked for otherwise than it would be asked for now.

use tokend_engine::{AccountPlan, AttemptKind, Effect, ProviderAnswer, RefreshPolicy};

use crate::harness::{A, Bench, Step, granted, plan, secs};

fn policy(refresh: RefreshPolicy) -> AccountPlan {
    AccountPlan { refresh, ..plan() }
}

fn outdated(bench: &mut Bench, by_login: bool) {
    let account = A;
    bench.tell(tokend_engine::Event::Outdated {
        account,
        by_login,
        by_refresh: !by_login,
    });
    bench.advance(std::time::Duration::ZERO);
}

#[test]
fn a_token_that_was_asked_for_otherwise_is_not_served_and_asked_for_anew() {
    for (by_login, kind) in [(false, AttemptKind::Refresh), (true, AttemptKind::Login)] {
        let mut bench = Bench::with(plan());
        let first = bench.get();
        bench.token(first);
        outdated(&mut bench, by_login);
        assert!(bench.served.is_empty() && bench.store[&A].held.is_none());
        assert!(bench.store[&A].refresh.is_some(), "the refresh token stays");
        assert_eq!(bench.sent().len(), 1, "nobody asked yet");
        let get = bench.get();
        bench.token(get);
        assert_eq!(bench.kinds(), [AttemptKind::Login, kind]);
        let forced = bench.force(0);
        bench.token(forced);
        assert_eq!(bench.kinds()[2], AttemptKind::Refresh, "once");
    }
}

#[test]
fn a_token_stays_where_nothing_that_can_be_done_asks_otherwise() {
    let mut bench = Bench::new();
    bench.adopt(A, plan(), false, false);
    let entered = bench.enter(true);
    bench.token(entered);
    outdated(&mut bench, true);
    assert!(bench.served.contains_key(&A));
}

#[test]
fn a_reload_that_asks_otherwise_stores_nothing_for_an_account_that_holds_nothing() {
    let commits = |bench: &Bench| {
        let all = bench.log.iter();
        all.filter(|(_, it)| matches!(it, Effect::Commit(..)))
            .count()
    };
    for by_login in [true, false] {
        let mut fresh = Bench::with(plan());
        outdated(&mut fresh, by_login);
        assert_eq!(commits(&fresh), 0, "never asked");

        let mut forgotten = Bench::with(plan());
        let get = forgotten.get();
        forgotten.token(get);
        forgotten.forget();
        let before = commits(&forgotten);
        outdated(&mut forgotten, by_login);
        outdated(&mut forgotten, by_login);
        assert_eq!(commits(&forgotten), before, "forgotten");

        let mut refused = Bench::with(plan());
        refused
            .answers
            .push_back(ProviderAnswer::CredentialRejected);
        refused.get();
        let before = commits(&refused);
        outdated(&mut refused, by_login);
        assert_eq!(commits(&refused), before, "refused");
    }
}

#[test]
fn a_grant_that_was_asked_for_before_a_reload_is_never_served() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Commit);
    let get = bench.get();
    outdated(&mut bench, true);
    bench.answers.push_back(granted(60));
    bench.hold.clear();
    bench.let_go();
    bench.token(get);
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Login]);
    let served = bench
        .log
        .iter()
        .filter(|(_, effect)| matches!(effect, Effect::Publish(..)));
    assert_eq!(served.count(), 1);
}

/// An account that has no login, with one grant of what a person entered.
fn without_login(plan: AccountPlan) -> Bench {
    let mut bench = Bench::new();
    bench.adopt(A, plan, false, false);
    let entered = bench.enter(true);
    bench.token(entered);
    bench
}

#[test]
fn the_token_that_a_refresh_needs_is_not_served_and_refreshed_at_once() {
    for refresh in [RefreshPolicy::OnDemand, RefreshPolicy::Auto] {
        for presents in [false, true] {
            let mut bench = without_login(AccountPlan {
                refresh_needs_access: true,
                refresh_presents_access: presents,
                ..policy(refresh)
            });
            // The first one fails, and does not end it.
            bench.answers.push_back(ProviderAnswer::NotSent);
            outdated(&mut bench, false);
            assert!(bench.served.is_empty(), "{refresh:?}");
            bench.advance(secs(60));
            assert!(bench.served.contains_key(&A), "{refresh:?}");
            assert_eq!(bench.kinds(), [AttemptKind::Refresh; 3], "{refresh:?}");
        }
    }
}

#[test]
fn whoever_asks_while_it_is_refreshed_gets_the_new_one() {
    let mut bench = without_login(AccountPlan {
        refresh_needs_access: true,
        ..policy(RefreshPolicy::OnDemand)
    });
    let before = bench.served[&A].held.grant;
    bench.hold.insert(Step::Send);
    outdated(&mut bench, false);
    let get = bench.get();
    assert!(bench.verdict(get).is_none() && bench.view().held.is_none());
    bench.answer(granted(3600));
    assert_ne!(bench.token(get), before);
}

#[test]
fn a_token_that_can_no_more_be_refreshed_is_served_again() {
    let mut bench = without_login(AccountPlan {
        refresh_needs_access: true,
        ..policy(RefreshPolicy::OnDemand)
    });
    let before = bench.served[&A].held.grant;
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    outdated(&mut bench, false);
    let get = bench.get();
    assert_eq!(bench.token(get), before);
    assert_eq!(bench.kinds().len(), 2);
}

#[test]
fn a_token_stays_where_its_refresh_token_is_no_good_and_there_is_no_login() {
    for answer in [ProviderAnswer::RefreshRejected, ProviderAnswer::MaybeSent] {
        let mut bench = without_login(plan());
        bench.answers.push_back(answer);
        bench.force(0);
        let stored = bench.store[&A].clone();
        outdated(&mut bench, false);
        assert!(bench.served.contains_key(&A), "{answer:?}");
        assert_eq!(bench.store[&A], stored);
        let get = bench.get();
        bench.token(get);
        assert_eq!(bench.kinds().len(), 2);
    }
}

#[test]
fn what_a_refresh_asks_otherwise_counts_where_a_login_would_too_and_cannot_be_made() {
    let mut bench = without_login(plan());
    bench.tell(tokend_engine::Event::Outdated {
        account: A,
        by_login: true,
        by_refresh: true,
    });
    assert!(bench.served.is_empty());
    let get = bench.get();
    bench.token(get);
    assert_eq!(bench.kinds(), [AttemptKind::Refresh; 2]);
}
