//! The store's thread with a store that fails when it is told to.

use secrecy::ExposeSecret as _;
use tokend_dialect::Grant;
use tokend_engine::{
    AttemptKind, Candidate, Durable, Fate, GrantId, Intent, RefreshToken, Tat, TokenFacts,
};
use tokend_store::{Credential, MemoryStore, QuarantineReason, ScriptedFault, StoreFailure};
use tokend_store::{EnteredCredential, EnteredSecrets, Entry};

use super::*;
use crate::broker::job::SecretChanges;
use crate::testing::name;
use tokend_record::StoreReader;
use tokend_record::{Entered, Leftovers, Notes};
use tokend_upstream::Granted;

struct Bench {
    store: MemoryStore,
    store_thread: StoreThread,
    reports: mpsc::Receiver<Message>,
    clock: Clock,
}

const ACCOUNT: AccountKey = AccountKey(1);

fn id(n: u32) -> RecordKey {
    RecordKey::read(&format!("ads{n}#1")).unwrap()
}

impl Bench {
    fn start() -> Self {
        let store = MemoryStore::new();
        let clock = Clock::system();
        let (driver, reports) = mpsc::channel(1024);
        let (store_thread, thread) = StoreThread::start(
            Arc::new(store.clone()),
            clock.clone(),
            driver,
            Counters::new(0),
        )
        .unwrap();
        drop(thread);
        Self {
            store,
            store_thread,
            reports,
            clock,
        }
    }

    fn hand(&self, job: StoreJob) {
        self.store_thread.hand(job).unwrap();
    }

    fn report(&mut self) -> Stored {
        match self.reports.blocking_recv() {
            Some(Message::Stored(stored)) => stored,
            other => panic!("{other:?}"),
        }
    }

    fn claim(&mut self, attempt: u64) -> Option<Box<Credential>> {
        self.hand(StoreJob::Claim(ACCOUNT, AttemptId(attempt), id(1)));
        match self.report() {
            Stored::Claimed(ACCOUNT, _, credential) => credential,
            other => panic!("{other:?}"),
        }
    }

