//! What the program `tokend` knows: the dialects, what an account of each needs, and whether a configuration is right.
//!
//! Owns how it is called and how its answers are read. It is the only judge of a configuration.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use tokend_client::AccountName;

use super::place::runtime;
use crate::account_file::AccountFile;
use crate::failure::{Exit, Failure};
use crate::output;

/// The exit code of `tokend check` for what may pass by itself.
const SHORTAGE: i32 = 75;

/// The program.
#[derive(Debug)]
pub(super) struct Tokend {
    program: PathBuf,
}

/// What an account has to say.
#[derive(Debug, Deserialize)]
pub(super) struct Needs {
    pub(super) base_url: bool,
    pub(super) login: bool,
    pub(super) options: Vec<OptionNeed>,
    pub(super) fields: Vec<FieldNeed>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OptionNeed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) default: Option<String>,
    pub(super) choices: Vec<String>,
    pub(super) path: bool,
    pub(super) required: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct FieldNeed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) secret: bool,
    pub(super) required: bool,
}

/// What `tokend check` found.
#[derive(Debug)]
pub(super) struct Checked {
    code: Option<i32>,
    /// All that it printed.
    pub(super) report: String,
    /// The socket of a daemon with this configuration.
    pub(super) socket: Option<PathBuf>,
}

impl Tokend {
    /// The program beside this one, else the first of that name in `PATH`.
    pub(super) fn find() -> Result<Self, Failure> {
        let own = std::env::current_exe().ok();
        let beside = own.as_deref().and_then(Path::parent).map(Path::to_path_buf);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = beside.into_iter().chain(std::env::split_paths(&path));
        let mut programs = places.map(|dir| dir.join("tokend"));
        match programs.find(|program| program.is_absolute() && program.is_file()) {
            Some(program) => Ok(Self { program }),
            None => Err(Failure::new(
                Exit::Unavailable,
                "there is no program tokend beside tokenctl or in PATH, which would check the configuration",
                "install tokend from the release of this tokenctl",
            )),
        }
    }

    /// Each dialect with a line about it.
    pub(super) fn dialects(&self) -> Result<Vec<(String, String)>, Failure> {
        let listed = self.said(&["dialect", "list"])?;
        let lines = listed.lines().filter_map(|line| line.split_once(' '));
        let dialects: Vec<_> = lines
            .map(|(name, about)| (name.to_owned(), about.trim().to_owned()))
            .collect();
        match dialects.is_empty() {
            true => Err(self.other("lists no dialect")),
            false => Ok(dialects),
        }
    }

    /// What an account with these options needs.
    pub(super) fn needs(
        &self,
        dialect: &str,
        options: &[(String, String)],
    ) -> Result<Needs, Failure> {
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| format!("--option={name}={value}"))
            .collect();
        let mut words = vec!["dialect", "needs"];
        words.extend(options.iter().map(String::as_str));
        words.extend(["--", dialect]);
        let said = self.said(&words)?;
        serde_json::from_str(&said).map_err(|_| self.other("printed no JSON"))
    }

    /// Checks the configuration at `main`: together with a file that is not in its place yet, and for an account that it has to have.
    pub(super) fn check(
        &self,
        main: &Path,
        with: Option<&Path>,
        account: Option<&AccountName>,
    ) -> Result<Checked, Failure> {
        let mut command = Command::new(&self.program);
        command.args(["check", "--strict", "--config"]).arg(main);
        if let Some(file) = with {
            command.arg("--with").arg(file);
        }
        if let Some(account) = account {
            command.args(["--show", account.as_str()]);
        }
        let Output {
            status,
            stdout,
            stderr,
        } = self.run(&mut command)?;
        let text = String::from_utf8_lossy(&stdout);
        let socket = text.lines().find_map(|line| line.rsplit_once(", socket "));
        Ok(Checked {
            code: status.code(),
            socket: socket.map(|(_, path)| path.into()),
            report: format!("{}{}", String::from_utf8_lossy(&stderr), own_lines(&text)),
        })
    }

    /// The standard output of the program, which must succeed.
    fn said(&self, words: &[&str]) -> Result<String, Failure> {
        let output = self.run(Command::new(&self.program).args(words))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or_default();
            // Its own sentence about what was asked; an older one does not know the question.
            return Err(match first.strip_prefix("tokend: ") {
                Some(what) => Failure::usage(what, "see: tokend dialect list"),
                None => self.other(&format!("does not answer `{}`", words.join(" "))),
            });
        }
        String::from_utf8(output.stdout).map_err(|_| self.other("printed no text"))
    }

    fn run(&self, command: &mut Command) -> Result<Output, Failure> {
        command.envs(runtime().map(|dir| ("XDG_RUNTIME_DIR", dir)));
        let done = command.stdin(Stdio::null()).output();
        done.map_err(|error: io::Error| self.other(&format!("cannot be run: {error}")))
    }

    fn other(&self, what: &str) -> Failure {
        Failure::new(
            Exit::Software,
            format!("{} {what}", self.program.display()),
            "install tokenctl and tokend from the same release",
        )
    }
}

impl Checked {
    pub(super) fn is_fine(&self) -> bool {
        self.code == Some(0)
    }

    /// Whether the machine is short of something that may be there later.
    pub(super) fn is_shortage(&self) -> bool {
        self.code == Some(SHORTAGE)
    }

    /// The first secret that the account needs and does not say where it is.
    pub(super) fn lacks(&self, account: &AccountName) -> Option<String> {
        let start = format!("note: account {account} has no ");
        let mut notes = self.report.lines();
        let names = notes.find_map(|note| {
            let rest = note.strip_prefix(&start)?;
            rest.split_once(" in the configuration")
        });
        let first = names.and_then(|(names, _)| names.split(" and ").next());
        first.map(str::to_owned)
    }

    /// Prints what a person should know of a configuration that is fine.
    pub(super) fn notes(&self, file: &AccountFile) {
        let expected = format!("note: account {} has no ", file.name);
        for line in self.report.lines() {
            let is_known = line.starts_with(&expected) || line.starts_with("note: checked ");
            if let Some((kind, text)) = line.split_once(": ")
                && ["note", "warning"].contains(&kind)
                && !is_known
            {
                output::note(text);
            }
        }
    }
}

/// What was printed before the requests of the account, which nobody asked for here.
fn own_lines(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_to_be_entered() {
        let checked = Checked {
            code: Some(0),
            report: "note: checked as user tokend, who runs tokend.service\n\
                     note: account ads2 has no token in the configuration; supply\n\
                     note: account ads has no password and client_secret in the configuration; supply it\n"
                .to_owned(),
            socket: None,
        };
        let lacks = checked.lacks(&"ads".parse().unwrap());
        assert_eq!(lacks.as_deref(), Some("password"));
    }

    #[test]
    fn the_requests_of_an_account_are_left_out() {
        let text =
            "note: a\nt.toml is fine: 1 account, socket /s\n\nlogin of account a:\n    POST\n";
        assert_eq!(
            own_lines(text),
            "note: a\nt.toml is fine: 1 account, socket /s\n"
        );
    }
}
