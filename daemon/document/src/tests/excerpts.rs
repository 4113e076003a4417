//! What is quoted of a line, and what is not.

use super::*;
use crate::excerpt::Excerpt;

fn shown(line: &str, mark: &str, how: Mark) -> String {
    let start = line.find(mark).expect("the mark is in the line");
    Excerpt::new(&source(line), &(start..start + mark.len()), how).text
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn only_the_marked_text_is_shown() {
    let table = [
        (
            r#"pasword = "hunter2""#,
            "pasword",
            Mark::Shown,
            "pasword = ***",
        ),
        (
            r#"pasword = hunter2"#,
            "pasword",
            Mark::Shown,
            "pasword = ***",
        ),
        (
            r#"password = "hunter2" # old: hunter1"#,
            r#""hunter2""#,
            Mark::Hidden,
            "password = ***",
        ),
        (
            r#"base_url = "ftp://x" # hunter2"#,
            r#""ftp://x""#,
            Mark::Shown,
            r#"base_url = "ftp://x""#,
        ),
        (
            r#"p = { fil = "/a", x = "hunter2", y = 'hun\' }"#,
            "fil",
            Mark::Shown,
            "p = { fil = ***, x = ***, y = *** }",
        ),
        (
            r#"p = { a = "hunter2", fil = 3 }"#,
            "fil",
            Mark::Shown,
            "p = { a = ***, fil = *** }",
        ),
        (
            r#"p = { a = "hun\"ter2", fil = 3 }"#,
            "fil",
            Mark::Shown,
            "p = { a = ***, fil = *** }",
        ),
        (r#"x = """hunter2"#, "x", Mark::Shown, "x = ***"),
        (r#"[account.ads]"#, "ads", Mark::Shown, "[account.ads]"),
        (
            r#"p = { level = "info", x = ["hunter2", "a"] }, y = 1"#,
            r#"{ level = "info", x = ["hunter2", "a"] }"#,
            Mark::Masked,
            r#"p = { level = "info", x = [***, ***] }, y = ***"#,
        ),
        (r#"leve = "info""#, "leve", Mark::Shown, "leve = ***"),
        (
            r#"level = "info""#,
            "level",
            Mark::Shown,
            r#"level = "info""#,
        ),
    ];
    for (line, mark, how, expected) in table {
        assert_eq!(shown(line, mark, how), expected);
    }
}

#[test]
fn a_broken_line_shows_its_key_and_hides_its_value() {
    let table = [
        ("password = hunter2", "hunter2", "password = ***"),
        ("password = \"hunter2", "\"", "password = ***"),
        ("password \"hunter2\"", "\"", "***"),
        ("hunter2\"\"\"", "\"", "***"),
        ("pass word = \"hunter2\"", "word", "pass word = ***"),
        ("base_url = htps://x", "htps", "base_url = htps://x"),
        ("[account.ads", "ads", "[account.ads"),
        ("base_url = https://u:hunter2@x", "https", "base_url = ***"),
        ("username = you # hunter2", "you", "username = you"),
        ("[\"hunter2\"", "[", "***"),
    ];
    for (line, mark, expected) in table {
        let start = line.find(mark).expect("the mark is in the line");
        let excerpt = Excerpt::of_broken(&source(line), &(start..start + mark.len()));
        assert_eq!(excerpt.text, expected);
        assert!(excerpt.text.get(excerpt.marked).is_some());
    }
}

#[test]
fn lines_and_columns_count_from_one_and_in_characters() {
    let file = "a = 1\n  é = 'x'\r\nlast = 2";
    let at = file.find("'x'").expect("there");
    let excerpt = Excerpt::new(&source(file), &(at..at + 3), Mark::Shown);
    assert_eq!((excerpt.line, excerpt.column), (2, 7));
    assert_eq!(&excerpt.text[excerpt.marked.clone()], "'x'");
    let excerpt = Excerpt::new(&source(file), &(file.len()..file.len() + 9), Mark::Shown);
    assert_eq!((excerpt.line, excerpt.column), (3, 9));
    assert_eq!(
        (excerpt.text.as_str(), excerpt.marked),
        ("last = *** ", 10..11)
    );
}

#[test]
fn long_lines_are_shortened_around_the_mark() {
    let line = format!("{}marked{}", "a".repeat(500), "b".repeat(500));
    let excerpt = Excerpt::new(&source(&line), &(500..506), Mark::Shown);
    assert_eq!(&excerpt.text[excerpt.marked.clone()], "marked");
    assert!(excerpt.text.chars().count() < 260, "{}", excerpt.text);
    assert_eq!(excerpt.column, 501);
}
