//! Programs that nobody here wrote, each with the lines that `tokenctl integrate` prints for it.
//!
//! Owns what is shown of each: it uses the token; it uses the next one; the next one after a refusal; no redirect gets it to another host; and
//! when the account needs a login it fails, says so, and sends nothing. Every server refuses all tokens but the newest.

mod cases;
mod clouds;
mod elsewhere;
mod helpers;
mod packages;
mod servers;
mod sinks;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tokend_harness::{Daemon, Site, demand::carried_out};
use tokend_provider_simulator::{Configuration, Simulator, spec::Api};
use tokend_tests::examples::exposed;

use crate::stage::{FAST, ON_DEMAND, account};
use elsewhere::Elsewhere;
use servers::{Redirects, Server};

/// A daemon with one account, `it`, whose password was entered; a server; and a home for the consumer.
struct Scene {
    _sim: Simulator,
    site: Site,
    _daemon: Daemon,
    server: Server,
}

/// How a consumer ends when the account needs a login.
struct End {
    code: i32,
    /// What its user reads.
    says: &'static str,
}

/// The helpers that other programs start by these names.
const LINKS: [&str; 4] = [
    "cargo-credential-tokenctl",
    "docker-credential-tokenctl",
    "git-credential-tokenctl",
    "terraform-credentials-tokenctl",
];

/// What tokenctl says, where the consumer passes it on.
const ADVICE: &str = "tokenctl login it";

impl Scene {
    fn new(server: Server) -> Self {
        let sim = Simulator::start(vec![account("it", Api::JwtApi)]).unwrap();
        let port = server.port();
        let lines = format!(
            "{FAST}{ON_DEMAND}\n[account.it.api]\nurls = [\"http://127.0.0.1:{port}\", \"https://127.0.0.1:{port}\"]"
        );
        let mut configuration = Configuration::of(&sim).everywhere(&lines).without_secrets();
        configuration.preamble =
            "[listen]\nhttp = \"http.sock\"\noidc_agent = \"oidc.sock\"\n".to_owned();
        let site = Site::with(&configuration).unwrap();
        let daemon = site.start().unwrap();
        let password = sim.accounts().remove(0).password.unwrap();
        let said = site.tokenctl_with(&["login", "it"], &password).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        let scene = Self {
            _sim: sim,
            site,
            _daemon: daemon,
            server,
        };
        fs::create_dir_all(scene.home().join("bin")).unwrap();
        let tokenctl = &scene.site.binaries().tokenctl;
        for link in LINKS {
            symlink(tokenctl, scene.home().join("bin").join(link)).unwrap();
        }
        scene
    }

    fn http_socket(&self) -> PathBuf {
        self.site.path().join("http.sock")
    }

    fn home(&self) -> PathBuf {
        self.site.path().join("home")
    }

    /// Puts a file into the home; only its owner can read it.
    fn put(&self, name: &str, text: &str) -> String {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    }

    /// The lines for a consumer, with the server in place of what a user replaces.
    fn lines(&self, name: &str) -> String {
        let said = self.site.tokenctl(&["integrate", name, "it"]).unwrap();
        assert_eq!(exposed(&said.out), [], "{name}");
        let url = format!("{}/", self.server.url());
        said.line()
            .unwrap()
            .replace("https://api.example.com/", &url)
            + "\n"
    }

    /// The texts for a consumer, without what belongs into the daemon's configuration, which the scene has.
    fn parts(&self, name: &str) -> Vec<String> {
        let lines = self.lines(name);
        let (configuration, rest) = lines.split_once("\n\n").unwrap();
        assert!(
            configuration.starts_with("[account.it.api]\nurls = \"https://"),
            "{configuration}"
        );
        let parts = rest.split("\n\n");
        parts.map(|part| format!("{}\n", part.trim_end())).collect()
    }

    /// Installs the backend of keyring as its guide says, for Python's programs in PATH.
    fn keyring(&self) -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/keyring");
        // pip leaves files in the folder that it builds.
        format!(
            "[ -d site ] || {{ cp -r '{}' keyring && pip install -q --disable-pip-version-check --no-index --no-deps \
             --no-build-isolation --target site ./keyring || exit 99; }}\nexport PYTHONPATH=$HOME/site\n",
            source.display()
        )
    }

    /// A program that uses ACCESS_TOKEN.
    fn report(&self) -> String {
        let url = self.server.url();
        let text = format!(
            "#!/bin/sh\nprintf 'header = \"Authorization: Bearer %s\"\\n' \"$ACCESS_TOKEN\" | curl -fsS -K - {url}/\n"
        );
        self.put("report", &text)
    }

    fn run(&self, script: &str) -> Output {
        let tokenctl = self.site.binaries().tokenctl.parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        for name in std::env::vars().map(|(name, _)| name) {
            let lower = name.to_lowercase();
            if lower.ends_with("_proxy")
                || ["npm_", "pip_", "tf_"]
                    .iter()
                    .any(|start| lower.starts_with(start))
            {
                command.env_remove(name);
            }
        }
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .current_dir(self.home())
            .env(
                "PATH",
                format!(
                    "{}:{}:{path}",
                    tokenctl.display(),
                    self.home().join("bin").display()
                ),
            )
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.home())
            .env("TOKEND_SOCKET", self.site.socket())
            .env("TOKEND_HTTP_SOCKET", self.http_socket());
        command.output().unwrap()
    }
}

