//! A compiled dialect: the requests to one provider's token endpoints and the meaning of its replies.
//!
//! Owns the public view of it. Immutable, shared between accounts, and without any value of an account.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

use crate::{
    api::Api,
    endpoint::Endpoint,
    fields::{
        ACCESS_TOKEN, ExchangeKind, FieldUse, Fields, REFRESH_TOKEN, RequestError, STANDARD, UsedBy,
    },
    names::{Names, OptionSpec, ValueKind},
    pacing::DefaultPacing,
    rejection::Rejection,
    reply::{ProviderReply, classify::Silence, plan::ReplyPlan},
    request::{Condition, Layer, RequestPlan},
    template::Values,
};

/// The requests to one provider's token endpoints and the meaning of its replies.
#[derive(Debug)]
pub struct Dialect {
    pub(crate) name: Box<str>,
    pub(crate) summary: Box<str>,
    pub(crate) extends: Option<Box<str>>,
    pub(crate) own_text: Arc<str>,
    pub(crate) effective: toml::Table,
    pub(crate) digest: Box<str>,
    pub(crate) names: Names,
    pub(crate) login: Option<ExchangePlan>,
    pub(crate) refresh: Option<ExchangePlan>,
    pub(crate) rejection: Rejection,
    pub(crate) api: Api,
    pub(crate) pacing: DefaultPacing,
    pub(crate) lifecycle: Lifecycle,
}

/// The effect of a refresh on earlier tokens.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    pub(crate) reuse: DeclaredReuse,
    pub(crate) ends_access_token: bool,
    pub(crate) needs_valid_access_token: bool,
}

/// A request and the meaning of its replies.
#[derive(Clone, Debug)]
pub(crate) struct ExchangePlan {
    pub(crate) request: RequestPlan,
    pub(crate) reply: ReplyPlan,
}

/// The effect of presenting a refresh token a second time (RFC 9700 section 4.14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeclaredReuse {
    /// Nothing: refresh tokens do not rotate.
    #[default]
    None,
    /// The second use fails; tokens already issued stay valid.
    Rotates,
    /// The second use revokes all tokens that came from the same login.
    RotatesAndReuseRevokes,
    /// The provider does not say.
    Unknown,
}

impl Dialect {
    /// Name by which accounts refer to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line about the provider.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Default pacing for accounts of this dialect.
    #[must_use]
    pub fn pacing(&self) -> DefaultPacing {
        self.pacing
    }

    /// The effect of presenting a refresh token a second time.
    #[must_use]
    pub fn reuse(&self) -> DeclaredReuse {
        self.lifecycle.reuse
    }

    /// Whether a refresh ends the previous access token; if so, refresh late.
    #[must_use]
    pub fn refresh_ends_access_token(&self) -> bool {
        self.lifecycle.ends_access_token
    }

    /// Whether a refresh works only while the access token is valid; if so, refresh early.
    #[must_use]
    pub fn refresh_needs_valid_access_token(&self) -> bool {
        self.lifecycle.needs_valid_access_token
    }

    /// Whether a refresh presents the access token instead of a refresh token, with the options of this endpoint. The access token of a
    /// grant is then its refresh token, see [`ProviderReply::renews_itself`].
    #[must_use]
    pub fn renews_itself_at(&self, endpoint: &Endpoint) -> bool {
        let plan = self.refresh.as_ref();
        let plan = plan.filter(|_| self.can_refresh_at(endpoint));
        plan.is_some_and(|plan| {
            let uses = |field| {
                let mut layers = plan.request.active(&self.names, endpoint);
                layers.any(|layer| layer.uses(field))
            };
            uses(ACCESS_TOKEN) && !uses(REFRESH_TOKEN)
        })
    }

