//! A bench: carries out the engine's effects at once, or holds them back until a test says so.
//!
//! Owns the time, a store of `Durable`s and the list of all that was sent and answered. It decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokend_engine::{
    AccountKey, AccountPlan, Adoption, AttemptId, AttemptKind, ClaimRefusal, Commit, Demand,
    Durable, Effect, Engine, Event, GrantFacts, GrantId, HostKey, HostPlan, Keeping, LastAsked,
    ProviderAnswer, Publication, Rate, RefreshPolicy, Reuse, StoreRefusal, Timestamp, Unproved,
    Verdict, View, WaiterFault, WaiterId, Want,
};

pub(crate) const A: AccountKey = AccountKey(1);
pub(crate) const HOST: HostKey = HostKey(1);

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn rate(burst: u32, period: Duration) -> Rate {
    Rate::new(burst, period).unwrap_or_else(|| panic!("no rate"))
}

/// A plan whose paces are wide enough not to matter.
pub(crate) fn plan() -> AccountPlan {
    AccountPlan {
        host: HOST,
        refresh_host: None,
        attempts: rate(100, secs(1)),
        logins: rate(100, secs(1)),
        reuse: Reuse::RotatesAndReuseRevokes,
        refresh: RefreshPolicy::Auto,
        refresh_ends_access: false,
        refresh_needs_access: false,
        refresh_presents_access: false,
    }
}

/// A grant with a refresh token.
pub(crate) fn granted(lifetime: u64) -> ProviderAnswer {
    ProviderAnswer::Granted(GrantFacts {
        lifetime: Some(secs(lifetime)),
        refresh_token: true,
        ..GrantFacts::default()
    })
}

/// What is asked of a bench to hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Claim,
    Record,
    Send,
    Commit,
}

pub(crate) struct Bench {
    pub(crate) now: u64,
    pub(crate) engine: Engine,
    pub(crate) log: Vec<(u64, Effect)>,
    pub(crate) store: BTreeMap<AccountKey, Durable>,
    pub(crate) served: BTreeMap<AccountKey, Publication>,
    pub(crate) asked: LastAsked,
    /// Steps held back, and the effects that wait for the test.
    pub(crate) hold: BTreeSet<Step>,
    pub(crate) held: VecDeque<Effect>,
    /// Steps the store refuses.
    pub(crate) refuse: BTreeSet<Step>,
    /// The kind of attempt a secret of which cannot be had.
    pub(crate) no_secret: Option<AttemptKind>,
    /// The kind of attempt of which no request can be made.
    pub(crate) unfit: Option<AttemptKind>,
    /// Whether records name no host.
    pub(crate) host_unknown: bool,
    /// What the provider says next; after that a grant of an hour.
    pub(crate) answers: VecDeque<ProviderAnswer>,
    pub(crate) timers: u64,
    verdicts: BTreeMap<WaiterId, Vec<Verdict>>,
    next_waiter: u64,
}

impl Bench {
    /// A bench without accounts, with a host whose limits do not matter.
    pub(crate) fn new() -> Self {
        let mut bench = Self {
            now: 1_790_000_000_000,
            engine: Engine::new(7),
            log: Vec::new(),
            store: BTreeMap::new(),
            served: BTreeMap::new(),
            asked: LastAsked::default(),
            hold: BTreeSet::new(),
            held: VecDeque::new(),
            refuse: BTreeSet::new(),
            no_secret: None,
            unfit: None,
            host_unknown: false,
            answers: VecDeque::new(),
            timers: 0,
            verdicts: BTreeMap::new(),
            next_waiter: 0,
        };
        bench.host(1_000, secs(1), 1_000);
        bench
    }

    /// A bench with account `A`, which can log in.
    pub(crate) fn with(plan: AccountPlan) -> Self {
        let mut bench = Self::new();
        bench.adopt(A, plan, true, false);
        bench
    }

    pub(crate) fn host(&mut self, burst: u32, period: Duration, in_flight: u32) {
        let rate = rate(burst, period);
        self.tell(Event::Host(HOST, HostPlan { rate, in_flight }));
    }

