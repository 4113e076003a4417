//! What a configuration without mistakes means.

use std::time::Duration;

use tokend_engine::{Rate, RefreshPolicy};
use tokend_policy::{Outlet, Peer, Permission, Permissions, Rule};

use super::*;
use crate::log::Format;
use crate::secret_ref::{FileMode, SecretPlace, SecretRef};

mod dialects;

const ADS: &str = r#"
[account.ads]
provider = "ad-verification"
base_url = "https://ads.example.com/"
username = "you@example.com"
password = { file = "secrets/ads" }
"#;

fn ads(text: &str) -> Arc<Account> {
    account(&Site::new(text).good(), "ads")
}

#[test]
fn an_empty_file_is_a_daemon_without_accounts() {
    let site = Site::new("");
    let config = site.good();
    assert!(config.accounts.is_empty());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(
        (
            config.limits.connections,
            config.limits.connections_per_user
        ),
        (4096, 2048)
    );
    assert_eq!(config.http, Http::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.socket, PathBuf::from("/run/tokend/tokend.sock"));
    assert_eq!(config.socket_mode, 0o666);
    assert_eq!(
        config.state_dir,
        PathBuf::from("/home/t/.local/state/tokend")
    );
    assert_eq!(
        config.admin.rules(),
        [Rule::user(7, Permissions::ADMINISTER)]
    );
    assert_eq!(config.files, [site.path("tokend.toml")]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one assertion for each setting")]
fn the_example_is_a_valid_configuration_that_names_every_setting() {
    let example = include_str!("../../../tokend.example.toml");
    let config = Site::new(example).load();
    // Uncommented, it must be valid too: commented settings rot unseen.
    let all: String = example
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let site = Site::new(&all)
        .with(
            "dialects/my-api.toml",
            "extends = \"oauth2\"\nsummary = \"mine\"\n",
        )
        .with("accounts.d/more.toml", "")
        .with("company-ca.pem", "-----BEGIN CERTIFICATE-----\n");
    let full = site.good();
    assert_eq!(config.expect("as it stands").accounts.len(), 1);
    assert_eq!(full.accounts.len(), 5);
    let names = [
        "socket",
        "socket_mode",
        "state_dir",
        "admin",
        "dialect_dir",
        "include_dir",
        "connections",
        "connections_per_user",
        "requests_per_connection",
        "idle_timeout",
        "frame_timeout",
        "command_timeout",
        "format",
        "level",
        "journal",
        "file_mode",
        "max_size",
        "keep",
        "events",
        "required",
        "listen",
        "accounts",
        "connect_timeout",
        "timeout",
        "proxy",
        "max_body",
        "extra_ca",
        "allow",
        "accounts",
        "refresh",
        "pacing",
        "provider",
        "base_url",
        "username",
        "password",
        "client_id",
        "client_secret",
        "scope",
        "endpoint",
        "login_path",
        "refresh_path",
        "assumed_lifetime",
        "oidc_agent",
        "issuer",
        "api",
        "urls",
        "options",
        "fields",
        "host",
        "host_in_flight",
        "credential",
        "file",
        "env",
        "command",
    ];
    for name in names {
        assert!(
            example.contains(&format!("{name} = ")) || example.contains(&format!(".{name}]")),
            "{name}"
        );
    }
}

#[test]
fn everything_can_be_set() {
    let text = r#"
socket = "tokend.sock"
socket_mode = "0660"
state_dir = "/var/lib/elsewhere"
admin = [{ user = "root" }, { group = "ci" }]
[limits]
connections = 10
connections_per_user = 5
requests_per_connection = 2
idle_timeout = "1h 30m"
frame_timeout = "1s"
command_timeout = "1m"
[log]
format = "json"
level = "info,tokend=debug"
[http]
connect_timeout = "500ms"
timeout = "5s"
proxy = "http://proxy.example.com:3128"
max_body = "64KiB"
"#;
    let site = Site::new(text);
    let config = site.good();
    assert_eq!(config.socket, site.path("tokend.sock"));
    assert_eq!(config.socket_mode, 0o660);
    assert_eq!(config.state_dir, PathBuf::from("/var/lib/elsewhere"));
    let group = Rule {
        may: Permissions::ADMINISTER,
        group: Some(50),
        ..Rule::default()
    };
    let root = Rule::user(0, Permissions::ADMINISTER);
    assert_eq!(config.admin.rules(), [root, group]);
    let limits = Limits {
        connections: 10,
        connections_per_user: 5,
        requests_per_connection: 2,
        idle_timeout: Duration::from_secs(5400),
        frame_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(60),
    };
    assert_eq!(config.limits, limits);
    assert_eq!(config.log.format, Format::Json);
    assert_eq!(config.log.level.to_string(), "info,tokend=debug");
    assert_eq!(config.http.connect_timeout, Duration::from_millis(500));
    assert_eq!(
        config.http.proxy.map(|proxy| proxy.to_string()),
        Some("http://proxy.example.com:3128".to_owned())
    );
    assert_eq!(config.http.max_body, 65536);
}

#[test]
fn an_outlet_listens_where_it_is_told_and_by_default_nowhere() {
    let listen = Site::new("[listen]\nhttp = \"run/http.sock\"\n");
    let path = listen.path("run/http.sock");
    assert_eq!(listen.good().listen.at(Outlet::Http), Some(path.as_path()));
    assert_eq!(Site::new("").good().listen.at(Outlet::Http), None);
}

#[test]
fn the_command_line_comes_before_the_file() {
    let site = Site::new("socket = \"/a\"\nstate_dir = \"/b\"\n");
    let overrides = Overrides {
        socket: Some("/c".into()),
        state_dir: Some("/d".into()),
        ..Overrides::default()
    };
    let config = Config::load(
        &site.path("tokend.toml"),
        &overrides,
        &Environment::default(),
    )
    .expect("valid");
    assert_eq!(
        (config.socket, config.state_dir),
        ("/c".into(), "/d".into())
    );
}

#[test]
fn an_account_has_its_dialects_pacing_and_its_files_directory() {
    let site = Site::new(ADS);
    let config = site.good();
    let ads = account(&config, "ads");
    assert_eq!(ads.dialect.name(), "ad-verification");
    assert_eq!(ads.endpoint.base_url(), "https://ads.example.com");
    assert_eq!(ads.field("username"), Some("you@example.com"));
    assert_eq!(
        ads.secret("password"),
        Some(&private_file(site.path("secrets/ads")))
    );
    assert_eq!(ads.refresh, RefreshPolicy::Auto);
    assert_eq!(ads.allow.rules(), [Rule::user(7, Permissions::USE)]);
    let pacing = ads.dialect.pacing();
    assert_eq!(
        (ads.pacing.attempts.burst(), ads.pacing.attempts.period()),
        (pacing.attempts.burst, pacing.attempts.period)
    );
    assert_eq!(ads.pacing.host_in_flight, pacing.host_in_flight);
    assert_eq!(
        ads.to_string(),
        "ads (ad-verification at https://ads.example.com)"
    );
}

#[test]
fn without_allow_only_the_daemons_own_user_is_allowed_and_root_is_not() {
    let ads = ads(ADS);
    let may_get = |uid| {
        let peer = Peer::new(uid, uid, 1);
        ads.allow.decide(&peer, Permission::Get).is_allowed()
    };
    assert!(may_get(7));
    assert!(!may_get(0));
    assert!(!may_get(1000));
}

#[test]
fn accounts_inherit_what_they_do_not_say() {
    let text = format!(
        "{ADS}
[account.ads.pacing]
attempts = {{ burst = 9, every = \"1s\" }}
[account.other]
provider = \"ad-verification\"
base_url = \"http://127.0.0.1:8080\"
username = \"x\"
allow = [{{ user = 5 }}]
refresh = \"on-demand\"
[defaults]
allow = [{{ user = \"deploy\" }}]
refresh = \"always\"
[defaults.pacing]
attempts = {{ burst = 2, every = \"5m\" }}
logins = {{ burst = 1, every = \"1h\" }}
"
    );
    let config = Site::new(&text).good();
    let (ads, other) = (account(&config, "ads"), account(&config, "other"));
    let rate = |burst, secs| Rate::new(burst, Duration::from_secs(secs)).expect("a rate");
    assert_eq!(
        (ads.pacing.attempts, ads.pacing.logins),
        (rate(9, 1), rate(1, 3600))
    );
    assert_eq!(
        (other.pacing.attempts, other.pacing.logins),
        (rate(2, 300), rate(1, 3600))
    );
    assert_eq!(
        (ads.refresh, other.refresh),
        (RefreshPolicy::Always, RefreshPolicy::OnDemand)
    );
    assert_eq!(
        (ads.allow.rules(), other.allow.rules()),
        (
            &[Rule::user(1000, Permissions::USE)][..],
            &[Rule::user(5, Permissions::USE)][..]
        )
    );
}

#[test]
fn an_account_can_be_written_in_any_way_toml_allows() {
    let long = ads(ADS);
    let spellings = [
        r#"account.ads = { provider = "ad-verification", base_url = "https://ads.example.com/", username = "you@example.com" }"#,
        "[account]\nads.provider = 'ad-verification'\nads.base_url = 'https://ads.example.com/'\nads.username = 'you@example.com'",
        "[account.\"ads\"]\nprovider = 'ad-verification'\nbase_url = 'https://ads.example.com/'\nusername = 'you@example.com'",
        "[account . ads] # x\nprovider = 'ad-verification'\nbase_url = 'https://ads.example.com/'\nusername = 'you@example.com'",
    ];
    for spelling in spellings {
        assert_eq!(ads(spelling).identity, long.identity, "{spelling}");
    }
}

#[test]
fn plain_http_is_for_loopback_addresses_only() {
    for (host, allowed) in [
        ("127.0.0.1:80", true),
        ("127.9.9.9", true),
        ("[::1]:8080", true),
        ("[::ffff:127.0.0.1]", true),
        ("[::ffff:10.0.0.1]", false),
        ("localhost", true),
        ("LOCALHOST:1", true),
        ("localhost.example.com", false),
        ("127.0.0.1.example.com", false),
        ("10.0.0.1", false),
        ("[::2]", false),
        ("0.0.0.0", false),
    ] {
        let text = ADS.replace("https://ads.example.com/", &format!("http://{host}/"));
        assert_eq!(Site::new(&text).load().is_ok(), allowed, "{host}");
    }
}

#[test]
fn proxies_are_kept_once_and_each_account_goes_its_way() {
    let own = "proxy = { url = \"http://own:1\", username = \"u\", password = { file = \"p\" } }";
    let text = format!(
        "[http]\nproxy = \"http://all:1\"\nno_proxy = [\"inside.example.com\"]\n{ADS}\n[account.one]\nprovider = \"oauth2\"\nbase_url = \"https://x.example.com\"\nclient_id = \"1\"\nusername = \"u\"\n{own}\n[account.two]\nprovider = \"oauth2\"\nbase_url = \"https://inside.example.com\"\nclient_id = \"1\"\nusername = \"u\"\n{own}\n[account.none]\nprovider = \"oauth2\"\nbase_url = \"https://x.example.com\"\nclient_id = \"1\"\nusername = \"u\"\nproxy = \"none\"\n"
    );
    let config = Site::new(&text).good();
    let chosen = |name: &str, url: &str| {
        let route = &account(&config, name).proxy;
        let proxy = config.http.proxy_for(route, &url.parse().expect("a URL"));
        proxy.map(|proxy| proxy.to_string())
    };
    assert_eq!(config.http.proxies.len(), 2);
    let (all, own) = (
        Some("http://all:1".to_owned()),
        Some("http://own:1".to_owned()),
    );
    assert_eq!(chosen("ads", "https://x.example.com"), all);
    assert_eq!(chosen("ads", "https://a.inside.example.com"), None);
    assert_eq!(chosen("one", "https://x.example.com"), own);
    assert_eq!(chosen("two", "https://inside.example.com"), own);
    assert_eq!(chosen("none", "https://x.example.com"), None);
    for name in ["ads", "one"] {
        for url in ["http://127.0.0.1", "https://localhost", "http://[::1]:1"] {
            assert_eq!(chosen(name, url), None, "{name}: {url}");
        }
    }
}

#[test]
fn identity_and_fingerprint_change_with_what_they_stand_for() {
    let first = ads(ADS);
    let table = [
        (ADS.to_owned(), false, false),
        (ADS.replace("you@", "me@"), true, true),
        (ADS.replace("ads.example.com", "b.example.com"), true, true),
        (ADS.replace("secrets/ads", "secrets/new"), false, true),
        (
            ADS.replace("{ file = \"secrets/ads\" }", "{ env = \"ADS\" }"),
            false,
            true,
        ),
        (format!("{ADS}login_path = \"/v2/login\"\n"), false, true),
        (
            format!("{ADS}[account.ads.options]\nrefresh_key = \"token\"\n"),
            false,
            true,
        ),
        (
            format!("{ADS}allow = [{{ user = 5 }}]\nrefresh = \"always\"\n"),
            false,
            false,
        ),
        (
            format!("{ADS}[account.ads.pacing]\nattempts = {{ burst = 1, every = \"1h\" }}\n"),
            false,
            false,
        ),
    ];
    // One directory for all, as paths are part of the fingerprint.
    let site = Site::new(ADS);
    let base = account(&site.good(), "ads");
    for (text, identity, fingerprint) in table {
        fs::write(site.path("tokend.toml"), &text).expect("write");
        let other = account(&site.good(), "ads");
        assert_eq!(other.identity != base.identity, identity, "{text}");
        assert_eq!(other.fingerprint != base.fingerprint, fingerprint, "{text}");
    }
    assert_eq!(first.identity, base.identity);
}

#[test]
fn each_kind_of_secret_can_be_named() {
    let text = r#"
[account.a]
provider = "oauth2"
base_url = "https://a.example"
username = "u"
client_id = "c"
scope = "read write"
password = { credential = "a-password" }
client_secret = { command = ["pass", 0x1F, 103456789012345678901] }
[account.b]
provider = "client-credentials"
base_url = "https://b.example"
client_id = "c"
client_secret = { env = "B_SECRET" }
"#;
    let config = Site::new(text).good();
    let (a, b) = (account(&config, "a"), account(&config, "b"));
    assert_eq!(
        a.secret("password"),
        Some(&SecretPlace::Credential("a-password".into()).into())
    );
    let words = ["pass", "0x1F", "103456789012345678901"];
    let command = SecretPlace::Command(words.map(Box::from).into()).into();
    assert_eq!(a.secret("client_secret"), Some(&command));
    assert_eq!(
        b.secret("client_secret"),
        Some(&SecretPlace::Env("B_SECRET".into()).into())
    );
    assert_eq!(a.field("scope"), Some("read write"));
}

#[test]
fn included_files_add_accounts_in_the_order_of_their_names() {
    let more = |name: &str| {
        format!(
            "[account.{name}]\nprovider = \"ad-verification\"\nbase_url = \"https://x.example\"\nusername = \"u\"\n"
        )
    };
    let site = Site::new(&format!("include_dir = \"accounts.d\"\n{ADS}"))
        .with("accounts.d/20.toml", &more("b"))
        .with(
            "accounts.d/10.toml",
            &(more("z") + "password = { file = \"p\" }\n"),
        )
        .with("accounts.d/.10.toml.swp", "not toml")
        .with("accounts.d/.hidden.toml", "not toml")
        .with("accounts.d/README", "not toml");
    let config = site.good();
    let names: Vec<&str> = config
        .accounts
        .iter()
        .map(|account| account.name.as_str())
        .collect();
    assert_eq!(names, ["ads", "b", "z"]);
    assert_eq!(config.files.len(), 3);
    let z = account(&config, "z");
    assert_eq!(
        z.secret("password"),
        Some(&private_file(site.path("accounts.d/p")))
    );
}

fn private_file(path: PathBuf) -> SecretRef {
    let mode = FileMode::Private;
    SecretPlace::File {
        path: path.into(),
        mode,
    }
    .into()
}

#[test]
fn a_secret_can_have_several_lines_and_a_mounted_file_its_own_mode() {
    let text = r#"
[account.a]
provider = "client-credentials"
base_url = "https://a.example"
client_id = "c"
client_secret = { file = "/run/secrets/a", mode = "as-mounted", whole = true }
[account.b]
provider = "client-credentials"
base_url = "https://b.example"
client_id = "c"
client_secret = { whole = false, command = ["pass", "show", "b"] }
"#;
    let config = Site::new(text).good();
    let secret = |name| account(&config, name).secret("client_secret").cloned();
    let (a, b) = (secret("a").unwrap(), secret("b").unwrap());
    assert!(a.whole && !b.whole);
    let SecretPlace::File { path, mode } = &a.place else {
        panic!("{a:?}");
    };
    assert_eq!(&**path, Path::new("/run/secrets/a"));
    assert_eq!(*mode, FileMode::AsMounted);
    let a = account(&config, "a");
    let plain = Site::new(&text.replace(", mode = \"as-mounted\", whole = true", "")).good();
    let same = account(&plain, "a");
    assert_eq!(a.identity, same.identity, "it is the same login");
}
