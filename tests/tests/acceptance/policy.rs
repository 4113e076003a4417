//! Permissions with the real daemon and peers of other users, groups, programs, units and namespaces.
//!
//! Acting as another user needs root. Without root the tests say so and pass, except with `CI=true`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tokend_harness::{
    Daemon, Said, Site,
    clock::{PATIENCE, wait_until},
    demand::{carried_out, root},
};
use tokend_provider_simulator::{
    Configuration, Simulator,
    spec::{AccountSpec, Api},
};

use crate::stage::{FAST, account};

/// Users and groups that no machine has.
pub(crate) const USER: &str = "4001";
pub(crate) const OTHER: &str = "4002";
const GROUP: &str = "4050";

/// Accounts with a rule each, a daemon, and a copy of `tokenctl` that others may run.
pub(crate) struct Place {
    pub(crate) site: Site,
    _sim: Simulator,
    _daemon: Daemon,
    pub(crate) tokenctl: PathBuf,
}

impl Place {
    pub(crate) fn new(rules: &[(&str, &str)]) -> Self {
        Self::under(&[], |_| {
            rules
                .iter()
                .map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned()))
                .collect()
        })
    }

    /// With rules that depend on the directory, and a daemon started under another program.
    fn under(program: &[&str], rules: impl FnOnce(&Path) -> Vec<(String, String)>) -> Self {
        let site = Site::new().unwrap();
        let rules = rules(site.path());
        let sim = Simulator::start(rules.iter().map(|(name, _)| spec(name)).collect()).unwrap();
        let base_url = sim.base_url(Api::JwtApi);
        let configuration = rules
            .iter()
            .fold(Configuration::default(), |all, (name, rule)| {
                all.account(spec(name), &base_url, &format!("allow = [{rule}]\n{FAST}"))
            });
        configuration.write(site.path()).unwrap();
        fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let tokenctl = copy(&site, "tokenctl");
        let daemon = if program.is_empty() {
            site.start().unwrap()
        } else {
            let daemon = Daemon::spawn_under(program, &site).unwrap();
            wait_until("the daemon to serve", PATIENCE, || {
                site.tokenctl(&["list"])
                    .is_ok_and(|said| said.code == Some(0))
            })
            .unwrap();
            daemon
        };
        Self {
            site,
            _sim: sim,
            _daemon: daemon,
            tokenctl,
        }
    }

    /// Runs a program that is `tokenctl` under another that starts it.
    fn by(&self, wrapper: &[&str], program: &Path, words: &[&str]) -> Said {
        let (first, rest) = wrapper.split_first().unwrap();
        let mut command = Command::new(first);
        command
            .args(rest)
            .arg(program)
            .arg("--socket")
            .arg(self.site.socket())
            .args(words);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Said {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    pub(crate) fn as_user(&self, user: &str, words: &[&str]) -> Said {
        self.by(&user_of(user), &self.tokenctl, words)
    }
}

/// A separate account at the one provider.
fn spec(name: &str) -> AccountSpec {
    AccountSpec {
        username: Some(format!("{name}@example.com")),
        ..account(name, Api::JwtApi)
    }
}

fn copy(site: &Site, name: &str) -> PathBuf {
    let path = site.path().join(name);
    fs::copy(&site.binaries().tokenctl, &path).unwrap();
    path
}

pub(crate) fn user_of(user: &str) -> [&str; 7] {
    [
        "setpriv",
        "--reuid",
        user,
        "--regid",
        user,
        "--clear-groups",
        "--",
    ]
}

/// A command that another user of this number runs. It takes root.
pub(crate) fn command_of(user: &str) -> Command {
    let [program, words @ ..] = user_of(user);
    let mut command = Command::new(program);
    command.args(words);
    command
}

fn allowed(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn denied(said: &Said) {
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{said:?}");
}

#[test]
fn groups_are_those_the_process_has() {
    if !carried_out("rules by group", root()) {
        return;
    }
    let place = Place::new(&[("it", "{ group = 4050 }")]);
    let get = |wrapper: &[&str]| place.by(wrapper, &place.tokenctl, &["get", "it"]);
    denied(&place.as_user(USER, &["get", "it"]));
    denied(&place.as_user(USER, &["watch", "it"]));
    allowed(&get(&[
        "setpriv",
        "--reuid",
        USER,
        "--regid",
        GROUP,
        "--clear-groups",
        "--",
    ]));
    allowed(&get(&[
        "setpriv", "--reuid", USER, "--regid", USER, "--groups", "1,4050,7", "--",
    ]));
    denied(&get(&[
        "setpriv", "--reuid", USER, "--regid", USER, "--groups", "1,7", "--",
    ]));
    // Root is only in its own group.
    denied(&place.site.tokenctl(&["get", "it"]).unwrap());
}

#[test]
fn programs_are_told_by_the_file_that_runs() {
    if !carried_out("rules by executable", root()) {
        return;
    }
    let place = Place::under(&[], |path| {
        let trusted = path.join("trusted");
        vec![(
            "it".to_owned(),
            format!("{{ user = {USER}, exe = \"{}\" }}", trusted.display()),
        )]
    });
    let trusted = copy(&place.site, "trusted");
    let get = |user: &str, program: &Path| place.by(&user_of(user), program, &["get", "it"]);
    allowed(&get(USER, &trusted));
    denied(&get(OTHER, &trusted));
    denied(&get(USER, &place.tokenctl));
    // A link is another name, and the kernel reports its target.
    let link = place.site.path().join("link");
    std::os::unix::fs::symlink(&trusted, &link).unwrap();
    allowed(&get(USER, &link));
    // Another file at the same path, in a mount namespace of the peer's own.
    let script = format!(
        "mount --bind {} {} && exec setpriv --reuid {USER} --regid {USER} --clear-groups -- \"$0\" \"$@\"",
        place.tokenctl.display(),
        trusted.display()
    );
    let wrapper = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-euc",
        &script,
    ];
    denied(&place.by(&wrapper, &trusted, &["get", "it"]));
    let seen = place
        .by(&wrapper, &trusted, &["whoami", "--json"])
        .json()
        .unwrap();
    assert_eq!(seen["executable"], trusted.display().to_string());
    assert_eq!(seen["executable_is_there"], false);
}

#[test]
fn programs_are_told_by_their_digest_wherever_they_are() {
    if !carried_out("rules by digest", root()) {
        return;
    }
    let site = Site::new().unwrap();
    let sum = Command::new("sha256sum")
        .arg(&site.binaries().tokenctl)
        .output()
        .unwrap();
    let digest = String::from_utf8_lossy(&sum.stdout)[..64].to_owned();
    let rule = format!("{{ sha256 = \"{digest}\" }}");
    let place = Place::new(&[("it", &rule)]);
    let elsewhere = copy(&place.site, "elsewhere");
    for program in [&place.tokenctl, &elsewhere] {
        for _ in 0..2 {
            allowed(&place.by(&user_of(USER), program, &["get", "it"]));
        }
    }
    // The same program with a byte behind its end.
    let altered = copy(&place.site, "altered");
    let mut bytes = fs::read(&altered).unwrap();
    bytes.push(0);
    fs::write(&altered, bytes).unwrap();
    denied(&place.by(&user_of(USER), &altered, &["get", "it"]));
    let seen = place.as_user(USER, &["whoami", "--json"]).json().unwrap();
    assert_eq!(seen["sha256"], digest);
}

#[test]
fn without_the_capability_programs_of_others_are_not_known_and_the_denial_says_so() {
    if !carried_out("a daemon without CAP_SYS_PTRACE", root()) {
        return;
    }
    let place = Place::under(
        &["setpriv", "--bounding-set", "-sys_ptrace", "--"],
        |path| {
            let rule = format!("{{ exe = \"{}\" }}", path.join("tokenctl").display());
            vec![
                ("it".to_owned(), rule),
                ("plain".to_owned(), format!("{{ user = {USER} }}")),
            ]
        },
    );
    let said = place.as_user(USER, &["get", "it"]);
    denied(&said);
    assert!(
        said.err.contains("your executable could not be read"),
        "{said:?}"
    );
    assert!(said.err.contains("CAP_SYS_PTRACE"), "{said:?}");
    assert!(!said.err.contains("exe ="), "not which rule: {said:?}");
    // An account without this rule is not affected; an unknown account gets the same answer.
    allowed(&place.as_user(USER, &["get", "plain"]));
    let known = place.as_user(OTHER, &["get", "it"]);
    let unknown = place.as_user(OTHER, &["get", "no"]);
    denied(&known);
    denied(&unknown);
    assert_eq!(
        known.err.replace(" it ", " no ").replace(".it]", ".no]"),
        unknown.err
    );
    let seen = place.as_user(USER, &["whoami", "--json"]).json().unwrap();
    assert_eq!(seen["executable"], serde_json::Value::Null);
    let unread = seen["unread"].as_array().unwrap();
    assert!(
        unread.iter().any(|it| it["what"] == "executable"
            && it["why"].as_str().unwrap().contains("CAP_SYS_PTRACE")),
        "{seen}"
    );
}

#[test]
fn permissions_are_separate() {
    if !carried_out("permissions of several users", root()) {
        return;
    }
    let place = Place::new(&[(
        "it",
        "{ user = 4001, may = [\"status\"] }, { user = 4002, may = [\"get\"] }, { user = 4003, may = [\"refresh\", \"reject\"] }",
    )]);
    let token = place.as_user(OTHER, &["get", "it"]).line().unwrap();
    allowed(&place.as_user(USER, &["status", "it", "--json"]));
    denied(&place.as_user(USER, &["get", "it"]));
    denied(&place.as_user(USER, &["refresh", "it"]));
    denied(&place.as_user(OTHER, &["status", "it"]));
    denied(&place.as_user("4003", &["get", "it"]));
    for user in [USER, OTHER, "4003"] {
        assert_eq!(place.as_user(user, &["list"]).out, "it\tjwt-api\n");
        denied(&place.as_user(user, &["reload"]));
        denied(&place.as_user(user, &["forget", "--yes", "it"]));
    }
    assert_eq!(place.as_user("4004", &["list"]).out, "");
    // A peer that may refresh but not get learns that there is a token.
    let said = place.as_user("4003", &["refresh", "it"]);
    allowed(&said);
    assert!(
        said.out.is_empty() && said.err.contains("has a new token"),
        "{said:?}"
    );
    let newer = place.as_user(OTHER, &["get", "it"]).line().unwrap();
    assert_ne!(newer, token);
    let said = place.as_user("4003", &["refresh", "it", "--print"]);
    denied(&said);
    // The daemon's own user is the administrator, and gets no token from that.
    allowed(&place.site.tokenctl(&["status", "it"]).unwrap());
    denied(&place.site.tokenctl(&["get", "it"]).unwrap());
}

#[test]
fn peers_in_namespaces_are_who_they_are_outside() {
    if !carried_out("peers in namespaces", root()) {
        return;
    }
    let place = Place::new(&[("it", "{ user = 4001 }"), ("roots", "{ user = 0 }")]);
    let user = user_of(USER);
    // Root in a user namespace of its own is the user outside.
    let wrapper = [&user[..], &["unshare", "--user", "--map-root-user", "--"]].concat();
    allowed(&place.by(&wrapper, &place.tokenctl, &["get", "it"]));
    denied(&place.by(&wrapper, &place.tokenctl, &["get", "roots"]));
    let seen = place
        .by(&wrapper, &place.tokenctl, &["whoami", "--json"])
        .json()
        .unwrap();
    assert_eq!(
        (&seen["uid"], &seen["other_user_namespace"]),
        (&4001.into(), &true.into()),
        "{seen}"
    );
    // In a PID namespace below the daemon's, the peer has a number outside too.
    let wrapper = ["unshare", "--pid", "--fork", "--"];
    let seen = place
        .by(&wrapper, &place.tokenctl, &["whoami", "--json"])
        .json()
        .unwrap();
    assert_eq!(
        (&seen["uid"], &seen["nested_pid_namespace"]),
        (&0.into(), &true.into()),
        "{seen}"
    );
    assert!(seen["pid"].as_u64().unwrap() > 2, "{seen}");
    let seen = place.as_user(USER, &["whoami", "--json"]).json().unwrap();
    assert_eq!(
        (&seen["other_user_namespace"], &seen["nested_pid_namespace"]),
        (&false.into(), &false.into()),
        "{seen}"
    );
}

#[test]
fn everybody_may_ask_who_they_are() {
    let place = Place::new(&[("it", "{ user = 4001 }")]);
    let own = place
        .site
        .tokenctl(&["whoami", "--json"])
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(own["uid"], rustix::process::geteuid().as_raw());
    let administers = own["administrator"].as_array().unwrap();
    assert!(
        administers.contains(&"reload".into()) && !administers.contains(&"get".into()),
        "{own}"
    );
    assert!(
        own["executable"].as_str().unwrap().ends_with("/tokenctl"),
        "{own}"
    );
    let said = place.site.tokenctl(&["whoami"]).unwrap();
    assert!(
        said.out.contains("administrator  yes: status, refresh"),
        "{said:?}"
    );
}

#[test]
fn one_mounted_directory_serves_two_accounts_over_restarts_and_a_mounted_socket_does_not() {
    if !carried_out("mounts of a container", root()) {
        return;
    }
    let place = Place::new(&[("one", "{ user = 0 }"), ("two", "{ user = 0 }")]);
    let Place { site, tokenctl, .. } = &place;
    let at = |name: &str| site.path().join(name);
    // The container shows the directory below `in`, and the socket alone.
    fs::create_dir(at("in")).unwrap();
    fs::write(at("alone"), "").unwrap();
    let script = "set -e; cd \"$0\"; mount --bind . in; mount --bind tokend.sock alone; echo ready; while read -r socket account; do \"$1\" --socket \"$socket\" get \"$account\" >out 2>&1 </dev/null && echo ok || echo refused; done";
    let mut container = Command::new("unshare")
        .args(["--mount", "--", "sh", "-c", script])
        .args([site.path(), tokenctl])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut ask, answers) = (
        container.stdin.take().unwrap(),
        container.stdout.take().unwrap(),
    );
    let mut answers = BufReader::new(answers).lines().map(Result::unwrap);
    assert_eq!(answers.next().as_deref(), Some("ready"));
    let mut got = |socket: &str, account: &str| {
        writeln!(ask, "{socket} {account}").unwrap();
        answers.next().unwrap()
    };
    for account in ["one", "two"] {
        assert_eq!(got("in/tokend.sock", account), "ok");
        assert_eq!(got("alone", account), "ok");
    }
    let Place { site, _daemon, .. } = place;
    assert!(_daemon.terminate().unwrap().success());
    let _daemon = site.start().unwrap();
    for account in ["one", "two"] {
        assert_eq!(got("in/tokend.sock", account), "ok");
        assert_eq!(
            got("alone", account),
            "refused",
            "it is the socket of the daemon that ended"
        );
    }
    drop(ask);
    assert!(container.wait().unwrap().success());
}

