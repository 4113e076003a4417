//! Explanations, with their places.

use clap::Parser as _;
use tempfile::TempDir;

use super::*;
use crate::arguments::{Cli, Command, PolicyCommand};
use crate::printing::tests::captured;

const TEXT: &str = r#"
admin = [{ user = 1, may = ["reload"] }]
[group.one]
accounts = ["ads"]
allow = [{ unit = "backup@.service" }]
[account.ads]
provider = "oauth2"
base_url = "https://a.example"
username = "u"
client_id = "c"
allow = [
  { user = 4001 },
  { group = 4050, exe = "/usr/bin/a" },
]
[account."bot@b.example"]
provider = "oauth2"
base_url = "https://a.example"
username = "u"
client_id = "c"
allow = [{ user = 4001 }]
"#;

fn explained(options: &str) -> (Exit, String, String) {
    let site = TempDir::new().unwrap();
    let file = site.path().join("tokend.toml");
    std::fs::write(&file, TEXT).unwrap();
    let line = format!(
        "tokend policy explain --config {} {options}",
        file.display()
    );
    let command = Cli::try_parse_from(line.split_whitespace()).map(Cli::into_command);
    let Ok(Command::Policy(PolicyCommand::Explain(args))) = command else {
        panic!("{options}: {command:?}")
    };
    let environment = Environment {
        uid: 7,
        ..Environment::default()
    };
    let (exit, out, err) = captured(|output| explain(&args, &environment, output));
    let text = |text: String| text.replace(&site.path().display().to_string(), "DIR");
    (exit, text(out), text(err))
}

fn said(options: &str) -> String {
    let (exit, out, err) = explained(options);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""), "{options}");
    out
}

#[test]
fn a_name_that_needs_quotes_has_them_in_the_table_to_edit() {
    let table = "`allow` of [account.\"bot@b.example\"]";
    let text = said("bot@b.example --uid 4001 --gid 4001");
    assert!(
        text.contains(&format!("toml:20:10, in {table}\n")),
        "{text}"
    );
    let text = said("bot@b.example --uid 4002 --gid 4002");
    let advice = format!("for example, add {{ user = 4002 }} to {table}\n");
    assert!(text.contains(&advice), "{text}");
}

#[test]
fn the_rule_that_decides_is_named_with_its_place() {
    let text = said("ads --uid 4001 --gid 4001");
    let expected = "\
a peer (uid 4001, gid 4001), and account ads:
  get      allowed by { user = 4001 } at DIR/tokend.toml:12:3, in `allow` of [account.ads]
  status   allowed by { user = 4001 } at DIR/tokend.toml:12:3, in `allow` of [account.ads]
  reject   allowed by { user = 4001 } at DIR/tokend.toml:12:3, in `allow` of [account.ads]
  refresh  no rule allows it
           { user = 4001 } at DIR/tokend.toml:12:3, in `allow` of [account.ads] matches, and gives get, status and reject: add \"refresh\" to its `may`
";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains(
            "  reload   no rule allows it\n           for example, add { user = 4001 } to `admin`\n"
        ),
        "{text}"
    );
}

#[test]
fn groups_of_accounts_and_administrators_are_named() {
    let text = said("ads --uid 1 --gid 4001 --unit backup@daily.service");
    assert!(text.contains("get      allowed by { unit = \"backup@.service\" } at DIR/tokend.toml:5:10, in `allow` of [group.one]"), "{text}");
    assert!(
        text.contains(&format!(
            "reload   allowed by {{ user = {} }} at DIR/tokend.toml:2:10, in `admin`",
            user(1)
        )),
        "{text}"
    );
}

#[test]
fn nothing_is_advised_that_check_would_refuse() {
    // An administrator: written, and by being the daemon's user. Neither can be given a token by `admin`.
    let text = said("ads --uid 1 --gid 4001 --unit x.service");
    for permission in ["get", "reject"] {
        let advice = format!(
            "{permission:<8} no rule allows it\n           for example, add {{ user = {} }} to `allow` of [account.ads]",
            user(1)
        );
        assert!(text.contains(&advice), "{text}");
    }
    let advice = "in `admin` matches, and gives reload: add \"status\" to its `may`";
    assert!(
        !text.contains("in `admin` matches, and gives reload: add \"get\""),
        "{text}"
    );
    assert!(
        text.contains(advice) || text.contains("status   allowed"),
        "{text}"
    );
}

#[test]
fn what_was_not_said_is_not_guessed() {
    let text = said("ads --uid 4002 --gid 4050");
    assert!(text.contains("  get      no rule allows it\n"), "{text}");
    assert!(text.contains("{ group = 4050, exe = \"/usr/bin/a\" } at DIR/tokend.toml:13:3, in `allow` of [account.ads] would, if its executable were known and right: executable: it was not given"), "{text}");
    assert!(text.contains("{ unit = \"backup@.service\" } at DIR/tokend.toml:5:10, in `allow` of [group.one] would, if its unit were known"), "{text}");
    let text = said("ads --uid 4002 --gid 4001 --group 4050 --exe /usr/bin/a --unit x.service");
    assert!(
        text.contains("get      allowed by { group = 4050, exe"),
        "{text}"
    );
    let text = said("ads --uid 4002 --gid 4001 --exe /usr/bin/a --unit x.service");
    assert!(text.contains("get      no rule allows it\n           for example, add { user = 4002 } to `allow` of [account.ads]"), "{text}");
    assert!(text.contains("refresh  no rule allows it\n           for example, add { user = 4002, may = [\"refresh\"] } to"), "{text}");
}

#[test]
fn a_process_can_be_named() {
    let own = std::process::id();
    let text = said(&format!("ads --pid {own}"));
    let exe = std::env::current_exe().unwrap();
    assert!(text.contains(&format!("exe {}", exe.display())), "{text}");
}

#[test]
fn what_does_not_exist_is_told() {
    let (exit, _, err) = explained("adz --uid 1");
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("there is no account adz in DIR/tokend.toml; did you mean ads?"),
        "{err}"
    );
    let (exit, _, err) = explained("ads --uid no-such-user-anywhere");
    assert_eq!(exit, Exit::Usage);
    assert!(
        err.contains("there is no user no-such-user-anywhere"),
        "{err}"
    );
    for line in [
        "ads",
        "ads --uid 1 --pid 1",
        "ads --uid 1 --unit nonsense",
        "ads --uid 1 --sha256 x",
    ] {
        let line = format!("tokend policy explain {line}");
        assert!(
            Cli::try_parse_from(line.split_whitespace()).is_err(),
            "{line}"
        );
    }
}
