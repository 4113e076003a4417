//! `PROTOCOL.md` against the code: the golden frames are read with nothing but its tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tokend_proto::*;

use crate::samples::{requests, response_name, responses};

/// The tables of the page, each by its heading: rows of cells, without ticks.
struct Page {
    text: String,
    tables: BTreeMap<String, Vec<Vec<String>>>,
}

impl Page {
    fn read() -> Self {
        let text = fs::read_to_string(folder().join("PROTOCOL.md")).expect("the page is there");
        let mut tables: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        let mut heading = String::new();
        for line in text.lines() {
            if let Some(title) = line.trim_start_matches('#').strip_prefix(' ')
                && line.starts_with('#')
            {
                heading = title.to_owned();
                tables.entry(heading.clone()).or_default();
            } else if let Some(row) = line.strip_prefix("| ") {
                let cells = row.trim_end_matches('|').split(" | ");
                let cells = cells.map(|cell| cell.trim().trim_matches('`').to_owned());
                tables
                    .entry(heading.clone())
                    .or_default()
                    .push(cells.collect());
            }
        }
        Self { text, tables }
    }

    /// The rows below a heading, without the titles.
    fn rows(&self, heading: &str) -> impl Iterator<Item = &Vec<String>> {
        let rows = self.tables.get(heading);
        rows.unwrap_or_else(|| panic!("the page has no {heading}"))
            .iter()
            .skip(1)
    }

    /// The heading of a kind: `request 1: Get`.
    fn kind(&self, of: &str, number: u32) -> &str {
        let start = format!("{of} {number}: ");
        let heading = self.tables.keys().find(|it| it.starts_with(&start));
        heading.unwrap_or_else(|| panic!("the page has no {start}"))
    }
}

/// A reader in another language, which knows the page and not the code.
struct Reader<'a> {
    page: &'a Page,
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn number(&mut self, bytes: usize) -> u64 {
        let digits = self.take(bytes).iter().rev();
        digits.fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn length(&mut self) -> usize {
        usize::try_from(self.number(8)).expect("a golden frame is short")
    }

    fn fields(&mut self, heading: &str) {
        let page = self.page;
        for row in page.rows(heading) {
            self.value(row.get(1).expect("a field has a type"));
        }
    }

    fn value(&mut self, of: &str) {
        let inner = of.strip_suffix('>').and_then(|it| it.split_once('<'));
        match (inner, of) {
            (Some(("option", inner)), _) => match self.number(1) {
                0 => {}
                1 => self.value(inner),
                other => panic!("{other} is no option"),
            },
            (Some(("list", inner)), _) => (0..self.length()).for_each(|_| self.value(inner)),
            (Some(("result", inner)), _) => match self.number(4) {
                0 => self.value(inner),
                1 => self.value("string"),
                other => panic!("{other} is no result"),
            },
            (_, "u16") => drop(self.number(2)),
            (_, "u32") => drop(self.number(4)),
            (_, "u64") => drop(self.number(8)),
            (_, "bool") => assert!(self.number(1) < 2),
            (_, "bytes6") => drop(self.take(6).to_vec()),
            (_, "string") => {
                let length = self.length();
                let text = self.take(length).to_vec();
                drop(String::from_utf8(text).expect("a string is UTF-8"));
            }
            (_, "LoginSecret") => {
                self.variant(of);
                self.value("string");
            }
            _ if self
                .page
                .rows(of)
                .all(|row| row.first().is_some_and(|it| it.parse::<u32>().is_ok())) =>
            {
                self.variant(of);
            }
            _ => self.fields(of),
        }
    }

    fn variant(&mut self, of: &str) {
        let number = self.number(4).to_string();
        let known = self.page.rows(of).any(|row| row.first() == Some(&number));
        assert!(known, "{of} {number} is not on the page");
    }
}

