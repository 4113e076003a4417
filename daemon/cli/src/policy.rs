//! `tokend policy explain`: which rule decides, and where it stands.
//!
//! Reads the configuration and asks no daemon. Facts that the command line does not give are not guessed: a rule that needs them does not
//! match, and is named.

use std::io::{self, Write};
use std::path::Path;

use tokend_config::{Account, Config, Environment, RuleOrigin, RuleOrigins};
use tokend_document::{Medium, nearest, report};
use tokend_policy::{
    Decision, Directory, Executable, Fact, Facts, Match, Needs, Peer, Permission, Permissions,
    Policy, Rule, Units, UserUnit,
};

use super::printing::finish;
use super::run_as::{RunAs, RunAsOptions};
use crate::arguments::{Exit, ExplainArgs};
use tokend_peer::Reader;
use tokend_process::clock::Clock;

/// The id no user and no group has (chown(2)).
const NO_ID: u32 = u32::MAX;

/// Explains the question in `args`. The explanation goes to `out`, mistakes to `err`.
pub fn explain(
    args: &ExplainArgs,
    environment: &Environment,
    out: &mut impl Write,
    err: &mut impl Write,
    medium: Medium,
) -> Exit {
    // Without a rule, access belongs to the daemon's user, whoever runs this command.
    let asked = RunAsOptions {
        config: args.config.as_deref(),
        ..RunAsOptions::default()
    };
    let run_as = match RunAs::find(asked, environment) {
        Ok(run_as) => run_as,
        Err(why) => return finish(writeln!(err, "error: {why}").map(|()| Exit::Usage)),
    };
    let file = run_as.file;
    let loaded = Config::load_with_origins(&file, &run_as.overrides, &run_as.environment);
    let (config, origins) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            return super::printing::refuse(&report(error.diagnostics(), medium), &error, err);
        }
    };
    let account = config
        .accounts
        .iter()
        .find(|account| account.name == args.account);
    let Some(account) = account else {
        let names: Vec<_> = config
            .accounts
            .iter()
            .map(|account| account.name.as_str())
            .collect();
        let near = nearest(args.account.as_str(), &names)
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        let said = writeln!(
            err,
            "error: there is no account {} in {}{near}",
            args.account,
            file.display()
        );
        return finish(said.map(|()| Exit::Config));
    };
    let peer = match peer(args) {
        Ok(peer) => peer,
        Err(why) => return finish(writeln!(err, "error: {why}").map(|()| Exit::Usage)),
    };
    let explained = Explained {
        config: &config,
        origins: &origins,
        account,
        peer: &peer,
    };
    finish(explained.print(out).map(|()| Exit::Success))
}

/// The described peer, or the named process.
#[expect(
    clippy::too_many_lines,
    reason = "one fact after the other, of a peer that is described by options"
)]
fn peer(args: &ExplainArgs) -> Result<Peer, String> {
    if let Some(pid) = args.pid {
        return Reader::look_at(pid, Needs::ALL, &Clock::system())
            .map_err(|why| format!("process {pid}: {why}"));
    }
    let mut directory = Directory::system();
    let mut unknown = None;
    let mut id = |kind: &str, name: &str, found: Option<u32>| {
        found.unwrap_or_else(|| {
            unknown.get_or_insert_with(|| format!("there is no {kind} {name} on this machine"));
            NO_ID
        })
    };
    let uid = args
        .uid
        .as_deref()
        .map_or(NO_ID, |name| id("user", name, directory.user(name)));
    let mut groups: Vec<u32> = args
        .groups
        .iter()
        .map(|name| id("group", name, directory.group(name)))
        .collect();
    let own = args
        .gid
        .as_deref()
        .map(|name| id("group", name, directory.group(name)));
    if let Some(unknown) = unknown {
        return Err(unknown);
    }
    // Without the groups another rule would decide than the one that decides in the daemon.
    let login = match args.gid.is_some() && !groups.is_empty() {
        true => Vec::new(),
        false => Directory::groups_of(uid)?,
    };
    let gid = own.or_else(|| login.first().copied()).unwrap_or(NO_ID);
    if args.gid.is_none() && groups.is_empty() {
        groups = login;
    }
    let not_given = || "it was not given".into();
    let units = match (&args.unit, &args.user_unit) {
        (None, None) => Fact::Unread(not_given()),
        (system, user) => Fact::Known(Units {
            system: match (system, user) {
                (None, Some(_)) => Some(format!("user@{uid}.service").into()),
                (system, _) => system.as_deref().map(Box::from),
            },
            user: user.as_deref().map(|name| UserUnit {
                owner: uid,
                name: name.into(),
            }),
        }),
    };
    let executable = args.exe.as_deref().map(|path| Executable {
        path: path.into(),
        is_there: true,
    });
    Ok(Peer::new(uid, gid, 0).with(Facts {
        groups: Fact::Known(groups.into()),
        units,
        executable: executable.map_or_else(|| Fact::Unread(not_given()), Fact::Known),
        sha256: args
            .sha256
            .map_or_else(|| Fact::Unread(not_given()), Fact::Known),
        namespaces: Fact::Unasked,
    }))
}

