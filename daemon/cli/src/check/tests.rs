//! What `tokend check` finds and how it ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tokend_config::Overrides;
use tokend_store::{IoFailure, KeyError, OpenError, Refusal};

use super::*;
use crate::printing::tests::captured;

struct Machine(TempDir);

impl Machine {
    /// A machine on which everything is right, but for what `accounts` say.
    fn new(accounts: &str) -> Self {
        let machine = Self(tempfile::tempdir().expect("temporary directory"));
        machine.write("tokend.toml", &format!("socket = \"s\"\n{accounts}"), 0o600);
        machine.write("secret", "hunter2\n", 0o600);
        fs::create_dir(machine.path("state")).expect("mkdir");
        machine.chmod("state", 0o700);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).expect("write");
        self.chmod(name, mode);
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("chmod");
    }

    /// Exit code, standard output and standard error, with the temporary directory written as `DIR`.
    fn check(&self, run_commands: bool) -> (Exit, String, String) {
        self.check_as(run_commands, false)
    }

    fn check_as(&self, run_commands: bool, strict: bool) -> (Exit, String, String) {
        self.check_with(CheckArgs {
            run_commands,
            strict,
            ..self.args()
        })
    }

    fn args(&self) -> CheckArgs {
        CheckArgs {
            config: Some(self.path("tokend.toml")),
            state_dir: Some(self.path("state")),
            ..CheckArgs::default()
        }
    }

    /// With the unit files below `root`, in a thread of its own, which alone gives its privileges up.
    fn check_with(&self, args: CheckArgs) -> (Exit, String, String) {
        let check = |output: &mut Output<'_>| {
            let environment = Environment::of_this_process();
            let done = run_below(&self.path("root"), &args, &environment, output);
            finish(done, output.err)
        };
        let (exit, out, err) = std::thread::scope(|scope| {
            let checked = scope.spawn(|| captured(check));
            checked.join().expect("no panic")
        });
        let text = |text: String| {
            assert!(!text.contains("hunter2"), "{text}");
            text.replace(&self.0.path().display().to_string(), "DIR")
        };
        (exit, text(out), text(err))
    }
}

const ADS: &str = "[account.ads]\nprovider = \"ad-verification\"\nbase_url = \"https://a.example\"\nusername = \"u\"\n";

#[test]
fn a_good_configuration_is_fine() {
    let machine = Machine::new(&format!("{ADS}password = {{ file = \"secret\" }}\n"));
    let fine = "DIR/tokend.toml is fine: 1 account, socket DIR/s\n";
    assert_eq!(
        machine.check(false),
        (Exit::Success, fine.to_owned(), String::new())
    );
}

#[test]
fn an_account_without_secrets_is_mentioned_and_no_error() {
    let (exit, out, err) = Machine::new(ADS).check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert_eq!(
        out,
        "note: account ads has no password in the configuration; supply it with: tokenctl login ads\n\
         DIR/tokend.toml is fine: 1 account, socket DIR/s\n"
    );
}

#[test]
fn a_secret_that_cannot_be_had_is_an_error() {
    let machine = Machine::new(&format!("{ADS}password = {{ file = \"secret\" }}\n"));
    machine.chmod("secret", 0o644);
    let (exit, out, err) = machine.check(false);
    assert_eq!((exit, out.as_str()), (Exit::Config, ""));
    assert_eq!(
        err,
        "error: account ads: file DIR/secret has mode 0644, so others can reach the secret: chmod 600 DIR/secret, \
         and change the secret if others have used this machine; if a container runtime mounts it and its mode cannot be changed, \
         write { file = \"DIR/secret\", mode = \"as-mounted\" }\n\
         DIR/tokend.toml has 1 account; correct the errors above\n"
    );
}

