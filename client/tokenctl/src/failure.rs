//! Failures as people and scripts meet them: two or three lines on standard error, and an exit code.
//!
//! Owns the exit codes. Never prints a secret: its sentences come from faults, which carry none, and from words
//! that are not secret.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokend_client::{ClientError, Fault, FaultCode};

use crate::words;

/// The exit codes, after `sysexits.h`, with 79 added, and those of shells for a command that does not run. They are a contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A helper has no credential, as docker's protocol says it.
    NoCredential = 1,
    /// The API answered `request` with HTTP 400 or above, as curl says it.
    HttpStatus = 22,
    /// The command line is wrong.
    Usage = 64,
    /// The daemon cannot be reached.
    Unavailable = 69,
    /// A defect, or something else answers on the socket.
    Software = 70,
    /// Reading or writing failed; quietly so when the reader of our output went away.
    Io = 74,
    /// Try again later; standard error says when, if that is known.
    TryLater = 75,
    /// The caller lacks permission.
    NotAllowed = 77,
    /// The configuration is wrong, or names no such account.
    Config = 78,
    /// Only a person can help: the account needs a login.
    LoginRequired = 79,
    /// The command of `exec` or `watch --exec` cannot be run, as shells say it.
    NotRun = 126,
    /// There is no command of that name, as shells say it.
    NoCommand = 127,
}

/// Why the command ends with an exit code other than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// What happened; empty for an end without a message.
    what: String,
    /// What to do about it.
    advice: Option<String>,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            advice: Some(advice.into()),
            retry_after: None,
        }
    }

    /// An end without a message, because it was printed before.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self {
            exit,
            what: String::new(),
            advice: None,
            retry_after: None,
        }
    }

    pub(crate) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, advice)
    }

    /// Writing to standard output failed.
    pub(crate) fn output(error: &io::Error) -> Self {
        let what = match error.kind() {
            // The reader of our output has read enough and closed it.
            ErrorKind::BrokenPipe => String::new(),
            _ => format!("cannot write to standard output: {error}"),
        };
        Self::new(Exit::Io, what, "check where the output goes")
    }

    /// Prints it on standard error.
    pub(crate) fn report(&self, now: Timestamp) -> ExitCode {
        if !self.what.is_empty() {
            // If standard error is closed, the exit code must be enough.
            drop(io::stderr().write_all(self.text(now).as_bytes()));
        }
        ExitCode::from(self.exit as u8)
    }

    /// What happened and what to do about it, for a process that goes on.
    pub(crate) fn in_one_line(&self) -> String {
        let advice = self.advice.iter().flat_map(|advice| advice.lines());
        let parts: Vec<_> = std::iter::once(self.what.as_str()).chain(advice).collect();
        parts.join("; ")
    }

    /// The same with another exit code.
    pub(crate) fn ending_with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The code that it ends with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// When it may succeed, if that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether it has no message.
    pub(crate) fn is_silent(&self) -> bool {
        self.what.is_empty()
    }

    /// All of it in one line, for a protocol that has room for one.
    pub(crate) fn line(&self, now: Timestamp) -> String {
        self.text(now).trim_end().replace("\n  ", "; ")
    }

    fn text(&self, now: Timestamp) -> String {
        let retry = self
            .retry_after
            .map(|wait| format!("try again {}", words::moment(now, wait)));
        let mut text = format!("tokenctl: {}\n", self.what);
        for line in self
            .advice
            .iter()
            .flat_map(|advice| advice.lines())
            .chain(retry.as_deref())
        {
            text.push_str("  ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self {
            exit: exit(&error),
            what: words::plain(&error.to_string()),
            advice: error
                .advice()
                .or_else(|| default_advice(&error))
                .map(words::plain),
            retry_after: error.retry_after(),
        }
    }
}

fn exit(error: &ClientError) -> Exit {
    match error {
        ClientError::NotReachable { source, .. }
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            Exit::NotAllowed
        }
        ClientError::KeptOut { .. } => Exit::NotAllowed,
        ClientError::NoSocket { .. } | ClientError::NotReachable { .. } => Exit::Unavailable,
        ClientError::Fault(fault) => exit_of_fault(fault),
        ClientError::Lost { .. }
        | ClientError::Silent { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Congested => Exit::TryLater,
        _ => Exit::Software,
    }
}

fn exit_of_fault(fault: &Fault) -> Exit {
    match fault.code {
        FaultCode::NotAllowed => Exit::NotAllowed,
        FaultCode::LoginRequired => Exit::LoginRequired,
        // Without a time at which the daemon will try again by itself, a person has to decide.
        FaultCode::InDoubt if fault.retry_after_ms.is_none() => Exit::LoginRequired,
        FaultCode::UnknownAccount
        | FaultCode::Misconfigured
        | FaultCode::ValidityUnattainable
        | FaultCode::ReloadFailed => Exit::Config,
        FaultCode::ProviderUnreachable
        | FaultCode::ProviderBusy
        | FaultCode::ProviderMisbehaved
        | FaultCode::Paced
        | FaultCode::Timeout
        | FaultCode::Draining
        | FaultCode::StoreUnavailable
        | FaultCode::AuditUnavailable
        | FaultCode::TooBusy
        | FaultCode::InDoubt => Exit::TryLater,
        FaultCode::BadRequest | FaultCode::UnsupportedVersion | FaultCode::Internal => {
            Exit::Software
        }
        // A code of a newer release: only the failure itself is certain.
        _ => Exit::TryLater,
    }
}

