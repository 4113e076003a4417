//! What rules and groups mean, and what is said about each mistake in them.

use tokend_policy::{Digest, Permission, Permissions, Rule, UnitPattern};

use super::*;
use crate::RuleOrigin;

const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn one(name: &str, more: &str) -> String {
    format!(
        "[account.{name}]\nprovider = \"ad-verification\"\nbase_url = \"https://a.example\"\nusername = \"u\"\n{more}\n"
    )
}

fn rules_of(text: &str, name: &str) -> Vec<Rule> {
    account(&Site::new(text).good(), name)
        .allow
        .rules()
        .to_vec()
}

fn said(text: &str) -> Vec<String> {
    let site = Site::new(text);
    let error = site.load().expect_err(text);
    let lines = error
        .diagnostics()
        .kept()
        .iter()
        .map(|diagnostic| site.anonymous(&diagnostic.to_string()));
    lines
        .map(|line| line.replace("DIR/tokend.toml:", ""))
        .collect()
}

fn unit(name: &str) -> Option<UnitPattern> {
    UnitPattern::new(name).ok()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_rule_says_who_and_what() {
    let usual = || Rule {
        may: Permissions::USE,
        ..Rule::default()
    };
    for (text, expected) in [
        (
            r#"{ user = "deploy" }"#,
            Rule {
                user: Some(1000),
                ..usual()
            },
        ),
        (
            r#"{ group = 50 }"#,
            Rule {
                group: Some(50),
                ..usual()
            },
        ),
        (
            r#"{ unit = "backup@.service" }"#,
            Rule {
                unit: unit("backup@.service"),
                ..usual()
            },
        ),
        (
            r#"{ user = 5, user_unit = "a.scope" }"#,
            Rule {
                user: Some(5),
                user_unit: unit("a.scope"),
                ..usual()
            },
        ),
        (
            r#"{ exe = "/usr/bin/a" }"#,
            Rule {
                exe: Some(Path::new("/usr/bin/a").into()),
                ..usual()
            },
        ),
        (
            &format!("{{ sha256 = \"{DIGEST}\" }}"),
            Rule {
                sha256: DIGEST.parse::<Digest>().ok(),
                ..usual()
            },
        ),
        (
            r#"{ user = "deploy", group = "ci", unit = "a.service", exe = "/a", may = ["get", "refresh"] }"#,
            Rule {
                may: Permissions::of(&[Permission::Get, Permission::Refresh]),
                user: Some(1000),
                group: Some(50),
                unit: unit("a.service"),
                exe: Some(Path::new("/a").into()),
                ..usual()
            },
        ),
    ] {
        let rules = rules_of(&one("ads", &format!("allow = [{text}]")), "ads");
        assert_eq!(rules, [expected], "{text}");
    }
    let config =
        Site::new(r#"admin = [{ user = 5, may = ["reload", "status"] }, { user = 6 }]"#).good();
    let some = Permissions::of(&[Permission::Reload, Permission::Status]);
    assert_eq!(
        config.admin.rules(),
        [Rule::user(5, some), Rule::user(6, Permissions::ADMINISTER)]
    );
}

#[test]
fn a_group_adds_to_what_its_accounts_have() {
    let text = format!(
        "[defaults]\nallow = [{{ user = 1 }}]\n\
         [group.one]\naccounts = [\"ads\", \"s3\"]\nallow = [{{ user = 2 }}]\n\
         [group.another]\naccounts = [\"s3\"]\nallow = [{{ user = 3 }}, {{ user = 4, may = [\"status\"] }}]\n{}{}{}",
        one("ads", "allow = [{ user = 5 }]"),
        one("s3", ""),
        one("alone", "")
    );
    let users = |name| -> Vec<_> {
        let rules = rules_of(&text, name);
        rules.iter().filter_map(|rule| rule.user).collect()
    };
    assert_eq!(users("ads"), [5, 2]);
    // In the order of the groups' names, whatever order they stand in.
    assert_eq!(users("s3"), [1, 3, 4, 2]);
    assert_eq!(users("alone"), [1]);
    let rules = rules_of(&text, "s3");
    assert_eq!(rules.last().map(|rule| rule.may), Some(Permissions::USE));
    assert_eq!(rules[2].may, Permissions::of(&[Permission::Status]));
}

#[test]
fn each_rule_knows_where_it_stands() {
    let text = format!(
        "admin = [{{ user = 9 }}]\n[group.one]\naccounts = [\"ads\", \"s3\"]\nallow = [\n  {{ user = 2 }},\n  {{ user = 3 }},\n]\n{}{}",
        one("ads", "allow = [{ user = 5 },\n{ user = 6 }]"),
        one("s3", "")
    );
    let site = Site::new(&text);
    let read = site.load_over(RuleOrigins::kept(), &|_| None);
    let (_, origins) = read.expect("a good one");
    let name = |text: &str| text.parse().expect("a name");
    let shown = |origin| match origin {
        RuleOrigin::Written { place, list } => format!("{} {list}", site.anonymous(&place)),
        RuleOrigin::Implied => "implied".to_owned(),
    };
    let of = |account: &str, number| shown(origins.of_account(&name(account), number));
    assert_eq!(shown(origins.of_admin(0)), "DIR/tokend.toml:1:10 `admin`");
    assert_eq!(
        of("ads", 0),
        "DIR/tokend.toml:12:10 `allow` of [account.ads]"
    );
    assert_eq!(
        of("ads", 1),
        "DIR/tokend.toml:13:1 `allow` of [account.ads]"
    );
    assert_eq!(of("ads", 2), "DIR/tokend.toml:5:3 `allow` of [group.one]");
    assert_eq!(of("ads", 3), "DIR/tokend.toml:6:3 `allow` of [group.one]");
    assert_eq!(of("ads", 4), "implied");
    assert_eq!(of("s3", 0), "implied");
    assert_eq!(of("s3", 1), "DIR/tokend.toml:5:3 `allow` of [group.one]");
}

/// The rule in `allow` of an account, and what is said of it from column 10 of line 5 on.
const RULES: &[(&str, &[&str])] = &[
    (
        r#"{ }"#,
        &[
            "10: a rule says who; write `{ user = \"deploy\" }`, `{ group = \"ci\" }` or `{ unit = \"backup.service\" }`",
        ],
    ),
    (
        r#"{ may = ["get"] }"#,
        &[
            "10: a rule says who; write `{ user = \"deploy\" }`, `{ group = \"ci\" }` or `{ unit = \"backup.service\" }`",
        ],
    ),
    (
        r#"{ unti = "a.service" }"#,
        &[
            "12: unknown key `unti`; did you mean `unit`? valid here: `user`, `group`, `unit`, `user_unit`, `exe`, `sha256`, `may`",
        ],
    ),
    (
        r#"{ user = "de ploi", group = "4294967295" }"#,
        &[
            "19: there is no user `de ploi` on this machine; create the user first, or correct its name; reload after changes",
            "38: there is no group `4294967295` on this machine; create the group first, or correct its name; reload after changes",
        ],
    ),
    (
        r#"{ unit = "backup" }"#,
        &[
            "19: `backup` is not a unit that has processes; write the whole name: `NAME.service`, `NAME.scope`, or `NAME@.service` for all \
             instances of a template",
        ],
    ),
    (
        r#"{ unit = "back*.service" }"#,
        &[
            "19: `back*.service` is not the name of a unit; write it as `systemctl` shows it; `*` and paths are not understood, `NAME@.service` \
             means all instances of a template",
        ],
    ),
    (
        r#"{ user_unit = "a.service" }"#,
        &["24: every user can have a unit of this name; add `user`: whose unit it is"],
    ),
    (
        r#"{ exe = "backup" }"#,
        &[
            "18: `backup` is not the full path of a program; write it as `readlink /proc/PID/exe` shows it for the running program, such as \
             `/usr/bin/backup`",
        ],
    ),
    (
        r#"{ exe = "/usr/../bin/a" }"#,
        &[
            "18: `/usr/../bin/a` is not the full path of a program; write it as `readlink /proc/PID/exe` shows it for the running program, such \
             as `/usr/bin/backup`",
        ],
    ),
    (
        r#"{ exe = "/usr/bin/" }"#,
        &[
            "18: `/usr/bin/` is not the full path of a program; write it as `readlink /proc/PID/exe` shows it for the running program, such as \
             `/usr/bin/backup`",
        ],
    ),
    (
        r#"{ exe = 5 }"#,
        &["18: expected a string, found an integer"],
    ),
    (
        r#"{ sha256 = "abc" }"#,
        &[
            "21: this is not a SHA-256 digest; write the 64 hexadecimal digits that `sha256sum PROGRAM` prints",
        ],
    ),
    (
        r#"{ user = 5, may = [] }"#,
        &[
            "28: this rule would allow nothing; name what it allows, or leave the key out: then get, status and reject; valid here: get, status, reject, refresh, login and forget",
        ],
    ),
    (
        r#"{ user = 5, may = "get" }"#,
        &["28: expected an array, found a string"],
    ),
    (
        r#"{ user = 5, may = ["gte", 5] }"#,
        &[
            "29: unknown permission `gte`; did you mean `get`? valid here: `get`, `status`, `reject`, `refresh`, `login`, `forget`",
            "36: expected a string, found an integer",
        ],
    ),
    (
        r#"{ user = 5, may = ["reload"] }"#,
        &["29: reloading is not a permission of an account; put a rule with it into `admin`"],
    ),
];

#[test]
fn each_mistake_in_a_rule_is_told_with_its_place_and_what_to_write() {
    for (rule, expected) in RULES {
        let expected: Vec<_> = expected.iter().map(|line| format!("5:{line}")).collect();
        assert_eq!(
            said(&one("ads", &format!("allow = [{rule}]"))),
            expected,
            "{rule}"
        );
    }
}

#[test]
fn an_administrator_is_not_given_tokens() {
    let help = "an administrator has no tokens by being one; put a rule with it into `allow` of the account, of [defaults], or of a group";
    assert_eq!(
        said(r#"admin = [{ user = 5, may = ["get", "reject", "statsu"] }]"#),
        [
            format!("1:29: {help}"),
            format!("1:36: {help}"),
            "1:46: unknown permission `statsu`; did you mean `status`? valid here: `status`, `refresh`, `login`, `forget`, `reload`".to_owned(),
        ]
    );
}

#[test]
fn each_mistake_in_a_group_is_told_with_its_place_and_what_to_write() {
    let allow = "allow = [{ user = 5 }]";
    for (text, expected) in [
        (
            "group = 5".to_owned(),
            vec!["1:9: expected a table, found an integer"],
        ),
        (
            format!("[group.\"a b\"]\naccounts = [\"ads\"]\n{allow}"),
            vec![
                "1:8: group name may hold only ASCII letters, digits and . _ @ + -, not ' ' at byte 1",
            ],
        ),
        (
            "[group.one]".to_owned(),
            vec![
                r#"1:8: `accounts` is missing; add `accounts`: the accounts in it, such as `["ads", "s3"]`"#,
                r#"1:8: `allow` is missing; add `allow`: who may have them, such as `[{ unit = "backup.service" }]`"#,
            ],
        ),
        (
            format!("[group.one]\naccounts = []\n{allow}\nalow = 1"),
            vec![
                "2:12: a group without accounts allows nothing; name its accounts, or take the group out",
                "4:1: unknown key `alow`; did you mean `allow`? valid here: `accounts`, `allow`",
            ],
        ),
        (
            format!(
                "[group.one]\naccounts = [\"ads\", \"adz\", \"ads\", 5, \"\", \"a b\", \"other\"]\n{allow}"
            ),
            vec![
                "2:20: there is no account `adz`; did you mean `ads`?",
                "2:27: account ads is listed twice in this group",
                "2:34: expected a string, found an integer",
                "2:37: this text is empty",
                "2:41: account name may hold only ASCII letters, digits and . _ @ + -, not ' ' at byte 1",
                "2:48: there is no account `other`; a group names accounts of this configuration and its `include_dir`",
            ],
        ),
        (
            format!("[group.one]\naccounts = \"ads\"\n{allow}"),
            vec!["2:12: expected an array, found a string"],
        ),
    ] {
        assert_eq!(
            said(&format!("{text}\n{}", one("ads", ""))),
            expected,
            "{text}"
        );
    }
}

#[test]
fn an_account_with_mistakes_is_not_told_as_missing_from_its_group() {
    let text = format!(
        "[group.one]\naccounts = [\"ads\"]\nallow = [{{ user = 5 }}]\n{}",
        one("ads", "refresh = \"x\"")
    );
    assert_eq!(said(&text).len(), 1);
}
