//! One account's side of the ledger: its tokens, their families, and how often it asks. Pure.
//!
//! Must never know HTTP and never read a clock.

use std::{collections::VecDeque, time::Duration};

use super::{
    calls::{Credentials, Grant, Outcome, Pair, Processed},
    log::{Issued, Log, Standing, Violation},
    spec::{AccountSpec, Api, Reuse, Rotation},
    tokens::Mint,
};
use crate::clock::Now;

/// Tokens remembered per account and kind; older ones count as unknown.
const REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub(super) struct Account {
    pub(super) spec: AccountSpec,
    /// Token requests in progress.
    pub(super) in_flight: u32,
    refresh: VecDeque<RefreshToken>,
    access: VecDeque<AccessToken>,
    /// Arrivals of recent token requests.
    recent: VecDeque<Duration>,
    /// Suspended until then; forever with `Duration::MAX`.
    suspended: Option<Duration>,
    serials: u64,
    families: u64,
    /// Texts of tokens that are no longer remembered; the ledger forgets them as well.
    pub(super) forgotten: Vec<String>,
}

#[derive(Debug)]
struct RefreshToken {
    text: String,
    serial: u64,
    family: u64,
    expires: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Current,
    Spent { at: Duration, successor: Box<Grant> },
    Revoked,
}

#[derive(Debug)]
struct AccessToken {
    text: String,
    serial: u64,
    family: u64,
    expires: Duration,
    revoked: bool,
}

impl Account {
    pub(super) fn new(spec: AccountSpec) -> Self {
        Self {
            spec,
            in_flight: 0,
            refresh: VecDeque::new(),
            access: VecDeque::new(),
            recent: VecDeque::new(),
            suspended: None,
            serials: 0,
            families: 0,
            forgotten: Vec::new(),
        }
    }

    /// Ends every access token, as a provider does when it changes its keys.
    pub(super) fn end_access(&mut self) {
        self.access
            .iter_mut()
            .for_each(|token| token.revoked = true);
    }

    /// Ends every refresh token, as a provider does after a password change.
    pub(super) fn end_refresh(&mut self) {
        self.refresh
            .iter_mut()
            .for_each(|token| token.state = State::Revoked);
    }

    /// Changes the password, or the client secret where there is no password.
    pub(super) fn change_secret(&mut self, secret: String) {
        let current = match self.spec.password.is_some() {
            true => &mut self.spec.password,
            false => &mut self.spec.client_secret,
        };
        *current = Some(secret);
    }

