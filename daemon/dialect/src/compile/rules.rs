//! Reads rules: the conditions on a reply, and the meaning of a reply that meets them.
//!
//! Owns the words for classes and statuses. A rule that matches everything, or whose meaning its request cannot have, is a mistake.

use std::{ops::RangeInclusive, time::Duration};

use super::reply::places;
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

/// The list of rules, in order.
pub(super) fn read(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Rule>> {
    let items = node.array(diagnostics)?;
    Some(items.filter_map(|item| rule(item, diagnostics)).collect())
}

#[expect(clippy::too_many_lines, reason = "one check for each key of a rule")]
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
    let retry_after_node = section.take("retry_after");
    let retry_after = retry_after_node
        .and_then(|node| node.duration(Duration::ZERO..=super::words::LONGEST, diagnostics));
    let processed_node = section.take("processed");
    let processed = processed_node.and_then(|node| node.word(PROCESSED, diagnostics));
    let say_node = section.take("say");
    let say = say_node
        .and_then(|node| node.string(diagnostics))
        .map(str::to_owned);
    let secret_node = section.take("secret");
    let secret = secret_node
        .and_then(|node| node.string(diagnostics))
        .map(str::to_owned);
    section.finish(diagnostics);
    if let (Some(node), Some(class)) = (secret_node, class)
        && class != Class::CredentialRejected
    {
        node.note(
            diagnostics,
            "only a rule with class `credential-rejected` says which secret it is about",
            None,
        );
    }
    if let (Some(node), Some(class)) = (retry_after_node, class)
        && class != Class::Busy
    {
        node.note(
            diagnostics,
            "only a rule with class `busy` has a time to retry",
            None,
        );
    }
    if let (Some(node), Some(class)) = (processed_node, class)
        && class == Class::RefreshRejected
    {
        node.note(diagnostics, "a rule with class `refresh-token-rejected` gives the refresh token up, whatever was processed",
            None,
        );
    }
    if let (Some(node), Some(text)) = (say_node, &say)
        && text.chars().count() > TEXT_LIMIT
    {
        node.note(
            diagnostics,
            format!("this sentence is longer than {TEXT_LIMIT} characters"),
            None,
        );
    }
    Some(Rule {
        no_answer,
        matcher,
        class: class?,
        retry_after,
        processed,
        say,
        secret,
    })
}

/// Checks that each secret named in a rule is one that an account can have.
pub(super) fn check_secrets(
    rules: &[Rule],
    names: &Names,
    node: Option<Value<'_>>,
    diagnostics: &mut Diagnostics,
) {
    let standard = ["password", "client_secret"];
    let own = || names.fields.iter().filter(|field| field.secret);
    for name in rules.iter().filter_map(|rule| rule.secret.as_deref()) {
        if standard.contains(&name) || own().any(|field| field.name == name) {
            continue;
        }
        let known: Vec<&str> = standard
            .into_iter()
            .chain(own().map(|field| field.name.as_str()))
            .collect();
        if let Some(node) = node {
            node.note(
                diagnostics,
                format!("a rule is about `{name}`, which is not a secret of an account"),
                Some(format!("valid here: `{}`", known.join("`, `"))),
            );
        }
    }
}

