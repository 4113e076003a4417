//! Reads `reply`: where each value stands, and how lifetimes are told.
//!
//! Owns the defaults, which are RFC 6749's names and the error shapes seen on real servers.

use std::time::Duration;

use http::HeaderName;

use crate::{
    document::{Node, Value},
    mistake::Mistakes,
    reply::{
        classify::Rule,
        lifetime::{LifetimePlan, Origin, Take, Token, Told, UNITS, Unit},
        parsed::{At, Place},
        plan::ReplyPlan,
    },
    section::{self, Section, one_or_many},
};

const TOKENS: &[(&str, Token)] = &[
    ("access_token", Token::Access),
    ("refresh_token", Token::Refresh),
];
const TAKES: &[(&str, Take)] = &[("first", Take::First), ("shortest", Take::Shortest)];

/// Where real servers put an error code.
const CODES: &[&str] = &[
    "/errcode",
    "/error/code",
    "/error/code_reason",
    "/error/status",
    "/error",
    "/code",
    "/code_reason",
    "/errors/0/extensions/code",
    "/__type",
    "/error_code",
];
/// Where real servers put a sentence.
const TEXTS: &[&str] = &[
    "/error_description",
    "/error/message",
    "/message",
    "/detail",
    "/msg",
    "/errors/0/message",
    "/title",
    "/message/message",
    "/error",
];
/// An access token that lives longer than a year is taken to live a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads the merged `reply` table; all of it has defaults.
#[expect(
    clippy::too_many_lines,
    reason = "the defaults of every field stand here"
)]
pub(super) fn read(node: Option<&Node>, rules: Vec<Rule>, m: &mut Mistakes) -> Option<ReplyPlan> {
    let mut plan = ReplyPlan {
        access_token: pointers(&["/access_token"]),
        refresh_token: pointers(&["/refresh_token"]),
        token_type: pointers(&["/token_type"]),
        scope: pointers(&["/scope"]),
        token_types: Vec::new(),
        lifetime: LifetimePlan {
            from: vec![
                Origin::Told(Told {
                    place: pointers(&["/expires_in"]).pop()?,
                    unit: Unit::Seconds,
                    since: None,
                }),
                Origin::Jwt(Token::Access),
            ],
            take: Take::First,
            assumed: None,
            min: Duration::ZERO,
            max: LONGEST,
        },
        refresh_lifetime: LifetimePlan {
            from: Vec::new(),
            take: Take::First,
            assumed: None,
            min: Duration::ZERO,
            max: LONGEST * 10,
        },
        error_code: pointers(CODES),
        error_text: pointers(TEXTS),
        retry_after: Vec::new(),
        rules,
    };
    let Some(node) = node else { return Some(plan) };
    let mut section = Section::open(node, m)?;
    for (key, slot) in [
        ("access_token", &mut plan.access_token),
        ("refresh_token", &mut plan.refresh_token),
        ("token_type", &mut plan.token_type),
        ("scope", &mut plan.scope),
        ("error_code", &mut plan.error_code),
        ("error_text", &mut plan.error_text),
    ] {
        if let Some(places) = section.read(key, m, places) {
            *slot = places;
        }
    }
    plan.token_types = section
        .read("token_types", m, token_types)
        .unwrap_or_default();
    for (key, slot) in [
        ("lifetime", &mut plan.lifetime),
        ("refresh_lifetime", &mut plan.refresh_lifetime),
    ] {
        if let Some(node) = section.take(key) {
            lifetime(node, slot, m);
        }
    }
    if let Some(node) = section.take("retry_after") {
        plan.retry_after = one_or_many(node)
            .iter()
            .filter_map(|item| told(item, m))
            .collect();
    }
    section.finish(m);
    Some(plan)
}

fn pointers(texts: &[&str]) -> Vec<Place> {
    texts
        .iter()
        .filter_map(|text| Place::pointer(text).ok())
        .collect()
}

/// A place or a list of places.
pub(super) fn places(node: &Node, m: &mut Mistakes) -> Option<Vec<Place>> {
    if let Value::Array(items) = &node.value
        && items.is_empty()
    {
        // Nothing to look at: a dialect says so to switch off what it inherits.
        return Some(Vec::new());
    }
    one_or_many(node)
        .iter()
        .map(|item| place(item, m))
        .collect()
}

/// `"/pointer"`, `{ at = "/pointer" }`, `{ header = "x-name" }` or `{ cookie = "name" }`, each with an optional `prefix`.
fn place(node: &Node, m: &mut Mistakes) -> Option<Place> {
    if let Value::String(text) = &node.value {
        return pointer(text, node, m);
    }
    let mut section = Section::open(node, m)?;
    let place = place_of(&mut section, m);
    section.finish(m);
    place
}

fn pointer(text: &str, node: &Node, m: &mut Mistakes) -> Option<Place> {
    Place::pointer(text)
        .inspect_err(|help| {
            m.add(
                &node.span,
                format!("`{text}` is not a JSON pointer"),
                Some(format!("{help}: `/data/access_token`")),
            );
        })
        .ok()
}