/// Shows the five things of one consumer. `programs` are those that must be installed.
fn show(programs: &[&str], server: Server, script: impl FnOnce(&Scene) -> String, end: &End) {
    if !carried_out(&programs.join(", "), there(programs)) {
        return;
    }
    let scene = Scene::new(server);
    let script = script(&scene);
    let good = |token: &str| {
        scene.server.demand(token);
        let (accepted, refused) = scene.server.counts();
        let output = scene.run(&script);
        assert!(output.status.success(), "{script}\n{output:?}");
        let now = scene.server.counts();
        assert!(now.0 > accepted && now.1 == refused, "{now:?} {output:?}");
    };
    let first = scene.site.get("it").unwrap();
    good(&first);
    // The token has expired, and there is the next one.
    let second = scene.site.tokenctl(&["refresh", "it", "--print"]).unwrap();
    let second = second.line().unwrap();
    assert_ne!(first, second);
    good(&second);
    // It is refused; whoever sees that reports it.
    scene.server.demand("another");
    let (accepted, refused) = scene.server.counts();
    let output = scene.run(&script);
    assert!(!output.status.success(), "{script}\n{output:?}");
    let now = scene.server.counts();
    assert!(now.0 == accepted && now.1 > refused, "{now:?} {output:?}");
    let reject = ["reject", "it", "--print"];
    let third = scene.site.tokenctl_with(&reject, &second).unwrap();
    let third = third.line().unwrap();
    good(&third);
    stays_here(&scene, &script, &third);
    // Only a person can help.
    let forgotten = scene.site.tokenctl(&["forget", "it", "--yes"]).unwrap();
    assert_eq!(forgotten.code, Some(0), "{forgotten:?}");
    let before = scene.server.counts();
    let output = scene.run(&script);
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(end.code), "{script}\n{said}");
    assert!(said.contains(end.says), "{said}");
    assert_eq!(
        scene.server.counts(),
        before,
        "nothing was presented: {said}"
    );
}

/// Shows that a consumer whose server sends it to another host presents nothing there. What it makes of the redirect is its own affair.
fn stays_here(scene: &Scene, script: &str, token: &str) {
    let leads_on = match scene.server.redirects {
        Redirects::Unshown => return,
        Redirects::One => false,
        Redirects::Two => true,
    };
    let elsewhere = Elsewhere::start(leads_on);
    scene.server.send_to(Some(elsewhere.url()));
    let (accepted, _) = scene.server.counts();
    let output = scene.run(script);
    assert!(scene.server.counts().0 > accepted, "{script}\n{output:?}");
    let learned = elsewhere.learned(token);
    assert!(learned.is_empty(), "{script}\n{learned:?}\n{output:?}");
    scene.server.send_to(None);
}

fn there(programs: &[&str]) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for program in programs {
        let mut folders = std::env::split_paths(&path);
        let found = folders.any(|folder| folder.join(program).exists());
        anyhow::ensure!(found, "there is no {program}; tests/setup installs it");
    }
    Ok(())
}

/// Each name of the table has a test here and a row in `tests/README.md`, and neither has another.
#[test]
fn every_consumer_is_run() {
    let site = Site::new().unwrap();
    let listed = site.tokenctl(&["integrate"]).unwrap().line().unwrap();
    let mut names: Vec<&str> = listed
        .lines()
        .map(|it| it.split('\t').next().unwrap())
        .collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(here.join("README.md")).unwrap();
    let (_, table) = readme.split_once("## Consumers").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|it| it.strip_prefix("| `"));
    let mut rows: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!(names, rows);
    // The services are run under a booted systemd, in tests/systemd/{integrate,load_credential}.rs.
    names.retain(|name| !name.starts_with("systemd"));
    let run = [
        &cases::NAMES[..],
        &clouds::NAMES,
        &helpers::NAMES,
        &packages::NAMES,
        &sinks::NAMES,
    ];
    let mut run = run.concat();
    run.sort_unstable();
    assert_eq!(names, run);
}

/// The commands of the page, for whoever installs from the source, make every link by which a program starts a helper.
#[test]
fn the_page_installs_every_link() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let page = fs::read_to_string(page).unwrap();
    let command = page
        .lines()
        .find_map(|line| line.strip_prefix("$ for name"));
    let folder = tempfile::tempdir().unwrap();
    let here = format!("{}/", folder.path().display());
    let command = command.unwrap().replace("sudo ", "");
    let command = command.replace("/usr/local/bin/", &here);
    let ended = Command::new("bash")
        .args(["-c", &format!("for name{command}")])
        .status();
    assert!(ended.unwrap().success());
    let links = fs::read_dir(folder.path()).unwrap();
    let mut links: Vec<_> = links
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    links.sort_unstable();
    assert_eq!(links, LINKS);
}

