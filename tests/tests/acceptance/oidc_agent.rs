//! The socket of oidc-agent, as `oidc-token` of Debian and `liboidcagent` of PyPI use it, and in clear.

mod clients;
mod failures;
mod limits;

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokend_harness::{
    clock::{PATIENCE, wait_for},
    demand::carried_out,
};
use tokend_provider_simulator::{
    Configuration,
    spec::{AccountSpec, Api},
};

use crate::policy::user_of;
use crate::stage::{FAST, ON_DEMAND, Stage, account};

/// A user that no machine has.
const STRANGER: &str = "4001";

/// A daemon's place with the socket of oidc-agent, and its accounts.
struct Agent {
    stage: Stage,
}

/// A program that asks, by its name in `tests/README.md`.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    OidcToken,
    Python,
}

/// What a client is asked to ask for.
#[derive(Clone, Copy, Default)]
struct Wish<'w> {
    of: &'w str,
    seconds: Option<i64>,
    scope: &'w str,
    audience: &'w str,
}

fn wish(of: &str) -> Wish<'_> {
    Wish {
        of,
        ..Wish::default()
    }
}

impl Agent {
    /// These accounts, all with `lines`.
    fn new(accounts: Vec<AccountSpec>, preamble: &str, lines: &str) -> Self {
        let agent = Self {
            stage: Stage::new(accounts, lines),
        };
        agent.configure(preamble, |it| it.everywhere(lines));
        // Another user has to come to the socket.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(agent.stage.site.path(), open).unwrap();
        agent
    }

    /// One account called `it`, refreshed when asked.
    fn of_it() -> Self {
        Self::with_lines("")
    }

    fn with_lines(lines: &str) -> Self {
        let lines = format!("{FAST}{ON_DEMAND}\n{lines}");
        Self::new(vec![account("it", Api::JwtApi)], "", &lines)
    }

    fn configure(&self, preamble: &str, of: impl FnOnce(Configuration) -> Configuration) {
        let mut configuration = of(Configuration::of(&self.stage.sim));
        let listen = "[listen]\noidc_agent = \"oidc.sock\"\n[audit]\nfile = \"audit.jsonl\"\n";
        configuration.preamble = format!("{preamble}{listen}");
        configuration.write(self.stage.site.path()).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.stage.site.path().join("oidc.sock")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends this in clear and reads the answer to its end.
    fn say(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        rest(stream)
    }

    /// An answer in clear.
    fn ask(&self, request: &Value) -> Value {
        let said = self.say(&request.to_string());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// Has a client ask, as its user would.
    fn command(&self, client: Client, wish: Wish<'_>, under: &[&str]) -> Command {
        let mut words: Vec<String> = under.iter().map(|word| (*word).to_owned()).collect();
        match client {
            Client::OidcToken => {
                words.extend(["oidc-token".to_owned(), "--all".to_owned()]);
                match wish.seconds {
                    Some(-1) => words.push("--force-new".to_owned()),
                    Some(seconds) => words.push(format!("--time={seconds}")),
                    None => {}
                }
                for (option, value) in [("scope", wish.scope), ("aud", wish.audience)] {
                    if !value.is_empty() {
                        words.push(format!("--{option}={value}"));
                    }
                }
                words.push(wish.of.to_owned());
            }
            Client::Python => {
                let program = python().unwrap();
                words.extend([program.display().to_string(), "-c".to_owned()]);
                words.push(SCRIPT.to_owned());
                words.push(wish.of.to_owned());
                words.push(wish.seconds.unwrap_or(0).to_string());
                words.extend([wish.scope.to_owned(), wish.audience.to_owned()]);
            }
        }
        let mut command = Command::new(words.remove(0));
        command
            .args(words)
            .env("OIDC_SOCK", self.socket())
            .env("HOME", self.stage.site.path())
            .env_remove("OIDC_REMOTE_SOCK")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, client: Client, wish: Wish<'_>) -> Output {
        self.command(client, wish, &[]).output().unwrap()
    }

    /// The token, issuer and time of expiry that a client prints.
    #[track_caller]
    fn got(&self, client: Client, wish: Wish<'_>) -> [String; 3] {
        let output = self.run(client, wish);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.try_into().unwrap_or_else(|lines| panic!("{lines:?}"))
    }

    /// What a client says that gets no token, which it must not print.
    #[track_caller]
    fn failed(&self, client: Client, wish: Wish<'_>) -> String {
        failed(&self.run(client, wish))
    }

    fn newest(&self) -> String {
        self.stage.sim.newest_access("it").unwrap()
    }

    /// A record like this, once it is there.
    fn record(&self, file: &str, like: impl Fn(&Value) -> bool) -> Value {
        let found = || self.records(file).into_iter().find(&like);
        wait_for("a record", PATIENCE, found).unwrap()
    }

    fn denial(&self, like: impl Fn(&Value) -> bool) -> Value {
        self.record("audit.jsonl.denied", like)
    }

    fn records(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.stage.site.path().join(file)).unwrap_or_default();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn rest(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// By account or, where that is a URL, by issuer.
const SCRIPT: &str = "
import sys, liboidcagent as agent
of, seconds, scope, audience = sys.argv[1:]
by = agent.get_token_response_by_issuer_url if '://' in of else agent.get_token_response
try:
    print(*by(of, int(seconds), 'a test', scope or None, audience or None), sep='\\n')
except agent.OidcAgentError as error:
    sys.exit(str(error))
";

/// Where `tests/setup` has installed liboidcagent.
fn python() -> anyhow::Result<PathBuf> {
    tokend_tests::installed("liboidcagent", "venv/bin/python")
}

/// The clients of this machine.
fn clients() -> Vec<Client> {
    let started = Command::new("oidc-token").arg("--version").output();
    let there = started.map(drop).map_err(anyhow::Error::from);
    let mut all = Vec::new();
    if carried_out("tokens for oidc-token", there) {
        all.push(Client::OidcToken);
    }
    if carried_out("tokens for liboidcagent", python().map(drop)) {
        all.push(Client::Python);
    }
    all
}

fn token_of(account: &str) -> Value {
    json!({"request": "access_token", "account": account})
}

/// The error and the words beneath it.
#[track_caller]
fn refused(answer: &Value) -> (String, String) {
    assert_eq!(answer["status"], "failure", "{answer}");
    assert!(answer.get("access_token").is_none(), "{answer}");
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    (text("error"), text("info"))
}

/// Whoever runs the tests is no administrator.
const NO_ADMIN: &str = "admin = [{ user = 4242 }]\n";

/// Long enough for anything that does not wait on purpose.
const SOON: Duration = Duration::from_secs(5);
