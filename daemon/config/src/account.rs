//! Reads one `[account.NAME]` table and checks it against its dialect.
//!
//! Owns [`Account`]. Every mistake that can be found without asking the provider is reported here. Secrets for a login may still be
//! missing, since `tokenctl login` can supply them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokend_dialect::{Api, Asks, Dialect, Endpoint, ExchangeKind, read_api};
use tokend_document::{Diagnostics, Key, Section, Value};
use tokend_engine::RefreshPolicy;
use tokend_notation::ApiUrl;
use tokend_policy::{Policy, Rule};
use tokend_proto::AccountName;

use super::allow::allow;
use super::dialects::{Dialects, KnownDialect};
use super::fields::{AccountFields, Address, refuse_refresh_token};
use super::fingerprint::Fingerprint;
use super::group::Groups;
use super::pacing::{Pacing, PacingTable};
use super::proxy::{self, MOST_PROXIES, Proxy, Route};
use super::reading::Reading;
use super::rule_origins::{Owner, RuleOrigins};
use super::shared::Shared;
use super::site::Site;
use crate::secret_ref::SecretRef;

/// One login the broker owns at one provider, as it is configured.
#[derive(Debug)]
pub struct Account {
    /// The name that `tokenctl get` takes.
    pub name: AccountName,
    /// The dialect of its provider.
    pub dialect: Arc<Dialect>,
    /// The address of its provider; shared by accounts that differ only in their credential.
    pub endpoint: Arc<Endpoint>,
    /// Values that may be shown, by the dialect's names for them.
    pub fields: Box<[(Arc<str>, Box<str>)]>,
    /// The places of its secrets, by the dialect's names for them. None is required here.
    pub secrets: Box<[(Arc<str>, SecretRef)]>,
    /// The rules that say which peers may do what with the account.
    pub allow: Arc<Policy>,
    /// The rate limits for its provider.
    pub pacing: Arc<Pacing>,
    /// The route to its provider.
    pub proxy: Route,
    /// When the account is refreshed ahead of a request.
    pub refresh: RefreshPolicy,
    /// What few accounts set. Boxed, because a hundred thousand accounts must not each keep room for it.
    pub(super) rare: Option<Box<Rare>>,
    /// Provider, base URL, and user name or client id. If the identity changes, the name stands for a different account.
    pub identity: Fingerprint,
    /// Everything that may cure a rejected or misconfigured account when it changes: dialect, endpoint, fields, and the places of secrets,
    /// but not the secrets themselves.
    pub fingerprint: Fingerprint,
    /// What its requests ask for, apart from the identity. A token that was requested with other values counts as a different token.
    pub asks: Asks,
}

/// The settings that few accounts have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rare {
    /// The lifetime assumed for an access token when the provider states none; `None` means the dialect's assumption.
    assumed_lifetime: Option<Duration>,
    /// What the account's own `[api]` says, over that of its dialect.
    api: Option<Api>,
    /// Who issues its tokens, if it says so.
    issuer: Option<Box<str>>,
}

impl Account {
    /// The lifetime that the account assumes for an access token when the provider states none, if the account sets one.
    pub fn assumed_lifetime(&self) -> Option<Duration> {
        self.rare.as_ref()?.assumed_lifetime
    }

    /// Which addresses its token is for, and how the API wants it.
    pub fn api(&self) -> &Api {
        let own = self.rare.as_ref().and_then(|rare| rare.api.as_ref());
        own.unwrap_or_else(|| self.dialect.api())
    }

    /// The addresses that its token is for; none if nobody said so.
    pub fn api_urls(&self) -> Vec<ApiUrl> {
        // Reading the account has shown that they can be made.
        self.api()
            .urls(self.endpoint.base_url())
            .unwrap_or_default()
    }

    /// Who issues its tokens, as clients of oidc-agent name it: its `issuer`, else its `base_url`.
    pub fn issuer(&self) -> &str {
        let own = self.rare.as_ref().and_then(|rare| rare.issuer.as_deref());
        own.unwrap_or_else(|| self.endpoint.base_url())
    }

