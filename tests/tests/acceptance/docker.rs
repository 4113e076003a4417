//! docker and skopeo, by their credential helper, at a registry that takes the newest token only.
//!
//! docker asks the registry itself here, without an engine. skopeo stands for podman and buildah too: the three have one library for this.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend_harness::{
    demand::{carried_out, root},
    hostile::raw::{Raw, reply},
};
use tokend_provider_simulator::{Configuration, spec::Api};

use crate::policy::user_of;
use crate::stage::{FAST, ON_DEMAND, Stage};

/// A user that no machine has.
const STRANGER: &str = "4001";

/// The configuration of an image without layers; the manifest names it by its hash.
const IMAGE: &str =
    r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":78,"digest":"sha256:HASH"},"layers":[]}"#;
const HASH: &str = "c5b1d63604f273462ef36fadac3182d43ae6a6138731cf594b314835cf1c034f";

/// An account, a registry that demands its token, and a daemon's place that is configured for both.
struct Shop {
    stage: Arc<Stage>,
    registry: Raw,
    /// The values of `Authorization` that arrived, in order.
    shown: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    fn new() -> Self {
        let stage = Arc::new(Stage::on_demand(Api::JwtApi));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (for_registry, seen) = (Arc::clone(&stage), Arc::clone(&shown));
        let registry = Raw::start(move |talk| {
            // Both try TLS first, and go on without it where the answer is plain text.
            if is_tls(&talk.stream) {
                talk.say(&reply("400 Bad Request", "", b""));
                return talk.hang_up();
            }
            let request = talk.request();
            let answer = answer(&for_registry, &request, &seen);
            talk.say(&answer);
            talk.hang_up();
        });
        let shop = Self {
            stage,
            registry,
            shown,
        };
        let home = shop.home();
        fs::create_dir_all(shop.path().join("bin")).unwrap();
        fs::create_dir_all(&home).unwrap();
        let tokenctl = &shop.stage.site.binaries().tokenctl;
        fs::copy(tokenctl, shop.path().join("bin/tokenctl")).unwrap();
        symlink(
            "tokenctl",
            shop.path().join("bin/docker-credential-tokenctl"),
        )
        .unwrap();
        let helpers = format!(r#"{{"credHelpers":{{"{}":"tokenctl"}}}}"#, shop.host());
        fs::write(home.join("config.json"), helpers).unwrap();
        // Others than the owner have to come to the programs and the socket.
        fs::set_permissions(shop.path(), fs::Permissions::from_mode(0o755)).unwrap();
        shop.configure(&shop.registry.http(), "");
        shop
    }

    fn configure(&self, urls: &str, lines: &str) {
        let api = format!("{FAST}{ON_DEMAND}\n{lines}\n[account.it.api]\nurls = \"{urls}\"");
        let configuration = Configuration::of(&self.stage.sim).everywhere(&api);
        configuration.write(self.path()).unwrap();
    }

    fn path(&self) -> &Path {
        self.stage.site.path()
    }

    fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    fn host(&self) -> String {
        self.registry.http().replace("http://", "")
    }

    /// Looks at the image, under these programs.
    fn look(&self, consumer: &Consumer, under: &[&str]) -> Output {
        let words = match consumer.program {
            "docker" => vec![
                "docker".to_owned(),
                "manifest".into(),
                "inspect".into(),
                "--insecure".into(),
            ],
            _ => vec![
                "skopeo".to_owned(),
                "inspect".into(),
                "--raw".into(),
                "--tls-verify=false".into(),
            ],
        };
        let image = format!("{}{}/it:latest", consumer.prefix, self.host());
        let found = env::var("PATH").unwrap_or_default();
        let mut words = under
            .iter()
            .map(|word| (*word).to_owned())
            .chain(words)
            .chain([image]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env(
                "PATH",
                format!("{}:{found}", self.path().join("bin").display()),
            )
            .env("HOME", self.home())
            .env("DOCKER_CONFIG", self.home())
            .env("DOCKER_HOST", "unix:///nowhere.sock")
            .env("REGISTRY_AUTH_FILE", self.home().join("config.json"))
            .env("TOKEND_SOCKET", self.stage.site.socket());
        // docker keeps what it saw of an image here.
        drop(fs::remove_dir_all(self.home().join("manifests")));
        command.output().unwrap()
    }

    fn newest(&self) -> String {
        self.stage.sim.newest_access("it").unwrap()
    }

    /// What was shown since the last call.
    fn shown(&self) -> Vec<String> {
        std::mem::take(&mut *self.shown.lock().unwrap())
    }
}

fn is_tls(stream: &std::net::TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first), Ok(1)) && first == [22]
}

