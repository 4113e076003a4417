//! From a dialect's merged tree to a compiled `Dialect`.
//!
//! Owns the meaning of each key of the language, and which settings contradict each other. Every mistake is found here, so that a compiled
//! dialect cannot fail for reasons of its own.

mod api;
mod body;
mod names;
mod reply;
mod request;
mod rules;
mod words;

use tokend_document::{Diagnostics, Node, Section, Value};

pub use self::api::read as read_api;
use self::words::LONGEST;
use crate::{
    dialect::{self, DeclaredReuse, Dialect, ExchangePlan, Lifecycle},
    error::DialectError,
    fields::{ACCESS_TOKEN, ExchangeKind, REFRESH_TOKEN},
    merge,
    names::Names,
    pacing::{DefaultPacing, DefaultRate},
    rejection::Rejection,
    reply::classify::{Matcher, Rule},
};

const REUSE: &[(&str, DeclaredReuse)] = &[
    ("none", DeclaredReuse::None),
    ("rotates", DeclaredReuse::Rotates),
    (
        "rotates-and-reuse-revokes",
        DeclaredReuse::RotatesAndReuseRevokes,
    ),
    ("unknown", DeclaredReuse::Unknown),
];

/// Compiles a tree whose `extends` has been resolved.
pub(crate) fn compile(
    name: &str,
    own_text: &str,
    tree: Value<'_>,
) -> Result<Dialect, DialectError> {
    let mut diagnostics = Diagnostics::default();
    match compile_into(name, own_text, tree, &mut diagnostics) {
        Some(dialect) if diagnostics.is_empty() => Ok(dialect),
        _ => Err(DialectError::new(name, diagnostics)),
    }
}

fn compile_into(
    name: &str,
    own_text: &str,
    tree: Value<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Dialect> {
    let mut top = tree.section(diagnostics)?;
    let extends = top.read("extends", diagnostics, Value::string);
    // The catalog has resolved it.
    top.ignore("without");
    let summary = summary(&mut top, diagnostics);
    // It is for the reader of the file.
    let _documentation = top.read("documentation", diagnostics, Value::string);
    let names = names::read(&mut top, diagnostics);
    let shared = Shared {
        reply: top.take("reply"),
        rules: rules::read(&mut top, None, &names, diagnostics),
        names: &names,
    };
    let login = plan(ExchangeKind::Login, &mut top, &shared, diagnostics);
    let refresh = plan(ExchangeKind::Refresh, &mut top, &shared, diagnostics);
    if login.is_none() && refresh.is_none() && diagnostics.is_empty() {
        let message = "the dialect says neither how to log in nor how to refresh";
        let help = "write a table `[login]` or `[refresh]`, or start with `extends = \"oauth2\"`";
        top.note(diagnostics, message, help.to_owned());
    }
    let rejection = top.read("rejection", diagnostics, rejection);
    let api = top.read("api", diagnostics, api::read);
    let pacing = top.read("pacing", diagnostics, pacing);
    top.finish(diagnostics);
    if !diagnostics.is_empty() {
        return None;
    }
    let (refresh, lifecycle) = refresh.unzip();
    let lifecycle = lifecycle.unwrap_or_default();
    let effective = effective(tree);
    Some(Dialect {
        name: name.into(),
        summary: summary.unwrap_or_default().into(),
        extends: extends.map(Box::from),
        own_text: own_text.into(),
        digest: dialect::digest(&effective),
        effective,
        login: login.map(|(plan, _)| plan),
        refresh,
        rejection: rejection.unwrap_or_else(unauthorized),
        api: api.unwrap_or_default(),
        pacing: pacing.unwrap_or(DefaultPacing::CAREFUL),
        lifecycle,
        names,
    })
}

fn summary<'a>(top: &mut Section<'a>, diagnostics: &mut Diagnostics) -> Option<&'a str> {
    let node = top.require("summary", "one line that says whose API it is", diagnostics)?;
    let text = node.string(diagnostics)?;
    if text.is_empty() || text.len() > 120 || text.contains('\n') {
        let message = "the summary is one line of at most 120 bytes";
        node.note(diagnostics, message, None);
    }
    Some(text)
}

/// RFC 6750 section 3.1: a resource answers 401 to a token that is expired, revoked or malformed.
fn unauthorized() -> Rejection {
    let matcher = Matcher {
        status: vec![401..=401],
        ..Matcher::default()
    };
    Rejection {
        matchers: vec![matcher],
    }
}

