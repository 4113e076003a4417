//! What survives a restart of one account: [`Record`] and its parts.
//!
//! Plain data with every secret in a `SecretString`, so `Debug` is safe. Only `codec` may serialise it. Times are Unix milliseconds by
//! the wall clock of the record's [`Anchor`].

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// Everything durable about one account.
#[derive(Debug, Clone)]
pub struct Record {
    /// When this record was written.
    pub anchor: Anchor,
    /// The identity the record is for: account name and fingerprint of provider, base URL, and user name or client id.
    pub identity: String,
    /// Id of the last attempt begun; ids are never used again.
    pub last_begun: u64,
    /// The durable secrets.
    pub credential: Credential,
    /// The entered credential that the attempt of `intent` tries: not in use yet. Stored before it is sent, since sending may use up a
    /// refresh token.
    pub candidate: Option<StoredCandidate>,
    /// The last grant, so that a restart costs the provider nothing.
    pub grant: Option<StoredGrant>,
    /// The provider's host that `pace.host_tat` is about, as the writer names it; `None` in records from before schema 2. With it the
    /// state counts even if the account is not configured.
    pub host: Option<String>,
    /// Fingerprint of the parameters with which grant and refresh token were requested; `None` if not known.
    pub asks: Option<String>,
    /// The state of the rate limits.
    pub pace: PaceState,
    /// An attempt that has begun and not ended. Found at a start, it is in doubt.
    pub intent: Option<StoredIntent>,
    /// Why no attempt may be made until something changes.
    pub block: Option<StoredBlock>,
    /// How the last attempt failed, by the writer's stable name for it.
    pub problem: Option<String>,
    /// What the provider last said against the account, for people. The writer keeps secrets out of it.
    pub provider_message: Option<String>,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// No attempt before this time (Unix ms), from backoff or Retry-After.
    pub deferred_until: Option<i64>,
    /// Whether the provider named that time.
    pub deferred_by_provider: bool,
    /// The last attempt that ended, for `status`.
    pub last_attempt: Option<StoredAttempt>,
    /// Attempts that ended without a verdict of the provider, if there are any since the last grant or changed credential.
    pub no_verdict: Option<StoredNoVerdict>,
}

impl Record {
    /// A record of an account about which nothing is known yet.
    #[must_use]
    pub fn new(anchor: Anchor, identity: &str) -> Self {
        Self {
            anchor,
            identity: identity.to_owned(),
            last_begun: 0,
            credential: Credential::default(),
            candidate: None,
            grant: None,
            host: None,
            asks: None,
            pace: PaceState::default(),
            intent: None,
            block: None,
            problem: None,
            provider_message: None,
            failures: 0,
            deferred_until: None,
            deferred_by_provider: false,
            last_attempt: None,
            no_verdict: None,
        }
    }
}

/// When a record was written, on three clocks, so that a reader can tell the elapsed time even after a step of the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Wall clock, Unix ms.
    pub wall_ms: i64,
    /// `CLOCK_BOOTTIME`, ms since boot, comparable only within `boot_id`.
    pub boot_ms: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// The stored secrets of an account. All are optional: most of them may be in files instead.
#[derive(Debug, Clone, Default)]
pub struct Credential {
    /// The secrets that a person entered, by the names of the dialect's fields.
    pub secrets: BTreeMap<Box<str>, EnteredSecret>,
    /// RFC 6749 section 1.5, the newest one the provider gave.
    pub refresh_token: Option<SecretString>,
    /// When the refresh token ends, Unix ms, if the provider says so.
    pub refresh_expires_at: Option<i64>,
    /// Whether the refresh token was sent by an attempt whose outcome is unknown, so that it may be spent.
    pub refresh_in_doubt: bool,
    /// Whether the provider refused the refresh token. It is kept until another takes its place.
    pub refresh_refused: bool,
    /// Who entered the refresh token, or one before it that it came from; `None` if it came from a login.
    pub refresh_entered: Option<Entry>,
    /// The spare refresh token: a person entered it, it was sent, and its outcome is unknown. For when no other credential is left.
    pub spare_refresh_token: Option<SecretString>,
    /// Whether the spare one is a successor that the provider brought and that was never sent.
    pub spare_unsent: bool,
}

impl Credential {
    /// The secret that a person entered for this field.
    #[must_use]
    pub fn secret(&self, field: &str) -> Option<&SecretString> {
        self.secrets.get(field).map(|entered| &entered.secret)
    }

    /// Whether this is the refresh token that is held, entered again.
    #[must_use]
    pub fn holds(&self, entered: &EnteredSecrets) -> bool {
        let both = entered.refresh_token().zip(self.refresh_token.as_ref());
        both.is_some_and(|(entered, held)| entered.expose_secret() == held.expose_secret())
    }
}

