//! The sentences for a person whose entered credential was tried and not granted.
//!
//! Owns those sentences. Each says why the provider or the daemon did not accept the credential, what happened to the credential, and what
//! to do. A sentence claims no more than was seen.

use tokend_engine::{ClaimRefusal, Keeping, ProviderAnswer, Unproved, Unproven};
use tokend_proto::{Fault, FaultCode};

use super::FaultText;
use super::what::What;
use crate::broker::login_means;

impl FaultText<'_> {
    /// Puts the result for an entered credential into words.
    pub(crate) fn unproven(&self, what: &What, it: Unproven) -> Fault {
        let name = &self.account.name;
        let (code, why, refused) = self.why(what, it.why);
        let fate = match it.kept {
            Keeping::Dropped => "it is not stored, and nothing else of the account has changed",
            Keeping::Beside => {
                "the account keeps what it had, and the newest refresh token is stored beside it for when nothing else is left"
            }
            Keeping::InPlace => {
                "it is stored, because the account has nothing else to get a token with"
            }
        };
        let option = what.options(self.account);
        // The refresh token was not refused: the credentials sent with it have to be corrected first.
        let correction = match (it.why, what) {
            (Unproved::Answered(ProviderAnswer::CredentialRejected), What::RefreshToken) => {
                let message = self.notes.message.as_deref();
                self.refused_advice(&login_means::refused(self.account, message))
            }
            _ => None,
        };
        let advice = match (it.kept, code) {
            (Keeping::InPlace, FaultCode::LoginRequired) if let Some(correction) = &correction => {
                format!("{correction}; the refresh token need not be entered again")
            }
            (Keeping::Dropped, FaultCode::LoginRequired) if let Some(correction) = &correction => {
                format!(
                    "{correction}, and then enter the refresh token again: `tokenctl login {name}{option}`"
                )
            }
            (Keeping::InPlace, FaultCode::Misconfigured | FaultCode::LoginRequired) => format!(
                "correct [account.{}], then run `tokenctl reload`, or `tokenctl refresh {name}` to try again unchanged",
                name.toml_key()
            ),
            (Keeping::InPlace, _) => {
                format!(
                    "run `tokenctl refresh {name}` to try it again; `tokenctl status {name}` shows the account"
                )
            }
            (Keeping::Beside, _) => format!(
                "run `tokenctl status {name}` to see the account; enter another refresh token with `tokenctl login {name} --refresh-token`"
            ),
            (Keeping::Dropped, _) if refused => {
                format!("enter the right one: `tokenctl login {name}{option}`")
            }
            (Keeping::Dropped, FaultCode::Misconfigured) => {
                format!("correct it, then enter it again: `tokenctl login {name}{option}`")
            }
            (Keeping::Dropped, _) => {
                format!("enter it again later: `tokenctl login {name}{option}`")
            }
        };
        let fault = Fault::new(code, format!("account {name}: {why}; {fate}")).advise(advice);
        match code {
            FaultCode::ProviderBusy
            | FaultCode::ProviderUnreachable
            | FaultCode::ProviderMisbehaved => self.retry(fault, it.retry),
            _ => fault,
        }
    }

    /// The code, the sentence, and whether the entered credential is the one that was refused.
    fn why(&self, what: &What, why: Unproved) -> (FaultCode, String, bool) {
        let of_refresh_token = *what == What::RefreshToken;
        match why {
            Unproved::NotPrepared(ClaimRefusal::RefreshToken) if of_refresh_token => {
                let message = self.message_or("the refresh token cannot be sent");
                (FaultCode::LoginRequired, message, true)
            }
            Unproved::NotPrepared(_) => {
                let message = self.message_or("a secret cannot be read");
                (FaultCode::Misconfigured, message, false)
            }
            Unproved::Answered(answer) => {
                let refused = match of_refresh_token {
                    true => answer == ProviderAnswer::RefreshRejected,
                    false => answer == ProviderAnswer::CredentialRejected,
                };
                let sentence = format!("{}{}", answered(what, answer), self.quoted());
                (code(what, answer), sentence, refused)
            }
        }
    }
}

fn code(what: &What, answer: ProviderAnswer) -> FaultCode {
    match answer {
        ProviderAnswer::CredentialRejected => FaultCode::LoginRequired,
        ProviderAnswer::RefreshRejected if *what == What::RefreshToken => FaultCode::LoginRequired,
        ProviderAnswer::Misconfigured | ProviderAnswer::Renewed { .. } => FaultCode::Misconfigured,
        ProviderAnswer::Busy { .. } => FaultCode::ProviderBusy,
        ProviderAnswer::NotSent | ProviderAnswer::MaybeSent => FaultCode::ProviderUnreachable,
        ProviderAnswer::Unrecognised
        | ProviderAnswer::Misbehaved { .. }
        | ProviderAnswer::RefreshRejected
        | ProviderAnswer::Granted(_) => FaultCode::ProviderMisbehaved,
    }
}

fn answered(what: &What, answer: ProviderAnswer) -> String {
    match (answer, what) {
        (ProviderAnswer::CredentialRejected, What::RefreshToken) => {
            "the provider refused the credential that goes with the refresh token you entered"
                .to_owned()
        }
        (ProviderAnswer::CredentialRejected, _) => {
            format!("the provider refused the login with {what}")
        }
        (ProviderAnswer::RefreshRejected, What::RefreshToken) => {
            format!("the provider refused {what}")
        }
        (ProviderAnswer::Misconfigured, _) => {
            format!("the provider calls the request with {what} wrong")
        }
        (ProviderAnswer::Renewed { .. }, _) => format!(
            "the provider accepted {what}, but its answer has no access token that can be handed out"
        ),
        (ProviderAnswer::Busy { .. }, _) => {
            format!("the provider is busy and did not say whether {what} is right")
        }
        (ProviderAnswer::NotSent, _) => {
            format!("the provider was not reached, so {what} was not tried")
        }
        (ProviderAnswer::MaybeSent, _) => {
            format!("no answer came, so it is not known whether {what} is right")
        }
        (ProviderAnswer::Unrecognised, _) => format!(
            "something in front of the provider answered, so it is not known whether {what} is right"
        ),
        (
            ProviderAnswer::Misbehaved { .. }
            | ProviderAnswer::RefreshRejected
            | ProviderAnswer::Granted(_),
            _,
        ) => format!("the provider's answer does not say whether {what} is right"),
    }
}
