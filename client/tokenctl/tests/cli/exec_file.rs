//! `exec --file`: files that are kept fresh beside a command, and gone after it however it ends.

mod beside;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokend_proto::{Fault, FaultCode, Request, Response, Token};

use crate::fake::{Act, FakeDaemon, secret, token};
use crate::run::{Ended, TOKEN, bare, ended};

/// A daemon and a runtime directory.
struct Place {
    daemon: FakeDaemon,
    runtime: TempDir,
    /// What a watch does now.
    now: Arc<AtomicUsize>,
}

/// One thing that the watches of this place do, until it is the turn of the next.
type Turn = fn(&str) -> Act;

fn numbered(account: &str, number: usize) -> Token {
    Token {
        access_token: secret(&format!("{TOKEN}.{account}.{number}")),
        ..token(TOKEN)
    }
}

fn tell(account: &str, number: usize) -> Response {
    Response::Token(numbered(account, number))
}

fn quiet(account: &str) -> Act {
    Act::RepliesAndClose(vec![tell(account, 1)])
}

fn denied() -> Response {
    let fault = Fault::new(FaultCode::NotAllowed, "you may not have that token");
    Response::Fault(fault.advise("ask for a rule"))
}

impl Place {
    /// Each account has a first token of this life, and its watches take these turns. A watch that has told something is lost, so that the
    /// updater comes again and meets the next turn.
    fn with(life_ms: Option<u64>, turns: &'static [Turn]) -> Self {
        let now = Arc::new(AtomicUsize::new(0));
        let turn = Arc::clone(&now);
        let daemon = FakeDaemon::start(move |_, request| match request {
            Request::Get { account, .. } if account.as_str() == "down" => {
                let fault = Fault::new(FaultCode::LoginRequired, "account down needs a login");
                Act::Reply(Response::Fault(fault))
            }
            Request::Get { account, .. } if account.as_str() == "slow" => Act::Silence,
            Request::Get { account, .. } => Act::Reply(Response::Token(Token {
                remaining_ms: life_ms,
                ..numbered(account.as_str(), 1)
            })),
            Request::Watch { account, .. } => match turns.get(turn.load(Ordering::SeqCst)) {
                Some(act) => act(account.as_str()),
                None => Act::Close,
            },
            other => panic!("{other:?}"),
        });
        Self {
            daemon,
            runtime: tempfile::tempdir_in("/dev/shm").unwrap(),
            now,
        }
    }

    fn new() -> Self {
        Self::with(Some(3_600_000), &[quiet])
    }

    fn turn(&self, to: usize) {
        self.now.store(to, Ordering::SeqCst);
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
        command.args(["exec", "--file"]).args(words);
        self.around(&mut command);
        command
    }

    fn around(&self, command: &mut Command) {
        command
            .env("TOKEND_SOCKET", self.daemon.socket())
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    fn run(&self, words: &[&str]) -> Ended {
        ended(&self.command(words).output().unwrap())
    }

    fn script(&self, script: &str) -> Child {
        let words = ["ads", "--", "sh", "-c", script];
        self.command(&words).spawn().unwrap()
    }

    /// The directories with tokens.
    fn directories(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.runtime.path()).unwrap().flatten();
        let names = entries.map(|entry| entry.path());
        names
            .filter(|path| path.to_str().unwrap().contains("tokenctl-exec-"))
            .collect()
    }

    /// The file of `ads`, once it has the token of this number.
    fn file(&self, number: usize) -> PathBuf {
        let wanted = format!("{TOKEN}.ads.{number}");
        until(|| {
            let mut files = self.directories().into_iter().map(|it| it.join("ads"));
            files.find(|file| fs::read_to_string(file).is_ok_and(|found| found == wanted))
        })
    }

    fn is_cleared(&self) {
        until(|| self.directories().is_empty().then_some(()));
    }

    /// A command that does nothing, and its file.
    fn sleeper(&self) -> (Child, PathBuf) {
        let child = self.script("exec sleep 100");
        let words = || Process(child.id()).words();
        until(|| words().starts_with("sleep").then_some(()));
        (child, self.file(1))
    }

    /// The process that keeps the files.
    fn updater(&self) -> Process {
        until(|| {
            let all = fs::read_dir("/proc").unwrap().flatten();
            let mut all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            all.find(|pid| Process(*pid).is_updater_in(self.runtime.path()))
                .map(Process)
        })
    }
}

#[derive(Clone, Copy)]
struct Process(u32);

