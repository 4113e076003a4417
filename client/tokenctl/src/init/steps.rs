//! What comes after the files: the daemon, the credential, and one token.
//!
//! Owns their order, and that one attempt is made at most. Without a person and without the option a step is only said.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokend_client::{
    AccountName, AccountState, BlockingClient, ClientError, FaultCode, GetOptions, Patience,
    SocketPath, Token,
};

use super::place::Place;
use super::terminal::agree;
use super::tokend::Checked;
use super::units::Units;
use crate::account_file::{AccountFile, REFRESH_TOKEN, login_command};
use crate::arguments::{Init, Kind, Login};
use crate::failure::{Exit, Failure};
use crate::{input, login, output, words};

pub(super) struct Steps<'a> {
    /// The socket that the command line names.
    pub(super) socket: Option<&'a Path>,
    pub(super) options: &'a Init,
    /// Whether a person decides about each step.
    pub(super) is_asked: bool,
    pub(super) place: &'a Place,
    pub(super) name: &'a AccountName,
    /// The account, if it was written now.
    pub(super) file: Option<&'a AccountFile>,
    pub(super) checked: &'a Checked,
}

impl Steps<'_> {
    pub(super) fn take(self) -> Result<(), Failure> {
        let socket = self.socket()?;
        let credential = self.credential();
        if !self.bring_up(&socket)? {
            if let Some(field) = credential {
                next(&login_command(self.name, &field));
            }
            next(&format!("tokenctl get {}", self.name));
            return Ok(());
        }
        let is_tried = match credential {
            Some(field) => {
                if !self.enter(&socket, &field)? {
                    return Ok(());
                }
                true
            }
            None => false,
        };
        // What was entered has been tried already: the provider is asked once.
        if !is_tried
            && self.decides(
                self.options.attempt,
                "ask the provider for a token now, once?",
            )?
        {
            self.attempt(&socket)?;
        }
        next(&format!(
            "tokenctl get {}; `tokenctl integrate` has the lines for other programs",
            self.name
        ));
        Ok(())
    }

    /// The socket of the daemon that reads this configuration.
    fn socket(&self) -> Result<SocketPath, Failure> {
        let named = std::env::var_os("TOKEND_SOCKET").filter(|value| !value.is_empty());
        let own = self.socket.is_none() && named.is_none();
        let socket = self.checked.socket.as_deref().filter(|_| own);
        Ok(SocketPath::find(self.socket.or(socket))?)
    }

    /// The credential that has to be entered.
    fn credential(&self) -> Option<String> {
        if let Some(file) = self.file {
            return file.entered().map(str::to_owned);
        }
        // As the file says that an earlier `init` wrote, or else the check.
        let path = self.place.accounts.join(AccountFile::name_of(self.name));
        let text = fs::read_to_string(path).unwrap_or_default();
        let noted = AccountFile::entered_in(&text).map(str::to_owned);
        noted.or_else(|| self.checked.lacks(self.name))
    }

    /// Has the daemon read the configuration. Returns whether it did.
    fn bring_up(&self, socket: &SocketPath) -> Result<bool, Failure> {
        match BlockingClient::connect(socket) {
            Ok(mut client) => {
                let question = format!("have the daemon at {socket} read it (tokenctl reload)?");
                if !self.decides(self.options.start, &question)? {
                    next("tokenctl reload");
                    return Ok(false);
                }
                output::note(&client.admin().reload()?);
                Ok(true)
            }
            Err(ClientError::NotReachable { .. } | ClientError::NoSocket { .. }) => self.start(),
            Err(error) => Err(error.into()),
        }
    }

    fn start(&self) -> Result<bool, Failure> {
        let Some(units) = Units::of(self.place) else {
            let command = match self.place.is_default {
                true => "tokend".to_owned(),
                false => format!("tokend --config {}", self.place.main.display()),
            };
            if self.options.start {
                return Err(Failure::new(
                    Exit::Unavailable,
                    "the daemon does not run, and systemd has no unit that would start it with this configuration",
                    format!(
                        "start it with `{command}`, then: tokenctl init --account {}",
                        self.name
                    ),
                ));
            }
            next(&command);
            return Ok(false);
        };
        let command = units.command();
        if !self.decides(
            self.options.start,
            &format!("start the daemon, now and always ({command})?"),
        )? {
            next(&command);
            return Ok(false);
        }
        units.start()?;
        output::note("the daemon is started");
        Ok(true)
    }

    /// Asks for the credential and enters it, unless an earlier `init` has done so. Returns whether that is done.
    fn enter(&self, socket: &SocketPath, field: &str) -> Result<bool, Failure> {
        let command = login_command(self.name, field);
        if self.file.is_none() {
            let mut client = BlockingClient::connect(socket)?;
            if is_valid(&mut client, self.name)? {
                return Ok(true);
            }
        }
        let is_wanted = match self.file {
            Some(_) => input::is_terminal(),
            None => self.is_asked && agree(&format!("enter the {field} now ({command})?"))?,
        };
        if !is_wanted {
            next(&command);
            return Ok(false);
        }
        let login = Login {
            account: self.name.clone(),
            kind: match field {
                REFRESH_TOKEN => Kind::RefreshToken,
                _ => Kind::Missing,
            },
        };
        login::run(Some(socket.as_path()), &login)?;
        Ok(true)
    }

    /// Obtains one token, and shows nothing of it.
    fn attempt(&self, socket: &SocketPath) -> Result<(), Failure> {
        let mut client = BlockingClient::connect(socket)?;
        let found = match client.get(&GetOptions::new(self.name.clone())) {
            // An administrator may have a token obtained that is not for them.
            Err(ClientError::Fault(fault)) if fault.code == FaultCode::NotAllowed => {
                match is_valid(&mut client, self.name)? {
                    true => None,
                    false => client.admin().refresh(self.name, Patience::default())?,
                }
            }
            found => Some(found?),
        };
        output::note(&format!(
            "{} has a token{}",
            self.name,
            life(found.as_ref())
        ));
        Ok(())
    }

    fn decides(&self, option: bool, question: &str) -> Result<bool, Failure> {
        match option || !self.is_asked {
            true => Ok(option),
            false => agree(question),
        }
    }
}

/// Whether the account holds a good token.
fn is_valid(client: &mut BlockingClient, account: &AccountName) -> Result<bool, Failure> {
    let states = client.admin().status(Some(account))?;
    Ok(states.iter().any(|it| it.state == AccountState::Valid))
}

fn life(token: Option<&Token>) -> String {
    let remaining = token.and_then(|token| token.remaining);
    let life = remaining.map(|life| words::duration(Duration::from_secs(life.as_secs())));
    life.map(|life| format!(", good for {life}"))
        .unwrap_or_default()
}

/// Says what a person does next.
fn next(command: &str) {
    output::note(&format!("next: {command}"));
}
