//! Whether the configuration or a secret has changed since a provider refused it.
//!
//! Owns the checks of the secrets of blocked accounts, and their common deadline: a command that hangs or a file on a mount that does not
//! answer must not delay a start, nor a reload that removes a permission. An account whose check is not answered in time is not cured.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokend_config::{Account, Fingerprint};
use tokend_record::RecordKey;
use tokend_store::Credential;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use tokend_process::stack;
use tokend_record::StoreReader;
use tokend_upstream::Upstream;

/// The common deadline of all checks of a reload or a start. Tests wait less for checks that never answer.
const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 10 });

/// How many checks of a reload run at once: each may be a process, or one of the runtime's five hundred threads, which other work needs.
const AT_ONCE: usize = 32;

/// How many more checks of earlier reloads may still run. Beyond that number, checks that never answer take the places of those that would.
const LEFT_BEHIND: usize = 96;

/// A blocked account, and the fingerprint it is blocked for.
#[derive(Debug)]
pub(super) struct Question {
    /// The position of the account in the configuration.
    pub(super) number: usize,
    pub(super) account: Arc<Account>,
    pub(super) id: RecordKey,
    pub(super) before: Box<str>,
}

/// The account to check, with its configuration.
type Subject = (RecordKey, Fingerprint);

#[derive(Debug, Clone)]
pub(super) struct Cures {
    places: Arc<Semaphore>,
    left_behind: Arc<Semaphore>,
    /// The question with which the next reload begins: questions without a turn come before those that had one.
    turn: Arc<AtomicUsize>,
    subjects: Arc<Mutex<HashSet<Subject>>>,
}

/// A running check. It lasts until its command ends or its file answers, whether or not a reload waits for it.
#[derive(Debug)]
struct Check {
    cures: Cures,
    subject: Subject,
    _place: Place,
}

/// Its permit: one of the current reload's, or one of those for checks that earlier reloads left behind.
type Place = Arc<Mutex<OwnedSemaphorePermit>>;

impl Cures {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            left_behind: Arc::new(Semaphore::new(LEFT_BEHIND)),
            turn: Arc::default(),
            subjects: Arc::default(),
        }
    }

    /// The questions that are answered in time, and with yes.
    pub(super) async fn ask(
        &self,
        store: &StoreReader,
        upstream: &Arc<Upstream>,
        questions: Vec<Question>,
    ) -> Vec<Question> {
        self.ask_each(questions, |question| {
            let (store, upstream) = (store.clone(), Arc::clone(upstream));
            async move {
                let yes = is_cured(store, &upstream, &question).await;
                yes.then_some(question)
            }
        })
        .await
    }

    async fn ask_each<L>(
        &self,
        mut questions: Vec<Question>,
        run: impl Fn(Question) -> L,
    ) -> Vec<Question>
    where
        L: Future<Output = Option<Question>> + Send + 'static,
    {
        let mut missing = questions.len();
        if missing > 0 {
            questions.rotate_left(self.turn.load(Ordering::Relaxed) % missing);
        }
        let mut cured = Vec::new();
        let mut places = Vec::new();
        let mut checks = JoinSet::new();
        let asking = async {
            for question in questions {
                let check = self.begin(&question).await;
                self.turn.fetch_add(1, Ordering::Relaxed);
                let Some((check, place)) = check else {
                    continue;
                };
                places.push(place);
                let answer = run(question);
                checks.spawn(stack::wiped_throughout(async move {
                    let cured = answer.await;
                    drop(check);
                    cured
                }));
            }
            while let Some(answer) = checks.join_next().await {
                missing -= 1;
                cured.extend(answer.ok().flatten());
            }
        };
        // Answers count, whether they came in time or not.
        let _late = tokio::time::timeout(LIMIT, asking).await;
        while let Some(answer) = checks.try_join_next() {
            missing -= 1;
            cured.extend(answer.ok().flatten());
        }
        // A thread that waits for a file cannot be ended. Its check stays counted, among those left behind.
        checks.detach_all();
        self.leave_behind(&places);
        if missing > 0 {
            tracing::warn!(
                "blocked accounts stay blocked until the next reload: the secrets of {missing} were not fetched within {} seconds",
                LIMIT.as_secs()
            );
        }
        cured
    }

    /// Waits for a place. `None` if the same check still runs: it may never be answered, and would take another place each time.
    async fn begin(
        &self,
        question: &Question,
    ) -> Option<(Check, Weak<Mutex<OwnedSemaphorePermit>>)> {
        let subject = (question.id.clone(), question.account.fingerprint);
        if self.subjects().contains(&subject) {
            return None;
        }
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        self.subjects().insert(subject.clone());
        let place = Arc::new(Mutex::new(place));
        let weak = Arc::downgrade(&place);
        let check = Check {
            cures: self.clone(),
            subject,
            _place: place,
        };
        Some((check, weak))
    }

    /// Counts running checks as left behind, as far as that number has room, so that the next reload gets their places.
    fn leave_behind(&self, places: &[Weak<Mutex<OwnedSemaphorePermit>>]) {
        for place in places.iter().filter_map(Weak::upgrade) {
            let Ok(elsewhere) = Arc::clone(&self.left_behind).try_acquire_owned() else {
                return;
            };
            *place.lock().unwrap_or_else(PoisonError::into_inner) = elsewhere;
        }
    }

    fn subjects(&self) -> std::sync::MutexGuard<'_, HashSet<Subject>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.cures.subjects().remove(&self.subject);
    }
}

/// A secret that cannot be read now cures nothing: the account would only be tried with fewer secrets.
async fn is_cured(store: StoreReader, upstream: &Upstream, question: &Question) -> bool {
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::testing::Site;

    /// A number of blocked accounts.
    fn questions(count: usize) -> impl Fn() -> Vec<Question> {
        let mut text = String::new();
        for number in 0..count {
            writeln!(text, "[account.a{number:03}]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\npassword = {{ env = \"X\" }}").unwrap();
        }
        let accounts = Site::new(&text).config().accounts;
        move || {
            let question = |(number, account): (usize, &Arc<Account>)| Question {
                number,
                account: Arc::clone(account),
                id: RecordKey::of(account).unwrap(),
                before: "blocked".into(),
            };
            accounts.iter().enumerate().map(question).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_secrets_hang_those_that_do_not_are_checked_in_their_turn() {
        for hanging in [AT_ONCE, 3 * AT_ONCE, LEFT_BEHIND + AT_ONCE - 1] {
            let cures = Cures::new();
            let questions = questions(hanging + 4);
            let mut found = HashSet::new();
            for _ in 0..5 {
                let cured = cures.ask_each(questions(), |question| async move {
                    if question.number < hanging {
                        std::future::pending::<()>().await;
                    }
                    Some(question)
                });
                found.extend(cured.await.into_iter().map(|it| it.number));
            }
            assert_eq!(found.len(), 4, "{hanging} hang: {found:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_checks_are_left_behind_than_so_many() {
        let cures = Cures::new();
        let questions = questions(400);
        for _ in 0..10 {
            let cured = cures.ask_each(questions(), |_| std::future::pending());
            assert_eq!(cured.await.len(), 0);
        }
        assert_eq!(cures.subjects().len(), AT_ONCE + LEFT_BEHIND);
    }
}