/// A secret that a person entered.
#[derive(Debug, Clone)]
pub struct EnteredSecret {
    /// The secret.
    pub secret: SecretString,
    /// Who entered it.
    pub entry: Entry,
}

impl EnteredSecret {
    /// A secret, and who entered it.
    #[must_use]
    pub fn new(secret: SecretString, entry: Entry) -> Self {
        Self { secret, entry }
    }
}

/// Who entered something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Unix ms; `None` in records of older versions that entered more than one thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// The user's number; `None` in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
}

/// A credential that a person entered, before it is known to be right.
#[derive(Debug, Clone)]
pub struct StoredCandidate {
    /// Id of the attempt that tries it.
    pub attempt: u64,
    /// The credential.
    pub entered: EnteredCredential,
}

/// What a person entered at one time, and is tried by one attempt.
#[derive(Debug, Clone)]
pub struct EnteredCredential {
    /// What it consists of.
    pub secrets: EnteredSecrets,
    /// Who entered it.
    pub entry: Entry,
}

/// What a person may enter.
#[derive(Debug, Clone)]
pub enum EnteredSecrets {
    /// Secrets of a login, by the names of the dialect's fields.
    Fields(BTreeMap<Box<str>, SecretString>),
    /// RFC 6749 section 1.5.
    RefreshToken(SecretString),
}

impl EnteredSecrets {
    /// A secret for one field.
    #[must_use]
    pub fn one(field: &str, secret: SecretString) -> Self {
        Self::Fields(BTreeMap::from([(field.into(), secret)]))
    }

    /// The refresh token, if it is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&SecretString> {
        match self {
            Self::RefreshToken(token) => Some(token),
            Self::Fields(_) => None,
        }
    }

    /// The secret for this field of a login, if there is one.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&SecretString> {
        match self {
            Self::Fields(fields) => fields.get(name),
            Self::RefreshToken(_) => None,
        }
    }
}

/// A stored grant.
#[derive(Debug, Clone)]
pub struct StoredGrant {
    /// Number of the grant within the account.
    pub id: u64,
    /// RFC 6749 section 1.4.
    pub access_token: SecretString,
    /// RFC 6749 section 7.1, as the provider wrote it.
    pub token_type: String,
    /// RFC 6749 section 3.3, if the provider named it.
    pub scope: Option<String>,
    /// Unix ms.
    pub issued_at: i64,
    /// Unix ms, where a lifetime is known.
    pub expires_at: Option<i64>,
    /// Whether a later refresh may have been processed and brought no other token. Some providers end this one then.
    pub overtaken: bool,
}

/// Theoretical arrival times (GCRA), Unix ms: the whole state of the account's pacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceState {
    /// Of all attempts of the account.
    pub attempts_tat: i64,
    /// Of its logins.
    pub logins_tat: i64,
    /// Of the provider's host, as this account last saw it; the latest of all records counts.
    pub host_tat: i64,
}

/// The durable note that an attempt has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredIntent {
    /// Id of the attempt.
    pub attempt: u64,
    /// Login or refresh.
    pub kind: StoredAttemptKind,
    /// Unix ms.
    pub begun_at: i64,
}

/// Where a grant is to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredAttemptKind {
    /// From the long-lived credential.
    Login,
    /// From a refresh token.
    Refresh,
}

/// Why no attempt may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredBlock {
    /// What kind of obstacle.
    pub reason: BlockReason,
    /// Unix ms.
    pub since: i64,
    /// Fingerprint of what has to change for the block to be lifted.
    pub fingerprint: String,
}

/// The kinds of obstacle only a person can clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockReason {
    /// The provider refused the password or client secret.
    CredentialRejected,
    /// The provider says that the request itself is wrong.
    Misconfigured,
}

/// Attempts without a verdict of the provider since the last grant or changed credential.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredNoVerdict {
    /// Refreshes in a row that something in front of the provider answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refreshes: u32,
    /// Logins that something in front of the provider answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub logins: u32,
    /// No login before this time by itself, Unix ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins_from: Option<i64>,
    /// Logins to which no answer came.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_logins: u32,
    /// Whether the provider refused a login: no more of them, whatever happens to refresh tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub login_refused: bool,
    /// Whether the provider called a login wrong: no more of them, likewise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub login_misconfigured: bool,
    /// Fingerprint of what the last of them was made with: when it changes, they no longer count.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// What the provider said against the login that it refused or called wrong, for people. The writer keeps secrets out of it.
    #[serde(rename = "told", default, skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// How the last attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredAttempt {
    /// Id of the attempt.
    pub id: u64,
    /// Login or refresh.
    pub kind: StoredAttemptKind,
    /// When it began, Unix ms.
    pub at: i64,
    /// How long it took, ms.
    pub duration_ms: u64,
    /// One word or sentence for people. The writer keeps secrets out of it.
    pub outcome: String,
}
