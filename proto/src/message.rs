//! Requests and responses, and the ids that pair them.
//!
//! Owns the vocabulary of the socket. Enums here are append-only: the position of a variant is its tag on the
//! wire, and the golden frames under `tests/golden` notice any change. An unknown kind is `Other`: its content
//! is skipped, and the connection goes on. Durations are milliseconds.

use serde::{Deserialize, Serialize};

use crate::request_kind::RequestKind;
use crate::{
    AccountName, ApisPage, CredentialStatus, DiagnosisPage, Fault, FaultCode, LoginSecret, MAGIC,
    NamedSecret, OLDEST, SecretText, SinksPage, StatusPage, VERSION, Whoami,
};

/// Pairs a response with its request; chosen by the client, unique among its requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(
    /// The number itself; it only has to differ from other requests in flight.
    pub u64,
);

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFrame {
    /// Which request this is.
    pub id: RequestId,
    /// The request.
    pub request: Request,
}

/// What the daemon sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFrame {
    /// Which request this answers.
    pub id: RequestId,
    /// The response.
    pub response: Response,
}

/// What a client asks for.
///
/// `wait_ms` is how long the request may wait for the rate limit to allow an attempt; `timeout_ms` is how long it may
/// take altogether. Neither cancels an attempt that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// The first frame of a connection. A client may send its first request right behind it without waiting for
    /// [`Response::Welcome`].
    Hello {
        /// Always [`MAGIC`].
        magic: [u8; 6],
        /// The oldest protocol version the client understands.
        oldest: u16,
        /// The newest protocol version the client understands.
        newest: u16,
        /// The program and its version, for logs only.
        client: String,
    },
    /// The account's access token, obtained first if none is good enough. Answered by [`Response::Token`].
    Get {
        /// Whose token.
        account: AccountName,
        /// How long the token must still live; `None` leaves it to the daemon.
        min_validity_ms: Option<u64>,
        /// How long to wait for the rate limit.
        wait_ms: u64,
        /// How long the request may take.
        timeout_ms: u64,
    },
    /// The state of one account or of all the peer may see. Answered by [`Response::Status`].
    Status {
        /// Only this account.
        account: Option<AccountName>,
        /// Only accounts behind this one; see [`StatusPage::next`].
        after: Option<AccountName>,
    },
    /// The names of the accounts the peer may see. Answered by [`Response::Accounts`].
    List {
        /// Only accounts behind this one; see [`AccountsPage::next`].
        after: Option<AccountName>,
    },
    /// A new access token even though the old one may be good, within the rate limit. Answered by [`Response::Token`].
    Refresh {
        /// Whose token.
        account: AccountName,
        /// How long to wait for the rate limit.
        wait_ms: u64,
        /// How long the request may take.
        timeout_ms: u64,
    },
    /// An API refused this token: retire it if it is the current one. Answered by [`Response::Token`] with a newer
    /// one.
    Reject {
        /// Whose token.
        account: AccountName,
        /// The token that was refused.
        token: SecretText,
        /// How long to wait for the rate limit.
        wait_ms: u64,
        /// How long the request may take.
        timeout_ms: u64,
    },
    /// Read the configuration again. Answered by [`Response::Done`].
    Reload,
    /// Keep a credential somebody typed, and try it. Answered by [`Response::Done`].
    Login {
        /// Whose credential.
        account: AccountName,
        /// The credential.
        secret: LoginSecret,
    },
    /// Delete what is stored for an account, configured or not. Answered by [`Response::Done`].
    Forget {
        /// Which account.
        account: AccountName,
    },
    /// Look whether all is well, without spending an attempt. Answered by [`Response::Diagnosis`].
    Diagnose {
        /// Only this account.
        account: Option<AccountName>,
        /// Only accounts behind this one; see [`DiagnosisPage::next`].
        after: Option<AccountName>,
    },
    /// The daemon's metrics as Prometheus text, part by part. Answered by [`Response::Metrics`].
    Metrics {
        /// Where to go on; see [`MetricsPage::next`]. `None` begins with a new snapshot.
        after: Option<MetricsCursor>,
    },
    /// What the daemon sees of the peer, and what it may do. Answered by [`Response::Whoami`].
    Whoami,
    /// The account's access token now, and each newer one as it comes, until the watch ends. Answered under one id by
    /// [`Response::Token`], [`Response::Retired`] and [`Response::Unavailable`] in any number; [`Response::Fault`]
    /// ends it.
    Watch {
        /// Whose token.
        account: AccountName,
        /// How long each token must still live when it comes; `None` leaves it to the daemon.
        min_validity_ms: Option<u64>,
    },
    /// Which addresses the tokens are for that the peer may have. Answered by [`Response::Apis`].
    Apis {
        /// Only this account.
        account: Option<AccountName>,
        /// Only accounts behind this one; see [`ApisPage::next`].
        after: Option<AccountName>,
    },
    /// Whether an API refused the token of an account, by the rules of its dialect. Answered by
    /// [`Response::Refusal`]. It changes nothing: a refused token is reported with [`Request::Reject`].
    Refusal {
        /// Whose token.
        account: AccountName,
        /// The status of the API's answer.
        status: u16,
        /// The beginning of its body, as text.
        body: SecretText,
    },
    /// What a sink, which keeps a file with the token fresh, has to say of that file. It stands until it is answered or the connection ends.
    /// Answered by [`Response::Done`] when the next report of the same sink takes its place, and when the daemon wants it anew because another
    /// configuration is in force.
    Report {
        /// Whose token.
        account: AccountName,
        /// The sink's name.
        sink: String,
        /// The same number in each report of a sink, and another in those of another one of the same name.
        instance: u64,
        /// The file.
        path: String,
        /// What is wrong with it at present, as a lower-case fragment without any secret.
        problem: Option<String>,
    },
    /// The sinks that report. Answered by [`Response::Sinks`].
    Sinks {
        /// Only of this account.
        account: Option<AccountName>,
        /// Only of accounts behind this one; see [`SinksPage::next`].
        after: Option<AccountName>,
    },
    /// What an account logs in with: which secrets, where they come from, and who entered them. Answered by
    /// [`Response::Credential`].
    Credential {
        /// Whose credential.
        account: AccountName,
    },
    /// Keep secrets somebody typed, each for a field of the account's dialect, and try them in one attempt. Answered by
    /// [`Response::Done`].
    Enter {
        /// Whose credential.
        account: AccountName,
        /// The secrets; no field twice.
        secrets: Vec<NamedSecret>,
    },
    /// A kind of request of a newer release, by its number. It is read and never sent.
    #[serde(skip)]
    Other(u32),
}