    /// How an API shows that it rejected an access token.
    #[must_use]
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }

    /// Which addresses the tokens are for, and how the API wants them.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Whether the dialect describes a login at all; options may still remove it, see [`Self::can_login_at`].
    #[must_use]
    pub fn can_login(&self) -> bool {
        self.login.is_some()
    }

    /// Whether the dialect describes a refresh at all; options may still remove it, see [`Self::can_refresh_at`].
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        self.refresh.is_some()
    }

    /// Whether there is a login with the options of this endpoint.
    #[must_use]
    pub fn can_login_at(&self, endpoint: &Endpoint) -> bool {
        self.can(ExchangeKind::Login, endpoint)
    }

    /// Whether there is a refresh with the options of this endpoint.
    #[must_use]
    pub fn can_refresh_at(&self, endpoint: &Endpoint) -> bool {
        self.can(ExchangeKind::Refresh, endpoint)
    }

    fn can(&self, kind: ExchangeKind, endpoint: &Endpoint) -> bool {
        self.plan(kind)
            .is_some_and(|plan| plan.request.available(&self.names, endpoint))
    }

    /// Scheme, host and port that a request of this kind goes to: those of a whole URL in its `path`, else of `base_url`.
    #[must_use]
    pub fn origin_at(&self, kind: ExchangeKind, endpoint: &Endpoint) -> String {
        let plan = self.plan(kind);
        let whole = plan.and_then(|plan| plan.request.whole_url(kind, &self.names, endpoint));
        origin(whole.unwrap_or(endpoint.base_url()))
    }

    /// The base URL of an account whose requests all have whole URLs; `None` if any request uses `base_url`.
    #[must_use]
    pub fn own_base_url(&self) -> Option<String> {
        let plans = [&self.login, &self.refresh].into_iter().flatten();
        let wholes: Option<Vec<&str>> = plans.map(|plan| plan.request.only_whole_urls()).collect();
        wholes?.first().map(|url| origin(url))
    }

    /// A fingerprint of the dialect's behaviour. It changes with every setting, but not with texts for people, so that a corrected dialect
    /// can be told from the misconfigured one.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest.to_string()
    }

    /// Whether it equals another dialect, including the texts for people.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.effective == other.effective
            && self.own_text == other.own_text
    }

    /// Every field that some request uses, whatever the options. `required` holds for the default options.
    pub fn fields(&self) -> impl Iterator<Item = FieldUse> {
        let everywhere = self.uses(|plan| plan.request.layers.iter().collect());
        let defaults = self.fields_at(&Endpoint::defaults());
        everywhere.into_iter().map(move |field| {
            let required = defaults
                .iter()
                .any(|used| used.name == field.name && used.required);
            FieldUse { required, ..field }
        })
    }

    /// The fields that the requests use with the options of this endpoint.
    #[must_use]
    pub fn fields_at(&self, endpoint: &Endpoint) -> Vec<FieldUse> {
        self.uses(|plan| {
            if !plan.request.available(&self.names, endpoint) {
                return Vec::new();
            }
            plan.request.active(&self.names, endpoint).collect()
        })
    }

    fn uses<'a>(&'a self, layers: impl Fn(&'a ExchangePlan) -> Vec<&'a Layer>) -> Vec<FieldUse> {
        let mut uses: Vec<FieldUse> = Vec::new();
        for (used_by, plan) in [
            (UsedBy::Login, &self.login),
            (UsedBy::Refresh, &self.refresh),
        ] {
            let layers = plan.iter().flat_map(&layers);
            let placeholders = layers.flat_map(Layer::placeholders);
            for place in placeholders.filter(|it| it.value == ValueKind::Field) {
                match uses.iter_mut().find(|field| field.name == place.name) {
                    Some(field) => {
                        field.required |= !place.optional;
                        if field.used_by != used_by {
                            field.used_by = UsedBy::Both;
                        }
                    }
                    None => uses.push(self.field_use(&place.name, !place.optional, used_by)),
                }
            }
        }
        uses
    }

    fn field_use(&self, name: &str, required: bool, used_by: UsedBy) -> FieldUse {
        let own = self.names.field(name);
        let secret = own.map_or_else(|| STANDARD.contains(&(name, true)), |field| field.secret);
        FieldUse {
            name: name.to_owned(),
            secret,
            required,
            internal: matches!(name, REFRESH_TOKEN | ACCESS_TOKEN),
            used_by,
            description: own.map_or_else(String::new, |field| field.description.clone()),
            multiline: own.is_some_and(|field| field.multiline),
        }
    }

    /// The options an account may set.
    pub fn options(&self) -> impl Iterator<Item = &OptionSpec> {
        self.names.options.iter()
    }

    /// The names of alternative endpoints an account may choose.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        let plans = [&self.login, &self.refresh].into_iter().flatten();
        let mut names: Vec<&str> = plans
            .flat_map(|plan| &plan.request.endpoints)
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// The request of an account. `fields` holds the refresh token as [`REFRESH_TOKEN`].
    ///
    /// # Errors
    /// A field is missing, or has a character that is not allowed at its place in the request; the error names the account's key.
    pub fn request(
        &self,
        kind: ExchangeKind,
        endpoint: &Endpoint,
        fields: &Fields,
    ) -> Result<Request<Bytes>, RequestError> {
        let plan = self.plan(kind).filter(|_| self.can(kind, endpoint));
        let plan = plan.ok_or_else(|| RequestError::Unavailable {
            dialect: self.name.to_string(),
            kind,
        })?;
        let values = Values {
            kind,
            names: &self.names,
            endpoint,
            fields,
        };
        plan.request.build(values)
    }

    /// The meaning of a response. `sent` are the fields of the request: the reply may echo their secrets, which never get into the message
    /// for people.
    #[must_use]
    pub fn read_reply(
        &self,
        kind: ExchangeKind,
        response: &Response<Bytes>,
        sent: &Fields,
    ) -> ProviderReply {
        // Without a plan of this kind no such request was sent; the plan of the other kind is the best approximation.
        let plan = self
            .plan(kind)
            .or(self.login.as_ref())
            .or(self.refresh.as_ref());
        match plan {
            Some(plan) => {
                let own = |name: &str| self.names.field(name).is_some_and(|field| field.secret);
                plan.reply.read(kind, response, sent.secrets(own))
            }
            None => ProviderReply::unreadable(response.status().as_u16()),
        }
    }

    /// The meaning of a missing answer to a request that may have been sent, if a rule of the dialect covers it.
    #[must_use]
    pub fn read_silence(&self, kind: ExchangeKind, silence: Silence) -> Option<ProviderReply> {
        self.plan(kind)?.reply.silent(kind, silence)
    }

    /// The options that change a request from its default form, as its cases state them; the first value of each.
    #[must_use]
    pub fn cases(&self, kind: ExchangeKind) -> Vec<Vec<(String, String)>> {
        let mut found = Vec::new();
        let layers = self.plan(kind).map_or(&[][..], |plan| &plan.request.layers);
        for layer in layers.iter().filter(|layer| !layer.when.is_empty()) {
            let value = |condition: &Condition| {
                let value = condition.values.first()?.clone();
                Some((condition.option.clone(), value))
            };
            let case: Vec<_> = layer.when.iter().filter_map(value).collect();
            if !found.contains(&case) {
                found.push(case);
            }
        }
        found
    }

    pub(crate) fn plan(&self, kind: ExchangeKind) -> Option<&ExchangePlan> {
        match kind {
            ExchangeKind::Login => self.login.as_ref(),
            ExchangeKind::Refresh => self.refresh.as_ref(),
        }
    }
}

fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}

/// The fingerprint of the effective settings of a dialect.
pub(crate) fn digest(effective: &toml::Table) -> Box<str> {
    let mut table = effective.clone();
    let _words = (table.remove("summary"), table.remove("documentation"));
    // Where a token may go changes nothing about how it is obtained.
    if let Some(toml::Value::Table(api)) = table.get_mut("api") {
        let _places = api.remove("urls");
        if api.is_empty() {
            let _empty = table.remove("api");
        }
    }
    let text = toml::Value::Table(table).to_string();
    format!("{:016x}", fnv1a(text.as_bytes())).into()
}

/// FNV-1a: stable across versions and platforms, which the standard library's hashers do not promise. It only detects edits and protects
/// against nothing.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
