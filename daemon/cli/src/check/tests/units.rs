//! What root learns about a daemon that a unit runs. As beside: these take root, and say nothing without it.

use super::standing::{THEM, give, install_unit, theirs};
use super::*;

#[test]
fn the_unit_that_runs_a_configuration_says_for_whom_and_with_what() {
    let Some(machine) = theirs(&format!("{ADS}password = {{ credential = \"ads\" }}\n")) else {
        return;
    };
    install_unit(&machine, "LoadCredential=ads:/nowhere/ads");
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(err.contains("account ads: credential ads: tokend.service loads it from /nowhere/ads, which is not there"), "{err}");
    // Without a word of the unit it is as much of a mistake.
    install_unit(&machine, "");
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains(
            "account ads: credential ads is not given to the daemon: add LoadCredential=ads:PATH"
        ),
        "{err}"
    );
    fs::create_dir_all(machine.path("root/etc/credstore")).expect("mkdir");
    machine.chmod("root/etc/credstore", 0o700);
    machine.write("root/etc/credstore/ads", "hunter2", 0o600);
    install_unit(&machine, "LoadCredential=ads");
    let (exit, out, err) = machine.check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(
        out.starts_with("note: checked as user 40123, who runs tokend.service\n"),
        "{out}"
    );
    assert!(out.contains("note: 1 secret come"), "{out}");
}

#[test]
fn the_relay_is_the_one_the_unit_names_and_no_other() {
    let Some(machine) = theirs("[http]\nproxy = \"https://proxy.example.com:3128\"\n") else {
        return;
    };
    for (more, expected) in [
        (
            "",
            Some("error: proxy: the egress relay cannot speak TLS to a proxy"),
        ),
        // As with the example that gives the daemon a network.
        ("Environment=TOKEND_EGRESS=", None),
        ("UnsetEnvironment=TOKEND_EGRESS", None),
        (
            "Environment=\"TOKEND_EGRESS=127.0.0.1\"",
            Some("error: tokend.service: TOKEND_EGRESS=\"127.0.0.1\" is neither"),
        ),
    ] {
        install_unit(&machine, more);
        let (exit, _, err) = machine.check(false);
        let Some(expected) = expected else {
            assert_eq!((exit, err.as_str()), (Exit::Success, ""), "{more}");
            continue;
        };
        assert_eq!(exit, Exit::Config, "{more}");
        assert!(err.contains(expected), "{more}: {err}");
    }
}

#[test]
fn a_secret_in_a_variable_is_looked_for_in_the_units_environment() {
    let account = |name: &str| format!("{ADS}password = {{ env = \"{name}\" }}\n");
    let Some(machine) = theirs(&account("API_KEY")) else {
        return;
    };
    install_unit(&machine, "Environment=\"API_KEY=hunter2\"");
    let (exit, _, err) = machine.check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    for both in ["", "\nEnvironment=API_KEY="] {
        install_unit(&machine, &format!("EnvironmentFile=/nowhere/x{both}"));
        let (exit, out, err) = machine.check(false);
        assert_eq!((exit, err.as_str()), (Exit::Success, ""));
        let expected = "note: 1 secret come to the daemon as variables by EnvironmentFile=";
        assert!(out.contains(expected), "{out}");
    }
    install_unit(&machine, "Environment=API_KEY=");
    assert_eq!(machine.check(false).0, Exit::Config);
    // The test's own environment has this one, and the daemon's has not.
    machine.write("tokend.toml", &account("PATH"), 0o644);
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains(
            "account ads: environment variable PATH is not given to the daemon: add EnvironmentFile=PATH to a drop-in"
        ),
        "{err}"
    );
}

#[test]
fn commands_find_what_the_unit_sets_and_no_relay_where_there_is_none() {
    let see =
        "test \\\"$LANG\\\" = xx && test \\\"$HTTPS_PROXY\\\" = \\\"$WANTED\\\" && echo hunter2";
    let with = |proxy: &str| {
        let see = see.replace("$WANTED", proxy);
        format!("{ADS}password = {{ command = [\"sh\", \"-c\", \"{see}\"] }}\n")
    };
    let Some(machine) = theirs(&with("")) else {
        return;
    };
    // The relay is in the daemon's own network.
    install_unit(&machine, "Environment=LANG=xx OTHER=1");
    let (exit, out, err) = machine.check(true);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let expected = "note: commands were run without the relay 127.0.0.1:3128, which is in the daemon's own network";
    assert!(out.contains(expected), "{out}");
    // In the machine's it is there for both.
    machine.write("tokend.toml", &with("http://127.0.0.1:3129"), 0o644);
    install_unit(
        &machine,
        "PrivateNetwork=no\nEnvironment=LANG=xx TOKEND_EGRESS=127.0.0.1:3129",
    );
    let (exit, out, err) = machine.check(true);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(!out.contains("without the relay"), "{out}");
}

#[test]
fn what_the_unit_hides_or_locks_is_told() {
    let Some(machine) = theirs(
        "[audit]\nfile = \"/srv/audit.log\"\n[account.x]\nprovider = \"ad-verification\"\nbase_url = \"https://a.example\"\nusername = \"u\"\npassword = { file = \"/home/me/secret\" }\n",
    ) else {
        return;
    };
    install_unit(&machine, "");
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains(
            "/home/me/secret: the daemon cannot see it, since tokend.service has ProtectHome="
        ),
        "{err}"
    );
    assert!(err.contains("the audit file /srv/audit.log: the daemon cannot write there, since tokend.service has ProtectSystem=strict"), "{err}");
    machine.write(
        "tokend.toml",
        "[audit]\nfile = \"/var/log/tokend/audit.log\"\n",
        0o644,
    );
    let (exit, _, err) = machine.check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
}

