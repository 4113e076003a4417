//! Something in front of the provider answered: nothing is given up for it, and nothing is hammered.

use tokend_engine::{
    AccountPlan, AttemptKind, Event, Missing, Problem, ProviderAnswer, RefreshPolicy, WaiterFault,
    Want,
};

use crate::harness::{A, Desk, granted, plan, secs};

const HOUR: u64 = 3600;

/// When what was sent, in seconds after the first.
fn sent(desk: &Desk) -> Vec<(u64, AttemptKind)> {
    let sent = desk.sent();
    let first = sent.first().map_or(0, |(at, ..)| *at);
    sent.iter()
        .map(|(at, _, kind)| ((at - first) / 1000, *kind))
        .collect()
}

/// A desk whose account has nothing but a refresh token, and whose access token is over.
fn with_refresh_token() -> Desk {
    let plan = AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan()
    };
    let mut desk = Desk::new();
    desk.adopt(A, plan, false, false);
    desk.answers.push_back(granted(60));
    let entered = desk.enter(true);
    desk.token(entered);
    desk.advance(secs(60));
    desk
}

/// A desk whose logins were answered three times by what nobody understands, of so many answers of that kind.
fn with_logins_stopped(answers: usize) -> Desk {
    let mut desk = Desk::with(plan());
    desk.answers
        .extend(std::iter::repeat_n(ProviderAnswer::Unrecognised, answers));
    for _ in 0..3 {
        desk.get();
        desk.advance(secs(5 * HOUR));
    }
    desk
}

#[test]
fn a_refresh_is_tried_again_with_pauses_from_a_minute_to_six_hours_and_its_token_kept() {
    let mut desk = with_refresh_token();
    desk.answers.extend([ProviderAnswer::Unrecognised; 16]);
    let first = desk.force(0);
    let WaiterFault::Failed {
        problem: Problem::Unrecognised,
        retry,
    } = desk.fault(first)
    else {
        panic!("{:?}", desk.fault(first));
    };
    assert!(retry >= desk.at(60) && retry <= desk.at(68));
    desk.want(A, Want::Get, None, 10 * 86_400, 10 * 86_400);
    desk.advance(secs(10 * 86_400));
    let times: Vec<u64> = sent(&desk)
        .iter()
        .skip(1)
        .take(17)
        .map(|(at, _)| *at)
        .collect();
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] >= 60, "{pauses:?}");
    assert!(
        pauses.iter().all(|pause| *pause <= 6 * HOUR + 1),
        "{pauses:?}"
    );
    assert!(
        pauses.windows(2).take(14).all(|two| two[0] <= two[1]),
        "{pauses:?}"
    );
    assert_eq!(pauses[14], 6 * HOUR, "{pauses:?}");
    assert!(desk.view().has_refresh_token);
    assert_eq!(
        (desk.view().problem, desk.view().no_verdict),
        (None, Default::default())
    );
}

#[test]
fn a_restart_begins_no_pause_anew() {
    let mut desk = with_refresh_token();
    desk.answers.extend([ProviderAnswer::Unrecognised; 5]);
    desk.force(0);
    desk.want(A, Want::Get, None, HOUR, HOUR);
    desk.advance(secs(20 * 60));
    let before = desk.sent().len();
    for _ in 0..5 {
        desk.crash(plan(), false, false);
        let get = desk.get();
        assert!(matches!(
            desk.fault(get),
            WaiterFault::Failed {
                problem: Problem::Unrecognised,
                ..
            }
        ));
    }
    assert_eq!(desk.sent().len(), before);
}

#[test]
fn a_login_is_tried_three_times_hours_apart_and_then_stops_across_restarts() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([ProviderAnswer::Unrecognised; 10]);
    for _ in 0..(3 * 24 * 6) {
        desk.get();
        desk.advance(secs(600));
        desk.crash(plan(), true, false);
    }
    let times = sent(&desk);
    assert_eq!(times.len(), 3, "{times:?}");
    assert!(
        times[1].0 >= 2 * HOUR && times[2].0 - times[1].0 >= 4 * HOUR,
        "{times:?}"
    );
    let get = desk.get();
    assert_eq!(
        desk.fault(get),
        WaiterFault::LoginRequired(Missing::Unrecognised)
    );
}

