//! `tokend policy explain`: which rule decides, and where it stands.
//!
//! Reads the configuration and asks no daemon. Facts that the command line does not give are not guessed: a rule that needs them does not
//! match, and is named.

use std::io::{self, Write};
use std::path::Path;

use tokend_config::{Account, Config, Environment, RuleOrigin, RuleOrigins};
use tokend_policy::{
    Decision, Directory, Executable, Fact, Facts, Match, NameKind, Needs, Peer, Permission,
    Permissions, Policy, Rule, Units, UserUnit,
};

use super::check::account;
use super::printing::{Failure, Output, finish};
use super::run_as::{RunAs, RunAsOptions};
use crate::arguments::{Exit, ExplainArgs};
use tokend_peer::Reader;
use tokend_process::clock::Clock;

/// The id no user and no group has (chown(2)).
const NO_ID: u32 = u32::MAX;

/// Explains the question in `args`. The explanation goes to `out`, mistakes to `err`.
pub fn explain(args: &ExplainArgs, environment: &Environment, output: &mut Output<'_>) -> Exit {
    finish(run(args, environment, output), output.err)
}

fn run(
    args: &ExplainArgs,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let error = |exit, why: String| Failure::line(exit, format!("error: {why}"));
    // Without a rule, access belongs to the daemon's user, whoever runs this command.
    let options = RunAsOptions {
        config: args.config.as_deref(),
        ..RunAsOptions::default()
    };
    let run_as = RunAs::find(options, environment).map_err(|why| error(Exit::Usage, why))?;
    let file = run_as.file;
    let loaded = Config::load_with_origins(&file, &run_as.overrides, &run_as.environment);
    let (config, origins) = loaded.map_err(|error| Failure::config(&error, output.medium))?;
    let account = account(&config, args.account.as_str()).map_err(|near| {
        let (name, file) = (&args.account, file.display());
        error(
            Exit::Config,
            format!("there is no account {name} in {file}{near}"),
        )
    })?;
    let peer = peer(args).map_err(|why| error(Exit::Usage, why))?;
    let explained = Explained {
        config: &config,
        origins: &origins,
        account,
        peer: &peer,
    };
    explained.print(output.out)?;
    Ok(Exit::Success)
}

/// The described peer, or the named process.
fn peer(args: &ExplainArgs) -> Result<Peer, String> {
    if let Some(pid) = args.pid {
        return Reader::look_at(pid, Needs::ALL, &Clock::system())
            .map_err(|why| format!("process {pid}: {why}"));
    }
    let mut directory = Directory::system();
    let mut id = |kind: NameKind, name: &String| {
        let found = directory.ask(kind, name).id();
        found.ok_or_else(|| format!("there is no {} {name} on this machine", kind.as_str()))
    };
    let user = args.uid.as_ref().map(|name| id(NameKind::User, name));
    let uid = user.transpose()?.unwrap_or(NO_ID);
    let groups = args.groups.iter().map(|name| id(NameKind::Group, name));
    let mut groups = groups.collect::<Result<Vec<u32>, _>>()?;
    let own = args.gid.as_ref().map(|name| id(NameKind::Group, name));
    let own = own.transpose()?;
    // Without the groups another rule would decide than the one that decides in the daemon.
    let login = match own.is_some() && !groups.is_empty() {
        true => Vec::new(),
        false => Directory::groups_of(uid)?,
    };
    let gid = own.or_else(|| login.first().copied()).unwrap_or(NO_ID);
    if own.is_none() && groups.is_empty() {
        groups = login;
    }
    let (unit, user_unit) = (args.unit.as_deref(), args.user_unit.as_deref());
    let manager = || user_unit.map(|_| format!("user@{uid}.service").into());
    let units = unit.or(user_unit).map(|_| Units {
        system: unit.map(Box::from).or_else(manager),
        user: user_unit.map(|name| UserUnit {
            owner: uid,
            name: name.into(),
        }),
    });
    let executable = args.exe.as_deref().map(|path| Executable {
        path: path.into(),
        is_there: true,
    });
    Ok(Peer::new(uid, gid, 0).with(Facts {
        groups: Fact::Known(groups.into()),
        units: fact(units),
        executable: fact(executable),
        sha256: fact(args.sha256),
        namespaces: Fact::Unasked,
    }))
}

