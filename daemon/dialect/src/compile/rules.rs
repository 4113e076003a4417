//! Reads rules: what a reply must look like, and what it then means.
//!
//! Owns the words for classes and statuses. A rule that matches everything, or that its request cannot mean, is a mistake.

use std::ops::RangeInclusive;

use super::reply::places;
use crate::{
    document::{Node, Value},
    fields::Kind,
    mistake::Mistakes,
    names::Names,
    reply::{
        classify::{Class, Matcher, NoAnswer, Processed, Rule},
        told::TEXT_LIMIT,
    },
    section::{self, Section, one_or_many},
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
pub(super) fn read(node: &Node, m: &mut Mistakes) -> Option<Vec<Rule>> {
    let items = section::array(node, m)?;
    Some(items.iter().filter_map(|item| rule(item, m)).collect())
}

#[expect(clippy::too_many_lines, reason = "one check for each key of a rule")]
fn rule(node: &Node, m: &mut Mistakes) -> Option<Rule> {
    let mut section = Section::open(node, m)?;
    let (no_answer, matcher) = match section.take("no_answer") {
        Some(node) => {
            without_reply(node, &mut section, m);
            (no_answer(node, m), Matcher::default())
        }
        None => (None, matcher(&mut section, m)),
    };
    let class = section
        .require("class", m)
        .and_then(|node| section::word(node, CLASSES, m));
    let retry_after_node = section.take("retry_after");
    let retry_after = retry_after_node.and_then(|node| section::duration(node, m));
    let processed_node = section.take("processed");
    let processed = processed_node.and_then(|node| section::word(node, PROCESSED, m));
    let say_node = section.take("say");
    let say = say_node
        .and_then(|node| section::string(node, m))
        .map(str::to_owned);
    let secret_node = section.take("secret");
    let secret = secret_node
        .and_then(|node| section::string(node, m))
        .map(str::to_owned);
    section.finish(m);
    if let (Some(node), Some(class)) = (secret_node, class)
        && class != Class::CredentialRejected
    {
        m.add(
            &node.span,
            "only a rule with class `credential-rejected` says which secret it is about",
            None,
        );
    }
    if let (Some(node), Some(class)) = (retry_after_node, class)
        && class != Class::Busy
    {
        m.add(
            &node.span,
            "only a rule with class `busy` has a time to retry",
            None,
        );
    }
    if let (Some(node), Some(class)) = (processed_node, class)
        && class == Class::RefreshRejected
    {
        m.add(
            &node.span,
            "a rule with class `refresh-token-rejected` gives the refresh token up, whatever was processed",
            None,
        );
    }
    if let (Some(node), Some(text)) = (say_node, &say)
        && text.chars().count() > TEXT_LIMIT
    {
        m.add(
            &node.span,
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

/// Whether each secret that a rule is about is one that an account can have.
pub(super) fn check_secrets(rules: &[Rule], names: &Names, node: Option<&Node>, m: &mut Mistakes) {
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
            m.add(
                &node.span,
                format!("a rule is about `{name}`, which is not a secret of an account"),
                Some(format!("valid here: `{}`", known.join("`, `"))),
            );
        }
    }
}

/// `true` or `"any"`, and `"closed"`.
fn no_answer(node: &Node, m: &mut Mistakes) -> Option<NoAnswer> {
    let Value::Boolean(it) = &node.value else {
        return section::word(node, SILENCES, m);
    };
    if !it {
        m.add(
            &node.span,
            "`no_answer = false` would match every reply",
            Some("leave the line out, and say `status`, `code` or `text`".to_owned()),
        );
    }
    it.then_some(NoAnswer::Any)
}

/// Where there is no answer there is nothing in it.
fn without_reply(node: &Node, section: &mut Section<'_>, m: &mut Mistakes) {
    let about_reply = ["status", "code", "text", "at"].map(|key| section.take(key));
    if about_reply.iter().any(Option::is_some) {
        m.add(
            &node.span,
            "a rule with `no_answer` has no `status`, `code`, `text` or `at`",
            Some("what a reply says has a rule of its own".to_owned()),
        );
    }
}

/// One entry of `rejection`.
pub(super) fn rejection(node: &Node, m: &mut Mistakes) -> Option<Matcher> {
    let mut section = Section::open(node, m)?;
    let matcher = matcher(&mut section, m);
    if matcher.status.is_empty() && section.take("status").is_none() {
        m.add(
            section.span,
            "`status` is missing here",
            Some("an API may say the same words in a good reply".to_owned()),
        );
    }
    if !matcher.codes.is_empty() && matcher.at.is_empty() {
        m.add(
            section.span,
            "`at` is missing here",
            Some("say where the API's error code is".to_owned()),
        );
    }
    section.finish(m);
    Some(matcher)
}

fn matcher(section: &mut Section<'_>, m: &mut Mistakes) -> Matcher {
    let status_node = section.take("status");
    let code_node = section.take("code");
    let text_node = section.take("text");
    let at = section.read("at", m, places).unwrap_or_default();
    if status_node.is_none() && code_node.is_none() && text_node.is_none() {
        let help = "say `status`, `code` or `text`, or several of them, or `no_answer`";
        m.add(
            section.span,
            "this rule would match every reply",
            Some(help.to_owned()),
        );
    }
    if code_node.is_none() && !at.is_empty() {
        m.add(
            section.span,
            "`at` says where a code stands, but there is no `code`",
            None,
        );
    }
    let text = text_node
        .and_then(|node| section::strings(node, m))
        .unwrap_or_default();
    if let Some(node) = text_node
        && text.iter().any(|text| text.trim().is_empty())
    {
        m.add(&node.span, "an empty text would match every reply", None);
    }
    Matcher {
        status: status_node
            .map(|node| statuses(node, m))
            .unwrap_or_default(),
        codes: code_node.map(|node| codes(node, m)).unwrap_or_default(),
        at,
        text: text.iter().map(|text| text.to_lowercase()).collect(),
    }
}

fn statuses(node: &Node, m: &mut Mistakes) -> Vec<RangeInclusive<u16>> {
    one_or_many(node)
        .iter()
        .filter_map(|item| status(item, m))
        .collect()
}

/// `404`, `"4xx"` or `"500-599"`.
fn status(node: &Node, m: &mut Mistakes) -> Option<RangeInclusive<u16>> {
    let range = match &node.value {
        Value::Integer(number) => u16::try_from(*number).ok().map(|status| status..=status),
        Value::String(text) => match (text.strip_suffix("xx"), text.split_once('-')) {
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
        m.add(
            &node.span,
            "this is not an HTTP status",
            Some(help.to_owned()),
        );
    }
    valid
}

/// Codes are strings or integers; providers mix both.
fn codes(node: &Node, m: &mut Mistakes) -> Vec<String> {
    let code = |item: &Node| match &item.value {
        Value::Integer(number) => Some(number.to_string()),
        _ => section::string(item, m).map(str::to_owned),
    };
    one_or_many(node).iter().filter_map(code).collect()
}

/// Notes rules that mean something their request cannot mean.
pub(super) fn check(kind: Kind, rules: &[Rule], node: Option<&Node>, m: &mut Mistakes) {
    if let Some(node) = node
        && rules.iter().any(|rule| !suits(kind, rule))
    {
        let help = "a login sends no refresh token; say `credential-rejected`, or move the rule to `[[refresh.rules]]`";
        m.add(
            &node.span,
            "a login's rule has class `refresh-token-rejected`",
            Some(help.to_owned()),
        );
    }
}

/// Whether a rule shared by both requests makes sense for one of them.
pub(super) fn suits(kind: Kind, rule: &Rule) -> bool {
    kind == Kind::Refresh || rule.class != Class::RefreshRejected
}
