//! The set-up of a simulated account and its provider's behaviour.
//!
//! Plain data. It decides nothing; `ledger` does.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// The APIs the simulator speaks. The order is that of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Document 000: form login, refresh by JSON, a refused token is a 400.
    AdVerification,
    /// Document 001: form login with `grant_type`, refresh token in a header, single use.
    JwtApi,
    /// Document 002: client credentials in a form, reply wrapped in `data`.
    ClientCredentials,
    /// Document 003: Basic login without a body, refresh yields only an access token, suspends.
    FirebaseAccounts,
    /// RFC 6749: password, client credentials and refresh grants at `/token`.
    Oauth2,
}

impl Api {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::AdVerification,
        Self::JwtApi,
        Self::ClientCredentials,
        Self::FirebaseAccounts,
        Self::Oauth2,
    ];

    /// Name of tokend's dialect for it; also accepted as a path prefix.
    #[must_use]
    pub fn dialect(self) -> &'static str {
        match self {
            Self::AdVerification => "ad-verification",
            Self::JwtApi => "jwt-api",
            Self::ClientCredentials => "client-credentials",
            Self::FirebaseAccounts => "firebase-accounts",
            Self::Oauth2 => "oauth2",
        }
    }

    /// Number of its document, used as a path prefix (`/p/000`); `oauth2` has none and uses its name.
    #[must_use]
    pub fn number(self) -> &'static str {
        match self {
            Self::AdVerification => "000",
            Self::JwtApi => "001",
            Self::ClientCredentials => "002",
            Self::FirebaseAccounts => "003",
            Self::Oauth2 => "oauth2",
        }
    }

    /// A path of a request that needs an access token; the documents' own where one is named.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::AdVerification => "/v1/project/list",
            Self::JwtApi => "/users/me",
            Self::ClientCredentials => "/v1/me",
            Self::FirebaseAccounts => "/me",
            Self::Oauth2 => "/resource",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dialect())
    }
}

impl FromStr for Api {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|api| api.dialect() == text || api.number() == text)
            .ok_or_else(|| format!("unknown API `{text}`; expected a dialect name or 000 … 003"))
    }
}

/// The endpoint of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// A grant for the long-lived credential.
    Login,
    /// A grant for a refresh token.
    Refresh,
    /// A request that presents an access token.
    Resource,
    /// Any path the API does not have.
    Unknown,
}

/// One account at a provider.
#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Name in the log, in the fault script and in a generated configuration.
    pub name: String,
    /// The API of its provider.
    pub api: Api,
    /// User name, where the API has users.
    pub username: Option<String>,
    /// Password that goes with `username`.
    pub password: Option<String>,
    /// Client identifier, where the API has clients.
    pub client_id: Option<String>,
    /// Secret that goes with `client_id`.
    pub client_secret: Option<String>,
    /// How the provider treats it.
    pub behaviour: Behaviour,
}

impl AccountSpec {
    /// An account called `name` with the sample credentials of the API's document and its documented behaviour.
    #[must_use]
    pub fn new(name: &str, api: Api) -> Self {
        let (user, client) = match api {
            // Awkward on purpose: each of these breaks in a different wrong encoder.
            Api::AdVerification | Api::JwtApi => {
                (Some(("you@example.com", "p%40ss wörd&+=é")), None)
            }
            Api::ClientCredentials => (None, Some(("YOUR_CLIENT_ID", "YOUR_CLIENT_SECRET/+="))),
            Api::FirebaseAccounts => (Some(("johndoe", "your_password:with:colons é")), None),
            Api::Oauth2 => (
                Some(("alice", "s3cret pa&ss")),
                Some(("app", "secret-1:&=%+")),
            ),
        };
        Self {
            name: name.to_owned(),
            api,
            username: user.map(|(name, _)| name.to_owned()),
            password: user.map(|(_, password)| password.to_owned()),
            client_id: client.map(|(id, _)| id.to_owned()),
            client_secret: client.map(|(_, secret)| secret.to_owned()),
            behaviour: Behaviour::documented(api),
        }
    }

    /// The same account under another user name and client id, so that several fit one API.
    #[must_use]
    pub fn known_as(mut self, identity: &str) -> Self {
        self.username = self.username.map(|_| identity.to_owned());
        self.client_id = self.client_id.map(|_| identity.to_owned());
        self
    }

    /// The same account with changed behaviour.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Behaviour)) -> Self {
        change(&mut self.behaviour);
        self
    }

    /// One account for each of the four documents: `ads`, `jwt`, `partner`, `firebase`.
    #[must_use]
    pub fn four() -> Vec<Self> {
        vec![
            Self::new("ads", Api::AdVerification),
            Self::new("jwt", Api::JwtApi),
            Self::new("partner", Api::ClientCredentials),
            Self::new("firebase", Api::FirebaseAccounts),
        ]
    }
}

