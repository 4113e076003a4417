//! A server of git repositories that demands the newest token of an account.

use std::{
    env, fs,
    io::{Read, Write as _},
    net::TcpStream,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{ServerConnection, StreamOwned};
use tokend_harness::hostile::{
    raw::{Raw, Talk, reply},
    tls::{authority, server},
};
use tokend_provider_simulator::{Configuration, spec::Api};

use crate::stage::{FAST, ON_DEMAND, Stage};

/// An account, a repository on a server that demands its token, and a daemon's place that is configured for both.
pub(super) struct Forge {
    pub(super) stage: Arc<Stage>,
    pub(super) server: Raw,
    /// The values of `Authorization` that arrived, in order.
    shown: Arc<Mutex<Vec<String>>>,
}

impl Forge {
    /// With these challenges.
    pub(super) fn new(challenges: &'static [&'static str]) -> Self {
        let stage = Arc::new(Stage::on_demand(Api::JwtApi));
        let path = stage.site.path().to_owned();
        let issuer = authority("the tests' authority");
        fs::write(path.join("ca.pem"), issuer.pem()).unwrap();
        let tls = server("localhost", &issuer, |_| {});
        fs::create_dir(path.join("bin")).unwrap();
        fs::copy(&stage.site.binaries().tokenctl, path.join("bin/tokenctl")).unwrap();
        symlink("tokenctl", path.join("bin/git-credential-tokenctl")).unwrap();
        // Others than the owner have to come to the programs, the certificate and the socket.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (for_server, seen) = (Arc::clone(&stage), Arc::clone(&shown));
        let server = Raw::start(move |talk| {
            let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let stream = talk.stream.try_clone().unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            serve(talk, &mut stream, &for_server, challenges, &seen);
        });
        let forge = Self {
            stage,
            server,
            shown,
        };
        forge.repository();
        forge.configure(&forge.server.https(), "");
        forge
    }

    /// A repository with one commit, in `repositories/it.git`.
    fn repository(&self) {
        let root = self.path().join("repositories");
        fs::create_dir_all(&root).unwrap();
        let git = |words: &[&str]| {
            let mut git = self.git(Path::new("git"));
            let done = git.current_dir(&root).args(words).output().unwrap();
            assert!(done.status.success(), "{words:?}: {done:?}");
            String::from_utf8(done.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet", "--bare", "it.git"]);
        let tree = git(&["-C", "it.git", "write-tree"]);
        let of = [
            "-c",
            "user.name=n",
            "-c",
            "user.email=n@example.com",
            "-C",
            "it.git",
        ];
        let commit = git(&[&of[..], &["commit-tree", "-m", "first", &tree]].concat());
        git(&["-C", "it.git", "update-ref", "HEAD", &commit]);
    }

    pub(super) fn configure(&self, urls: &str, lines: &str) {
        let api = format!("{FAST}{ON_DEMAND}\n{lines}\n[account.it.api]\nurls = \"{urls}\"");
        let configuration = Configuration::of(&self.stage.sim).everywhere(&api);
        configuration.write(self.path()).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        self.stage.site.path()
    }

    /// A git that finds the helper and trusts the server, and nobody who could type a password.
    pub(super) fn git(&self, program: &Path) -> Command {
        let mut git = Command::new(program);
        self.surround(&mut git);
        git
    }

    pub(super) fn surround(&self, command: &mut Command) {
        let found = env::var("PATH").unwrap_or_default();
        let home = self.path().join("home");
        fs::create_dir_all(&home).unwrap();
        command
            .env(
                "PATH",
                format!("{}:{found}", self.path().join("bin").display()),
            )
            .env("HOME", home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", self.path().join("ca.pem"))
            .env("TOKEND_SOCKET", self.stage.site.socket())
            .env_remove("GIT_ASKPASS")
            .env_remove("SSH_ASKPASS");
    }

    /// `git ls-remote` of the repository, with this helper.
    pub(super) fn list(&self, program: &Path, helper: &str) -> Output {
        let helper = format!("credential.helper={helper}");
        let mut git = self.git(program);
        git.args(["-c", &helper, "ls-remote", &self.url()]);
        git.output().unwrap()
    }

    pub(super) fn url(&self) -> String {
        format!("{}/it.git", self.server.https())
    }

    pub(super) fn newest(&self) -> String {
        self.stage.sim.newest_access("it").unwrap()
    }

    /// What was shown since the last call.
    pub(super) fn shown(&self) -> Vec<String> {
        std::mem::take(&mut *self.shown.lock().unwrap())
    }
}

/// Answers one request: 401 without the newest token, else what `git http-backend` says.
fn serve(
    talk: &Talk,
    stream: &mut StreamOwned<ServerConnection, TcpStream>,
    stage: &Stage,
    challenges: &[&str],
    shown: &Mutex<Vec<String>>,
) {
    let Some((head, body)) = request(stream) else {
        return;
    };
    talk.count();
    let authorization = header(&head, "authorization");
    shown
        .lock()
        .unwrap()
        .extend(authorization.map(str::to_owned));
    let answer = match authorization.and_then(token) {
        Some(token)
            if stage.sim.newest_access("it").as_deref() == Some(&token)
                && stage.accepted(Api::JwtApi, &token) =>
        {
            backend(&head, &body, &stage.site.path().join("repositories"))
        }
        _ => {
            let lines = challenges
                .iter()
                .map(|challenge| format!("WWW-Authenticate: {challenge}\r\n"));
            let lines: String = lines.collect();
            reply(
                "401 Unauthorized",
                &format!("{lines}Connection: close\r\n"),
                b"",
            )
        }
    };
    drop(stream.write_all(&answer));
    stream.conn.send_close_notify();
    drop(stream.flush());
}

/// Head and body of a request that arrives in whole.
fn request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some((head, body)) = cut(&seen) {
            let head = String::from_utf8(head.to_vec()).unwrap();
            let length = header(&head, "content-length").map_or(0, |it| it.parse().unwrap());
            if body.len() >= length {
                return Some((head, body.to_vec()));
            }
        }
        match stream.read(&mut piece) {
            Ok(count @ 1..) => seen.extend(piece.iter().take(count)),
            _ => return None,
        }
    }
}

/// What stands before and behind the first empty line.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = bytes.split_at(end);
    Some((head, rest.get(4..)?))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

/// The token in a value of `Authorization`.
fn token(value: &str) -> Option<String> {
    match value.split_once(' ')? {
        ("Bearer", token) => Some(token.to_owned()),
        ("Basic", pair) => {
            let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
            let (_, password) = pair.split_once(':')?;
            Some(password.to_owned())
        }
        _ => None,
    }
}

/// git's own server, by CGI.
fn backend(head: &str, sent: &[u8], root: &Path) -> Vec<u8> {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git");
    backend.arg("http-backend").envs([
        ("GIT_PROJECT_ROOT", root.to_str().unwrap()),
        ("GIT_HTTP_EXPORT_ALL", "1"),
        ("PATH_INFO", path),
        ("QUERY_STRING", query),
        ("REQUEST_METHOD", method),
        (
            "CONTENT_TYPE",
            header(head, "content-type").unwrap_or_default(),
        ),
        (
            "HTTP_CONTENT_ENCODING",
            header(head, "content-encoding").unwrap_or_default(),
        ),
        (
            "GIT_PROTOCOL",
            header(head, "git-protocol").unwrap_or_default(),
        ),
        ("REMOTE_ADDR", "127.0.0.1"),
    ]);
    let backend = backend
        .env("CONTENT_LENGTH", sent.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut running = backend.spawn().unwrap();
    running.stdin.take().unwrap().write_all(sent).unwrap();
    let said = running.wait_with_output().unwrap().stdout;
    let (lines, body) = cut(&said).unwrap();
    let lines = String::from_utf8(lines.to_vec()).unwrap();
    let status = header(&lines, "status").unwrap_or("200 OK");
    let lines = lines.lines().filter(|line| !line.starts_with("Status"));
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    reply(status, &format!("{lines}Connection: close\r\n"), body)
}