/// 401 without the newest token, else the image.
fn answer(stage: &Stage, request: &str, shown: &Mutex<Vec<String>>) -> Vec<u8> {
    let mut lines = request.lines();
    let target = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    let value = lines.find_map(|line| line.strip_prefix("Authorization: "));
    // Without a credential skopeo presents an empty name and password.
    let credential = value.filter(|value| *value != "Basic Og==");
    shown.lock().unwrap().extend(credential.map(str::to_owned));
    let newest = stage.sim.newest_access("it").unwrap_or_default();
    let basic = "Docker-Distribution-Api-Version: registry/2.0\r\n";
    if value != Some(password(&newest).as_str()) || !stage.accepted(Api::JwtApi, &newest) {
        let headers = format!("{basic}WWW-Authenticate: Basic realm=\"tests\"\r\n");
        return reply("401 Unauthorized", &headers, b"{}");
    }
    let (kind, body) = match target {
        _ if target.contains("/manifests/") => (
            "application/vnd.docker.distribution.manifest.v2+json",
            MANIFEST.replace("HASH", HASH),
        ),
        _ if target.contains("/blobs/") => ("application/octet-stream", IMAGE.to_owned()),
        _ => ("application/json", "{}".to_owned()),
    };
    reply(
        "200 OK",
        &format!("{basic}Content-Type: {kind}\r\n"),
        body.as_bytes(),
    )
}

fn password(token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("oauth2:{token}")))
}

struct Consumer {
    program: &'static str,
    prefix: &'static str,
    /// The exit code of any failure.
    fails: i32,
}

/// Those of this machine.
fn consumers() -> Vec<Consumer> {
    let all = [("docker", "", 1), ("skopeo", "docker://", 1)];
    let here = all.into_iter().filter(|(program, ..)| {
        let started = Command::new(program).arg("--version").output();
        let there = started.map(drop).context("tests/setup installs it");
        carried_out(&format!("tokens for {program}"), there)
    });
    here.map(|(program, prefix, fails)| Consumer {
        program,
        prefix,
        fails,
    })
    .collect()
}

fn succeeded(looked: &Output) {
    assert!(looked.status.success(), "{looked:?}");
    assert!(
        String::from_utf8_lossy(&looked.stdout).contains(HASH),
        "{looked:?}"
    );
}

/// What the consumer said when it failed.
fn failed(consumer: &Consumer, looked: &Output) -> String {
    assert_eq!(looked.status.code(), Some(consumer.fails), "{looked:?}");
    String::from_utf8_lossy(&[&looked.stdout[..], &looked.stderr[..]].concat()).into_owned()
}

#[test]
fn a_registry_gets_the_token_as_a_password_and_the_next_after_a_refusal() {
    for consumer in consumers() {
        let shop = Shop::new();
        let _daemon = shop.stage.site.start().unwrap();
        succeeded(&shop.look(&consumer, &[]));
        let first = shop.newest();
        let shown = shop.shown();
        assert!(
            !shown.is_empty() && shown.iter().all(|one| *one == password(&first)),
            "{shown:?}"
        );
        assert_eq!(shop.stage.requests(), 1);

        shop.stage.sim.end_access("it");
        let said = failed(&consumer, &shop.look(&consumer, &[]));
        assert!(!said.contains(&first), "{said}");
        // The protocol has no word for a refusal: somebody has to report it.
        shop.stage.reject("it", &first);
        shop.shown();
        succeeded(&shop.look(&consumer, &[]));
        assert!(
            shop.shown()
                .iter()
                .all(|one| *one == password(&shop.newest()))
        );
        assert_ne!(shop.newest(), first);
    }
}

#[test]
fn a_registry_gets_a_new_token_when_the_old_one_has_expired() {
    for consumer in consumers() {
        let shop = Shop::new();
        let _daemon = shop.stage.site.start().unwrap();
        let first = shop.stage.expired(Api::JwtApi);
        succeeded(&shop.look(&consumer, &[]));
        assert!(!shop.shown().contains(&password(&first)));
    }
}

#[test]
fn a_registry_without_its_token_is_told_with_what_to_do() {
    for consumer in consumers() {
        let shop = Shop::new();
        let lines = format!(
            "{FAST}\n[account.it.api]\nurls = \"{}\"",
            shop.registry.http()
        );
        let configuration = Configuration::of(&shop.stage.sim).everywhere(&lines);
        configuration.without_secrets().write(shop.path()).unwrap();
        let daemon = shop.stage.site.start().unwrap();
        let said = failed(&consumer, &shop.look(&consumer, &[]));
        assert!(said.contains("tokenctl login it"), "{said}");
        assert!(daemon.terminate().unwrap().success());
        let said = failed(&consumer, &shop.look(&consumer, &[]));
        assert!(said.contains("cannot reach tokend"), "{said}");
        assert_eq!(shop.shown(), [""; 0]);
    }
}

#[test]
fn another_registry_and_another_user_get_nothing() {
    let stranger = user_of(STRANGER);
    for consumer in consumers() {
        let shop = Shop::new();
        let url = shop.registry.http();
        for urls in [
            "http://127.0.0.1:1".to_owned(),
            "https://registry.example.com".to_owned(),
            format!("{url}/v2/it"),
        ] {
            shop.configure(&urls, "");
            let _daemon = shop.stage.site.start().unwrap();
            failed(&consumer, &shop.look(&consumer, &[]));
            assert_eq!((shop.shown(), shop.stage.requests()), (vec![], 0), "{urls}");
        }
        if carried_out("a registry of another user", root()) {
            shop.configure(&url, "allow = [{ user = 0 }]");
            let _daemon = shop.stage.site.start().unwrap();
            failed(&consumer, &shop.look(&consumer, &stranger));
            assert_eq!((shop.shown(), shop.stage.requests()), (vec![], 0));
            succeeded(&shop.look(&consumer, &[]));
        }
    }
}
