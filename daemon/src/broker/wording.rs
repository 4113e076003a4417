//! Faults in words, for a person who gets no token.
//!
//! Owns the sentences and the advice. Each says which account has which problem, and what to do next. None holds a secret, and the
//! provider's words come in through `Notes::message`, which the dialect has cleaned.

mod entered;
mod what;

use std::time::Duration;

use tokend_config::Account;
use tokend_dialect::Catalog;
use tokend_engine::{AttemptKind, Missing, Pace, Problem, Timestamp, WaiterFault as Why, Withheld};
use tokend_proto::{Fault, FaultCode};

use crate::broker::login_means::{self, RefusedPart};
use tokend_process::clock::Clock;
use tokend_record::Notes;
use tokend_upstream::{certificate_advice, dialect_kind};

pub(crate) use what::What;

/// The facts that an account's faults are worded from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FaultText<'a> {
    pub(crate) account: &'a Account,
    pub(crate) notes: &'a Notes,
    pub(crate) clock: &'a Clock,
    /// Why a held token is not served.
    pub(crate) withheld: Option<Withheld>,
    /// Whether the last attempt stopped the account. Otherwise a login stopped it that was refused before other attempts.
    pub(crate) blocked: bool,
}

impl<'a> FaultText<'a> {
    /// The same facts, with the messages of these notes.
    pub(crate) fn about(self, notes: &'a Notes) -> Self {
        Self { notes, ..self }
    }

    /// Puts a fault into words.
    pub(crate) fn tell(&self, why: Why) -> Fault {
        let mut fault = self.put(why);
        if self.withheld == Some(Withheld::PerhapsEnded) {
            fault.message +=
                "; the token held before is not handed out, since a refresh may have ended it";
        }
        fault
    }

    fn put(&self, why: Why) -> Fault {
        let name = &self.account.name;
        let key = name.toml_key();
        match why {
            Why::LoginRequired(missing) => self.login_required(missing),
            Why::Misconfigured => Fault::new(
                FaultCode::Misconfigured,
                format!("the provider of account {name} calls the request wrong{}", in_brackets(self.refusal())),
            )
            .advise(format!(
                "check [account.{key}] and {} against the provider's documentation, then run `tokenctl reload`, or `tokenctl refresh {name}` to \
                 try again unchanged",
                self.dialect()
            )),
            Why::Unfit => Fault::new(
                FaultCode::Misconfigured,
                self.message_or(&format!("account {name}: its configuration makes no valid request")),
            )
            .advise(format!(
                "correct [account.{key}], then run `tokenctl reload`; nothing was sent, and nothing is tried again until then"
            )),
            Why::Failed { problem, retry } => self.failed(problem, retry),
            Why::Paced { retry, by, problem } => self.paced(retry, by, problem),
            Why::Unattainable { lifetime } => Fault::new(
                FaultCode::ValidityUnattainable,
                format!("tokens of account {name} live only {}, which is less than the validity that was requested", duration(lifetime)),
            )
            .advise("ask with a `--min-validity` of at most nine tenths of that lifetime"),
            Why::TimedOut => Fault::new(FaultCode::Timeout, format!("no token for account {name} within the time given"))
                .advise("the daemon continues the attempt: ask again, or with a longer `--timeout`")
                .retry_after(1_000),
            Why::Draining => Fault::new(FaultCode::Draining, "the daemon is stopping")
                .advise("try again once it is back")
                .retry_after(1_000),
            Why::StoreUnavailable { retry } => {
                let message = format!("the store cannot be written, so no request is sent for account {name}");
                self.retry(Fault::new(FaultCode::StoreUnavailable, message), retry)
                    .advise("check the daemon's log for the reason: a full disk, a read-only file system, a disk error")
            }
            Why::Gone => Fault::new(FaultCode::UnknownAccount, format!("account {name} is no longer configured"))
                .advise("`tokenctl list` shows the accounts you may use"),
        }
    }

    fn paced(&self, retry: Timestamp, by: Pace, problem: Option<Problem>) -> Fault {
        let name = &self.account.name;
        let which = match by {
            Pace::Logins => format!("logins for account {name}"),
            Pace::Attempts => format!("token requests for account {name}"),
            Pace::Host(kind) => format!(
                "{}, which all accounts there share, account {name} too,",
                self.account.origin(dialect_kind(kind))
            ),
        };
        let before = problem.map_or_else(String::new, |problem| {
            let problem = in_words(problem);
            format!("; the last one failed: {problem}{}", self.quoted())
        });
        let message = format!("the rate limit of {which} is reached{before}");
        self.retry(Fault::new(FaultCode::Paced, message), retry).advise(format!(
            "wait (`tokenctl get {name} --wait DURATION` does it for you); `tokenctl status {name}` shows the rate limit, and [account.{}.pacing] sets it, if the provider allows more",
            name.toml_key()
        ))
    }

