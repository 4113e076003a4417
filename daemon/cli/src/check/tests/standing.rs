//! What root learns about a daemon that another user runs. With real users: these take root, and say nothing without it.

use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;

use super::*;

/// A user nobody has on any machine of ours.
pub(super) const THEM: u32 = 40_123;

/// A machine whose daemon is that user's, with a store that was opened once; none without root.
pub(super) fn theirs(accounts: &str) -> Option<Machine> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let machine = Machine::new(accounts);
    fs::set_permissions(machine.0.path(), Permissions::from_mode(0o755)).expect("chmod");
    machine.chmod("tokend.toml", 0o644);
    {
        let state = tokend_store::StateDir::acquire(&machine.path("state")).expect("lock");
        let key =
            tokend_store::SealingKey::load_or_create(&machine.path("state/tokend.key"), &state);
        tokend_store::RedbStore::open(state, key.expect("a key")).expect("a store");
    }
    for name in ["state", "secret"] {
        give(&machine, name, THEM);
    }
    for entry in fs::read_dir(machine.path("state")).expect("a directory") {
        let path = entry.expect("an entry").path();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
        chown(path, Some(THEM), Some(THEM)).expect("chown");
    }
    Some(machine)
}

pub(super) fn give(machine: &Machine, name: &str, uid: u32) {
    chown(machine.path(name), Some(uid), Some(uid)).expect("chown");
}

/// The shipped unit, for a daemon of that user with this configuration.
pub(super) fn install_unit(machine: &Machine, more: &str) {
    let shipped = include_str!("../../../../../systemd/tokend.service");
    let config = machine.path("tokend.toml").display().to_string();
    let unit = shipped
        .replace("User=tokend", &format!("User={THEM}"))
        .replace("Group=tokend", &format!("Group={THEM}"))
        .replace("/etc/tokend/tokend.toml", &config)
        // The tests' own directory is below /tmp.
        .replace(
            "PrivateTmp=yes",
            &format!("ReadWritePaths={}", machine.path("state").display()),
        );
    let dir = machine.path("root/usr/lib/systemd/system");
    fs::create_dir_all(dir.join("tokend.service.d")).expect("mkdir");
    fs::write(dir.join("tokend.service"), unit).expect("write");
    let socket = include_str!("../../../../../systemd/tokend.socket");
    fs::write(dir.join("tokend.socket"), socket).expect("write");
    fs::write(
        dir.join("tokend.service.d/more.conf"),
        format!("[Service]\n{more}\n"),
    )
    .expect("write");
}

pub(super) const WITH_FILE: &str = "password = { file = \"secret\" }\n";

#[test]
fn root_checks_as_the_user_the_state_directory_belongs_to_and_nobody_is_to_chown_it() {
    let Some(machine) = theirs(&format!("{ADS}{WITH_FILE}")) else {
        return;
    };
    give(&machine, ".", THEM);
    let (exit, out, err) = machine.check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(
        out.starts_with("note: checked as user 40123, to whom the state directory belongs"),
        "{out}"
    );
    assert!(!out.contains("chown"), "{out}");
    // What that user cannot read is an error, though root can.
    give(&machine, "secret", 0);
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(err.contains("DIR/secret: Permission denied"), "{err}");
}

#[test]
fn each_advice_about_owners_is_right_when_followed() {
    let Some(machine) = theirs("") else { return };
    give(&machine, ".", THEM);
    let args = CheckArgs {
        user: Some(THEM.to_string()),
        ..machine.args()
    };
    // As after `tokend key rotate` by root, and as after `cp -r` by root.
    for foreign in [
        &["state/tokend.key"][..],
        &["state", "state/tokend.key", "state/tokend.redb"][..],
    ] {
        for name in foreign {
            give(&machine, name, 0);
        }
        let (exit, _, err) = machine.check_with(args.clone());
        assert_eq!(exit, Exit::Config);
        let command = err
            .lines()
            .find_map(|line| line.split_once("runs the daemon: "));
        let command = command.unwrap_or_else(|| panic!("{err}")).1;
        assert_eq!(command, "chown -R 40123 DIR/state", "{err}");
        let status = std::process::Command::new("chown")
            .args(["-R", "40123"])
            .arg(machine.path("state"))
            .status();
        assert!(status.expect("chown").success());
        let (exit, _, err) = machine.check_with(args.clone());
        assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    }
    // Whose it is when the directory is root's and the files are not is for a person to say.
    give(&machine, "state", 0);
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("say with --user who runs the daemon") && !err.contains("chown"),
        "{err}"
    );
}

