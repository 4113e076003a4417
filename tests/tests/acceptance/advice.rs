//! Advice followed literally: afterwards there is a token.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use tokend_harness::{
    Daemon, Said, Site,
    hostile::{
        raw::{Raw, reply},
        tls::{answering, authority, self_signed, server},
    },
};
use tokend_provider_simulator::spec::Api;

use crate::stage::{FAST, Stage, account};

/// How the configuration of a simulator's account begins.
const IT: &str = "[account.\"it\"]";

/// A place with this configuration and a secret in each of these files.
fn place(configuration: &str, secrets: &[(&str, &str)]) -> Site {
    let site = Site::new().unwrap();
    for (name, secret) in secrets {
        write_secret(&site, name, secret);
    }
    fs::write(site.configuration(), configuration).unwrap();
    site
}

fn write_secret(site: &Site, name: &str, secret: &str) {
    let path = site.path().join(name);
    fs::write(&path, secret).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn ask(site: &Site, words: &[&str]) -> Said {
    site.tokenctl(words).unwrap()
}

fn refused(site: &Site, account: &str, code: i32) -> String {
    let said = ask(site, &["get", account]);
    assert_eq!(said.code, Some(code), "{said:?}");
    said.err
}

fn check(site: &Site, words: &[&str]) -> Said {
    let output = Command::new(&site.binaries().tokend)
        .args(words)
        .args(["--config", site.configuration().to_str().unwrap()])
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A daemon whose provider has this address, and which trusts `pem` if there is one.
fn believing(base_url: &str, pem: Option<&str>) -> (Site, Daemon) {
    let head = match pem {
        Some(_) => "[http]\nextra_ca = \"ca.pem\"\n",
        None => "",
    };
    let text = format!(
        "{head}[account.it]\nprovider = \"jwt-api\"\nbase_url = \"{base_url}\"\nusername = \"u\"\npassword = {{ file = \"secret\" }}\n{FAST}"
    );
    let site = place(&text, &[("secret", "correct horse")]);
    if let Some(pem) = pem {
        fs::write(site.path().join("ca.pem"), pem).unwrap();
    }
    let checked = check(&site, &["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let daemon = site.start().unwrap();
    (site, daemon)
}

#[test]
fn each_way_out_of_a_self_signed_certificate_leads_to_a_token() {
    let (shown, pem) = self_signed("localhost", true);
    let provider = answering(shown);
    let (site, daemon) = believing(&provider.https(), None);
    let said = refused(&site, "it", 75);
    assert!(
        said.contains("`extra_ca` of [http]") || said.contains("CA:FALSE"),
        "{said}"
    );
    daemon.terminate().unwrap();

    // The daemon's own certificate error: what is wrong, and two ways to repair it.
    let (site, daemon) = believing(&provider.https(), Some(&pem));
    let said = refused(&site, "it", 75);
    for words in [
        "an authority itself (CA:TRUE)",
        "name an authority there",
        "basicConstraints=CA:FALSE",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let doctor = ask(&site, &["doctor"]);
    assert!(
        doctor.out.contains("basicConstraints=CA:FALSE"),
        "{doctor:?}"
    );
    assert_eq!(provider.requests(), 0, "no password left");
    daemon.terminate().unwrap();

    let ours = authority("ours");
    let provider = answering(server("localhost", &ours, |_| {}));
    let (site, daemon) = believing(&provider.https(), Some(&ours.pem()));
    assert_eq!(site.get("it").unwrap(), "good");
    daemon.terminate().unwrap();

    let (shown, pem) = self_signed("localhost", false);
    let provider = answering(shown);
    let (site, daemon) = believing(&provider.https(), Some(&pem));
    assert_eq!(site.get("it").unwrap(), "good");
    daemon.terminate().unwrap();
}

/// `client:right` as `Authorization: Basic` has it.
const RIGHT: &str = "Y2xpZW50OnJpZ2h0";

/// A provider that knows one client by one secret, and takes the refresh token `first`.
fn knowing_a_client() -> Raw {
    Raw::start(|talk| {
        let request = talk.request();
        let is_known = request.contains(RIGHT);
        let is_granted =
            !request.contains("refresh_token") || request.contains("refresh_token=first");
        let said = match (is_known, is_granted) {
            (false, _) => reply(
                "401 Unauthorized",
                "Content-Type: application/json\r\n",
                br#"{"error":"invalid_client"}"#,
            ),
            (true, false) => reply(
                "400 Bad Request",
                "Content-Type: application/json\r\n",
                br#"{"error":"invalid_grant"}"#,
            ),
            (true, true) => reply(
                "200 OK",
                "Content-Type: application/json\r\n",
                br#"{"access_token":"good","token_type":"bearer","expires_in":3600}"#,
            ),
        };
        talk.say(&said);
        talk.hang_up();
    })
}

#[test]
fn a_client_that_is_refused_is_mended_by_its_secret_and_keeps_its_refresh_token() {
    let provider = knowing_a_client();
    let account = |name: &str, grant: &str| {
        format!(
            "[account.{name}]\nprovider = \"oauth2\"\nbase_url = \"{}\"\nclient_id = \"client\"\nclient_secret = {{ file = \"{name}\" }}\noptions = {{ grant = \"{grant}\" }}\n{FAST}",
            provider.http()
        )
    };
    let text = account("machine", "client_credentials") + &account("person", "refresh_token");
    let site = place(&text, &[("machine", "wrong"), ("person", "wrong")]);
    let daemon = site.start().unwrap();
    let entered = site
        .tokenctl_with(&["login", "person", "--refresh-token"], "first\n")
        .unwrap();
    assert!(entered.err.contains("client_secret"), "{entered:?}");
    assert!(
        entered
            .err
            .contains("the refresh token need not be entered again"),
        "{entered:?}"
    );
    for name in ["machine", "person"] {
        let said = ask(&site, &["get", name]);
        let advice = format!(
            "correct the client_secret that [account.{name}] refers to, then run `tokenctl reload`"
        );
        assert!(said.err.contains(&advice), "{said:?}");
        assert!(!said.err.contains("--refresh-token"), "{said:?}");
        write_secret(&site, name, "right");
        let reloaded = ask(&site, &["reload"]);
        assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
        let said = ask(&site, &["get", name]);
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(0), "good\n"),
            "{name}: {said:?}"
        );
    }
    // If the account holds a working credential, an entered one is not stored: it must be entered again, and only once the client is
    // right.
    write_secret(&site, "person", "wrong");
    assert_eq!(ask(&site, &["reload"]).code, Some(0));
    let entered = site
        .tokenctl_with(&["login", "person", "--refresh-token"], "first-of-others\n")
        .unwrap();
    let advice = "correct the client_secret that [account.person] refers to, then run `tokenctl reload`, and then enter the refresh token again";
    assert!(entered.err.contains(advice), "{entered:?}");
    write_secret(&site, "person", "right");
    assert_eq!(ask(&site, &["reload"]).code, Some(0));
    let entered = site
        .tokenctl_with(&["login", "person", "--refresh-token"], "first-of-others\n")
        .unwrap();
    assert_eq!(entered.code, Some(0), "{entered:?}");
    daemon.terminate().unwrap();
}

#[test]
fn the_rule_that_is_advised_is_taken_by_check_and_gives_the_token() {
    let stage = Stage::new(vec![account("it", Api::JwtApi)], FAST);
    let site = &stage.site;
    let text = fs::read_to_string(site.configuration()).unwrap();
    let me = "4242";
    // Only another user may have it.
    let closed = text.replace(IT, &format!("{IT}\nallow = [{{ user = {me} }}]"));
    fs::write(site.configuration(), closed).unwrap();
    let daemon = site.start().unwrap();
    refused(site, "it", 77);
    let uid = rustix::process::geteuid().as_raw().to_string();
    let explained = check(site, &["policy", "explain", "it", "--uid", &uid]);
    let get = explained.out.split("  status ").next().unwrap();
    let (_, rule) = get
        .split_once("for example, add ")
        .unwrap_or_else(|| panic!("{explained:?}"));
    let (rule, list) = rule.trim().split_once(" to ").unwrap();
    assert_eq!(list, "`allow` of [account.it]");
    let open = text.replace(IT, &format!("{IT}\nallow = [{{ user = {me} }}, {rule}]"));
    fs::write(site.configuration(), open).unwrap();
    let checked = check(site, &["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(ask(site, &["reload"]).code, Some(0));
    assert_eq!(Some(site.get("it").unwrap()), stage.sim.newest_access("it"));
    daemon.terminate().unwrap();
}
