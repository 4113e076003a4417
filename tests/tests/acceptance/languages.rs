//! The packages for other languages, against the daemon's HTTP socket.
//!
//! Owns what is shown of each way a program can take: it uses the token, the next one after that has expired, and the next after a refusal,
//! which it reports itself; and when the account needs a login it ends with the code and the words for that, and sends nothing.

mod go;
mod node;
pub(crate) mod python;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_until},
};
use tokend_provider_simulator::{Configuration, Simulator, spec::Api};

use crate::stage::{FAST, ON_DEMAND, Stage, account};

/// An account of an API that takes the newest token only, whose daemon listens for HTTP.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    _daemon: Daemon,
}

impl Scene {
    fn of(stage: Stage) -> Self {
        let path = stage.site.configuration();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("[listen]\nhttp = \"http.sock\"\n{text}")).unwrap();
        let daemon = stage.site.start().unwrap();
        Self {
            stage,
            _daemon: daemon,
        }
    }

    /// One whose password was entered, so that it can be forgotten.
    pub(crate) fn new() -> Self {
        let sim = Simulator::start(vec![account("it", Api::JwtApi)]).unwrap();
        let lines = format!("{FAST}{ON_DEMAND}");
        let configuration = Configuration::of(&sim).everywhere(&lines).without_secrets();
        let site = Site::with(&configuration).unwrap();
        let scene = Self::of(Stage { sim, site });
        let password = scene.stage.sim.accounts().remove(0).password.unwrap();
        let site = &scene.stage.site;
        let said = site.tokenctl_with(&["login", "it"], &password).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        scene
    }

    fn socket(&self) -> PathBuf {
        self.stage.site.path().join("http.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "{}{}",
            self.stage.sim.base_url(Api::JwtApi),
            Api::JwtApi.resource()
        )
    }

    fn run(&self, command: &mut Command) -> Output {
        command
            .env("TOKEND_HTTP_SOCKET", self.socket())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// What a program says, if it ends well.
#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Shows the four things of a program that prints the status of the API's answer. `program` is given the account and the URL.
fn show(program: impl Fn(&Scene) -> Command) {
    show_ending_with(79, program);
}

/// The same of a program that has an exit code of its own when the account needs a login.
fn show_ending_with(exit_code: i32, program: impl Fn(&Scene) -> Command) {
    let scene = Scene::new();
    let url = scene.url();
    let run = || scene.run(program(&scene).args(["it", &url]));
    let works = |what: &str, newer: usize| {
        let before = scene.stage.requests();
        assert_eq!(said(&run()), "200\n", "{what}");
        assert_eq!(scene.stage.requests(), before + newer, "{what}");
        assert_eq!(scene.stage.sim.violations(), [], "{what}");
    };
    works("the token of the login", 0);
    scene.stage.sim.end_access("it");
    works("a new token after a refusal", 1);
    let life = |seconds| {
        let life = Duration::from_secs(seconds);
        scene.stage.sim.change("it", |it| it.access_lifetime = life);
    };
    life(2);
    scene.stage.sim.end_access("it");
    works("one that lives shortly", 1);
    life(3600);
    let short = scene.stage.sim.newest_access("it").unwrap();
    let expired = || !scene.stage.accepted(Api::JwtApi, &short);
    wait_until("the token to expire", PATIENCE, expired).unwrap();
    works("a new token after the old one has expired", 1);

    let forgotten = scene
        .stage
        .site
        .tokenctl(&["forget", "it", "--yes"])
        .unwrap();
    assert_eq!(forgotten.code, Some(0), "{forgotten:?}");
    let ended = run();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(exit_code), "{ended:?}");
    assert!(text.contains("tokenctl login it"), "{text}");
}

/// Shows that renewals come by the stream. `program` asks for the token all the time, until it has had four, and prints how many connections
/// that took: one question, one watch.
fn follow(program: impl Fn() -> Command) {
    let scene = Scene::new();
    let mut command = program();
    command
        .env("TOKEND_HTTP_SOCKET", scene.socket())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let ended = || {
        let ended = child.try_wait().unwrap().is_some();
        if !ended {
            let refreshed = scene.stage.site.tokenctl(&["refresh", "it"]).unwrap();
            assert_eq!(refreshed.code, Some(0), "{refreshed:?}");
        }
        ended
    };
    wait_until("the program to have its tokens", PATIENCE, ended).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(said(&output), "2\n");
}

/// Copies a package of the source tree, so that building it leaves nothing there.
fn copied(name: &str, into: &Site) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("client")
        .join(name);
    let to = into.path().join(name);
    let mut copy = Command::new("cp");
    let copied = copy.arg("-r").arg(from).arg(&to).status().unwrap();
    assert!(copied.success());
    to
}