struct Explained<'a> {
    config: &'a Config,
    origins: &'a RuleOrigins,
    account: &'a Account,
    peer: &'a Peer,
}

impl Explained<'_> {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{}, and account {}:",
            describe(self.peer),
            self.account.name
        )?;
        for permission in Permission::ALL {
            let lines = self.lines(permission);
            let mut lines = lines.iter();
            let first = lines.next().map_or("", String::as_str);
            writeln!(out, "  {permission:<8} {first}")?;
            for line in lines {
                writeln!(out, "           {line}")?;
            }
        }
        Ok(())
    }

    fn lines(&self, permission: Permission) -> Vec<String> {
        if let Decision::Allowed(number) = self.account.allow.decide(self.peer, permission) {
            return vec![allowed(
                &self.account.allow,
                number,
                &self.of_account(number),
            )];
        }
        if let Decision::Allowed(number) = self.config.admin.decide(self.peer, permission) {
            return vec![allowed(
                &self.config.admin,
                number,
                &self.origins.of_admin(number),
            )];
        }
        let mut lines = vec!["no rule allows it".to_owned()];
        for (number, rule) in self.account.allow.rules().iter().enumerate() {
            let origin = self.of_account(number);
            if matches!(origin, RuleOrigin::Written { .. }) {
                lines.extend(self.nearly(rule, permission, || origin));
            }
        }
        for (number, rule) in self.config.admin.rules().iter().enumerate() {
            // A permission that an administrator's rule cannot give is no advice, and neither is a change of a rule that is not written.
            let origin = self.origins.of_admin(number);
            let can_give = Permissions::ADMINISTER.has(permission);
            if can_give && matches!(origin, RuleOrigin::Written { .. }) {
                lines.extend(self.nearly(rule, permission, || origin));
            }
        }
        if lines.len() == 1 {
            lines.push(self.add(permission));
        }
        lines
    }

    fn of_account(&self, number: usize) -> RuleOrigin {
        self.origins.of_account(&self.account.name, number)
    }

    /// The conditions that keep a rule from allowing it, if they are few.
    fn nearly(
        &self,
        rule: &Rule,
        permission: Permission,
        origin: impl FnOnce() -> RuleOrigin,
    ) -> Option<String> {
        match rule.matches(self.peer) {
            Match::No => None,
            Match::Unread(needs) if rule.may.has(permission) => Some(format!(
                "{} {} would, if its {needs} were known and right: {}",
                named(rule),
                at(&origin()),
                whys(self.peer, needs)
            )),
            Match::Unread(_) => None,
            // A permission that an administrator's rule cannot give is no advice.
            Match::Yes if permission == Permission::Reload && !rule.may.has(permission) => None,
            Match::Yes => Some(format!(
                "{} {} matches, and gives {}: add \"{permission}\" to its `may`",
                named(rule),
                at(&origin()),
                rule.may
            )),
        }
    }

    fn add(&self, permission: Permission) -> String {
        let user = user(self.peer.uid);
        let usual = Permissions::USE.has(permission);
        match permission {
            Permission::Reload => format!("for example, add {{ user = {user} }} to `admin`"),
            _ if usual => format!(
                "for example, add {{ user = {user} }} to `allow` of [account.{}]",
                self.account.name
            ),
            _ => format!(
                "for example, add {{ user = {user}, may = [\"{permission}\"] }} to `allow` of [account.{}]",
                self.account.name
            ),
        }
    }
}

