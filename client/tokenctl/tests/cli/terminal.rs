//! tokenctl on a terminal: prompts without echo, questions, tables. `script` (util-linux) makes the terminal.

use std::io::{BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokend_proto::{CredentialField, Response, StatusPage};

use crate::fake::{Act, FakeDaemon, token};
use crate::input::{entered, field, login_daemon, named};
use crate::run::TOKEN;
use crate::status::account;

/// How long a terminal may stay silent before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// tokenctl on a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    bytes: mpsc::Receiver<u8>,
    shown: String,
}

impl Terminal {
    pub(crate) fn start(daemon: &FakeDaemon, arguments: &str) -> Self {
        Self::shell(
            daemon,
            &format!(
                "stty cols 60; exec {} {arguments}",
                env!("CARGO_BIN_EXE_tokenctl")
            ),
        )
    }

    pub(crate) fn shell(daemon: &FakeDaemon, line: &str) -> Self {
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", line, "/dev/null"]);
        command
            .env("TOKEND_SOCKET", daemon.socket())
            .env("SHELL", "/bin/sh")
            .env("TZ", "UTC");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("script from util-linux is installed");
        let stdout = child.stdout.take().unwrap();
        let (sender, bytes) = mpsc::sync_channel(4096);
        // Ends with the terminal.
        drop(thread::spawn(move || {
            BufReader::new(stdout)
                .bytes()
                .map_while(Result::ok)
                .try_for_each(|byte| sender.send(byte))
        }));
        Self {
            child,
            bytes,
            shown: String::new(),
        }
    }

    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.bytes.recv_timeout(PATIENCE) {
                Ok(byte) => self.shown.push(byte.into()),
                Err(_) => panic!("waited for {text:?}, shown is {:?}", self.shown),
            }
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// The output so far; forgets it.
    pub(crate) fn shown(&mut self) -> String {
        std::mem::take(&mut self.shown)
    }

    pub(crate) fn type_line(&mut self, text: &str) {
        let keys = self.child.stdin.as_mut().unwrap();
        keys.write_all(text.as_bytes()).unwrap();
        keys.write_all(b"\r").unwrap();
    }

    /// The exit code, and all output.
    pub(crate) fn end(mut self) -> (i32, String) {
        while let Ok(byte) = self.bytes.recv_timeout(PATIENCE) {
            self.shown.push(byte.into());
        }
        drop(self.child.stdin.take());
        (
            self.child.wait().unwrap().code().unwrap(),
            self.shown.replace('\r', ""),
        )
    }
}

/// Whether `stty -a` shows a terminal that echoes, reads lines, and knows Ctrl-C.
pub(crate) fn is_as_before(shown: &str) -> bool {
    let modes = shown.replace(['\n', ';'], " ");
    [" echo ", " isig ", " icanon "]
        .iter()
        .all(|mode| modes.contains(mode))
}

#[test]
fn a_password_is_typed_without_echo() {
    let daemon = login_daemon(vec![field("password")]);
    let mut terminal = Terminal::start(&daemon, "login ads");
    terminal.wait_for("password of ads: ");
    terminal.type_line("hunter2");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("tokenctl: ads is logged in") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert_eq!(entered(&daemon), [("password", "hunter2")].map(named));
}

#[test]
fn an_arrow_key_at_the_prompt_is_no_part_of_what_is_typed() {
    let daemon = login_daemon(vec![field("password")]);
    let mut terminal = Terminal::start(&daemon, "login ads");
    terminal.wait_for("password of ads: ");
    terminal.type_line("hunter2\u{1b}[D");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(entered(&daemon), [("password", "hunter2")].map(named));
}

#[test]
fn several_lines_pasted_at_the_prompt_are_refused_and_not_left_to_the_shell() {
    for pasted in [
        "hunter2\recho hunter3",
        "hunter2\recho hunter3\r",
        "hunter2\r\r",
    ] {
        let daemon = login_daemon(vec![field("password")]);
        let tokenctl = env!("CARGO_BIN_EXE_tokenctl");
        let line = format!(
            "{tokenctl} login ads; echo ended with $?; read -r next; echo \"then <$next>\""
        );
        let mut terminal = Terminal::shell(&daemon, &line);
        terminal.wait_for("password of ads: ");
        terminal.press(pasted);
        terminal.wait_for("ended with 64");
        terminal.type_line("");
        let (_, shown) = terminal.end();
        assert!(shown.contains("more than one line was pasted"), "{shown}");
        assert!(
            shown.contains("then <>") && !shown.contains("hunter"),
            "{shown}"
        );
        assert!(entered(&daemon).is_empty(), "{pasted:?}");
    }
}