/// How a provider treats one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Lifetime of an access token.
    pub access_lifetime: Duration,
    /// Lifetime of a refresh token.
    pub refresh_lifetime: Duration,
    /// Whether refreshing replaces the refresh token.
    pub rotation: Rotation,
    /// What presenting a spent refresh token costs.
    pub reuse: Reuse,
    /// For how long a spent refresh token still yields the same pair again.
    pub grace: Duration,
    /// Refreshing ends the access token handed out before.
    pub refresh_ends_access: bool,
    /// Refreshing needs an access token that is still valid.
    pub refresh_needs_access: bool,
    /// Refreshing returns the access token byte for byte as it was, with a new lifetime.
    pub identical_tokens: bool,
    /// The account is suspended when it asks too often.
    pub suspension: Option<Suspension>,
    /// The account is throttled when it asks too often.
    pub throttling: Option<Throttling>,
}

impl Behaviour {
    /// As the API's document says, and strict where it leaves a choice.
    #[must_use]
    pub fn documented(api: Api) -> Self {
        let base = Self {
            access_lifetime: Duration::from_secs(3600),
            refresh_lifetime: Duration::from_secs(86_400),
            rotation: Rotation::New,
            reuse: Reuse::RevokeFamily,
            grace: Duration::ZERO,
            refresh_ends_access: false,
            refresh_needs_access: false,
            identical_tokens: false,
            suspension: None,
            throttling: None,
        };
        match api {
            Api::AdVerification => Self {
                access_lifetime: Duration::from_secs(900),
                reuse: Reuse::Refuse,
                ..base
            },
            Api::JwtApi | Api::Oauth2 | Api::ClientCredentials => base,
            Api::FirebaseAccounts => Self {
                access_lifetime: Duration::from_secs(2700),
                refresh_lifetime: Duration::from_secs(30 * 86_400),
                rotation: Rotation::Keep,
                suspension: Some(Suspension {
                    requests: 5,
                    window: Duration::from_secs(60),
                    duration: None,
                    status: 403,
                }),
                ..base
            },
        }
    }
}

/// Whether a refresh replaces the refresh token, and whether the reply names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// The token stays good and the reply does not mention it.
    Keep,
    /// The token stays good and the reply repeats it.
    Repeat,
    /// A new token each time; the presented one is spent.
    New,
}

/// What presenting a spent refresh token costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// That request is refused, nothing else.
    Refuse,
    /// Every token that descends from the same login dies with it (RFC 9700, section 4.14.2).
    RevokeFamily,
}

/// An account that asks for more than `requests` tokens inside `window` is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Token requests that are still tolerated inside the window.
    pub requests: u32,
    /// The sliding window.
    pub window: Duration,
    /// How long; forever when absent.
    pub duration: Option<Duration>,
    /// The status of its answers: 403 or 400.
    pub status: u16,
}

/// More than `requests` token requests inside `window` are answered with 429 and are not processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttling {
    /// Token requests that are served inside the window.
    pub requests: u32,
    /// The sliding window.
    pub window: Duration,
}

/// What differs between deployments of one API rather than between accounts.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Key of the refresh token in a JSON refresh request (documents 000 and 003).
    pub refresh_key: String,
    /// `grant_type` must be present although the document does not list it (documents 000 and 002).
    pub grant_type_required: bool,
    /// The error object stands at the top level instead of under `error` (document 002 shows both).
    pub flat_errors: bool,
    /// `data` is a string that holds JSON (document 002's schema says "json-string").
    pub data_as_string: bool,
    /// How `oauth2` clients authenticate.
    pub client_auth: ClientAuth,
}

impl Deployment {
    /// As the API's document shows it.
    #[must_use]
    pub fn documented(api: Api) -> Self {
        Self {
            refresh_key: match api {
                Api::FirebaseAccounts => "refresh",
                _ => "refresh_token",
            }
            .to_owned(),
            grant_type_required: false,
            flat_errors: false,
            data_as_string: false,
            client_auth: ClientAuth::BasicEncoded,
        }
    }
}

/// Client authentication an `oauth2` deployment accepts; real servers accept exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Basic, id and secret form-encoded first (RFC 6749, section 2.3.1).
    BasicEncoded,
    /// Basic, id and secret as they are.
    BasicRaw,
    /// `client_id` and `client_secret` in the body.
    Body,
}
