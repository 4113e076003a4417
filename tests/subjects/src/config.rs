//! Configurations: the main file, an included one and a dialect beside it, as written by a user or by an attacker.
//!
//! Owns three properties: files are either loaded or refused with mistakes that can be shown; the value in a secret's place never appears
//! in a message; a loaded configuration can be used, and loads again to the same.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use tokend_config::{Account, Config, ConfigError, Environment, Files, Overrides};
use tokend_dialect::{ExchangeKind, Fields};
use tokend_document::{Medium, report};
use tokend_policy::Directory;

use crate::dialect::{MARK, is_written_out};

const MAIN: &str = "/etc/tokend/tokend.toml";
const INCLUDED: &str = "/etc/tokend/accounts/a.toml";
const DIALECT: &str = "/etc/tokend/dialects/own.toml";
const AUTHORITY: &str = "/etc/tokend/ca.pem";

/// The line that separates the main file from the included one, and that from the dialect.
const PARTING: &str = "\n#---\n";

/// Secrets where they belong and where people put them by mistake. None may appear in a message, wherever such a line stands.
const SECRET_LINES: [&str; 8] = [
    "",
    "password = \"kept-secret-0017\"",
    "password = kept-secret-0017",
    "client_secret = 'kept-secret-0017' # it was kept-secret-0017 before",
    "# the password is kept-secret-0017",
    "password = { fil = \"kept-secret-0017\", x = [ 'kept-secret-0017' ] }",
    "password = { command = [ \"pass\", \"kept-secret-0017\" ] }",
    "proxy = \"http://somebody:kept-secret-0017@127.0.0.1\"",
];

static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| Environment {
    uid: 7,
    home: Some("/home/somebody".into()),
    ..Environment::default()
});

/// Files of a configuration: a byte that says which secret is put into the main file, one that says where, and the texts.
pub fn config(bytes: &[u8]) {
    let Some(([secret, place], texts)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let Ok(texts) = std::str::from_utf8(texts) else {
        return;
    };
    // A text that has the secret itself may have it anywhere.
    let is_clean = !texts.contains(MARK);
    let mut texts = texts.splitn(3, PARTING);
    let main = texts.next().unwrap_or_default();
    let secret = SECRET_LINES.get(usize::from(*secret) % SECRET_LINES.len());
    let secret = secret.copied().unwrap_or_default();
    let included = texts.next().unwrap_or_default();
    let dialect = texts.next().unwrap_or_default();
    let files = Files::fixed([
        (MAIN.into(), with(main, secret, *place).into_bytes()),
        (INCLUDED.into(), included.into()),
        (DIALECT.into(), dialect.into()),
        (AUTHORITY.into(), Vec::new()),
    ]);
    // So may one that stands inside another value.
    let kept = !secret.is_empty() && is_clean && !spans_lines(main);
    match load(&files) {
        Ok(config) => {
            use_it(&config, dialect, kept);
            // Loading again costs as much again, so only sometimes, depending on the content.
            if bytes.len() % 8 == 3 {
                same(&config, &load(&files).expect("it loaded before"));
            }
        }
        Err(error) => tell(&error, kept),
    }
}

fn load(files: &Files) -> Result<Config, ConfigError> {
    let directory = Directory::fixed(
        vec![("root", 0), ("deploy", 1000)],
        vec![("ci", 50), ("operators", 60)],
    );
    let (path, overrides) = (Path::new(MAIN), Overrides::default());
    Config::load_from(files, directory, path, &overrides, &ENVIRONMENT)
}

/// The text with one more line.
fn with(text: &str, line: &str, place: u8) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.insert(usize::from(place) % (lines.len() + 1), line);
    lines.join("\n")
}

/// Whether a string of the text may continue in the next line.
fn spans_lines(text: &str) -> bool {
    text.contains("\"\"\"") || text.contains("'''")
}

fn tell(error: &ConfigError, kept: bool) {
    let line = error.to_string();
    assert!(!line.is_empty());
    check(&line, kept);
    for diagnostic in error.diagnostics().kept() {
        check(&diagnostic.to_string(), kept);
    }
    // Drawing it takes far longer than finding it, so only sometimes, depending on the content.
    if line.len() % 16 == 3 {
        for medium in [Medium::Plain, Medium::Terminal] {
            let shown = report(error.diagnostics(), medium);
            assert!(!shown.is_empty());
            assert!(!kept || !shown.contains(MARK), "{shown}");
        }
        assert!(!kept || !format!("{error:?}").contains(MARK), "{error:?}");
    }
}

/// A mistake is one line of a log, and has no secret.
fn check(line: &str, kept: bool) {
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(!kept || !line.contains(MARK), "{line}");
}

fn use_it(config: &Config, dialect: &str, kept: bool) {
    assert_eq!(
        config.files.first().map(PathBuf::as_path),
        Some(Path::new(MAIN))
    );
    assert_eq!(config.socket_mode & 0o600, 0o600, "the daemon's own user");
    assert!(!config.admin.rules().is_empty(), "nobody may administer");
    let names = config.accounts.iter().map(|account| &account.name);
    assert!(
        names.is_sorted_by(|a, b| a < b),
        "names in order, each once"
    );
    for account in &config.accounts {
        use_account(account, dialect);
        let shown = format!("{account} {:?}", account.secrets);
        assert!(!kept || !shown.contains(MARK), "{shown}");
    }
}

fn use_account(account: &Account, dialect: &str) {
    assert!(
        !account.allow.rules().is_empty(),
        "{account}: nobody may have it"
    );
    let mut sent = Fields::new();
    for (name, value) in &account.fields {
        sent.set(&**name, &**value);
    }
    for (name, _) in &account.secrets {
        sent.set_secret(&**name, MARK.to_owned().into());
    }
    let base = account.endpoint.base_url();
    for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
        match account.dialect.request(kind, &account.endpoint, &sent) {
            // Whatever else is configured, requests go only to the host that the account names, or to one written out in its dialect.
            Ok(request) => {
                let uri = request.uri();
                let host = uri.host().unwrap_or_default();
                assert!(
                    !host.is_empty() && (base.contains(host) || is_written_out(host, dialect)),
                    "{base}: {uri}"
                );
                let loopback = ["127.", "[::1]", "localhost"];
                assert!(
                    uri.scheme_str() == Some("https")
                        || loopback.iter().any(|start| host.starts_with(start)),
                    "a secret in the clear: {uri}"
                );
            }
            Err(why) => assert!(!why.to_string().contains(MARK), "{why}"),
        }
    }
}

/// The keys of accounts across reloads and restarts depend only on the files.
fn same(one: &Config, other: &Config) {
    let known = |config: &Config| -> Vec<_> {
        let known = |account: &Arc<Account>| {
            (
                account.name.clone(),
                account.identity,
                account.fingerprint,
                *account.pacing,
            )
        };
        config.accounts.iter().map(known).collect()
    };
    assert_eq!(known(one), known(other));
}
