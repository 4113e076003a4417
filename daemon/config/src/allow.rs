//! Reads rules: `allow` of accounts, defaults and groups, and `admin`.
//!
//! Owns the syntax of a rule and the messages about its mistakes. Must never accept a rule that matches more peers than it seems to.

use std::path::{Component, Path};
use std::sync::Arc;

use tokend_document::{Content, Diagnostics, Section, Value, choose_from};
use tokend_policy::{
    Digest, NOT_KNOWN, NameAnswer, NameKind, Permission, Permissions, Rule, UnitError, UnitPattern,
};

use super::reading::Reading;
use super::unresolved::{Principals, can_be_name};

/// What the rules of a list can grant.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// The permissions of a rule without `may`.
    pub(super) usual: Permissions,
    /// The permissions that `may` can name.
    possible: Permissions,
    /// The name of the list that applies when this one is missing.
    otherwise: &'static str,
}

/// `allow` of an account, a group, or the defaults.
pub(super) const ALLOW: List = List {
    usual: Permissions::USE,
    possible: Permissions::OF_AN_ACCOUNT,
    otherwise: "name somebody, or leave the key out: then only the daemon's own user is allowed",
};

/// `admin`.
pub(super) const ADMIN: List = List {
    usual: Permissions::ADMINISTER,
    possible: Permissions::ADMINISTER,
    ..ALLOW
};

/// `allow` of metrics, which has a single permission.
pub(super) const METRICS: List = List {
    usual: Permissions::of(&[Permission::Status]),
    possible: Permissions::of(&[Permission::Status]),
    otherwise: "name somebody, or leave the key out: then only administrators are allowed",
};

/// Reads a list of rules: `[{ user = "deploy" }, { group = "ci", unit = "build@.service" }]`.
pub(super) fn rules(value: Value<'_>, list: List, reading: &mut Reading<'_>) -> Option<Vec<Rule>> {
    let diagnostics = &mut reading.diagnostics;
    let before = diagnostics.count();
    if !value.is_array() {
        let found = format!("expected an array, found {}", value.kind());
        let help = "write a list: `[{ user = \"deploy\" }]`".to_owned();
        return value.wrong(diagnostics, found, help);
    }
    let mut rules = Vec::new();
    for value in value.array(diagnostics)? {
        reading.origins.note(value);
        rules.extend(rule(value, list, reading));
    }
    let diagnostics = &mut reading.diagnostics;
    if diagnostics.count() > before {
        return None;
    }
    if rules.is_empty() {
        let help = list.otherwise.to_owned();
        return value.wrong(diagnostics, "an empty list would allow nobody", help);
    }
    Some(rules)
}

fn rule(value: Value<'_>, list: List, reading: &mut Reading<'_>) -> Option<Rule> {
    let Reading {
        principals,
        diagnostics,
        ..
    } = reading;
    let example = || {
        "write `{ user = \"deploy\" }`, `{ group = \"ci\" }` or `{ unit = \"backup.service\" }`"
            .to_owned()
    };
    if !value.is_table() {
        let found = format!("expected a rule, found {}", value.kind());
        return value.wrong(diagnostics, found, example());
    }
    let before = diagnostics.count();
    let mut section = value.section(diagnostics)?;
    let mut rule = Rule {
        may: list.usual,
        ..Rule::default()
    };
    let user = section.take("user");
    let has_user = user.is_some();
    rule.user = user.and_then(|who| named(who, NameKind::User, principals, diagnostics));
    let group = section.take("group");
    rule.group = group.and_then(|who| named(who, NameKind::Group, principals, diagnostics));
    rule.unit = section.read("unit", diagnostics, unit);
    let user_unit = section.take("user_unit");
    if let Some(value) = &user_unit
        && !has_user
    {
        let help = "add `user`: whose unit it is".to_owned();
        value.note(diagnostics, "every user can have a unit of this name", help);
    }
    rule.user_unit = user_unit.and_then(|value| unit(value, diagnostics));
    rule.exe = section.read("exe", diagnostics, exe);
    rule.sha256 = section.read("sha256", diagnostics, sha256);
    if let Some(value) = section.take("may") {
        rule.may = may(value, list, diagnostics).unwrap_or_default();
    }
    section.finish(diagnostics);
    if diagnostics.count() > before {
        return None;
    }
    let says = Rule {
        may: Permissions::NONE,
        ..rule.clone()
    };
    if says == Rule::default() {
        return value.wrong(diagnostics, "a rule says who", example());
    }
    Some(rule)
}

