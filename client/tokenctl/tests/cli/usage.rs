//! The command line itself: help, and usage errors, which exit with 64 and never repeat a secret.

use crate::run::{Ended, bare};

#[test]
fn help_is_complete_and_exits_with_0() {
    let Ended {
        code,
        stdout,
        stderr,
    } = bare(&["--help"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for expected in [
        "get",
        "status",
        "list",
        "refresh",
        "reject",
        "reload",
        "login",
        "forget",
        "doctor",
        "--socket",
        "TOKEND_SOCKET",
        "Examples:",
        "Exit codes:",
        "  64  ",
        "  69  ",
        "  70  ",
        "  74  ",
        "  75  ",
        "  77  ",
        "  78  ",
        "  79  ",
    ] {
        assert!(
            stdout.contains(expected),
            "{expected} is missing in\n{stdout}"
        );
    }
    for command in [
        "get", "status", "list", "refresh", "reject", "reload", "login", "forget", "doctor",
    ] {
        let Ended {
            code,
            stdout,
            stderr,
        } = bare(&[command, "--help"]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
        assert!(
            stdout.contains(&format!("Usage: tokenctl {command}")),
            "{stdout}"
        );
    }
    assert!(bare(&["get", "--help"]).stdout.contains("--env-name"));
    // Forgetting must not become a way to ask a provider more often.
    let forget =
        "Delete the tokens and the credential stored for an account; its rate limits stay in force";
    assert!(bare(&["forget", "--help"]).stdout.contains(forget));
    assert!(bare(&["--version"]).stdout.starts_with("tokenctl 0."));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn mistakes_exit_with_64_and_say_what_to_do() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "a command is missing"),
        (
            &["stauts", "ads"],
            "unknown command stauts\n  did you mean status?",
        ),
        (&["history"], "unknown command\n  see: tokenctl --help"),
        (&["exec"], "write: tokenctl exec ACCOUNT -- COMMAND"),
        (&["rotate"], "unknown command\n  see: tokenctl --help"),
        (
            &["get", "ads", "--format", "jsn"],
            "jsn is not one of the choices of --format <FORMAT>\n  did you mean json?",
        ),
        (
            &["get", "ads", "jwt"],
            "get takes one account, and another word follows it\n  run it once for each account",
        ),
        (
            &["status", "ads", "jwt"],
            "status takes at most one account, and another word follows it",
        ),
        (
            &["reload", "now"],
            "reload takes no word, and one follows it",
        ),
        (
            &["integrate", "curl", "ads", "jwt"],
            "integrate takes a name and one account, and another word follows them",
        ),
        (
            &["logs", "ads", "jwt"],
            "logs takes one account, and another word follows it\n  run it once for each account",
        ),
        (&["get"], "the account is missing"),
        (&["login"], "write: tokenctl login ACCOUNT"),
        (
            &["get", "ads", "--formt", "json"],
            "unknown option --formt\n  did you mean --format?",
        ),
        (
            &["get", "ads", "--format", "xml"],
            "is not one of its choices\n  choose from: plain, header, json, json-headers, env, dotenv, curl, netrc, xoauth2, kubernetes, github",
        ),
        (
            &["get", "ads", "--wait", "30"],
            "--wait \"30\" is not a duration\n  the unit is missing",
        ),
        (
            &["get", "ads", "--timeout", "31d"],
            "--timeout \"31d\" is not a duration\n  it is longer than 30 days",
        ),
        (
            &["get", "ads", "--min-validity", "soon"],
            "--min-validity \"soon\" is not a duration\n  write a number and a unit",
        ),
        (
            &["get", "ads", "--env-name", "T"],
            "no meaning without --format env",
        ),
        (
            &["get", "ads", "--format", "env", "--env-name", "A-B"],
            "cannot be a shell variable",
        ),
        (
            &["status", "--interval", "5s"],
            "no meaning without --watch",
        ),
        (
            &["status", "--watch", "--interval", "2h"],
            "use a duration from 100ms to 1h",
        ),
        (&["status", "--watch", "--json"], "cannot go with"),
        (&["get", "../etc"], "account name must start with"),
        (&["get", "a/b"], "account name may hold only"),
        (
            &["login", "ads", "--password", "--client-secret"],
            "cannot go with",
        ),
        (
            &["get", "ads", "--format", "env", "--format", "json"],
            "given more than once",
        ),
    ];
    for (arguments, expected) in cases {
        let Ended {
            code,
            stdout,
            stderr,
        } = bare(arguments);
        assert_eq!((code, stdout.as_str()), (64, ""), "{arguments:?}");
        assert!(
            stderr.starts_with("tokenctl: ") && stderr.contains(expected),
            "{arguments:?}: {stderr}"
        );
        assert!(
            stderr.lines().skip(1).all(|line| line.starts_with("  ")),
            "{stderr}"
        );
        assert!(stderr.lines().count() > 1, "{stderr}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let long = format!("hunter2{}", "x".repeat(80));
    let cases: &[&[&str]] = &[
        &["reject", "ads", "hunter2"],
        &["reject", &long],
        &["reject", "hunter2 with blanks"],
        &["login", "ads", "hunter2"],
        &["login", "ads", "--password=hunter2"],
        &["login", "ads", "--password", "hunter2"],
        &["login", "ads", "--passwrd=hunter2"],
        &["login", "ads", "-phunter2"],
        &["login", "ads", "--", "hunter2"],
        &["hunter2"],
        &["get", "ads", "hunter2"],
        &["reload", "hunter2"],
        &["get", "ads", "--format", "hunter2"],
    ];
    for arguments in cases {
        let Ended {
            code,
            stdout,
            stderr,
        } = bare(arguments);
        assert_eq!((code, stdout.as_str()), (64, ""), "{arguments:?}");
        assert!(
            !stderr.contains("hunter2") && !stderr.contains("xxx"),
            "{arguments:?}: {stderr}"
        );
    }
}
