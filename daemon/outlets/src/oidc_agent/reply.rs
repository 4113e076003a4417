//! Answers, as clients of oidc-agent read them.
//!
//! Owns their keys. Clients take an answer with `error` for a failure, and index `issuer` and `expires_at` of a token without looking.

use serde::Serialize;
use tokend_proto::{AccountName, Fault, FaultCode, Token};
use zeroize::Zeroizing;

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// A token, and the issuer of its account.
    Token(Box<Token>, String),
    /// Accounts whose tokens the peer may have.
    Names(Vec<AccountName>),
    /// The same, with the issuer of each.
    Issuers(Vec<(AccountName, String)>),
    /// There is an agent.
    Success,
    /// What the agent is, for people.
    Status(String),
    /// What the agent is, for programs: its version, and accounts whose tokens the peer may have.
    StatusJson(String, Vec<AccountName>),
    /// A failure, and what to do about it.
    Failure {
        /// What happened. Some programs compare it.
        error: String,
        /// What a person reads beneath it.
        info: Option<String>,
    },
}

/// What a fault is in this protocol.
pub fn fault(fault: Fault) -> Reply {
    let Fault {
        code,
        message,
        advice,
        retry_after_ms,
    } = fault;
    let (error, message) = match code {
        // With these words no client goes on to ask another agent; with those about an unknown name, it would.
        FaultCode::UnknownAccount => ("account not loaded".to_owned(), Some(message)),
        FaultCode::NotAllowed => ("operation forbidden".to_owned(), Some(message)),
        FaultCode::BadRequest => (format!("Bad Request: {message}"), None),
        _ => (message, None),
    };
    let later = retry_after_ms.filter(|ms| *ms > 0);
    let later = later.map(|ms| format!("try again in {} s", ms.div_ceil(1000)));
    let info: Vec<String> = [message, advice, later].into_iter().flatten().collect();
    Reply::Failure {
        error,
        info: (!info.is_empty()).then(|| info.join("; ")),
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'r> {
    Token {
        status: &'static str,
        access_token: &'r str,
        issuer: &'r str,
        expires_at: u64,
    },
    Info {
        status: &'static str,
        info: serde_json::Value,
    },
    Bare {
        status: &'static str,
    },
    Failure {
        status: &'static str,
        error: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        info: Option<&'r str>,
    },
}

impl Reply {
    /// The answer in JSON.
    pub(super) fn json(&self) -> Zeroizing<Vec<u8>> {
        // Room for the longest token, so that no copy is left behind by growing.
        let mut json = Zeroizing::new(Vec::with_capacity(match self {
            Self::Token(token, issuer) => {
                256 + 6 * (token.access_token.expose().len() + issuer.len())
            }
            _ => 256,
        }));
        // Texts and numbers always serialize.
        let _always = serde_json::to_writer(&mut *json, &self.body());
        json
    }

    fn body(&self) -> Body<'_> {
        let status = "success";
        match self {
            Self::Token(token, issuer) => Body::Token {
                status,
                access_token: token.access_token.expose(),
                issuer,
                // Zero is how the agent says that it does not know.
                expires_at: token.expires_at_ms.unwrap_or(0) / 1000,
            },
            Self::Names(names) => Body::Info {
                status,
                info: names.iter().map(AccountName::as_str).collect(),
            },
            Self::Issuers(accounts) => Body::Info {
                status,
                info: by_issuer(accounts),
            },
            Self::Success => Body::Bare { status },
            Self::Status(text) => Body::Info {
                status,
                info: text.as_str().into(),
            },
            Self::StatusJson(version, names) => {
                let names: Vec<_> = names.iter().map(AccountName::as_str).collect();
                Body::Info {
                    status,
                    info: serde_json::json!({
                        "version": version,
                        "command_line_options": "",
                        "loaded_accounts": names,
                    }),
                }
            }
            Self::Failure { error, info } => Body::Failure {
                status: "failure",
                error,
                info: info.as_deref(),
            },
        }
    }
}