    /// A value that may be shown, by the dialect's name for it.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find_map(|(own, value)| (**own == *name).then_some(&**value))
    }

    /// Scheme, host and port that requests of a kind go to.
    pub fn origin(&self, kind: ExchangeKind) -> String {
        self.dialect.origin_at(kind, &self.endpoint)
    }

    /// The account's own text for `origin`: its `base_url`, unless the dialect names another host.
    pub fn named<'a>(&'a self, origin: &'a str) -> &'a str {
        let base = self.endpoint.base_url();
        let own = url::Url::parse(base).map(|url| url.origin().ascii_serialization());
        match own.is_ok_and(|own| own == origin) {
            true => base,
            false => origin,
        }
    }

    /// The origins of all its requests, each once, the login's first.
    pub fn origins(&self) -> Vec<String> {
        let (dialect, endpoint) = (&self.dialect, &self.endpoint);
        let mut all = Vec::with_capacity(2);
        if dialect.can_login_at(endpoint) {
            all.push(self.origin(ExchangeKind::Login));
        }
        if dialect.can_refresh_at(endpoint) {
            all.push(self.origin(ExchangeKind::Refresh));
        }
        all.dedup();
        all
    }

    /// Where a secret is, by the dialect's name for it.
    pub fn secret(&self, name: &str) -> Option<&SecretRef> {
        self.secrets
            .iter()
            .find_map(|(own, place)| (**own == *name).then_some(place))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} at {})",
            self.name,
            self.dialect.name(),
            self.endpoint.base_url()
        )
    }
}

/// What accounts inherit from `[defaults]`.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) allow: Arc<Policy>,
    pub(super) refresh: RefreshPolicy,
    pub(super) pacing: PacingTable,
}

/// What the reader needs for accounts, and what it keeps from one account for the next.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) dialects: Dialects,
    pub(super) defaults: Defaults,
    pub(super) groups: Groups,
    pub(super) policies: Shared<Policy>,
    /// By dialect and address.
    sites: HashMap<String, Arc<Site>>,
    pacings: Shared<Pacing>,
    proxies: Shared<Proxy>,
    names: Shared<str>,
    asks: HashMap<String, Asks>,
    /// Missing options, by site and set of fields.
    lacks: HashMap<String, Vec<(ExchangeKind, String)>>,
}

/// The settings of an account that can be inherited.
#[derive(Debug)]
struct Own {
    allow: Option<Vec<Rule>>,
    refresh: Option<RefreshPolicy>,
    assumed_lifetime: Option<Duration>,
    pacing: PacingTable,
    proxy: Route,
    api: Option<Api>,
    issuer: Option<Box<str>>,
}

/// The bounds of an assumed lifetime: no longer than a dialect allows for any token.
const ASSUMED: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);

const REFRESH: [(&str, RefreshPolicy); 3] = [
    ("auto", RefreshPolicy::Auto),
    ("always", RefreshPolicy::Always),
    ("on-demand", RefreshPolicy::OnDemand),
];

impl Defaults {
    /// Reads `[defaults]`. Without `allow` only the daemon's own user may have a token.
    pub(super) fn read(
        root: &mut Section<'_>,
        own_user: Arc<Policy>,
        reading: &mut Reading<'_>,
    ) -> Self {
        let mut defaults = Self {
            allow: own_user,
            refresh: RefreshPolicy::default(),
            pacing: PacingTable::default(),
        };
        let Some(mut section) = root.section("defaults", &mut reading.diagnostics) else {
            return defaults;
        };
        if let Some(rules) = allow(&mut section, reading) {
            defaults.allow = Arc::new(Policy::new(rules));
        }
        reading.origins.end(Owner::Defaults);
        let diagnostics = &mut reading.diagnostics;
        let refresh = section.read("refresh", diagnostics, refresh);
        defaults.refresh = refresh.unwrap_or_default();
        defaults.pacing = PacingTable::read(&mut section, diagnostics);
        section.finish(diagnostics);
        defaults
    }
}

