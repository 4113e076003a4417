//! What is held was asked for otherwise than it would be asked for now.

use tokend_engine::{AccountPlan, AttemptKind, Effect, ProviderAnswer, RefreshPolicy};

use crate::harness::{A, Desk, Step, granted, plan, secs};

fn policy(refresh: RefreshPolicy) -> AccountPlan {
    AccountPlan { refresh, ..plan() }
}

fn outdated(desk: &mut Desk, by_login: bool) {
    let account = A;
    desk.tell(tokend_engine::Event::Outdated {
        account,
        by_login,
        by_refresh: !by_login,
    });
    desk.advance(std::time::Duration::ZERO);
}

#[test]
fn a_token_that_was_asked_for_otherwise_is_not_served_and_asked_for_anew() {
    for (by_login, kind) in [(false, AttemptKind::Refresh), (true, AttemptKind::Login)] {
        let mut desk = Desk::with(plan());
        let first = desk.get();
        desk.token(first);
        outdated(&mut desk, by_login);
        assert!(desk.served.is_empty() && desk.store[&A].held.is_none());
        assert!(desk.store[&A].refresh.is_some(), "the refresh token stays");
        assert_eq!(desk.sent().len(), 1, "nobody asked yet");
        let get = desk.get();
        desk.token(get);
        assert_eq!(desk.kinds(), [AttemptKind::Login, kind]);
        let forced = desk.force(0);
        desk.token(forced);
        assert_eq!(desk.kinds()[2], AttemptKind::Refresh, "once");
    }
}

#[test]
fn a_token_stays_where_nothing_that_can_be_done_asks_otherwise() {
    let mut desk = Desk::new();
    desk.adopt(A, plan(), false, false);
    let entered = desk.enter(true);
    desk.token(entered);
    outdated(&mut desk, true);
    assert!(desk.served.contains_key(&A));
}

#[test]
fn a_reload_that_asks_otherwise_stores_nothing_for_an_account_that_holds_nothing() {
    let commits = |desk: &Desk| {
        let all = desk.log.iter();
        all.filter(|(_, it)| matches!(it, Effect::Commit(..)))
            .count()
    };
    for by_login in [true, false] {
        let mut fresh = Desk::with(plan());
        outdated(&mut fresh, by_login);
        assert_eq!(commits(&fresh), 0, "never asked");

        let mut forgotten = Desk::with(plan());
        let get = forgotten.get();
        forgotten.token(get);
        forgotten.forget();
        let before = commits(&forgotten);
        outdated(&mut forgotten, by_login);
        outdated(&mut forgotten, by_login);
        assert_eq!(commits(&forgotten), before, "forgotten");

        let mut refused = Desk::with(plan());
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
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Commit);
    let get = desk.get();
    outdated(&mut desk, true);
    desk.answers.push_back(granted(60));
    desk.hold.clear();
    desk.let_go();
    desk.token(get);
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Login]);
    let served = desk
        .log
        .iter()
        .filter(|(_, effect)| matches!(effect, Effect::Publish(..)));
    assert_eq!(served.count(), 1);
}

/// An account that has no login, with one grant of what a person entered.
fn without_login(plan: AccountPlan) -> Desk {
    let mut desk = Desk::new();
    desk.adopt(A, plan, false, false);
    let entered = desk.enter(true);
    desk.token(entered);
    desk
}

#[test]
fn the_token_that_a_refresh_needs_is_not_served_and_refreshed_at_once() {
    for refresh in [RefreshPolicy::OnDemand, RefreshPolicy::Auto] {
        for presents in [false, true] {
            let mut desk = without_login(AccountPlan {
                refresh_needs_access: true,
                refresh_presents_access: presents,
                ..policy(refresh)
            });
            // The first one fails, and does not end it.
            desk.answers.push_back(ProviderAnswer::NotSent);
            outdated(&mut desk, false);
            assert!(desk.served.is_empty(), "{refresh:?}");
            desk.advance(secs(60));
            assert!(desk.served.contains_key(&A), "{refresh:?}");
            assert_eq!(desk.kinds(), [AttemptKind::Refresh; 3], "{refresh:?}");
        }
    }
}

#[test]
fn whoever_asks_while_it_is_refreshed_gets_the_new_one() {
    let mut desk = without_login(AccountPlan {
        refresh_needs_access: true,
        ..policy(RefreshPolicy::OnDemand)
    });
    let before = desk.served[&A].held.grant;
    desk.hold.insert(Step::Send);
    outdated(&mut desk, false);
    let get = desk.get();
    assert!(desk.verdict(get).is_none() && desk.view().held.is_none());
    desk.answer(granted(3600));
    assert_ne!(desk.token(get), before);
}

#[test]
fn a_token_that_can_no_more_be_refreshed_is_served_again() {
    let mut desk = without_login(AccountPlan {
        refresh_needs_access: true,
        ..policy(RefreshPolicy::OnDemand)
    });
    let before = desk.served[&A].held.grant;
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    outdated(&mut desk, false);
    let get = desk.get();
    assert_eq!(desk.token(get), before);
    assert_eq!(desk.kinds().len(), 2);
}

#[test]
fn a_token_stays_where_its_refresh_token_is_no_good_and_there_is_no_login() {
    for answer in [ProviderAnswer::RefreshRejected, ProviderAnswer::MaybeSent] {
        let mut desk = without_login(plan());
        desk.answers.push_back(answer);
        desk.force(0);
        let stored = desk.store[&A].clone();
        outdated(&mut desk, false);
        assert!(desk.served.contains_key(&A), "{answer:?}");
        assert_eq!(desk.store[&A], stored);
        let get = desk.get();
        desk.token(get);
        assert_eq!(desk.kinds().len(), 2);
    }
}

#[test]
fn what_a_refresh_asks_otherwise_counts_where_a_login_would_too_and_cannot_be_made() {
    let mut desk = without_login(plan());
    desk.tell(tokend_engine::Event::Outdated {
        account: A,
        by_login: true,
        by_refresh: true,
    });
    assert!(desk.served.is_empty());
    let get = desk.get();
    desk.token(get);
    assert_eq!(desk.kinds(), [AttemptKind::Refresh; 2]);
}
