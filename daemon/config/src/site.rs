//! The address of an account's provider, with what its dialect needs there.
//!
//! Owns the checks of an address, which many accounts share.

use std::sync::Arc;

use tokend_dialect::{Dialect, Endpoint, EndpointSettings, ExchangeKind, FieldUse, UsedBy};

use super::dialects::KnownDialect;
use super::fields::{AddressError, check_scheme};
use super::fingerprint::Fingerprint;

/// An address that its dialect has checked, and what the dialect needs there.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) fields: Vec<FieldUse>,
    /// The fingerprint of dialect and address.
    pub(super) fingerprint: String,
}

impl Site {
    pub(super) fn new(
        known: &KnownDialect,
        settings: &EndpointSettings,
        parts: &[&str],
    ) -> Result<Self, AddressError> {
        check_scheme(&settings.base_url)?;
        let endpoint = Endpoint::new(&known.dialect, settings).map_err(|error| {
            let (key, help) = (error.key().to_owned(), error.help().to_owned());
            (key, error.to_string(), help)
        })?;
        Ok(Self {
            fields: known.dialect.fields_at(&endpoint),
            endpoint: Arc::new(endpoint),
            fingerprint: Fingerprint::of([&[&*known.digest], parts].concat()).to_string(),
        })
    }

    /// Whether an account with these fields makes requests of this kind. An account whose secrets are not configured may still refresh
    /// with a refresh token that a person enters.
    pub(super) fn makes(
        &self,
        dialect: &Dialect,
        kind: ExchangeKind,
        has: impl Fn(&str) -> bool,
    ) -> bool {
        let refreshes = dialect.can_refresh_at(&self.endpoint);
        let mut secrets = self.fields.iter().filter(|field| {
            let of_login = field.used_by != UsedBy::Refresh && !field.internal;
            of_login && field.secret && field.required
        });
        match kind {
            ExchangeKind::Refresh => refreshes,
            ExchangeKind::Login => {
                let has_all = secrets.all(|field| has(&field.name));
                dialect.can_login_at(&self.endpoint) && (has_all || !refreshes)
            }
        }
    }
}
