//! The clients that wait for the driver: their users, their requests, and their answers.
//!
//! Owns the reply channels to sessions, and entered credentials until they are on their way to the store. Each waiter is answered once,
//! with the result of its own request; a client that left causes no error.

use std::sync::Arc;

use tokend_engine::{AccountKey, AttemptKind, Demand, Event, Timestamp, Verdict, WaiterId, Want};
use tokend_proto::{Fault, FaultCode};
use tokend_store::EnteredCredential;

use super::queued::{Progress, Purpose, Queued};
use super::task::Task;
use crate::broker::inbox::{AnswerSender, DriverAnswer, next_waiter};
use crate::broker::job::StoreJob;
use crate::broker::login_means;
use crate::broker::wording::What;
use tokend_record::Entered;

/// How many clients may wait for one account. One user may have as many as there is room left for others: half of the room alone, a third
/// beside another user who does the same. A client that left no longer counts.
pub(super) const MOST_WAITERS: usize = 8_192;

impl Task {
    /// A client asks for a token.
    pub(super) fn token_wanted(
        &mut self,
        now: Timestamp,
        (account, waiter): (AccountKey, WaiterId),
        uid: u32,
        demand: Demand,
        want: Want,
        reply: AnswerSender,
    ) {
        let fault = self
            .crowded(now, account, uid)
            .or_else(|| self.disbelieved(now, account, uid, want))
            .or_else(|| self.quarantined(account));
        if let Some(fault) = fault {
            let _nobody_waits = reply.send(DriverAnswer::fault(fault));
            return;
        }
        self.shares.enter((account, waiter), uid);
        self.note(account, waiter, Purpose::Token(uid), reply);
        let event = Event::Wanted {
            account,
            waiter,
            demand,
            want,
        };
        self.engine.handle_event(now, event);
    }

    /// A client that waited for a token has gone.
    pub(super) fn left(&mut self, now: Timestamp, account: AccountKey, waiter: WaiterId) {
        if let Some(Queued {
            purpose: Purpose::Token(uid),
            ..
        }) = self.waiters.get(&waiter)
        {
            self.shares.leave((account, waiter), *uid);
            self.waiters.remove(&waiter);
            self.engine.handle_event(now, Event::Left(account, waiter));
        }
    }

    /// Why no further client of this user can wait for this account.
    fn crowded(&mut self, now: Timestamp, account: AccountKey, uid: u32) -> Option<Fault> {
        // The driver may not have heard yet of all clients that left: those of this user, or those of others that take its room.
        if self.has_its_share(now, account, uid) {
            let own = self.shares.sweep_own(now, account, uid);
            self.sweep(now, account, own);
        }
        if self.has_its_share(now, account, uid) {
            let all = self.shares.sweep_all(now, account);
            self.sweep(now, account, all);
        }
        let waiting = self.waiting(now, account);
        self.has_its_share(now, account, uid).then(|| {
            let own = self.shares.of(account, uid);
            Fault::new(
                FaultCode::TooBusy,
                format!(
                    "{waiting} requests already wait for this account, {own} of them of user {uid}: what room is left is for others"
                ),
            )
            .retry_after(1_000)
        })
    }

    /// Drops the waiters among these whose clients have left.
    fn sweep(&mut self, now: Timestamp, account: AccountKey, waiters: Vec<WaiterId>) {
        for waiter in waiters {
            let it = self.waiters.get(&waiter);
            if it.is_some_and(|it| it.reply.is_closed()) {
                self.left(now, account, waiter);
            }
        }
    }

    /// Whether this user has as many waiters as there is room left for others.
    fn has_its_share(&self, now: Timestamp, account: AccountKey, uid: u32) -> bool {
        let room = MOST_WAITERS.saturating_sub(self.waiting(now, account));
        self.shares.of(account, uid) >= room
    }

    fn waiting(&self, now: Timestamp, account: AccountKey) -> usize {
        let view = self.engine.view(account, now);
        view.map_or(0, |view| view.waiters)
    }

