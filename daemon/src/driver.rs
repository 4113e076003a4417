//! The driver: the one task that feeds the engine and carries out what it decides.
//!
//! Owns the engine, the waiters' ways back, and the secrets of attempts under way for as long as a step needs them. It never
//! waits for a disk, a provider or a client: those report to it by messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokend_dialect::Grant;
use tokend_engine::{
    AccountKey, AttemptId, Commit, Demand, Durable, Effect, Engine, Event, Kind, Publication, StoreRefusal, Timestamp, Verdict,
    WaiterId,
};
use tokend_proto::{AccountName, AccountStatus, Fault, FaultCode, LoginSecret, SecretText};
use tokend_store::{AccountId, Credential};
use tokio::sync::{mpsc, oneshot};

use crate::attempts;
use crate::clock::Clock;
use crate::faults::Teller;
use crate::keeper::{Job, Keeper, Kept, Write};
use crate::means;
use crate::message::{Answer, Driver, Message, Reply};
use crate::registry::{IssuedToken, Registry, Slot};
use crate::roster::Roster;
use crate::status;
use crate::upstream::{Outcome, PrepareError, Prepared, Upstream};
use crate::vault::Secret;

/// The longest sleep. The runtime's timers stand still while the machine is suspended, the steady clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How many messages are taken before what became of them is carried out.
const BATCH: usize = 128;

/// The task's state.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) engine: Engine,
    pub(crate) roster: Roster,
    pub(crate) registry: Arc<Registry>,
    clock: Clock,
    keeper: Keeper,
    upstream: Arc<Upstream>,
    /// Its own way in, for the tasks it starts.
    own: Driver,
    waiters: HashMap<WaiterId, Waiting>,
    next_waiter: u64,
    /// What each account's attempt under way needs for its next step.
    under_way: HashMap<AccountKey, UnderWay>,
    drained: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Waiting {
    account: AccountKey,
    purpose: Purpose,
    reply: Reply,
}

/// What somebody waits for.
#[derive(Debug)]
enum Purpose {
    Token,
    /// That what was entered is stored, and whether it works.
    Login(LoginSecret),
    Forget,
}

/// The secrets of an attempt under way.
#[derive(Debug, Default)]
struct UnderWay {
    kind: Option<Kind>,
    prepared: Option<Box<Prepared>>,
    grant: Option<(AttemptId, Box<Grant>)>,
    secret: Option<Secret>,
}

impl Task {
    pub(crate) fn new(
        seed: u64,
        registry: Arc<Registry>,
        clock: Clock,
        keeper: Keeper,
        upstream: Arc<Upstream>,
        own: Driver,
    ) -> Self {
        Self {
            engine: Engine::new(seed),
            roster: Roster::default(),
            registry,
            clock,
            keeper,
            upstream,
            own,
            waiters: HashMap::new(),
            next_waiter: 0,
            under_way: HashMap::new(),
            drained: None,
        }
    }

