//! Requests, as clients of oidc-agent write them.
//!
//! Owns which of them are answered, and the words in which the others are refused. What the protocol can ask for and a token cannot be
//! restricted to yet (scope, audience) is refused: a client never gets a token for anything else than it asked for.

use std::time::Duration;

use serde_json::{Map, Value};
use tokend_proto::AccountName;

use super::reply::Reply;

/// A request that has an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A token.
    AccessToken {
        /// Of which account.
        of: Whose,
        /// How long it has to live.
        freshness: Freshness,
    },
    /// The names of the accounts whose tokens the peer may have.
    LoadedAccounts,
    /// The same, with their issuers.
    AccountInfo,
    /// Whether there is an agent.
    Check,
    /// What the agent is, for people.
    Status,
    /// What the agent is, for programs.
    StatusJson,
}

/// Which account a token is asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The one of this name.
    Account(AccountName),
    /// One at this issuer.
    Issuer(String),
    /// One whose name no account can have.
    Nobody(String),
}

/// How long a token has to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As the daemon sees fit. Clients that have no wish send a zero.
    AnyValid,
    /// At least this long.
    AtLeast(Duration),
    /// As new as the pace allows. Clients send -1.
    New,
}

/// Why a request is refused, whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is neither a JSON object nor the beginning of an encrypted exchange.
    NotARequest,
    /// The encryption failed.
    NotDecrypted,
    /// No key can be agreed on with the client's.
    SuspiciousKey,
    /// There is no `request`.
    NoType,
    /// It is not offered here.
    UnknownType,
    /// A token that is not an access token.
    NotAnAccessToken,
    /// Neither `account` nor `issuer` is set.
    Nobody,
    /// Both are set.
    Both,
    /// `min_valid_period` is no number of seconds.
    BadPeriod,
    /// The token should be for this scope.
    Scope,
    /// The token should be for this audience.
    Audience,
}

impl Request {
    /// Reads a request in JSON.
    ///
    /// # Errors
    /// It is refused, whoever makes it.
    pub(super) fn read(json: &[u8]) -> Result<Self, Refusal> {
        let object: Map<String, Value> =
            serde_json::from_slice(json).map_err(|_| Refusal::NotARequest)?;
        match text(&object, "request").as_deref() {
            None => Err(Refusal::NoType),
            Some("access_token") => access_token(&object),
            Some("loaded_accounts") => Ok(Self::LoadedAccounts),
            Some("account_info") => Ok(Self::AccountInfo),
            Some("check") => Ok(Self::Check),
            Some("status") => Ok(Self::Status),
            Some("status_json") => Ok(Self::StatusJson),
            Some("id_token" | "mytoken") => Err(Refusal::NotAnAccessToken),
            Some(_) => Err(Refusal::UnknownType),
        }
    }
}

fn access_token(object: &Map<String, Value>) -> Result<Request, Refusal> {
    let of = match (text(object, "account"), text(object, "issuer")) {
        (Some(_), Some(_)) => return Err(Refusal::Both),
        (None, None) => return Err(Refusal::Nobody),
        (Some(name), None) => match name.parse() {
            Ok(name) => Whose::Account(name),
            Err(_) => Whose::Nobody(name),
        },
        (None, Some(issuer)) => Whose::Issuer(issuer),
    };
    let freshness = match text(object, "min_valid_period") {
        None => Freshness::AnyValid,
        Some(period) => match period.trim().parse::<i64>() {
            Ok(-1) => Freshness::New,
            Ok(0) => Freshness::AnyValid,
            Ok(seconds) => Freshness::AtLeast(Duration::from_secs(
                seconds.try_into().map_err(|_| Refusal::BadPeriod)?,
            )),
            Err(_) => return Err(Refusal::BadPeriod),
        },
    };
    if is_set(object, "scope") {
        return Err(Refusal::Scope);
    }
    if is_set(object, "audience") {
        return Err(Refusal::Audience);
    }
    Ok(Request::AccessToken { of, freshness })
}

/// A text or a number. The agent reads both as text, and takes an empty one for none.
fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    let text = match object.get(key)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Whether anything is asked for by this key, in whatever form.
fn is_set(object: &Map<String, Value>, key: &str) -> bool {
    match object.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    }
}

/// Whether these are the same issuer. As for the agent, a `/` at the end makes no difference.
pub fn is_same_issuer(one: &str, other: &str) -> bool {
    let bare = |url| str::strip_suffix(url, "/").map_or_else(|| url.to_owned(), str::to_owned);
    bare(one) == bare(other)
}

