//! What a request lacks that an account does not set: found by making it.
//!
//! Owns no rule of its own about what is needed: an optional placeholder, a case that does not apply, a path that the account replaces and
//! an option with a default are what they are when the request is made in earnest.

use crate::{
    dialect::Dialect,
    endpoint::Endpoint,
    fields::{ExchangeKind, Fields, RequestError},
};

/// What stands for a value. Only letters and digits: it may stand anywhere.
const FILLER: &str = "x";
/// The most options that are told as missing of one request.
const MOST: usize = 32;

impl Dialect {
    /// The options that a request of this kind needs and that this endpoint has no value for. `has` says which fields the account has; those
    /// that are required count as had, and so do the tokens, which the broker fills in.
    #[must_use]
    pub fn lacks(
        &self,
        kind: ExchangeKind,
        endpoint: &Endpoint,
        has: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut fields = Fields::new();
        for field in self.fields_at(endpoint) {
            if field.required || field.internal || has(&field.name) {
                fields.set_secret(field.name, FILLER.to_owned().into());
            }
        }
        let (mut endpoint, mut missing) = (endpoint.clone(), Vec::new());
        while missing.len() < MOST {
            let Err(RequestError::Missing { field, .. }) = self.request(kind, &endpoint, &fields)
            else {
                break;
            };
            let Some(option) = field.strip_prefix("options.") else {
                break;
            };
            let path = self.option(option).is_some_and(|option| option.path);
            let value = if path { "/x" } else { FILLER };
            endpoint = endpoint.with(option, value);
            missing.push(option.to_owned());
        }
        missing
    }
}
