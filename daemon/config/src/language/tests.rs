//! What is shown of a line of a configuration beside what a mistake is about.

use tokend_document::{Diagnostics, Mark, Medium, Source, Span, report};

use super::*;

fn shown(line: &str, mark: &str) -> String {
    let start = line.find(mark).expect("the mark is in the line");
    let span = Span {
        source: Source::new("tokend.toml", line.to_owned(), &Configuration),
        range: start..start + mark.len(),
    };
    let mut diagnostics = Diagnostics::default();
    diagnostics.add(&span, Mark::Shown, "wrong", None);
    let report = report(&diagnostics, Medium::Plain);
    let quoted = report.lines().find_map(|line| line.strip_prefix(" 1 | "));
    quoted.expect("the line").to_owned()
}

#[test]
fn what_cannot_be_a_secret_is_shown_beside_the_mark() {
    let table = [
        (
            r#"allow = [{ user = 0, may = ["get", "reload"] }]"#,
            r#""reload""#,
            r#"allow = [{ user = 0, may = ["get", "reload"] }]"#,
        ),
        (
            r#"allow = [{ user = 1000, exe = "/usr/bin/x", gruop = "ci" }]"#,
            "gruop",
            r#"allow = [{ user = 1000, exe = ***, gruop = *** }]"#,
        ),
        (
            r#"attempts = { burst = 3, evry = "1m" }"#,
            "evry",
            r#"attempts = { burst = 3, evry = *** }"#,
        ),
        (
            r#"x = { user = "hunter2", may = ["hunter2", "get"], zz = 1 }"#,
            "zz",
            r#"x = { user = ***, may = [***, "get"], zz = *** }"#,
        ),
        (
            r#"x = { password = 1000, user = 12345678901, zz = 1 }"#,
            "zz",
            r#"x = { password = ***, user = ***, zz = *** }"#,
        ),
        (
            r#"log = { level = "debug", format = "hunter2", zz = 1 }"#,
            "zz",
            r#"log = { level = "debug", format = ***, zz = *** }"#,
        ),
        (
            r#"x = { provider = "oauth2", every = "10s", secret = "10s", zz = 1 }"#,
            "zz",
            r#"x = { provider = "oauth2", every = "10s", secret = ***, zz = *** }"#,
        ),
        (
            r#"x = { provider = "hunter2", every = "hunter2s", timeout = "2h", zz = 1 }"#,
            "zz",
            r#"x = { provider = ***, every = ***, timeout = "2h", zz = *** }"#,
        ),
        (
            r#"x = { user = 0hunter2, password = ["get"], zz = 1 }"#,
            "zz",
            r#"x = { user = ***, password = [***], zz = *** }"#,
        ),
    ];
    for (line, mark, expected) in table {
        assert_eq!(shown(line, mark), expected, "{line}");
    }
}
