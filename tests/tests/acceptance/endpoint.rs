//! Endpoints for the SDKs of clouds: what an unmodified SDK gets, and what nobody else does.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_for, wait_until},
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

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("consumers/sdk.py")
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
            .arg(installed("sdks", "venv/bin/python").unwrap())
            .arg(script())
            .args(words)
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

const SDKS: [(&str, &str, &[&str]); 2] = [
    ("azure", RESOURCE, &["azure", RESOURCE]),
    ("gce", SCOPE, &["google", SCOPE]),
];

#[test]
fn an_sdk_gets_the_token_the_next_one_and_after_a_refusal_a_new_one() {
    for (kind, purpose, words) in SDKS {
        let (stage, _daemon) = stage();
        let expired = stage.expired(Api::JwtApi);
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &[]);
        let (first, seconds) = sdk.token("anew");
        assert_ne!(first, expired);
        assert_eq!(first, stage.sim.newest_access("it").unwrap());
        assert!((3500..=3600).contains(&seconds), "{kind}: {seconds}");
        // As long as it is good the SDK does not even ask.
        assert_eq!(sdk.token("same").0, first);
        assert_eq!(stage.requests(), 2, "{kind}");
        // The protocol has no word for a refusal: somebody has to report it.
        stage.sim.end_access("it");
        stage.reject("it", &first).line().unwrap();
        let (second, _) = sdk.token("anew");
        assert_ne!(second, first);
        assert!(stage.accepted(Api::JwtApi, &second));
        sdk.end();
    }
}

#[test]
fn an_sdk_causes_no_storm_with_tokens_shorter_than_its_margin() {
    for (kind, purpose, words) in SDKS {
        let (stage, _daemon) = stage();
        stage
            .sim
            .change("it", |it| it.access_lifetime = Duration::from_secs(120));
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &[]);
        let (first, _) = sdk.token("anew");
        for _ in 0..20 {
            assert_eq!(sdk.token("same").0, first, "{kind}");
        }
        assert!(stage.requests() <= 2, "{kind}: {}", stage.requests());
        sdk.end();
    }
}

#[test]
fn what_the_token_is_not_for_and_what_cannot_be_had_is_told_in_words_that_the_sdk_shows() {
    for (kind, purpose, words) in SDKS {
        let (stage, _daemon) = stage();
        let other: Vec<&str> = words
            .iter()
            .map(|it| it.trim_end_matches("com").trim_end_matches("read"))
            .collect();
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), &other, &[]);
        let said = sdk.refused();
        assert!(
            said.contains("not known to be for") && said.contains("--for"),
            "{said}"
        );
        sdk.end();
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &[]);
        let token = stage.site.get("it").unwrap();
        stage.sim.change_secret("it", "another");
        stage.sim.end_refresh("it");
        stage.sim.end_access("it");
        let _no_newer = stage.reject("it", &token);
        let said = sdk.refused();
        assert!(
            said.contains("refuses the credential") && said.contains("correct the password"),
            "{kind}: {said}"
        );
        assert!(
            sdk.errors().contains("correct the password"),
            "{}",
            sdk.errors()
        );
        sdk.end();
    }
}

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

#[test]
fn only_its_own_user_and_only_with_the_secret_gets_a_token() {
    let (stage, _daemon) = stage();
    let token = stage.site.get("it").unwrap();
    for kind in kinds(&stage) {
        let endpoint = start(&stage, &kind);
        let (address, head) = endpoint.served(kind.0);
        let served = answer(&address, &head);
        assert!(
            status(&served) == "200" && served.contains(&token),
            "{served}"
        );
        for broken in [
            head.replace("X-IDENTITY-HEADER: ", "X-IDENTITY-HEADER: 0"),
            head.replace("X-Tokend-Endpoint: ", "X-Tokend-Endpoint: 0"),
            head.replace("Metadata-Flavor: Google", "Metadata-Flavor: none"),
        ] {
            let refused = answer(&address, &broken);
            assert!(broken == head || !refused.contains(&token), "{refused}");
            assert!(
                broken == head || ["401", "403"].contains(&status(&refused)),
                "{refused}"
            );
        }
        if !carried_out("an endpoint of another user", root()) {
            continue;
        }
        // The words with the secret, as another user who got hold of it.
        let file = stage.site.path().join("head");
        fs::write(&file, format!("{head}\r\n\r\n")).unwrap();
        let (host, port) = address.split_once(':').unwrap();
        let script = format!("exec 3<>/dev/tcp/{host}/{port}; cat >&3; cat <&3");
        let output = Command::new("setpriv")
            .args([
                "--reuid",
                STRANGER,
                "--regid",
                STRANGER,
                "--clear-groups",
                "--",
                "bash",
                "-c",
                &script,
            ])
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap();
        let refused = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(status(&refused), "403", "{refused}{output:?}");
        assert!(
            !refused.contains(&token) && refused.contains("user 4001"),
            "{refused}"
        );
    }
}

