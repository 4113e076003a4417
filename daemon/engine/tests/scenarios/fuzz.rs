//! Any events in any order: nothing panics, nothing is sent twice at once, nobody is settled twice.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tokend_engine::{
    AccountKey, AccountPlan, Adoption, AttemptId, ClaimRefusal, Demand, Effect, Engine, Event,
    GrantFacts, GrantId, HostPlan, LastAsked, ProviderAnswer, RefreshPolicy, Reuse, StoreRefusal,
    Timestamp, WaiterId, Want,
};

use crate::harness::{HOST, plan, rate, secs};

#[derive(Debug, Clone)]
enum Move {
    Tell(Event),
    Wait(u64),
    Timeout,
    /// Reports back on the n-th effect so far, again perhaps, or although something else happened since.
    Report(usize, u8),
    Crash,
}

fn answer() -> impl Strategy<Value = ProviderAnswer> {
    prop_oneof![
        (
            prop::option::of(0u64..10_000),
            any::<[bool; 2]>(),
            prop::option::of(0u64..10_000)
        )
            .prop_map(|(lifetime, [refresh_token, lost], refresh)| {
                ProviderAnswer::Granted(GrantFacts {
                    lifetime: lifetime.map(secs),
                    refresh_token,
                    refresh_token_lost: lost && !refresh_token,
                    refresh_lifetime: refresh.map(secs),
                })
            }),
        (prop::option::of(0u64..10_000), any::<bool>()).prop_map(|(refresh, misconfigured)| {
            ProviderAnswer::Renewed {
                refresh_lifetime: refresh.map(secs),
                misconfigured,
            }
        }),
        prop::option::of(any::<u64>()).prop_map(|wait| ProviderAnswer::Busy {
            retry_after: wait.map(secs)
        }),
        Just(ProviderAnswer::CredentialRejected),
        Just(ProviderAnswer::RefreshRejected),
        Just(ProviderAnswer::Misconfigured),
        Just(ProviderAnswer::Unrecognised),
        any::<bool>().prop_map(|maybe_processed| ProviderAnswer::Misbehaved { maybe_processed }),
        Just(ProviderAnswer::NotSent),
        Just(ProviderAnswer::MaybeSent),
    ]
}

fn a_plan() -> impl Strategy<Value = AccountPlan> {
    (
        1u32..4,
        1u64..100,
        0u8..4,
        0u8..3,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(burst, period, reuse, refresh, ends, needs)| AccountPlan {
            attempts: rate(burst, secs(period)),
            logins: rate(1, secs(period)),
            reuse: [
                Reuse::None,
                Reuse::Rotates,
                Reuse::RotatesAndReuseRevokes,
                Reuse::Unknown,
            ][usize::from(reuse)],
            refresh: [
                RefreshPolicy::Auto,
                RefreshPolicy::Always,
                RefreshPolicy::OnDemand,
            ][usize::from(refresh)],
            refresh_ends_access: ends,
            refresh_needs_access: needs,
            refresh_presents_access: needs && ends,
            ..plan()
        })
}