#[test]
fn a_person_lifts_the_stop_for_one_login_and_a_grant_for_good() {
    let mut desk = with_logins_stopped(4);
    let forced = desk.force(0);
    assert_eq!(
        desk.fault(forced),
        WaiterFault::LoginRequired(Missing::Unrecognised)
    );
    assert_eq!(desk.sent().len(), 4);
    desk.crash(plan(), true, false);
    let get = desk.get();
    assert_eq!(
        desk.fault(get),
        WaiterFault::LoginRequired(Missing::Unrecognised)
    );
    let forced = desk.force(0);
    desk.token(forced);
    assert_eq!(desk.view().no_verdict, Default::default());
}

#[test]
fn a_person_need_not_wait_for_hours() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(ProviderAnswer::Unrecognised);
    desk.get();
    let forced = desk.force(0);
    desk.token(forced);
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn a_changed_credential_begins_anew() {
    for how in ["entered", "configured", "forgotten"] {
        let mut desk = with_logins_stopped(3);
        match how {
            "entered" => {
                let entered = desk.enter(false);
                desk.token(entered);
            }
            "configured" => {
                desk.crash(plan(), true, true);
                let get = desk.get();
                desk.token(get);
            }
            _ => {
                desk.forget();
                desk.tell(Event::Replan {
                    account: A,
                    plan: plan(),
                    can_login: true,
                    cured: false,
                });
                let get = desk.get();
                desk.token(get);
            }
        }
        assert_eq!(desk.sent().len(), 4, "{how}");
    }
}

#[test]
fn other_failures_between_do_not_shorten_the_hours_between_logins() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([
        ProviderAnswer::Unrecognised,
        ProviderAnswer::NotSent,
        ProviderAnswer::Unrecognised,
    ]);
    desk.get();
    desk.force(0);
    let patient = desk.want(A, Want::Get, None, 86_400, 86_400);
    desk.advance(secs(86_400));
    desk.token(patient);
    let times: Vec<u64> = sent(&desk).iter().map(|(at, _)| *at).collect();
    assert!(times[1] < 10 && times[2] >= 2 * HOUR, "{times:?}");
    assert!(times[3] - times[2] >= 4 * HOUR, "{times:?}");
}

#[test]
fn a_refresh_token_refused_in_words_nobody_knows_does_not_strand_an_account_that_can_log_in() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(granted(60));
    desk.get();
    desk.answers.extend([ProviderAnswer::Unrecognised; 3]);
    let patient = desk.want(A, Want::Forced, None, HOUR, HOUR);
    desk.advance(secs(HOUR));
    desk.token(patient);
    use AttemptKind::{Login, Refresh};
    assert_eq!(desk.kinds()[..5], [Login, Refresh, Refresh, Refresh, Login]);
}

#[test]
fn while_everything_is_answered_from_in_front_refreshes_go_on_after_logins_have_stopped() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(granted(60));
    desk.get();
    desk.answers.extend([ProviderAnswer::Unrecognised; 30]);
    let patient = desk.want(A, Want::Forced, None, 30 * 86_400, 30 * 86_400);
    desk.advance(secs(30 * 86_400));
    desk.token(patient);
    let kinds = &desk.kinds()[..32];
    let logins = kinds
        .iter()
        .filter(|kind| **kind == AttemptKind::Login)
        .count();
    assert_eq!(logins, 4, "{kinds:?}");
    assert_eq!(kinds.last(), Some(&AttemptKind::Refresh));
}

/// A desk whose refreshes something in front of the provider answered so often that a login is due.
fn about_to_probe() -> Desk {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(granted(60));
    desk.get();
    desk.answers.extend([ProviderAnswer::Unrecognised; 3]);
    desk
}

#[test]
fn a_login_whose_secret_cannot_be_had_does_not_keep_the_refresh_token_from_being_tried() {
    let mut desk = about_to_probe();
    desk.no_secret = Some(AttemptKind::Login);
    let patient = desk.want(A, Want::Forced, None, HOUR, HOUR);
    desk.advance(secs(HOUR));
    desk.token(patient);
    assert_eq!(desk.kinds()[1..5], [AttemptKind::Refresh; 4]);
}

