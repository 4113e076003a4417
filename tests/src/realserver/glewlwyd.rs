//! glewlwyd from Debian: its configuration, and the scope, user, clients and plugin it needs, set up through its own
//! administration API.
//!
//! It accepts a client's Basic credentials only raw, wants a scope with every grant, and revokes nothing on reuse.

use std::{fs, io::Write as _, net::SocketAddr, path::Path, process::Command};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::options::Options;
use tokend_harness::{
    clock::{PATIENCE, wait_for},
    probe,
};

/// File name of its configuration.
pub(super) const CONFIGURATION: &str = "glewlwyd.conf";
/// The user of the password grant.
pub(super) const USER: (&str, &str) = ("alice", "s3cret-pw é");
/// A confidential client; its secret shows whether the client encodes it as a form.
pub(super) const CLIENT: (&str, &str) = ("app", "secret-1:&=%+");
/// This path needs an access token with the scope `openid`.
pub(super) const RESOURCE: &str = "/api/oidc/userinfo";

const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const SCOPES: [&str; 2] = ["openid", "scope1"];

/// Writes the configuration and an empty database into `directory`.
pub(super) fn prepare(directory: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let schema = fs::File::open(SCHEMA).with_context(|| {
        format!("{SCHEMA} is missing: glewlwyd is not installed; run tests/setup")
    })?;
    let database = directory.join("glewlwyd.db");
    let output = Command::new("sqlite3")
        .arg(&database)
        .stdin(schema)
        .output();
    let output = output.context("sqlite3 is not installed; run tests/setup")?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "cannot create the database: {stderr}"
    );

    let mut file = fs::File::create(directory.join(CONFIGURATION))?;
    let settings = [
        ("bind_address", address.ip().to_string()),
        ("external_url", format!("http://{address}/")),
        ("login_url", "login.html".to_owned()),
        ("api_prefix", "api".to_owned()),
        ("log_mode", "console".to_owned()),
        ("log_level", "WARNING".to_owned()),
        ("session_key", "GLEWLWYD2_SESSION_ID".to_owned()),
        ("admin_session_authentication", "cookie".to_owned()),
        ("profile_session_authentication", "cookie".to_owned()),
        ("admin_scope", "g_admin".to_owned()),
        ("profile_scope", "g_profile".to_owned()),
        ("hash_algorithm", "SHA512".to_owned()),
    ];
    writeln!(file, "port = {}", address.port())?;
    for (key, value) in settings {
        writeln!(file, "{key} = \"{value}\"")?;
    }
    for kind in ["user", "client", "user_auth_scheme", "plugin"] {
        let folder = if kind == "user_auth_scheme" {
            "scheme"
        } else {
            kind
        };
        writeln!(file, "{kind}_module_path = \"/usr/lib/glewlwyd/{folder}\"")?;
    }
    writeln!(
        file,
        "database = {{ type = \"sqlite3\"; path = \"{}\"; }};",
        database.display()
    )?;
    Ok(())
}

/// Logs in as the administrator of the empty database, and creates what the tests need.
pub(super) fn provision(base_url: &str, options: Options) -> anyhow::Result<()> {
    let login = || {
        let body = json!({"username": "admin", "password": "password"});
        let reply = probe::post(format!("{base_url}/api/auth/"))
            .json(&body)
            .send()
            .ok()?;
        let cookie = reply.headers.get("set-cookie")?.to_str().ok()?;
        let cookie = cookie.split(';').next()?.to_owned();
        (reply.status == 200).then_some(cookie)
    };
    let cookie = wait_for("glewlwyd to accept its administrator", PATIENCE, login)?;
    let create = |what: &str, body: &Value| -> anyhow::Result<()> {
        let url = format!("{base_url}/api/{what}/");
        let reply = probe::post(url)
            .header("cookie", &cookie)
            .json(body)
            .send()?;
        anyhow::ensure!(reply.status == 200, "glewlwyd refused a {what}: {reply:?}");
        Ok(())
    };
    // An empty database knows `openid`, and the administrator.
    let none = json!({});
    let scope = json!({"name": "scope1", "password_required": true, "password_max_age": 0,
        "scheme": none, "scheme_required": none});
    create("scope", &scope)?;
    let (name, password) = USER;
    create(
        "user",
        &json!({"username": name, "password": password, "enabled": true, "scope": SCOPES}),
    )?;
    create("mod/plugin", &plugin(base_url, options))?;
    let (id, secret) = CLIENT;
    let body = json!({"client_id": id, "client_secret": secret, "password": secret, "enabled": true,
        "confidential": true, "scope": SCOPES, "redirect_uri": [],
        "authorization_type": ["password", "client_credentials", "refresh_token"],
        "token_endpoint_auth_method": ["client_secret_basic"]});
    create("client", &body)
}

fn plugin(base_url: &str, options: Options) -> Value {
    let parameters = json!({
        "iss": format!("{base_url}/api/oidc"),
        "jwt-type": "sha", "jwt-key-size": "256",
        "key": "only-ever-used-on-loopback-by-the-tests-of-tokend",
        "access-token-duration": options.access_ttl, "refresh-token-duration": options.refresh_ttl,
        "code-duration": 60, "refresh-token-rolling": false, "refresh-token-one-use": "always",
        "allow-non-oidc": true, "allowed-scope": SCOPES, "scope": [], "claims": [],
        "additional-parameters": [], "secret-type": "none", "subject-type": "public",
        "auth-type-client-enabled": true, "auth-type-password-enabled": true,
        "auth-type-refresh-enabled": true, "auth-type-code-enabled": false,
        "auth-type-implicit-enabled": false, "auth-type-token-enabled": false,
        "auth-type-id-token-enabled": true, "auth-type-none-enabled": false,
        "auth-type-device-enabled": false, "introspection-revocation-allowed": false,
        "pkce-allowed": false, "request-parameter-allow": false, "jwks-show": false,
    });
    json!({"module": "oidc", "name": "oidc", "display_name": "oidc", "order_rank": 0,
        "enabled": true, "parameters": parameters})
}