#[test]
fn every_failure_has_its_status_and_its_words_and_never_a_token() {
    let (stage, daemon) = stage();
    for kind in kinds(&stage) {
        let endpoint = start(&stage, &kind);
        let (address, head) = endpoint.served(kind.0);
        stage
            .sim
            .fail(Rule::once("it", Fault::before(FaultKind::Reset)).forever());
        let away = answer(&address, &head);
        assert_eq!(status(&away), "503", "{away}");
        assert!(
            away.contains("Retry-After: ") && away.contains("provider"),
            "{away}"
        );
        stage.sim.heal();
        let garbage = answer(&address, "\u{1}\u{2}");
        assert_eq!(status(&garbage), "400", "{garbage}");
        let large = answer(&address, &format!("{head}\r\nA: {}", "a".repeat(20_000)));
        assert_eq!(status(&large), "431", "{large}");
        let posted = answer(&address, &head.replace("GET ", "POST "));
        assert_eq!(status(&posted), "405", "{posted}");
    }
    let kinds = kinds(&stage);
    let endpoints: Vec<Endpoint> = kinds.iter().map(|kind| start(&stage, kind)).collect();
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    let section = "[account.\"it\"]\n";
    assert!(text.contains(section), "{text}");
    let taken = format!("{section}allow = [{{ user = 4000 }}]\n");
    fs::write(&path, text.replace(section, &taken)).unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    for (endpoint, kind) in endpoints.iter().zip(&kinds) {
        let (address, head) = endpoint.served(kind.0);
        let denied = answer(&address, &head);
        assert_eq!(status(&denied), "403", "{denied}");
    }
    daemon.terminate().unwrap();
    for (endpoint, kind) in endpoints.iter().zip(&kinds) {
        let (address, head) = endpoint.served(kind.0);
        let away = answer(&address, &head);
        assert_eq!(status(&away), "503", "{away}");
    }
}

#[test]
fn whoever_keeps_connections_open_is_refused_more_and_takes_nothing_from_the_user() {
    let (stage, _daemon) = stage();
    let kind = &kinds(&stage)[0];
    let endpoint = start(&stage, kind);
    let (address, head) = endpoint.served(kind.0);
    // Of its own user, as many as are served at once; they say nothing.
    let silent: Vec<TcpStream> = (0..32)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let full = answer(&address, &head);
    assert_eq!(status(&full), "503", "{full}");
    assert!(
        full.contains("Retry-After: 1") && full.contains("too many"),
        "{full}"
    );
    drop(silent);
    let served = || status(&answer(&address, &head)) == "200";
    wait_until("room for one more", PATIENCE, served).unwrap();
    if !carried_out("an endpoint of another user", root()) {
        return;
    }
    let (host, port) = address.split_once(':').unwrap();
    let script = format!(
        "for _ in $(seq 64); do exec {{fd}}<>/dev/tcp/{host}/{port} || exit 1; done; echo open; exec sleep 1000"
    );
    let mut strangers = Command::new("setpriv")
        .args([
            "--reuid",
            STRANGER,
            "--regid",
            STRANGER,
            "--clear-groups",
            "--",
            "bash",
            "-c",
            &script,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(strangers.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!((line.as_str(), served()), ("open\n", true));
    strangers.kill().unwrap();
    strangers.wait().unwrap();
}

#[test]
fn an_account_that_is_not_there_or_is_not_for_a_bearer_is_refused() {
    let (stage, _daemon) = stage();
    let said = stage
        .site
        .tokenctl(&["exec", "--as", "gce", "nobodys", "--", "true"])
        .unwrap();
    assert_eq!(said.code, Some(78), "{said:?}");
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{text}\n[account.it.api]\npresent = {{ header = \"X-Key\" }}\n"),
    )
    .unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    for kind in ["azure", "gce"] {
        let words = ["exec", "--as", kind, "it", "--", "true"];
        let said = stage.site.tokenctl(&words).unwrap();
        assert!(
            said.code == Some(78) && said.err.contains("bearer"),
            "{said:?}"
        );
        let endpoint = Endpoint::start(&stage, kind, &["--for", RESOURCE]);
        let (address, head) = endpoint.served(kind);
        let refused = answer(&address, &head);
        assert!(
            status(&refused) == "403" && refused.contains("bearer"),
            "{refused}"
        );
    }
}

#[test]
fn a_restart_keeps_the_secret_and_a_kill_leaves_nobody_who_serves() {
    let (stage, _daemon) = stage();
    let kind = &kinds(&stage)[0];
    let endpoint = start(&stage, kind);
    let (address, first) = endpoint.served("azure");
    drop(endpoint);
    assert!(TcpStream::connect(&address).is_err());
    let again = start(&stage, kind);
    let (address, second) = again.served("azure");
    assert_eq!(first, second);
    assert_eq!(status(&answer(&address, &first)), "200");
    drop(again);
    // Beside a command it goes with that, however it ends.
    let mut command = Command::new(&stage.site.binaries().tokenctl)
        .arg("--socket")
        .arg(stage.site.socket())
        .args([
            "exec",
            "--as",
            "gce",
            "it",
            "--",
            "sh",
            "-c",
            "echo \"$GCE_METADATA_HOST\"; exec sleep 1000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(command.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim_end();
    assert!(TcpStream::connect(address).is_ok());
    command.kill().unwrap();
    command.wait().unwrap();
    wait_until("the endpoint to go", PATIENCE, || {
        TcpStream::connect(address).is_err()
    })
    .unwrap();
}

#[test]
fn no_proxy_gets_the_secret_and_no_argument_has_it() {
    let (stage, _daemon) = stage();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    proxy.set_nonblocking(true).unwrap();
    let around = [
        ("HTTP_PROXY", url.as_str()),
        ("http_proxy", &url),
        ("no_proxy", "internal.example.com"),
    ];
    for (kind, purpose, words) in SDKS {
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &around);
        sdk.token("anew");
        let nobody = proxy.accept().unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "{kind}");
        let environment = fs::read(format!("/proc/{}/environ", sdk.child.id())).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(
            environment.contains("no_proxy=internal.example.com,127.0.0.1\0"),
            "{environment}"
        );
        let secret = environment
            .split('\0')
            .find_map(|it| it.strip_prefix("IDENTITY_HEADER="));
        if let Some(secret) = secret {
            for process in fs::read_dir("/proc").unwrap().flatten() {
                let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&words).contains(secret));
            }
        }
        sdk.end();
    }
}

/// A token service that gives `exchanged-` and the token it was sent.
fn exchange() -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/token", listener.local_addr().unwrap());
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        while read.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        read.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let mut fields = body.split('&');
        let sent = fields
            .find_map(|it| it.strip_prefix("subject_token="))
            .unwrap();
        let answer = format!(
            r#"{{"access_token":"exchanged-{sent}","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}}"#
        );
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )
        .unwrap();
    };
    (url, thread::spawn(serve))
}

