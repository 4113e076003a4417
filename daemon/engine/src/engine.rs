//! The engine: four verbs around the accounts.
//!
//! Owns dispatch and the timetable. `handle_event` and `handle_timeout` take the time and change state, `poll_effect` yields the next
//! thing to do and `poll_timeout` the time of the next call. It cannot fail: an event for something that is over is a no-op.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::account::{Account, Context, Phase};
use crate::backoff::Dice;
use crate::durable::AttemptKind;
use crate::effect::{Effect, Verdict, WaiterFault, Withheld};
use crate::event::{Adoption, Event, HostUsed, LoginUsed};
use crate::host::Hosts;
use crate::ids::{AccountKey, HostKey, WaiterId};
use crate::time::Timestamp;
use crate::view::View;
use crate::wishes::{Trial, Wish};

/// The state machine of all accounts.
#[derive(Debug)]
pub struct Engine {
    seed: u64,
    draining: bool,
    /// Boxed: a map that is filled in the order of its keys leaves its nodes half empty, so entries must be small.
    accounts: BTreeMap<AccountKey, Box<Account>>,
    hosts: Hosts,
    /// When each account is due; an account stands here at most once, at the time in `planned`.
    timetable: BTreeSet<(Timestamp, AccountKey)>,
    planned: BTreeMap<AccountKey, Timestamp>,
    effects: VecDeque<Effect>,
}