#[test]
fn a_name_that_nobody_has_matches_nobody_and_stops_nobody() {
    let sim = Simulator::start(vec![
        account("it", Api::JwtApi),
        account("theirs", Api::Oauth2),
    ])
    .unwrap();
    let [mine, theirs] = [Api::JwtApi, Api::Oauth2].map(|api| sim.base_url(api));
    let configuration = |rule: &str| {
        Configuration::default()
            .account(account("it", Api::JwtApi), &mine, FAST)
            .account(
                account("theirs", Api::Oauth2),
                &theirs,
                &format!("{FAST}{rule}"),
            )
    };
    let rule = "allow = [{ user = \"not-there-yet\" }, { group = \"nor-this\" }]\n";
    let site = Site::with(&configuration(rule)).unwrap();
    let check = |more: &[&str]| {
        let output = Command::new(&site.binaries().tokend)
            .args(["check", "--config"])
            .arg(site.configuration())
            .arg("--state-dir")
            .arg(site.state())
            .args(more)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, said) = check(&[]);
    assert_eq!(code, Some(0), "{said}");
    let daemon = site.start().unwrap();
    site.get("it").unwrap();
    assert_eq!(site.tokenctl(&["get", "theirs"]).unwrap().code, Some(77));
    let expected = [
        "there is no user `not-there-yet`",
        "there is no group `nor-this`",
    ];
    assert!(expected.iter().all(|it| said.contains(it)), "{said}");
    site.log_with(&expected).unwrap();
    let (code, said) = check(&["--strict"]);
    assert_eq!(code, Some(78), "{said}");
    let doctor = site.tokenctl(&["doctor"]).unwrap();
    assert!(doctor.out.contains("not-there-yet"), "{doctor:?}");
    assert!(doctor.out.contains("so since 2"), "{doctor:?}");
    assert!(doctor.out.contains("tried again at 2"), "{doctor:?}");
    // Once the rule names an existing user, a reload is enough.
    let own = rustix::process::geteuid().as_raw();
    let rule = format!("allow = [{{ user = \"{own}\" }}]\n");
    configuration(&rule).write(site.path()).unwrap();
    assert_eq!(site.tokenctl(&["reload"]).unwrap().code, Some(0));
    site.get("theirs").unwrap();
    assert!(daemon.terminate().unwrap().success());
}
