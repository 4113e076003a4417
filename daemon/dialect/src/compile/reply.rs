//! Reads `reply`: the place of each value, and the units of lifetimes.
//!
//! Owns the defaults, which are RFC 6749's names and the error shapes seen on real servers.

use std::time::Duration;

use http::HeaderName;

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
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads the merged `reply` table; all of it has defaults.
#[expect(
    clippy::too_many_lines,
    reason = "the defaults of every field stand here"
)]
pub(super) fn read(
    node: Option<Value<'_>>,
    rules: Vec<Rule>,
    diagnostics: &mut Diagnostics,
) -> Option<ReplyPlan> {
    let mut plan = ReplyPlan {
        access_token: pointers(&["/access_token"]),
        refresh_token: pointers(&["/refresh_token"]),
        token_type: pointers(&["/token_type"]),
        scope: pointers(&["/scope"]),
        token_types: Vec::new(),
        lifetime: LifetimePlan {
            from: vec![
                Origin::Field(LifetimeField {
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
    plan.token_types = section
        .read("token_types", diagnostics, token_types)
        .unwrap_or_default();
    for (key, setting) in [
        ("lifetime", &mut plan.lifetime),
        ("refresh_lifetime", &mut plan.refresh_lifetime),
    ] {
        if let Some(node) = section.take(key) {
            lifetime(node, setting, diagnostics);
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

/// A place or a list of places.
pub(super) fn places(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Place>> {
    if let Content::Array(items) = &node.content
        && items.is_empty()
    {
        // An empty list means no place at all: a dialect uses it to switch off an inherited setting.
        return Some(Vec::new());
    }
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
    Place::pointer(text)
        .inspect_err(|help| {
            node.note(
                diagnostics,
                format!("`{text}` is not a JSON pointer"),
                Some(format!("{help}: `/data/access_token`")),
            );
        })
        .ok()
}

fn place_of(section: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Option<Place> {
    let at = section.take("at");
    let header = section.take("header");
    let cookie = section.take("cookie");
    let prefix = section
        .read("prefix", diagnostics, Value::string)
        .map(str::to_owned);
    let place = match (at, header, cookie) {
        (Some(node), None, None) => node
            .string(diagnostics)
            .and_then(|text| pointer(text, node, diagnostics)),
        (None, Some(node), None) => header_name(node, diagnostics).map(Place::header),
        (None, None, Some(node)) => node.string(diagnostics).map(|name| Place {
            at: At::Cookie(name.to_owned()),
            prefix: None,
        }),
        _ => {
            let help = "`at` is a JSON pointer, `header` a header's name, `cookie` a cookie's name";
            section.note(
                diagnostics,
                "a place has exactly one of `at`, `header` and `cookie`",
                Some(help.to_owned()),
            );
            None
        }
    };
    place.map(|place| Place { prefix, ..place })
}

pub(super) fn header_name(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<HeaderName> {
    let text = node.string(diagnostics)?;
    let name = HeaderName::try_from(text).ok();
    if name.is_none() {
        node.note(diagnostics, format!("`{text}` is not a header name"), None);
    }
    name
}

fn token_types(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    let types: Vec<String> = node
        .strings(diagnostics)?
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    if types.iter().any(|name| name == "dpop") {
        let help = "each use of a DPoP token needs a proof signed with the holder's key (RFC 9449)";
        node.note(
            diagnostics,
            "a DPoP token cannot be handed out",
            Some(help.to_owned()),
        );
    }
    Some(types)
}

fn lifetime(node: Value<'_>, plan: &mut LifetimePlan, diagnostics: &mut Diagnostics) {
    let Some(mut section) = node.section(diagnostics) else {
        return;
    };
    if let Some(node) = section.take("from") {
        plan.from = node
            .one_or_many()
            .filter_map(|item| origin(item, diagnostics))
            .collect();
    }
    if let Some(take) = section.read("take", diagnostics, |node, diagnostics| {
        node.word(TAKES, diagnostics)
    }) {
        plan.take = take;
    }
    let nonzero = |value: Value<'_>, diagnostics: &mut Diagnostics| {
        value.nonzero_duration(super::words::LONGEST, diagnostics)
    };
    let at_most_longest = |value: Value<'_>, diagnostics: &mut Diagnostics| {
        value.duration(Duration::ZERO..=super::words::LONGEST, diagnostics)
    };
    if let Some(assumed) = section.read("assumed", diagnostics, nonzero) {
        plan.assumed = Some(assumed);
    }
    if let Some(min) = section.read("min", diagnostics, at_most_longest) {
        plan.min = min;
    }
    if let Some(max) = section.read("max", diagnostics, nonzero) {
        plan.max = max;
    }
    if plan.min > plan.max {
        section.note(diagnostics, "`min` is longer than `max`", None);
    }
    if plan
        .assumed
        .is_some_and(|assumed| assumed > plan.max || assumed < plan.min)
    {
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
    let token = section.read("jwt", diagnostics, |node, diagnostics| {
        node.word(TOKENS, diagnostics)
    });
    section.finish(diagnostics);
    token.map(Origin::Jwt)
}

/// A place with a unit; for a time, also the place of the time to count it from.
fn counted(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<LifetimeField> {
    let Content::Table(table) = &node.content else {
        return measure(node, diagnostics);
    };
    let Some(reference) = table.find("since").map(Value::from) else {
        return measure(node, diagnostics);
    };
    let mut section = node.section(diagnostics)?;
    let _reference = section.take("since");
    let read = measure_of(&mut section, diagnostics);
    section.finish(diagnostics);
    let read = read?;
    if !read.unit.is_time() {
        let help = "`since` is what a time is counted from: give the source a `unit` that is a time, or leave `since` out";
        reference.note(
            diagnostics,
            format!("`since` beside a number of {}", read.unit.name()),
            Some(help.to_owned()),
        );
        return None;
    }
    let since = match &reference.content {
        // A bare pointer is a time in the same unit.
        Content::String(text) => LifetimeField {
            place: pointer(text, reference, diagnostics)?,
            unit: read.unit,
            since: None,
        },
        _ => measure(reference, diagnostics)?,
    };
    if !since.unit.is_time() {
        let help = "give it a `unit` that is a time: `since = { at = \"/issued_at\", unit = \"unix-seconds\" }`";
        reference.note(diagnostics, "`since` is not a time", Some(help.to_owned()));
        return None;
    }
    Some(LifetimeField {
        since: Some(Box::new(since)),
        ..read
    })
}

/// A place with a unit; a bare pointer means seconds.
fn measure(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<LifetimeField> {
    if let Content::String(text) = &node.content {
        return Some(LifetimeField {
            place: pointer(text, node, diagnostics)?,
            unit: Unit::Seconds,
            since: None,
        });
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
    Some(LifetimeField {
        place: place?,
        unit: unit?,
        since: None,
    })
}