#[test]
fn what_the_machine_is_short_of_is_no_mistake_of_what_is_checked() {
    let short = || io::Error::from(rustix::io::Errno::MFILE);
    let machine = Machine::new(ADS);
    let environment = Environment::of_this_process();
    let file = machine.path("tokend.toml");
    let config = Config::load(&file, &Overrides::default(), &environment).expect("no mistake");
    let refused = [
        Refusal::Open(OpenError::Io(IoFailure {
            doing: "read",
            path: "/var/lib/tokend".into(),
            source: short(),
        })),
        Refusal::Key(KeyError::NotAFile("/var/lib/tokend/tokend.key".into())),
    ];
    let [passes, stays] = &refused;
    for (found, ends, is_short) in [
        (vec![passes], Exit::NotNow, true),
        (vec![passes, passes], Exit::NotNow, true),
        (vec![stays], Exit::Config, false),
        // A mistake is one whatever the machine is short of, in either order.
        (vec![passes, stays], Exit::Config, true),
        (vec![stays, passes, passes], Exit::Config, true),
    ] {
        let mut findings = Findings::default();
        for refusal in found {
            findings.refused(refusal.to_string(), start::is_short(refusal));
        }
        let print = |output: &mut Output<'_>| findings.print(&config, output).expect("printed");
        let (exit, _, err) = captured(print);
        assert_eq!(exit, ends, "{err}");
        let says = |what| err.contains(what);
        let passes = ends == Exit::NotNow;
        assert_eq!(says("nothing need be wrong with it"), passes, "{err}");
        assert_eq!(says("correct the errors above"), !passes, "{err}");
        assert_eq!(says("raise the limit"), is_short, "{err}");
    }
}

#[test]
fn commands_are_run_only_when_asked_for() {
    let machine = Machine::new(&format!(
        "{ADS}password = {{ command = [\"sh\", \"-c\", \"echo no >&2; exit 1\"] }}\n"
    ));
    let (exit, out, _) = machine.check(false);
    assert_eq!(exit, Exit::Success);
    assert!(
        out.starts_with(
            "note: 1 secret is fetched by commands, which were not run; see --run-commands\n"
        ),
        "{out}"
    );
    let (exit, _, err) = machine.check(true);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.starts_with("error: account ads: command sh failed with exit status: 1; it said: no\n"),
        "{err}"
    );
}

#[test]
fn lines_that_are_left_out_of_a_commands_secret_are_mentioned() {
    let entry = "command = [\"printf\", \"%s\\\\n\", \"pw\", \"login: u\", \"otpauth://x\"]";
    let machine = Machine::new(&format!("{ADS}password = {{ {entry} }}\n"));
    let (exit, out, err) = machine.check(true);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert_eq!(
        out,
        "note: account ads: command printf printed 2 more lines, which are not sent: only the first line is the secret; \
         if all of them are, add `whole = true` to the reference\n\
         DIR/tokend.toml is fine: 1 account, socket DIR/s\n"
    );
    let machine = Machine::new(&format!("{ADS}password = {{ {entry}, whole = true }}\n"));
    assert!(machine.check(true).1.starts_with("DIR/tokend.toml is fine"));
}

#[test]
fn a_state_directory_open_to_others_is_an_error() {
    let machine = Machine::new("");
    machine.chmod("state", 0o755);
    machine.write("state/tokend.key", "k", 0o644);
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert_eq!(
        err,
        "error: state directory DIR/state has mode 0755, open to others: chmod 700 DIR/state\n\
         error: file DIR/state/tokend.key has mode 0644, open to others: chmod 600 DIR/state/tokend.key\n\
         DIR/tokend.toml has 0 accounts; correct the errors above\n"
    );
    fs::remove_dir_all(machine.path("state")).expect("remove");
    let (exit, out, _) = machine.check(false);
    assert_eq!(exit, Exit::Success);
    assert!(
        out.contains("state directory DIR/state does not exist yet; it is made at the first start"),
        "{out}"
    );
}

#[test]
fn a_configuration_others_can_change_is_mentioned() {
    let machine = Machine::new("");
    machine.chmod("tokend.toml", 0o666);
    let (exit, out, _) = machine.check(false);
    assert_eq!(exit, Exit::Success);
    assert!(
        out.starts_with(
            "note: DIR/tokend.toml can be changed by other users: chmod go-w DIR/tokend.toml\n"
        ),
        "{out}"
    );
}