impl Refusal {
    /// Its answer: as far as the agent has words for it, in those.
    pub fn reply(&self) -> Reply {
        let (error, info) = match self {
            Self::NotARequest => ("Bad Request: this is no JSON object", None),
            Self::NotDecrypted => ("Bad Request: the message could not be decrypted", None),
            Self::SuspiciousKey => ("received suspicious public key", None),
            Self::NoType => ("Bad Request: No request type.", None),
            Self::UnknownType => (
                "Bad Request: Unknown request type.",
                Some(
                    "this is tokend, which hands out access tokens; credentials are entered by `tokenctl login ACCOUNT`",
                ),
            ),
            Self::NotAnAccessToken => (
                "operation forbidden",
                Some("tokend hands out access tokens only, neither ID tokens nor mytokens"),
            ),
            Self::Nobody => (
                "Bad Request: neither 'account' nor 'issuer' is set",
                Some("name an account; `tokenctl list` shows them"),
            ),
            Self::Both => ("Bad Request: both 'account' and 'issuer' are set", None),
            Self::BadPeriod => (
                "Bad Request: 'min_valid_period' is no number of seconds",
                None,
            ),
            Self::Scope => (
                "invalid_scope: tokend hands out tokens with the scope that the account is configured for, and no others",
                Some(
                    "ask without a scope, or configure an account that requests the scope you need",
                ),
            ),
            Self::Audience => (
                "invalid_target: tokend hands out tokens for the audience that the account is configured for, and no others",
                Some(
                    "ask without an audience, or configure an account that requests the audience you need",
                ),
            ),
        };
        Reply::Failure {
            error: error.to_owned(),
            info: info.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Request, Refusal> {
        Request::read(json.as_bytes())
    }

    fn token(of: Whose, freshness: Freshness) -> Result<Request, Refusal> {
        Ok(Request::AccessToken { of, freshness })
    }

    fn ads() -> Whose {
        Whose::Account("ads".parse().unwrap())
    }

    #[test]
    fn what_oidc_token_and_the_libraries_send_is_read() {
        // Recorded from oidc-token 4.2.6 (Debian 12) and liboidcagent 0.6.0 (PyPI) on 2026-11-30.
        for (json, of, freshness) in [
            (
                r#"{"request":"access_token","min_valid_period":0,"account":"ads","application_hint":"oidc-token"}"#,
                ads(),
                Freshness::AnyValid,
            ),
            (
                r#"{"request":"access_token","min_valid_period":60,"account":"ads","application_hint":"oidc-token"}"#,
                ads(),
                Freshness::AtLeast(Duration::from_secs(60)),
            ),
            (
                r#"{"request":"access_token","min_valid_period":-1,"account":"ads","application_hint":"oidc-token"}"#,
                ads(),
                Freshness::New,
            ),
            (
                r#"{"request":"access_token","min_valid_period":0,"issuer":"https://issuer.example/","application_hint":"oidc-token"}"#,
                Whose::Issuer("https://issuer.example/".to_owned()),
                Freshness::AnyValid,
            ),
            (
                r#"{"request": "access_token", "account": "ads", "application_hint": "my app", "min_valid_period": 30}"#,
                ads(),
                Freshness::AtLeast(Duration::from_secs(30)),
            ),
            // As api-ipc.md of oidc-agent 5.3.3 describes it, and with a number as text.
            (
                r#"{"request":"access_token","account":"ads"}"#,
                ads(),
                Freshness::AnyValid,
            ),
            (
                r#"{"request":"access_token","account":"ads","min_valid_period":"60","scope":"","audience":null}"#,
                ads(),
                Freshness::AtLeast(Duration::from_secs(60)),
            ),
        ] {
            assert_eq!(read(json), token(of, freshness), "{json}");
        }
        for (json, request) in [
            (r#"{"request":"loaded_accounts"}"#, Request::LoadedAccounts),
            (r#"{"request":"account_info"}"#, Request::AccountInfo),
            (r#"{"request":"check","more":1}"#, Request::Check),
            (r#"{"request":"status"}"#, Request::Status),
            (r#"{"request":"status_json"}"#, Request::StatusJson),
        ] {
            assert_eq!(read(json), Ok(request), "{json}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused_and_never_answered_with_something_else() {
        let own = r#""request":"access_token","account":"ads""#;
        for (json, refusal) in [
            ("{", Refusal::NotARequest),
            ("[]", Refusal::NotARequest),
            ("{}", Refusal::NoType),
            (r#"{"request":null}"#, Refusal::NoType),
            (r#"{"request":"add","config":{}}"#, Refusal::UnknownType),
            (r#"{"request":"lock","password":"x"}"#, Refusal::UnknownType),
            (
                r#"{"request":"id_token","account":"ads"}"#,
                Refusal::NotAnAccessToken,
            ),
            (
                r#"{"request":"mytoken","account":"ads"}"#,
                Refusal::NotAnAccessToken,
            ),
            (r#"{"request":"access_token"}"#, Refusal::Nobody),
            (
                r#"{"request":"access_token","account":["ads"]}"#,
                Refusal::Nobody,
            ),
            (&format!(r#"{{{own},"issuer":"https://i"}}"#), Refusal::Both),
            (
                &format!(r#"{{{own},"min_valid_period":-2}}"#),
                Refusal::BadPeriod,
            ),
            (
                &format!(r#"{{{own},"min_valid_period":1.5}}"#),
                Refusal::BadPeriod,
            ),
            (
                &format!(r#"{{{own},"min_valid_period":"soon"}}"#),
                Refusal::BadPeriod,
            ),
            (&format!(r#"{{{own},"scope":"openid"}}"#), Refusal::Scope),
            (&format!(r#"{{{own},"scope":["openid"]}}"#), Refusal::Scope),
            (
                &format!(r#"{{{own},"audience":"foo bar"}}"#),
                Refusal::Audience,
            ),
            (
                &format!(r#"{{{own},"scope":"openid","audience":"foo"}}"#),
                Refusal::Scope,
            ),
        ] {
            assert_eq!(read(json), Err(refusal), "{json}");
        }
        let nobody = token(Whose::Nobody("../x".to_owned()), Freshness::AnyValid);
        assert_eq!(
            read(r#"{"request":"access_token","account":"../x"}"#),
            nobody
        );
    }

    #[test]
    fn issuers_are_the_same_with_and_without_a_slash_at_their_end() {
        assert!(is_same_issuer("https://i.example/", "https://i.example"));
        assert!(is_same_issuer("https://i.example", "https://i.example"));
        assert!(!is_same_issuer("https://i.example//", "https://i.example"));
        assert!(!is_same_issuer("https://i.example/a", "https://i.example"));
    }
}
