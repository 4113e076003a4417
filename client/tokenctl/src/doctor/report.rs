//! Findings as people and programs read them.
//!
//! Owns the lines and the keys; the keys are a contract with programs.

use serde::Serialize;
use tokend_client::Severity;

use super::finding::Finding;
use crate::status::wrap;
use crate::words;

/// A finding as an object.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    topic: &'a str,
    account: Option<&'a str>,
    severity: &'static str,
    message: &'a str,
    advice: Option<&'a str>,
}

pub(super) fn json(findings: &[Finding]) -> Vec<Object<'_>> {
    let objects = findings.iter().map(|it| Object {
        topic: &it.topic,
        account: it.account.as_deref(),
        severity: it.severity.as_str(),
        message: &it.message,
        advice: it.advice.as_deref(),
    });
    objects.collect()
}

/// One line for each finding, advice below it, and a summary; wrapped to the width, if there is one.
pub(super) fn text(findings: &[Finding], width: Option<usize>) -> String {
    let mut text = String::new();
    for it in findings {
        let about = match &it.account {
            Some(account) => format!("{} {account}", it.topic),
            None => it.topic.to_string(),
        };
        let severity = match it.severity {
            // In capitals, so that it is found among many lines that say all is well.
            Severity::Problem => "PROBLEM",
            other => other.as_str(),
        };
        push(
            &mut text,
            &format!("{severity:7}  {about}: {}", it.message),
            width,
        );
        if it.severity != Severity::Ok
            && let Some(advice) = &it.advice
        {
            push(&mut text, &format!("{:9}{advice}", ""), width);
        }
    }
    let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
    let sum = match (count(Severity::Problem), count(Severity::Warning)) {
        (0, 0) => "all is well".to_owned(),
        (0, warnings) => format!("no problem, warnings: {warnings}"),
        (problems, warnings) => format!("problems: {problems}, warnings: {warnings}"),
    };
    text.push_str(&format!("{sum}\n"));
    text
}

/// Adds a sentence behind a margin of nine columns.
fn push(text: &mut String, line: &str, width: Option<usize>) {
    const MARGIN: usize = 9;
    let line = words::plain(line);
    let margin: String = line.chars().take(MARGIN).collect();
    let rest: String = line.chars().skip(MARGIN).collect();
    let Some(width) = width else {
        text.push_str(&format!("{margin}{rest}\n"));
        return;
    };
    let mut margin = margin;
    for wrapped in wrap(&rest, width.saturating_sub(MARGIN)) {
        text.push_str(&format!("{margin}{wrapped}\n"));
        margin = " ".repeat(MARGIN);
    }
}