impl Process {
    fn of(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    fn words(self) -> String {
        let words = fs::read(self.of("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).replace('\0', " ")
    }

    fn is_updater_in(self, runtime: &Path) -> bool {
        let words = self.words();
        words.contains("keep-files") && words.contains(runtime.to_str().unwrap())
    }

    /// Whether it has nothing open any more, reaped or not: each of its threads had it open.
    fn is_dead(self) -> bool {
        let threads = fs::read_dir(self.of("task")).map_or(0, Iterator::count);
        let status = fs::read_to_string(self.of("status")).unwrap_or_default();
        threads == 0 || (threads == 1 && status.contains("State:\tZ"))
    }

    fn signal(self, name: &str) {
        signal(&self.0.to_string(), name);
    }

    fn files(self) -> Vec<String> {
        let all = fs::read_dir(self.of("fd")).unwrap().flatten();
        let all = all.filter_map(|entry| fs::read_link(entry.path()).ok());
        all.map(|it| it.display().to_string()).collect()
    }
}

fn signal(target: &str, name: &str) {
    let said = Command::new("kill")
        .args(["-s", name, "--", target])
        .status();
    assert!(said.unwrap().success());
}

/// Waits for something, for a minute at most.
fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = found() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("it did not come")
}

fn finish(mut child: Child) -> Ended {
    until(|| child.try_wait().unwrap());
    ended(&child.wait_with_output().unwrap())
}

/// A shell's loop that ends when the file `$1` has the token of this number.
fn until_it_has(number: usize) -> String {
    format!(
        r#"until [ "$(cat "$ACCESS_TOKEN_FILE" 2>&1)" = {TOKEN}.ads.{number} ]; do sleep 0.01; done"#
    )
}

#[test]
fn a_command_has_its_tokens_in_files_of_its_own_that_go_with_it() {
    let place = Place::new();
    let script = r#"cat "$ADS" "$CRM"; stat -c ' %a' "$ADS" "${ADS%/*}"; printenv ACCESS_TOKEN"#;
    let ended = place.run(&["ads=ADS", "crm=CRM", "--", "sh", "-c", script]);
    let tokens = format!("{TOKEN}.ads.1{TOKEN}.crm.1");
    assert_eq!(ended.stdout, format!("{tokens} 600\n 700\n"), "{ended:?}");
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""));
    place.is_cleared();
    // Of one account there is one file, whatever it is called.
    let ended = place.run(&[
        "ads=A",
        "ads=B",
        "--",
        "sh",
        "-c",
        r#"[ "$A" = "$B" ] && cat "$A""#,
    ]);
    assert_eq!(ended.stdout, format!("{TOKEN}.ads.1"));
    let ended = place.run(&[
        "ads",
        "--",
        "sh",
        "-c",
        r#"cat "$ACCESS_TOKEN_FILE"; exit 42"#,
    ]);
    assert_eq!((ended.code, ended.stdout), (42, format!("{TOKEN}.ads.1")));
    place.is_cleared();
}

#[test]
fn nothing_is_left_when_nothing_was_started() {
    let place = Place::new();
    let ended = place.run(&["ads=A", "down=D", "--", "true"]);
    // The updater, which was there before the tokens, had none and says nothing.
    let said = "tokenctl: account down needs a login\n  give the account a working credential with: tokenctl login ACCOUNT\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (79, said));
    assert_eq!(place.directories(), Vec::<PathBuf>::new());
    assert_eq!(
        place.run(&["ads", "--", "no-program-of-this-name"]).code,
        127
    );
    place.is_cleared();
    let ended = bare(&["exec", "--file", "--fd", "ads", "--", "true"]);
    assert_eq!(ended.code, 64);
    assert!(ended.stderr.contains("cannot go with"), "{}", ended.stderr);
}

#[test]
fn each_newer_token_is_in_the_file_whole_and_a_lost_daemon_is_no_failure() {
    fn newer(account: &str) -> Act {
        Act::Replies(vec![tell(account, 1), tell(account, 2)])
    }
    let place = Place::with(Some(3_600_000), &[quiet, newer]);
    // Each time it looks, the command finds one token or the other.
    let script = format!(
        r#"while found=$(cat "$ACCESS_TOKEN_FILE"); do case $found in
             {TOKEN}.ads.2) exit 5 ;; {TOKEN}.ads.1) ;; *) exit 6 ;; esac; done"#
    );
    let child = place.script(&script);
    place.file(1);
    place.turn(1);
    let ended = finish(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (5, ""));
    place.is_cleared();
}

#[test]
fn a_right_that_ends_takes_the_file_away_and_leaves_the_command() {
    fn ends(_: &str) -> Act {
        Act::Reply(denied())
    }
    let place = Place::with(Some(3_600_000), &[quiet, ends]);
    let child = place.script(r#"while [ -e "$ACCESS_TOKEN_FILE" ]; do sleep 0.01; done; exit 5"#);
    place.file(1);
    place.turn(1);
    let ended = finish(child);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            5,
            "tokenctl: ads: you may not have that token; ask for a rule; its file is gone until the command is started again\n"
        )
    );
}

#[test]
fn a_file_goes_at_the_end_of_its_token_when_there_is_no_newer_one() {
    let place = Place::with(Some(700), &[]);
    let child = place.script(r#"while [ -e "$ACCESS_TOKEN_FILE" ]; do sleep 0.01; done; exit 5"#);
    let ended = finish(child);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            5,
            "tokenctl: ads: its token has ended, and its file is gone until there is a newer one\n"
        )
    );
}

