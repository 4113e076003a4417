//! Every mistake, and what is said about it.

mod catalogue;

use super::*;
use catalogue::{ACCOUNT, ACCOUNTS, FILES};

fn said(text: &str) -> Vec<String> {
    let site = Site::new(text);
    let error = site.load().expect_err(text);
    let lines = error
        .diagnostics()
        .kept()
        .iter()
        .map(|diagnostic| site.anonymous(&diagnostic.to_string()));
    lines
        .map(|line| {
            line.strip_prefix("DIR/tokend.toml:")
                .unwrap_or(&line)
                .to_owned()
        })
        .collect()
}

#[test]
fn each_mistake_in_a_file_is_told_with_its_place_and_what_to_write() {
    for (text, expected) in FILES {
        assert_eq!(said(text), *expected, "{text}");
    }
}

#[test]
fn each_mistake_in_an_account_is_told_with_its_place_and_what_to_write() {
    for (lines, expected) in ACCOUNTS {
        assert_eq!(said(&format!("{ACCOUNT}{lines}\n")), *expected, "{lines}");
    }
}

/// People paste secrets where they do not belong; `hunter2` is in most of the files above.
#[test]
fn no_report_shows_a_secret() {
    let accounts = ACCOUNTS
        .iter()
        .map(|(lines, _)| format!("{ACCOUNT}{lines}\n"));
    let mut with_a_secret = 0;
    for text in FILES
        .iter()
        .map(|(text, _)| (*text).to_owned())
        .chain(accounts)
    {
        let site = Site::new(&text);
        let error = site.load().expect_err(&text);
        let everything = format!("{error} {error:?} {}", site.shown(&error));
        assert!(!everything.contains("hunter"), "{everything}");
        with_a_secret += usize::from(text.contains("hunter2"));
    }
    assert!(with_a_secret > 10);
}

#[test]
fn a_report_quotes_the_line_and_marks_the_place() {
    let site = Site::new(&format!(
        "{ACCOUNT}pasword = \"hunter2\" # old\nrefresh = \"allways\"\n"
    ));
    let error = site.load().expect_err("two mistakes");
    let expected = r"  x unknown key `pasword`
   ,-[DIR/tokend.toml:5:1]
 5 | pasword = ***
   : ^^^^^^^
   `----
  help: did you mean `password`? valid here: `provider`, `base_url`, `endpoint`, `login_path`, `refresh_path`,
        `options`, `allow`, `refresh`, `assumed_lifetime`, `pacing`, `proxy`, `api`, `issuer`, `username`, `password`,
        `client_id`, `client_secret`, `scope`, `fields`

  x unknown word `allways`
   ,-[DIR/tokend.toml:6:11]
 6 | refresh = ***
   :           ^^^
   `----
  help: did you mean `always`? valid here: `auto`, `always`, `on-demand`

";
    assert_eq!(
        site.shown(&error),
        expected.replace(
            "refresh = ***\n   :           ^^^\n",
            "refresh = \"allways\"\n   :           ^^^^^^^^^\n"
        )
    );
}

#[test]
fn one_account_that_is_no_toml_does_not_hide_the_mistakes_of_others() {
    let broken = "[account.b]\nprovider = \n[account.c]\nprovider = \"x\"\n";
    let said = said(&format!("{ACCOUNT}{broken}"));
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("6:12: "), "{said:?}");
    assert!(
        said[1].starts_with("7:10: `base_url` is missing"),
        "{said:?}"
    );
    assert!(
        said[2].starts_with("8:12: there is no dialect `x`"),
        "{said:?}"
    );
}

#[test]
fn mistakes_in_other_files_name_those_files() {
    let site = Site::new(&format!("include_dir = \"accounts.d\"\n{ACCOUNT}"))
        .with(
            "accounts.d/a.toml",
            "[account.ads]\n[log]\nlevel = \"info\"\n",
        )
        .with("accounts.d/b.toml", "[account.b\n");
    let error = site.load().expect_err("mistakes in both");
    let lines: Vec<String> = error
        .diagnostics()
        .kept()
        .iter()
        .map(|diagnostic| site.anonymous(&diagnostic.to_string()))
        .collect();
    let expected = [
        "DIR/accounts.d/a.toml:1:10: account ads is defined twice; it stands at DIR/tokend.toml:2:10 already",
        "DIR/accounts.d/a.toml:2:2: `log` cannot stand here: an included file holds only accounts; \
         put it into the file that has `include_dir`",
        "DIR/accounts.d/b.toml:1:11: unclosed table, expected `]`",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_broken_dialect_is_told_once_and_not_as_missing() {
    let site = Site::new("dialect_dir = \"d\"\n[account.a]\nprovider = \"my-api\"\nbase_url = \"https://a.example\"\n")
        .with("d/my-api.toml", "extends = \"oauth2\"\nsumary = \"mine\"\n");
    let error = site.load().expect_err("a broken dialect");
    assert_eq!(error.diagnostics().count(), 1, "{error:?}");
    let shown = site.shown(&error);
    assert!(
        shown.contains("DIR/d/my-api.toml:2:1") && shown.contains("did you mean `summary`"),
        "{shown}"
    );
    assert!(
        site.anonymous(&error.to_string())
            .starts_with("DIR/d/my-api.toml:2:1: unknown key `sumary`")
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let site = Site::new("");
    fs::remove_file(site.path("tokend.toml")).expect("remove");
    let error = site.load().expect_err("no file");
    assert_eq!(
        site.shown(&error),
        "  x DIR/tokend.toml: cannot be read: No such file or directory (os error 2)\n  \
         help: create it as tokend.toml(5) shows, or name another with --config\n\n"
    );
    fs::write(site.path("tokend.toml"), b"a = 1\nb = \"\xff\"\n").expect("write");
    let error = site.load().expect_err("no text");
    assert_eq!(
        site.anonymous(&error.to_string()),
        "DIR/tokend.toml: is not UTF-8 text: line 2 has a byte that is none"
    );
}

#[test]
fn what_a_mistake_quotes_cannot_rewrite_the_line_it_stands_in() {
    let site = Site::new(
        "dialect_dir = \"d\"\n[account.a]\nprovider = \"x\\n\\u001b[2Jtokend: all is well\"\nbase_url = \"https://a.example\"\n",
    )
    .with("d/my-api.toml", "summary = \"s\"\n\"\\r\\u009b\" = 1 # \u{1b}[2J\n");
    let error = site.load().expect_err("no such dialect");
    let message = error.to_string();
    assert!(!message.contains(char::is_control), "{message:?}");
    for diagnostic in error.diagnostics().kept() {
        assert!(
            !diagnostic.to_string().contains(char::is_control),
            "{diagnostic:?}"
        );
    }
    let shown = site.shown(&error);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!shown.contains(control), "{shown:?}");
}