#[test]
fn a_login_that_comes_to_nothing_does_not_keep_the_refresh_token_from_being_tried() {
    for answer in [
        ProviderAnswer::NotSent,
        ProviderAnswer::MaybeSent,
        ProviderAnswer::Busy { retry_after: None },
        ProviderAnswer::Misbehaved {
            maybe_processed: false,
        },
    ] {
        let mut desk = about_to_probe();
        desk.answers.push_back(answer);
        let patient = desk.want(A, Want::Forced, None, 3 * HOUR, 3 * HOUR);
        desk.advance(secs(3 * HOUR));
        desk.token(patient);
        use AttemptKind::{Login, Refresh};
        assert_eq!(
            desk.kinds()[..6],
            [Login, Refresh, Refresh, Refresh, Login, Refresh],
            "{answer:?}"
        );
    }
}

#[test]
fn while_no_login_can_be_sent_the_pauses_of_refreshes_grow_and_logins_are_tried_again() {
    let mut desk = about_to_probe();
    desk.answers.extend([ProviderAnswer::NotSent]);
    desk.answers.extend([ProviderAnswer::Unrecognised; 3]);
    let patient = desk.want(A, Want::Forced, None, 10 * HOUR, 10 * HOUR);
    desk.advance(secs(10 * HOUR));
    desk.token(patient);
    let sent = sent(&desk);
    let kinds: Vec<AttemptKind> = sent.iter().map(|(_, kind)| *kind).collect();
    use AttemptKind::{Login, Refresh};
    assert_eq!(
        kinds[..9],
        [
            Login, Refresh, Refresh, Refresh, Login, Refresh, Refresh, Refresh, Login
        ]
    );
    assert!(sent[8].0 - sent[7].0 >= 32 * 60, "{sent:?}");
}

/// A desk whose login, tried among refreshes, came to this and is `stopped` by it. A restart later a refresh was granted.
fn stopped_by(answer: ProviderAnswer, stopped: impl Fn(&Desk) -> bool) -> Desk {
    let mut desk = about_to_probe();
    desk.answers.extend([
        answer,
        ProviderAnswer::Unrecognised,
        ProviderAnswer::Unrecognised,
    ]);
    desk.want(A, Want::Forced, None, HOUR, HOUR);
    desk.advance(secs(12 * 60));
    assert!(stopped(&desk) && desk.view().block.is_none());
    desk.crash(plan(), true, false);
    let again = desk.want(A, Want::Get, None, 3 * HOUR, 3 * HOUR);
    desk.advance(secs(3 * HOUR));
    desk.token(again);
    assert_eq!(logins(&desk), 2, "{:?}", desk.kinds());
    desk
}

fn logins(desk: &Desk) -> usize {
    desk.kinds()
        .iter()
        .filter(|it| **it == AttemptKind::Login)
        .count()
}

#[test]
fn a_login_that_is_called_wrong_stops_logins_and_not_the_refreshes_it_was_tried_for() {
    let mut desk = stopped_by(ProviderAnswer::Misconfigured, |desk| {
        desk.view().no_verdict.login_misconfigured
    });
    // With nothing else left the account is misconfigured, until something changes or a person says so.
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    let refused = desk.force(0);
    assert_eq!(desk.fault(refused), WaiterFault::Misconfigured);
    let forced = desk.force(0);
    desk.token(forced);
    assert_eq!(logins(&desk), 3);
    assert_eq!(desk.view().no_verdict, Default::default());
}

#[test]
fn a_login_that_is_refused_stops_logins_and_not_the_refreshes_it_was_tried_for() {
    let mut desk = stopped_by(ProviderAnswer::CredentialRejected, |desk| {
        desk.view().no_verdict.login_refused
    });
    // The grant of a refresh says nothing of the password, and neither does a person who wants a new token.
    let forced = desk.force(0);
    desk.token(forced);
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    let refused = desk.force(0);
    let missing = Missing::CredentialRejected;
    assert_eq!(desk.fault(refused), WaiterFault::LoginRequired(missing));
    assert_eq!(logins(&desk), 2);
    // A changed password does.
    desk.crash(plan(), true, true);
    let get = desk.force(0);
    desk.token(get);
    assert_eq!(
        (logins(&desk), desk.view().no_verdict),
        (3, Default::default())
    );
}