impl Engine {
    /// An engine without accounts. The seed decides all jitter: two engines with the same seed and events do the same.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            draining: false,
            accounts: BTreeMap::new(),
            hosts: Hosts::default(),
            timetable: BTreeSet::new(),
            planned: BTreeMap::new(),
            effects: VecDeque::new(),
        }
    }

    /// Something happened at `now`.
    #[expect(clippy::too_many_lines, reason = "one arm for each event")]
    pub fn handle_event(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Host(key, plan) => self.hosts.plan(key, plan, now),
            Event::HostUsed(key, used) => self.hosts.restore(key, used, now),
            Event::Adopt(key, adoption) => self.adopt(now, key, *adoption),
            Event::Spent(key, spent) => {
                self.with_before_start(now, key, |it, ctx| it.inherit(spent, ctx.now));
            }
            Event::Replan {
                account,
                plan,
                can_login,
                cured,
            } => self.with(now, account, |it, ctx| {
                it.go_elsewhere(ctx, &plan);
                it.replan(plan, can_login, cured, ctx.now);
                // The time of the refresh ahead may have changed, which connections have to know, and what a refresh does to the held
                // token.
                it.serve(ctx);
                it.consider(ctx);
            }),
            Event::Outdated {
                account,
                by_login,
                by_refresh,
            } => self.with_before_start(now, account, |it, ctx| {
                it.outdate(ctx, by_login, by_refresh);
            }),
            Event::Remove(key) => self.with(now, key, Account::remove),
            Event::Wanted {
                account,
                waiter,
                demand,
                want,
            } => self.with_waiter(now, account, waiter, |it, ctx| {
                it.wanted(ctx, waiter, demand, want);
            }),
            Event::Left(key, waiter) => self.with(now, key, |it, ctx| it.left(ctx, waiter)),
            Event::Asked(key) => self.with(now, key, |it, ctx| {
                it.asked.touch(ctx.now);
                it.consider(ctx);
            }),
            Event::Entered {
                account,
                waiter,
                demand,
                refresh_token,
                can_login,
            } => {
                let kind = match refresh_token {
                    true => AttemptKind::Refresh,
                    false => AttemptKind::Login,
                };
                let trial = Trial {
                    waiter,
                    demand,
                    kind,
                    can_login,
                    same: false,
                    answered: false,
                };
                self.wish(now, account, Wish::Enter(trial));
            }
            Event::Forget {
                account,
                waiter,
                can_login,
            } => self.wish(now, account, Wish::Forget { waiter, can_login }),
            Event::EnteredAgain(key, attempt) => {
                self.with(now, key, |it, _| it.entered_again(attempt))
            }
            Event::Claimed(key, attempt, result) => {
                self.with(now, key, |it, ctx| it.claimed(ctx, attempt, result))
            }
            Event::Recorded(key, attempt, result) => {
                self.with(now, key, |it, ctx| it.recorded(ctx, attempt, result))
            }
            Event::Doubted(key, attempt, refresh_token) => {
                self.with(now, key, |it, _| it.doubted(attempt, refresh_token))
            }
            Event::Answered(key, attempt, answer) => {
                self.with(now, key, |it, ctx| it.answered(ctx, attempt, answer))
            }
            Event::Committed(key, result) => {
                self.with(now, key, |it, ctx| it.committed(ctx, result))
            }
            Event::Drain => {
                self.draining = true;
                for key in self.accounts.keys().copied().collect::<Vec<_>>() {
                    self.with(now, key, Account::drain);
                }
            }
        }
        self.call_queues(now);
    }

    /// Time has passed: does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.timetable.first().copied() {
            if at > now {
                break;
            }
            self.timetable.remove(&(at, key));
            self.planned.remove(&key);
            self.with(now, key, Account::tick);
            if self.planned.get(&key).is_some_and(|again| *again <= now) {
                // Still due at the same moment would be a loop: all that could be done was just done.
                self.plan(key, Some(now.after(std::time::Duration::from_millis(1))));
            }
        }
        self.call_queues(now);
    }

    /// When to call [`Engine::handle_timeout`] next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self, now: Timestamp) -> Option<Timestamp> {
        let account = self.timetable.first().map(|(at, _)| *at);
        [account, self.hosts.due(now)].into_iter().flatten().min()
    }

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What an account looks like at `now`, for status.
    #[must_use]
    pub fn view(&self, account: AccountKey, now: Timestamp) -> Option<View> {
        self.accounts.get(&account).map(|it| {
            let kind = it.choose(now).unwrap_or(AttemptKind::Login);
            let host = self.hosts.expected(it.plan.host_of(kind), account, now);
            View::of(it, host, now)
        })
    }

    /// What an account has used up, should its login come back under another name.
    #[must_use]
    pub fn spent(&self, account: AccountKey) -> Option<LoginUsed> {
        Some(self.accounts.get(&account)?.spent_so_far())
    }

    /// The host that the stored state of the host's rate limit is about.
    #[must_use]
    pub fn host(&self, account: AccountKey) -> Option<HostKey> {
        Some(self.accounts.get(&account)?.last_host)
    }

    /// Why no attempt is made for an account until something changes: [`View::stop`] without the rest of the view, for counting.
    #[must_use]
    pub fn stop(&self, account: AccountKey, now: Timestamp) -> Option<WaiterFault> {
        self.accounts.get(&account)?.choose(now).err()
    }

    /// Why a live held token is not served, if so.
    #[must_use]
    pub fn withheld(&self, account: AccountKey, now: Timestamp) -> Option<Withheld> {
        let account = self.accounts.get(&account)?;
        account.held.filter(|held| held.is_good(now, None))?;
        account.withheld()
    }

    /// Whether nothing is in progress and everything is stored: a drained engine may be dropped.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.accounts.values().all(|account| account.is_settled())
    }

    fn adopt(&mut self, now: Timestamp, key: AccountKey, adoption: Adoption) {
        if let Some(stored) = &adoption.durable {
            // Every record that names its host has already reported its intent, if there is one.
            let used = HostUsed {
                tat: stored.host,
                sent_by: Vec::new(),
            };
            // The record does not say which of two hosts it is about; records that name their host were reported by name.
            if adoption.plan.refresh_host.is_none() {
                self.hosts.restore(adoption.plan.host, used, now);
            }
            if let Some(intent) = stored.intent.filter(|_| adoption.host_unknown) {
                // It arrived at an unknown time, at the latest now. The stored state may count it already; it is charged twice then, but only
                // this time.
                self.hosts.arrived(adoption.plan.host_of(intent.kind), now);
            }
        }
        match self.accounts.get_mut(&key) {
            Some(account) => {
                // It was removed and came back while an attempt was in flight: memory is newer than the store. The attempt keeps its
                // place at its own host, whatever the plan says now.
                account.absent = false;
                account.asked = adoption.asked;
                account.replan(adoption.plan, adoption.can_login, adoption.cured, now);
            }
            None => {
                let account = Box::new(Account::adopt(adoption, now));
                self.accounts.insert(key, account);
            }
        }
        self.with_before_start(now, key, Account::serve);
    }

    fn wish(&mut self, now: Timestamp, key: AccountKey, wish: Wish) {
        self.with_waiter(now, key, wish.waiter(), |it, ctx| it.wish(ctx, wish));
    }

    /// As `with`, for a waiter: it gets an answer also if the account is gone.
    fn with_waiter(
        &mut self,
        now: Timestamp,
        key: AccountKey,
        waiter: WaiterId,
        act: impl FnOnce(&mut Account, &mut Context<'_>),
    ) {
        if self.accounts.contains_key(&key) {
            return self.with(now, key, act);
        }
        let gone = Verdict::Fault(WaiterFault::Gone);
        self.effects.push_back(Effect::Settle(waiter, gone));
    }

    /// Calls accounts from the queues of their hosts while one may begin.
    fn call_queues(&mut self, now: Timestamp) {
        while let Some((host, queue)) = self.hosts.settled(now) {
            self.update_queue(now, host, queue);
        }
        while let Some(key) = self.hosts.call(now) {
            self.with(now, key, |it, ctx| {
                if matches!(it.phase, Phase::Queued(_)) {
                    it.phase = Phase::Resting;
                    ctx.turn = true;
                    it.consider(ctx);
                }
            });
        }
    }

    /// Answers the waiters in a queue that the host's rate limit holds for too long.
    fn update_queue(&mut self, now: Timestamp, host: HostKey, queue: Vec<AccountKey>) {
        let (mut before, mut leaving) = (0, BTreeSet::new());
        for key in queue {
            let expected = self.hosts.after(host, before, now);
            self.with(now, key, |it, ctx| {
                if it.still_waits(ctx, expected) {
                    before += 1;
                } else {
                    leaving.insert(ctx.key);
                }
            });
        }
        self.hosts.leave_all(host, |key| leaving.contains(&key));
    }

    /// As `with`; the account is considered at the next `handle_timeout`. Nothing begins before the accounts that are adopted after it
    /// have reported the state of their host's rate limit.
    fn with_before_start(
        &mut self,
        now: Timestamp,
        key: AccountKey,
        act: impl FnOnce(&mut Account, &mut Context<'_>),
    ) {
        self.with(now, key, act);
        if self.accounts.contains_key(&key) {
            self.plan(key, Some(now));
        }
    }

    fn with(
        &mut self,
        now: Timestamp,
        key: AccountKey,
        act: impl FnOnce(&mut Account, &mut Context<'_>),
    ) {
        let Some(account) = self.accounts.get_mut(&key) else {
            return;
        };
        let mut ctx = Context {
            now,
            key,
            effects: &mut self.effects,
            hosts: &mut self.hosts,
            dice: Dice::new(self.seed, key, account.last_attempt),
            draining: self.draining,
            turn: false,
        };
        act(account, &mut ctx);
        if account.absent && account.is_settled() {
            if let Phase::Queued(host) = account.phase {
                self.hosts.leave(host, key);
            }
            self.accounts.remove(&key);
            self.effects.push_back(Effect::Dropped(key));
            return self.plan(key, None);
        }
        let due = account
            .due(now, self.draining)
            .filter(|at| *at != Timestamp::FAR);
        self.plan(key, due);
    }

    fn plan(&mut self, key: AccountKey, due: Option<Timestamp>) {
        let before = match due {
            Some(at) => self.planned.insert(key, at),
            None => self.planned.remove(&key),
        };
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.timetable.remove(&(before, key));
        }
        if let Some(at) = due {
            self.timetable.insert((at, key));
        }
    }
}