#[test]
fn failures_are_told_once_and_the_next_token_brings_the_file_back() {
    fn unavailable() -> Response {
        let fault = Fault::new(FaultCode::ProviderUnreachable, "the provider is down");
        Response::Unavailable(fault)
    }
    fn retired(account: &str) -> Act {
        let parts = vec![Response::Retired { grant: 1 }, unavailable(), unavailable()];
        Act::RepliesAndClose([vec![tell(account, 1)], parts].concat())
    }
    fn newer(account: &str) -> Act {
        Act::Replies(vec![tell(account, 2)])
    }
    let place = Place::with(Some(3_600_000), &[quiet, retired, newer]);
    let script = format!(
        r#"while [ -e "$ACCESS_TOKEN_FILE" ]; do sleep 0.001; done; echo gone; {}"#,
        until_it_has(2)
    );
    let mut child = place.script(&script);
    place.file(1);
    place.turn(1);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert_eq!(
        line(),
        "tokenctl: ads: its token must not be used any more, and its file is gone until there is a newer one"
    );
    assert_eq!(
        line(),
        "tokenctl: ads: no newer token at present: the provider is down"
    );
    place.turn(2);
    let last = until(|| {
        let line = lines.next()?.unwrap();
        line.contains("newest token again").then_some(line)
    });
    assert_eq!(last, "tokenctl: ads: its file has the newest token again");
    assert!(until(|| child.try_wait().unwrap()).success());
}

#[test]
fn a_command_that_is_killed_leaves_nothing() {
    let place = Place::new();
    let (mut child, _) = place.sleeper();
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    place.is_cleared();
}

#[test]
fn a_start_that_is_killed_at_any_moment_leaves_no_token() {
    let place = Place::new();
    for round in 0..100 {
        let mut child = place.script("exec sleep 100");
        std::thread::park_timeout(Duration::from_micros(100 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    until(|| {
        let mut directories = place.directories().into_iter();
        let is_empty = |it: PathBuf| fs::read_dir(it).is_ok_and(|mut it| it.next().is_none());
        directories.all(is_empty).then_some(())
    });
    // What a start left before its updater was there, the next removes.
    assert_eq!(place.run(&["ads", "--", "true"]).code, 0);
    place.is_cleared();
}

#[test]
fn a_start_that_ends_while_it_waits_for_a_token_leaves_nothing() {
    let place = Place::new();
    for name in ["KILL", "INT"] {
        let mut child = place.command(&["slow", "--", "true"]).spawn().unwrap();
        let updater = place.updater();
        assert_eq!(place.directories().len(), 1);
        signal(&child.id().to_string(), name);
        child.wait().unwrap();
        place.is_cleared();
        until(|| updater.is_dead().then_some(()));
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said, "", "{name}");
    }
}

#[test]
fn an_updater_that_is_killed_leaves_its_files_to_the_next_start() {
    let place = Place::new();
    let (mut child, file) = place.sleeper();
    // While the updater lives, another start leaves its files alone.
    assert_eq!(place.run(&["ads", "--", "true"]).code, 0);
    assert!(file.exists());
    let updater = place.updater();
    updater.signal("KILL");
    until(|| updater.is_dead().then_some(()));
    assert_eq!(child.try_wait().unwrap(), None, "the command goes on");
    assert_eq!(place.run(&["ads", "--", "true"]).code, 0);
    assert!(!file.exists());
    child.kill().unwrap();
    child.wait().unwrap();

    let (mut child, file) = place.sleeper();
    let updater = place.updater();
    updater.signal("KILL");
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| updater.is_dead().then_some(()));
    assert!(file.exists());
    assert_eq!(place.run(&["ads", "--", "true"]).code, 0);
    assert!(!file.exists(), "the next start removed it before it served");
    place.is_cleared();
}

#[test]
fn signals_for_the_command_do_not_end_the_updater() {
    fn newer(account: &str) -> Act {
        Act::Replies(vec![tell(account, 2)])
    }
    let place = Place::with(Some(3_600_000), &[quiet, newer]);
    let script = format!("trap '' HUP INT TERM; echo begun; {}", until_it_has(2));
    let words = ["ads", "--", "sh", "-c", &script];
    let mut child = place.command(&words).process_group(0).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    for name in ["HUP", "INT", "TERM"] {
        signal(&format!("-{}", child.id()), name);
        place.updater().signal(name);
    }
    place.turn(1);
    assert_eq!(finish(child).code, 0);
    place.is_cleared();

    let words = ["ads", "--", "sleep", "100"];
    let mut child = place.command(&words).process_group(0).spawn().unwrap();
    place.updater();
    until(|| {
        let words = Process(child.id()).words();
        words.starts_with("sleep").then_some(())
    });
    signal(&format!("-{}", child.id()), "TERM");
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    place.is_cleared();
}
