//! Reads `reply`: the place of each value, and the units of lifetimes.
//!
//! Owns the defaults, which are RFC 6749's names and the error shapes seen on real servers.

use std::time::Duration;

use http::HeaderName;

use super::words::LONGEST;
use tokend_document::{Content, Diagnostics, Section, Value};

use crate::reply::{
    classify::Rule,
    lifetime::{LifetimeField, LifetimePlan, Origin, Take, Token, UNITS, Unit},
    parsed::{At, Place},
    plan::ReplyPlan,
};

const TOKENS: &[(&str, Token)] = &[
    ("access_token", Token::Access),
    ("refresh_token", Token::Refresh),
];
const TAKES: &[(&str, Take)] = &[("first", Take::First), ("shortest", Take::Shortest)];

/// The places where real servers put an error code.
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
/// The places where real servers put an error sentence.
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
/// A longer lifetime of an access token is cut to a year.
const LONGEST_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// The plan of a dialect that says nothing about replies.
fn defaults(rules: Vec<Rule>) -> ReplyPlan {
    let expires_in = pointers(&["/expires_in"]).into_iter().map(in_seconds);
    let lifetime = LifetimePlan {
        from: expires_in
            .map(Origin::Field)
            .chain([Origin::Jwt(Token::Access)])
            .collect(),
        take: Take::First,
        assumed: None,
        min: Duration::ZERO,
        max: LONGEST_LIFETIME,
    };
    ReplyPlan {
        access_token: pointers(&["/access_token"]),
        refresh_token: pointers(&["/refresh_token"]),
        token_type: pointers(&["/token_type"]),
        scope: pointers(&["/scope"]),
        token_types: Vec::new(),
        refresh_lifetime: LifetimePlan {
            from: Vec::new(),
            max: LONGEST_LIFETIME * 10,
            ..lifetime.clone()
        },
        lifetime,
        error_code: pointers(CODES),
        error_text: pointers(TEXTS),
        retry_after: Vec::new(),
        rules,
    }
}

/// Reads the merged `reply` table; all of it has defaults.
pub(super) fn read(
    node: Option<Value<'_>>,
    rules: Vec<Rule>,
    diagnostics: &mut Diagnostics,
) -> Option<ReplyPlan> {
    let mut plan = defaults(rules);
    let Some(node) = node else { return Some(plan) };
    let mut section = node.section(diagnostics)?;
    for (key, setting) in [
        ("access_token", &mut plan.access_token),
        ("refresh_token", &mut plan.refresh_token),
        ("token_type", &mut plan.token_type),
        ("scope", &mut plan.scope),
        ("error_code", &mut plan.error_code),
        ("error_text", &mut plan.error_text),
    ] {
        if let Some(places) = section.read(key, diagnostics, places) {
            *setting = places;
        }
    }
    let token_types = section.read("token_types", diagnostics, token_types);
    plan.token_types = token_types.unwrap_or_default();
    for (key, setting) in [
        ("lifetime", &mut plan.lifetime),
        ("refresh_lifetime", &mut plan.refresh_lifetime),
    ] {
        if let Some(section) = section.section(key, diagnostics) {
            lifetime(section, setting, diagnostics);
        }
    }
    if let Some(node) = section.take("retry_after") {
        plan.retry_after = node
            .one_or_many()
            .filter_map(|item| measure(item, diagnostics))
            .collect();
    }
    section.finish(diagnostics);
    Some(plan)
}

fn pointers(texts: &[&str]) -> Vec<Place> {
    texts
        .iter()
        .filter_map(|text| Place::pointer(text).ok())
        .collect()
}

