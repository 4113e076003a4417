//! git itself, by its credential helper, against a server that takes the newest token only.
//!
//! git 2.46 and later send a token under its scheme, older ones as a password: both are run where they are installed.

mod forge;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend_harness::demand::{carried_out, root};
use tokend_provider_simulator::{Configuration, spec::Api};

use crate::policy::command_of;
use crate::stage::FAST;
use forge::Forge;

/// The first git that sends a token under another scheme than Basic.
const SCHEMES: (u32, u32) = (2, 46);
/// A user that no machine has.
const STRANGER: &str = "4001";

const BEARER: &str = "Bearer realm=\"tests\"";
const BASIC: &str = "Basic realm=\"tests\"";

/// A git of this machine whose version is as demanded.
fn git(wanted: impl Fn((u32, u32)) -> bool) -> anyhow::Result<PathBuf> {
    let found = env::var("PATH").unwrap_or_default();
    let places = env::split_paths(&found).chain([PathBuf::from("/usr/bin")]);
    let gits = places
        .map(|place| place.join("git"))
        .filter(|git| git.is_file());
    let mut seen = Vec::new();
    for git in gits {
        let said = Command::new(&git).arg("--version").output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let mut numbers = said.trim_start_matches("git version ").split('.');
        let mut number = || numbers.next().and_then(|number| number.parse().ok());
        let version = (number().unwrap_or(0), number().unwrap_or(0));
        if wanted(version) {
            return Ok(git);
        }
        seen.push(said.trim().to_owned());
    }
    anyhow::bail!("there is only {seen:?}")
}

/// A git that sends tokens under their scheme, and what the server offers; or one that sends passwords only.
fn new_git() -> anyhow::Result<PathBuf> {
    git(|version| version >= SCHEMES).context("git 2.46 or later is missing")
}

fn old_git() -> anyhow::Result<PathBuf> {
    git(|version| version < SCHEMES).context("a git before 2.46 is missing")
}

/// The four cases of every consumer: first use, expiry, a refused token and the next, and an account without a login.
fn goes_through_all_cases(forge: &Forge, git: &Path, sent: &dyn Fn(&str) -> String) {
    let _daemon = forge.stage.site.start().unwrap();
    let copy = forge.path().join("copy");
    let cloned = forge
        .git(git)
        .args([
            "-c",
            "credential.helper=tokenctl",
            "clone",
            "--quiet",
            &forge.url(),
        ])
        .arg(&copy)
        .output()
        .unwrap();
    assert!(cloned.status.success(), "{cloned:?}");
    let first = forge.newest();
    let shown = forge.shown();
    assert!(
        shown.len() > 1 && shown.iter().all(|one| *one == sent(&first)),
        "{shown:?}"
    );
    assert_eq!(forge.stage.requests(), 1, "one login for everything");

    forge.stage.sim.end_access("it");
    let refused = forge.list(git, "tokenctl");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(128), "{said}");
    assert!(said.contains("Authentication failed"), "{said}");
    assert!(!said.contains(&first), "{said}");
    let second = forge.newest();
    assert_ne!(first, second, "the refusal was reported");
    assert_eq!(forge.shown(), [sent(&first)]);
    let listed = forge.list(git, "tokenctl --account it");
    assert!(listed.status.success(), "{listed:?}");
    assert!(forge.shown().iter().all(|one| *one == sent(&second)));
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn password(token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("oauth2:{token}")))
}

#[test]
fn a_git_that_takes_schemes_sends_a_bearer_token() {
    let git = match new_git() {
        Ok(git) => git,
        Err(error) => return assert!(!carried_out("tokens under their scheme in git", Err(error))),
    };
    goes_through_all_cases(&Forge::new(&[BEARER, BASIC]), &git, &bearer);
    goes_through_all_cases(&Forge::new(&[BASIC]), &git, &password);
}

#[test]
fn an_older_git_sends_the_token_as_a_password() {
    match old_git() {
        Ok(git) => goes_through_all_cases(&Forge::new(&[BASIC]), &git, &password),
        Err(error) => assert!(!carried_out(
            "tokens as passwords in an old git",
            Err(error)
        )),
    }
}

/// Each git of this machine.
fn every_git() -> Vec<PathBuf> {
    [new_git(), old_git()].into_iter().flatten().collect()
}