/// Every name that an account may have, in the files of programs and in the daemon's.
#[test]
fn the_lines_are_whole_for_every_name() {
    let site = Site::new().unwrap();
    let listed = site.tokenctl(&["integrate"]).unwrap().line().unwrap();
    let names = listed.lines().map(|it| it.split('\t').next().unwrap());
    let names: Vec<_> = names.collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for account in ["it", "2024", "1e3", "true", "a.b", "bot+x@example.com"] {
        for name in &names {
            let printed = site.tokenctl(&["integrate", name, account]).unwrap().out;
            let part = printed.split("\n\n").next().unwrap();
            let Some(rest) = part.strip_prefix("[account.") else {
                continue;
            };
            fs::write(
                &file,
                format!(
                    "[account.{:?}]\nprovider = \"oauth2\"\nbase_url = \"https://a.example.com\"\nusername = \"u\"\nclient_id = \"c\"\n\
                     [account.{rest}",
                    account
                ),
            )
            .unwrap();
            let tokend = &site.binaries().tokend;
            let config = file.display().to_string();
            let ended = Command::new(tokend)
                .args(["check", "--config", &config])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "{name} {account}: {said}");
        }
        if carried_out("kubectl", there(&["kubectl"])) {
            let printed = site.tokenctl(&["integrate", "kubectl", account]).unwrap();
            fs::write(
                &file,
                format!("apiVersion: v1\nkind: Config\n{}", printed.out),
            )
            .unwrap();
            let ended = Command::new("kubectl")
                .args([
                    "config",
                    "view",
                    "-o",
                    "jsonpath={.users[0].user.exec.args[1]}",
                ])
                .arg("--kubeconfig")
                .arg(&file)
                .output()
                .unwrap();
            let read = String::from_utf8_lossy(&ended.stdout);
            assert_eq!(read, account, "{ended:?}");
        }
    }
}

/// The page for operators has a line of each, as it is printed and run, and says which are not run with the program itself.
#[test]
fn the_page_of_operations_has_a_line_of_every_consumer() {
    let site = Site::new().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let section = |file: &str, from: &str| {
        let text = fs::read_to_string(here.join(file)).unwrap();
        let (_, section) = text.split_once(from).unwrap();
        section.split_once("\n## ").unwrap().0.to_owned()
    };
    let readme = section("README.md", "## Consumers");
    let page = section("../systemd/OPERATIONS.md", "## Use a token in");
    let listed = site.tokenctl(&["integrate"]).unwrap().line().unwrap();
    let names = listed.lines().map(|it| it.split('\t').next().unwrap());
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let (names, rows): (Vec<_>, Vec<_>) = (names.collect(), rows.collect());
    assert_eq!(names.len(), rows.len(), "{names:?} {rows:?}");
    for (name, row) in names.into_iter().zip(rows) {
        let (start, how) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let line = start.strip_prefix(&format!("| `{name}` | `")).unwrap();
        // A table writes a bar so.
        let line = line.strip_suffix('`').unwrap().replace("\\|", "|");
        let lines = site.tokenctl(&["integrate", name, "ads"]).unwrap();
        let printed = lines.out.lines().any(|it| it.trim() == line);
        assert!(printed, "{name}: {line}");
        let is_row = |it: &&str| it.starts_with(&format!("| `{name}` "));
        let tested = readme.lines().find(is_row).unwrap();
        let golden = tested.contains("golden") || tested.contains("exchange");
        assert_eq!(how, if golden { "golden" } else { "run" }, "{name}");
    }
}

#[test]
fn lines_go_to_standard_output_and_the_rest_to_standard_error() {
    let site = Site::new().unwrap();
    let said = site.tokenctl(&["integrate", "cron", "it"]).unwrap();
    assert_eq!(
        said.out,
        "*/10 * * * * tokenctl exec it -- /usr/local/bin/report\n"
    );
    assert!(said.err.contains("needs ") && said.err.contains("the crontab"));
    let unnamed = site.tokenctl(&["integrate", "cron"]).unwrap();
    assert!(unnamed.out.contains("exec ACCOUNT --"), "{unnamed:?}");
    for wrong in [&["integrate", "abacus"][..], &["integrate", "cron", "-x"]] {
        assert_eq!(site.tokenctl(wrong).unwrap().code, Some(64), "{wrong:?}");
    }
    let completed = site
        .tokenctl(&["complete", "--", "integrate", "ku"])
        .unwrap();
    assert!(completed.out.contains("kubectl"), "{completed:?}");
}