/// The advice if the daemon gave none of its own.
fn default_advice(error: &ClientError) -> Option<&'static str> {
    let ClientError::Fault(fault) = error else {
        return None;
    };
    Some(match fault.code {
        FaultCode::UnknownAccount => "see the accounts you may use with: tokenctl list",
        FaultCode::NotAllowed => "ask the administrator for an allow rule of that account",
        FaultCode::LoginRequired | FaultCode::InDoubt => {
            "give the account a working credential with: tokenctl login ACCOUNT"
        }
        FaultCode::Misconfigured => "check the configuration with: tokend check",
        FaultCode::ReloadFailed => {
            "correct the configuration, check it with: tokend check; the old one stays in force"
        }
        FaultCode::ValidityUnattainable => "ask for less with --min-validity",
        FaultCode::ProviderUnreachable
        | FaultCode::ProviderBusy
        | FaultCode::ProviderMisbehaved => {
            "see what the provider last answered with: tokenctl status ACCOUNT"
        }
        FaultCode::Paced => {
            "allow it to wait with --wait, or see the rate limit with: tokenctl status ACCOUNT"
        }
        FaultCode::Timeout => "allow more time with --timeout; an attempt that has begun continues",
        FaultCode::StoreUnavailable => "check the disk and the daemon's log (journalctl -u tokend)",
        // The retry time already says it.
        FaultCode::Draining | FaultCode::TooBusy if fault.retry_after_ms.is_some() => return None,
        FaultCode::Draining | FaultCode::TooBusy => "try again in a moment",
        FaultCode::BadRequest | FaultCode::UnsupportedVersion => {
            "install tokenctl and tokend from the same release"
        }
        FaultCode::Internal | FaultCode::AuditUnavailable => {
            "check the daemon's log (journalctl -u tokend)"
        }
        _ => "install tokenctl from the release of tokend, which knows what this is",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_code_of_the_contract_and_advice() {
        let expected = |code| match code {
            "not-allowed" => 77,
            "login-required" | "in-doubt" => 79,
            "unknown-account" | "misconfigured" | "validity-unattainable" | "reload-failed" => 78,
            "bad-request" | "unsupported-version" | "internal" => 70,
            _ => 75,
        };
        for code in FaultCode::ALL {
            let failure = Failure::from(ClientError::Fault(Fault::new(code, "it failed")));
            assert_eq!(failure.exit as u8, expected(code.as_str()), "{code}");
            assert!(failure.advice.is_some(), "{code}");
        }
        let doubt = Fault::new(FaultCode::InDoubt, "outcome unknown").retry_after(1_000);
        assert_eq!(
            Failure::from(ClientError::Fault(doubt)).exit,
            Exit::TryLater
        );
    }

    #[test]
    fn a_fault_of_a_newer_daemon_is_told_in_its_words_and_ends_with_75() {
        let code = FaultCode::from_number(21);
        let fault = Fault::new(code, "the quota is spent");
        let advised = Failure::from(ClientError::Fault(fault.clone().advise("buy more")));
        assert_eq!(advised.exit as u8, 75);
        let text = advised.text(Timestamp::UNIX_EPOCH);
        assert_eq!(text, "tokenctl: the quota is spent\n  buy more\n");
        let failure = Failure::from(ClientError::Fault(fault));
        assert_eq!((failure.exit as u8, code.name().as_ref()), (75, "other-21"));
        assert!(failure.text(Timestamp::UNIX_EPOCH).contains("release"));
    }

    #[test]
    fn the_text_says_what_then_what_to_do_then_when() {
        let fault = Fault::new(FaultCode::Paced, "the rate limit allows no login now")
            .advise("wait for it")
            .retry_after(250_000);
        let text = Failure::from(ClientError::Fault(fault)).text(Timestamp::UNIX_EPOCH);
        let (start, when) = text.split_at(text.find(" (").unwrap());
        assert_eq!(
            start,
            "tokenctl: the rate limit allows no login now\n  wait for it\n  try again in 4 min 10 s"
        );
        assert!(when.starts_with(" (at ") && when.ends_with(")\n"), "{when}");
    }

    #[test]
    fn that_it_is_to_be_tried_again_is_said_once() {
        for code in FaultCode::ALL {
            for retry_ms in [None, Some(0), Some(1_000)] {
                let mut fault = Fault::new(code, "it failed");
                fault.retry_after_ms = retry_ms;
                let text = Failure::from(ClientError::Fault(fault)).text(Timestamp::UNIX_EPOCH);
                let said = text.matches("try again").count();
                assert!(said <= 1 && text.lines().count() > 1, "{text}");
            }
        }
    }
}