    /// Adopts an account with what is in the store.
    pub(crate) fn adopt(
        &mut self,
        key: AccountKey,
        plan: AccountPlan,
        can_login: bool,
        cured: bool,
    ) {
        let adoption = Adoption {
            plan,
            can_login,
            cured,
            durable: self.store.get(&key).cloned(),
            host_unknown: self.host_unknown,
            asked: self.asked.clone(),
        };
        self.tell(Event::Adopt(key, Box::new(adoption)));
    }

    /// The daemon dies and starts again; `A` is adopted with what is stored.
    pub(crate) fn crash(&mut self, plan: AccountPlan, can_login: bool, cured: bool) {
        self.engine = Engine::new(8);
        self.held.clear();
        self.served.clear();
        self.asked = LastAsked::default();
        self.host(1_000, secs(1), 1_000);
        self.adopt(A, plan, can_login, cured);
        self.advance(Duration::ZERO);
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.engine.handle_event(self.at(0), event);
        self.work();
    }

    pub(crate) fn at(&self, seconds: u64) -> Timestamp {
        Timestamp::from_millis(self.now).after(secs(seconds))
    }

    /// Lets time pass, doing what becomes due at its time.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.at(0).after(by);
        while let Some(due) = self
            .engine
            .poll_timeout(self.at(0))
            .filter(|due| *due <= end)
        {
            self.now = self.now.max(due.as_millis());
            self.timers += 1;
            self.engine.handle_timeout(self.at(0));
            self.work();
        }
        self.now = end.as_millis();
    }

    /// Carries out what is not held back.
    fn work(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            self.log.push((self.now, effect.clone()));
            let step = match &effect {
                Effect::Claim(..) => Some(Step::Claim),
                Effect::Record(..) => Some(Step::Record),
                Effect::Send(..) => Some(Step::Send),
                Effect::Commit(..) => Some(Step::Commit),
                _ => None,
            };
            match step.filter(|step| self.hold.contains(step)) {
                Some(_) => self.held.push_back(effect),
                None => self.carry_out(effect),
            }
        }
    }

    /// Carries out the effects held back so far.
    pub(crate) fn let_go(&mut self) {
        for effect in std::mem::take(&mut self.held) {
            self.carry_out(effect);
        }
        self.work();
    }

    /// Answers the request that is held back.
    pub(crate) fn answer(&mut self, answer: ProviderAnswer) {
        match self.held.pop_front() {
            Some(Effect::Send(key, id, _)) => self.tell(Event::Answered(key, id, answer)),
            other => panic!("no request is held back: {other:?}"),
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let now = self.at(0);
        let event = match effect {
            Effect::Claim(key, id, kind, _) => {
                let result = if self.refuse.contains(&Step::Claim) {
                    Err(ClaimRefusal::Store)
                } else if self.no_secret == Some(kind) {
                    Err(ClaimRefusal::Secret)
                } else if self.unfit == Some(kind) {
                    Err(ClaimRefusal::Request)
                } else {
                    Ok(())
                };
                Event::Claimed(key, id, result)
            }
            Effect::Record(key, id, durable) => {
                let result = self.write(Step::Record, key, *durable);
                Event::Recorded(key, id, result)
            }
            Effect::Commit(key, commit) => {
                let Commit { durable, .. } = *commit;
                let result = self.write(Step::Commit, key, durable);
                Event::Committed(key, result)
            }
            Effect::Send(key, id, _) => {
                let answer = self.answers.pop_front().unwrap_or(granted(3600));
                Event::Answered(key, id, answer)
            }
            Effect::Publish(key, publication) => {
                self.served.insert(key, publication);
                return;
            }
            Effect::Retire(key) | Effect::Withhold(key, ..) | Effect::Dropped(key) => {
                self.served.remove(&key);
                return;
            }
            Effect::Settle(waiter, verdict) => {
                self.verdicts.entry(waiter).or_default().push(verdict);
                return;
            }
            Effect::Release(..) | Effect::Attempted(..) => return,
        };
        self.engine.handle_event(now, event);
    }

    fn write(&mut self, step: Step, key: AccountKey, durable: Durable) -> Result<(), StoreRefusal> {
        if self.refuse.contains(&step) {
            return Err(StoreRefusal);
        }
        self.store.insert(key, durable);
        Ok(())
    }

    /// Asks for a token of `A` that must come at once or within a minute of an attempt.
    pub(crate) fn get(&mut self) -> WaiterId {
        self.want(A, Want::Get, None, 0, 60)
    }

    pub(crate) fn force(&mut self, wait: u64) -> WaiterId {
        self.want(A, Want::Forced, None, wait, wait + 60)
    }

    pub(crate) fn want(
        &mut self,
        account: AccountKey,
        want: Want,
        min_validity: Option<Duration>,
        wait: u64,
        timeout: u64,
    ) -> WaiterId {
        let waiter = self.waiter();
        let demand = Demand {
            min_validity,
            start_by: self.at(wait),
            answer_by: self.at(timeout),
        };
        self.tell(Event::Wanted {
            account,
            waiter,
            demand,
            want,
        });
        waiter
    }

    /// A person enters a password, or a refresh token, for `A`.
    pub(crate) fn enter(&mut self, refresh_token: bool) -> WaiterId {
        let waiter = self.waiter();
        let demand = Demand {
            min_validity: None,
            start_by: self.at(0),
            answer_by: self.at(60),
        };
        self.tell(Event::Entered {
            account: A,
            waiter,
            demand,
            refresh_token,
            can_login: !refresh_token,
        });
        waiter
    }

    pub(crate) fn forget(&mut self) -> WaiterId {
        let waiter = self.waiter();
        self.tell(Event::Forget {
            account: A,
            waiter,
            can_login: false,
        });
        waiter
    }

    fn waiter(&mut self) -> WaiterId {
        self.next_waiter += 1;
        WaiterId(self.next_waiter)
    }

    /// The one verdict a waiter got, if it has one.
    pub(crate) fn verdict(&self, waiter: WaiterId) -> Option<Verdict> {
        let verdicts = self.verdicts.get(&waiter)?;
        assert_eq!(verdicts.len(), 1, "{waiter:?} was settled more than once");
        verdicts.first().copied()
    }

    pub(crate) fn token(&self, waiter: WaiterId) -> GrantId {
        match self.verdict(waiter) {
            Some(Verdict::Token(grant)) => grant,
            other => panic!("{waiter:?} has no token but {other:?}"),
        }
    }

    pub(crate) fn fault(&self, waiter: WaiterId) -> WaiterFault {
        match self.verdict(waiter) {
            Some(Verdict::Fault(fault)) => fault,
            other => panic!("{waiter:?} has no fault but {other:?}"),
        }
    }

    /// The result for a person whose entered credential was not granted.
    pub(crate) fn unproven(&self, waiter: WaiterId) -> (Unproved, Keeping) {
        match self.verdict(waiter) {
            Some(Verdict::Unproven(it)) => (it.why, it.kept),
            other => panic!("{waiter:?} got no result of a trial but {other:?}"),
        }
    }

    /// What was sent so far: when, for whom, of which kind.
    pub(crate) fn sent(&self) -> Vec<(u64, AccountKey, AttemptKind)> {
        let sends = self.log.iter().filter_map(|(at, effect)| match effect {
            Effect::Send(key, _, kind) => Some((*at, *key, *kind)),
            _ => None,
        });
        sends.collect()
    }

    pub(crate) fn kinds(&self) -> Vec<AttemptKind> {
        self.sent().into_iter().map(|(_, _, kind)| kind).collect()
    }

    pub(crate) fn view(&self) -> View {
        self.engine
            .view(A, self.at(0))
            .unwrap_or_else(|| panic!("A is not there"))
    }

    /// Where in the log the first effect is that `what` describes, from `from` on.
    pub(crate) fn position(&self, from: usize, what: impl Fn(&Effect) -> bool) -> Option<usize> {
        let found = self
            .log
            .iter()
            .skip(from)
            .position(|(_, effect)| what(effect));
        found.map(|position| position + from)
    }

    pub(crate) fn last_attempt(&self) -> AttemptId {
        self.store
            .get(&A)
            .map(|durable| durable.last_attempt)
            .unwrap_or_default()
    }
}