    /// Runs until every way in is closed, or a drain is done.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let now = self.clock.steady();
            let due = self.engine.poll_timeout(now);
            let sleep = due.map_or(LONGEST_SLEEP, |due| due.since(now)).min(LONGEST_SLEEP);
            // Nothing to wait for is not a reason to starve the messages: they are taken first.
            tokio::select! {
                biased;
                taken = messages.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                () = tokio::time::sleep(sleep) => {}
            }
            for message in batch.drain(..) {
                self.take(message);
                self.carry_out();
            }
            self.engine.handle_timeout(self.clock.steady());
            self.carry_out();
            if self.drained.is_some() && self.engine.is_settled() {
                if let Some(drained) = self.drained.take() {
                    let _nobody_asks = drained.send(());
                }
                return;
            }
        }
    }

    fn take(&mut self, message: Message) {
        let now = self.clock.steady();
        match message {
            Message::Wanted { account, demand, want, reply } => {
                let Some(waiter) = self.wait(account, Purpose::Token, reply) else { return };
                self.engine.handle_event(now, Event::Wanted { account, waiter, demand, want });
            }
            Message::Asked(account) => self.engine.handle_event(now, Event::Asked(account)),
            Message::Login { account, secret, demand, reply } => self.login(now, account, secret, demand, reply),
            Message::Forget { account, reply } => self.forget(now, account, reply),
            Message::Status { accounts, reply } => {
                let _nobody_asks = reply.send(self.status(now, &accounts));
            }
            Message::Survey { accounts, reply } => {
                let _nobody_asks = reply.send(self.roster.survey(&accounts, &self.engine, now));
            }
            Message::Change(change) => crate::reload::apply(self, now, *change),
            Message::Kept(kept) => self.kept(now, kept),
            Message::Prepared { account, attempt, result } => self.prepared(now, account, attempt, result),
            Message::Answered { account, attempt, outcome } => self.answered(now, account, attempt, *outcome),
            Message::Drain(reply) => {
                self.drained = Some(reply);
                self.engine.handle_event(now, Event::Drain);
            }
        }
    }

    /// Notes who waits. Accounts whose record does not open are answered here: the engine does not know them.
    fn wait(&mut self, account: AccountKey, purpose: Purpose, reply: Reply) -> Option<WaiterId> {
        if let Some(fault) = self.quarantined(account) {
            let _nobody_waits = reply.send(Answer::Fault(Box::new(fault)));
            return None;
        }
        let id = WaiterId(self.next_waiter);
        self.next_waiter += 1;
        self.waiters.insert(id, Waiting { account, purpose, reply });
        Some(id)
    }

    fn quarantined(&self, account: AccountKey) -> Option<Fault> {
        let entry = self.roster.entry(account)?;
        let reason = entry.quarantined.as_deref()?;
        Some(self.teller(&entry.slot, &entry.notes).quarantined(reason))
    }

    fn login(&mut self, now: Timestamp, account: AccountKey, secret: LoginSecret, demand: Demand, reply: Reply) {
        let Some(entry) = self.roster.entry(account) else {
            return answer_gone(reply);
        };
        let mut entered = entry.notes.entered;
        let refresh_token = match &secret {
            LoginSecret::Password(_) => {
                entered.password = true;
                false
            }
            LoginSecret::ClientSecret(_) => {
                entered.client_secret = true;
                false
            }
            LoginSecret::RefreshToken(_) => true,
        };
        let can_login = means::can_login(&entry.slot.account, entered);
        let Some(waiter) = self.wait(account, Purpose::Login(secret), reply) else { return };
        self.engine.handle_event(now, Event::Entered { account, waiter, demand, refresh_token, can_login });
    }

    fn forget(&mut self, now: Timestamp, account: AccountKey, reply: Reply) {
        let Some(entry) = self.roster.entry(account) else {
            return answer_gone(reply);
        };
        if entry.quarantined.is_some() {
            let id = entry.id.clone();
            let waiter = WaiterId(self.next_waiter);
            self.next_waiter += 1;
            self.waiters.insert(waiter, Waiting { account, purpose: Purpose::Forget, reply });
            self.hand(Job::Discard { account, id });
            return;
        }
        let can_login = means::can_login(&entry.slot.account, crate::vault::Entered::default());
        let Some(waiter) = self.wait(account, Purpose::Forget, reply) else { return };
        self.engine.handle_event(now, Event::Forget { account, waiter, can_login });
    }

    fn status(&self, now: Timestamp, accounts: &[(AccountKey, AccountName)]) -> Vec<AccountStatus> {
        let status = |(key, _): &(AccountKey, AccountName)| {
            let entry = self.roster.entry(*key)?;
            let teller = self.teller(&entry.slot, &entry.notes);
            match (&entry.quarantined, self.engine.view(*key, now)) {
                (Some(reason), _) => Some(status::quarantined(&teller, reason)),
                (None, view) => Some(status::of(&teller, &entry.slot, &view?, now)),
            }
        };
        accounts.iter().filter_map(status).collect()
    }

    fn teller<'a>(&'a self, slot: &'a Slot, notes: &'a crate::vault::Notes) -> Teller<'a> {
        Teller { account: &slot.account, notes, clock: &self.clock }
    }

    fn kept(&mut self, now: Timestamp, kept: Kept) {
        match kept {
            Kept::Claimed { account, attempt, credential: Some(credential) } => self.prepare(account, attempt, credential),
            Kept::Claimed { account, attempt, credential: None } => {
                let refusal = Err(tokend_engine::ClaimRefusal::Store);
                self.engine.handle_event(now, Event::Claimed(account, attempt, refusal));
            }
            Kept::Recorded { account, attempt, done } => {
                let result = done.then_some(()).ok_or(StoreRefusal);
                self.engine.handle_event(now, Event::Recorded(account, attempt, result));
            }
            Kept::Committed { account, done } => {
                if let (Some(entered), Some(entry)) = (done, self.roster.entry_mut(account)) {
                    entry.notes.entered = entered;
                }
                let result = done.map(|_| ()).ok_or(StoreRefusal);
                self.engine.handle_event(now, Event::Committed(account, result));
                if done.is_some() {
                    self.carry_out();
                    // What was published is with the registry; nothing else may need it now.
                    if let Some(under_way) = self.under_way.get_mut(&account) {
                        under_way.secret = None;
                    }
                }
            }
            Kept::Discarded { account, done } => self.discarded(now, account, done),
        }
    }

    fn discarded(&mut self, now: Timestamp, account: AccountKey, done: bool) {
        let mut waiting = self.waiters.extract_if(|_, it| it.account == account).map(|(_, it)| it).collect::<Vec<_>>();
        if done {
            self.roster.readmit(account, &mut self.engine, now);
        }
        for it in waiting.drain(..) {
            let answer = match (done, self.roster.entry(account)) {
                (true, Some(entry)) => Answer::Done(format!("account {} is forgotten", entry.slot.account.name)),
                (false, Some(entry)) => Answer::Fault(Box::new(
                    self.teller(&entry.slot, &entry.notes).quarantined("it could not be removed either, see the daemon's log"),
                )),
                (_, None) => return answer_gone(it.reply),
            };
            let _nobody_waits = it.reply.send(answer);
        }
    }

    /// The account is claimed: gets its secrets and builds the request, before anything is debited.
    fn prepare(&mut self, account: AccountKey, attempt: AttemptId, credential: Box<Credential>) {
        let kind = self.under_way.get(&account).and_then(|under_way| under_way.kind);
        let (Some(entry), Some(kind)) = (self.roster.entry(account), kind) else { return };
        let configured = Arc::clone(&entry.slot.account);
        let access_token = entry.slot.held.token().as_ref().map(|token| SecretString::from(token.text.expose().to_owned()));
        let upstream = Arc::clone(&self.upstream);
        let own = self.own.clone();
        attempts::spawn(async move {
            let prepare = attempts::guarded(async move { upstream.prepare(configured, kind, &credential, access_token).await });
            let result = match prepare.await {
                Some(result) => result.map(Box::new),
                None => Err(PrepareError::Broken),
            };
            let _draining = own.send(Message::Prepared { account, attempt, result }).await;
        });
    }

    fn prepared(&mut self, now: Timestamp, account: AccountKey, attempt: AttemptId, result: Result<Box<Prepared>, PrepareError>) {
        let result = match result {
            Ok(prepared) => {
                self.under_way.entry(account).or_default().prepared = Some(prepared);
                Ok(())
            }
            Err(error) => {
                if let Some(entry) = self.roster.entry_mut(account) {
                    entry.notes.told = Some(error.to_string().into());
                }
                Err(tokend_engine::ClaimRefusal::Secret)
            }
        };
        self.engine.handle_event(now, Event::Claimed(account, attempt, result));
    }

    fn answered(&mut self, now: Timestamp, account: AccountKey, attempt: AttemptId, outcome: Outcome) {
        let Outcome { answer, grant, told, fingerprint } = outcome;
        if let Some(entry) = self.roster.entry_mut(account) {
            entry.notes.told = told;
            entry.notes.fingerprint = Some(fingerprint);
        }
        let answer = match grant {
            Some(grant) => self.keep_grant(account, attempt, grant).map_or(BAD_TOKEN, |()| answer),
            None => answer,
        };
        self.engine.handle_event(now, Event::Answered(account, attempt, answer));
    }

    fn keep_grant(&mut self, account: AccountKey, attempt: AttemptId, grant: Box<Grant>) -> Option<()> {
        let text = SecretText::new(grant.access_token.expose_secret()).ok()?;
        let secret = Secret {
            grant: tokend_engine::GrantId(attempt.0),
            text,
            token_type: grant.token_type.as_str().into(),
            scope: grant.scope.as_deref().map(Into::into),
        };
        let under_way = self.under_way.entry(account).or_default();
        under_way.secret = Some(secret);
        under_way.grant = Some((attempt, grant));
        Some(())
    }

    /// Keeps the secret of a token that is about to be published.
    pub(crate) fn keep_secret(&mut self, account: AccountKey, secret: Secret) {
        self.under_way.entry(account).or_default().secret = Some(secret);
    }

    pub(crate) fn carry_out(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Claim(account, attempt, kind) => {
                    let Some(id) = self.roster.entry(account).map(|entry| entry.id.clone()) else { continue };
                    self.under_way.insert(account, UnderWay { kind: Some(kind), ..UnderWay::default() });
                    self.hand(Job::Claim { account, attempt, id });
                }
                Effect::Record(account, attempt, durable) => self.write(account, Some(attempt), *durable, None),
                Effect::Send(account, attempt, _) => self.send(account, attempt),
                Effect::Commit(account, commit) => self.commit(account, *commit),
                Effect::Release(account, _) => self.hand(Job::Release { account }),
                Effect::Publish(account, publication) => self.publish(account, publication),
                Effect::Retire(account) => {
                    if let Some(entry) = self.roster.entry(account) {
                        entry.slot.held.retire();
                    }
                }
                Effect::Settle(waiter, verdict) => self.settle(waiter, verdict),
                Effect::Attempted(account, attempted) => {
                    if let Some(entry) = self.roster.entry_mut(account) {
                        attempts::note(entry, &attempted, &self.clock);
                    }
                }
                Effect::Dropped(account) => {
                    self.under_way.remove(&account);
                    self.roster.dropped(account);
                }
            }
        }
    }

    fn commit(&mut self, account: AccountKey, commit: Commit) {
        let Commit { durable, granted, entered, forget } = commit;
        if forget && let Some(entry) = self.roster.entry_mut(account) {
            entry.notes = crate::vault::Notes::default();
        }
        let grant = self
            .under_way
            .get_mut(&account)
            .and_then(|under_way| under_way.grant.take_if(|(attempt, _)| granted == Some(*attempt)));
        let entered = entered.and_then(|waiter| match &self.waiters.get(&waiter)?.purpose {
            Purpose::Login(secret) => Some(secret.clone()),
            Purpose::Token | Purpose::Forget => None,
        });
        self.write(account, None, durable, Some((grant, entered, forget)));
    }

    fn write(
        &mut self,
        account: AccountKey,
        intent_of: Option<AttemptId>,
        durable: Durable,
        secrets: Option<(Option<(AttemptId, Box<Grant>)>, Option<LoginSecret>, bool)>,
    ) {
        let Some(entry) = self.roster.entry(account) else { return };
        let (grant, entered, forget) = secrets.unwrap_or_default();
        let (id, notes) = (entry.id.clone(), entry.notes.clone());
        self.hand(Job::Write(Box::new(Write { account, id, intent_of, durable, notes, grant, entered, forget })));
    }

    /// Hands a job to the keeper. A keeper that is gone is a store that refuses, and the engine is told so.
    fn hand(&mut self, job: Job) {
        let Err(job) = self.keeper.hand(job) else { return };
        let kept = match job {
            Job::Claim { account, attempt, .. } => Kept::Claimed { account, attempt, credential: None },
            Job::Write(write) => match write.intent_of {
                Some(attempt) => Kept::Recorded { account: write.account, attempt, done: false },
                None => Kept::Committed { account: write.account, done: None },
            },
            Job::Discard { account, .. } => Kept::Discarded { account, done: false },
            Job::Release { .. } => return,
        };
        let now = self.clock.steady();
        self.kept(now, kept);
    }

    fn send(&mut self, account: AccountKey, attempt: AttemptId) {
        let prepared = self.under_way.get_mut(&account).and_then(|under_way| under_way.prepared.take());
        let upstream = Arc::clone(&self.upstream);
        let own = self.own.clone();
        // Not tied to anybody who waits: it ends when the provider has answered or the time is over.
        attempts::spawn(async move {
            let outcome = match prepared {
                Some(prepared) => attempts::guarded(async move { upstream.send(*prepared).await }).await,
                None => None,
            };
            let outcome = Box::new(outcome.unwrap_or_else(Outcome::unknown));
            let _draining = own.send(Message::Answered { account, attempt, outcome }).await;
        });
    }

    fn publish(&mut self, account: AccountKey, publication: Publication) {
        let Some(entry) = self.roster.entry(account) else { return };
        let fresh = self
            .under_way
            .get_mut(&account)
            .and_then(|under_way| under_way.secret.take_if(|secret| secret.grant == publication.held.grant));
        let secret = match fresh {
            Some(secret) => secret,
            // The same token again, with other circumstances: it is stored by now.
            None => match entry.slot.held.token().as_ref() {
                Some(token) if token.held.grant == publication.held.grant => Secret {
                    grant: token.held.grant,
                    text: token.text.clone(),
                    token_type: token.token_type.clone(),
                    scope: token.scope.clone(),
                },
                _ => return,
            },
        };
        entry.slot.held.publish(IssuedToken {
            text: secret.text,
            token_type: secret.token_type,
            scope: secret.scope,
            held: publication.held,
            ahead: publication.ahead,
            told: AtomicBool::new(false),
            unpersisted: publication.unpersisted,
        });
    }

    fn settle(&mut self, waiter: WaiterId, verdict: Verdict) {
        let Some(Waiting { account, purpose, reply }) = self.waiters.remove(&waiter) else { return };
        let Some(entry) = self.roster.entry(account) else { return answer_gone(reply) };
        let name = &entry.slot.account.name;
        let answer = match (verdict, purpose) {
            (Verdict::Token(grant), Purpose::Token) => match entry.slot.held.token().as_ref() {
                Some(token) if token.held.grant == grant => Answer::Token(Arc::clone(token)),
                _ => return answer_gone(reply),
            },
            (Verdict::Token(_), _) => Answer::Done(format!("stored, and it works: account {name} has a token")),
            (Verdict::Done, _) => Answer::Done(format!("account {name} is forgotten")),
            (Verdict::Fault(why), purpose) => {
                let mut fault = self.teller(&entry.slot, &entry.notes).tell(why);
                if matches!(purpose, Purpose::Login(_)) {
                    fault.message = format!("what you entered is stored, but {}", fault.message);
                }
                Answer::Fault(Box::new(fault))
            }
        };
        // A client that went away is nobody's problem.
        let _nobody_waits = reply.send(answer);
    }
}

/// A token the wire cannot carry, so it cannot be handed out.
const BAD_TOKEN: tokend_engine::Answer = tokend_engine::Answer::Misbehaved { maybe_processed: true };

fn answer_gone(reply: Reply) {
    let fault = Fault::new(FaultCode::UnknownAccount, "the account is no longer configured")
        .advise("`tokenctl list` shows the accounts you may use");
    let _nobody_waits = reply.send(Answer::Fault(Box::new(fault)));
}

/// The store's key for one identity of an account. Each identity has a record of its own, so that going back to an earlier
/// configuration finds the earlier credential.
pub(crate) fn record_id(account: &crate::config::Account) -> Option<AccountId> {
    AccountId::new(&format!("{}#{}", account.name, account.identity)).ok()
}
