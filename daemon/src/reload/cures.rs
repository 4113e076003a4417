//! Whether the configuration or a secret has changed since a provider refused it.
//!
//! Owns the looks at the secrets of accounts that are blocked, and their one deadline: a command that hangs or a file on a mount that does
//! not answer must not hold a reload that takes a right away, nor a start. What is not answered in time is not cured.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokend_config::{Account, Fingerprint};
use tokend_store::{AccountId, Credential, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::stack;
use crate::upstream::Upstream;

/// How long all looks of a reload or a start may take together. Tests do not wait so long for what never comes.
const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 10 });

/// How many looks are under way at once, those included that an earlier reload stopped waiting for: each may be a process, or one of the
/// five hundred threads of the runtime, and others need them.
const AT_ONCE: usize = 32;

/// An account that is blocked, and the fingerprint of what it is blocked for.
#[derive(Debug)]
pub(super) struct Question {
    /// Which of the accounts of the configuration it is.
    pub(super) number: usize,
    pub(super) account: Arc<Account>,
    pub(super) id: AccountId,
    pub(super) before: Box<str>,
}

/// Which account is looked at, with what configuration of it.
type Subject = (AccountId, Fingerprint);

/// The looks that are under way.
#[derive(Debug, Clone)]
pub(crate) struct Cures {
    places: Arc<Semaphore>,
    subjects: Arc<Mutex<HashSet<Subject>>>,
}

/// A look that is under way. It lasts as long as its command runs or its file does not answer, whether or not anybody waits for it.
#[derive(Debug)]
struct Look {
    cures: Cures,
    subject: Subject,
    _place: OwnedSemaphorePermit,
}

impl Cures {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            subjects: Arc::default(),
        }
    }

    /// Those of the questions that are answered in time, and with yes.
    pub(super) async fn ask(
        &self,
        store: &Arc<dyn Store>,
        upstream: &Arc<Upstream>,
        questions: Vec<Question>,
    ) -> Vec<Question> {
        let mut missing = questions.len();
        let mut cured = Vec::new();
        let mut looks = JoinSet::new();
        let asking = async {
            for question in questions {
                let Some(look) = self.begin(&question).await else {
                    continue;
                };
                let (store, upstream) = (Arc::clone(store), Arc::clone(upstream));
                looks.spawn(stack::wiped_throughout(async move {
                    let yes = is_cured(store, &upstream, &question).await;
                    drop(look);
                    yes.then_some(question)
                }));
            }
            while let Some(answer) = looks.join_next().await {
                missing -= 1;
                cured.extend(answer.ok().flatten());
            }
        };
        // Whether in time or not: what was answered counts.
        let _late = tokio::time::timeout(LIMIT, asking).await;
        while let Some(answer) = looks.try_join_next() {
            missing -= 1;
            cured.extend(answer.ok().flatten());
        }
        // A thread that waits for a file cannot be ended, so what it holds stays counted.
        looks.detach_all();
        if missing > 0 {
            tracing::warn!(
                "blocked accounts stay blocked until the next reload: the secrets of {missing} were not fetched within {} seconds",
                LIMIT.as_secs()
            );
        }
        cured
    }

    /// Waits for a place. Nothing, where the same is being looked at still: it may never be answered, and would take another place each
    /// time.
    async fn begin(&self, question: &Question) -> Option<Look> {
        let subject = (question.id.clone(), question.account.fingerprint);
        if self.subjects().contains(&subject) {
            return None;
        }
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        self.subjects().insert(subject.clone());
        Some(Look {
            cures: self.clone(),
            subject,
            _place: place,
        })
    }

    fn subjects(&self) -> std::sync::MutexGuard<'_, HashSet<Subject>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.cures.subjects().remove(&self.subject);
    }
}

/// A secret that cannot be had now cures nothing: the account would only be tried with less.
async fn is_cured(store: Arc<dyn Store>, upstream: &Upstream, question: &Question) -> bool {
    let key = question.id.clone();
    let read = stack::wiped_off_the_runtime(move || store.read(&key)).await;
    let credential = match read {
        Ok(Ok(Some((_, record)))) => record.credential,
        _ => Credential::default(),
    };
    let before = &*question.before;
    let now = upstream
        .fingerprint(&question.account, &credential, before)
        .await;
    now.is_some_and(|now| *now != *before)
}
