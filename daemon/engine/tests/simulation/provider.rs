//! A strict provider with one account.
//!
//! Owns what a provider knows: which refresh tokens it issued and which of them are spent, which access tokens live how long,
//! and how often it was asked. It believes nothing the engine believes.

use tokend_engine::{AccountPlan, AttemptKind, GrantFacts, Reuse};

use crate::clocks::millis;

use crate::random::Rng;
use crate::window::Window;

/// A refresh token: which login it descends from, and how many rotations later it was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) family: usize,
    pub(crate) serial: u32,
}

/// An access token: when it really expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) expires: u64,
    /// Whether the reply states the lifetime.
    pub(crate) lifetime_known: bool,
    /// How much longer it may be taken to live, because the clock was wrong when the daemon started.
    pub(crate) excused: u64,
    /// Which of the provider's access tokens it is.
    pub(crate) serial: u64,
    /// The login whose grant it came with, as far as there are refresh tokens of it.
    pub(crate) family: Option<usize>,
}

impl Access {
    /// From when on nothing excuses that it is served.
    pub(crate) fn excused_until(&self) -> u64 {
        self.expires.saturating_add(self.excused)
    }
}

/// A successful reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) access: Access,
    pub(crate) refresh: Option<Secret>,
    pub(crate) facts: GrantFacts,
}

/// A reply of the provider when it is well.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    Grant(Grant),
    RefreshRejected,
    CredentialRejected,
    Misconfigured,
}

#[derive(Debug)]
struct Family {
    current: u32,
    revoked: bool,
    expires: Option<u64>,
    rotated: u64,
    /// Presented, and whoever presented it never learnt the outcome.
    doubtful: Option<u32>,
    /// Access tokens of this login before this one were ended.
    alive_from: u64,
}

#[derive(Debug)]
pub(crate) struct Provider {
    /// What reuse really costs, whatever the plan says.
    pub(crate) reuse: Reuse,
    pub(crate) lifetime: u64,
    pub(crate) tells_lifetime: bool,
    pub(crate) gives_refresh: bool,
    pub(crate) needs_access: bool,
    /// How long after a rotation the token before it is still accepted.
    grace: u64,
    /// Whether a refresh that does not rotate tells the same refresh token again.
    repeats_refresh: bool,
    /// Whether an access token that is young is given out again instead of a new one.
    repeats_access: bool,
    /// Whether a refresh ends the access tokens before it.
    ends_access: bool,
    pub(crate) refresh_lifetime: Option<u64>,
    pub(crate) tells_refresh_lifetime: bool,
    pub(crate) credential_ok: bool,
    pub(crate) misconfigured: bool,
    pub(crate) attempts: Window,
    pub(crate) logins: Window,
    families: Vec<Family>,
    access_until: u64,
    access_serial: u64,
}

impl Provider {
    pub(crate) fn random(rng: &mut Rng, plan: &AccountPlan) -> Self {
        let reuse = match plan.reuse {
            Reuse::Unknown => {
                rng.pick(&[Reuse::None, Reuse::Rotates, Reuse::RotatesAndReuseRevokes])
            }
            known => known,
        };
        let usual = rng.pick(&[
            1,
            2,
            5,
            30,
            300,
            2_700,
            3_600,
            86_400,
            30 * 86_400,
            90 * 86_400,
        ]);
        let lifetime = match rng.chance(100) {
            true => rng.between(1_000, 4_000_000),
            false => usual * 1_000,
        };
        let refresh_lifetime = match rng.below(3) {
            0 => Some(rng.pick(&[60, 1_800, 14_400, 30 * 86_400]) * 1_000 + lifetime),
            _ => None,
        };
        Self {
            reuse,
            lifetime,
            tells_lifetime: rng.chance(900),
            gives_refresh: rng.chance(800),
            needs_access: plan.refresh_needs_access,
            grace: rng.pick(&[0, 0, 10_000, 120_000]),
            repeats_refresh: rng.chance(500),
            repeats_access: rng.chance(150),
            ends_access: plan.refresh_ends_access,
            refresh_lifetime,
            tells_refresh_lifetime: rng.chance(500),
            credential_ok: true,
            misconfigured: false,
            attempts: Window::new(plan.attempts),
            logins: Window::new(plan.logins),
            families: Vec::new(),
            access_until: 0,
            access_serial: 0,
        }
    }

    /// A refresh token a person obtains elsewhere.
    pub(crate) fn found_family(&mut self, now: u64) -> Secret {
        self.families.push(Family {
            current: 0,
            revoked: false,
            expires: self.refresh_lifetime.map(|lifetime| now + lifetime),
            rotated: 0,
            doubtful: None,
            alive_from: 0,
        });
        Secret {
            family: self.families.len() - 1,
            serial: 0,
        }
    }