impl Request {
    /// The opening of a connection by this version of the crate; `client` names the program, for logs.
    pub fn hello(client: impl Into<String>) -> Self {
        Self::Hello {
            magic: MAGIC,
            oldest: OLDEST,
            newest: VERSION,
            client: client.into(),
        }
    }

    /// Which kind of request it is.
    pub const fn kind(&self) -> RequestKind {
        match self {
            Self::Hello { .. } => RequestKind::Hello,
            Self::Get { .. } => RequestKind::Get,
            Self::Status { .. } => RequestKind::Status,
            Self::List { .. } => RequestKind::List,
            Self::Refresh { .. } => RequestKind::Refresh,
            Self::Reject { .. } => RequestKind::Reject,
            Self::Reload => RequestKind::Reload,
            Self::Login { .. } => RequestKind::Login,
            Self::Forget { .. } => RequestKind::Forget,
            Self::Whoami => RequestKind::Whoami,
            Self::Watch { .. } => RequestKind::Watch,
            Self::Apis { .. } => RequestKind::Apis,
            Self::Refusal { .. } => RequestKind::Refusal,
            Self::Report { .. } => RequestKind::Report,
            Self::Sinks { .. } => RequestKind::Sinks,
            Self::Credential { .. } => RequestKind::Credential,
            Self::Enter { .. } => RequestKind::Enter,
            Self::Diagnose { .. } => RequestKind::Diagnose,
            Self::Metrics { .. } => RequestKind::Metrics,
            Self::Other(_) => RequestKind::Other,
        }
    }

