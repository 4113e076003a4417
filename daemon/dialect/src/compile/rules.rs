//! Reads rules: the conditions on a reply, and the meaning of a reply that meets them.
//!
//! Owns the words for classes and statuses. A rule that matches everything, or whose meaning its request cannot have, is a mistake.

use std::{ops::RangeInclusive, time::Duration};

use super::{reply::places, words::LONGEST};
use tokend_document::{Content, Diagnostics, Section, Value};

use crate::{
    fields::ExchangeKind,
    names::Names,
    reply::{
        classify::{Class, Matcher, NoAnswer, Processed, Rule},
        provider_message::TEXT_LIMIT,
    },
};

const CLASSES: &[(&str, Class)] = &[
    ("busy", Class::Busy),
    ("credential-rejected", Class::CredentialRejected),
    ("refresh-token-rejected", Class::RefreshRejected),
    ("misconfigured", Class::Misconfigured),
    ("misbehaved", Class::Misbehaved),
    ("unrecognised", Class::Unrecognised),
];

const SILENCES: &[(&str, NoAnswer)] = &[("any", NoAnswer::Any), ("closed", NoAnswer::Closed)];
const PROCESSED: &[(&str, Processed)] = &[("no", Processed::No), ("maybe", Processed::Maybe)];

/// The rules of a table, in order. Without a `kind` they are for both requests.
pub(super) fn read(
    section: &mut Section<'_>,
    kind: Option<ExchangeKind>,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<Rule> {
    let Some(node) = section.take("rules") else {
        return Vec::new();
    };
    let items = node.array(diagnostics).into_iter().flatten();
    let rules: Vec<Rule> = items.filter_map(|item| rule(item, diagnostics)).collect();
    if kind.is_some_and(|kind| rules.iter().any(|rule| !suits(kind, rule))) {
        let message = "a login's rule has class `refresh-token-rejected`";
        let help = "a login sends no refresh token; say `credential-rejected`, or move the rule to `[[refresh.rules]]`";
        node.note(diagnostics, message, help.to_owned());
    }
    check_secrets(node, &rules, names, diagnostics);
    rules
}

/// Whether a rule shared by both requests makes sense for one of them.
pub(super) fn suits(kind: ExchangeKind, rule: &Rule) -> bool {
    kind == ExchangeKind::Refresh || rule.class != Class::RefreshRejected
}

fn rule(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Rule> {
    let mut section = node.section(diagnostics)?;
    let (no_answer, matcher) = match section.take("no_answer") {
        Some(node) => {
            without_reply(node, &mut section, diagnostics);
            (no_answer(node, diagnostics), Matcher::default())
        }
        None => (None, matcher(&mut section, diagnostics)),
    };
    let class = section
        .require(
            "class",
            "what it means, such as `class = \"busy\"`",
            diagnostics,
        )
        .and_then(|node| node.word(CLASSES, diagnostics));
    let [retry_after, processed, say, secret] =
        ["retry_after", "processed", "say", "secret"].map(|key| section.take(key));
    section.finish(diagnostics);
    let mut only = |node: Option<Value<'_>>, fits: bool, message| {
        if let Some(node) = node.filter(|_| class.is_some() && !fits) {
            node.note(diagnostics, message, None);
        }
    };
    only(
        secret,
        class == Some(Class::CredentialRejected),
        "only a rule with class `credential-rejected` says which secret it is about",
    );
    only(
        retry_after,
        class == Some(Class::Busy),
        "only a rule with class `busy` has a time to retry",
    );
    only(
        processed,
        class != Some(Class::RefreshRejected),
        "a rule with class `refresh-token-rejected` gives the refresh token up, whatever was processed",
    );
    let text = say.and_then(|node| node.string(diagnostics));
    if let (Some(node), Some(text)) = (say, text)
        && text.chars().count() > TEXT_LIMIT
    {
        let message = format!("this sentence is longer than {TEXT_LIMIT} characters");
        node.note(diagnostics, message, None);
    }
    let retry_after =
        retry_after.and_then(|node| node.duration(Duration::ZERO..=LONGEST, diagnostics));
    Some(Rule {
        no_answer,
        matcher,
        retry_after,
        processed: processed.and_then(|node| node.word(PROCESSED, diagnostics)),
        say: text.map(str::to_owned),
        secret: secret.and_then(|node| node.string(diagnostics).map(str::to_owned)),
        class: class?,
    })
}

/// Checks that each secret named in a rule is one that an account can have.
fn check_secrets(node: Value<'_>, rules: &[Rule], names: &Names, diagnostics: &mut Diagnostics) {
    let own = names.fields.iter().filter(|field| field.secret);
    let known: Vec<&str> = ["password", "client_secret"]
        .into_iter()
        .chain(own.map(|field| field.name.as_str()))
        .collect();
    let named = rules.iter().filter_map(|rule| rule.secret.as_deref());
    for name in named.filter(|name| !known.contains(name)) {
        let message = format!("a rule is about `{name}`, which is not a secret of an account");
        let help = format!("valid here: `{}`", known.join("`, `"));
        node.note(diagnostics, message, help);
    }
}

/// `true` or `"any"`, and `"closed"`.
fn no_answer(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<NoAnswer> {
    let Content::Boolean(it) = &node.content else {
        return node.word(SILENCES, diagnostics);
    };
    if !it {
        let help = "leave the line out, and say `status`, `code` or `text`".to_owned();
        node.note(
            diagnostics,
            "`no_answer = false` would match every reply",
            help,
        );
    }
    it.then_some(NoAnswer::Any)
}

/// Refuses conditions on the reply in a rule about a missing answer.
fn without_reply(node: Value<'_>, section: &mut Section<'_>, diagnostics: &mut Diagnostics) {
    let about_reply = ["status", "code", "text", "at"].map(|key| section.take(key));
    if about_reply.iter().any(Option::is_some) {
        let message = "a rule with `no_answer` has no `status`, `code`, `text` or `at`";
        let help = "what a reply says has a rule of its own".to_owned();
        node.note(diagnostics, message, help);
    }
}

/// One entry of `rejection`.
pub(super) fn rejection(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Matcher> {
    let mut section = node.section(diagnostics)?;
    let matcher = matcher(&mut section, diagnostics);
    if matcher.status.is_empty() && section.take("status").is_none() {
        let help = "an API may say the same words in a good reply".to_owned();
        section.note(diagnostics, "`status` is missing", help);
    }
    if !matcher.codes.is_empty() && matcher.at.is_empty() {
        let help = "say where the API's error code is".to_owned();
        section.note(diagnostics, "`at` is missing", help);
    }
    section.finish(diagnostics);
    Some(matcher)
}

fn matcher(section: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Matcher {
    let [status_node, code_node, text_node] =
        ["status", "code", "text"].map(|key| section.take(key));
    let at = section.read("at", diagnostics, places).unwrap_or_default();
    if status_node.is_none() && code_node.is_none() && text_node.is_none() {
        let help = "say `status`, `code` or `text`, or several of them, or `no_answer`".to_owned();
        section.note(diagnostics, "this rule would match every reply", help);
    }
    if code_node.is_none() && !at.is_empty() {
        let message = "`at` says where a code stands, but there is no `code`";
        section.note(diagnostics, message, None);
    }
    let text = text_node.and_then(|node| node.strings(diagnostics));
    let text = text.unwrap_or_default();
    if let Some(node) = text_node
        && text.iter().any(|text| text.trim().is_empty())
    {
        node.note(diagnostics, "an empty text would match every reply", None);
    }
    let statuses = status_node.into_iter().flat_map(Value::one_or_many);
    let codes = code_node.into_iter().flat_map(Value::one_or_many);
    Matcher {
        status: statuses
            .filter_map(|item| status(item, diagnostics))
            .collect(),
        codes: codes.filter_map(|item| code(item, diagnostics)).collect(),
        at,
        text: text.iter().map(|text| text.to_lowercase()).collect(),
    }
}

/// `404`, `"4xx"` or `"500-599"`.
fn status(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<RangeInclusive<u16>> {
    let valid = status_range(&node.content).filter(|range| {
        range.start() <= range.end() && *range.start() >= 200 && *range.end() <= 599
    });
    if valid.is_none() {
        let help = "write a status from 200 to 599 (`429`), a class (`\"5xx\"`) or a range (`\"500-503\"`)";
        node.note(diagnostics, "this is not an HTTP status", help.to_owned());
    }
    valid
}

fn status_range(content: &Content<'_>) -> Option<RangeInclusive<u16>> {
    let text = match content {
        Content::Integer(number, _) => &*number.to_string(),
        Content::String(text) => &**text,
        _ => return None,
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| *class < 10)?;
        return Some(class * 100..=class * 100 + 99);
    }
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (from.trim(), to.trim()),
        None => (text, text),
    };
    Some(from.parse().ok()?..=to.parse().ok()?)
}

/// Codes are strings or integers; providers mix both.
fn code(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    match &node.content {
        Content::Integer(number, _) => Some(number.to_string()),
        _ => node.string(diagnostics).map(str::to_owned),
    }
}