/// `true` or `"any"`, and `"closed"`.
fn no_answer(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<NoAnswer> {
    let Content::Boolean(it) = &node.content else {
        return node.word(SILENCES, diagnostics);
    };
    if !it {
        node.note(
            diagnostics,
            "`no_answer = false` would match every reply",
            Some("leave the line out, and say `status`, `code` or `text`".to_owned()),
        );
    }
    it.then_some(NoAnswer::Any)
}

/// Refuses conditions on the reply in a rule about a missing answer.
fn without_reply(node: Value<'_>, section: &mut Section<'_>, diagnostics: &mut Diagnostics) {
    let about_reply = ["status", "code", "text", "at"].map(|key| section.take(key));
    if about_reply.iter().any(Option::is_some) {
        node.note(
            diagnostics,
            "a rule with `no_answer` has no `status`, `code`, `text` or `at`",
            Some("what a reply says has a rule of its own".to_owned()),
        );
    }
}

/// One entry of `rejection`.
pub(super) fn rejection(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Matcher> {
    let mut section = node.section(diagnostics)?;
    let matcher = matcher(&mut section, diagnostics);
    if matcher.status.is_empty() && section.take("status").is_none() {
        section.note(
            diagnostics,
            "`status` is missing",
            Some("an API may say the same words in a good reply".to_owned()),
        );
    }
    if !matcher.codes.is_empty() && matcher.at.is_empty() {
        section.note(
            diagnostics,
            "`at` is missing",
            Some("say where the API's error code is".to_owned()),
        );
    }
    section.finish(diagnostics);
    Some(matcher)
}

fn matcher(section: &mut Section<'_>, diagnostics: &mut Diagnostics) -> Matcher {
    let status_node = section.take("status");
    let code_node = section.take("code");
    let text_node = section.take("text");
    let at = section.read("at", diagnostics, places).unwrap_or_default();
    if status_node.is_none() && code_node.is_none() && text_node.is_none() {
        let help = "say `status`, `code` or `text`, or several of them, or `no_answer`";
        section.note(
            diagnostics,
            "this rule would match every reply",
            Some(help.to_owned()),
        );
    }
    if code_node.is_none() && !at.is_empty() {
        section.note(
            diagnostics,
            "`at` says where a code stands, but there is no `code`",
            None,
        );
    }
    let text = text_node
        .and_then(|node| node.strings(diagnostics))
        .unwrap_or_default();
    if let Some(node) = text_node
        && text.iter().any(|text| text.trim().is_empty())
    {
        node.note(diagnostics, "an empty text would match every reply", None);
    }
    Matcher {
        status: status_node
            .map(|node| statuses(node, diagnostics))
            .unwrap_or_default(),
        codes: code_node
            .map(|node| codes(node, diagnostics))
            .unwrap_or_default(),
        at,
        text: text.iter().map(|text| text.to_lowercase()).collect(),
    }
}

fn statuses(node: Value<'_>, diagnostics: &mut Diagnostics) -> Vec<RangeInclusive<u16>> {
    node.one_or_many()
        .filter_map(|item| status(item, diagnostics))
        .collect()
}

/// `404`, `"4xx"` or `"500-599"`.
fn status(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<RangeInclusive<u16>> {
    let range = match &node.content {
        Content::Integer(number, _) => u16::try_from(*number).ok().map(|status| status..=status),
        Content::String(text) => match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class), _) => class
                .parse::<u16>()
                .ok()
                .filter(|class| *class < 10)
                .map(|c| c * 100..=c * 100 + 99),
            (None, Some((from, to))) => from
                .trim()
                .parse()
                .ok()
                .zip(to.trim().parse().ok())
                .map(|(from, to)| from..=to),
            (None, None) => text.parse().ok().map(|status| status..=status),
        },
        _ => None,
    };
    let valid = range
        .filter(|range| (200..=599).contains(range.start()) && (200..=599).contains(range.end()));
    let valid = valid.filter(|range| range.start() <= range.end());
    if valid.is_none() {
        let help = "write a status from 200 to 599 (`429`), a class (`\"5xx\"`) or a range (`\"500-503\"`)";
        node.note(
            diagnostics,
            "this is not an HTTP status",
            Some(help.to_owned()),
        );
    }
    valid
}

/// Codes are strings or integers; providers mix both.
fn codes(node: Value<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let code = |item: Value<'_>| match &item.content {
        Content::Integer(number, _) => Some(number.to_string()),
        _ => item.string(diagnostics).map(str::to_owned),
    };
    node.one_or_many().filter_map(code).collect()
}

/// Notes rules whose meaning their request cannot have.
pub(super) fn check(
    kind: ExchangeKind,
    rules: &[Rule],
    node: Option<Value<'_>>,
    diagnostics: &mut Diagnostics,
) {
    if let Some(node) = node
        && rules.iter().any(|rule| !suits(kind, rule))
    {
        let help = "a login sends no refresh token; say `credential-rejected`, or move the rule to `[[refresh.rules]]`";
        node.note(
            diagnostics,
            "a login's rule has class `refresh-token-rejected`",
            Some(help.to_owned()),
        );
    }
}

/// Whether a rule shared by both requests makes sense for one of them.
pub(super) fn suits(kind: ExchangeKind, rule: &Rule) -> bool {
    kind == ExchangeKind::Refresh || rule.class != Class::RefreshRejected
}
