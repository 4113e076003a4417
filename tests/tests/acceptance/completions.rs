//! The tab key, in the shells themselves: names of accounts come from a running daemon.
//!
//! Each shell gets a line and a tab, and prints the words it made of it.

use std::{fs, path::Path};

use tokend_harness::Site;

use crate::terminal::Terminal;

/// The typed text, and the words after the tab key. Bash cuts a name with `@` in two.
const LINES: &[(&str, &[&str])] = &[
    ("tokenctl get uni", &["tokenctl", "get", "unique@one"]),
    ("tokenctl get unique@o", &["tokenctl", "get", "unique@one"]),
    ("tokenctl stat", &["tokenctl", "status"]),
    (
        "tokenctl get --format=js",
        &["tokenctl", "get", "--format=json"],
    ),
    (
        "tokenctl get --format h",
        &["tokenctl", "get", "--format", "header"],
    ),
    ("tokenctl forget --y", &["tokenctl", "forget", "--yes"]),
    (
        "tokenctl --socket /etc/host-no get x --fo",
        &[
            "tokenctl",
            "--socket",
            "/etc/host-no",
            "get",
            "x",
            "--format",
        ],
    ),
    (
        "tokend dialect show jw",
        &["tokend", "dialect", "show", "jwt-api"],
    ),
    (
        "tokend --log-format jo",
        &["tokend", "--log-format", "journal"],
    ),
    (
        "tokend check --config /etc/nsswitch.co",
        &["tokend", "check", "--config", "/etc/nsswitch.conf"],
    ),
    // Without a daemon the shell offers nothing and prints nothing.
    (
        "tokenctl --socket /nowhere get uni",
        &["tokenctl", "--socket", "/nowhere", "get", "uni"],
    ),
];

fn site() -> Site {
    let site = Site::new().unwrap();
    let account = |name: &str| {
        format!(
            "[account.\"{name}\"]\nprovider = \"jwt-api\"\nbase_url = \"https://localhost:9\"\nusername = \"u\"\n"
        )
    };
    let accounts = ["unique@one", "other", "another"].map(account).concat();
    fs::write(site.configuration(), accounts).unwrap();
    site
}

/// Types every line into a shell whose `prepare` has read the scripts.
fn try_lines(shell: &str, prepare: &str) {
    let site = site();
    let daemon = site.start().unwrap();
    let programs = site
        .binaries()
        .tokenctl
        .parent()
        .unwrap()
        .display()
        .to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let socket = site.socket().display().to_string();
    let home = site.path().display().to_string();
    let variables = [
        ("PATH", path.as_str()),
        ("TOKEND_SOCKET", &socket),
        ("HOME", &home),
        ("PS1", "READY> "),
    ];
    let mut terminal = Terminal::run(shell, &variables);
    terminal.wait_for("READY> ");
    terminal.press(&format!("{prepare}; echo PRE''PARED\r"));
    terminal.wait_for("PREPARED");
    for (typed, words) in LINES {
        terminal.press(typed);
        // The tab key, then to the start of the line, to print its words instead of running it.
        terminal.press("\t\u{1}printf '<%s>' \r");
        let words: String = words.iter().map(|word| format!("<{word}>")).collect();
        terminal.wait_for(&words);
    }
    drop(terminal);
    daemon.terminate().unwrap();
}

/// The scripts as they are installed.
fn scripts(names: [&str; 2]) -> [String; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let [tokenctl, tokend] = names;
    let paths = [
        root.join("client/tokenctl/completions").join(tokenctl),
        root.join("daemon/completions").join(tokend),
    ];
    paths.map(|path| {
        assert!(path.exists(), "{}", path.display());
        path.display().to_string()
    })
}

#[test]
fn bash_completes_commands_options_and_accounts() {
    let [tokenctl, tokend] = scripts(["tokenctl.bash", "tokend.bash"]);
    try_lines(
        "bash --norc --noprofile -i",
        &format!("source {tokenctl}; source {tokend}"),
    );
}

#[test]
fn zsh_completes_commands_options_and_accounts() {
    let folders = scripts(["_tokenctl", "_tokend"])
        .map(|path| Path::new(&path).parent().unwrap().display().to_string());
    let prepare = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -u -D",
        folders.join(" ")
    );
    try_lines("zsh -f -i", &prepare);
}

#[test]
fn fish_completes_commands_options_and_accounts() {
    let [tokenctl, tokend] = scripts(["tokenctl.fish", "tokend.fish"]);
    let prompt = "function fish_prompt; echo -n \"READY> \"; end";
    try_lines(
        &format!("fish --no-config -i --init-command '{prompt}'"),
        &format!("source {tokenctl}; source {tokend}"),
    );
}
