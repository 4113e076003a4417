//! What goes into a record comes out of it, on the same clock and on another one.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use tokend_dialect::{Grant, LifetimeSource};
use tokend_proto::SecretText;
use tokend_store::{EnteredCredential, EnteredSecrets, Entry, MemoryStore, QuarantineReason};

use crate::key::RecordKey;
use tokend_store::Store as _;

use super::*;
use crate::store_reader::StoreReader;
use tokend_process::clock::testing::FakeClock;

const WALL: i64 = 1_790_000_000_000;

fn started() -> (Clock, Arc<FakeClock>) {
    FakeClock::start(WALL, 5_000_000, "boot-1")
}

fn grant(refresh: Option<&str>) -> Grant {
    Grant {
        access_token: SecretString::from("the-access-token"),
        token_type: "Bearer".into(),
        scope: Some("read".into()),
        lifetime: None,
        lifetime_source: LifetimeSource::Unknown,
        refresh_token: refresh.map(SecretString::from),
        refresh_token_lost: false,
        refresh_lifetime: None,
        remarks: Vec::new(),
    }
}

/// Facts around `now`, with a grant numbered as the attempt that brought it.
#[expect(clippy::too_many_lines, reason = "a strategy for each field")]
fn facts(now: Timestamp) -> impl Strategy<Value = Durable> {
    let near = move || {
        (0u64..4_000_000).prop_map(move |ms| {
            now.before(Duration::from_secs(2000))
                .after(Duration::from_millis(ms))
        })
    };
    let kind = prop_oneof![Just(AttemptKind::Login), Just(AttemptKind::Refresh)];
    let block = prop_oneof![Just(Block::CredentialRejected), Just(Block::Misconfigured)];
    let problem = (0..PROBLEMS.len()).prop_map(|at| PROBLEMS[at].0);
    (
        (near(), near(), near(), 1u64..1000, option::of(kind)),
        (
            option::of((near(), option::of(near()), any::<bool>())),
            option::of((option::of(near()), any::<bool>(), any::<bool>())),
            (any::<bool>(), any::<bool>(), any::<bool>()),
        ),
        (
            option::of(block),
            option::of(problem),
            any::<u32>(),
            option::of((near(), any::<bool>())),
            (any::<u32>(), any::<u32>(), option::of(near()), any::<u32>()),
        ),
    )
        .prop_map(
            |(
                (attempts, logins, host, last, intent),
                (held, refresh, (tried, spare, unsent)),
                (block, problem, failures, deferral, no_verdict),
            )| Durable {
                attempts: Tat(attempts),
                logins: Tat(logins),
                host: Tat(host),
                last_attempt: AttemptId(last),
                intent: intent.map(|kind| Intent {
                    attempt: AttemptId(last),
                    kind,
                }),
                overtaken: held.is_some_and(|(_, _, overtaken)| overtaken),
                held: held.map(|(issued, expires, _)| TokenFacts {
                    grant: GrantId(last),
                    issued,
                    expires,
                }),
                refresh: refresh.map(|(expires, in_doubt, refused)| RefreshToken {
                    expires,
                    in_doubt,
                    refused,
                }),
                candidate: intent.filter(|_| tried).map(|kind| Candidate {
                    attempt: AttemptId(last),
                    kind,
                    same: false,
                }),
                spare,
                spare_unsent: spare && unsent,
                block,
                problem,
                failures,
                deferral: deferral.map(|(until, by_provider)| Deferral { until, by_provider }),
                no_verdict: NoVerdict {
                    refreshes: no_verdict.0,
                    logins: no_verdict.1,
                    logins_from: no_verdict.2,
                    lost_logins: no_verdict.3,
                    login_refused: no_verdict.1 % 2 == 1,
                    login_misconfigured: no_verdict.0 % 2 == 1,
                },
            },
        )
}

const BY: Entry = Entry {
    at: Some(1_794_000_000_000),
    by: Some(1000),
};

fn named(field: &str, text: &str) -> EnteredCredential {
    EnteredCredential {
        secrets: EnteredSecrets::one(field, SecretString::from(text)),
        entry: BY,
    }
}