fn named(
    who: Value<'_>,
    kind: NameKind,
    principals: &mut Principals,
    diagnostics: &mut Diagnostics,
) -> Option<u32> {
    let name = match &who.content {
        Content::String(text) if !text.is_empty() => text.to_string(),
        Content::Integer(_, text) => text.to_string(),
        Content::Unfit(text) => text.to_string(),
        _ => return who.wrong_type("a name or a number", diagnostics),
    };
    let answer = principals.directory.ask(kind, &name);
    answer.id().or_else(|| {
        if can_be_name(&name) {
            let answered = answer == NameAnswer::Nobody;
            let position = |exactly| match exactly {
                true => who.position(),
                false => who.span.source.name().to_owned(),
            };
            principals.nobody(kind, &name, answered, position);
            return Some(NOT_KNOWN);
        }
        let kind = kind.as_str();
        let message = format!("there is no {kind} `{name}` on this machine");
        let help = format!("create the {kind} first, or correct its name; reload after changes");
        who.wrong(diagnostics, message, help)
    })
}

fn unit(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<UnitPattern> {
    let name = value.text(diagnostics)?;
    let (message, help) = match UnitPattern::new(name) {
        Ok(unit) => return Some(unit),
        Err(UnitError::Suffix) => (
            format!("`{name}` is not a unit that has processes"),
            "write the whole name: `NAME.service`, `NAME.scope`, or `NAME@.service` for all instances of a template",
        ),
        Err(UnitError::Characters) => (
            format!("`{name}` is not the name of a unit"),
            "write it as `systemctl` shows it; `*` and paths are not understood, `NAME@.service` means all instances of a template",
        ),
    };
    value.wrong(diagnostics, message, help.to_owned())
}

fn exe(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Arc<Path>> {
    let text = value.text(diagnostics)?;
    let path = Path::new(text);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // The kernel's path is compared byte by byte.
    let tidy = path.components().collect::<std::path::PathBuf>();
    if path.is_absolute()
        && plain
        && !text.contains('\0')
        && tidy.as_os_str() == path.as_os_str()
        && text != "/"
    {
        return Some(path.into());
    }
    let help = "write it as `readlink /proc/PID/exe` shows it for the running program, such as `/usr/bin/backup`";
    let shown = text.escape_debug();
    let message = format!("`{shown}` is not the full path of a program");
    value.wrong(diagnostics, message, help.to_owned())
}

fn sha256(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Digest> {
    let text = value.text(diagnostics)?;
    text.parse().ok().or_else(|| {
        let help = "write the 64 hexadecimal digits that `sha256sum PROGRAM` prints".to_owned();
        value.wrong(diagnostics, "this is not a SHA-256 digest", help)
    })
}

/// `may = ["get", "status"]`
fn may(value: Value<'_>, list: List, diagnostics: &mut Diagnostics) -> Option<Permissions> {
    let before = diagnostics.count();
    let valid: Vec<&str> = list.possible.iter().map(Permission::as_str).collect();
    let mut may = Permissions::NONE;
    for word in value.array(diagnostics)? {
        let Some(text) = word.text(diagnostics) else {
            continue;
        };
        let mut all = Permission::ALL.into_iter();
        match all.find(|permission| permission.as_str() == text) {
            Some(permission) if list.possible.has(permission) => {
                may = may | Permissions::of(&[permission]);
            }
            Some(permission) => {
                let (message, help) = out_of_place(permission);
                word.note(diagnostics, message, help.to_owned());
            }
            None => {
                let help = choose_from(text, &valid);
                word.note(diagnostics, format!("unknown permission `{text}`"), help);
            }
        }
    }
    if diagnostics.count() > before {
        return None;
    }
    if may.is_empty() {
        let valid = list.possible;
        let help = format!(
            "name what it allows, or leave the key out: then {}; valid here: {valid}",
            list.usual
        );
        return value.wrong(diagnostics, "this rule would allow nothing", help);
    }
    Some(may)
}

/// The message and the advice for a permission that does not belong in this list.
fn out_of_place(permission: Permission) -> (&'static str, &'static str) {
    match permission {
        Permission::Reload => (
            "reloading is not a permission of an account",
            "put a rule with it into `admin`",
        ),
        _ => (
            "an administrator has no tokens by being one",
            "put a rule with it into `allow` of the account, of [defaults], or of a group",
        ),
    }
}

/// Takes `allow` out of a table, if it is there.
pub(super) fn allow(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Vec<Rule>> {
    rules(section.take("allow")?, ALLOW, reading)
}