#[test]
fn a_pace_faster_than_the_dialects_is_mentioned() {
    let fast = format!(
        "{ADS}password = {{ file = \"secret\" }}\n[account.ads.pacing]\nlogins = {{ burst = 100, every = \"1s\" }}\n"
    );
    let (exit, out, _) = Machine::new(&fast).check(false);
    assert_eq!(exit, Exit::Success);
    let note = "note: account ads asks more often than dialect ad-verification recommends; the provider may suspend it\n";
    assert!(out.starts_with(note), "{out}");
}

#[test]
fn accounts_that_are_one_login_are_mentioned() {
    let password = "password = { file = \"secret\" }\n";
    let twin = |name: &str| ADS.replace(".ads]", &format!(".{name}]")) + password;
    let other = twin("other").replace("\"u\"", "\"v\"");
    let elsewhere = twin("elsewhere").replace("a.example", "b.example");
    let (exit, out, err) = Machine::new(&format!(
        "{ADS}{password}{other}{elsewhere}{}",
        twin("again")
    ))
    .check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert_eq!(
        out,
        "note: accounts ads and again are the same login at https://a.example; each has a pace and a refresh token of its own, \
         so the provider sees that many times the requests: keep one of them, and allow it to all who need it\n\
         DIR/tokend.toml is fine: 4 accounts, socket DIR/s\n"
    );
    let many: String = ["a", "b", "c", "d", "e", "f", "g"].map(twin).concat();
    let (_, out, _) = Machine::new(&many).check(false);
    assert!(
        out.starts_with("note: accounts a, b, c, d, e and 2 more are the same login at "),
        "{out}"
    );
}

#[test]
fn mistakes_in_the_configuration_are_reported_with_their_lines() {
    let (exit, out, err) = Machine::new("[lgo]\n").check(false);
    assert_eq!((exit, out.as_str()), (Exit::Config, ""));
    assert!(
        err.contains("unknown key `lgo`")
            && err.contains("DIR/tokend.toml:2:2")
            && err.contains("did you mean `log`"),
        "{err}"
    );
}

#[test]
fn a_proxys_password_is_looked_for_and_its_way_is_told() {
    let proxied = |url: &str| {
        format!(
            "[http]\nproxy = {{ url = \"{url}\", username = \"u\", password = {{ file = \"proxy\" }} }}\n"
        )
    };
    let machine = Machine::new(&proxied("http://proxy.example.com:3128"));
    machine.write("proxy", "hunter2\n", 0o644);
    let (exit, out, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("error: proxy http://proxy.example.com:3128: ") && err.contains("0644"),
        "{err}"
    );
    assert!(
        out.contains("note: proxy http://proxy.example.com:3128: user name and password travel to it unencrypted"),
        "{out}"
    );
    for quiet in ["https://proxy.example.com", "http://127.0.0.1:3128"] {
        let machine = Machine::new(&proxied(quiet));
        machine.write("proxy", "hunter2\n", 0o600);
        let (exit, out, _) = machine.check(false);
        assert_eq!(exit, Exit::Success, "{out}");
        assert!(!out.contains("unencrypted"), "{out}");
    }
}

#[test]
fn what_a_start_refuses_is_refused_here_in_the_same_words() {
    let long = "s".repeat(120);
    let machine = Machine::new("");
    machine.write("tokend.toml", &format!("socket = \"{long}\"\n{ADS}"), 0o600);
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(err.contains("at most 107 bytes, and this one has"), "{err}");
    let machine = Machine::new(&format!("[http]\nextra_ca = \"bundle.pem\"\n{ADS}"));
    let broken = "-----BEGIN CERTIFICATE-----\nTUlJQ2JhZA==\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (broken, "certificate 1 of 1 cannot be used"),
        ("", "holds no certificate"),
    ] {
        fs::write(machine.path("bundle.pem"), text).expect("write");
        let (exit, _, err) = machine.check(false);
        assert_eq!(exit, Exit::Config);
        assert!(err.contains("extra_ca: DIR/bundle.pem: "), "{err}");
        assert!(err.contains(expected), "{err}");
    }
}