    /// The stable name of the request in logs and metrics.
    pub const fn name(&self) -> &'static str {
        self.kind().as_str()
    }

    /// Whether a token or an entered secret came with it, or may have come.
    pub fn has_secret(&self) -> bool {
        matches!(
            self,
            Self::Login { .. }
                | Self::Enter { .. }
                | Self::Reject { .. }
                | Self::Refusal { .. }
                | Self::Other(_)
        )
    }

    /// The account the request is about, where it is about one.
    pub fn account(&self) -> Option<&AccountName> {
        match self {
            Self::Get { account, .. }
            | Self::Refresh { account, .. }
            | Self::Reject { account, .. }
            | Self::Login { account, .. }
            | Self::Refusal { account, .. }
            | Self::Report { account, .. }
            | Self::Watch { account, .. }
            | Self::Credential { account }
            | Self::Enter { account, .. }
            | Self::Forget { account } => Some(account),
            Self::Status { account, .. }
            | Self::Diagnose { account, .. }
            | Self::Apis { account, .. }
            | Self::Sinks { account, .. } => account.as_ref(),
            Self::Hello { .. }
            | Self::List { .. }
            | Self::Reload
            | Self::Metrics { .. }
            | Self::Whoami
            | Self::Other(_) => None,
        }
    }
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Response {
    /// The answer to [`Request::Hello`].
    Welcome {
        /// The version both sides speak from here on.
        version: u16,
        /// The daemon and its version, for people.
        daemon: String,
    },
    /// A token, to [`Request::Get`], [`Request::Refresh`], [`Request::Reject`] and [`Request::Watch`].
    Token(Token),
    /// One page, to [`Request::Status`].
    Status(StatusPage),
    /// One page, to [`Request::List`].
    Accounts(AccountsPage),
    /// It is done, and this is what there is to say about it.
    Done {
        /// A lower-case fragment for people, without any secret.
        message: String,
    },
    /// It failed. Of [`Request::Watch`] it is the end.
    Fault(Fault),
    /// One page, to [`Request::Diagnose`].
    Diagnosis(DiagnosisPage),
    /// One part, to [`Request::Metrics`].
    Metrics(MetricsPage),
    /// What the peer is to the daemon, to [`Request::Whoami`].
    Whoami(Box<Whoami>),
    /// The token that a watch delivered last is not served any more: it has expired, was refused by an API, or was
    /// forgotten. To [`Request::Watch`], which goes on. A watch that begins without a served token says it before the
    /// first [`Response::Unavailable`]: what an earlier watch delivered is over.
    Retired {
        /// The grant of that token; 0 if an earlier watch delivered it.
        grant: u64,
    },
    /// There is no token at present, and why. To [`Request::Watch`], which goes on: a token follows when there is one.
    Unavailable(Fault),
    /// One page, to [`Request::Apis`].
    Apis(ApisPage),
    /// To [`Request::Refusal`].
    Refusal {
        /// Whether the API refused the token, so that a newer one is worth a second try.
        is_refusal: bool,
    },
    /// One page, to [`Request::Sinks`].
    Sinks(SinksPage),
    /// What an account logs in with, to [`Request::Credential`].
    Credential(Box<CredentialStatus>),
    /// A kind of answer of a newer release, by its number. It is read and never sent.
    #[serde(skip)]
    Other(u32),
}

/// An access token and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The access token (RFC 6749 section 1.4).
    pub access_token: SecretText,
    /// How to present it (RFC 6749 section 7.1), as the provider spelled it; usually `Bearer`. Where the API wants it elsewhere, a
    /// notation for that: see [`Presentation`](crate::Presentation).
    pub token_type: String,
    /// When it expires, in Unix milliseconds, where known.
    pub expires_at_ms: Option<u64>,
    /// How long it still lives, in milliseconds; immune to a wrong wall clock.
    pub remaining_ms: Option<u64>,
    /// What it is good for (RFC 6749 section 3.3), where the provider said so.
    pub scope: Option<String>,
    /// Changes when the token does; it has no other meaning.
    pub grant: u64,
}

