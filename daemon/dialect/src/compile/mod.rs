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

use std::sync::Arc;

use tokend_document::{Diagnostics, Node, Section, Value};

use self::words::LONGEST;
use crate::{
    dialect::{self, DeclaredReuse, Dialect, ExchangePlan},
    error::DialectError,
    fields::{ACCESS_TOKEN, ExchangeKind, REFRESH_TOKEN},
    merge,
    names::{Names, Placeholder},
    pacing::{DefaultPacing, DefaultRate},
    rejection::Rejection,
    reply::classify::Matcher,
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
    own_text: Option<&str>,
    tree: Value<'_>,
) -> Result<Dialect, DialectError> {
    let mut diagnostics = Diagnostics::default();
    match compile_into(name, own_text, tree, &mut diagnostics) {
        Some(dialect) if diagnostics.is_empty() => Ok(dialect),
        _ => Err(DialectError::new(name, diagnostics.sorted())),
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one step for each table of a dialect"
)]
fn compile_into(
    name: &str,
    own_text: Option<&str>,
    tree: Value<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Dialect> {
    let mut top = tree.section(diagnostics)?;
    let extends = top
        .take("extends")
        .and_then(|node| node.string(diagnostics));
    let _resolved = top.take("without");
    let summary = top
        .require("summary", "one line that says whose API it is", diagnostics)
        .and_then(|node| node.string(diagnostics));
    if let (Some(text), Some(node)) = (summary, top.take("summary"))
        && (text.is_empty() || text.len() > 120 || text.contains('\n'))
    {
        node.note(
            diagnostics,
            "the summary is one line of at most 120 bytes",
            None,
        );
    }
    let documentation = top
        .read("documentation", diagnostics, Value::string)
        .unwrap_or_default()
        .to_owned();
    let names = names::read(&mut top, diagnostics);
    let shared_reply = top.take("reply");
    let shared_rules = top
        .read("rules", diagnostics, rules::read)
        .unwrap_or_default();
    rules::check_secrets(&shared_rules, &names, top.take("rules"), diagnostics);
    let shared = Shared {
        reply: shared_reply,
        rules: shared_rules,
        names: &names,
    };
    let login = top
        .take("login")
        .and_then(|node| plan(ExchangeKind::Login, node, &shared, diagnostics));
    let refresh = top
        .take("refresh")
        .and_then(|node| plan(ExchangeKind::Refresh, node, &shared, diagnostics));
    if login.is_none() && refresh.is_none() && diagnostics.is_empty() {
        let help = "write a table `[login]` or `[refresh]`, or start with `extends = \"oauth2\"`";
        top.note(
            diagnostics,
            "the dialect says neither how to log in nor how to refresh",
            Some(help.to_owned()),
        );
    }
    let rejection = top.read("rejection", diagnostics, rejection);
    let present = top.read("api", diagnostics, api::read);
    let pacing = top
        .read("pacing", diagnostics, pacing)
        .unwrap_or(DefaultPacing::CAREFUL);
    top.finish(diagnostics);
    if !diagnostics.is_empty() {
        return None;
    }
    let (reuse, ends, needs) = refresh
        .as_ref()
        .map_or((DeclaredReuse::None, false, false), |(_, lifecycle)| {
            *lifecycle
        });
    let effective = effective(tree);
    Some(Dialect {
        name: name.into(),
        summary: summary.unwrap_or_default().into(),
        documentation: documentation.into(),
        extends: extends.map(Box::from),
        own_text: own_text.map(Arc::from),
        digest: dialect::digest(&effective),
        effective,
        login: login.map(|(plan, _)| plan),
        refresh: refresh.map(|(plan, _)| plan),
        names,
        rejection: rejection.unwrap_or_else(|| Rejection {
            matchers: vec![unauthorized()],
        }),
        present: present.map(Box::from),
        pacing,
        reuse,
        refresh_ends_access_token: ends,
        refresh_needs_valid_access_token: needs,
    })
}

/// RFC 6750 section 3.1: a resource answers 401 to a token that is expired, revoked or malformed.
fn unauthorized() -> Matcher {
    Matcher {
        status: vec![401..=401],
        ..Matcher::default()
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
    rules: Vec<crate::reply::classify::Rule>,
    names: &'a Names,
}

type Lifecycle = (DeclaredReuse, bool, bool);

fn plan(
    kind: ExchangeKind,
    node: Value<'_>,
    shared: &Shared<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<(ExchangePlan, Lifecycle)> {
    let mut section = node.section(diagnostics)?;
    let request = request::read(&mut section, shared.names, diagnostics);
    let merged = merged_reply(shared.reply, section.take("reply"));
    let mut rules = section
        .read("rules", diagnostics, rules::read)
        .unwrap_or_default();
    rules::check(kind, &rules, section.take("rules"), diagnostics);
    rules::check_secrets(&rules, shared.names, section.take("rules"), diagnostics);
    rules.extend(
        shared
            .rules
            .iter()
            .filter(|rule| rules::suits(kind, rule))
            .cloned(),
    );
    let reply = reply::read(merged.as_ref().map(Value::from), rules, diagnostics);
    let lifecycle = match kind {
        ExchangeKind::Login => (DeclaredReuse::Unknown, false, false),
        ExchangeKind::Refresh => lifecycle(&mut section, diagnostics),
    };
    let placeholders: Vec<(&Placeholder, bool)> = request
        .layers
        .iter()
        .flat_map(crate::request::Layer::placeholders)
        .collect();
    let uses = |field: &str| {
        placeholders.iter().any(
            |(placeholder, _)| matches!(placeholder, Placeholder::Field(name) if name == field),
        )
    };
    if kind == ExchangeKind::Login && (uses(REFRESH_TOKEN) || uses(ACCESS_TOKEN)) {
        let help = "a login uses what the account always has; describe a request with `{refresh_token}` under `[refresh]`";
        section.note(
            diagnostics,
            "a login cannot use a token",
            Some(help.to_owned()),
        );
    }
    if kind == ExchangeKind::Refresh
        && diagnostics.is_empty()
        && !uses(REFRESH_TOKEN)
        && !uses(ACCESS_TOKEN)
    {
        let help = "put `{refresh_token}` where the provider wants it, or leave `[refresh]` out";
        section.note(
            diagnostics,
            "this refresh sends no refresh token",
            Some(help.to_owned()),
        );
    }
    section.finish(diagnostics);
    Some((
        ExchangePlan {
            request,
            reply: reply?,
        },
        lifecycle,
    ))
}

/// The effect of a refresh on earlier tokens.
fn lifecycle(section: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Lifecycle {
    let reuse = section.read("reuse", diagnostics, |node, diagnostics| {
        node.word(REUSE, diagnostics)
    });
    let ends = section.read("ends_access_token", diagnostics, Value::boolean);
    let needs = section.read("needs_valid_access_token", diagnostics, Value::boolean);
    let reuse = reuse.unwrap_or(DeclaredReuse::Unknown);
    (reuse, ends.unwrap_or(false), needs.unwrap_or(false))
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
        node.note(
            diagnostics,
            "this list is empty",
            Some("leave it out to match status 401".to_owned()),
        );
    }
    let matchers: Vec<Matcher> = items
        .filter_map(|item| rules::rejection(item, diagnostics))
        .collect();
    Some(Rejection { matchers })
}

fn pacing(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<DefaultPacing> {
    let mut section = node.section(diagnostics)?;
    let careful = DefaultPacing::CAREFUL;
    let pacing = DefaultPacing {
        attempts: section
            .read("attempts", diagnostics, rate)
            .unwrap_or(careful.attempts),
        logins: section
            .read("logins", diagnostics, rate)
            .unwrap_or(careful.logins),
        host: section
            .read("host", diagnostics, rate)
            .unwrap_or(careful.host),
        host_in_flight: section
            .read("host_in_flight", diagnostics, |node, diagnostics| {
                node.integer(1..=1000, diagnostics)
            })
            .unwrap_or(careful.host_in_flight),
    };
    section.finish(diagnostics);
    Some(pacing)
}

fn rate(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<DefaultRate> {
    let mut section = node.section(diagnostics)?;
    let burst = section
        .require("burst", "how many may happen at once", diagnostics)
        .and_then(|node| node.integer(1..=1000, diagnostics));
    let period = section
        .require(
            "every",
            "how long one takes to come back, such as \"1m\"",
            diagnostics,
        )
        .and_then(|node| node.nonzero_duration(LONGEST, diagnostics));
    section.finish(diagnostics);
    Some(DefaultRate {
        burst: burst?,
        period: period?,
    })
}
