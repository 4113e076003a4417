//! Dialect files, as written by a user or by an attacker.
//!
//! Owns two properties: a file is either compiled or refused with mistakes that can be shown, and a compiled dialect can be used without
//! harm, whatever it says.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Response;
use tokend_dialect::{
    ACCESS_TOKEN, Catalog, Dialect, Endpoint, EndpointSettings, ExchangeKind, Fields,
    REFRESH_TOKEN, parse,
};
use tokend_document::{Medium, report};

pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

/// Marks that must never appear in a message.
pub(crate) const MARK: &str = "kept-secret-0017";

/// A dialect file.
pub fn dialect(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match parse("fuzzed.toml", text, &CATALOG) {
        Ok(dialect) => use_it(&dialect, text),
        Err(error) => {
            let shown = report(error.diagnostics(), Medium::Plain);
            let control = |c: char| c.is_control() && c != '\n';
            assert!(!shown.is_empty() && !shown.contains(control), "{shown:?}");
        }
    }
}

fn use_it(dialect: &Dialect, text: &str) {
    let settings = EndpointSettings {
        base_url: "https://api.example.com/base".into(),
        ..EndpointSettings::default()
    };
    let (sent, digest) = (fields(dialect), dialect.digest());
    assert!(!digest.is_empty());
    if let Ok(endpoint) = Endpoint::new(dialect, &settings) {
        for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
            match dialect.request(kind, &endpoint, &sent) {
                Ok(request) => {
                    // Whatever a dialect says, requests go only to the host that the account names, or to one written out in the dialect.
                    let host = request.uri().host().unwrap_or_default();
                    assert!(
                        host == "api.example.com" || is_written_out(host, text),
                        "{host}"
                    );
                    assert_eq!(request.uri().scheme_str(), Some("https"));
                }
                Err(why) => assert!(!why.to_string().contains(MARK)),
            }
        }
    }
    let body = format!(r#"{{"access_token":"a","data":{{"error":"{MARK}"}},"message":"{MARK}"}}"#);
    for (kind, status) in [(ExchangeKind::Login, 200), (ExchangeKind::Refresh, 400)] {
        let response = Response::builder()
            .status(status)
            .body(Bytes::copy_from_slice(body.as_bytes()));
        let reply = dialect.read_reply(kind, &response.expect("a plain response"), &sent);
        assert!(!format!("{reply:?}").contains(MARK), "{reply:?}");
    }
    let _refused = dialect.rejection().matches(400, body.as_bytes());
}

/// Whether a dialect names this host in an address. An escape of TOML may stand for any character; this check does not decode it.
pub(crate) fn is_written_out(host: &str, text: &str) -> bool {
    let (host, text) = (host.to_ascii_lowercase(), text.to_ascii_lowercase());
    text.contains(&format!("https://{host}")) || text.contains('\\')
}

/// A value for everything that a dialect may want to send. The password is the mark.
pub(crate) fn fields(dialect: &Dialect) -> Fields {
    let mut fields = Fields::new();
    for used in dialect.fields() {
        match used.secret {
            true => fields.set_secret(used.name, MARK.to_owned().into()),
            false => fields.set(used.name, "somebody"),
        };
    }
    for name in [ACCESS_TOKEN, REFRESH_TOKEN] {
        fields.set_secret(name, MARK.to_owned().into());
    }
    fields
}
