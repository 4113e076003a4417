//! What a watch prints.
//!
//! Its lines are a contract with scripts. In the plain form standard output has tokens and nothing else.

use tokend_client::{AccountName, ClientError, Fault, Token};
use tokend_json::Event;

use crate::failure::{Exit, Failure};
use crate::{output, token};

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Tokens on standard output, one a line; the rest on standard error.
    Plain,
    /// Every event on standard output, one object a line.
    Json,
}

/// Prints the events of one account.
pub(super) struct Report {
    form: Form,
    account: AccountName,
    /// Whether it was said that the daemon is away.
    is_away: bool,
}

impl Report {
    pub(super) fn new(form: Form, account: AccountName) -> Self {
        Self {
            form,
            account,
            is_away: false,
        }
    }

    pub(super) fn token(&self, token: &Token) -> Result<(), Failure> {
        match self.form {
            Form::Plain if token.access_token.expose().contains(['\n', '\r']) => {
                let what = "the token has a line break, so it cannot be one line";
                let advice = "use --json, and check what the provider sends";
                Err(Failure::new(Exit::Software, what, advice))
            }
            Form::Plain => output::print(&token::plain(token)),
            Form::Json => output::print_json(&Event::token(&self.account, token::facts(token))),
        }
    }

    pub(super) fn retired(&self) -> Result<(), Failure> {
        match self.form {
            Form::Plain => {
                self.note("its token must not be used any more");
                Ok(())
            }
            Form::Json => output::print_json(&Event::retired(&self.account)),
        }
    }

    pub(super) fn unavailable(&self, fault: &Fault) -> Result<(), Failure> {
        match self.form {
            Form::Plain => {
                let advice = fault.advice.as_deref();
                let advice = advice.map(|it| format!("; {it}")).unwrap_or_default();
                self.note(&format!("no token at present: {}{advice}", fault.message));
                Ok(())
            }
            Form::Json => output::print_json(&Event::unavailable(&self.account, fault)),
        }
    }

    /// The daemon is away; said once, until it is back.
    pub(super) fn reconnecting(&mut self, error: &ClientError) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_away, true) {
            return Ok(());
        }
        match self.form {
            Form::Plain => {
                self.note(&format!("{error}; trying again until tokend is back"));
                Ok(())
            }
            Form::Json => {
                output::print_json(&Event::reconnecting(&self.account, error.to_string()))
            }
        }
    }

    /// The daemon has answered.
    pub(super) fn is_back(&mut self) {
        self.is_away = false;
    }

    fn note(&self, sentence: &str) {
        output::note(&format!("{}: {sentence}", self.account));
    }
}
