//! `tokenctl init`: a first configuration by options and by questions, checked by the real `tokend` and tried with one request at most.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tokend_harness::{Said, Site, built};
use tokend_provider_simulator::{
    Simulator,
    spec::{AccountSpec, Api},
};

use crate::{stage::account, terminal::Terminal};

/// A provider, and a place without a configuration.
struct Scene {
    sim: Simulator,
    site: Site,
}

impl Scene {
    fn new(api: Api) -> Self {
        let sim = Simulator::start(vec![account("it", api)]).unwrap();
        Self {
            sim,
            site: Site::new().unwrap(),
        }
    }

    fn spec(&self) -> AccountSpec {
        self.sim.accounts().remove(0)
    }

    fn config(&self) -> PathBuf {
        self.site.path().join("etc/tokend.toml")
    }

    /// Where the harness has it, so that its daemons read it.
    fn settle(&self) -> String {
        self.site.configuration().display().to_string()
    }

    fn password_file(&self) -> String {
        let path = self.site.path().join("password");
        fs::write(&path, self.spec().password.unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    fn init(&self, words: &[&str]) -> Said {
        let config = self.settle();
        let words = [&["init", "--config", &config], words].concat();
        self.site.tokenctl(&words).unwrap()
    }

    /// The answers for `it` as options, but for its secret.
    fn answers(&self) -> Vec<String> {
        let spec = self.spec();
        let words = [
            "--account",
            "it",
            "--dialect",
            spec.api.dialect(),
            "--base-url",
            &self.sim.base_url(spec.api),
            "--username",
            spec.username.as_deref().unwrap(),
        ];
        words.map(str::to_owned).to_vec()
    }

    fn init_with(&self, more: &[&str]) -> Said {
        let answers = self.answers();
        let words: Vec<_> = answers.iter().map(String::as_str).collect();
        self.init(&[&words, more].concat())
    }

    fn requests(&self) -> usize {
        self.sim.log("it").token_requests()
    }
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn by_options_an_account_is_written_and_a_second_init_goes_on_to_its_token() {
    let scene = Scene::new(Api::AdVerification);
    let secret = format!("file:{}", scene.password_file());
    let said = scene.init_with(&["--secret", &secret]);
    assert_eq!(said.code, Some(64), "{said:?}");
    assert!(said.err.contains("--yes"), "{said:?}");
    let written = ["accounts.d", "tokend.toml"];
    let made = || {
        let mut all = entries(scene.site.path());
        all.retain(|name| written.contains(&name.as_str()));
        all
    };
    assert_eq!(made(), [""; 0]);

    let said = scene.init_with(&["--secret", &secret, "--yes"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("next: tokend --config"), "{said:?}");
    assert_eq!(made(), written);
    let accounts = scene.site.path().join("accounts.d");
    assert_eq!(entries(&accounts), ["it.toml"]);
    let text = fs::read_to_string(accounts.join("it.toml")).unwrap();

    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.requests(), 0);
    let said = scene.init(&["--account", "it", "--yes", "--start", "--try"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains("already, so nothing is written"),
        "{said:?}"
    );
    assert!(said.err.contains("it has a token"), "{said:?}");
    assert_eq!(said.out, "", "no token is shown");
    assert_eq!(scene.requests(), 1);
    let token = scene.site.get("it").unwrap();
    assert_eq!(scene.sim.newest_access("it"), Some(token.clone()));
    assert!(!said.err.contains(&token));
    assert_eq!(scene.requests(), 1);
    assert_eq!(fs::read_to_string(accounts.join("it.toml")).unwrap(), text);

    // Another account joins them in the running daemon.
    let said = scene.init(&[
        "--account",
        "id",
        "--dialect",
        "oauth2",
        "--token-url",
        "https://id.example.com/oauth/token",
        "--option",
        "grant=client_credentials",
        "--client-id",
        "my \"id\"\n[account.evil]\n",
        "--secret",
        "login",
        "--yes",
        "--start",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("next: tokenctl login id\n"), "{said:?}");
    let listed = scene.site.tokenctl(&["list"]).unwrap();
    assert_eq!(listed.out, "id\toauth2\nit\tad-verification\n");
    assert_eq!(scene.sim.violations(), []);
}

#[test]
fn what_the_check_refuses_is_said_and_leaves_nothing() {
    let scene = Scene::new(Api::JwtApi);
    let before = entries(scene.site.path());
    for (more, expected) in [
        (&["--secret", "file:/nowhere/it"][..], "file /nowhere/it"),
        (
            &["--secret", "login", "--allow", "nobody-of-this-name"],
            "there is no user",
        ),
        (&["--secret", "login", "--field", "nonsense=1"], "nonsense"),
        (&["--secret", "login", "--option", "nonsense=1"], "nonsense"),
        (&["--secret", "nonsense=login"], "fields are: "),
        (
            &["--secret", "login", "--token-url", "https://a.example/t"],
            "cannot go with",
        ),
    ] {
        let said = scene.init_with(&[more, &["--yes"]].concat());
        assert!([Some(78), Some(64)].contains(&said.code), "{said:?}");
        assert!(said.err.contains(expected), "{more:?}: {said:?}");
        assert!(!said.err.contains(".init"), "{said:?}");
        assert_eq!(entries(scene.site.path()), before, "{more:?}");
    }
}

#[test]
fn a_configuration_that_is_there_is_never_changed() {
    let scene = Scene::new(Api::JwtApi);
    let main = scene.site.configuration();
    let accounts = scene.site.path().join("accounts.d");
    fs::create_dir(scene.site.path().join("conf.d")).unwrap();
    for (text, expected) in [
        (
            "include_dri = \"accounts.d\"\n",
            "did you mean `include_dir`",
        ),
        ("", "does not read the files in"),
        ("include_dir = \"conf.d\"\n", "set `include_dir = "),
    ] {
        fs::write(&main, text).unwrap();
        let said = scene.init_with(&["--secret", "login", "--yes"]);
        assert_eq!(said.code, Some(78), "{said:?}");
        assert!(said.err.contains(expected), "{said:?}");
        assert_eq!(fs::read_to_string(&main).unwrap(), text);
        assert!(!accounts.exists());
    }
    // An account that the main file has already; and a file of that name that has another.
    fs::create_dir(&accounts).unwrap();
    let other = "include_dir = \"accounts.d\"\n[account.it]\nprovider = \"jwt-api\"\nbase_url = \"https://a.example\"\nusername = \"u\"\n";
    fs::write(&main, other).unwrap();
    let said = scene.init_with(&["--secret", "login", "--yes"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("next: tokenctl login it\n"), "{said:?}");
    fs::write(&main, "include_dir = \"accounts.d\"\n").unwrap();
    let file = accounts.join("it.toml");
    fs::write(
        &file,
        other
            .lines()
            .skip(1)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .replace(".it]", ".its]"),
    )
    .unwrap();
    let before = fs::read_to_string(&file).unwrap();
    let said = scene.init_with(&["--secret", "login", "--yes"]);
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(
        said.err.contains("exists, and is not overwritten"),
        "{said:?}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert_eq!(entries(&accounts), ["it.toml"]);
}

/// A person at a terminal.
struct Person {
    scene: Scene,
    terminal: Terminal,
}

impl Person {
    fn starts(scene: Scene) -> Self {
        let (tokenctl, socket) = (built().unwrap().tokenctl, scene.site.socket());
        let line = format!(
            "{} --socket {} init --config {}; echo ended with $?",
            tokenctl.display(),
            socket.display(),
            scene.config().display()
        );
        let shell = format!("sh -c '{line}'");
        Self {
            terminal: Terminal::run(&shell, &[("SUDO_USER", "")]),
            scene,
        }
    }

    fn answers(&mut self, question: &str, answer: &str) {
        self.terminal.wait_for(question);
        self.terminal.press(&format!("{answer}\n"));
    }

    /// Up to where the password comes from.
    fn describes(&mut self) {
        let spec = self.scene.spec();
        self.answers("(such as ads): ", "../etc");
        self.answers("(such as ads): ", "it");
        self.answers("number or name: ", "no-such");
        let number = [
            "ad-verification",
            "client-credentials",
            "firebase-accounts",
            "jwt-api",
        ];
        let number = number
            .iter()
            .position(|name| *name == spec.api.dialect())
            .unwrap()
            + 1;
        self.answers("number or name: ", &number.to_string());
        self.answers(
            "https://ads.example.com): ",
            &self.scene.sim.base_url(spec.api),
        );
        self.answers("username: ", spec.username.as_deref().unwrap());
    }

    fn allows(&mut self) {
        if rustix::process::geteuid().is_root() {
            self.answers("[root]: ", "");
        }
    }
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn a_person_answers_corrects_and_gets_a_token_with_one_request() {
    let mut person = Person::starts(Scene::new(Api::AdVerification));
    let config = person.scene.config();
    person.describes();
    // A file that is not there; the answers before it are kept.
    person.answers("number [1]: ", "hunter2");
    person.answers("number [1]: ", "2");
    person.answers("secrets/it]: ", "/nowhere/it");
    person.allows();
    person.answers("write it? [Y/n] ", "");
    person.answers("change the answers? [Y/n] ", "");
    assert_eq!(
        entries(person.scene.site.path()),
        [""; 0],
        "nothing is left"
    );
    person.answers("number or name [ad-verification]: ", "");
    let base_url = person.scene.sim.base_url(Api::AdVerification);
    person.answers(&format!("[{base_url}]: "), "");
    let username = person.scene.spec().username.unwrap();
    person.answers(&format!("username [{username}]: "), "");
    person.answers("number [1]: ", "");
    person.allows();
    person
        .terminal
        .wait_for("# password is entered with: tokenctl login it\r\n");
    person.answers("write it? [Y/n] ", "");
    person.terminal.wait_for("it.toml is written\r\n");
    person
        .terminal
        .wait_for(&format!("next: tokend --config {}\r\n", config.display()));
    person.terminal.wait_for("ended with 0");
    assert_eq!(
        entries(config.parent().unwrap()),
        ["accounts.d", "tokend.toml"]
    );

    // The daemon is started by hand; a second init goes on.
    let Person { scene, .. } = person;
    fs::rename(
        config.parent().unwrap().join("accounts.d"),
        scene.site.path().join("accounts.d"),
    )
    .unwrap();
    fs::rename(&config, scene.site.configuration()).unwrap();
    let _daemon = scene.site.start().unwrap();
    let line = format!(
        "{} --socket {} init --config {} --account it",
        built().unwrap().tokenctl.display(),
        scene.site.socket().display(),
        scene.site.configuration().display()
    );
    let mut terminal = Terminal::run(&line, &[]);
    terminal.wait_for("(tokenctl reload)? [Y/n] ");
    terminal.press("\n");
    terminal.wait_for("enter the password now (tokenctl login it)? [Y/n] ");
    terminal.press("\n");
    terminal.wait_for("password of it: ");
    terminal.press(&format!("{}\n", scene.spec().password.unwrap()));
    terminal.wait_for("next: tokenctl get it");
    assert_eq!(scene.requests(), 1, "the login is the one request");
    let token = scene.site.get("it").unwrap();
    assert_eq!(scene.sim.newest_access("it"), Some(token));
    // And a third finds nothing left to do.
    let mut terminal = Terminal::run(&line, &[]);
    terminal.wait_for("(tokenctl reload)? [Y/n] ");
    terminal.press("n\n");
    terminal.wait_for("next: tokenctl reload");
    assert_eq!(scene.requests(), 1);
    assert_eq!(scene.sim.violations(), []);
}

#[test]
fn an_interrupt_at_any_question_leaves_nothing() {
    for last in 0..5 {
        let mut person = Person::starts(Scene::new(Api::AdVerification));
        let site = person.scene.site.path().to_owned();
        match last {
            0 => person.terminal.wait_for("(such as ads): "),
            1 => {
                person.answers("(such as ads): ", "it");
                person.terminal.wait_for("number or name: ");
            }
            _ => {
                person.describes();
                person.terminal.wait_for("number [1]: ");
            }
        }
        if last >= 3 {
            person.terminal.press("1\n");
            person.allows();
            person.terminal.wait_for("write it? [Y/n] ");
        }
        match last {
            4 => {
                person.terminal.press("n\n");
                person.terminal.wait_for("nothing was written");
                person.terminal.wait_for("ended with 0");
            }
            // The end of the input, or an interrupt.
            2 => {
                person.terminal.press("\u{4}");
                person.terminal.wait_for("ended with 74");
            }
            _ => person.terminal.press("\u{3}"),
        }
        person.terminal.ends();
        assert_eq!(entries(&site), [""; 0], "after {last}");
    }
}
