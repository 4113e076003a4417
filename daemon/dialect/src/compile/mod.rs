//! From a dialect's merged tree to a compiled `Dialect`.
//!
//! Owns what each key of the language means and which settings contradict each other. Everything that can be wrong is found
//! here, so that a compiled dialect cannot fail for reasons of its own.

mod api;
mod body;
mod names;
mod reply;
mod request;
mod rules;
mod words;

use std::sync::Arc;

use crate::{
    dialect::{self, Dialect, Plan, Reuse},
    document::{self, Node},
    fields::{ACCESS_TOKEN, Kind, REFRESH_TOKEN},
    mistake::{DialectError, Mistakes},
    names::{Names, Slot},
    pacing::{Pacing, Rate},
    rejection::Rejection,
    reply::classify::Matcher,
    section::{self, Section},
};

const REUSE: &[(&str, Reuse)] = &[
    ("none", Reuse::None),
    ("rotates", Reuse::Rotates),
    ("rotates-and-reuse-revokes", Reuse::RotatesAndReuseRevokes),
    ("unknown", Reuse::Unknown),
];

/// Compiles a tree whose `extends` has been resolved.
pub(crate) fn compile(
    name: &str,
    own_text: Option<&str>,
    tree: &Node,
) -> Result<Dialect, DialectError> {
    let mut mistakes = Mistakes::default();
    match compile_into(name, own_text, tree, &mut mistakes) {
        Some(dialect) if mistakes.is_empty() => Ok(dialect),
        _ => Err(DialectError::new(name, mistakes.sorted())),
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one step for each table of a dialect"
)]
fn compile_into(
    name: &str,
    own_text: Option<&str>,
    tree: &Node,
    m: &mut Mistakes,
) -> Option<Dialect> {
    let mut top = Section::open(tree, m)?;
    let extends = top
        .take("extends")
        .and_then(|node| section::string(node, m));
    let _resolved = top.take("without");
    let summary = top
        .require("summary", m)
        .and_then(|node| section::string(node, m));
    if let (Some(text), Some(node)) = (summary, top.take("summary"))
        && (text.is_empty() || text.len() > 120 || text.contains('\n'))
    {
        m.add(
            &node.span,
            "the summary is one line of at most 120 bytes",
            None,
        );
    }
    let documentation = top
        .read("documentation", m, section::string)
        .unwrap_or_default()
        .to_owned();
    let names = names::read(&mut top, m);
    let shared_reply = top.take("reply");
    let shared_rules = top.read("rules", m, rules::read).unwrap_or_default();
    rules::check_secrets(&shared_rules, &names, top.take("rules"), m);
    let shared = Shared {
        reply: shared_reply,
        rules: shared_rules,
        names: &names,
    };
    let login = top
        .take("login")
        .and_then(|node| plan(Kind::Login, node, &shared, m));
    let refresh = top
        .take("refresh")
        .and_then(|node| plan(Kind::Refresh, node, &shared, m));
    if login.is_none() && refresh.is_none() && m.is_empty() {
        let help = "write a table `[login]` or `[refresh]`, or start with `extends = \"oauth2\"`";
        m.add(
            top.span,
            "the dialect says neither how to log in nor how to refresh",
            Some(help.to_owned()),
        );
    }
    let rejection = top.read("rejection", m, rejection);
    let present = top.read("api", m, api::read);
    let pacing = top.read("pacing", m, pacing).unwrap_or(Pacing::CAREFUL);
    top.finish(m);
    if !m.is_empty() {
        return None;
    }
    let (reuse, ends, needs) = refresh
        .as_ref()
        .map_or((Reuse::None, false, false), |(_, lifecycle)| *lifecycle);
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

fn effective(tree: &Node) -> toml::Table {
    let toml::Value::Table(mut table) = document::to_toml(tree) else {
        return toml::Table::new();
    };
    let _resolved = (table.remove("extends"), table.remove("without"));
    table
}

/// What login and refresh have in common.
struct Shared<'a> {
    reply: Option<&'a Node>,
    rules: Vec<crate::reply::classify::Rule>,
    names: &'a Names,
}

type Lifecycle = (Reuse, bool, bool);