#[test]
fn the_requests_of_an_account_are_shown_as_dialect_check_shows_them() {
    let machine = Machine::new(
        "dialect_dir = \"dialects\"\n[account.api]\nprovider = \"layered\"\nbase_url = \"https://a.example\"\nusername = \"u\"\noptions = { tenant = \"north\" }\npassword = { file = \"secret\" }\n",
    );
    fs::create_dir(machine.path("dialects")).expect("mkdir");
    let below = "summary = \"s\"\n[options.tenant]\nchoices = [\"none\", \"north\"]\ndefault = \"none\"\n\
        [login]\npath = \"/login\"\n[login.body.json]\nwho = { name = \"{username}\", kind = \"user\" }\nsecret = \"{password}\"\n\
        [[login.cases]]\nwhen = { tenant = \"north\" }\nbody.json = { who = { region = \"n\" } }\n[reply]\naccess_token = [\"/token\"]\n";
    let above =
        "summary = \"s\"\nextends = \"below\"\n[login.body.json]\nwho = { kind = \"robot\" }\n";
    machine.write("dialects/below.toml", below, 0o600);
    machine.write("dialects/layered.toml", above, 0o600);
    let (exit, out, err) = machine.check_with(CheckArgs {
        show: Some("api".to_owned()),
        ..machine.args()
    });
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let (_, shown) = out.split_once("login of account api:\n").expect("a login");
    let (login, refresh) = shown.split_once("\n\nrefresh ").expect("a refresh");
    for part in [
        "POST https://a.example/login",
        "robot",
        "<username>",
        "region",
        "<password>",
    ] {
        assert!(login.contains(part), "{part}: {login}");
    }
    assert!(
        refresh.starts_with("of account api: none, as "),
        "{refresh}"
    );
    let command = crate::arguments::DialectCommand::Check {
        file: machine.path("dialects/layered.toml"),
        dialect_dir: Some(machine.path("dialects")),
    };
    let (_, shown, _) = captured(|output| dialect::run(&command, output));
    let (_, case) = shown
        .split_once("login with tenant = north:\n")
        .expect("a case");
    assert_eq!(
        login.replace("https://a.example", "https://base-url"),
        case.trim_end()
    );

    let (exit, _, err) = machine.check_with(CheckArgs {
        show: Some("apu".to_owned()),
        ..machine.args()
    });
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("there is no account apu to show; did you mean api?"),
        "{err}"
    );
}

mod standing;
mod units;

#[test]
fn a_file_is_read_as_one_of_the_included_before_it_has_its_name() {
    let machine = Machine::new("include_dir = \"accounts.d\"\n");
    fs::create_dir(machine.path("accounts.d")).expect("mkdir");
    let with = |file: &str, show: &str| {
        machine.check_with(CheckArgs {
            with: Some(machine.path(file)),
            show: Some(show.to_owned()),
            ..machine.args()
        })
    };
    machine.write("accounts.d/.ads.new", ADS, 0o600);
    let (exit, out, err) = with("accounts.d/.ads.new", "ads");
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(out.contains("tokend.toml is fine: 1 account"), "{out}");
    assert_eq!(machine.check(false).0, Exit::Success);
    assert!(machine.check(false).1.contains("0 accounts"));
    // One that is there already.
    machine.write("accounts.d/ads.toml", ADS, 0o600);
    let (exit, _, err) = with("accounts.d/.ads.new", "ads");
    assert_eq!(exit, Exit::Config);
    assert!(err.contains("account ads is defined twice"), "{err}");
    // One that is nowhere, and one in a directory that is not read.
    let (exit, _, err) = with("accounts.d/.none", "ads");
    assert!(
        exit == Exit::Config && err.contains("cannot be read"),
        "{err}"
    );
    machine.write("elsewhere", ADS, 0o600);
    let (exit, _, err) = with("elsewhere", "ads");
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("does not read the files in DIR")
            && err.contains("set `include_dir = \"DIR\"`"),
        "{err}"
    );
}