#[test]
fn every_place_the_unit_locks_is_told_and_its_advice_leads_out() {
    let Some(machine) = theirs("") else { return };
    for name in ["run", "elsewhere"] {
        fs::create_dir(machine.path(name)).expect("mkdir");
        give(&machine, name, THEM);
        machine.chmod(name, 0o700);
    }
    let dir = |name: &str| machine.path(name).display().to_string();
    let metrics = format!(
        "socket = \"/run/tokend/tokend.sock\"\n[metrics]\nlisten = \"unix:{}/metrics\"\n",
        dir("run")
    );
    machine.write("tokend.toml", &metrics, 0o644);
    let elsewhere = CheckArgs {
        state_dir: Some(machine.path("elsewhere")),
        ..machine.args()
    };
    let mut more = String::new();
    for expected in [
        "error: the state directory: the daemon cannot write in DIR/elsewhere, since tokend.service has ProtectSystem=strict; \
         use /var/lib/tokend, or add ReadWritePaths=DIR/elsewhere to a drop-in of tokend.service (systemctl edit tokend.service)\n",
        "error: the socket of metrics DIR/run/metrics: the daemon cannot write in DIR/run, since tokend.service has ProtectSystem=strict; \
         use /run/tokend, or add ReadWritePaths=DIR/run to a drop-in of tokend.service (systemctl edit tokend.service)\n",
    ] {
        install_unit(&machine, &more);
        let (exit, _, err) = machine.check_with(elsewhere.clone());
        assert_eq!(exit, Exit::Config);
        assert!(err.contains(expected), "{err}");
        let (_, line) = expected.split_once("add ").expect("advice");
        let (line, _) = line.split_once(" to a").expect("advice");
        more += &format!("{}\n", line.replace("DIR", &dir("")).replace("//", "/"));
    }
    install_unit(&machine, &more);
    let (exit, _, err) = machine.check_with(elsewhere.clone());
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    // What is hidden cannot be opened, and what is not there has to be made.
    for (state, expected) in [
        (
            "/home/t",
            "since tokend.service has ProtectHome=; use /var/lib/tokend\n",
        ),
        (
            "/srv/t",
            "use /var/lib/tokend, or make /srv/t and add ReadWritePaths=/srv/t to",
        ),
    ] {
        let (exit, _, err) = machine.check_with(CheckArgs {
            state_dir: Some(state.into()),
            ..machine.args()
        });
        assert_eq!(exit, Exit::Config);
        assert!(err.contains(expected), "{err}");
    }
    // And so has the socket of clients, where systemd does not make it.
    fs::remove_file(machine.path("root/usr/lib/systemd/system/tokend.socket")).expect("remove");
    let (_, _, err) = machine.check_with(CheckArgs {
        socket: Some("/srv/t/s".into()),
        ..elsewhere
    });
    assert!(
        err.contains("error: the socket /srv/t/s: the daemon cannot write in /srv/t, "),
        "{err}"
    );
}

#[test]
fn every_file_that_the_daemon_would_read_is_asked_for() {
    let Some(machine) = theirs("") else { return };
    for name in ["dialects", "accounts"] {
        fs::create_dir(machine.path(name)).expect("mkdir");
        machine.write(&format!("{name}/none.txt"), "", 0o644);
    }
    machine.write("ca.pem", "", 0o644);
    machine.write(
        "tokend.toml",
        "dialect_dir = \"dialects\"\ninclude_dir = \"accounts\"\n[http]\nextra_ca = \"ca.pem\"\n\
         proxy = { url = \"http://127.0.0.1:3128\", username = \"u\", password = { file = \"secret\" } }\n",
        0o644,
    );
    // The tests' own directory is below /tmp.
    install_unit(&machine, "PrivateTmp=yes");
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    for name in ["dialects", "accounts", "ca.pem", "secret", "tokend.toml"] {
        let expected = format!(
            "error: DIR/{name}: the daemon cannot see it, since tokend.service has PrivateTmp="
        );
        assert!(err.contains(&expected), "{name}: {err}");
    }
    assert!(
        err.contains("the daemon cannot write in DIR/state, since tokend.service has PrivateTmp="),
        "{err}"
    );
}

#[test]
fn a_unit_for_a_user_that_is_not_there_does_not_start_which_is_told() {
    let Some(machine) = theirs("") else { return };
    give(&machine, ".", THEM);
    install_unit(&machine, "User=nobody-of-that-name\nGroup=");
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains(
            "error: tokend.service has User=nobody-of-that-name, and there is no user nobody-of-that-name on this machine, so systemd does \
             not start the daemon (status=217/USER): make it (useradd --system nobody-of-that-name), or correct the unit"
        ),
        "{err}"
    );
}

#[test]
fn a_key_in_a_credential_needs_no_file() {
    let Some(machine) = theirs("") else { return };
    fs::remove_file(machine.path("state/tokend.key")).expect("remove");
    install_unit(&machine, "");
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("DIR/state/tokend.key is missing, but"),
        "{err}"
    );
    fs::create_dir_all(machine.path("root/etc/credstore.encrypted")).expect("mkdir");
    machine.write("root/etc/credstore.encrypted/tokend.key", "sealed", 0o600);
    let (exit, _, err) = machine.check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
}
