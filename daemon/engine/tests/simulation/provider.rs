//! A strict provider with one account.
//!
//! Owns what a provider knows: which refresh tokens it issued and which of them are spent, which access tokens live how long,
//! and how often it was asked. It believes nothing the engine believes.

use std::time::Duration;

use tokend_engine::{GrantFacts, Kind, Plan, Reuse};

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
    /// Whether the reply said so.
    pub(crate) told: bool,
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
    /// Presented, and whoever presented it never learnt the outcome.
    doubtful: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Provider {
    /// What reuse really costs, whatever the plan says.
    pub(crate) reuse: Reuse,
    pub(crate) lifetime: u64,
    pub(crate) tells_lifetime: bool,
    pub(crate) gives_refresh: bool,
    pub(crate) needs_access: bool,
    pub(crate) refresh_lifetime: Option<u64>,
    pub(crate) tells_refresh_lifetime: bool,
    pub(crate) credential_ok: bool,
    pub(crate) misconfigured: bool,
    pub(crate) attempts: Window,
    pub(crate) logins: Window,
    families: Vec<Family>,
    access_until: u64,
}

impl Provider {
    pub(crate) fn random(rng: &mut Rng, plan: &Plan) -> Self {
        let reuse = match plan.reuse {
            Reuse::Unknown => {
                rng.pick(&[Reuse::None, Reuse::Rotates, Reuse::RotatesAndReuseRevokes])
            }
            known => known,
        };
        let lifetime = rng.pick(&[1, 2, 5, 30, 300, 2_700, 3_600, 86_400]) * 1_000;
        let refresh_lifetime = match rng.below(3) {
            0 => Some(rng.pick(&[60, 1_800, 14_400]) * 1_000 + lifetime),
            _ => None,
        };
        Self {
            reuse,
            lifetime,
            tells_lifetime: rng.chance(900),
            gives_refresh: rng.chance(800),
            needs_access: plan.refresh_needs_access,
            refresh_lifetime,
            tells_refresh_lifetime: rng.chance(500),
            credential_ok: true,
            misconfigured: false,
            attempts: Window::new(plan.attempts),
            logins: Window::new(plan.logins),
            families: Vec::new(),
            access_until: 0,
        }
    }

    /// A refresh token a person obtains elsewhere.
    pub(crate) fn found_family(&mut self, now: u64) -> Secret {
        self.families.push(Family {
            current: 0,
            revoked: false,
            expires: self.refresh_lifetime.map(|lifetime| now + lifetime),
            doubtful: None,
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
    pub(crate) fn process(&mut self, now: u64, kind: Kind, secret: Option<Secret>) -> Said {
        if self.misconfigured {
            return Said::Misconfigured;
        }
        match (kind, secret) {
            (Kind::Login, _) if !self.credential_ok => Said::CredentialRejected,
            (Kind::Login, _) => {
                let refresh = self.gives_refresh.then(|| self.found_family(now));
                self.grant(now, refresh)
            }
            (Kind::Refresh, Some(secret)) => self.refresh(now, secret),
            (Kind::Refresh, None) => Said::RefreshRejected,
        }
    }

    fn refresh(&mut self, now: u64, secret: Secret) -> Said {
        let late = self.needs_access && self.access_until <= now;
        if self.is_spent(secret) && self.reuse == Reuse::RotatesAndReuseRevokes {
            self.revoke(secret);
        }
        if late || !self.lives(secret, now) {
            return Said::RefreshRejected;
        }
        if self.reuse == Reuse::None {
            return self.grant(now, None);
        }
        let lifetime = self.refresh_lifetime;
        let Some(family) = self.families.get_mut(secret.family) else {
            return Said::RefreshRejected;
        };
        family.current += 1;
        family.expires = lifetime.map(|lifetime| now + lifetime);
        let next = Secret {
            serial: family.current,
            ..secret
        };
        self.grant(now, Some(next))
    }

    fn grant(&mut self, now: u64, refresh: Option<Secret>) -> Said {
        let expires = now + self.lifetime;
        self.access_until = expires;
        let told = |millis: u64| Duration::from_millis(millis);
        Said::Grant(Grant {
            access: Access {
                expires,
                told: self.tells_lifetime,
            },
            refresh,
            facts: GrantFacts {
                lifetime: self.tells_lifetime.then(|| told(self.lifetime)),
                refresh_token: refresh.is_some(),
                refresh_lifetime: self
                    .refresh_lifetime
                    .filter(|_| refresh.is_some() && self.tells_refresh_lifetime)
                    .map(told),
            },
        })
    }
}