    fn intend(&mut self, attempt: u64) -> bool {
        let intent = Some(Intent {
            attempt: AttemptId(attempt),
            kind: AttemptKind::Login,
        });
        let durable = Durable {
            intent,
            last_attempt: AttemptId(attempt),
            ..Durable::default()
        };
        self.hand(StoreJob::Write(Box::new(Write {
            intent_of: Some(AttemptId(attempt)),
            ..write(1, durable)
        })));
        match self.report() {
            Stored::Recorded(_, _, done) => done,
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, write: Write) -> Option<Entered> {
        self.hand(StoreJob::Write(Box::new(write)));
        match self.report() {
            Stored::Committed(_, done) => done,
            other => panic!("{other:?}"),
        }
    }

    fn outcome(&self, attempt: u64, grant: bool) -> Write {
        let now = self.clock.steady();
        let durable = Durable {
            attempts: Tat(now),
            last_attempt: AttemptId(attempt),
            held: Some(TokenFacts {
                grant: GrantId(attempt),
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
        let granted = Grant {
            access_token: "access".to_owned().into(),
            token_type: "Bearer".into(),
            scope: None,
            lifetime: None,
            lifetime_source: tokend_dialect::LifetimeSource::Unknown,
            refresh_token: Some(format!("rotated-{attempt}").into()),
            refresh_token_lost: false,
            refresh_lifetime: None,
            remarks: Vec::new(),
        };
        Write {
            secrets: SecretChanges {
                granted: grant.then(|| (AttemptId(attempt), Granted::of_grant(granted).unwrap())),
                ..SecretChanges::default()
            },
            ..write(1, durable)
        }
    }

    fn stored(&self, n: u32) -> Record {
        self.store.read(&id(n)).unwrap().unwrap().1
    }
}

fn write(n: u32, durable: Durable) -> Write {
    Write {
        account: AccountKey(n),
        id: id(n),
        intent_of: None,
        durable,
        host: "https://ads.example.com".into(),
        notes: Notes::default(),
        secrets: SecretChanges::default(),
    }
}

fn refresh_token(record: &Record) -> &str {
    record
        .credential
        .refresh_token
        .as_ref()
        .unwrap()
        .expose_secret()
}

#[test]
fn an_attempt_is_claimed_recorded_committed_and_released() {
    let mut it = Bench::start();
    assert!(it.claim(1).unwrap().refresh_token.is_none());
    assert!(it.intend(1));
    assert_eq!(it.stored(1).intent.as_ref().unwrap().attempt, 1);
    assert!(
        it.store.claim(&id(1), CLAIM_TTL).is_err(),
        "the claim holds while the attempt runs"
    );
    assert!(it.commit(it.outcome(1, true)).is_some());
    assert!(it.stored(1).intent.is_none());
    assert_eq!(refresh_token(&it.stored(1)), "rotated-1");
    it.hand(StoreJob::Release(ACCOUNT));
    assert_eq!(
        it.claim(2).unwrap().refresh_token.unwrap().expose_secret(),
        "rotated-1"
    );
}

#[test]
fn on_a_full_disk_nothing_may_be_sent() {
    let mut it = Bench::start();
    it.store.set_outage(Some(StoreFailure::DiskFull));
    assert!(it.claim(1).is_some(), "reading works");
    assert!(!it.intend(1));
    it.hand(StoreJob::Release(ACCOUNT));
    assert!(it.store.read(&id(1)).unwrap().is_none());
    it.store.set_outage(None);
    assert!(it.claim(2).is_some() && it.intend(2));
}

#[test]
fn a_store_that_cannot_be_read_gives_nothing_out() {
    let mut it = Bench::start();
    it.store.set_outage(Some(StoreFailure::Io));
    assert!(it.claim(1).is_none());
    it.store.set_outage(None);
    assert!(
        it.claim(1).is_some(),
        "the claim of the failed try was given back"
    );
}

#[test]
fn a_rotated_token_that_was_refused_lands_with_the_next_try() {
    for fault in [
        ScriptedFault::DISK_FULL,
        ScriptedFault::LOST_ANSWER,
        ScriptedFault::DISK_FULL_AFTER,
    ] {
        let mut it = Bench::start();
        assert!(it.claim(1).is_some() && it.intend(1));
        it.store.fail_commit(1, fault);
        assert!(it.commit(it.outcome(1, true)).is_none());
        // The driver handed the secrets over with the first try; what may have landed is found by its version.
        let landed = (0..3).any(|_| it.commit(it.outcome(1, false)).is_some());
        assert!(landed, "{fault:?}");
        assert_eq!(refresh_token(&it.stored(1)), "rotated-1", "{fault:?}");
        assert!(it.stored(1).grant.is_some(), "{fault:?}");
    }
}

#[test]
fn a_claim_that_ran_out_while_the_store_refused_is_taken_again() {
    let mut it = Bench::start();
    assert!(it.claim(1).is_some() && it.intend(1));
    it.store.expire_claim(&id(1));
    assert!(it.commit(it.outcome(1, true)).is_none());
    assert!(it.commit(it.outcome(1, false)).is_some());
    assert_eq!(refresh_token(&it.stored(1)), "rotated-1");
}

#[test]
fn many_accounts_are_written_in_few_transactions() {
    let mut it = Bench::start();
    // While the store's thread waits for room to report, what comes meanwhile piles up.
    const MANY: u32 = 2_000;
    for n in 1..=MANY {
        it.hand(StoreJob::Write(Box::new(write(
            n,
            Durable {
                failures: n,
                ..Durable::default()
            },
        ))));
    }
    for _ in 1..=MANY {
        assert!(matches!(it.report(), Stored::Committed(_, Some(_))));
    }
    assert!((1..=MANY).all(|n| it.stored(n).failures == n));
    let commits = it.store.commits();
    assert!(commits < u64::from(MANY) / 2, "{commits} transactions");
}

#[test]
fn one_record_that_does_not_open_does_not_spoil_the_batch() {
    let mut it = Bench::start();
    for n in 1..=2 {
        assert!(it.commit(write(n, Durable::default())).is_some());
    }
    it.store.quarantine(&id(1), QuarantineReason::DoesNotOpen);
    assert!(it.commit(write(1, Durable::default())).is_none());
    assert!(
        it.commit(write(
            2,
            Durable {
                failures: 5,
                ..Durable::default()
            }
        ))
        .is_some()
    );
    it.hand(StoreJob::Discard(ACCOUNT, id(1)));
    assert!(matches!(it.report(), Stored::Discarded(_, true)));
    it.hand(StoreJob::Discard(ACCOUNT, id(1)));
    assert!(matches!(it.report(), Stored::Discarded(_, false)));
    assert!(it.commit(write(1, Durable::default())).is_some());
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn what_a_person_entered_is_stored_with_its_intent_takes_its_place_and_is_forgotten_again() {
    let mut it = Bench::start();
    let credential = EnteredCredential {
        secrets: EnteredSecrets::one("password", "hunter2".into()),
        entry: Entry {
            at: Some(7),
            by: Some(1000),
        },
    };
    it.store.fail_commit(2, ScriptedFault::DISK_FULL);
    it.claim(1);
    let attempt = AttemptId(1);
    let kind = AttemptKind::Login;
    let durable = Durable {
        last_attempt: attempt,
        intent: Some(Intent { attempt, kind }),
        candidate: Some(Candidate {
            attempt,
            kind,
            same: false,
        }),
        ..Durable::default()
    };
    it.hand(StoreJob::Write(Box::new(Write {
        intent_of: Some(attempt),
        secrets: SecretChanges {
            entered: Some(Box::new(credential.clone())),
            ..SecretChanges::default()
        },
        ..write(1, durable)
    })));
    assert!(matches!(it.report(), Stored::Recorded(_, _, true)));
    let record = it.stored(1);
    assert!(record.credential.secrets.is_empty(), "it is on trial");
    let tried = record.candidate.unwrap().entered.secrets;
    assert_eq!(tried.field("password").unwrap().expose_secret(), "hunter2");
    let takes = || Write {
        secrets: SecretChanges {
            fate: Some(Fate::Takes),
            ..SecretChanges::default()
        },
        ..write(1, Durable::default())
    };
    assert!(it.commit(takes()).is_none(), "the store refuses");
    assert_eq!(
        it.commit(takes()),
        Some(Entered::default().with(&credential))
    );
    let record = it.stored(1);
    assert!(record.candidate.is_none());
    assert_eq!(
        record
            .credential
            .secret("password")
            .unwrap()
            .expose_secret(),
        "hunter2"
    );
    it.hand(StoreJob::Release(ACCOUNT));
    let pace = Tat(it.clock.steady().after(Duration::from_secs(60)));
    let durable = Durable {
        logins: pace,
        ..Durable::default()
    };
    assert_eq!(
        it.commit(Write {
            secrets: SecretChanges {
                forget: true,
                ..SecretChanges::default()
            },
            ..write(1, durable)
        }),
        Some(Entered::default())
    );
    let record = it.stored(1);
    assert!(record.credential.secrets.is_empty());
    assert!(
        record.pace.logins_tat > it.clock.wall_ms(),
        "the pace stays"
    );
    assert!(
        it.store.claim(&id(1), CLAIM_TTL).is_ok(),
        "no claim is left behind"
    );
}

#[test]
fn a_store_thread_that_is_gone_gives_the_job_back() {
    let (jobs, receiver) = mpsc::channel(1);
    drop(receiver);
    let job = StoreThread(jobs).hand(StoreJob::Release(ACCOUNT));
    assert!(matches!(job, Err(StoreJob::Release(ACCOUNT))));
}

#[test]
fn what_was_given_before_is_done_when_the_store_says_so() {
    let mut it = Bench::start();
    it.claim(1).unwrap();
    assert!(it.intend(1));
    assert!(it.commit(it.outcome(1, true)).is_some());
    let claimed = it.store.claim(&id(1), CLAIM_TTL);
    assert!(matches!(claimed, Err(StoreError::Claimed { .. })));
    let durable = Durable::default();
    it.hand(StoreJob::Write(Box::new(write(2, durable))));
    it.hand(StoreJob::Release(ACCOUNT));
    let (reply, done) = tokio::sync::oneshot::channel();
    it.hand(StoreJob::Reached(reply));
    done.blocking_recv().unwrap();
    let claim = it.store.claim(&id(1), CLAIM_TTL).unwrap();
    it.store.release(claim);
    assert!(
        it.store.read(&id(2)).unwrap().is_some(),
        "also what is written at the end of a batch"
    );
}

/// A purge is a job like any other: what was given before it is written before, and what comes after it is not dropped.
#[test]
fn a_purge_drops_what_was_written_before_it_and_nothing_that_comes_after() {
    let mut it = Bench::start();
    it.claim(1).unwrap();
    assert!(it.intend(1));
    assert!(it.commit(it.outcome(1, true)).is_some());
    it.hand(StoreJob::Release(ACCOUNT));
    let (reply, done) = tokio::sync::oneshot::channel();
    it.hand(StoreJob::Reached(reply));
    done.blocking_recv().unwrap();
    let reader = StoreReader::new(Arc::new(it.store.clone()));
    let found = || Leftovers::find(&reader, &name("ads1"), None).unwrap();
    assert_eq!(
        Leftovers::find(&reader, &name("ads1"), Some(&id(1)))
            .unwrap()
            .count(),
        0
    );
    let leftovers = found();
    assert_eq!(leftovers.count(), 1);
    let (reply, done) = tokio::sync::oneshot::channel();
    it.hand(StoreJob::Purge { leftovers, reply });
    done.blocking_recv().unwrap().unwrap();
    assert_eq!(found().count(), 0);
    let record = it.stored(1);
    assert!(record.grant.is_none() && record.credential.refresh_token.is_none());
    assert_ne!(record.pace.attempts_tat, 0, "the pace stays");
}

#[test]
fn a_purge_that_the_store_refuses_is_told() {
    let mut it = Bench::start();
    it.claim(1).unwrap();
    assert!(it.intend(1));
    assert!(it.commit(it.outcome(1, true)).is_some());
    let reader = StoreReader::new(Arc::new(it.store.clone()));
    let leftovers = Leftovers::find(&reader, &name("ads1"), None).unwrap();
    let (reply, done) = tokio::sync::oneshot::channel();
    // The attempt has given nothing back yet.
    it.hand(StoreJob::Purge { leftovers, reply });
    let refused = done.blocking_recv().unwrap();
    assert!(matches!(refused, Err(StoreError::Claimed { .. })));
}