    /// Suspends the account, or lifts a suspension.
    pub(super) fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended.then_some(Duration::MAX);
    }

    pub(super) fn is_suspended(&self, now: Now) -> bool {
        self.suspended.is_some_and(|until| now.elapsed < until)
    }

    /// The access token issued last and its serial.
    pub(super) fn newest_access(&self) -> Option<(&str, u64)> {
        self.access
            .back()
            .map(|token| (token.text.as_str(), token.serial))
    }

    /// All secrets that must not be found in a log: the credentials and every token issued.
    pub(super) fn secrets(&self) -> Vec<String> {
        let fixed = [&self.spec.password, &self.spec.client_secret];
        let fixed = fixed.into_iter().filter_map(Clone::clone);
        let access = self.access.iter().map(|token| token.text.clone());
        fixed
            .chain(access)
            .chain(self.refresh.iter().map(|token| token.text.clone()))
            .collect()
    }

    pub(super) fn access_standing(&self, text: &str, now: Now) -> Option<(u64, Standing)> {
        let token = self.access.iter().rev().find(|token| token.text == text)?;
        let standing = match token {
            AccessToken { revoked: true, .. } => Standing::Revoked,
            _ if token.expires <= now.elapsed => Standing::Expired,
            _ => Standing::Current,
        };
        Some((token.serial, standing))
    }

    pub(super) fn refresh_standing(&self, text: &str, now: Now) -> Option<(u64, Standing)> {
        let token = self.refresh.iter().rev().find(|token| token.text == text)?;
        let standing = match token.state {
            State::Revoked => Standing::Revoked,
            State::Spent { at, .. } if now.elapsed < at + self.spec.behaviour.grace => {
                Standing::Current
            }
            State::Spent { .. } => Standing::Spent,
            State::Current if token.expires <= now.elapsed => Standing::Expired,
            State::Current => Standing::Current,
        };
        Some((token.serial, standing))
    }

    /// Counts a token request against suspension and throttling.
    pub(super) fn limit(&mut self, sequence: u64, now: Now, log: &mut Log) -> Option<Outcome> {
        let behaviour = &self.spec.behaviour;
        let windows = [
            behaviour.suspension.map(|it| it.window),
            behaviour.throttling.map(|it| it.window),
        ];
        let longest = windows.into_iter().flatten().max().unwrap_or_default();
        while self
            .recent
            .front()
            .is_some_and(|at| now.elapsed.saturating_sub(*at) >= longest)
        {
            self.recent.pop_front();
        }
        let since = |window: Duration| {
            self.recent
                .iter()
                .filter(move |at| now.elapsed.saturating_sub(**at) < window)
        };
        if self.suspended.is_some_and(|until| now.elapsed < until) {
            let status = behaviour.suspension.map_or(403, |it| it.status);
            return Some(Outcome::Suspended { status });
        }
        if let Some(rule) = behaviour.throttling
            && since(rule.window).count() >= rule.requests as usize
        {
            let oldest = since(rule.window).next().copied().unwrap_or_default();
            let retry_after = (oldest + rule.window).saturating_sub(now.elapsed);
            return Some(Outcome::Throttled { retry_after });
        }
        if let Some(rule) = behaviour.suspension
            && since(rule.window).count() >= rule.requests as usize
        {
            self.suspended = Some(rule.duration.map_or(Duration::MAX, |it| now.elapsed + it));
            self.end_access();
            self.end_refresh();
            let account = self.spec.name.clone();
            log.violated(Violation::Suspended { account, sequence });
            return Some(Outcome::Suspended {
                status: rule.status,
            });
        }
        if longest > Duration::ZERO {
            self.recent.push_back(now.elapsed);
        }
        None
    }

    pub(super) fn login(&mut self, shown: &Credentials, mint: &mut Mint, now: Now) -> Processed {
        if !same(
            shown.client.as_ref(),
            &self.spec.client_id,
            &self.spec.client_secret,
        ) {
            return Processed::refused(Outcome::BadClient);
        }
        let by_user = shown.user.is_some();
        if by_user
            && !same(
                shown.user.as_ref(),
                &self.spec.username,
                &self.spec.password,
            )
        {
            return Processed::refused(Outcome::BadCredentials);
        }
        self.families += 1;
        let family = self.families;
        // A client that acts for itself can log in again at any time: no refresh token (RFC 6749, 4.4.3).
        let refreshable = by_user && self.spec.api != Api::ClientCredentials;
        self.issue(family, refreshable, shown.scope.clone(), mint, now)
    }

    pub(super) fn refresh(
        &mut self,
        text: &str,
        client: Option<&Pair>,
        mint: &mut Mint,
        now: Now,
    ) -> Processed {
        let behaviour = self.spec.behaviour.clone();
        if !same(client, &self.spec.client_id, &self.spec.client_secret) {
            return Processed::refused(Outcome::BadClient);
        }
        let standing = self.refresh_standing(text, now);
        let Some(token) = self.refresh.iter().rev().find(|token| token.text == text) else {
            return Processed::refused(Outcome::RefreshRefused);
        };
        let family = token.family;
        match (standing.map(|(_, standing)| standing), &token.state) {
            (Some(Standing::Current), State::Spent { successor, .. }) => {
                return Processed::refused(Outcome::Granted((**successor).clone()));
            }
            (Some(Standing::Current), _) => {}
            (Some(Standing::Spent), _) => {
                if behaviour.reuse == Reuse::RevokeFamily {
                    self.revoke(family);
                }
                return Processed::refused(Outcome::RefreshRefused);
            }
            _ => return Processed::refused(Outcome::RefreshRefused),
        }
        let alive = |token: &AccessToken| !token.revoked && token.expires > now.elapsed;
        if behaviour.refresh_needs_access && !self.access.back().is_some_and(alive) {
            return Processed::refused(Outcome::RefreshRefused);
        }
        if behaviour.refresh_ends_access {
            self.end_access();
        }
        let mut processed =
            self.issue(family, behaviour.rotation == Rotation::New, None, mint, now);
        if let Outcome::Granted(grant) = &mut processed.outcome {
            match behaviour.rotation {
                Rotation::Keep => {}
                Rotation::Repeat => grant.refresh = Some(text.to_owned()),
                Rotation::New => {
                    let successor = Box::new(grant.clone());
                    let old = self.refresh.iter_mut().find(|token| token.text == text);
                    if let Some(old) = old {
                        old.state = State::Spent {
                            at: now.elapsed,
                            successor,
                        };
                    }
                }
            }
        }
        processed
    }

    fn revoke(&mut self, family: u64) {
        for token in self
            .refresh
            .iter_mut()
            .filter(|token| token.family == family)
        {
            token.state = State::Revoked;
        }
        for token in self
            .access
            .iter_mut()
            .filter(|token| token.family == family)
        {
            token.revoked = true;
        }
    }

    fn issue(
        &mut self,
        family: u64,
        with_refresh: bool,
        scope: Option<String>,
        mint: &mut Mint,
        now: Now,
    ) -> Processed {
        let (api, behaviour) = (self.spec.api, &self.spec.behaviour);
        let subject = self.spec.username.as_ref().or(self.spec.client_id.as_ref());
        let subject = subject.map_or(self.spec.name.as_str(), String::as_str);
        let ends = |lifetime: Duration| (now.unix + lifetime).as_secs_f64();
        let lifetime = behaviour.access_lifetime;
        let again = self
            .access
            .back()
            .filter(|token| behaviour.identical_tokens && !token.revoked);
        let access = match again {
            Some(token) => token.text.clone(),
            None => mint.access(api, subject, now, ends(lifetime)),
        };
        let refresh =
            with_refresh.then(|| mint.refresh(api, subject, now, ends(behaviour.refresh_lifetime)));
        let refresh_expires = now.elapsed + behaviour.refresh_lifetime;

        self.serials += 1;
        let issued = Issued {
            access: self.serials,
            refresh: refresh.as_ref().map(|_| self.serials),
        };
        self.access.push_back(AccessToken {
            text: access.clone(),
            serial: self.serials,
            family,
            expires: now.elapsed + lifetime,
            revoked: false,
        });
        if let Some(text) = refresh.clone() {
            let (serial, state) = (self.serials, State::Current);
            self.refresh.push_back(RefreshToken {
                text,
                serial,
                family,
                expires: refresh_expires,
                state,
            });
        }
        if self.access.len() > REMEMBERED {
            self.forgotten
                .extend(self.access.pop_front().map(|token| token.text));
        }
        if self.refresh.len() > REMEMBERED {
            self.forgotten
                .extend(self.refresh.pop_front().map(|token| token.text));
        }
        let outcome = Outcome::Granted(Grant {
            access,
            refresh,
            lifetime,
            scope,
        });
        Processed {
            outcome,
            issued: Some(issued),
        }
    }
}

/// Whether the presented value is the account's; an account without one asks for none.
fn same(shown: Option<&Pair>, name: &Option<String>, secret: &Option<String>) -> bool {
    match (name, secret) {
        (None, _) | (_, None) => true,
        (Some(name), Some(secret)) => {
            shown.is_some_and(|(shown_name, shown)| shown_name == name && shown == secret)
        }
    }
}
