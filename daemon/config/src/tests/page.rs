//! tokend.toml(5) cannot lie: it has every key the reader knows with its bounds, and none that the reader does not know.
//!
//! The keys are not listed here. The reader is asked: it names all keys of a table when it finds one that it does not know, and
//! the bounds of a value when it finds one outside of them.

use std::collections::{BTreeMap, BTreeSet};

use tokend_pages::{Entry, Kind, Page, complaints};

use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../man/tokend.toml.5");

/// Where a table that stands in several places is described once: the end of its path, and the page's heading.
const SHARED: &[(&str, &str)] = &[
    ("admin[]", "RULES"),
    ("allow[]", "RULES"),
    ("pacing.attempts", "Rates"),
    ("pacing.logins", "Rates"),
    ("pacing.host", "Rates"),
    ("http.proxy", "Proxies"),
    ("account.NAME.proxy", "Proxies"),
    ("password", "SECRETS"),
    ("client_secret", "SECRETS"),
    // Like the table of a dialect, which has a page of its own.
    ("account.NAME.api.present", "[account.NAME.api]"),
];

/// Tables whose keys are names that people or dialects choose.
const FREE: &[&str] = &["account.NAME.options", "account.NAME.fields"];

/// What the account of [`said`] has already: texts, which hold no table and have no bounds.
const GIVEN: &[&str] = &["provider", "base_url", "client_id"];

/// A word that is no key.
const UNKNOWN: &str = "zzz";

/// What the reader says to `value` at `path`: its sentences with their help.
fn said(path: &str, value: &str) -> Vec<String> {
    let account = "provider = \"oauth2\", base_url = \"https://a.example\", client_id = \"c\"";
    let mut text = value.to_owned();
    let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    for part in parts.iter().rev() {
        let (key, list) = match part.strip_suffix("[]") {
            Some(key) => (key, true),
            None => (*part, false),
        };
        text = match (key, list) {
            ("NAME", _) if path.starts_with("group.") => format!("{{ one = {text} }}"),
            ("NAME", _) => {
                let line = text.trim_start_matches('{').trim_end_matches('}');
                format!("{{ ads = {{ {account}, {line} }} }}")
            }
            (key, true) => format!("{{ {key} = [{text}] }}"),
            (key, false) => format!("{{ {key} = {text} }}"),
        };
    }
    // The outermost table is the file itself; keys that the account has already would stand there twice.
    let file = text.trim().trim_start_matches('{').trim_end();
    let file = file.strip_suffix('}').unwrap_or(file).to_owned();
    match Site::new(&file).load() {
        Ok(_) => Vec::new(),
        Err(error) => {
            assert!(
                !error.to_string().contains("duplicate key"),
                "{path}: {error}"
            );
            error
                .diagnostics()
                .kept()
                .iter()
                .map(ToString::to_string)
                .collect()
        }
    }
}

/// What stands at a path.
enum There {
    /// A table with these keys.
    Table(BTreeSet<String>),
    /// A list.
    List,
    /// Something else.
    Other,
}

/// What the reader expects at `path`.
fn there(path: &str) -> There {
    let said = said(path, &format!("{{ {UNKNOWN} = 1 }}"));
    let keys = said
        .iter()
        .filter(|text| text.contains(&format!("`{UNKNOWN}`")))
        .find_map(|text| text.split_once("valid here: "));
    match keys {
        Some((_, keys)) => There::Table(
            keys.split(", ")
                .map(|word| word.trim_matches('`').to_owned())
                .collect(),
        ),
        None if said.iter().any(|text| text.contains("expected an array")) => There::List,
        None => There::Other,
    }
}

/// All tables the reader knows, with their keys.
fn tables() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(path) = open.pop() {
        assert!(found.len() < 100, "the search goes in circles at {path}");
        let keys = match there(&path) {
            There::Table(keys) => keys,
            There::List => {
                open.push(format!("{path}[]"));
                continue;
            }
            There::Other => continue,
        };
        for key in &keys {
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let inner = match inner.as_str() {
                "account" => "account.NAME".to_owned(),
                "group" => "group.NAME".to_owned(),
                _ => inner,
            };
            if !FREE.contains(&inner.as_str()) {
                let taken = path == "account.NAME" && GIVEN.contains(&key.as_str());
                if !taken {
                    open.push(inner);
                }
            }
        }
        found.insert(path, keys);
    }
    found
}

/// The heading a table is described below.
fn heading(path: &str) -> String {
    if path.is_empty() {
        return "THE DAEMON".to_owned();
    }
    let shared = SHARED
        .iter()
        .find(|(end, _)| path == *end || path.ends_with(&format!(".{end}")));
    shared.map_or_else(|| format!("[{path}]"), |(_, heading)| (*heading).to_owned())
}