/// One page of accounts, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsPage {
    /// The accounts the peer may see.
    pub accounts: Vec<AccountLine>,
    /// When there are more: the name to pass as `after` for the next page.
    pub next: Option<AccountName>,
}

/// One account in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// Its name.
    pub account: AccountName,
    /// The dialect its provider is spoken to in.
    pub dialect: String,
}

/// One part of the daemon's metrics. All parts of one reading are of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsPage {
    /// Whole lines of Prometheus text, version 0.0.4; they follow those of the part before.
    pub text: String,
    /// When there is more: what to pass as `after` for the next part.
    pub next: Option<MetricsCursor>,
}

/// A place in a snapshot of metrics. It has no other meaning, and is good for a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsCursor {
    /// Which snapshot.
    pub snapshot: u64,
    /// Which metric.
    pub family: u32,
    /// Where in it.
    pub index: u32,
}

/// The version to speak with a client that said `hello`: the newest both sides know.
///
/// # Errors
/// A [`Fault`] to answer with: [`FaultCode::BadRequest`] when the peer does not speak this protocol at all,
/// [`FaultCode::UnsupportedVersion`] when no version is shared.
pub fn negotiate(magic: [u8; 6], oldest: u16, newest: u16) -> Result<u16, Fault> {
    if magic != MAGIC || oldest > newest {
        return Err(Fault::new(
            FaultCode::BadRequest,
            "the peer does not speak the protocol of tokend",
        )
        .advise("talk to this socket with tokenctl or the tokend-client library"));
    }
    let version = newest.min(VERSION);
    if version < oldest.max(OLDEST) {
        let message = format!(
            "client speaks versions {oldest} to {newest}, the daemon {OLDEST} to {VERSION}"
        );
        return Err(Fault::new(FaultCode::UnsupportedVersion, message)
            .advise("install client and daemon from the same release"));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_negotiated() {
        assert_eq!(negotiate(MAGIC, OLDEST, VERSION), Ok(VERSION));
        assert_eq!(negotiate(MAGIC, OLDEST, u16::MAX), Ok(VERSION));
        assert_eq!(negotiate(MAGIC, 0, VERSION), Ok(VERSION));
        let code = |magic, oldest, newest| negotiate(magic, oldest, newest).unwrap_err().code;
        assert_eq!(
            code(MAGIC, VERSION + 1, VERSION + 5),
            FaultCode::UnsupportedVersion
        );
        assert_eq!(code(MAGIC, 0, OLDEST - 1), FaultCode::UnsupportedVersion);
        assert_eq!(negotiate(MAGIC, 1, 1), Ok(1), "what 0.1.0 offers");
        assert_eq!(code(MAGIC, 2, 1), FaultCode::BadRequest);
        assert_eq!(code(*b"GET / ", OLDEST, VERSION), FaultCode::BadRequest);
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let secret = || SecretText::new("hunter2").unwrap();
        let account: AccountName = "ads".parse().unwrap();
        let requests = [
            Request::Reject {
                account: account.clone(),
                token: secret(),
                wait_ms: 0,
                timeout_ms: 0,
            },
            Request::Login {
                account: account.clone(),
                secret: LoginSecret::Password(secret()),
            },
            Request::Login {
                account: account.clone(),
                secret: LoginSecret::RefreshToken(secret()),
            },
            Request::Login {
                account,
                secret: LoginSecret::ClientSecret(secret()),
            },
        ];
        let token = Token {
            access_token: secret(),
            token_type: "Bearer".into(),
            expires_at_ms: None,
            remaining_ms: None,
            scope: None,
            grant: 1,
        };
        let shown = format!("{requests:?} {:?}", Response::Token(token));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.matches("redacted").count(), 5);
    }
}