fn refresh(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<RefreshPolicy> {
    value.word(&REFRESH, diagnostics)
}

fn lifetime(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Duration> {
    value.duration(ASSUMED, diagnostics)
}

fn issuer(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
    let text = value.text(diagnostics)?;
    match ApiUrl::parse(text) {
        Ok(_) if !text.contains('*') => Some(text.into()),
        Ok(_) => value.wrong(diagnostics, "an issuer has no `*`".to_owned(), None),
        Err(why) => {
            let message = format!("`{text}` is not the address of an issuer: {why}");
            value.wrong(diagnostics, message, None)
        }
    }
}

impl Reader {
    /// A reader that has seen no account yet.
    pub(super) fn new(dialects: Dialects, defaults: Defaults, groups: Groups) -> Self {
        Self {
            dialects,
            defaults,
            groups,
            policies: Shared::new(),
            sites: HashMap::new(),
            pacings: Shared::new(),
            proxies: Shared::new(),
            names: Shared::new(),
            asks: HashMap::new(),
            lacks: HashMap::new(),
        }
    }

    /// The account of one table, or mistakes. Relative paths are taken from `base`.
    pub(super) fn read(
        &mut self,
        name: AccountName,
        key: &Key<'_>,
        value: Value<'_>,
        reading: &mut Reading<'_>,
    ) -> Option<Account> {
        let before = reading.diagnostics.count();
        let mut section = value.section(&mut reading.diagnostics)?.named(key);
        let known = self.dialect(&mut section, &mut reading.diagnostics);
        let dialect = known.as_deref().map(|known| &*known.dialect);
        let otherwise = dialect.and_then(Dialect::own_base_url);
        let address = Address::take(&mut section, otherwise, &mut reading.diagnostics);
        let own = Own {
            allow: allow(&mut section, reading),
            refresh: section.read("refresh", &mut reading.diagnostics, refresh),
            assumed_lifetime: section.read("assumed_lifetime", &mut reading.diagnostics, lifetime),
            pacing: PacingTable::read(&mut section, &mut reading.diagnostics),
            proxy: self.proxy(section.take("proxy"), reading),
            api: section.read("api", &mut reading.diagnostics, read_api),
            issuer: match known.as_deref().is_some_and(|known| known.names("issuer")) {
                true => None,
                false => section.read("issuer", &mut reading.diagnostics, issuer),
            },
        };
        reading.origins.end(Owner::Account(&name));
        let mut fields = AccountFields::default();
        fields.take(&mut section, reading);
        refuse_refresh_token(&mut section, &name, dialect, &mut reading.diagnostics);
        let Some(known) = known else {
            // Without a dialect the valid fields are unknown.
            section.ignore("fields");
            section.finish(&mut reading.diagnostics);
            return None;
        };
        fields.take_custom(&mut section, &known, &name, reading);
        let diagnostics = &mut reading.diagnostics;
        let site = address.and_then(|address| self.site(&known, &address, diagnostics));
        let needed = site.as_deref().map(|site| &*site.fields);
        fields.check(&section, &known, needed, diagnostics);
        if let Some(site) = site.as_deref().filter(|_| diagnostics.count() == before) {
            self.options(&section, &known, site, &fields, diagnostics);
        }
        if let (Some(site), Some(api)) = (&site, &own.api)
            && let Err(why) = api.urls(site.endpoint.base_url())
        {
            let message = format!("`base_url` is not the beginning of an API's address: {why}");
            let help = "write `urls` of `[api]` in full, with https:// and the host";
            section.note(diagnostics, message, help.to_owned());
        }
        section.finish(diagnostics);
        let site = site.filter(|_| diagnostics.count() == before)?;
        Some(self.account(name, &known, &site, fields, own, &mut reading.origins))
    }

    /// Notes options that are not set and that a request of the account needs. Computed once for all accounts that differ only in values.
    fn options(
        &mut self,
        section: &Section<'_>,
        known: &KnownDialect,
        site: &Site,
        fields: &AccountFields,
        diagnostics: &mut Diagnostics,
    ) {
        let dialect = &known.dialect;
        let has = |name: &str| fields.has(name);
        let fields = fields.plain.keys().chain(fields.secret.keys());
        let names: Vec<&str> = fields.map(String::as_str).collect();
        let key = [&[&*site.fingerprint], &*names].concat().join("\0");
        let lacks = self.lacks.entry(key).or_insert_with(|| {
            let kinds = [ExchangeKind::Refresh, ExchangeKind::Login].into_iter();
            let made = kinds.filter(|kind| site.makes(dialect, *kind, has));
            let lacks = |kind| {
                dialect
                    .missing_options(kind, &site.endpoint, has)
                    .into_iter()
            };
            made.flat_map(|kind| lacks(kind).map(move |option| (kind, option)))
                .collect()
        });
        for (kind, option) in lacks {
            let describes = dialect.options().find(|it| it.name == *option);
            let example = match describes.and_then(|it| it.choices.first()) {
                Some(choice) => choice.as_str(),
                None => "...",
            };
            section.note(
                diagnostics,
                format!(
                    "the {kind} of dialect `{}` needs option `{option}`",
                    dialect.name()
                ),
                format!("add `{option} = \"{example}\"` to `options`"),
            );
        }
    }

    /// The account's route; equal proxies are kept once.
    fn proxy(&mut self, value: Option<Value<'_>>, reading: &mut Reading<'_>) -> Route {
        let Some(value) = value else {
            return Route::Inherited;
        };
        let route = match proxy::read(value, reading) {
            Some(Route::Through(own)) => {
                let kept = self.proxies.keep_at_most(MOST_PROXIES, own);
                kept.map(Route::Through).or_else(|| {
                    let message =
                        format!("accounts name more than {MOST_PROXIES} different proxies");
                    value
                        .hidden()
                        .wrong(&mut reading.diagnostics, message, None)
                })
            }
            route => route,
        };
        route.unwrap_or_default()
    }

    /// The proxies that accounts named, each once.
    pub(super) fn proxies(&self) -> impl Iterator<Item = &Arc<Proxy>> {
        self.proxies.values()
    }

    fn dialect(
        &mut self,
        section: &mut Section<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<KnownDialect>> {
        let what = "the name of a dialect; see `tokend dialect list`";
        let value = section.require("provider", what, diagnostics)?;
        let name = value.text(diagnostics)?;
        match self.dialects.find(name) {
            Ok(known) => Some(known),
            Err(None) => None,
            Err(Some(help)) => {
                value.wrong(diagnostics, format!("there is no dialect `{name}`"), help)
            }
        }
    }

    fn site(
        &mut self,
        known: &KnownDialect,
        address: &Address<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Site>> {
        let settings = &address.settings;
        let parts = address.parts();
        // No part of an address can hold the separator: it is refused wherever it could be sent.
        let key = [&[known.dialect.name()], &*parts].concat().join("\0");
        let made = match self.sites.entry(key) {
            Entry::Occupied(kept) => Ok(Arc::clone(kept.get())),
            Entry::Vacant(free) => Site::new(known, settings, &parts)
                .map(|site| Arc::clone(free.insert(Arc::new(site)))),
        };
        made.map_err(|error| address.wrong(error, diagnostics)).ok()
    }

    fn account(
        &mut self,
        name: AccountName,
        known: &KnownDialect,
        site: &Site,
        fields: AccountFields,
        own: Own,
        origins: &mut RuleOrigins,
    ) -> Account {
        let dialect = Arc::clone(&known.dialect);
        let inherited = || self.defaults.allow.rules();
        let alone = own.allow.as_deref().unwrap_or_else(inherited);
        let allow = match (self.groups.with(&name, alone, origins), own.allow) {
            (Some(rules), _) | (None, Some(rules)) => self.policies.keep(Policy::new(rules)),
            (None, None) => Arc::clone(&self.defaults.allow),
        };
        let pacing = own.pacing.or(self.defaults.pacing).over(known.pacing);
        let field = |name: &str| fields.plain.get(name).map_or("", String::as_str);
        let identity = [
            dialect.name(),
            site.endpoint.base_url(),
            field("username"),
            field("client_id"),
        ];
        let identity = Fingerprint::of(identity);
        let fingerprint = fields.fingerprint(&site.fingerprint);
        let asks = self.asks(&dialect, site, &fields);
        let rare = Rare {
            assumed_lifetime: own.assumed_lifetime,
            api: own.api.map(|api| api.over(dialect.api())),
            issuer: own.issuer,
        };
        let rare = (rare != Rare::default()).then(|| Box::new(rare));
        let mut named = |name: &str| self.names.keep(name);
        Account {
            name,
            dialect,
            endpoint: Arc::clone(&site.endpoint),
            fields: (fields.plain.into_iter())
                .map(|(name, value)| (named(&name), value.into()))
                .collect(),
            secrets: (fields.secret.into_iter())
                .map(|(name, place)| (named(&name), place))
                .collect(),
            allow,
            pacing: self.pacings.keep(pacing),
            proxy: own.proxy,
            refresh: own.refresh.unwrap_or(self.defaults.refresh),
            rare,
            identity,
            fingerprint,
            asks,
        }
    }

    /// What the requests ask for, computed once for all accounts that differ only in their identity.
    fn asks(&mut self, dialect: &Dialect, site: &Site, fields: &AccountFields) -> Asks {
        let mut key = site.fingerprint.clone();
        for (name, value) in &fields.plain {
            if !matches!(name.as_str(), "username" | "client_id") {
                key.extend(["\0", name.as_str(), "\0", value.as_str()]);
            }
        }
        *self.asks.entry(key).or_insert_with(|| {
            let field = |name: &str| fields.plain.get(name).map(String::as_str);
            dialect.asks(&site.endpoint, field)
        })
    }
}
