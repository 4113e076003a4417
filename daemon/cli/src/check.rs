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
use tokend_dialect::ExchangeKind;
use tokend_document::{Medium, nearest, report};
use tokend_engine::RefreshPolicy;

use super::dialect;
use super::printing::finish;
use super::run_as::{RunAs, RunAsOptions};
use crate::arguments::{CheckArgs, Exit};
use tokend_process::descriptors;

/// Checks the configuration that `args` name. Mistakes go to `err`, everything else to `out`.
pub fn run(
    args: &CheckArgs,
    environment: &Environment,
    out: &mut impl Write,
    err: &mut impl Write,
    medium: Medium,
) -> Exit {
    descriptors::raise();
    if let Err(error) = descriptors::must_have_room(descriptors::TO_LOOK) {
        return finish(writeln!(err, "error: {error}").map(|()| Exit::NotNow));
    }
    run_below(Path::new("/"), args, environment, out, err, medium)
}

/// As [`run`], with the unit files below `root`.
fn run_below(
    root: &Path,
    args: &CheckArgs,
    environment: &Environment,
    out: &mut impl Write,
    err: &mut impl Write,
    medium: Medium,
) -> Exit {
    let asked = RunAsOptions {
        config: args.config.as_deref(),
        state_dir: args.state_dir.as_deref(),
        user: args.user.as_deref(),
    };
    let run_as = match RunAs::below(root, asked, environment) {
        Ok(mut run_as) => {
            run_as.overrides.socket = args.socket.clone().or(run_as.overrides.socket);
            run_as
        }
        Err(why) => return finish(writeln!(err, "error: {why}").map(|()| Exit::Usage)),
    };
    let checked_as = run_as
        .is_another()
        .then(|| format!("checked {}", run_as.describe()));
    if let Err(error) = run_as.become_them() {
        let name = run_as.name();
        let said = writeln!(
            err,
            "error: root cannot check as user {name} here: {error}; run it as {name}"
        );
        return finish(said.map(|()| Exit::NotNow));
    }
    finish(
        match Config::load(&run_as.file, &run_as.overrides, &run_as.environment) {
            Ok(config) => {
                let mut findings = Findings::of(&config, &run_as, args.run_commands);
                findings.names(&config, args.strict);
                findings.notes.splice(0..0, checked_as);
                let shown = args
                    .show
                    .as_deref()
                    .map(|name| findings.find(&config, name));
                findings.print(&config, out, err).and_then(|exit| {
                    shown
                        .flatten()
                        .map_or(Ok(()), |account| show(account, out))?;
                    Ok(exit)
                })
            }
            Err(error) => {
                let mut text = report(error.diagnostics(), medium);
                text.extend(checked_as.map(|note| format!("note: {note}\n")));
                return super::printing::refuse(&text, &error, err);
            }
        },
    )
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

    fn print(
        &self,
        config: &Config,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> io::Result<Exit> {
        for error in &self.errors {
            writeln!(err, "error: {error}")?;
        }
        for warning in &self.warnings {
            writeln!(err, "warning: {warning}")?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        let main = config
            .files
            .first()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        let accounts = match config.accounts.len() {
            1 => "1 account".to_owned(),
            count => format!("{count} accounts"),
        };
        if self.errors.is_empty() {
            writeln!(
                out,
                "{main} is fine: {accounts}, socket {}",
                config.socket.display()
            )?;
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
        let accounts = || config.accounts.iter().map(|account| &**account);
        let found = accounts().find(|account| account.name.as_str() == name);
        if found.is_none() {
            let names: Vec<_> = accounts().map(|account| account.name.as_str()).collect();
            let near = nearest(name, &names).map(|near| format!("; did you mean {near}?"));
            let near = near.unwrap_or_default();
            self.errors
                .push(format!("there is no account {name} to show{near}"));
        }
        found
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
            let base_url = accounts
                .first()
                .map_or("", |account| account.endpoint.base_url());
            let names: Vec<&str> = accounts
                .iter()
                .map(|account| account.name.as_str())
                .collect();
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
        let typed = needed
            .iter()
            .filter(|field| field.secret && field.required && !field.internal);
        let missing: Vec<&str> = typed
            .filter(|field| account.secret(&field.name).is_none())
            .map(|field| &*field.name)
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            self.notes.push(format!("account {name} has no {missing} in the configuration; supply it with: tokenctl login {name}"));
        }
        let dialect = &account.dialect;
        let has = |field: &str| account.secret(field).is_some() || account.field(field).is_some();
        let lacks = dialect.missing_options(ExchangeKind::Login, &account.endpoint, has);
        if !lacks.is_empty() {
            self.notes.push(format!(
                "account {name} cannot log in: the login of dialect {} needs {}; add it to `options`; until then only a refresh token that is entered is of use",
                dialect.name(),
                lacks.iter().map(|option| format!("option `{option}`")).collect::<Vec<_>>().join(" and "),
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

/// An account's requests after all merging, as `tokend dialect check` shows those of a dialect.
fn show(account: &Account, out: &mut impl Write) -> io::Result<()> {
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
