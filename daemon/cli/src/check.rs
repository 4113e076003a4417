//! `tokend check`: all checks of a configuration that need no connection.

mod policy;
mod secrets;
mod start;

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use tokend_config::{Account, Config, Environment, Fingerprint, Pacing, Proxy, Unresolved};
use tokend_dialect::{ExchangeKind, FieldUse};
use tokend_document::{counted, nearest};
use tokend_engine::RefreshPolicy;

use super::dialect;
use super::printing::{Failure, Output, finish};
use super::run_as::{RunAs, RunAsOptions};
use crate::arguments::{CheckArgs, Exit};
use tokend_process::descriptors;

/// Checks the configuration that `args` name. Mistakes go to `err`, everything else to `out`.
pub fn run(args: &CheckArgs, environment: &Environment, output: &mut Output<'_>) -> Exit {
    descriptors::raise();
    let done = match descriptors::must_have_room(descriptors::TO_LOOK) {
        Ok(()) => run_below(Path::new("/"), args, environment, output),
        Err(error) => Err(Failure::line(Exit::NotNow, format!("error: {error}"))),
    };
    finish(done, output.err)
}

/// As [`run`], with the unit files below `root`.
fn run_below(
    root: &Path,
    args: &CheckArgs,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let error = |exit, why: String| Failure::line(exit, format!("error: {why}"));
    let options = RunAsOptions {
        config: args.config.as_deref(),
        state_dir: args.state_dir.as_deref(),
        user: args.user.as_deref(),
    };
    let run_as = RunAs::below(root, options, environment);
    let mut run_as = run_as.map_err(|why| error(Exit::Usage, why))?;
    run_as.overrides.socket = args.socket.clone().or(run_as.overrides.socket);
    run_as.overrides.included.clone_from(&args.with);
    let checked_as = run_as
        .is_another()
        .then(|| format!("checked {}", run_as.describe()));
    run_as.become_them().map_err(|why| {
        let name = run_as.name();
        let why = format!("root cannot check as user {name} here: {why}; run it as {name}");
        error(Exit::NotNow, why)
    })?;
    let config = match (run_as.load(output.medium), &checked_as) {
        (Err(Failure::Ends(exit, report)), Some(note)) => {
            return Err(Failure::Ends(exit, format!("{report}note: {note}\n")));
        }
        (loaded, _) => loaded?,
    };
    let mut findings = Findings::of(&config, &run_as, args.run_commands);
    findings.names(&config, args.strict);
    findings.notes.splice(0..0, checked_as);
    let shown = args.show.as_deref();
    let shown = shown.and_then(|name| findings.find(&config, name));
    let exit = findings.print(&config, output)?;
    if let Some(account) = shown {
        show(account, output.out)?;
    }
    Ok(exit)
}

/// The findings about a configuration that has no mistakes in itself.
#[derive(Debug, Default)]
struct Findings {
    /// The daemon or an account cannot work like this.
    errors: Vec<String>,
    /// How many of those come only from a temporary shortage of the machine, such as of descriptors.
    shortages: usize,
    /// The configuration works, and does not do all it says.
    warnings: Vec<String>,
    /// The configuration works, and a person should know this.
    notes: Vec<String>,
}

impl Findings {
    fn of(config: &Config, run_as: &RunAs, run_commands: bool) -> Self {
        let mut findings = Self::default();
        for path in &config.files {
            findings.writable_by_others(path);
        }
        findings.start(config, run_as);
        findings.secrets(config, run_as, run_commands);
        for account in &config.accounts {
            findings.account(account);
        }
        for proxy in &config.http.proxies {
            findings.proxy(proxy);
        }
        findings.twins(&config.accounts);
        findings.notes.extend(policy::notes(config, run_as));
        findings
    }

    /// An error of the system or a file. It is no mistake if the machine is temporarily `short` of something.
    fn refused(&mut self, message: String, short: bool) {
        self.errors.push(message);
        self.shortages += usize::from(short);
    }

