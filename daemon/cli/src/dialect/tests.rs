//! What `tokend dialect` prints and how it ends.

use clap::Parser as _;
use tempfile::TempDir;

use super::*;
use crate::arguments::{Cli, Command};
use crate::printing::tests::captured;

fn done(line: &[&str]) -> (Exit, String, String) {
    let line = ["tokend", "dialect"].iter().chain(line);
    let command = match Cli::try_parse_from(line).map(Cli::into_command) {
        Ok(Command::Dialect(command)) => command,
        other => panic!("{other:?}"),
    };
    captured(|output| run(&command, output))
}

fn good(line: &[&str]) -> String {
    let (exit, out, err) = done(line);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""), "{line:?}");
    out
}

struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("write");
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

const MINE: (&str, &str) = (
    "my-api.toml",
    "extends = \"oauth2\"\nsummary = \"my own\"\n",
);

#[test]
fn a_name_is_no_file_and_leads_to_what_takes_names() {
    let (exit, _, err) = done(&["check", "oauth2"]);
    assert_eq!(exit, Exit::Usage);
    assert!(
        err.contains("`tokend dialect show oauth2` shows it"),
        "{err}"
    );
}

#[test]
fn the_list_has_each_built_in_dialect_and_ones_own() {
    let list = good(&["list"]);
    for name in [
        "ad-verification",
        "client-credentials",
        "firebase-accounts",
        "jwt-api",
        "oauth2",
    ] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
    }
    let files = Files::new(&[MINE]);
    let list = good(&["list", "--dialect-dir", &files.path("")]);
    assert!(
        list.lines()
            .any(|line| line.starts_with("my-api ") && line.ends_with("my own (your own)")),
        "{list}"
    );
}

#[test]
fn a_dialect_is_shown_as_written_or_with_what_it_inherits() {
    let files = Files::new(&[MINE]);
    assert!(good(&["show", "jwt-api"]).contains("summary = "));
    let effective = good(&["show", &files.path("my-api.toml"), "--effective"]);
    assert!(
        effective.contains("my own") && effective.contains("grant_type"),
        "{effective}"
    );
}

#[test]
fn a_name_that_is_not_known_is_told_with_the_nearest() {
    let (exit, out, err) = done(&["show", "jwt-apii"]);
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert!(
        err.starts_with("tokend: there is no dialect `jwt-apii`; did you mean `jwt-api`?"),
        "{err}"
    );
    let (exit, _, err) = done(&["show", "./nowhere.toml"]);
    assert_eq!(
        (exit, err.as_str()),
        (
            Exit::NoInput,
            "tokend: ./nowhere.toml: No such file or directory (os error 2)\n"
        )
    );
}

#[test]
fn a_good_dialect_is_told_with_its_fields() {
    let files = Files::new(&[MINE]);
    let shown = good(&["check", &files.path("my-api.toml")]);
    assert!(
        shown.starts_with("dialect `my-api` is fine: login and refresh\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\n  password (required, a reference to a secret)\n"),
        "{shown}"
    );
}

#[test]
fn a_dialect_with_a_mistake_is_told_with_file_line_and_nearest_word() {
    let files = Files::new(&[("my-api.toml", "extends = \"oauth2\"\nsumary = \"x\"\n")]);
    let (exit, out, err) = done(&["check", &files.path("my-api.toml")]);
    assert_eq!((exit, out.as_str()), (Exit::Config, ""));
    let place = format!("{}:2:1", files.path("my-api.toml"));
    assert!(
        err.contains(&place)
            && err.contains("2 | sumary = \"x\"")
            && err.contains("did you mean `summary`?"),
        "{err}"
    );
}