#[test]
fn every_golden_frame_is_read_with_the_tables_of_the_page_alone() {
    let page = Page::read();
    let mut read = 0;
    for of in ["request", "response"] {
        for entry in fs::read_dir(folder().join("tests/golden")).expect("it can be read") {
            let name = entry.expect("it can be read").file_name();
            let name = name.to_string_lossy().into_owned();
            if !name.starts_with(of) || !name.ends_with(".hex") {
                continue;
            }
            assert!(
                page.text.contains(&format!("(tests/golden/{name})")),
                "{name} is named"
            );
            let bytes = golden(&name);
            let mut reader = Reader {
                page: &page,
                rest: &bytes,
            };
            reader.number(8);
            let kind = u32::try_from(reader.number(4)).expect("four bytes are a u32");
            let heading = page.kind(of, kind).to_owned();
            assert!(name.eq_ignore_ascii_case(&format!(
                "{of}-{}.hex",
                heading.rsplit(' ').next().unwrap_or_default()
            )));
            reader.fields(&heading);
            assert_eq!(reader.rest, b"", "{name} is read to its end");
            read += 1;
        }
    }
    assert_eq!(read, requests().len() + responses().len());
}

/// Hands the kinds whose numbers are on the page to a macro.
macro_rules! numbered {
    ($each:ident) => {
        $each!(
            FaultCode,
            AccountState,
            AttemptKind,
            Severity,
            Topic,
            SecretOrigin
        )
    };
}

#[test]
fn the_numbers_on_the_page_are_those_of_the_code() {
    let page = Page::read();
    let listed = |heading: &str| -> Vec<(u32, String)> {
        let row = |row: &Vec<String>| match row.as_slice() {
            [number, name, ..] => (number.parse().expect("a number"), name.clone()),
            _ => panic!("{heading} has a short row"),
        };
        page.rows(heading).map(row).collect()
    };
    macro_rules! same {
        ($($name:ident),+) => {$(
            let own: Vec<_> = $name::ALL.iter().map(|it| (it.number(), it.to_string())).collect();
            assert_eq!(listed(stringify!($name)), own);
        )+};
    }
    numbered!(same);
    let kinds = |of: &str| page.tables.keys().filter(|it| it.starts_with(of)).count();
    assert_eq!(kinds("request "), requests().len());
    assert_eq!(kinds("response "), responses().len());
    for (number, (name, _)) in (0..).zip(requests()) {
        assert!(page.kind("request", number).to_lowercase().ends_with(name));
    }
    for (number, (_, frame)) in (0..).zip(responses()) {
        let name = response_name(&frame.response);
        assert!(page.kind("response", number).to_lowercase().ends_with(name));
    }
    for number in [MAX_FRAME, SecretText::MAX_LEN, AccountName::MAX_LEN] {
        assert!(page.text.contains(&number.to_string()), "{number}");
    }
    assert!(page.text.contains(&format!("describes version {VERSION}")));
    // The names that version 1 gets for a number that the daemon does not know either.
    let documented = |name: &str| {
        let line = page
            .text
            .lines()
            .find(|it| it.starts_with(&format!("| {name} | `")));
        line.unwrap_or_default()
            .split('`')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    macro_rules! nearest {
        ($($name:ident),+) => {$(
            assert_eq!(documented(stringify!($name)), $name::Other(900).for_version(1).to_string());
        )+};
    }
    numbered!(nearest);
}

#[test]
fn the_frame_decoded_by_hand_is_the_golden_one() {
    let page = Page::read();
    let digits: String = page
        .rows("One frame by hand")
        .filter_map(|row| row.first().cloned())
        .collect();
    let golden: String = golden("request-get.hex")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digits, golden);
    let length = golden.len() / 2;
    assert!(page.text.contains(&format!("is {length} bytes long")));
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str) -> Vec<u8> {
    let text = fs::read_to_string(folder().join("tests/golden").join(name)).expect("it is there");
    super::golden::unhex(&text)
}