    /// The dialect, and how to change it if it is not a file.
    fn dialect(&self) -> String {
        let name = self.account.dialect.name();
        match Catalog::builtin().find(name) {
            Ok(_) => format!("dialect {name} (built in: to change it, write one that extends it)"),
            Err(_) => format!("dialect {name}"),
        }
    }

    /// The fault of an account whose stored record cannot be opened.
    pub(crate) fn quarantined(&self, reason: &str) -> Fault {
        let name = &self.account.name;
        Fault::new(FaultCode::StoreUnavailable, format!("the stored record of account {name} cannot be opened: {reason}")).advise(format!(
            "restore the state directory from a backup; or delete the record with `tokenctl forget {name}`, which costs a new login"
        ))
    }

    fn login_required(&self, missing: Missing) -> Fault {
        let name = &self.account.name;
        let what = match missing {
            Missing::CredentialRejected => format!(
                "the provider refuses the credential of account {name}{}",
                in_brackets(self.refusal())
            ),
            Missing::NoCredential => format!("account {name} has no credential to log in with"),
            Missing::InDoubt => format!(
                "account {name} has only a refresh token that may be spent: an answer was lost, and presenting it again could revoke everything"
            ),
            Missing::RefreshRejected => {
                format!(
                    "the refresh token of account {name} was refused and there is nothing to log in with{}",
                    self.quoted()
                )
            }
            Missing::NoAnswer => format!(
                "three logins of account {name} in a row got no answer, as happens at some providers when the password is wrong; no further one \
                 is made automatically{}",
                self.quoted()
            ),
            Missing::Unrecognised => format!(
                "three logins of account {name} in a row were answered by something in front of the provider, or by the provider in words that \
                 its dialect does not know; no further one is made automatically{}",
                self.quoted()
            ),
        };
        let message = match missing {
            Missing::CredentialRejected => self.refusal(),
            _ => self.notes.message.as_deref(),
        };
        let advice = match (missing, login_means::refused(self.account, message)) {
            (Missing::Unrecognised, refused) => self.stopped_advice(&refused),
            (Missing::NoAnswer, refused) => self.unanswered_advice(&refused),
            (Missing::CredentialRejected, refused) => match self.refused_advice(&refused) {
                Some(advice) if matches!(refused, RefusedPart::EnteredOne(_)) => advice,
                Some(advice) => format!("{advice}; it is not tried again until then"),
                None => self.enter_advice(),
            },
            (_, _) => self.enter_advice(),
        };
        Fault::new(FaultCode::LoginRequired, what).advise(advice)
    }

    fn enter_advice(&self) -> String {
        format!(
            "run `tokenctl login {}` and enter {}",
            self.account.name,
            login_means::what_to_enter(self.account)
        )
    }

    /// How to correct a refused credential, if it is known which one was refused.
    fn refused_advice(&self, refused: &RefusedPart) -> Option<String> {
        let name = &self.account.name;
        let key = name.toml_key();
        Some(match refused {
            RefusedPart::Configured(secret) => format!(
                "correct the {secret} that [account.{key}] refers to, then run `tokenctl reload`"
            ),
            RefusedPart::EnteredOne(field) => {
                let option = login_means::options(self.account, &[field]);
                let secret = tokend_dialect::label_of(field);
                format!("run `tokenctl login {name}{option}` and enter its {secret}")
            }
            RefusedPart::Client => {
                let entered = login_means::client_secret(self.account).map(|field| {
                    let option = login_means::options(self.account, &[&field.name]);
                    format!(", or enter it with `tokenctl login {name}{option}`")
                });
                format!(
                    "check the client_id of [account.{key}], add the client_secret that belongs to it, and run `tokenctl reload`{}",
                    entered.unwrap_or_default()
                )
            }
            RefusedPart::Entered => return None,
        })
    }

    fn failed(&self, problem: Problem, retry: Timestamp) -> Fault {
        let name = &self.account.name;
        let (code, advice) = match problem {
            Problem::Unprepared if self.notes.was_short => (
                FaultCode::TooBusy,
                "try again once there is room; nothing was sent, and nothing is wrong with the configuration".to_owned(),
            ),
            Problem::Unprepared => (
                FaultCode::Misconfigured,
                format!("correct it, then run `tokenctl reload` or `tokenctl refresh {name}`; nothing was sent"),
            ),
            Problem::Unreachable => (
                FaultCode::ProviderUnreachable,
                match self.notes.message.as_deref().and_then(certificate_advice) {
                    Some(advice) => advice.to_owned(),
                    None => format!("check that {} is right and reachable from this machine; the next request tries again", self.asked()),
                },
            ),
            Problem::Busy => (FaultCode::ProviderBusy, "wait: the provider asked for a pause".to_owned()),
            Problem::Misbehaved => (
                FaultCode::ProviderMisbehaved,
                format!("check the provider's own status page; `tokenctl status {name}` shows the last attempt"),
            ),
            Problem::InDoubt => (
                FaultCode::InDoubt,
                "nothing to do: after the wait the daemon continues in the way that is safe at this provider; after three logins in a row without \
                 an answer it stops, since the password may be wrong"
                    .to_owned(),
            ),
            Problem::RefreshRejected => (FaultCode::Paced, "a login follows as soon as the rate limit allows".to_owned()),
            Problem::Unrecognised => (FaultCode::ProviderMisbehaved, self.unrecognised_advice()),
            Problem::BornExpired => (
                FaultCode::ProviderMisbehaved,
                "compare the provider's clock and the lifetime its dialect reads".to_owned(),
            ),
        };
        let message = match problem {
            Problem::Unprepared => self.message_or("a secret cannot be read"),
            _ => format!("account {name}: {}{}", in_words(problem), self.quoted()),
        };
        self.retry(Fault::new(code, message), retry).advise(advice)
    }