#[test]
fn ctrl_c_at_the_prompt_gives_the_echo_back() {
    let daemon = login_daemon(vec![field("password")]);
    let tokenctl = env!("CARGO_BIN_EXE_tokenctl");
    let line = format!("trap : INT; {tokenctl} login ads; echo ended with $?; stty -a");
    let mut terminal = Terminal::shell(&daemon, &line);
    terminal.wait_for("password of ads: ");
    terminal.type_line("hunter2\u{3}");
    let (_, shown) = terminal.end();
    assert!(
        shown.contains("ended with 130") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert!(is_as_before(&shown), "{shown}");
    assert!(entered(&daemon).is_empty());
}

#[test]
fn a_refused_token_is_typed_without_echo() {
    let daemon = FakeDaemon::answering(Response::Token(token(TOKEN)));
    let mut terminal = Terminal::start(&daemon, "reject ads");
    terminal.wait_for("refused token: ");
    terminal.type_line("hunter2");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("ads has a new token") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn nobody_types_a_password_when_there_is_no_daemon() {
    let daemon = login_daemon(vec![field("password")]);
    let mut terminal = Terminal::start(&daemon, "--socket /nowhere/tokend.sock login ads");
    terminal.wait_for("cannot reach tokend");
    let (code, shown) = terminal.end();
    assert_eq!(code, 69);
    assert!(!shown.contains("password of"), "{shown}");
}

#[test]
fn nobody_types_a_password_to_a_daemon_that_says_nothing() {
    let daemon = FakeDaemon::greeting(|| Act::Silence, |_, _| Act::Silence);
    let (code, shown) = Terminal::start(&daemon, "login ads").end();
    assert_eq!(code, 75, "{shown}");
    assert!(
        shown.contains("says nothing") && !shown.contains("password of ads"),
        "{shown}"
    );
}

#[test]
fn forget_asks_first() {
    let daemon = FakeDaemon::answering(Response::Done {
        message: "ads is forgotten".into(),
    });
    for (answer, said, requests) in [
        ("n", "nothing was deleted", 0),
        ("", "nothing was deleted", 0),
        ("yes", "ads is forgotten", 1),
    ] {
        let mut terminal = Terminal::start(&daemon, "forget ads");
        terminal.wait_for("[y/N] ");
        terminal.type_line(answer);
        let (code, shown) = terminal.end();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains(said), "{shown}");
        assert_eq!(daemon.seen().len(), requests);
    }
}

#[test]
fn people_get_a_table_and_details() {
    let accounts = vec![account("ads"), account("a-longer-name")];
    let daemon = FakeDaemon::answering(Response::Status(StatusPage {
        accounts,
        next: None,
    }));
    let (code, shown) = Terminal::start(&daemon, "status").end();
    assert_eq!(code, 0);
    assert!(
        shown.starts_with(
            "ACCOUNT        STATE  EXPIRES IN  ATTEMPTS LEFT  NEXT ATTEMPT  PROBLEM\n"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("\nads            valid  1 h         3 of 5         when asked    -\n"),
        "{shown}"
    );

    let accounts = vec![account("ads")];
    let daemon = FakeDaemon::answering(Response::Status(StatusPage {
        accounts,
        next: None,
    }));
    let (code, shown) = Terminal::start(&daemon, "status ads").end();
    assert_eq!(code, 0);
    assert!(
        shown.starts_with(
            "account        ads\nprovider       https://example.com, in the dialect oauth2\n"
        ),
        "{shown}"
    );
    assert!(
        shown.lines().all(|line| line.chars().count() <= 60),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn all_that_is_missing_is_asked_for_by_name_and_description() {
    let pin = CredentialField {
        description: "from the card".into(),
        ..field("pin")
    };
    let daemon = login_daemon(vec![field("password"), pin]);
    let mut terminal = Terminal::start(&daemon, "login ads");
    terminal.wait_for("password of ads: ");
    terminal.type_line("hunter2");
    terminal.wait_for("pin of ads (from the card): ");
    terminal.type_line("0815");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("0815"),
        "{shown}"
    );
    let both = [("password", "hunter2"), ("pin", "0815")].map(named);
    assert_eq!(entered(&daemon), both);
}

#[test]
fn a_key_of_several_lines_is_pasted_without_echo() {
    let key = || CredentialField {
        multiline: true,
        ..field("private_key")
    };
    let long = "h".repeat(5000);
    let daemon = login_daemon(vec![key()]);
    let mut terminal = Terminal::start(&daemon, "login ads");
    terminal.wait_for("private key of ads, then Ctrl-D on a line of its own:");
    for line in ["-----BEGIN-----", &long, "-----END-----"] {
        terminal.type_line(line);
    }
    terminal.press("\u{4}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains("BEGIN") && !shown.contains("hhh"),
        "{shown}"
    );
    let text = format!("-----BEGIN-----\n{long}\n-----END-----");
    assert_eq!(entered(&daemon), [("private_key", &*text)].map(named));
    // Ctrl-C ends it as anywhere else, and gives the echo back.
    let daemon = login_daemon(vec![key()]);
    let tokenctl = env!("CARGO_BIN_EXE_tokenctl");
    let line = format!("trap : INT; {tokenctl} login ads; echo ended with $?; stty -a");
    let mut terminal = Terminal::shell(&daemon, &line);
    terminal.wait_for("on a line of its own:");
    terminal.press("hunter2\r\u{3}");
    let (_, shown) = terminal.end();
    assert!(
        shown.contains("ended with 130") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert!(is_as_before(&shown), "{shown}");
    assert!(entered(&daemon).is_empty());
}