fn place_of(section: &mut Section<'_>, m: &mut Mistakes) -> Option<Place> {
    let at = section.take("at");
    let header = section.take("header");
    let cookie = section.take("cookie");
    let prefix = section
        .read("prefix", m, section::string)
        .map(str::to_owned);
    let place = match (at, header, cookie) {
        (Some(node), None, None) => {
            section::string(node, m).and_then(|text| pointer(text, node, m))
        }
        (None, Some(node), None) => header_name(node, m).map(Place::header),
        (None, None, Some(node)) => section::string(node, m).map(|name| Place {
            at: At::Cookie(name.to_owned()),
            prefix: None,
        }),
        _ => {
            let help = "`at` is a JSON pointer, `header` a header's name, `cookie` a cookie's name";
            m.add(
                section.span,
                "a place has exactly one of `at`, `header` and `cookie`",
                Some(help.to_owned()),
            );
            None
        }
    };
    place.map(|place| Place { prefix, ..place })
}

pub(super) fn header_name(node: &Node, m: &mut Mistakes) -> Option<HeaderName> {
    let text = section::string(node, m)?;
    let name = HeaderName::try_from(text).ok();
    if name.is_none() {
        m.add(&node.span, format!("`{text}` is not a header name"), None);
    }
    name
}

fn token_types(node: &Node, m: &mut Mistakes) -> Option<Vec<String>> {
    let types: Vec<String> = section::strings(node, m)?
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    if types.iter().any(|name| name == "dpop") {
        let help = "each use of a DPoP token needs a proof signed with the holder's key (RFC 9449)";
        m.add(
            &node.span,
            "a DPoP token cannot be handed out",
            Some(help.to_owned()),
        );
    }
    Some(types)
}

fn lifetime(node: &Node, plan: &mut LifetimePlan, m: &mut Mistakes) {
    let Some(mut section) = Section::open(node, m) else {
        return;
    };
    if let Some(node) = section.take("from") {
        plan.from = one_or_many(node)
            .iter()
            .filter_map(|item| origin(item, m))
            .collect();
    }
    if let Some(take) = section.read("take", m, |node, m| section::word(node, TAKES, m)) {
        plan.take = take;
    }
    if let Some(assumed) = section.read("assumed", m, section::nonzero_duration) {
        plan.assumed = Some(assumed);
    }
    if let Some(min) = section.read("min", m, section::duration) {
        plan.min = min;
    }
    if let Some(max) = section.read("max", m, section::nonzero_duration) {
        plan.max = max;
    }
    if plan.min > plan.max {
        m.add(section.span, "`min` is longer than `max`", None);
    }
    if plan
        .assumed
        .is_some_and(|assumed| assumed > plan.max || assumed < plan.min)
    {
        m.add(section.span, "`assumed` is outside `min` and `max`", None);
    }
    section.finish(m);
}

/// A source of a lifetime: a place with a unit, or `{ jwt = "access_token" }`.
fn origin(node: &Node, m: &mut Mistakes) -> Option<Origin> {
    let is_jwt = matches!(&node.value, Value::Table(table) if table.find("jwt").is_some());
    if !is_jwt {
        return counted(node, m).map(Origin::Told);
    }
    let mut section = Section::open(node, m)?;
    let token = section.read("jwt", m, |node, m| section::word(node, TOKENS, m));
    section.finish(m);
    token.map(Origin::Jwt)
}

/// A place with a unit, and for a time the place of the time to count it from.
fn counted(node: &Node, m: &mut Mistakes) -> Option<Told> {
    let Value::Table(table) = &node.value else {
        return told(node, m);
    };
    let Some(reference) = table.find("since") else {
        return told(node, m);
    };
    let mut section = Section::open(node, m)?;
    let _reference = section.take("since");
    let read = told_of(&mut section, m);
    section.finish(m);
    let read = read?;
    if !read.unit.is_time() {
        let help = "`since` is what a time is counted from: give the source a `unit` that is a time, or leave `since` out";
        m.add(
            &reference.span,
            format!("`since` beside a number of {}", read.unit.name()),
            Some(help.to_owned()),
        );
        return None;
    }
    let since = match &reference.value {
        // A bare pointer is a time of the same form.
        Value::String(text) => Told {
            place: pointer(text, reference, m)?,
            unit: read.unit,
            since: None,
        },
        _ => told(reference, m)?,
    };
    if !since.unit.is_time() {
        let help = "give it a `unit` that is a time: `since = { at = \"/issued_at\", unit = \"unix-seconds\" }`";
        m.add(
            &reference.span,
            "`since` is not a time",
            Some(help.to_owned()),
        );
        return None;
    }
    Some(Told {
        since: Some(Box::new(since)),
        ..read
    })
}

/// A place with a unit; a bare pointer means seconds.
fn told(node: &Node, m: &mut Mistakes) -> Option<Told> {
    if let Value::String(text) = &node.value {
        return Some(Told {
            place: pointer(text, node, m)?,
            unit: Unit::Seconds,
            since: None,
        });
    }
    let mut section = Section::open(node, m)?;
    let told = told_of(&mut section, m);
    section.finish(m);
    told
}

fn told_of(section: &mut Section<'_>, m: &mut Mistakes) -> Option<Told> {
    let place = place_of(section, m);
    let unit = match section.take("unit") {
        Some(node) => section::word(node, UNITS, m),
        None => Some(Unit::Seconds),
    };
    Some(Told {
        place: place?,
        unit: unit?,
        since: None,
    })
}