fn demand() -> impl Strategy<Value = Demand> {
    (prop::option::of(0u64..10_000), any::<u32>(), any::<u32>()).prop_map(|(min, start, by)| {
        Demand {
            min_validity: min.map(secs),
            start_by: Timestamp::from_millis(1_000_000 + u64::from(start)),
            answer_by: Timestamp::from_millis(1_000_000 + u64::from(by)),
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    let key = || (0u32..3).prop_map(AccountKey);
    let want = prop_oneof![
        Just(Want::Get),
        Just(Want::Forced),
        (0u64..5).prop_map(|grant| Want::Rejected(GrantId(grant))),
    ];
    prop_oneof![
        4 => (key(), demand(), want).prop_map(|(account, demand, want)| Event::Wanted { account, waiter: WaiterId(0), demand, want }),
        2 => (key(), a_plan(), any::<bool>(), any::<bool>()).prop_map(|(key, plan, can_login, cured)| {
            Event::Adopt(key, Box::new(Adoption { plan, can_login, cured, durable: None, host_unknown: false, asked: LastAsked::default() }))
        }),
        1 => (key(), a_plan(), any::<bool>(), any::<bool>()).prop_map(|(account, plan, can_login, cured)| Event::Replan { account, plan, can_login, cured }),
        1 => key().prop_map(Event::Remove),
        1 => key().prop_map(Event::Asked),
        1 => (key(), demand(), any::<bool>(), any::<bool>()).prop_map(|(account, demand, refresh_token, can_login)| Event::Entered { account, waiter: WaiterId(0), demand, refresh_token, can_login }),
        1 => (key(), any::<bool>()).prop_map(|(account, can_login)| Event::Forget { account, waiter: WaiterId(0), can_login }),
        1 => (1u32..5, 1u32..3).prop_map(|(burst, in_flight)| Event::Host(HOST, HostPlan { rate: rate(burst, secs(1)), in_flight })),
        1 => (key(), 0u64..4, answer()).prop_map(|(key, id, answer)| Event::Answered(key, AttemptId(id + 1_000), answer)),
    ]
}

fn moves() -> impl Strategy<Value = Vec<(Move, ProviderAnswer)>> {
    let one = prop_oneof![
        4 => event().prop_map(Move::Tell),
        2 => (0u64..100_000).prop_map(Move::Wait),
        2 => Just(Move::Timeout),
        8 => (0usize..4, any::<u8>()).prop_map(|(back, how)| Move::Report(back, how)),
        1 => Just(Move::Crash),
    ];
    prop::collection::vec((one, answer()), 1..200)
}

fn report(effect: &Effect, how: u8, answer: ProviderAnswer) -> Option<Event> {
    let bad = how.is_multiple_of(8);
    let stored = (!bad).then_some(()).ok_or(StoreRefusal);
    Some(match effect {
        Effect::Claim(key, id, ..) if how == 8 => {
            Event::Claimed(*key, *id, Err(ClaimRefusal::Secret))
        }
        Effect::Claim(key, id, ..) => {
            Event::Claimed(*key, *id, (!bad).then_some(()).ok_or(ClaimRefusal::Store))
        }
        Effect::Record(key, id, _) => Event::Recorded(*key, *id, stored),
        Effect::Send(key, id, _) => Event::Answered(*key, *id, answer),
        Effect::Commit(key, _) => Event::Committed(*key, stored),
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_events_in_any_order_break_nothing(moves in moves()) {
        let mut engine = Engine::new(3);
        let mut now = Timestamp::from_millis(1_000_000);
        let mut in_flight: Vec<Effect> = Vec::new();
        let mut flying: BTreeSet<AccountKey> = BTreeSet::new();
        let (mut waiting, mut next) = (BTreeSet::new(), 0);
        engine.handle_event(now, Event::Host(HOST, HostPlan { rate: rate(3, secs(1)), in_flight: 2 }));
        for (step, answer) in moves {
            match step {
                Move::Tell(mut event) => {
                    if let Event::Wanted { waiter, .. } | Event::Entered { waiter, .. } | Event::Forget { waiter, .. } = &mut event {
                        next += 1;
                        *waiter = WaiterId(next);
                        waiting.insert(*waiter);
                    }
                    engine.handle_event(now, event);
                }
                Move::Wait(millis) => now = now.after(std::time::Duration::from_millis(millis)),
                Move::Timeout => {
                    engine.handle_timeout(now);
                    let again = engine.poll_timeout(now);
                    prop_assert!(again.is_none_or(|again| again > now), "due again at {again:?}, now {now:?}");
                }
                Move::Report(back, how) => {
                    let place = in_flight.len().saturating_sub(1 + back);
                    if let Some(effect) = in_flight.get(place).cloned() {
                        // Most are reported once, as they are to be; some are reported again later.
                        if how < 250 {
                            in_flight.remove(place);
                            if let Effect::Send(key, ..) = effect {
                                flying.remove(&key);
                            }
                        } else if !matches!(effect, Effect::Claim(..)) {
                            continue;
                        }
                        if let Some(event) = report(&effect, how, answer) {
                            engine.handle_event(now, event);
                        }
                    }
                }
                Move::Crash => {
                    engine = Engine::new(4);
                    engine.handle_event(now, Event::Host(HOST, HostPlan { rate: rate(3, secs(1)), in_flight: 2 }));
                    in_flight.clear();
                    flying.clear();
                    waiting.clear();
                }
            }
            while let Some(effect) = engine.poll_effect() {
                match &effect {
                    Effect::Send(key, ..) => prop_assert!(flying.insert(*key), "two attempts at once for {key:?}"),
                    Effect::Settle(waiter, _) => prop_assert!(waiting.remove(waiter), "{waiter:?} settled twice"),
                    _ => {}
                }
                if report(&effect, 1, answer).is_some() {
                    in_flight.push(effect);
                }
            }
        }
    }
}