#[test]
fn an_external_account_exchanges_the_token_and_leaves_nothing_behind() {
    let (stage, _daemon) = stage();
    let (url, served) = exchange();
    let own = stage.site.path().join("own.json");
    let configuration = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.example.com/pools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": url,
        "credential_source": { "file": "/nonexistent" },
    });
    fs::write(&own, configuration.to_string()).unwrap();
    let runtime = tempfile::tempdir_in("/dev/shm").unwrap();
    let environment = [
        ("GOOGLE_APPLICATION_CREDENTIALS", own.to_str().unwrap()),
        ("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap()),
    ];
    let mut sdk = Talk::sdk(
        &stage,
        "external-account",
        None,
        &["google", SCOPE],
        &environment,
    );
    let (token, _) = sdk.token("anew");
    let own = stage.sim.newest_access("it").unwrap();
    assert_eq!(token, format!("exchanged-{own}"));
    served.join().unwrap();
    assert_eq!(fs::read_dir(runtime.path()).unwrap().count(), 1);
    sdk.end();
    let is_empty = || (fs::read_dir(runtime.path()).unwrap().count() == 0).then_some(());
    wait_for("its file to go", PATIENCE, is_empty).unwrap();
}

#[test]
fn an_endpoint_says_what_is_wrong_before_it_serves() {
    let (stage, _daemon) = stage();
    let open = stage.site.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let open = open.to_str().unwrap();
    let own = stage.site.path().join("mine");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let own = own.to_str().unwrap();
    let endpoint = |kind, directory: &str, listen: &str| {
        format!("endpoint {kind} it --directory {directory}{listen}")
    };
    let cases = [
        (
            endpoint("azure", open, " --listen 127.0.0.1:0"),
            78,
            "yours alone",
        ),
        (
            endpoint("azure", own, " --listen 0.0.0.0:0"),
            78,
            "this machine alone",
        ),
        (
            endpoint("gce", own, " --listen 169.254.169.254:80"),
            78,
            "this machine alone",
        ),
        (endpoint("azure", own, ""), 64, "--listen"),
        (
            endpoint("external-account", own, " --listen 127.0.0.1:0"),
            64,
            "--credentials",
        ),
        (
            "exec --as azure it crm -- true".to_owned(),
            64,
            "one account",
        ),
        (
            "exec --as external-account it -- true".to_owned(),
            78,
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ];
    for (line, code, says) in cases {
        let words: Vec<&str> = line.split(' ').collect();
        let said = stage.site.tokenctl(&words).unwrap();
        assert!(
            said.code == Some(code) && said.err.contains(says),
            "{words:?}: {said:?}"
        );
    }
}