    /// Why a report of this user is not believed: the share of all users or of this one is used up, and the held token is for all users.
    fn disbelieved(
        &mut self,
        now: Timestamp,
        account: AccountKey,
        uid: u32,
        want: Want,
    ) -> Option<Fault> {
        let served = &self.accounts.entry(account)?.served;
        let held = served.cell.token().as_ref().map(|token| token.held.grant);
        let Want::Rejected(grant) = want else {
            return None;
        };
        if held != Some(grant) {
            return None;
        }
        // The report may cause a login, which has another rate limit.
        let view = self.engine.view(account, now)?;
        let pace = match view.kind {
            Some(AttemptKind::Login) => view.logins.0,
            _ => view.attempts.0,
        };
        let believed = self.reports.believe(now, (account, uid), grant, pace);
        let next = believed.err()?;
        let name = &served.account.name;
        let fault = Fault::new(
            FaultCode::Paced,
            format!(
                "as many tokens of account {name} as count for now have been reported; this report, by user {uid}, does not, and the token stays in use"
            ),
        );
        let wait = u64::try_from(next.since(now).as_millis()).unwrap_or(u64::MAX);
        Some(
            fault
                .advise(format!(
                    "find out why the API refuses new tokens; an administrator can get another one with `tokenctl refresh {name}`"
                ))
                .retry_after(wait),
        )
    }

    /// A person entered a credential.
    pub(super) fn login(
        &mut self,
        now: Timestamp,
        account: AccountKey,
        credential: Box<EnteredCredential>,
        demand: Demand,
        reply: AnswerSender,
    ) {
        let Some(entry) = self.accounts.entry(account) else {
            return answer_gone(reply);
        };
        let refresh_token = credential.secrets.refresh_token().is_some();
        let entered = entry.notes.entered.with(&credential);
        let can_login = login_means::can_login(&entry.served.account, &entered);
        let what = What::of(&credential.secrets);
        let purpose = Purpose::Login(what, Progress::Entered(credential));
        let Some(waiter) = self.wait(account, purpose, reply) else {
            return;
        };
        self.engine.handle_event(
            now,
            Event::Entered {
                account,
                waiter,
                demand,
                refresh_token,
                can_login,
            },
        );
    }

    /// A person wants an account forgotten.
    pub(super) fn forget(&mut self, now: Timestamp, account: AccountKey, reply: AnswerSender) {
        let Some(entry) = self.accounts.entry(account) else {
            return answer_gone(reply);
        };
        if entry.quarantined.is_some() {
            let id = entry.id.clone();
            let asked = self.waiters.values().any(|it| it.account == account);
            self.note(account, next_waiter(), Purpose::Discard, reply);
            if !asked {
                self.hand(StoreJob::Discard(account, id));
            }
            return;
        }
        let can_login = login_means::can_login(&entry.served.account, &Entered::default());
        let Some(waiter) = self.wait(account, Purpose::Forget, reply) else {
            return;
        };
        self.engine.handle_event(
            now,
            Event::Forget {
                account,
                waiter,
                can_login,
            },
        );
    }

    /// Adds a waiter. Requests for accounts whose record cannot be opened are answered here: the engine does not know such accounts.
    fn wait(
        &mut self,
        account: AccountKey,
        purpose: Purpose,
        reply: AnswerSender,
    ) -> Option<WaiterId> {
        if let Some(fault) = self.quarantined(account) {
            let _nobody_waits = reply.send(DriverAnswer::fault(fault));
            return None;
        }
        let id = next_waiter();
        self.note(account, id, purpose, reply);
        Some(id)
    }

    fn note(&mut self, account: AccountKey, id: WaiterId, purpose: Purpose, reply: AnswerSender) {
        self.waiters.insert(
            id,
            Queued {
                account,
                purpose,
                reply,
            },
        );
    }

    fn quarantined(&self, account: AccountKey) -> Option<Fault> {
        let entry = self.accounts.entry(account)?;
        let reason = entry.quarantined.as_deref()?;
        Some(self.fault_text(entry).quarantined(reason))
    }