fn effective(tree: Value<'_>) -> toml::Table {
    let toml::Value::Table(mut table) = merge::to_toml(tree.node()) else {
        return toml::Table::new();
    };
    let _resolved = (table.remove("extends"), table.remove("without"));
    table
}

/// What login and refresh have in common.
struct Shared<'a> {
    reply: Option<Value<'a>>,
    rules: Vec<Rule>,
    names: &'a Names,
}

fn plan(
    kind: ExchangeKind,
    top: &mut Section<'_>,
    shared: &Shared<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<(ExchangePlan, Lifecycle)> {
    let mut section = top.section(kind.name(), diagnostics)?;
    let request = request::read(&mut section, shared.names, diagnostics);
    let merged = merged_reply(shared.reply, section.take("reply"));
    let mut rules = rules::read(&mut section, Some(kind), shared.names, diagnostics);
    let suitable = shared.rules.iter().filter(|rule| rules::suits(kind, rule));
    rules.extend(suitable.cloned());
    let reply = reply::read(merged.as_ref().map(Value::from), rules, diagnostics);
    let lifecycle = match kind {
        ExchangeKind::Login => Lifecycle::default(),
        ExchangeKind::Refresh => lifecycle(&mut section, diagnostics),
    };
    let uses_token = request
        .layers
        .iter()
        .any(|layer| layer.uses(REFRESH_TOKEN) || layer.uses(ACCESS_TOKEN));
    if kind == ExchangeKind::Login && uses_token {
        let help = "a login uses what the account always has; describe a request with `{refresh_token}` under `[refresh]`";
        section.note(diagnostics, "a login cannot use a token", help.to_owned());
    }
    if kind == ExchangeKind::Refresh && !uses_token && diagnostics.is_empty() {
        let message = "this refresh sends no refresh token";
        let help = "put `{refresh_token}` where the provider wants it, or leave `[refresh]` out";
        section.note(diagnostics, message, help.to_owned());
    }
    section.finish(diagnostics);
    let reply = reply?;
    Some((ExchangePlan { request, reply }, lifecycle))
}

/// The effect of a refresh on earlier tokens.
fn lifecycle(section: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Lifecycle {
    let reuse = section.word("reuse", REUSE, diagnostics);
    let ends = section.read("ends_access_token", diagnostics, Value::boolean);
    let needs = section.read("needs_valid_access_token", diagnostics, Value::boolean);
    Lifecycle {
        reuse: reuse.unwrap_or(DeclaredReuse::Unknown),
        ends_access_token: ends.unwrap_or_default(),
        needs_valid_access_token: needs.unwrap_or_default(),
    }
}

/// The shared `[reply]` with the request's own laid over it.
fn merged_reply<'a>(shared: Option<Value<'a>>, own: Option<Value<'a>>) -> Option<Node<'a>> {
    match (shared, own) {
        (Some(shared), Some(own)) => {
            let mut merged = shared.node().clone();
            merge::merge(&mut merged, own.node().clone());
            Some(merged)
        }
        (one, other) => one.or(other).map(|value| value.node().clone()),
    }
}

fn rejection(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Rejection> {
    let items = node.array(diagnostics)?;
    if items.len() == 0 {
        let help = "leave it out to match status 401".to_owned();
        node.note(diagnostics, "this list is empty", help);
    }
    let matchers = items.filter_map(|item| rules::rejection(item, diagnostics));
    Some(Rejection {
        matchers: matchers.collect(),
    })
}

fn pacing(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<DefaultPacing> {
    let mut section = node.section(diagnostics)?;
    let mut pacing = DefaultPacing::CAREFUL;
    for (key, limit) in [
        ("attempts", &mut pacing.attempts),
        ("logins", &mut pacing.logins),
        ("host", &mut pacing.host),
    ] {
        *limit = section.read(key, diagnostics, rate).unwrap_or(*limit);
    }
    if let Some(node) = section.take("host_in_flight")
        && let Some(most) = node.integer(1..=1000, diagnostics)
    {
        pacing.host_in_flight = most;
    }
    section.finish(diagnostics);
    Some(pacing)
}

fn rate(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<DefaultRate> {
    let mut section = node.section(diagnostics)?;
    let burst = section
        .require("burst", "how many may happen at once", diagnostics)
        .and_then(|node| node.integer(1..=1000, diagnostics));
    let how_long = "how long one takes to come back, such as \"1m\"";
    let period = section
        .require("every", how_long, diagnostics)
        .and_then(|node| node.nonzero_duration(LONGEST, diagnostics));
    section.finish(diagnostics);
    Some(DefaultRate {
        burst: burst?,
        period: period?,
    })
}