#[test]
fn git_gets_a_new_token_when_the_old_one_has_expired() {
    for git in every_git() {
        let forge = Forge::new(&[BEARER, BASIC]);
        let _daemon = forge.stage.site.start().unwrap();
        let first = forge.stage.expired(Api::JwtApi);
        let listed = forge.list(&git, "tokenctl");
        assert!(listed.status.success(), "{listed:?}");
        assert!(!forge.shown().iter().any(|one| one.contains(&first)));
        assert_ne!(forge.newest(), first);
    }
}

#[test]
fn git_ends_with_what_to_do_when_a_login_is_required() {
    for git in every_git() {
        let forge = Forge::new(&[BEARER, BASIC]);
        let lines = format!(
            "{FAST}\n[account.it.api]\nurls = \"{}\"",
            forge.server.https()
        );
        let configuration = Configuration::of(&forge.stage.sim).everywhere(&lines);
        configuration.without_secrets().write(forge.path()).unwrap();
        let _daemon = forge.stage.site.start().unwrap();
        // A helper that would be asked next, and would have a password.
        let next = "credential.helper=!touch $HOME/asked; echo username=u; echo password=p;:";
        let ended = forge
            .git(&git)
            .args(["-c", "credential.helper=tokenctl", "-c", next])
            .args(["ls-remote", &forge.url()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(128), "{said}");
        for expected in ["tokenctl login it", "quit"] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        assert!(!forge.path().join("home/asked").exists(), "{said}");
        assert_eq!(forge.shown(), [""; 0]);
    }
}

#[test]
fn another_host_gets_nothing() {
    for git in every_git() {
        let forge = Forge::new(&[BEARER, BASIC]);
        let port = forge.server.https().replace("https://localhost:", "");
        for urls in [
            "https://localhost:1",
            "https://git.example.com",
            &format!("http://localhost:{port}"),
            &format!("https://localhost:{port}/other"),
        ] {
            forge.configure(urls, "");
            let daemon = forge.stage.site.start().unwrap();
            for helper in ["tokenctl", "tokenctl --account it"] {
                let ended = forge.list(&git, helper);
                let said = String::from_utf8_lossy(&ended.stderr);
                assert_eq!(ended.status.code(), Some(128), "{said}");
                assert!(said.contains("could not read Username"), "{said}");
                assert_eq!(
                    said.contains("useHttpPath"),
                    urls.ends_with("/other"),
                    "{said}"
                );
            }
            assert_eq!(
                (forge.shown(), forge.stage.requests()),
                (vec![], 0),
                "{urls}"
            );
            drop(daemon);
        }
        // The path counts once git tells it.
        forge.configure(&format!("https://localhost:{port}/it.git"), "");
        let _daemon = forge.stage.site.start().unwrap();
        let listed = forge
            .git(&git)
            .args([
                "-c",
                "credential.helper=tokenctl",
                "-c",
                "credential.useHttpPath=true",
            ])
            .args(["ls-remote", &forge.url()])
            .output()
            .unwrap();
        assert!(listed.status.success(), "{listed:?}");
    }
}

#[test]
fn another_user_gets_nothing_by_git() {
    if !carried_out("git of another user", root()) {
        return;
    }
    for git in every_git() {
        let forge = Forge::new(&[BEARER, BASIC]);
        forge.configure(&forge.server.https(), "allow = [{ user = 0 }]");
        let _daemon = forge.stage.site.start().unwrap();
        // Where the account is named, git asks nobody else for a password.
        for (helper, reason, ends) in [
            ("tokenctl", "", "could not read Username"),
            ("tokenctl --account it", "tokenctl: ", "told us to quit"),
        ] {
            let mut other = command_of(STRANGER);
            forge.surround(&mut other);
            let ended = other
                .arg(&git)
                .args([
                    "-c",
                    &format!("credential.helper={helper}"),
                    "ls-remote",
                    &forge.url(),
                ])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(128), "{said}");
            assert!(said.contains(ends) && said.contains(reason), "{said}");
        }
        assert_eq!((forge.shown(), forge.stage.requests()), (vec![], 0));
        assert!(forge.list(&git, "tokenctl").status.success());
    }
}

#[test]
fn git_says_that_the_daemon_is_not_there() {
    for git in every_git() {
        let forge = Forge::new(&[BEARER, BASIC]);
        let ended = forge.list(&git, "tokenctl");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(128), "{said}");
        assert!(said.contains("cannot reach tokend"), "{said}");
        assert_eq!(forge.shown(), [""; 0]);
    }
}
