//! One rule for what is laid over what: a case over its request, a dialect over the one it extends.

use tokend_dialect::{Catalog, Dialect, ExchangeKind, parse};

use crate::support::*;

/// Bodies as `body.json = ` takes them: what lies beneath, what is laid over it, and what comes of it.
const LAID: &[(&str, &str, &str)] = &[
    (
        r#"{ a = { b = "1", c = "2" } }"#,
        r#"{ a = { c = "3" } }"#,
        r#"{"a":{"b":"1","c":"3"}}"#,
    ),
    (
        r#"{ a = { b = { c = { d = 1, e = 2 } } }, z = true }"#,
        r#"{ a = { b = { c = { e = 3 } } } }"#,
        r#"{"a":{"b":{"c":{"d":1,"e":3}}},"z":true}"#,
    ),
    (
        r#"{ a = [1, 2], b = 1 }"#,
        r#"{ a = [3] }"#,
        r#"{"a":[3],"b":1}"#,
    ),
    (r#"{ a = { b = 1 } }"#, r#"{ a = "x" }"#, r#"{"a":"x"}"#),
    (r#"{ a = "x" }"#, r#"{ a = { b = 1 } }"#, r#"{"a":{"b":1}}"#),
    (
        r#"'{"a": {"b": null, "c": 1}}'"#,
        r#"{ a = { c = 2 } }"#,
        r#"{"a":{"b":null,"c":2}}"#,
    ),
    (
        r#"{ a = { b = 1, c = 1 } }"#,
        r#"'{"a": {"b": null}}'"#,
        r#"{"a":{"b":null,"c":1}}"#,
    ),
    (
        r#"{ a = { user = "{username}" } }"#,
        r#"{ a = { code = "{otp?}" } }"#,
        r#"{"a":{"user":"u"}}"#,
    ),
];

const OPTIONS: &str = "[options.otp]\n[options.way]\nchoices = [\"a\", \"b\"]\ndefault = \"a\"\n";

fn sent(dialect: &Dialect, options: &[(&str, &str)]) -> String {
    let fields = fields(&[("username", "u"), ("password", "p")]);
    let request = dialect.request(
        ExchangeKind::Login,
        &with_options(dialect, options),
        &fields,
    );
    body(&request.unwrap_or_else(|error| panic!("{error}"))).to_owned()
}

#[test]
fn a_case_is_laid_over_its_request_as_a_dialect_over_the_one_it_extends() {
    for (beneath, over, expected) in LAID {
        let base = format!("{OPTIONS}[login]\npath = \"/l\"\nbody.json = {beneath}\n");
        let by_case = dialect(&format!(
            "{base}[[login.cases]]\nwhen = {{ way = \"b\" }}\nbody.json = {over}\n"
        ));
        assert_eq!(sent(&by_case, &[("way", "b")]), *expected, "case: {over}");
        let base = (
            "base.toml".to_owned(),
            format!("summary = \"base\"\n{base}"),
        );
        let catalog = Catalog::builtin().with_files([base]).unwrap();
        let own = format!("extends = \"base\"\n[login]\nbody.json = {over}\n");
        let by_extends =
            parse("own.toml", &own, &catalog).unwrap_or_else(|error| panic!("{}", shown(&error)));
        assert_eq!(sent(&by_extends, &[]), *expected, "extends: {over}");
    }
}

#[test]
fn an_object_of_which_absent_placeholders_leave_nothing_is_left_out() {
    let json = |json: &str| {
        dialect(&format!(
            "{OPTIONS}[login]\npath = \"/l\"\nbody.json = {json}\n"
        ))
    };
    for (body, without, with) in [
        (
            r#"{ u = "{username}", mfa = { code = "{otp?}" } }"#,
            r#"{"u":"u"}"#,
            r#"{"mfa":{"code":"7"},"u":"u"}"#,
        ),
        (
            r#"{ u = "{username}", mfa = { by = { otp = { code = "{otp?}" } } } }"#,
            r#"{"u":"u"}"#,
            r#"{"mfa":{"by":{"otp":{"code":"7"}}},"u":"u"}"#,
        ),
        (
            r#"{ u = "{username}", mfa = { kind = "otp", code = "{otp?}" } }"#,
            r#"{"mfa":{"kind":"otp"},"u":"u"}"#,
            r#"{"mfa":{"code":"7","kind":"otp"},"u":"u"}"#,
        ),
        (
            r#"{ u = "{username}", all = [{ code = "{otp?}" }, "x"] }"#,
            r#"{"all":["x"],"u":"u"}"#,
            r#"{"all":[{"code":"7"},"x"],"u":"u"}"#,
        ),
        (
            r#"{ u = "{username}", written = {} }"#,
            r#"{"u":"u","written":{}}"#,
            r#"{"u":"u","written":{}}"#,
        ),
        (r#"{ code = "{otp?}" }"#, "{}", r#"{"code":"7"}"#),
        (
            r#"'{"u": "{username}", "mfa": {"code": "{otp?}"}}'"#,
            r#"{"u":"u"}"#,
            r#"{"mfa":{"code":"7"},"u":"u"}"#,
        ),
    ] {
        let dialect = json(body);
        assert_eq!(sent(&dialect, &[]), without, "{body}");
        assert_eq!(sent(&dialect, &[("otp", "7")]), with, "{body}");
    }
}

#[test]
fn the_cases_of_a_request_are_told() {
    let dialect = dialect(&format!(
        "{OPTIONS}[login]\npath = \"/l\"\nbody.json = {{ u = \"{{username}}\" }}\n\
         [[login.cases]]\nwhen = {{ way = [\"b\", \"a\"] }}\npath = \"/m\"\n"
    ));
    let case = vec![("way".to_owned(), "b".to_owned())];
    assert_eq!(dialect.cases(ExchangeKind::Login), [case]);
    assert!(dialect.cases(ExchangeKind::Refresh).is_empty());
}