#[test]
fn a_file_of_roots_in_a_users_directory_is_told_with_the_command_for_that_user() {
    let Some(machine) = theirs("") else { return };
    give(&machine, "state/tokend.redb", 0);
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("DIR/state/tokend.redb belongs to user root, but 40123 runs the daemon: chown -R 40123 DIR/state"),
        "{err}"
    );
}

#[test]
fn a_configuration_the_daemon_may_not_read_is_refused_with_for_whom() {
    let Some(machine) = theirs("") else { return };
    machine.chmod("tokend.toml", 0o600);
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("Permission denied") && err.contains("note: checked as user 40123"),
        "{err}"
    );
}

#[test]
fn users_that_cannot_be_looked_for_are_a_mistake_of_the_command_line() {
    let machine = Machine::new("");
    let as_user = |user: &str| CheckArgs {
        user: Some(user.to_owned()),
        ..machine.args()
    };
    let (exit, _, err) = machine.check_with(as_user("nobody-of-that-name"));
    assert_eq!(exit, Exit::Usage);
    assert_eq!(
        err,
        "error: there is no user nobody-of-that-name on this machine\n"
    );
    let environment = Environment {
        uid: 7,
        ..Environment::default()
    };
    let (exit, _, err) = captured(|output| run(&as_user("0"), &environment, output));
    assert_eq!(exit, Exit::Usage);
    assert!(
        err.contains("only root can look as another user: run it with sudo"),
        "{err}"
    );
}

#[test]
fn audit_file_metrics_and_socket_are_asked_as_a_start_asks() {
    let machine = Machine::new("");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    fs::create_dir(machine.path("open")).expect("mkdir");
    machine.chmod("open", 0o777);
    let path = |name: &str| machine.path(name).display().to_string();
    for (settings, expected) in [
        (
            format!("[audit]\nfile = {:?}\n", path("nowhere/audit")),
            "the audit file DIR/nowhere/audit: ",
        ),
        (
            format!("[audit]\nfile = {:?}\n", path("open/audit")),
            "others may write to its directory",
        ),
        (
            format!("[audit]\nfile = {:?}\n", path("state")),
            "the audit file DIR/state: ",
        ),
        (
            format!("[metrics]\nlisten = \"{address}\"\n"),
            "metrics cannot be served at",
        ),
        (
            format!(
                "[metrics]\nlisten = {:?}\n",
                format!("unix:{}", path("secret"))
            ),
            "exists but is not a socket",
        ),
    ] {
        machine.write("tokend.toml", &format!("socket = \"s\"\n{settings}"), 0o600);
        let (exit, _, err) = machine.check(false);
        assert_eq!(exit, Exit::Config, "{settings}");
        assert!(err.contains(expected), "{settings}: {err}");
    }
    assert!(!machine.path("open/audit").exists());
    machine.write("tokend.toml", "socket = \"secret\"\n", 0o600);
    assert!(
        machine
            .check(false)
            .2
            .contains("exists but is not a socket")
    );
    machine.write("tokend.toml", "socket = \"secret/s\"\n", 0o600);
    assert_eq!(machine.check(false).0, Exit::Config);
    // As for a start, the command line comes first.
    let (exit, out, _) = machine.check_with(CheckArgs {
        socket: Some(machine.path("elsewhere")),
        ..machine.args()
    });
    assert_eq!(exit, Exit::Success);
    assert!(out.ends_with("socket DIR/elsewhere\n"), "{out}");
}

#[test]
fn a_place_for_the_socket_that_is_not_the_users_is_told_with_a_way_out() {
    let Some(machine) = theirs("") else { return };
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    let way_out = "error: DIR/s: cannot listen on the socket: Permission denied (os error 13); set XDG_RUNTIME_DIR to a directory of your own, or use another socket";
    assert!(err.contains(way_out), "{err}");
}

#[test]
fn what_a_daemon_that_runs_holds_is_no_mistake_and_what_another_holds_is() {
    let machine = Machine::new("");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    let text = format!("socket = \"s\"\n[metrics]\nlisten = \"{address}\"\n");
    machine.write("tokend.toml", &text, 0o600);
    let listener = UnixListener::bind(machine.path("s")).expect("bind");
    listener.set_nonblocking(true).expect("nonblocking");
    let (exit, _, err) = machine.check(false);
    assert_eq!(exit, Exit::Config);
    assert!(
        err.contains("somebody listens there already") && err.contains("metrics cannot be served"),
        "{err}"
    );
    let lock = tokend_store::StateDir::acquire(&machine.path("state")).expect("lock");
    let (exit, _, err) = machine.check(false);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    drop(lock);
    let nobody = listener.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(nobody, Err(io::ErrorKind::WouldBlock), "nobody connected");
}
