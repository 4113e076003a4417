//! Declarative descriptions of the requests to token endpoints and of their replies.
//!
//! Owns the dialect language: from TOML to a [`Dialect`], from [`Fields`] to an HTTP request, from an HTTP response to a
//! [`ProviderReply`]. It must never perform I/O, read a clock, or let a secret or an unredacted text of a provider out.
//!
//! ```
//! use tokend_dialect::{Catalog, Endpoint, EndpointSettings, ExchangeKind, Fields, ProviderReply};
//!
//! let catalog = Catalog::builtin();
//! let dialect = catalog.find("ad-verification")?;
//! let settings = EndpointSettings { base_url: "https://ads.example.com".into(), ..Default::default() };
//! let endpoint = Endpoint::new(dialect, &settings)?;
//! let mut fields = Fields::new();
//! fields.set("username", "you@example.com").set_secret("password", "secret".into());
//! let request = dialect.request(ExchangeKind::Login, &endpoint, &fields)?;
//! assert_eq!(request.uri(), "https://ads.example.com/login");
//!
//! let response = http::Response::new(r#"{"access_token": "abc", "token_type": "bearer"}"#.into());
//! assert!(matches!(dialect.read_reply(ExchangeKind::Login, &response, &fields), ProviderReply::Granted(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api;
mod asks;
mod body;
mod catalog;
mod compile;
mod dialect;
mod endpoint;
mod error;
mod explain;
mod fields;
mod language;
mod merge;
mod missing_options;
mod names;
mod overlay;
mod pacing;
mod rejection;
mod reply;
mod request;
mod settings;
mod template;

pub use self::{
    api::Api,
    asks::Asks,
    catalog::{Catalog, UnknownDialect, parse},
    compile::read_api,
    dialect::{DeclaredReuse, Dialect},
    endpoint::Endpoint,
    error::DialectError,
    fields::{
        ACCESS_TOKEN, ExchangeKind, FieldUse, Fields, MULTILINE_LIMIT, REFRESH_TOKEN, RequestError,
        UsedBy, VALUE_LIMIT, label_of, standard_fields,
    },
    names::OptionSpec,
    pacing::{DefaultPacing, DefaultRate},
    rejection::Rejection,
    reply::{
        ProviderReply,
        classify::{Processed, Silence, SpentTokens},
        grant::{Grant, Renewal},
        lifetime::LifetimeSource,
        provider_message::ProviderMessage,
        retry_after::RetryAfter,
    },
    settings::{EndpointError, EndpointSettings},
};