fn refresh_token(text: &str) -> EnteredCredential {
    EnteredCredential {
        secrets: EnteredSecrets::RefreshToken(SecretString::from(text)),
        entry: BY,
    }
}

const HOST: &str = "https://ads.example.com";

fn written(durable: &Durable, clock: &Clock) -> Record {
    let mut record = Record::new(clock.anchor(), "ads#1");
    take_granted(
        &mut record,
        durable.last_attempt,
        Granted::of_grant(grant(Some("the-refresh-token"))).unwrap(),
        None,
    );
    // An attempt before this one left a refresh token of which nothing is known.
    let spare = refresh_token("the-spare");
    take_candidate(&mut record, AttemptId(0), &spare);
    settle_fate(&mut record, Fate::Spared);
    if let Some(candidate) = durable.candidate {
        let secret = match candidate.kind {
            AttemptKind::Login => named("password", "the-candidate"),
            AttemptKind::Refresh => refresh_token("the-candidate"),
        };
        take_candidate(&mut record, candidate.attempt, &secret);
    }
    update(
        &mut record,
        durable,
        HOST,
        &Notes {
            fingerprint: Some("login-1".into()),
            ..Notes::default()
        },
        clock,
    );
    record
}

/// An hour after the record was written, on the steady clock.
fn restored_at(record: &Record, clock: &Clock) -> u64 {
    let hour = record.anchor.wall_ms + 3_600_000;
    clock.restore(&record.anchor, hour).at.as_millis()
}