fn below<'p>(page: &'p Page, heading: &str) -> Vec<&'p Entry> {
    let is = |title: &str| title == heading || heading.starts_with('[') && title.contains(heading);
    page.all(Kind::Key)
        .filter(|entry| match entry.subsection.as_str() {
            "" => is(&entry.section),
            subsection => is(subsection),
        })
        .collect()
}

#[test]
fn it_has_every_key_the_reader_knows_and_no_other() {
    let page = Page::read(PAGE);
    let tables = tables();
    assert!(tables.len() >= 12, "the reader named too few: {tables:?}");
    let mut wrong = Vec::new();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, keys) in &tables {
        let heading = heading(path);
        known
            .entry(heading.clone())
            .or_default()
            .extend(keys.iter().cloned());
        let entries = below(&page, &heading);
        if entries.is_empty() {
            wrong.push(format!(
                "the table {path:?} is not described: add `.Sh {heading}` with an `.It Ic KEY Pq TYPE` for each of its keys to \
                 daemon/man/tokend.toml.5, or, if it is like another one, add it to SHARED in {}",
                file!()
            ));
        }
        for key in keys {
            if !entries.is_empty() && !entries.iter().any(|entry| entry.names.contains(key)) {
                wrong.push(format!(
                    "the key `{key}` is not described: add `.It Ic {key} Pq TYPE` with its meaning, default, bounds and an example \
                     below `.Sh {heading}` in daemon/man/tokend.toml.5"
                ));
            }
        }
    }
    for entry in page.all(Kind::Key) {
        let here: Vec<&BTreeSet<String>> = known
            .iter()
            .filter(|(heading, _)| below(&page, heading).contains(&entry))
            .map(|(_, keys)| keys)
            .collect();
        for name in &entry.names {
            if !here.iter().any(|keys| keys.contains(name)) {
                wrong.push(format!(
                    "daemon/man/tokend.toml.5 describes `{name}` below {:?} {:?}, and the reader knows no such key there",
                    entry.section, entry.subsection
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn it_says_the_bounds_the_reader_keeps() {
    let page = Page::read(PAGE);
    let mut checked = 0;
    for (path, keys) in tables() {
        for key in keys {
            if path == "account.NAME" && GIVEN.contains(&key.as_str()) {
                continue;
            }
            let place = format!("{path}.{key}");
            let mut messages = said(&place, "-1");
            let is = |what: &str| messages.iter().any(|text| text.contains(what));
            match (is("duration"), is("size")) {
                (true, _) => messages = said(&place, "\"0s\""),
                (_, true) => messages = said(&place, "\"1\""),
                _ => {}
            }
            let bounds = messages.iter().find_map(|text| {
                let at = text.rfind("from ").filter(|_| text.contains(" to "))?;
                // Only what is said about the value, and not advice that happens to hold these words.
                let bound = text.get(at..)?.split(", found").next()?.to_owned();
                bound
                    .bytes()
                    .any(|byte| byte.is_ascii_digit())
                    .then_some(bound)
            });
            let Some(bounds) = bounds else { continue };
            checked += 1;
            let entries = below(&page, &heading(&path));
            let entry = entries.iter().find(|entry| entry.names.contains(&key));
            let text = entry
                .map_or("", |entry| entry.text.as_str())
                .replace('\n', " ");
            assert!(
                text.contains(&bounds),
                "`.It Ic {key}` below {:?} in daemon/man/tokend.toml.5 must say \"{bounds}\", as the reader does; it says: {text}",
                heading(&path)
            );
        }
    }
    assert!(checked >= 12, "{checked}");
}

#[test]
fn its_examples_are_valid() {
    let page = Page::read(PAGE);
    let examples = page.examples();
    assert!(examples.len() >= 3);
    for example in examples {
        Site::new(&example).good();
    }
    // The one-line examples, each at its place.
    for entry in page.all(Kind::Key) {
        for line in entry.text.lines() {
            let Some(line) = line.strip_prefix(".Dl ") else {
                continue;
            };
            let line = line.replace("\\(dq", "\"");
            let Some((key, value)) = line.split_once(" = ") else {
                continue;
            };
            // An example of a rule or a secret stands at a key that takes one.
            assert!(
                entry.names.iter().any(|name| name == key)
                    || ["RULES", "SECRETS"].contains(&entry.section.as_str()),
                "{line}"
            );
            toml::from_str::<toml::Value>(&format!("{key} = {value}"))
                .unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}

#[test]
fn programs_that_show_man_pages_have_no_complaint() {
    assert_eq!(complaints(Path::new(PAGE)), "");
}