/// A place or a list of places. An empty list means no place at all: a dialect uses it to switch off an inherited setting.
pub(super) fn places(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Place>> {
    node.one_or_many()
        .map(|item| place(item, diagnostics))
        .collect()
}

/// `"/pointer"`, `{ at = "/pointer" }`, `{ header = "x-name" }` or `{ cookie = "name" }`, each with an optional `prefix`.
fn place(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Place> {
    if let Content::String(text) = &node.content {
        return pointer(text, node, diagnostics);
    }
    let mut section = node.section(diagnostics)?;
    let place = place_of(&mut section, diagnostics);
    section.finish(diagnostics);
    place
}

fn pointer(text: &str, node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Place> {
    Place::pointer(text).map_or_else(
        |help| {
            let message = format!("`{text}` is not a JSON pointer");
            node.wrong(
                diagnostics,
                message,
                format!("{help}: `/data/access_token`"),
            )
        },
        Some,
    )
}

fn place_of(section: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Option<Place> {
    let [at, header, cookie] = ["at", "header", "cookie"].map(|key| section.take(key));
    let prefix = section.read("prefix", diagnostics, Value::string);
    let at = match (at, header, cookie) {
        (Some(node), None, None) => pointer(node.string(diagnostics)?, node, diagnostics)?.at,
        (None, Some(node), None) => At::Header(header_name(node, diagnostics)?),
        (None, None, Some(node)) => At::Cookie(node.string(diagnostics)?.to_owned()),
        _ => {
            let message = "a place has exactly one of `at`, `header` and `cookie`";
            let help = "`at` is a JSON pointer, `header` a header's name, `cookie` a cookie's name";
            section.note(diagnostics, message, help.to_owned());
            return None;
        }
    };
    let prefix = prefix.map(str::to_owned);
    Some(Place { at, prefix })
}

pub(super) fn header_name(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<HeaderName> {
    let text = node.string(diagnostics)?;
    let name = HeaderName::try_from(text).ok();
    name.or_else(|| node.wrong(diagnostics, format!("`{text}` is not a header name"), None))
}

fn token_types(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    let mut types = node.strings(diagnostics)?;
    types
        .iter_mut()
        .for_each(|name| name.make_ascii_lowercase());
    if types.iter().any(|name| name == "dpop") {
        let help = "each use of a DPoP token needs a proof signed with the holder's key (RFC 9449)";
        node.note(
            diagnostics,
            "a DPoP token cannot be handed out",
            help.to_owned(),
        );
    }
    Some(types)
}

fn lifetime(mut section: Section<'_>, plan: &mut LifetimePlan, diagnostics: &mut Diagnostics) {
    if let Some(node) = section.take("from") {
        plan.from = node
            .one_or_many()
            .filter_map(|item| origin(item, diagnostics))
            .collect();
    }
    plan.take = section
        .word("take", TAKES, diagnostics)
        .unwrap_or(plan.take);
    let assumed = section.take("assumed");
    let assumed = assumed.and_then(|node| node.nonzero_duration(LONGEST, diagnostics));
    plan.assumed = assumed.or(plan.assumed);
    let min = section.take("min");
    let min = min.and_then(|node| node.duration(Duration::ZERO..=LONGEST, diagnostics));
    plan.min = min.unwrap_or(plan.min);
    let max = section.take("max");
    let max = max.and_then(|node| node.nonzero_duration(LONGEST, diagnostics));
    plan.max = max.unwrap_or(plan.max);
    let is_outside = |assumed| assumed > plan.max || assumed < plan.min;
    if plan.min > plan.max {
        section.note(diagnostics, "`min` is longer than `max`", None);
    }
    if plan.assumed.is_some_and(is_outside) {
        section.note(diagnostics, "`assumed` is outside `min` and `max`", None);
    }
    section.finish(diagnostics);
}

/// A source of a lifetime: a place with a unit, or `{ jwt = "access_token" }`.
fn origin(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Origin> {
    let is_jwt = matches!(&node.content, Content::Table(table) if table.find("jwt").is_some());
    if !is_jwt {
        return counted(node, diagnostics).map(Origin::Field);
    }
    let mut section = node.section(diagnostics)?;
    let token = section.word("jwt", TOKENS, diagnostics);
    section.finish(diagnostics);
    token.map(Origin::Jwt)
}

/// A place with a unit; for a time, also the place of the time to count it from.
fn counted(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<LifetimeField> {
    let since = match &node.content {
        Content::Table(table) => table.find("since").map(Value::from),
        _ => None,
    };
    let Some(reference) = since else {
        return measure(node, diagnostics);
    };
    let mut section = node.section(diagnostics)?;
    section.ignore("since");
    let read = measure_of(&mut section, diagnostics);
    section.finish(diagnostics);
    let read = read?;
    if !read.unit.is_time() {
        let message = format!("`since` beside a number of {}", read.unit.name());
        let help = "`since` is what a time is counted from: give the source a `unit` that is a time, or leave `since` out";
        return reference.wrong(diagnostics, message, help.to_owned());
    }
    let since = match &reference.content {
        // A bare pointer is a time in the same unit.
        Content::String(text) => LifetimeField {
            unit: read.unit,
            ..in_seconds(pointer(text, reference, diagnostics)?)
        },
        _ => measure(reference, diagnostics)?,
    };
    if !since.unit.is_time() {
        let help = "give it a `unit` that is a time: `since = { at = \"/issued_at\", unit = \"unix-seconds\" }`";
        return reference.wrong(diagnostics, "`since` is not a time", help.to_owned());
    }
    Some(LifetimeField {
        since: Some(Box::new(since)),
        ..read
    })
}

/// A place with a unit; a bare pointer means seconds.
fn measure(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<LifetimeField> {
    if let Content::String(text) = &node.content {
        return pointer(text, node, diagnostics).map(in_seconds);
    }
    let mut section = node.section(diagnostics)?;
    let measure = measure_of(&mut section, diagnostics);
    section.finish(diagnostics);
    measure
}

fn measure_of(section: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Option<LifetimeField> {
    let place = place_of(section, diagnostics);
    let unit = match section.take("unit") {
        Some(node) => node.word(UNITS, diagnostics),
        None => Some(Unit::Seconds),
    };
    let unit = unit?;
    place.map(|place| LifetimeField {
        unit,
        ..in_seconds(place)
    })
}

fn in_seconds(place: Place) -> LifetimeField {
    LifetimeField {
        place,
        unit: Unit::Seconds,
        since: None,
    }
}