/// `{"ISSUER":{"pubclient":false,"accounts":{"NAME":true}}}`, where `true` means that it is loaded.
fn by_issuer(accounts: &[(AccountName, String)]) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    for (name, issuer) in accounts {
        let own = all
            .entry(issuer.as_str())
            .or_insert_with(|| serde_json::json!({"pubclient": false, "accounts": {}}));
        if let Some(names) = own.get_mut("accounts").and_then(|it| it.as_object_mut()) {
            names.insert(name.as_str().to_owned(), true.into());
        }
    }
    all.into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use tokend_proto::SecretText;

    fn text(reply: &Reply) -> String {
        String::from_utf8(reply.json().to_vec()).unwrap()
    }

    fn name(text: &str) -> AccountName {
        text.parse().unwrap()
    }

    pub(in super::super) fn token() -> Reply {
        let token = Token {
            access_token: SecretText::new("tok-1").unwrap(),
            token_type: "Bearer".to_owned(),
            expires_at_ms: Some(1_893_456_000_999),
            remaining_ms: Some(1),
            scope: None,
            grant: 1,
        };
        Reply::Token(Box::new(token), "https://issuer.example/".to_owned())
    }

    #[test]
    fn answers_have_the_keys_of_the_agent() {
        let json = r#"{"status":"success","access_token":"tok-1","issuer":"https://issuer.example/","expires_at":1893456000}"#;
        assert_eq!(text(&token()), json);
        assert_eq!(text(&Reply::Success), r#"{"status":"success"}"#);
        let names = vec![name("ads"), name("shop")];
        assert_eq!(
            text(&Reply::Names(names.clone())),
            r#"{"status":"success","info":["ads","shop"]}"#
        );
        assert_eq!(
            text(&Reply::Names(Vec::new())),
            r#"{"status":"success","info":[]}"#
        );
        assert_eq!(
            text(&Reply::Status("tokend 1".to_owned())),
            r#"{"status":"success","info":"tokend 1"}"#
        );
        assert_eq!(
            text(&Reply::StatusJson("tokend 1".to_owned(), names)),
            r#"{"status":"success","info":{"command_line_options":"","loaded_accounts":["ads","shop"],"version":"tokend 1"}}"#
        );
        let issuers = [("ads", "https://a"), ("b", "https://b"), ("c", "https://a")];
        let issuers = issuers.map(|(own, issuer)| (name(own), issuer.to_owned()));
        assert_eq!(
            text(&Reply::Issuers(issuers.to_vec())),
            r#"{"status":"success","info":{"https://a":{"accounts":{"ads":true,"c":true},"pubclient":false},"https://b":{"accounts":{"b":true},"pubclient":false}}}"#
        );
    }

    #[test]
    fn a_token_without_a_known_end_expires_at_zero() {
        let Reply::Token(mut token, issuer) = token() else {
            unreachable!("it is one")
        };
        token.expires_at_ms = None;
        let json = text(&Reply::Token(token, issuer));
        assert!(json.ends_with(r#""expires_at":0}"#), "{json}");
    }

    #[test]
    fn failures_say_what_happened_and_what_to_do() {
        let unknown = Fault::new(FaultCode::UnknownAccount, "no account ads");
        let unknown = fault(unknown.advise("`tokenctl list` shows those you may use"));
        assert_eq!(
            text(&unknown),
            r#"{"status":"failure","error":"account not loaded","info":"no account ads; `tokenctl list` shows those you may use"}"#
        );
        let denied = fault(Fault::new(FaultCode::NotAllowed, "it is not yours"));
        assert_eq!(
            text(&denied),
            r#"{"status":"failure","error":"operation forbidden","info":"it is not yours"}"#
        );
        let later = Fault::new(FaultCode::Paced, "the rate limit allows none now");
        assert_eq!(
            text(&fault(later.retry_after(1_001))),
            r#"{"status":"failure","error":"the rate limit allows none now","info":"try again in 2 s"}"#
        );
        let bare = fault(Fault::new(FaultCode::Internal, "it broke"));
        assert_eq!(text(&bare), r#"{"status":"failure","error":"it broke"}"#);
    }

    #[test]
    fn a_token_does_not_show_in_debug() {
        assert!(!format!("{:?}", token()).contains("tok-1"));
    }
}