fn fact<T>(value: Option<T>) -> Fact<T> {
    value.map_or_else(|| Fact::Unread("it was not given".into()), Fact::Known)
}

struct Explained<'a> {
    config: &'a Config,
    origins: &'a RuleOrigins,
    account: &'a Account,
    peer: &'a Peer,
}

/// Where the rule of a list with this number comes from.
type Origin<'o> = &'o dyn Fn(usize) -> RuleOrigin;

impl Explained<'_> {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let (peer, account) = (describe(self.peer), &self.account.name);
        writeln!(out, "{peer}, and account {account}:")?;
        for permission in Permission::ALL {
            let lines = self.lines(permission).join("\n           ");
            writeln!(out, "  {permission:<8} {lines}")?;
        }
        Ok(())
    }

    fn lines(&self, permission: Permission) -> Vec<String> {
        let of_account = |number| self.origins.of_account(&self.account.name, number);
        let of_admin = |number| self.origins.of_admin(number);
        let lists: [(&Policy, Origin<'_>, Permissions); 2] = [
            (
                &self.account.allow,
                &of_account,
                Permissions::of(&Permission::ALL),
            ),
            (&self.config.admin, &of_admin, Permissions::ADMINISTER),
        ];
        for (policy, origin, _) in lists {
            if let Decision::Allowed(number) = policy.decide(self.peer, permission) {
                let rule = policy.rules().get(number).map(named).unwrap_or_default();
                return vec![format!("allowed by {rule} {}", at(&origin(number)))];
            }
        }
        let mut lines = vec!["no rule allows it".to_owned()];
        for (policy, origin, can_give) in lists {
            for (number, rule) in policy.rules().iter().enumerate() {
                // A permission that a list cannot give is no advice, and neither is a change of a rule that is not written.
                let origin = origin(number);
                if can_give.has(permission) && matches!(origin, RuleOrigin::Written { .. }) {
                    lines.extend(self.nearly(rule, permission, &origin));
                }
            }
        }
        if lines.len() == 1 {
            lines.push(self.add(permission));
        }
        lines
    }

    /// The conditions that keep a rule from allowing it, if they are few.
    fn nearly(&self, rule: &Rule, permission: Permission, origin: &RuleOrigin) -> Option<String> {
        let why = match rule.matches(self.peer) {
            Match::Unread(needs) if rule.may.has(permission) => {
                let whys = whys(self.peer, needs);
                format!("would, if its {needs} were known and right: {whys}")
            }
            // A permission that an administrator's rule cannot give is no advice.
            Match::Yes if permission != Permission::Reload || rule.may.has(permission) => {
                let may = rule.may;
                format!("matches, and gives {may}: add \"{permission}\" to its `may`")
            }
            _ => return None,
        };
        Some(format!("{} {} {why}", named(rule), at(origin)))
    }

    fn add(&self, permission: Permission) -> String {
        let (user, account) = (user(self.peer.uid), &self.account.name);
        let rule = match permission {
            Permission::Reload => {
                return format!("for example, add {{ user = {user} }} to `admin`");
            }
            _ if Permissions::USE.has(permission) => format!("{{ user = {user} }}"),
            _ => format!("{{ user = {user}, may = [\"{permission}\"] }}"),
        };
        format!(
            "for example, add {rule} to `allow` of [account.{}]",
            account.toml_key()
        )
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
    let groups = facts.groups.why_unread();
    let executable = facts.executable.why_unread();
    let whys = [
        (Needs::GROUPS, "supplementary groups", groups),
        (Needs::UNITS, "unit", facts.units.why_unread()),
        (Needs::EXECUTABLE, "executable", executable),
        (Needs::SHA256, "sha256", facts.sha256.why_unread()),
    ];
    let whys = whys.iter().filter(|(need, ..)| needs.has(*need));
    let whys: Vec<_> = whys
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
