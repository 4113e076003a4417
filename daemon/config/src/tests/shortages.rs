//! Files that cannot be read because the machine is short of something, and what is said and not said then.

use std::fs::File;

use super::*;

const MAIN: &str = "/etc/tokend/tokend.toml";
const ADS: &str = "/etc/tokend/accounts.d/ads.toml";
const OWN: &str = "/etc/tokend/dialects/own.toml";

const ACCOUNT: &str = "[account.s3]\nprovider = \"ad-verification\"\nbase_url = \"https://a.example\"\nusername = \"u\"\n";
const OWN_ACCOUNT: &str = "[account.own]\nprovider = \"own\"\nbase_url = \"https://a.example\"\n";
const GROUP: &str = "[group.g]\naccounts = [\"ads\", \"s3\"]\nallow = [{ user = \"root\" }]\n";

/// What is said of a configuration with these lines below those that name directories, when one of its files cannot be opened.
fn error(lines: &str, short: &str) -> ConfigError {
    let main = format!("include_dir = \"accounts.d\"\ndialect_dir = \"dialects\"\n{lines}");
    let ads = ACCOUNT.replace("s3", "ads");
    let own = "summary = \"own\"\n[login]\npath = \"/l\"\nbody = \"none\"\n";
    let child = "extends = \"own\"\nsummary = \"child\"\n";
    let files = [
        (MAIN, &*main),
        (ADS, &*ads),
        (OWN, own),
        ("/etc/tokend/dialects/child.toml", child),
    ];
    let files = files.map(|(path, text)| (path.into(), text.into()));
    let files = Files::fixed(files).short_at(&[Path::new(short)]);
    let directory = Directory::fixed(vec![("root", 0)], Vec::new());
    let (overrides, environment) = (Overrides::default(), Environment::default());
    Config::load_from(&files, directory, Path::new(MAIN), &overrides, &environment)
        .expect_err("a file cannot be read")
}

#[test]
fn what_only_follows_from_a_file_that_was_not_read_is_not_told() {
    let all = format!("{ACCOUNT}{OWN_ACCOUNT}{GROUP}");
    let child = all.replace("provider = \"own\"", "provider = \"child\"");
    let table = [
        (&*all, MAIN),
        (&*all, ADS),
        (&*all, "/etc/tokend/accounts.d"),
        (&*all, OWN),
        (&*all, "/etc/tokend/dialects"),
        (&*child, OWN),
        (&*child, "/etc/tokend/dialects"),
    ];
    for (lines, short) in table {
        let error = error(lines, short);
        assert!(error.is_shortage(), "{short}: {error}");
        let message = error.to_string();
        assert_eq!(error.diagnostics().count(), 1, "{message}");
        assert!(message.contains(short), "{message}");
        assert!(message.contains("Too many open files"), "{message}");
        assert!(
            message.contains("raise the limit (LimitNOFILE="),
            "{message}"
        );
    }
}

#[test]
fn mistakes_are_told_beside_a_shortage_and_decide() {
    let table = [
        ("sokcet = \"/a\"\n", ADS, "unknown key `sokcet`"),
        (
            "sokcet = \"/a\"\n",
            "/etc/tokend/dialects",
            "unknown key `sokcet`",
        ),
        (
            "[account.x]\nprovider = \"own\"\n",
            OWN,
            "`base_url` is missing",
        ),
        (
            "[account.x]\nprovider = \"nil\"\nbase_url = \"https://a.example\"\n",
            ADS,
            "there is no dialect `nil`",
        ),
        ("[account.x]\nprovider = \n", ADS, "tokend.toml:4:12: "),
    ];
    for (lines, short, message) in table {
        let error = error(lines, short);
        assert!(!error.is_shortage(), "{short}: {error}");
        let kept = error.diagnostics().kept();
        let messages: Vec<String> = kept.iter().map(ToString::to_string).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(
            messages.iter().any(|line| line.contains(message)),
            "{messages:?}"
        );
        let short = messages
            .iter()
            .find(|line| line.contains("Too many open files"));
        let remedy = "this is no mistake in the configuration: raise the limit";
        assert!(
            short.is_some_and(|line| line.contains(remedy)),
            "{messages:?}"
        );
    }
}

/// Each test is a process of its own under nextest; under plain `cargo test` others are not to open anything in this moment.
#[test]
fn descriptors_that_are_used_up_are_no_mistake_of_the_configuration() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let environment = Environment::default();
    let main = "include_dir = \"accounts.d\"\n";
    let site = Site::new(main).with("accounts.d/a.toml", "");
    let limits = getrlimit(Resource::Nofile);
    // Descriptors are given out from the lowest: with one left, files are read one after another, and with none there is none.
    let used = File::open("/dev/null").expect("open");
    let next = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&used)).expect("a number");
    let load = |left: u64| {
        let few = Rlimit {
            current: Some(next + 1 + left),
            ..limits
        };
        setrlimit(Resource::Nofile, few).expect("a lower limit");
        let path = site.path("tokend.toml");
        let loaded = Config::load(&path, &Overrides::default(), &environment);
        setrlimit(Resource::Nofile, limits).expect("the limit before");
        loaded
    };
    let error = load(0).expect_err("no descriptor");
    assert!(error.is_shortage(), "{error}");
    let message = site.shown(&error);
    assert!(
        message.contains("this is no mistake in the configuration"),
        "{message}"
    );
    let missing = Config::load(&site.path("none.toml"), &Overrides::default(), &environment);
    assert!(!missing.expect_err("no file").is_shortage());
}