/// A rule in the form people write it: with names where the machine knows them.
fn named(rule: &Rule) -> String {
    let mut text = rule.to_string();
    if let Some(uid) = rule.user {
        text = text.replace(&format!("user = {uid}"), &format!("user = {}", user(uid)));
    }
    let group = rule
        .group
        .and_then(|gid| Some((gid, Directory::name_of_group(gid)?)));
    if let Some((gid, name)) = group {
        text = text.replace(&format!("group = {gid}"), &format!("group = \"{name}\""));
    }
    text
}

/// A user as a rule names it.
fn user(uid: u32) -> String {
    match Directory::name_of_user(uid) {
        Some(name) => format!("\"{name}\""),
        None => uid.to_string(),
    }
}

fn allowed(policy: &Policy, number: usize, origin: &RuleOrigin) -> String {
    let rule = policy.rules().get(number).map(named);
    format!("allowed by {} {}", rule.unwrap_or_default(), at(origin))
}

fn at(origin: &RuleOrigin) -> String {
    match origin {
        RuleOrigin::Written { place, list } => format!("at {place}, in {list}"),
        RuleOrigin::Implied => {
            "(not written: without `allow` or `admin` it is the user who runs this, so run it as the daemon's)".to_owned()
        }
    }
}

fn whys(peer: &Peer, needs: Needs) -> String {
    let facts = peer.facts();
    let whys = [
        (
            Needs::GROUPS,
            "supplementary groups",
            facts.groups.why_unread(),
        ),
        (Needs::UNITS, "unit", facts.units.why_unread()),
        (
            Needs::EXECUTABLE,
            "executable",
            facts.executable.why_unread(),
        ),
        (Needs::SHA256, "sha256", facts.sha256.why_unread()),
    ];
    let whys: Vec<_> = whys
        .iter()
        .filter(|(need, ..)| needs.has(*need))
        .filter_map(|(_, what, why)| Some(format!("{what}: {}", (*why)?)))
        .collect();
    whys.join(", ")
}

/// `deploy (uid 1000, gid 1000, groups 50 and 60), unit backup.service`
fn describe(peer: &Peer) -> String {
    let facts = peer.facts();
    let number = |id: u32| match id {
        NO_ID => "none".to_owned(),
        id => id.to_string(),
    };
    let name = Directory::name_of_user(peer.uid).unwrap_or_else(|| "a peer".to_owned());
    let mut text = format!("{name} (uid {}, gid {}", number(peer.uid), number(peer.gid));
    if let Some(groups) = facts.groups.known().filter(|groups| !groups.is_empty()) {
        let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
        text.push_str(&format!(", groups {}", groups.join(" ")));
    }
    text.push(')');
    let path = |path: &Path| path.display().to_string();
    let more = [
        ("unit", peer.unit().map(str::to_owned)),
        ("user unit", peer.user_unit().map(str::to_owned)),
        ("exe", peer.executable().map(path)),
        ("sha256", facts.sha256.known().map(ToString::to_string)),
    ];
    for (what, value) in more {
        if let Some(value) = value {
            text.push_str(&format!(", {what} {value}"));
        }
    }
    text
}

#[cfg(test)]
mod tests;
