//! Mistakes in dialects: each is told with file, line, column, what was expected and the nearest valid word.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot help ends its test"
)]

use tokend_dialect::{Catalog, parse};

use crate::support::shown;

fn mistakes(text: &str) -> String {
    shown(&parse("ads.toml", text, &Catalog::builtin()).unwrap_err())
}

/// Place and sentence of what is told first about `text`.
fn first_of(text: &str) -> String {
    let error = parse("ads.toml", text, &Catalog::builtin()).unwrap_err();
    let first = error.diagnostics().kept().first().unwrap();
    let (line, column) = first.position().unwrap();
    format!("{line}:{column}: {}", first.message())
}

/// The same about `text` below a valid start.
fn first(text: &str) -> String {
    let start = "summary = \"s\"\n[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n";
    first_of(&format!("{start}{text}"))
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text = r#"summry = "Ads"
[login]
metod = "POST"
path = "login"
[login.body.form]
username = "{usrname}"
[refresh]
path = "/refresh"
body.json = { token = "{refresh_token}" }
reuse = "rotate"
[reply]
access_token = "access_token"
lifetime = { from = [{ at = "/expires", unit = "ms" }], assumed = "45" }
[[login.rules]]
status = 42
class = "credentials-rejected"
[pacing]
attempts = { burst = 0, every = "1m" }
"#;
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn a_syntax_mistake_has_its_place() {
    insta::assert_snapshot!(mistakes("summary = \"s\"\n[login\npath = \"/l\"\n"));
}

#[test]
fn a_mistake_in_an_inherited_file_names_that_file() {
    let files = [
        (
            "base.toml".to_owned(),
            "summary = \"s\"\n[login]\npath = \"/l\"\nbody = \"none\"\n".to_owned(),
        ),
        (
            "child.toml".to_owned(),
            "extends = \"base\"\n[login]\nmethod = \"GET\"\npth = \"/x\"\n".to_owned(),
        ),
    ];
    let errors = Catalog::builtin().with_files(files).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].to_string(), "dialect `child` has a mistake");
    let diagnostic = &errors[0].diagnostics().kept()[0];
    assert_eq!(
        (diagnostic.file(), diagnostic.position()),
        ("child.toml", Some((4, 1)))
    );
    assert_eq!(diagnostic.message(), "unknown key `pth`");
    assert!(
        diagnostic
            .help()
            .unwrap()
            .starts_with("did you mean `path`?"),
        "{:?}",
        diagnostic.help()
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_kind_of_mistake_is_told_with_its_place() {
    for (text, says) in [
        ("bdy = 1", "5:1: unknown key `bdy`"),
        ("method = \"DELETE\"", "5:10: unknown word `DELETE`"),
        ("method = 1", "5:10: expected a string, found an integer"),
        ("query = \"a=b\"", "5:9: expected a table, found a string"),
        (
            "query = { a = \"{nope}\" }",
            "5:15: unknown placeholder `{nope}`",
        ),
        ("query = { a = \"{\" }", "5:15: a brace stands alone"),
        ("query = { a = \"}\" }", "5:15: a brace stands alone"),
        (
            "headers = { \"a b\" = \"x\" }",
            "5:13: `a b` is not a header name",
        ),
        (
            "headers = { Host = \"x\" }",
            "5:13: `Host` is set by HTTP itself",
        ),
        (
            "headers = { Content-Length = \"1\" }",
            "5:13: `Content-Length` is set by HTTP itself",
        ),
        (
            "headers = { Cookie = \"x\" }",
            "5:13: write cookies into `cookies`",
        ),
        (
            "headers = { x = \"a\\nb\" }",
            "5:17: a header has only printable ASCII characters",
        ),
        (
            "cookies = { \"a;b\" = \"x\" }",
            "5:13: `a;b` is not a cookie name",
        ),
        (
            "headers = { Authorization = \"x\" }\nauth = { scheme = \"bearer\", token = \"{password}\" }",
            "5:13: `auth` sets this header already",
        ),
        (
            "auth = { scheme = \"digest\" }",
            "5:19: unknown word `digest`",
        ),
        (
            "auth = { scheme = \"basic\", username = \"{username}\", password = \"{password}\" }",
            "5:8: `encoding` is missing",
        ),
        (
            "method = \"GET\"",
            "2:1: a request with method GET cannot have a body",
        ),
        (
            "query = { a = \"{refresh_token}\" }",
            "2:1: a login cannot use a token",
        ),
        ("endpoints = { Upper = \"/x\" }", "5:15: `Upper` is no name"),
        (
            "endpoints = { x = \"x\" }",
            "5:19: this path does not begin with one `/`",
        ),
        (
            "endpoints = { x = \"/a?b=c\" }",
            "5:19: this path has a character that cannot stand in a path",
        ),
        (
            "endpoints = { x = \"/a/../b\" }",
            "5:19: this path has a segment of only dots",
        ),
        (
            "endpoints = { x = \"/{scope?}\" }",
            "5:19: this path has a placeholder that may be absent",
        ),
        (
            "endpoints = { x = \"https://{username}.example.com/t\" }",
            "5:19: this path does not name the whole host before its first placeholder",
        ),
        (
            "endpoints = { x = \"http://a.example/t\" }",
            "5:19: this path does not begin with one `/`",
        ),
        (
            "endpoints = { x = \"https://u@a.example/t\" }",
            "5:19: this path holds a user name",
        ),
        (
            "endpoints = { x = \"https://@a.example/t\" }",
            "5:19: this path holds a user name",
        ),
        (
            "endpoints = { x = \"https:///a.example/t\" }",
            "5:19: this path is not a valid URL",
        ),
        (
            "endpoints = { x = \"https://a.example/a b\" }",
            "5:19: this path is not a valid URL",
        ),
        ("[[login.cases]]\npath = \"/x\"", "5:1: `when` is missing"),
        (
            "[[login.cases]]\nwhen = {}",
            "6:8: a case needs a condition",
        ),
        (
            "[[login.cases]]\nwhen = { mode = \"x\" }",
            "6:10: `mode` is not an option with choices",
        ),
        (
            "[options.m]\nchoices = [\"a\"]\n[[login.cases]]\nwhen = { m = \"b\" }",
            "8:14: option `m` cannot be `b`",
        ),
        (
            "[options.m]\nchoices = [\"a\"]\ndefault = \"b\"",
            "7:11: option `m` cannot be `b`",
        ),
        ("[options.m]\nchoices = []", "6:11: this list is empty"),
        (
            "[options.m]\ntype = \"path\"\ndefault = \"x\"",
            "7:11: `x` does not begin with one `/`",
        ),
        (
            "[options.password]\ndefault = \"x\"",
            "5:10: `password` is a standard field",
        ),
        (
            "[options.base_url]\ndefault = \"x\"",
            "5:10: `base_url` means something else in an account",
        ),
        (
            "[fields.Api-Key]\nsecret = true",
            "5:9: `Api-Key` is no name",
        ),
        (
            "[fields.k]\n[options.k]\ndefault = \"x\"",
            "6:10: `k` is both a field and an option",
        ),
        (
            "[fields.k]\nsecret = \"yes\"",
            "6:10: expected true or false, found a string",
        ),
        (
            "[reply]\naccess_token = { at = \"/a\", header = \"b\" }",
            "6:16: a place has exactly one of `at`, `header` and `cookie`",
        ),
        (
            "[reply]\naccess_token = \"/a~2\"",
            "6:16: `/a~2` is not a JSON pointer",
        ),
        (
            "[reply]\ntoken_types = \"DPoP\"",
            "6:15: a DPoP token cannot be handed out",
        ),
        (
            "[reply]\nlifetime = { min = \"2h\", max = \"1h\" }",
            "6:12: `min` is longer than `max`",
        ),
        (
            "[reply]\nlifetime = { assumed = \"2h\", max = \"1h\" }",
            "6:12: `assumed` is outside `min` and `max`",
        ),
        (
            "[reply]\nlifetime = { assumed = \"0s\" }",
            "6:24: this duration must be longer than nothing",
        ),
        (
            "[reply]\nlifetime = { assumed = \"-1h\" }",
            "6:24: `-1h` is not a duration",
        ),
        (
            "[reply]\nlifetime = { from = { jwt = \"id_token\" } }",
            "6:29: unknown word `id_token`",
        ),
        (
            "[[rules]]\nclass = \"busy\"",
            "5:1: this rule would match every reply",
        ),
        (
            "[[rules]]\nstatus = \"6xx\"\nclass = \"busy\"",
            "6:10: this is not an HTTP status",
        ),
        (
            "[[rules]]\nstatus = \"500-400\"\nclass = \"busy\"",
            "6:10: this is not an HTTP status",
        ),
        (
            "[[rules]]\ntext = \"\"\nclass = \"busy\"",
            "6:8: an empty text would match every reply",
        ),
        (
            "[[rules]]\nstatus = 400\nat = \"/a\"\nclass = \"busy\"",
            "5:1: `at` says where a code stands, but there is no `code`",
        ),
        (
            "[[rules]]\nstatus = 400\nclass = \"misconfigured\"\nretry_after = \"1m\"",
            "8:15: only a rule with class `busy` has a time to retry",
        ),
        (
            "[refresh]\npath = \"/r\"\n[[refresh.rules]]\nstatus = 400\nclass = \"refresh-token-rejected\"\nprocessed = \"no\"",
            "10:13: a rule with class `refresh-token-rejected` gives the refresh token up, whatever was processed",
        ),
        (
            "[[login.rules]]\nstatus = 400\nclass = \"refresh-token-rejected\"",
            "5:1: a login's rule has class `refresh-token-rejected`",
        ),
        ("[[rejection]]\ntext = \"x\"", "5:1: `status` is missing"),
        (
            "[[rejection]]\nstatus = 400\ncode = \"x\"",
            "5:1: `at` is missing",
        ),
        (
            "[refresh]\npath = \"/r\"\nbody.form = { a = \"{username}\" }",
            "5:1: this refresh sends no refresh token",
        ),
        (
            "[refresh]\npath = \"/r\"\nbody = {}",
            "7:8: a body is either `form` or `json`",
        ),
        (
            "[refresh]\npath = \"/r\"\nbody.json = \"{\"",
            "7:13: this is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "[refresh]\npath = \"/r\"\nbody.json = { d = 2026-01-01 }",
            "7:19: JSON has no dates",
        ),
        (
            "[refresh]\npath = \"/r\"\nbody.json = { d = nan }",
            "7:19: JSON has no such number",
        ),
        (
            "[pacing]\nlogins = { burst = 1 }",
            "6:10: `every` is missing",
        ),
        (
            "[pacing]\nlogins = { burst = 1, every = \"0s\" }",
            "6:31: this duration must be longer than nothing",
        ),
        (
            "[pacing]\nhost_in_flight = 0",
            "6:18: expected a whole number from 1 to 1000, found 0",
        ),
    ] {
        assert_eq!(first(text), says, "{text}");
    }
}

#[test]
fn a_dialect_must_say_something() {
    for (text, says) in [
        ("", "1:1: `summary` is missing"),
        (
            "summary = \"s\"",
            "1:1: the dialect says neither how to log in nor how to refresh",
        ),
        (
            "summary = \"s\"\n[login]\nbody = \"none\"",
            "2:1: `path` is missing",
        ),
        (
            "summary = \"two\\nlines\"\n[login]\npath = \"/l\"",
            "1:11: the summary is one line of at most 120 bytes",
        ),
        ("extends = \"oauth3\"", "1:11: there is no dialect `oauth3`"),
        (
            "extends = \"oauth2\"\nwithout = [\"login.rulez\"]",
            "2:12: the extended dialect has no `login.rulez`; did you mean `login.rules`?",
        ),
        ("without = [\"login\"]", "1:11: `without` needs `extends`"),
        ("extends = 2", "1:11: expected a string, found an integer"),
    ] {
        assert_eq!(first_of(text), says, "{text}");
    }
}

#[test]
fn names_of_files_are_names_of_dialects() {
    let catalog = Catalog::builtin();
    let text = "extends = \"oauth2\"";
    for file in [
        "Ads.toml",
        "a b.toml",
        ".toml",
        "-a.toml",
        &format!("{}.toml", "x".repeat(64)),
    ] {
        assert!(parse(file, text, &catalog).is_err(), "{file}");
    }
    assert_eq!(
        parse("some/dir/my-ads2.toml", text, &catalog)
            .unwrap()
            .name(),
        "my-ads2"
    );
    let error = parse("oauth2.toml", text, &catalog).unwrap_err();
    assert_eq!(
        error.diagnostics().kept()[0].message(),
        "there is a dialect `oauth2` already"
    );
    let long = format!("# {}", "x".repeat(256 * 1024));
    assert_eq!(
        parse("a.toml", &long, &catalog)
            .unwrap_err()
            .diagnostics()
            .kept()[0]
            .message(),
        "the file is too long"
    );
}

#[test]
fn no_word_is_offered_twice() {
    // `summary` and `rules` are looked at twice, and a field may repeat the name of a standard one.
    let text = "sumary = \"s\"\n[fields.username]\n[login]\nruls = 1\npath = \"/l\"\nbody.form = { u = \"{usrname}\" }\n";
    let error = parse("ads.toml", text, &Catalog::builtin()).unwrap_err();
    let help = |message: &str| {
        let diagnostic = error
            .diagnostics()
            .kept()
            .iter()
            .find(|one| one.message() == message);
        let help = diagnostic.and_then(|one| one.help()).map(str::to_owned);
        help.unwrap_or_else(|| panic!("{message} in {}", shown(&error)))
    };
    assert_eq!(
        help("unknown key `sumary`"),
        "did you mean `summary`? valid here: `extends`, `without`, `summary`, `documentation`, `fields`, `options`, \
         `reply`, `rules`, `login`, `refresh`, `rejection`, `api`, `pacing`"
    );
    assert_eq!(
        help("unknown key `ruls`"),
        "did you mean `rules`? valid here: `method`, `path`, `auth`, `headers`, `query`, `cookies`, `body`, `endpoints`, \
         `cases`, `reply`, `rules`"
    );
    assert_eq!(
        help("unknown placeholder `{usrname}`"),
        "did you mean `username`? valid here: `username`, `password`, `client_id`, `client_secret`, `scope`, \
         `refresh_token`, `access_token`"
    );
}

#[test]
fn what_may_stand_in_the_place_of_a_placeholder_is_not_shown() {
    let text = "summary = \"s\"\n[login]\npath = \"/l\"\n\
        body.form = { grant_type = \"password\", client_secret = \"hunter2\", token = \"{password}\", zz = 1, at = \"{usrname}\" } # hunter2\n\
        [refresh\npassword = hunter2\n";
    let said = mistakes(&text.replace("[refresh\npassword = hunter2\n", ""));
    let line = "body.form = { grant_type = \"password\", client_secret = ***, token = \"{password}\", zz = 1, at = \"{usrname}\" }";
    assert!(said.contains(line) && !said.contains("hunter"), "{said}");
    let said = mistakes(text);
    assert!(
        said.contains("unclosed table") && !said.contains("hunter"),
        "{said}"
    );
}
