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
    pub(crate) fn unproven(&self, what: What, it: Unproven) -> Fault {
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
        let option = what.option();
        // The refresh token was not refused: the credentials sent with it have to be corrected first.
        let beside = match (it.why, what) {
            (Unproved::Answered(ProviderAnswer::CredentialRejected), What::RefreshToken) => {
                let message = self.notes.message.as_deref();
                self.refused_advice(&login_means::refused(self.account, message))
            }
            _ => None,
        };
        let advice = match (it.kept, code) {
            (Keeping::InPlace, FaultCode::LoginRequired) if beside.is_some() => {
                format!(
                    "{}; the refresh token need not be entered again",
                    beside.unwrap_or_default()
                )
            }
            (Keeping::Dropped, FaultCode::LoginRequired) if beside.is_some() => format!(
                "{}, and then enter the refresh token again: `tokenctl login {name}{option}`",
                beside.unwrap_or_default()
            ),
            (Keeping::InPlace, FaultCode::Misconfigured | FaultCode::LoginRequired) => format!(
                "correct [account.{name}], then run `tokenctl reload`, or `tokenctl refresh {name}` to try again unchanged"
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
    #[expect(clippy::too_many_lines, reason = "one arm for each reason")]
    fn why(&self, what: What, why: Unproved) -> (FaultCode, String, bool) {
        let quoted = self.quoted();
        let message_or = |without: &str| match &self.notes.message {
            Some(message) => message.to_string(),
            None => without.to_owned(),
        };
        match (why, what) {
            (Unproved::Answered(ProviderAnswer::CredentialRejected), What::RefreshToken) => (
                FaultCode::LoginRequired,
                format!(
                    "the provider refused the credential that goes with the refresh token you entered{quoted}"
                ),
                false,
            ),
            (Unproved::Answered(ProviderAnswer::CredentialRejected), _) => (
                FaultCode::LoginRequired,
                format!("the provider refused the login with {what}{quoted}"),
                true,
            ),
            (Unproved::Answered(ProviderAnswer::RefreshRejected), What::RefreshToken) => (
                FaultCode::LoginRequired,
                format!("the provider refused {what}{quoted}"),
                true,
            ),
            (Unproved::Answered(ProviderAnswer::Misconfigured), _) => (
                FaultCode::Misconfigured,
                format!("the provider calls the request with {what} wrong{quoted}"),
                false,
            ),
            (Unproved::Answered(ProviderAnswer::Renewed { .. }), _) => (
                FaultCode::Misconfigured,
                format!(
                    "the provider accepted {what}, but its answer has no access token that can be handed out{quoted}"
                ),
                false,
            ),
            (Unproved::Answered(ProviderAnswer::Busy { .. }), _) => (
                FaultCode::ProviderBusy,
                format!("the provider is busy and did not say whether {what} is right{quoted}"),
                false,
            ),
            (Unproved::Answered(ProviderAnswer::NotSent), _) => (
                FaultCode::ProviderUnreachable,
                format!("the provider was not reached, so {what} was not tried{quoted}"),
                false,
            ),
            (Unproved::Answered(ProviderAnswer::MaybeSent), _) => (
                FaultCode::ProviderUnreachable,
                format!("no answer came, so it is not known whether {what} is right{quoted}"),
                false,
            ),
            (Unproved::Answered(ProviderAnswer::Unrecognised), _) => (
                FaultCode::ProviderMisbehaved,
                format!(
                    "something in front of the provider answered, so it is not known whether {what} is right{quoted}"
                ),
                false,
            ),
            (
                Unproved::Answered(
                    ProviderAnswer::Misbehaved { .. }
                    | ProviderAnswer::RefreshRejected
                    | ProviderAnswer::Granted(_),
                ),
                _,
            ) => (
                FaultCode::ProviderMisbehaved,
                format!("the provider's answer does not say whether {what} is right{quoted}"),
                false,
            ),
            (Unproved::NotPrepared(ClaimRefusal::RefreshToken), What::RefreshToken) => (
                FaultCode::LoginRequired,
                message_or("the refresh token cannot be sent"),
                true,
            ),
            (Unproved::NotPrepared(_), _) => (
                FaultCode::Misconfigured,
                message_or("a secret cannot be read"),
                false,
            ),
        }
    }
}
