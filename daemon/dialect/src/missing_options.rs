//! Finds missing options by building the request.
//!
//! Owns no rule of its own about which options are required: optional placeholders, cases that do not apply, paths that the account
//! replaces and options with a default are handled by the same code as for a real request.

use crate::{
    dialect::Dialect,
    endpoint::Endpoint,
    fields::{ExchangeKind, Fields, RequestError},
};

/// A stand-in for a value. Only letters, so that it is valid everywhere.
const FILLER: &str = "x";
/// The most missing options that are reported for one request.
const MOST: usize = 32;

impl Dialect {
    /// The options that a request of this kind needs and that this endpoint has no value for. `has` says which fields the account has.
    /// Required fields and the tokens count as present; the broker fills the tokens in.
    #[must_use]
    pub fn missing_options(
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
            let path = self.names.option(option).is_some_and(|option| option.path);
            let value = if path { "/x" } else { FILLER };
            endpoint = endpoint.with(option, value);
            missing.push(option.to_owned());
        }
        missing
    }
}
