//! Endpoints for the SDKs of clouds: what an unmodified SDK gets, and what nobody else does.

mod callers;
mod failures;
mod sdks;

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_until},
    demand::{carried_out, root},
};
use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::Api,
};

use tokend_tests::installed;

use crate::stage::Stage;

/// What the token of `it` is for, by the words of `--for`.
const RESOURCE: &str = "https://api.example.com";
const SCOPE: &str = "https://example.com/auth/read";
/// A user that no machine has.
const STRANGER: &str = "4001";

fn stage() -> (Stage, Daemon) {
    let stage = Stage::on_demand(Api::JwtApi);
    stage
        .sim
        .change("it", |it| it.access_lifetime = Duration::from_secs(3600));
    let daemon = stage.site.start().unwrap();
    (stage, daemon)
}

/// The command with this SDK; `node` before its words means that for Node.
fn program(words: &[&str]) -> Vec<OsString> {
    let script = |name| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("consumers")
            .join(name)
    };
    let (mut command, words): (Vec<OsString>, _) = match words {
        // It finds its packages beside itself.
        ["node", words @ ..] => {
            let folder = installed("sdks-node", "").unwrap();
            fs::copy(script("sdk.js"), folder.join("sdk.js")).unwrap();
            (vec!["node".into(), folder.join("sdk.js").into()], words)
        }
        words => {
            let python = installed("sdks", "venv/bin/python").unwrap();
            (vec![python.into(), script("sdk.py").into()], words)
        }
    };
    command.extend(words.iter().map(OsString::from));
    command
}

/// A command that is told on its standard input what to do, and answers a line each time.
struct Talk {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    errors: PathBuf,
}

impl Talk {
    /// A program with this SDK, below `exec --as KIND`.
    fn sdk(
        stage: &Stage,
        kind: &str,
        purpose: Option<&str>,
        words: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let errors = stage.site.path().join("exec.err");
        let mut command = Command::new(&stage.site.binaries().tokenctl);
        command
            .arg("--socket")
            .arg(stage.site.socket())
            .args(["exec", "--as", kind])
            .args(purpose.iter().flat_map(|it| ["--for", it]))
            .args(["it", "--"])
            .args(program(words))
            // Of nobody's own configuration of gcloud.
            .env("HOME", stage.site.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            to,
            from: BufReader::new(from),
            errors,
        }
    }

    fn says(&mut self, order: &str) -> String {
        writeln!(self.to, "{order}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "{line}{}", self.errors());
        line.trim_end().to_owned()
    }

    /// A token, and the seconds that the SDK takes it for good.
    fn token(&mut self, order: &str) -> (String, i64) {
        let line = self.says(order);
        let (token, seconds) = line.split_once(' ').unwrap();
        (
            token.to_owned(),
            seconds
                .parse()
                .unwrap_or_else(|_| panic!("{line}{}", self.errors())),
        )
    }

    fn refused(&mut self) -> String {
        let line = self.says("anew");
        assert!(line.starts_with("! "), "{line}");
        line
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    fn end(mut self) {
        drop(self.to);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

const SDKS: [(&str, &str, &[&str]); 4] = [
    ("azure", RESOURCE, &["azure", RESOURCE]),
    ("azure", RESOURCE, &["node", "azure", RESOURCE]),
    ("gce", SCOPE, &["google", SCOPE]),
    ("gce", SCOPE, &["node", "google", SCOPE]),
];

/// One request to an endpoint, and its answer.
fn answer(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{head}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// An endpoint by itself, until this is dropped.
struct Endpoint {
    child: Child,
    directory: PathBuf,
}

impl Endpoint {
    fn start(stage: &Stage, kind: &str, more: &[&str]) -> Self {
        let directory = stage.site.path().join(kind);
        // A second start finds it.
        drop(fs::create_dir(&directory));
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        drop(fs::remove_file(directory.join("environment")));
        let child = Command::new(&stage.site.binaries().tokenctl)
            .arg("--socket")
            .arg(stage.site.socket())
            .args([
                "endpoint",
                kind,
                "it",
                "--listen",
                "127.0.0.1:0",
                "--directory",
            ])
            .arg(&directory)
            .args(more)
            .stderr(fs::File::create(stage.site.path().join("endpoint.err")).unwrap())
            .spawn()
            .unwrap();
        let endpoint = Self { child, directory };
        let file = endpoint.directory.join("environment");
        wait_until("its variables", PATIENCE, || file.exists()).unwrap();
        endpoint
    }

    fn variable(&self, name: &str) -> String {
        let text = fs::read_to_string(self.directory.join("environment")).unwrap();
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
    }

    /// Where it is, and a request that it serves.
    fn served(&self, kind: &str) -> (String, String) {
        match kind {
            "azure" => {
                let url = self.variable("IDENTITY_ENDPOINT");
                let secret = self.variable("IDENTITY_HEADER");
                let (address, path) = url
                    .strip_prefix("http://")
                    .unwrap()
                    .split_once('/')
                    .unwrap();
                let head = format!(
                    "GET /{path}?api-version=2019-08-01&resource={RESOURCE} HTTP/1.1\r\nX-IDENTITY-HEADER: {secret}"
                );
                (address.to_owned(), head)
            }
            "gce" => {
                let path = "/computeMetadata/v1/instance/service-accounts/default/token";
                let head = format!("GET {path} HTTP/1.1\r\nMetadata-Flavor: Google");
                (self.variable("GCE_METADATA_HOST"), head)
            }
            _ => {
                let file = self.variable("GOOGLE_APPLICATION_CREDENTIALS");
                let made: serde_json::Value =
                    serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
                let source = |at| made.pointer(at).unwrap().as_str().unwrap();
                let url = source("/credential_source/url");
                let secret = source("/credential_source/headers/X-Tokend-Endpoint");
                let address = url
                    .strip_prefix("http://")
                    .unwrap()
                    .strip_suffix("/token")
                    .unwrap();
                let head = format!("GET /token HTTP/1.1\r\nX-Tokend-Endpoint: {secret}");
                (address.to_owned(), head)
            }
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Each kind, with what it needs to serve one.
fn kinds(stage: &Stage) -> [(&'static str, Vec<String>); 3] {
    let own = stage.site.path().join("own.json");
    let configuration = r#"{"type":"external_account","audience":"//iam.example.com/x","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"http://127.0.0.1:1/"}"#;
    fs::write(&own, configuration).unwrap();
    [
        ("azure", vec!["--for".to_owned(), RESOURCE.to_owned()]),
        ("gce", Vec::new()),
        (
            "external-account",
            vec!["--credentials".to_owned(), own.display().to_string()],
        ),
    ]
}

fn start(stage: &Stage, (kind, more): &(&'static str, Vec<String>)) -> Endpoint {
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    Endpoint::start(stage, kind, &more)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}