    fn print(&self, config: &Config, output: &mut Output<'_>) -> io::Result<Exit> {
        let Output { out, err, .. } = output;
        for error in &self.errors {
            writeln!(err, "error: {error}")?;
        }
        for warning in &self.warnings {
            writeln!(err, "warning: {warning}")?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        let main = config.files.first().map(|path| path.display().to_string());
        let main = main.unwrap_or_default();
        let accounts = counted(config.accounts.len(), "account");
        if self.errors.is_empty() {
            let socket = config.socket.display();
            writeln!(out, "{main} is fine: {accounts}, socket {socket}")?;
            return Ok(Exit::Success);
        }
        let remedy =
            "raise the limit or find out what uses up descriptors or memory, then check again";
        // A retry of a start meets a mistake again.
        if self.shortages == self.errors.len() {
            writeln!(
                err,
                "{main} has {accounts}; nothing need be wrong with it: {remedy}"
            )?;
            return Ok(Exit::NotNow);
        }
        writeln!(err, "{main} has {accounts}; correct the errors above")?;
        if self.shortages > 0 {
            writeln!(
                err,
                "some of them are only that this machine is short of something: {remedy}"
            )?;
        }
        Ok(Exit::Config)
    }

    /// The account whose requests are to be shown.
    fn find<'a>(&mut self, config: &'a Config, name: &str) -> Option<&'a Account> {
        match account(config, name) {
            Ok(found) => Some(found),
            Err(near) => {
                let message = format!("there is no account {name} to show{near}");
                self.errors.push(message);
                None
            }
        }
    }

    /// An unknown name may become known later, when a directory service is up; or it is misspelt.
    fn names(&mut self, config: &Config, strict: bool) {
        let (listed, more) = Unresolved::listed(&config.unresolved);
        let lines = listed.iter().map(|name| {
            format!("{name}; if it is misspelt, correct it, and if its directory service is not up yet, do nothing")
        });
        let more = (more > 0)
            .then(|| format!("{more} more names of rules are not known on this machine now"));
        let lines = lines.chain(more);
        match strict {
            true => self.errors.extend(lines),
            false => self.warnings.extend(lines),
        }
    }

    /// A user who can write the configuration can make the daemon run commands.
    fn writable_by_others(&mut self, path: &Path) {
        if let Ok(metadata) = std::fs::metadata(path)
            && metadata.mode() & 0o022 != 0
        {
            let path = path.display();
            self.notes.push(format!(
                "{path} can be changed by other users: chmod go-w {path}"
            ));
        }
    }

    /// Accounts that share one login at their provider. Each has its own rate limit and refresh token.
    fn twins(&mut self, accounts: &[Arc<Account>]) {
        let mut logins: HashMap<Fingerprint, Vec<&Account>> = HashMap::new();
        for account in accounts {
            logins.entry(account.identity).or_default().push(account);
        }
        let mut twins: Vec<_> = logins
            .into_values()
            .filter(|accounts| accounts.len() > 1)
            .collect();
        twins.sort_by_key(|accounts| accounts.first().map(|account| &account.name));
        for accounts in twins {
            let first = accounts.first();
            let base_url = first.map_or("", |account| account.endpoint.base_url());
            let names = accounts.iter().map(|account| account.name.as_str());
            let names: Vec<&str> = names.collect();
            self.notes.push(format!(
                "accounts {} are the same login at {base_url}; each has a pace and a refresh token of its own, so the provider \
                 sees that many times the requests: keep one of them, and allow it to all who need it",
                list(&names)
            ));
        }
    }

    fn proxy(&mut self, proxy: &Proxy) {
        if proxy.sends_password_in_the_clear() {
            self.notes.push(format!(
                "proxy {proxy}: user name and password travel to it unencrypted; use an https:// proxy, or a password that is good for nothing else"
            ));
        }
    }

    fn account(&mut self, account: &Account) {
        let name = &account.name;
        let needed = account.dialect.fields_at(&account.endpoint);
        let is_typed = |field: &&FieldUse| field.required && field.is_enterable();
        let names = needed.iter().filter(is_typed).map(|field| &*field.name);
        let missing: Vec<&str> = names
            .filter(|name| account.secret(name).is_none())
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            self.notes.push(format!("account {name} has no {missing} in the configuration; supply it with: tokenctl login {name}"));
        }
        let dialect = &account.dialect;
        let has = |field: &str| account.secret(field).is_some() || account.field(field).is_some();
        let lacks = dialect.missing_options(ExchangeKind::Login, &account.endpoint, has);
        if !lacks.is_empty() {
            let options: Vec<_> = lacks.iter().map(|it| format!("option `{it}`")).collect();
            self.notes.push(format!(
                "account {name} cannot log in: the login of dialect {} needs {}; add it to `options`; until then only a refresh token that is entered is of use",
                dialect.name(),
                options.join(" and "),
            ));
        }
        let early = dialect.refresh_needs_valid_access_token()
            || dialect.renews_itself_at(&account.endpoint);
        if early
            && dialect.can_refresh_at(&account.endpoint)
            && account.refresh == RefreshPolicy::OnDemand
        {
            self.notes.push(format!(
                "account {name} is refreshed on demand, when a refresh of dialect {} comes too late: each renewal is a login; leave `refresh` out, or set it to \"always\"",
                dialect.name()
            ));
        }
        if is_looser(&account.pacing, account) {
            self.notes.push(format!(
                "account {name} asks more often than dialect {} recommends; the provider may suspend it",
                account.dialect.name()
            ));
        }
    }
}

/// The account of this name. If there is none, the end of a sentence that says so: it names the nearest.
pub(super) fn account<'a>(config: &'a Config, name: &str) -> Result<&'a Account, String> {
    let accounts = || config.accounts.iter().map(|account| &**account);
    let found = accounts().find(|account| account.name.as_str() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = accounts().map(|account| account.name.as_str()).collect();
        let near = nearest(name, &names).map(|near| format!("; did you mean {near}?"));
        near.unwrap_or_default()
    })
}

/// An account's requests after all merging, as `tokend dialect check` shows those of a dialect.
fn show(account: &Account, out: &mut dyn Write) -> io::Result<()> {
    for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
        let which = format!("{kind} of account {}", account.name);
        let merged = dialect::merged(&account.dialect, kind, &account.endpoint);
        dialect::write_merged(&which, &merged, out)?;
    }
    Ok(())
}

/// `a and b`, `a, b and c`; at most as many as a person reads.
fn list(names: &[&str]) -> String {
    const MOST: usize = 5;
    match names {
        [one] => (*one).to_owned(),
        [all @ .., last] if names.len() <= MOST => format!("{} and {last}", all.join(", ")),
        _ => {
            let (shown, more) = names.split_at(names.len().min(MOST));
            format!("{} and {} more", shown.join(", "), more.len())
        }
    }
}

/// A rate that allows more in the same time, or more at once.
fn is_looser(own: &Pacing, account: &Account) -> bool {
    let wise = account.dialect.pacing();
    [(own.attempts, wise.attempts), (own.logins, wise.logins)]
        .iter()
        .any(|(own, wise)| own.burst() > wise.burst || own.period() < wise.period)
}

#[cfg(test)]
mod tests;