    /// Advice when a provider does not answer several logins in a row.
    fn unanswered_advice(&self, refused: &RefusedPart) -> String {
        let name = &self.account.name;
        let key = name.toml_key();
        let correct = match refused {
            RefusedPart::Configured(secret) => format!(
                "if the {secret} that [account.{key}] refers to may be wrong, correct it and run `tokenctl reload`"
            ),
            RefusedPart::Client | RefusedPart::Entered | RefusedPart::EnteredOne(_) => format!(
                "if the credential may be wrong, run `tokenctl login {name}` and enter {}",
                login_means::what_to_enter(self.account)
            ),
        };
        format!("{correct}; if it is right, `tokenctl refresh {name}` tries it once more")
    }

    /// Advice when another server answered instead of the provider, or the provider's answer is unknown.
    fn unrecognised_advice(&self) -> String {
        let name = &self.account.name;
        format!(
            "no credential was refused: the same one is tried again after the wait, or at once with `tokenctl refresh {name}`; {}",
            self.what_answered()
        )
    }

    /// The same, when no further login is made.
    fn stopped_advice(&self, refused: &RefusedPart) -> String {
        format!(
            "{}; {}",
            self.what_answered(),
            self.unanswered_advice(refused)
        )
    }

    fn what_answered(&self) -> String {
        format!(
            "check what is between this machine and {} (proxy, firewall, gateway, base_url and path); if the answer is the provider's own, give \
             dialect {} a rule for it (tokend-dialect(5))",
            self.asked(),
            self.account.dialect.name()
        )
    }

    /// The address of the last attempt: below `base_url`, or the other host that the dialect names.
    fn asked(&self) -> String {
        use tokend_store::StoredAttemptKind;
        let (account, last) = (self.account, self.notes.last_attempt.as_ref());
        let kind = match last.map(|last| last.kind) {
            Some(StoredAttemptKind::Refresh) => AttemptKind::Refresh,
            Some(StoredAttemptKind::Login) | None => AttemptKind::Login,
        };
        account
            .named(&account.origin(dialect_kind(kind)))
            .to_owned()
    }

    fn retry(&self, fault: Fault, at: Timestamp) -> Fault {
        let wait = at.since(self.clock.steady()).as_millis();
        fault.retry_after(u64::try_from(wait).unwrap_or(u64::MAX).max(1))
    }

    /// The message of the provider or of the failure, or these words in its place.
    fn message_or(&self, otherwise: &str) -> String {
        let message = self.notes.message.as_deref();
        message.unwrap_or(otherwise).to_owned()
    }

    fn quoted(&self) -> String {
        in_brackets(self.notes.message.as_deref())
    }

    /// The provider's words when it refused the account's credential, or called it wrong: those about the attempt that stopped the account,
    /// or about the login that was refused before. Later attempts say nothing about that login.
    fn refusal(&self) -> Option<&str> {
        match self.blocked {
            true => self.notes.message.as_deref(),
            false => (self.notes.refused.as_ref()).and_then(|login| login.message.as_deref()),
        }
    }
}

fn in_brackets(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(" ({message})"))
}

/// A problem as the middle of a sentence.
pub(crate) fn in_words(problem: Problem) -> &'static str {
    match problem {
        Problem::Unprepared => "a secret cannot be read",
        Problem::Unreachable => "the provider was not reached",
        Problem::Busy => "the provider is busy",
        Problem::Misbehaved => "the provider's answer makes no sense",
        Problem::InDoubt => "the outcome of the last attempt is not known",
        Problem::RefreshRejected => "the refresh token was refused",
        Problem::Unrecognised => {
            "something in front of the provider answered, or the provider in words that its dialect does not know"
        }
        Problem::BornExpired => "the token came with no lifetime left",
    }
}

/// A duration for people: its two largest units.
pub(crate) fn duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = duration.as_secs();
    if rest == 0 {
        return format!("{} ms", duration.as_millis());
    }
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        let count = rest / size;
        rest %= size;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests;