#[test]
fn a_recorded_reply_is_tried_and_no_token_is_shown() {
    let reply = r#"{"access_token": "hunter2-access", "refresh_token": "hunter2-refresh", "token_type": "bearer"}"#;
    let files = Files::new(&[("reply.json", reply)]);
    let shown = good(&[
        "try",
        "ad-verification",
        "--status",
        "200",
        "--body",
        &files.path("reply.json"),
    ]);
    assert!(
        shown.starts_with("POST https://provider.example/login\n"),
        "{shown}"
    );
    assert!(
        shown.contains("<password>") && shown.contains("14 characters"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn headers_status_and_options_reach_the_dialect() {
    let shown = good(&[
        "try",
        "oauth2",
        "--status",
        "429",
        "--header",
        "Retry-After: 30",
    ]);
    assert!(shown.contains("30s"), "{shown}");
    let shown = good(&[
        "try",
        "oauth2",
        "--option",
        "grant=client_credentials",
        "--base-url",
        "https://id.example",
    ]);
    assert!(
        shown.starts_with("POST https://id.example/token\n")
            && shown.contains("client_credentials"),
        "{shown}"
    );
    let (exit, _, err) = done(&["try", "oauth2", "--option", "grnat=x"]);
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("did you mean `grant`?"), "{err}");
    let (exit, _, err) = done(&[
        "try",
        "oauth2",
        "--status",
        "200",
        "--header",
        "bad name: x",
    ]);
    assert_eq!(exit, Exit::Usage);
    assert!(
        err.starts_with("tokend: invalid header of the reply: "),
        "{err}"
    );
}

#[test]
fn files_that_are_too_long_or_no_text_are_refused() {
    let files = Files::new(&[("long.toml", &"#".repeat(2 << 20))]);
    let (exit, _, err) = done(&["check", &files.path("long.toml")]);
    assert_eq!(exit, Exit::NoInput);
    assert!(
        err.ends_with("long.toml is longer than 1048576 bytes\n"),
        "{err}"
    );
    std::fs::write(files.0.path().join("bytes.toml"), b"\xff").expect("write");
    let (exit, _, err) = done(&["check", &files.path("bytes.toml")]);
    assert_eq!(exit, Exit::NoInput);
    assert!(err.ends_with("bytes.toml is not UTF-8 text\n"), "{err}");
}

#[test]
fn check_shows_the_requests_that_come_of_merging() {
    let own = "summary = \"own\"\n[options.way]\nchoices = [\"a\", \"b\"]\ndefault = \"a\"\n\
        [login]\npath = \"/l\"\nbody.json = { a = { user = \"{username}\", v = 1 } }\n\
        [[login.cases]]\nwhen = { way = \"b\" }\nbody.json = { a = { v = 2 } }\n";
    let files = Files::new(&[("own.toml", own)]);
    let shown = good(&["check", &files.path("own.toml")]);
    assert!(
        shown.contains("login with the default options:\n    POST https://base-url/l\n"),
        "{shown}"
    );
    assert!(
        shown.contains(r#"    {"a":{"user":"<username>","v":1}}"#),
        "{shown}"
    );
    assert!(shown.contains("login with way = b:\n"), "{shown}");
    assert!(
        shown.contains(r#"    {"a":{"user":"<username>","v":2}}"#),
        "{shown}"
    );
    assert!(!shown.contains("refresh with"), "{shown}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of options and fields")]
fn what_an_account_needs_goes_by_its_options() {
    let needs = |line: &[&str]| -> serde_json::Value {
        serde_json::from_str(&good(&[&["needs"], line].concat())).expect("JSON")
    };
    let fields = |needs: &serde_json::Value| -> Vec<String> {
        let all = needs["fields"].as_array().expect("an array").iter();
        let word = |field: &serde_json::Value| {
            let is = |key: &str, word| if field[key] == true { word } else { "" };
            let name = field["name"].as_str().expect("a name");
            format!(
                "{name}{}{}",
                is("secret", " secret"),
                is("required", " required")
            )
        };
        all.map(word).collect()
    };
    let all = needs(&["oauth2"]);
    let expected = [
        "scope",
        "username required",
        "password secret required",
        "client_id required",
        "client_secret secret",
    ];
    assert_eq!(fields(&all), expected);
    assert_eq!(
        (&all["base_url"], &all["login"]),
        (&true.into(), &true.into())
    );
    let grant = &all["options"][0];
    assert_eq!(
        (&grant["name"], &grant["default"]),
        (&"grant".into(), &"password".into())
    );
    assert_eq!(grant["choices"].as_array().expect("choices").len(), 3);
    assert_eq!(all["options"][2]["path"], true, "{all}");
    let clients = needs(&["oauth2", "--option", "grant=client_credentials"]);
    assert_eq!(
        fields(&clients),
        ["scope", "client_id required", "client_secret secret"]
    );
    let pasted = needs(&["oauth2", "--option", "grant=refresh_token"]);
    assert_eq!(pasted["login"], false);
    let mine = Files::new(&[(
        "t.toml",
        "summary = \"t\"\nextends = \"oauth2\"\n[options.tenant]\ndescription = \"whose\"\n[login]\npath = \"/{tenant}/token\"\n",
    )]);
    let tenant = needs(&[&mine.path("t.toml")]);
    let required: Vec<_> = tenant["options"]
        .as_array()
        .expect("options")
        .iter()
        .filter(|it| it["required"] == true)
        .collect();
    assert_eq!(required.len(), 1, "{tenant}");
    assert_eq!(required[0]["name"], "tenant");
    let (exit, _, err) = done(&["needs", "oauth2", "--option", "grant=magic"]);
    assert!(
        exit == Exit::Usage && err.contains("client_credentials"),
        "{err}"
    );
}