    /// Whether this refresh token would be accepted until `until`.
    pub(crate) fn lives(&self, secret: Secret, until: u64) -> bool {
        self.families.get(secret.family).is_some_and(|family| {
            !family.revoked
                && family.current == secret.serial
                && family.expires.is_none_or(|expires| expires > until)
        })
    }

    /// Whether a refresh has ended this access token.
    pub(crate) fn has_ended(&self, access: Access) -> bool {
        let family = access.family.and_then(|it| self.families.get(it));
        family.is_some_and(|family| access.serial < family.alive_from)
    }

    /// Whether it has been exchanged for another one.
    pub(crate) fn is_spent(&self, secret: Secret) -> bool {
        self.families
            .get(secret.family)
            .is_some_and(|family| secret.serial < family.current)
    }

    pub(crate) fn is_doubtful(&self, secret: Secret) -> bool {
        self.families
            .get(secret.family)
            .is_some_and(|family| family.doubtful == Some(secret.serial))
    }

    /// Whoever presented this will never learn the outcome.
    pub(crate) fn lose_reply(&mut self, secret: Secret) {
        if let Some(family) = self.families.get_mut(secret.family) {
            family.doubtful = Some(secret.serial);
        }
    }

    pub(crate) fn revoke(&mut self, secret: Secret) {
        if let Some(family) = self.families.get_mut(secret.family) {
            family.revoked = true;
        }
    }

    /// Processes a request as a provider does that is well.
    pub(crate) fn process(&mut self, now: u64, kind: AttemptKind, secret: Option<Secret>) -> Said {
        if self.misconfigured {
            return Said::Misconfigured;
        }
        match (kind, secret) {
            (AttemptKind::Login, _) if !self.credential_ok => Said::CredentialRejected,
            (AttemptKind::Login, _) => {
                let refresh = self.gives_refresh.then(|| self.found_family(now));
                let family = refresh.map(|it| it.family);
                self.grant(now, refresh, family)
            }
            (AttemptKind::Refresh, Some(secret)) => self.refresh(now, secret),
            (AttemptKind::Refresh, None) => Said::RefreshRejected,
        }
    }

    fn refresh(&mut self, now: u64, secret: Secret) -> Said {
        let late = self.needs_access && self.access_until <= now;
        if let Some(current) = self.graced(now, secret).filter(|_| !late) {
            return self.grant_anew(now, Some(current), secret.family);
        }
        if self.is_spent(secret) && self.reuse == Reuse::RotatesAndReuseRevokes {
            self.revoke(secret);
        }
        if late || !self.lives(secret, now) {
            return Said::RefreshRejected;
        }
        if self.reuse == Reuse::None {
            let again = self.repeats_refresh.then_some(secret);
            let longer = self.refresh_lifetime.map(|lifetime| now + lifetime);
            if let Some(family) = self
                .families
                .get_mut(secret.family)
                .filter(|_| again.is_some())
            {
                family.expires = longer;
            }
            return self.grant_anew(now, again, secret.family);
        }
        let lifetime = self.refresh_lifetime;
        let Some(family) = self.families.get_mut(secret.family) else {
            return Said::RefreshRejected;
        };
        family.current += 1;
        family.expires = lifetime.map(|lifetime| now + lifetime);
        family.rotated = now;
        let next = Secret {
            serial: family.current,
            ..secret
        };
        self.grant_anew(now, Some(next), secret.family)
    }

    /// The refresh token that a spent one still stands for: the next one, for a moment.
    fn graced(&self, now: u64, secret: Secret) -> Option<Secret> {
        let family = self.families.get(secret.family)?;
        let last = secret.serial + 1 == family.current && !family.revoked;
        let living = family.expires.is_none_or(|expires| expires > now);
        (last && living && now < family.rotated + self.grace).then_some(Secret {
            serial: family.current,
            ..secret
        })
    }

    /// The reply to a refresh.
    fn grant_anew(&mut self, now: u64, refresh: Option<Secret>, family: usize) -> Said {
        if let Some(family) = self.families.get_mut(family).filter(|_| self.ends_access) {
            self.access_until = 0;
            family.alive_from = self.access_serial + 1;
        }
        self.grant(now, refresh, Some(family))
    }

    fn grant(&mut self, now: u64, refresh: Option<Secret>, family: Option<usize>) -> Said {
        let young = self.access_until > now + self.lifetime / 2;
        if !(self.repeats_access && young) {
            self.access_serial += 1;
            self.access_until = now + self.lifetime;
        }
        let expires = self.access_until;
        Said::Grant(Grant {
            access: Access {
                expires,
                lifetime_known: self.tells_lifetime,
                excused: 0,
                serial: self.access_serial,
                family,
            },
            refresh,
            facts: GrantFacts {
                lifetime: self.tells_lifetime.then(|| millis(expires - now)),
                refresh_token: refresh.is_some(),
                refresh_token_lost: false,
                refresh_lifetime: self
                    .refresh_lifetime
                    .filter(|_| refresh.is_some() && self.tells_refresh_lifetime)
                    .map(millis),
            },
        })
    }
}
