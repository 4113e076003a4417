//! Something in front of the provider answered: nothing is given up for it, and nothing is hammered.

use tokend_engine::{
    AccountPlan, AttemptKind, Event, Missing, Problem, ProviderAnswer, RefreshPolicy, WaiterFault,
    Want,
};

use crate::harness::{A, Bench, granted, plan, secs};

const HOUR: u64 = 3600;

/// When what was sent, in seconds after the first.
fn sent(bench: &Bench) -> Vec<(u64, AttemptKind)> {
    let sent = bench.sent();
    let first = sent.first().map_or(0, |(at, ..)| *at);
    sent.iter()
        .map(|(at, _, kind)| ((at - first) / 1000, *kind))
        .collect()
}

/// A bench whose account has nothing but a refresh token, and whose access token is over.
fn with_refresh_token() -> Bench {
    let plan = AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan()
    };
    let mut bench = Bench::new();
    bench.adopt(A, plan, false, false);
    bench.answers.push_back(granted(60));
    let entered = bench.enter(true);
    bench.token(entered);
    bench.advance(secs(60));
    bench
}

/// A bench whose logins were answered three times by what nobody understands, of so many answers of that kind.
fn with_logins_stopped(answers: usize) -> Bench {
    let mut bench = Bench::with(plan());
    bench
        .answers
        .extend(std::iter::repeat_n(ProviderAnswer::Unrecognised, answers));
    for _ in 0..3 {
        bench.get();
        bench.advance(secs(5 * HOUR));
    }
    bench
}

#[test]
fn a_refresh_is_tried_again_with_pauses_from_a_minute_to_six_hours_and_its_token_kept() {
    let mut bench = with_refresh_token();
    bench.answers.extend([ProviderAnswer::Unrecognised; 16]);
    let first = bench.force(0);
    let WaiterFault::Failed {
        problem: Problem::Unrecognised,
        retry,
    } = bench.fault(first)
    else {
        panic!("{:?}", bench.fault(first));
    };
    assert!(retry >= bench.at(60) && retry <= bench.at(68));
    bench.want(A, Want::Get, None, 10 * 86_400, 10 * 86_400);
    bench.advance(secs(10 * 86_400));
    let times: Vec<u64> = sent(&bench)
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
    assert!(bench.view().has_refresh_token);
    assert_eq!(
        (bench.view().problem, bench.view().no_verdict),
        (None, Default::default())
    );
}

#[test]
fn a_restart_begins_no_pause_anew() {
    let mut bench = with_refresh_token();
    bench.answers.extend([ProviderAnswer::Unrecognised; 5]);
    bench.force(0);
    bench.want(A, Want::Get, None, HOUR, HOUR);
    bench.advance(secs(20 * 60));
    let before = bench.sent().len();
    for _ in 0..5 {
        bench.crash(plan(), false, false);
        let get = bench.get();
        assert!(matches!(
            bench.fault(get),
            WaiterFault::Failed {
                problem: Problem::Unrecognised,
                ..
            }
        ));
    }
    assert_eq!(bench.sent().len(), before);
}

#[test]
fn a_login_is_tried_three_times_hours_apart_and_then_stops_across_restarts() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([ProviderAnswer::Unrecognised; 10]);
    for _ in 0..(3 * 24 * 6) {
        bench.get();
        bench.advance(secs(600));
        bench.crash(plan(), true, false);
    }
    let times = sent(&bench);
    assert_eq!(times.len(), 3, "{times:?}");
    assert!(
        times[1].0 >= 2 * HOUR && times[2].0 - times[1].0 >= 4 * HOUR,
        "{times:?}"
    );
    let get = bench.get();
    assert_eq!(
        bench.fault(get),
        WaiterFault::LoginRequired(Missing::Unrecognised)
    );
}

#[test]
fn a_person_lifts_the_stop_for_one_login_and_a_grant_for_good() {
    let mut bench = with_logins_stopped(4);
    let forced = bench.force(0);
    assert_eq!(
        bench.fault(forced),
        WaiterFault::LoginRequired(Missing::Unrecognised)
    );
    assert_eq!(bench.sent().len(), 4);
    bench.crash(plan(), true, false);
    let get = bench.get();
    assert_eq!(
        bench.fault(get),
        WaiterFault::LoginRequired(Missing::Unrecognised)
    );
    let forced = bench.force(0);
    bench.token(forced);
    assert_eq!(bench.view().no_verdict, Default::default());
}

#[test]
fn a_person_need_not_wait_for_hours() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(ProviderAnswer::Unrecognised);
    bench.get();
    let forced = bench.force(0);
    bench.token(forced);
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn a_changed_credential_begins_anew() {
    for how in ["entered", "configured", "forgotten"] {
        let mut bench = with_logins_stopped(3);
        match how {
            "entered" => {
                let entered = bench.enter(false);
                bench.token(entered);
            }
            "configured" => {
                bench.crash(plan(), true, true);
                let get = bench.get();
                bench.token(get);
            }
            _ => {
                bench.forget();
                bench.tell(Event::Replan {
                    account: A,
                    plan: plan(),
                    can_login: true,
                    cured: false,
                });
                let get = bench.get();
                bench.token(get);
            }
        }
        assert_eq!(bench.sent().len(), 4, "{how}");
    }
}

#[test]
fn other_failures_between_do_not_shorten_the_hours_between_logins() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([
        ProviderAnswer::Unrecognised,
        ProviderAnswer::NotSent,
        ProviderAnswer::Unrecognised,
    ]);
    bench.get();
    bench.force(0);
    let patient = bench.want(A, Want::Get, None, 86_400, 86_400);
    bench.advance(secs(86_400));
    bench.token(patient);
    let times: Vec<u64> = sent(&bench).iter().map(|(at, _)| *at).collect();
    assert!(times[1] < 10 && times[2] >= 2 * HOUR, "{times:?}");
    assert!(times[3] - times[2] >= 4 * HOUR, "{times:?}");
}

