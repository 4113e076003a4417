//! Every command of `tokenctl` against a daemon of either version, and what it promises.
//!
//! Owns the exit codes and words that scripts and people rely on. A client that receives an unknown number ends with 70, and nothing here
//! may.

use tokend_harness::{Said, Site};

use super::Report;
use crate::kept::TYPED_PASSWORD;

/// A command line, its input, its exit code, and words of its output, or of its error if it fails.
type Case = (
    &'static [&'static str],
    &'static str,
    i32,
    &'static [&'static str],
);

/// In this order: each depends on the state that earlier ones left.
const CASES: &[Case] = &[
    (&["get", "unending"], "", 0, &["at-unending"]),
    (
        &["get", "unending", "--format", "header"],
        "",
        0,
        &["Authorization: Bearer at-unending"],
    ),
    (
        &["get", "unending", "--format", "json"],
        "",
        0,
        &["\"access_token\":\"at-unending\"", "\"expires_at\":null"],
    ),
    (
        &["list"],
        "",
        0,
        &["unending", "typed", "rotating", "doubt", "refused", "paced"],
    ),
    (&["login", "typed"], TYPED_PASSWORD, 0, &["typed"]),
    (&["get", "typed"], "", 0, &["at-typed"]),
    (
        &["login", "rotating", "--refresh-token"],
        "rt-rotating-1",
        0,
        &["rotating"],
    ),
    (&["refresh", "rotating"], "", 0, &["rotating"]),
    (&["reject", "unending"], "at-unending", 0, &["unending"]),
    (&["get", "unending"], "", 0, &["at-unending"]),
    (&["get", "refused"], "", 79, &["refused"]),
    (&["get", "doubt"], "", 79, &["doubt", "tokenctl login"]),
    (
        &["login", "doubt", "--refresh-token"],
        "nonsense",
        79,
        &["doubt", "refused"],
    ),
    (&["get", "nobody"], "", 78, &["nobody"]),
    (&["login", "paced"], TYPED_PASSWORD, 0, &["paced"]),
    (&["login", "paced"], TYPED_PASSWORD, 75, &["paced"]),
    (
        &["status"],
        "",
        0,
        &["unending", "typed", "rotating", "refused", "doubt"],
    ),
    (&["status", "refused", "--json"], "", 0, &["\"refused\""]),
    (&["whoami"], "", 0, &["administrator", "may"]),
    (&["whoami", "--json"], "", 0, &["\"uid\""]),
    // Accounts that need a login are a finding.
    (&["doctor"], "", 79, &["refused"]),
    (&["forget", "--yes", "typed"], "", 0, &["typed"]),
    (&["get", "typed"], "", 79, &["typed", "tokenctl login"]),
    (&["reload"], "", 0, &[]),
    (&["get", "unending"], "", 0, &["at-unending"]),
];

/// Runs them all.
pub(super) fn all(site: &Site, report: &mut Report) {
    for (words, typed, code, has) in CASES {
        let what = format!("tokenctl {} ends with {code}", words.join(" "));
        report.check(&what, || {
            let said = site.tokenctl_with(words, typed)?;
            promised(&said, *code, has)
        });
    }
}

fn promised(said: &Said, code: i32, has: &[&str]) -> anyhow::Result<()> {
    anyhow::ensure!(said.code == Some(code), "{said:?}");
    let text = format!("{}{}", said.out, said.err);
    for words in has {
        anyhow::ensure!(text.contains(words), "{words:?} is not in {said:?}");
    }
    if code != 0 && said.out.is_empty() {
        // One line that says what happened, and indented lines that say what to do.
        let mut lines = said.err.lines();
        let first = lines.next().unwrap_or_default();
        let advised = lines.all(|line| line.starts_with(' ')) && said.err.lines().count() > 1;
        anyhow::ensure!(!first.starts_with(' ') && advised, "{said:?}");
    }
    Ok(())
}