    /// The credential that this waiter entered, which is to be tried now.
    pub(super) fn entered_by(&mut self, waiter: WaiterId) -> Option<Box<EnteredCredential>> {
        let Purpose::Login(_, progress) = &mut self.waiters.get_mut(&waiter)?.purpose else {
            return None;
        };
        match std::mem::replace(progress, Progress::Trying) {
            Progress::Entered(credential) => Some(credential),
            Progress::Trying | Progress::Sent => None,
        }
    }

    /// The attempt of this account is sent, and an entered credential with it.
    pub(super) fn entered_is_sent(&mut self, account: AccountKey) {
        let trial = self.in_flight.get(&account).and_then(|it| it.trial);
        if let Some(Queued {
            purpose: Purpose::Login(_, progress),
            ..
        }) = trial.and_then(|waiter| self.waiters.get_mut(&waiter))
        {
            *progress = Progress::Sent;
        }
    }

    /// A record that could not be opened is gone, or removing it failed.
    pub(super) fn discarded(&mut self, now: Timestamp, account: AccountKey, done: bool) {
        if done && self.accounts.is_quarantined(account) {
            self.accounts.readmit(account, &mut self.engine, now);
        }
        let waits = |it: &Queued| it.account == account && matches!(it.purpose, Purpose::Discard);
        let waiting: Vec<_> = self.waiters.extract_if(|_, it| waits(it)).collect();
        for (_, it) in waiting {
            let Some(entry) = self.accounts.entry(account) else {
                answer_gone(it.reply);
                continue;
            };
            let answer = match done {
                true => DriverAnswer::forgotten(&entry.served.account.name),
                false => DriverAnswer::fault(
                    self.fault_text(entry)
                        .quarantined("it could not be removed either, see the daemon's log"),
                ),
            };
            let _nobody_waits = it.reply.send(answer);
        }
    }

    pub(super) fn settle(&mut self, waiter: WaiterId, verdict: Verdict) {
        let Some(Queued {
            account,
            purpose,
            reply,
        }) = self.waiters.remove(&waiter)
        else {
            return;
        };
        if let Purpose::Token(uid) = purpose {
            self.shares.leave((account, waiter), uid);
        }
        let Some(entry) = self.accounts.entry(account) else {
            return answer_gone(reply);
        };
        let name = &entry.served.account.name;
        let answer = match (verdict, purpose) {
            (Verdict::Token(grant), Purpose::Token(_)) => {
                match entry.served.cell.token().as_ref() {
                    Some(token) if token.held.grant == grant => {
                        DriverAnswer::Token(Arc::clone(token))
                    }
                    _ => return answer_gone(reply),
                }
            }
            (Verdict::Token(_), _) => DriverAnswer::Done(format!(
                "stored: the provider accepted it, and account {name} has a token of it"
            )),
            (Verdict::Unproven(unproven), Purpose::Login(what, _)) => {
                let notes = entry.notes_of_trial();
                let fault_text = self.fault_text(entry).about(&notes);
                DriverAnswer::fault(fault_text.unproven(&what, unproven))
            }
            (Verdict::Unproven(_), _) => return answer_gone(reply),
            (Verdict::Done, _) => DriverAnswer::forgotten(name),
            (Verdict::Fault(why), purpose) => {
                let mut fault = self.fault_text(entry).tell(why);
                if let Purpose::Login(what, progress) = purpose {
                    fault.message = format!("{}: {}", progress.in_words(&what, why), fault.message);
                }
                DriverAnswer::fault(fault)
            }
        };
        // A client that left causes no error.
        let _nobody_waits = reply.send(answer);
    }
}

fn answer_gone(reply: AnswerSender) {
    let fault = Fault::new(
        FaultCode::UnknownAccount,
        "the account is no longer configured",
    )
    .advise("`tokenctl list` shows the accounts you may use");
    let _nobody_waits = reply.send(DriverAnswer::fault(fault));
}