#[test]
fn a_refresh_token_refused_in_words_nobody_knows_does_not_strand_an_account_that_can_log_in() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(granted(60));
    bench.get();
    bench.answers.extend([ProviderAnswer::Unrecognised; 3]);
    let patient = bench.want(A, Want::Forced, None, HOUR, HOUR);
    bench.advance(secs(HOUR));
    bench.token(patient);
    use AttemptKind::{Login, Refresh};
    assert_eq!(
        bench.kinds()[..5],
        [Login, Refresh, Refresh, Refresh, Login]
    );
}

#[test]
fn while_everything_is_answered_from_in_front_refreshes_go_on_after_logins_have_stopped() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(granted(60));
    bench.get();
    bench.answers.extend([ProviderAnswer::Unrecognised; 30]);
    let patient = bench.want(A, Want::Forced, None, 30 * 86_400, 30 * 86_400);
    bench.advance(secs(30 * 86_400));
    bench.token(patient);
    let kinds = &bench.kinds()[..32];
    let logins = kinds
        .iter()
        .filter(|kind| **kind == AttemptKind::Login)
        .count();
    assert_eq!(logins, 4, "{kinds:?}");
    assert_eq!(kinds.last(), Some(&AttemptKind::Refresh));
}

/// A bench whose refreshes something in front of the provider answered so often that a login is due.
fn about_to_probe() -> Bench {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(granted(60));
    bench.get();
    bench.answers.extend([ProviderAnswer::Unrecognised; 3]);
    bench
}

#[test]
fn a_login_whose_secret_cannot_be_had_does_not_keep_the_refresh_token_from_being_tried() {
    let mut bench = about_to_probe();
    bench.no_secret = Some(AttemptKind::Login);
    let patient = bench.want(A, Want::Forced, None, HOUR, HOUR);
    bench.advance(secs(HOUR));
    bench.token(patient);
    assert_eq!(bench.kinds()[1..5], [AttemptKind::Refresh; 4]);
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
        let mut bench = about_to_probe();
        bench.answers.push_back(answer);
        let patient = bench.want(A, Want::Forced, None, 3 * HOUR, 3 * HOUR);
        bench.advance(secs(3 * HOUR));
        bench.token(patient);
        use AttemptKind::{Login, Refresh};
        assert_eq!(
            bench.kinds()[..6],
            [Login, Refresh, Refresh, Refresh, Login, Refresh],
            "{answer:?}"
        );
    }
}

#[test]
fn while_no_login_can_be_sent_the_pauses_of_refreshes_grow_and_logins_are_tried_again() {
    let mut bench = about_to_probe();
    bench.answers.extend([ProviderAnswer::NotSent]);
    bench.answers.extend([ProviderAnswer::Unrecognised; 3]);
    let patient = bench.want(A, Want::Forced, None, 10 * HOUR, 10 * HOUR);
    bench.advance(secs(10 * HOUR));
    bench.token(patient);
    let sent = sent(&bench);
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

/// A bench whose login, tried among refreshes, came to this and is `stopped` by it. A restart later a refresh was granted.
fn stopped_by(answer: ProviderAnswer, stopped: impl Fn(&Bench) -> bool) -> Bench {
    let mut bench = about_to_probe();
    bench.answers.extend([
        answer,
        ProviderAnswer::Unrecognised,
        ProviderAnswer::Unrecognised,
    ]);
    bench.want(A, Want::Forced, None, HOUR, HOUR);
    bench.advance(secs(12 * 60));
    assert!(stopped(&bench) && bench.view().block.is_none());
    bench.crash(plan(), true, false);
    let again = bench.want(A, Want::Get, None, 3 * HOUR, 3 * HOUR);
    bench.advance(secs(3 * HOUR));
    bench.token(again);
    assert_eq!(logins(&bench), 2, "{:?}", bench.kinds());
    bench
}

fn logins(bench: &Bench) -> usize {
    bench
        .kinds()
        .iter()
        .filter(|it| **it == AttemptKind::Login)
        .count()
}

#[test]
fn a_login_that_is_called_wrong_stops_logins_and_not_the_refreshes_it_was_tried_for() {
    let mut bench = stopped_by(ProviderAnswer::Misconfigured, |bench| {
        bench.view().no_verdict.login_misconfigured
    });
    // With nothing else left the account is misconfigured, until something changes or a person says so.
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    let refused = bench.force(0);
    assert_eq!(bench.fault(refused), WaiterFault::Misconfigured);
    let forced = bench.force(0);
    bench.token(forced);
    assert_eq!(logins(&bench), 3);
    assert_eq!(bench.view().no_verdict, Default::default());
}

#[test]
fn a_login_that_is_refused_stops_logins_and_not_the_refreshes_it_was_tried_for() {
    let mut bench = stopped_by(ProviderAnswer::CredentialRejected, |bench| {
        bench.view().no_verdict.login_refused
    });
    // The grant of a refresh says nothing of the password, and neither does a person who wants a new token.
    let forced = bench.force(0);
    bench.token(forced);
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    let refused = bench.force(0);
    let missing = Missing::CredentialRejected;
    assert_eq!(bench.fault(refused), WaiterFault::LoginRequired(missing));
    assert_eq!(logins(&bench), 2);
    // A changed password does.
    bench.crash(plan(), true, true);
    let get = bench.force(0);
    bench.token(get);
    assert_eq!(
        (logins(&bench), bench.view().no_verdict),
        (3, Default::default())
    );
}