proptest! {
    #[test]
    fn facts_survive_a_record_on_one_boot(durable in facts(started().0.steady()), passes in 0u64..1_000_000, step in -10_000_000i64..10_000_000) {
        let (clock, hands) = started();
        let record = written(&durable, &clock);
        hands.advance(Duration::from_millis(passes));
        hands.step_wall(step);
        let restored = restore(&record, &clock);
        prop_assert_eq!(&restored.durable, &durable);
        let (host, used) = host_used(&record, &clock).unwrap();
        prop_assert_eq!((host, used.tat), (HOST, durable.host));
        // An attempt under way may have come to its provider by now, and an hour after it began at the latest.
        let by = clock.steady().min(Timestamp::from_millis(restored_at(&record, &clock)));
        let in_flight = durable.intent.map(|_| by);
        prop_assert_eq!(used.sent_by, in_flight.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(restored.token.is_some(), durable.held.is_some());
        prop_assert_eq!(restored.notes.fingerprint.is_some(), durable.block.is_some());
    }

    #[test]
    fn after_a_reboot_no_time_is_nearer_than_it_honestly_is(durable in facts(started().0.steady()), off in 0i64..1_000_000) {
        let (clock, _hands) = started();
        let record = written(&durable, &clock);
        let (later, _hands) = FakeClock::start(WALL + off, 1_000, "boot-2");
        let restored = restore(&record, &later);
        // The wall clock kept time, and the steady clock begins where it stands.
        prop_assert_eq!(&restored.durable, &durable);
    }

    #[test]
    fn with_the_clock_behind_no_token_counts_and_every_wait_is_whole(durable in facts(started().0.steady()), behind in 1i64..1_000_000_000) {
        let (clock, _hands) = started();
        let record = written(&durable, &clock);
        let (behind, _hands) = FakeClock::start(WALL - behind, 1_000, "boot-2");
        let restored = restore(&record, &behind);
        prop_assert_eq!(restored.durable.held, None);
        prop_assert!(restored.token.is_none());
        let waits = |tat: Tat, clock: &Clock| tat.0.since(clock.steady());
        for (before, after) in [
            (durable.attempts, restored.durable.attempts),
            (durable.logins, restored.durable.logins),
            (durable.host, restored.durable.host),
        ] {
            prop_assert!(waits(after, &behind) >= waits(before, &clock), "{before:?} {after:?}");
        }
        prop_assert_eq!(restored.durable.refresh.is_some(), durable.refresh.is_some());
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one secret after the other")]
fn secrets_that_the_facts_do_not_mention_are_dropped() {
    let (clock, _hands) = started();
    let now = clock.steady();
    let held = TokenFacts {
        grant: GrantId(1),
        issued: now,
        expires: None,
    };
    let full = Durable {
        last_attempt: AttemptId(1),
        held: Some(held),
        refresh: Some(RefreshToken {
            expires: Some(now),
            in_doubt: true,
            refused: true,
        }),
        ..Durable::default()
    };
    let record = written(&full, &clock);
    assert!(
        record.grant.is_some()
            && record.credential.refresh_token.is_some()
            && record.credential.refresh_in_doubt
            && record.credential.refresh_refused
    );
    let less = |durable: Durable| {
        let mut record = record.clone();
        update(&mut record, &durable, HOST, &Notes::default(), &clock);
        record
    };
    assert!(
        less(Durable {
            held: None,
            ..full.clone()
        })
        .grant
        .is_none()
    );
    let credential = less(Durable {
        refresh: None,
        ..full.clone()
    })
    .credential;
    assert!(
        credential.refresh_token.is_none()
            && credential.refresh_expires_at.is_none()
            && !credential.refresh_in_doubt
            && !credential.refresh_refused
    );
    let newer = TokenFacts {
        grant: GrantId(2),
        ..held
    };
    assert!(
        less(Durable {
            held: Some(newer),
            ..full
        })
        .grant
        .is_none(),
        "the token of another grant"
    );
}

#[test]
fn a_token_the_wire_cannot_carry_is_neither_held_nor_served() {
    let (clock, _hands) = started();
    let held = TokenFacts {
        grant: GrantId(1),
        issued: clock.steady(),
        expires: None,
    };
    let mut record = written(
        &Durable {
            last_attempt: AttemptId(1),
            held: Some(held),
            ..Durable::default()
        },
        &clock,
    );
    record.grant.as_mut().unwrap().access_token =
        SecretString::from("x".repeat(SecretText::MAX_LEN + 1));
    let restored = restore(&record, &clock);
    assert!(restored.durable.held.is_none() && restored.token.is_none());
}

/// Has a secret tried, and then this becomes of it.
fn tried(record: &mut Record, secret: EnteredCredential, fate: Fate) {
    take_candidate(record, AttemptId(1), &secret);
    settle_fate(record, fate);
    let once = format!("{:?}", record.credential);
    settle_fate(record, fate);
    assert_eq!(format!("{:?}", record.credential), once, "twice is once");
}

#[test]
fn what_a_person_entered_takes_its_place_when_it_is_granted_and_not_before() {
    let (clock, _hands) = started();
    let mut record = Record::new(clock.anchor(), "ads#1");
    let password = named("password", "pw");
    take_candidate(&mut record, AttemptId(1), &password);
    assert_eq!(entered(&record), Entered::default(), "it is on trial");
    settle_fate(&mut record, Fate::Takes);
    assert_eq!(entered(&record), Entered::default().with(&password));
    assert_eq!(entered(&record).field("password"), Some(BY));
    let secret = named("client_secret", "cs");
    tried(&mut record, secret, Fate::Takes);
    tried(&mut record, refresh_token("rt"), Fate::Takes);
    let who = entered(&record);
    assert!(who.has("password") && who.has("client_secret") && !who.has("pin"));
    assert_eq!(who.refresh_token(), Some(BY));
    let held = |record: &Record| {
        let text = |it: &Option<SecretString>| it.as_ref().map(|it| it.expose_secret().to_owned());
        let credential = &record.credential;
        (
            text(&credential.refresh_token),
            text(&credential.spare_refresh_token),
        )
    };
    assert_eq!(held(&record), (Some("rt".into()), None));
    tried(&mut record, refresh_token("unknown"), Fate::Spared);
    assert_eq!(held(&record), (Some("rt".into()), Some("unknown".into())));
    settle_fate(&mut record, Fate::SpareTakes);
    settle_fate(&mut record, Fate::SpareTakes);
    assert_eq!(held(&record), (Some("unknown".into()), None));
}

fn put(store: &MemoryStore, id: &str, clock: &Clock) {
    let id = RecordKey::read(id).unwrap();
    let now = clock.steady();
    let durable = Durable {
        attempts: Tat(now.after(Duration::from_secs(600))),
        host: Tat(now.after(Duration::from_secs(60))),
        last_attempt: AttemptId(3),
        held: Some(TokenFacts {
            grant: GrantId(3),
            issued: now,
            expires: None,
        }),
        refresh: Some(RefreshToken {
            expires: None,
            in_doubt: false,
            refused: false,
        }),
        ..Durable::default()
    };
    store
        .write_elsewhere(&id, Some(&written(&durable, clock)))
        .unwrap();
}

#[test]
fn a_purge_takes_every_secret_under_a_name_and_nothing_else() {
    let (clock, _hands) = started();
    let store = MemoryStore::new();
    for id in ["ads#1", "ads#2", "ads#3", "ads2#1", "bids#1"] {
        put(&store, id, &clock);
    }
    let id = |id: &str| RecordKey::read(id).unwrap();
    store.quarantine(&id("ads#3"), QuarantineReason::DoesNotOpen);
    assert_eq!(
        purge(&store, &"ads".parse().unwrap(), Some(&id("ads#1"))).unwrap(),
        2
    );
    let record = |name: &str| store.read(&id(name)).unwrap().unwrap().1;
    assert!(
        record("ads#1").grant.is_some()
            && record("ads2#1").grant.is_some()
            && record("bids#1").grant.is_some()
    );
    let purged = record("ads#2");
    assert!(purged.grant.is_none() && purged.credential.refresh_token.is_none());
    assert_eq!(purged.pace.attempts_tat, WALL + 600_000, "the pace stays");
    let host = Tat(clock.steady().after(Duration::from_secs(60)));
    let used = host_used(&purged, &clock).map(|(name, used)| (name, used.tat));
    assert_eq!(used, Some((HOST, host)), "the host's stays as well");
    assert_eq!(purged.last_begun, 3, "no attempt's number is used twice");
    assert!(
        store.read(&id("ads#3")).unwrap().is_none(),
        "one that does not open cannot be emptied, only removed"
    );
    assert_eq!(
        purge(&store, &"ads".parse().unwrap(), Some(&id("ads#1"))).unwrap(),
        0,
        "there is nothing left"
    );
}

#[test]
fn every_problem_has_a_name_of_its_own() {
    for (problem, name) in PROBLEMS {
        assert_eq!(problem_name(problem), name);
        assert_eq!(problem_named(name), Some(problem));
    }
    assert_eq!(problem_named("of-a-later-version"), None);
}

#[test]
fn an_attempt_that_was_under_way_counts_for_its_login_under_whatever_name() {
    let (clock, fake) = started();
    let mut record = Record::new(clock.anchor(), "identity");
    assert_eq!(
        (
            spent(&record, &clock).attempt_by,
            spent(&record, &clock).login_by
        ),
        (None, None)
    );
    for (kind, is_login) in [
        (store::StoredAttemptKind::Refresh, false),
        (store::StoredAttemptKind::Login, true),
    ] {
        record.intent = Some(store::StoredIntent {
            attempt: 1,
            kind,
            begun_at: record.anchor.wall_ms,
        });
        let now = clock.steady();
        let used = spent(&record, &clock);
        assert_eq!(used.attempt_by, Some(now));
        assert_eq!(used.login_by, is_login.then_some(now));
        assert!(used.counts(now));
        // Not for ever: it had ended by its longest time.
        let written = record.anchor.wall_ms;
        fake.advance(Duration::from_secs(2 * 3600));
        let end = clock.restore(&record.anchor, written + 3_600_000).at;
        assert!(end < clock.steady());
        assert_eq!(spent(&record, &clock).attempt_by, Some(end));
        record.anchor = clock.anchor();
    }
}

/// Finds and drops, as the store's thread does it.
fn purge(
    store: &MemoryStore,
    name: &tokend_proto::AccountName,
    keep: Option<&RecordKey>,
) -> Result<usize, store::StoreError> {
    let reader = StoreReader::new(Arc::new(store.clone()));
    let leftovers = Leftovers::find(&reader, name, keep)?;
    super::purge(store, &leftovers)?;
    Ok(leftovers.count())
}
