//! Each kind of value, right and wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// What `read` makes of the value, and what it says. The document stays for as long as the test.
fn read<T>(
    value: &str,
    read: impl FnOnce(Value<'static>, &mut Diagnostics) -> Option<T>,
) -> (Option<T>, Vec<String>) {
    let node = Box::leak(Box::new(document(&format!("v = {value}"))));
    let mut diagnostics = Diagnostics::default();
    let read = Section::root(node).read("v", &mut diagnostics, read);
    (read, lines(diagnostics))
}

fn wrong<T>(
    value: &str,
    reader: impl FnOnce(Value<'static>, &mut Diagnostics) -> Option<T>,
) -> String {
    let (read, said) = read(value, reader);
    assert!(read.is_none() && said.len() == 1, "{value}: {said:?}");
    said.concat()
}

fn right<T>(value: &str, reader: impl FnOnce(Value<'static>, &mut Diagnostics) -> Option<T>) -> T {
    let (read, said) = read(value, reader);
    read.unwrap_or_else(|| panic!("{said:?}"))
}

#[test]
fn what_is_of_another_type_is_told_as_what_it_is() {
    let table = [
        ("1", "an integer"),
        ("1.5", "a float"),
        ("true", "a boolean"),
        ("2026-01-01", "a date"),
        ("[]", "an array"),
        ("{}", "a table"),
        (
            "99999999999999999999",
            "a number that does not fit into 64 bits",
        ),
    ];
    for (value, kind) in table {
        let expected = format!("a.toml:1:5: expected a string, found {kind}");
        assert_eq!(wrong(value, Value::string), expected);
    }
    assert_eq!(
        wrong("\"1\"", |value, m| value.integer(1..=9, m)),
        "a.toml:1:5: expected a whole number, found a string"
    );
    assert_eq!(
        wrong("\"true\"", Value::boolean),
        "a.toml:1:5: expected true or false, found a string"
    );
    assert_eq!(
        wrong("1", |value, m| value.section(m).map(drop)),
        "a.toml:1:5: expected a table, found an integer"
    );
    assert_eq!(
        wrong("1", |value, m| value.array(m).map(drop)),
        "a.toml:1:5: expected an array, found an integer"
    );
}

#[test]
fn texts_are_strings_and_where_it_says_so_not_empty() {
    assert_eq!(
        right("\"\"", |value, m| value.string(m).map(str::to_owned)),
        ""
    );
    assert_eq!(wrong("\"\"", Value::text), "a.toml:1:5: this text is empty");
    assert_eq!(
        right("'a'", |value, m| value.text(m).map(str::to_owned)),
        "a"
    );
    assert_eq!(right("['a', 'b']", Value::strings), ["a", "b"]);
    assert_eq!(right("'a'", Value::strings), ["a"]);
    assert_eq!(
        wrong("[]", Value::strings),
        "a.toml:1:5: this list is empty"
    );
    assert_eq!(
        wrong("['a', 1]", Value::strings),
        "a.toml:1:11: expected a string, found an integer"
    );
    assert_eq!(
        wrong("600", |value, m| value.quoted("a mode in quotes", m)),
        "a.toml:1:5: expected a mode in quotes, found an integer"
    );
}

#[test]
fn what_needs_no_quotes_is_taken_as_it_is_written() {
    for (value, text) in [
        ("'a'", "a"),
        ("-7", "-7"),
        ("1_000", "1000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("103456789012345678901", "103456789012345678901"),
        ("true", "true"),
    ] {
        assert_eq!(right(value, Value::written), text);
    }
    assert_eq!(
        wrong("1.5", Value::written),
        "a.toml:1:5: expected a string, found a float"
    );
}

#[test]
fn numbers_have_bounds_that_are_told() {
    assert_eq!(right("7", |value, m| value.integer(1..=9, m)), 7);
    for (value, found) in [("0", "0"), ("10", "10"), ("-1", "-1"), ("0xff", "255")] {
        assert_eq!(
            wrong(value, |value, m| value.integer(1..=9, m)),
            format!("a.toml:1:5: expected a whole number from 1 to 9, found {found}")
        );
    }
    assert_eq!(
        wrong("10", |value, m| value.hidden().integer(1..=9, m)),
        "a.toml:1:5: expected a whole number from 1 to 9"
    );
    for (value, size) in [
        ("10", 10),
        ("'10'", 10),
        ("'10 KiB'", 10240),
        ("'1MiB'", 1 << 20),
    ] {
        assert_eq!(right(value, |value, m| value.size(1..=1 << 20, m)), size);
    }
    assert_eq!(
        wrong("'1TB'", |value, m| value.size(1..=9, m)),
        "a.toml:1:5: `1TB` is not a size; write a number of bytes, or one with a unit: `65536`, `64KiB`, `1MiB`"
    );
    assert_eq!(
        wrong("10", |value, m| value.size(1..=9, m)),
        "a.toml:1:5: `10` is out of range; from 1 to 9 bytes"
    );
}

#[test]
fn durations_have_units_and_bounds_that_are_told() {
    const HOUR: Duration = Duration::from_secs(3600);
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    let within =
        |least, most| move |value: Value<'_>, m: &mut Diagnostics| value.duration(least..=most, m);
    assert_eq!(right("'1h 30m'", within(HOUR, YEAR)), HOUR * 3 / 2);
    let table = [
        (
            "'1m'",
            HOUR,
            YEAR * 2,
            "`1m` is out of range; from 1h to 2 years",
        ),
        (
            "'2h'",
            Duration::ZERO,
            HOUR,
            "`2h` is out of range; at most 1h",
        ),
        (
            "'1x'",
            Duration::ZERO,
            HOUR,
            "`1x` is not a duration; write a number and a unit: `500ms`, `90s`, `45m`, `1h 30m`, `7d`",
        ),
        (
            "5",
            Duration::ZERO,
            HOUR,
            "expected a duration in quotes, such as \"90s\", found an integer",
        ),
    ];
    for (value, least, most, expected) in table {
        let said = wrong(value, within(least, most));
        assert_eq!(said, format!("a.toml:1:5: {expected}"));
    }
    assert_eq!(
        wrong("'0s'", |value, m| value.nonzero_duration(10 * YEAR, m)),
        "a.toml:1:5: this duration must be longer than nothing; at most 10 years"
    );
}

#[test]
fn words_and_keys_are_told_with_the_nearest() {
    let words = [("post", 1), ("put", 2)];
    assert_eq!(right("'put'", |value, m| value.word(&words, m)), 2);
    assert_eq!(
        wrong("'psot'", |value, m| value.word(&words, m)),
        "a.toml:1:5: unknown word `psot`; did you mean `post`? valid here: `post`, `put`"
    );
    let said = said(
        "pth = 1\ntop = 2\nold = 3\n[x]\ny = 1\n",
        |mut section, m| {
            let _path = section.take("path");
            let _again = section.take("path");
            section.refuse(
                "old",
                m,
                "`old` is gone".to_owned(),
                "take it out".to_owned(),
            );
            section.ignore("x");
            let missing = section.require("here", "what it is for", m);
            assert!(missing.is_none());
            section.finish(m);
        },
    );
    assert_eq!(
        said,
        [
            "a.toml:1:1: `here` is missing; add `here`: what it is for",
            "a.toml:1:1: unknown key `pth`; did you mean `path`? valid here: `path`, `x`, `here`",
            "a.toml:2:1: unknown key `top`; `top` belongs at the top",
            "a.toml:3:1: `old` is gone; take it out",
        ]
    );
}

#[test]
fn the_nearest_is_near_whatever_letters_changed_places() {
    for (word, near) in [
        ("pot", Some("post")),
        ("opst", Some("post")),
        ("PUT", Some("put")),
        ("zzz", None),
    ] {
        assert_eq!(nearest(word, &["post", "put"]), near, "{word}");
    }
    assert_eq!(nearest(&"post".repeat(100), &["post"]), None);
    assert_eq!(choose_from("x", &[]), "nothing is valid here");
}

#[test]
fn paths_are_taken_from_the_directory_of_the_file() {
    let base = Path::new("/etc/tokend");
    assert_eq!(
        right("'a/b'", |value, m| value.path(base, m)),
        PathBuf::from("/etc/tokend/a/b")
    );
    assert_eq!(
        right("'/a'", |value, m| value.path(base, m)),
        PathBuf::from("/a")
    );
    assert_eq!(
        wrong("'~/a'", |value, m| value.path(base, m)),
        "a.toml:1:5: `~` is not expanded here; write the full path; `~` is the shell's"
    );
    assert_eq!(
        wrong(r#""a\u0000b""#, |value, m| value.path(base, m)),
        "a.toml:1:5: a path cannot hold a null character"
    );
}