fn plan(
    kind: Kind,
    node: &Node,
    shared: &Shared<'_>,
    m: &mut Mistakes,
) -> Option<(Plan, Lifecycle)> {
    let mut section = Section::open(node, m)?;
    let request = request::read(&mut section, shared.names, m);
    let merged = merged_reply(shared.reply, section.take("reply"));
    let mut rules = section.read("rules", m, rules::read).unwrap_or_default();
    rules::check(kind, &rules, section.take("rules"), m);
    rules::check_secrets(&rules, shared.names, section.take("rules"), m);
    rules.extend(
        shared
            .rules
            .iter()
            .filter(|rule| rules::suits(kind, rule))
            .cloned(),
    );
    let reply = reply::read(merged.as_ref(), rules, m);
    let mut lifecycle = (Reuse::Unknown, false, false);
    if kind == Kind::Refresh {
        lifecycle.0 = section
            .read("reuse", m, |node, m| section::word(node, REUSE, m))
            .unwrap_or(Reuse::Unknown);
        lifecycle.1 = section
            .read("ends_access_token", m, section::boolean)
            .unwrap_or(false);
        lifecycle.2 = section
            .read("needs_valid_access_token", m, section::boolean)
            .unwrap_or(false);
    }
    let slots: Vec<(&Slot, bool)> = request
        .layers
        .iter()
        .flat_map(crate::request::Layer::slots)
        .collect();
    let uses = |field: &str| {
        slots
            .iter()
            .any(|(slot, _)| matches!(slot, Slot::Field(name) if name == field))
    };
    if kind == Kind::Login && (uses(REFRESH_TOKEN) || uses(ACCESS_TOKEN)) {
        let help = "a login uses what the account always has; describe a request with `{refresh_token}` under `[refresh]`";
        m.add(
            section.span,
            "a login cannot use a token",
            Some(help.to_owned()),
        );
    }
    if kind == Kind::Refresh && m.is_empty() && !uses(REFRESH_TOKEN) && !uses(ACCESS_TOKEN) {
        let help = "put `{refresh_token}` where the provider wants it, or leave `[refresh]` out";
        m.add(
            section.span,
            "this refresh sends no refresh token",
            Some(help.to_owned()),
        );
    }
    section.finish(m);
    Some((
        Plan {
            request,
            reply: reply?,
        },
        lifecycle,
    ))
}

/// The shared `[reply]` with the request's own laid over it.
fn merged_reply(shared: Option<&Node>, own: Option<&Node>) -> Option<Node> {
    match (shared, own) {
        (Some(shared), Some(own)) => {
            let mut merged = shared.clone();
            document::merge(&mut merged, own.clone());
            Some(merged)
        }
        (one, other) => one.or(other).cloned(),
    }
}

fn rejection(node: &Node, m: &mut Mistakes) -> Option<Rejection> {
    let items = section::array(node, m)?;
    if items.is_empty() {
        m.add(
            &node.span,
            "this list is empty",
            Some("leave it out to match status 401".to_owned()),
        );
    }
    let matchers: Vec<Matcher> = items
        .iter()
        .filter_map(|item| rules::rejection(item, m))
        .collect();
    Some(Rejection { matchers })
}

fn pacing(node: &Node, m: &mut Mistakes) -> Option<Pacing> {
    let mut section = Section::open(node, m)?;
    let careful = Pacing::CAREFUL;
    let pacing = Pacing {
        attempts: section
            .read("attempts", m, rate)
            .unwrap_or(careful.attempts),
        logins: section.read("logins", m, rate).unwrap_or(careful.logins),
        host: section.read("host", m, rate).unwrap_or(careful.host),
        host_in_flight: section
            .read("host_in_flight", m, |node, m| {
                section::positive(node, 1000, m)
            })
            .unwrap_or(careful.host_in_flight),
    };
    section.finish(m);
    Some(pacing)
}

fn rate(node: &Node, m: &mut Mistakes) -> Option<Rate> {
    let mut section = Section::open(node, m)?;
    let burst = section
        .require("burst", m)
        .and_then(|node| section::positive(node, 1000, m));
    let period = section
        .require("every", m)
        .and_then(|node| section::nonzero_duration(node, m));
    section.finish(m);
    Some(Rate {
        burst: burst?,
        period: period?,
    })
}
