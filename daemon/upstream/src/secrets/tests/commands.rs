//! Secrets that commands print.

use super::*;

#[tokio::test]
async fn of_what_a_command_prints_the_first_line_is_the_secret() {
    let entry = command(&["printf", "%s\n", SECRET, "login: me", "otpauth://totp/x"]);
    let fetched = fetch(&entry, &source()).await.expect("printed");
    assert_eq!(fetched.secret.expose_secret(), SECRET);
    assert_eq!(fetched.left_out, 2);
    let all = fetch(&whole(entry), &source()).await.expect("printed");
    assert_eq!(
        all.secret.expose_secret(),
        format!("{SECRET}\nlogin: me\notpauth://totp/x")
    );
    assert_eq!(all.left_out, 0);
    assert_eq!(
        refused(&command(&["printf", "\\n%s", SECRET]), &source()).await,
        "command printf begins with an empty line, so there is no secret in its first line"
    );
    assert_eq!(
        refused(&command(&["true"]), &source()).await,
        "command true printed nothing before it ended"
    );
}

/// A command that leaves a process behind, and what that process is to do; it prints its id to `left`.
fn leaves_behind(dir: &Path, what: &str, end: &str) -> (SecretRef, PathBuf) {
    let left = dir.join("left");
    let script = format!(
        "sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec {what}' & while [ ! -e {0} ]; do :; done; echo '{SECRET}'; {end}",
        left.display()
    );
    (command(&["sh", "-c", &script]), left)
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_not_waited_for_and_lives_on() {
    for what in [
        "sleep 1000",
        "sleep 1000 >/dev/null",
        "sleep 1000 2>/dev/null",
    ] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (place, left) = leaves_behind(dir.path(), what, "exit 0");
        let outcome = read(&place, &source()).await;
        assert_eq!(outcome.expect("printed"), SECRET, "{what}");
        let id = fs::read_to_string(left).expect("written").trim().to_owned();
        let agent = rustix::process::Pid::from_raw(id.parse().expect("a number"));
        let agent = agent.expect("an id");
        rustix::process::test_kill_process(agent).expect("still there");
        rustix::process::kill_process(agent, rustix::process::Signal::KILL).expect("killed");
    }
}

#[tokio::test]
async fn a_command_that_fails_and_leaves_a_process_behind_has_failed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (place, left) = leaves_behind(dir.path(), "sleep 1000", "echo locked >&2; exit 2");
    assert_eq!(
        refused(&place, &source()).await,
        "command sh failed with exit status: 2; it said: locked"
    );
    let id = fs::read_to_string(left).expect("written").trim().to_owned();
    let agent = rustix::process::Pid::from_raw(id.parse().expect("a number"));
    let signal = rustix::process::Signal::KILL;
    rustix::process::kill_process(agent.expect("an id"), signal).expect("killed");
}

#[tokio::test]
async fn a_command_is_run_without_a_shell() {
    let shown = read(
        &command(&["printf", "%s\n", "$HOME `id` p%40ss"]),
        &source(),
    )
    .await;
    assert_eq!(shown.expect("printed"), "$HOME `id` p%40ss");
}

#[tokio::test]
async fn a_command_sees_few_variables_and_no_input() {
    // Both are set by cargo for every test.
    let script = "printf '%s|%s|' \"$CARGO_MANIFEST_DIR$CARGO_PKG_NAME\" \"$PATH\"; cat";
    let shown = read(&command(&["sh", "-c", script]), &source())
        .await
        .expect("printed");
    let path = std::env::var("PATH").expect("every test has a PATH");
    assert_eq!(shown, format!("|{path}|"));
}

#[tokio::test]
async fn a_command_of_a_daemon_without_a_network_is_told_of_the_relay() {
    let script =
        "printf '%s|%s|%s|%s' \"$https_proxy\" \"$HTTPS_PROXY\" \"$http_proxy\" \"$HTTP_PROXY\"";
    let relay = SecretSource {
        egress: Egress::parse("127.0.0.1:3128").ok(),
        ..source()
    };
    let shown = read(&command(&["sh", "-c", script]), &relay).await;
    assert_eq!(
        shown.expect("printed"),
        ["http://127.0.0.1:3128"; 4].join("|")
    );
    // No program knows a proxy behind a Unix socket.
    let unix = SecretSource {
        egress: Egress::parse("/run/tokend/egress.sock").ok(),
        ..source()
    };
    for without in [unix, source()] {
        let shown = read(&command(&["sh", "-c", script]), &without).await;
        assert_eq!(shown.expect("printed"), "|||");
    }
}

#[tokio::test]
async fn a_command_that_fails_shows_its_first_complaint_and_never_its_output() {
    let script = format!("echo '{SECRET}'; printf 'gpg: no\\033[2J key\\nmore\\n' >&2; exit 3");
    assert_eq!(
        refused(&command(&["sh", "-c", &script]), &source()).await,
        "command sh failed with exit status: 3; it said: gpg: no\\u{1b}[2J key"
    );
    let script = format!("echo '{SECRET}'; echo 'bad: {SECRET}' >&2; exit 3");
    assert_eq!(
        refused(&command(&["sh", "-c", &script]), &source()).await,
        "command sh failed with exit status: 3; it said: (not shown, as it repeats the output)"
    );
    assert_eq!(
        refused(&command(&["false", SECRET]), &source()).await,
        "command false failed with exit status: 1"
    );
}

#[tokio::test]
async fn a_command_that_is_not_there_says_so() {
    assert_eq!(
        refused(&command(&["no-such-program-here", SECRET]), &source()).await,
        "command no-such-program-here: No such file or directory (os error 2); \
         name a program on $PATH or give its full path; a shell command line does not work here"
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_it_started() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let pid = dir.path().join("pid");
    let script = format!(
        "sleep 1000 & echo $! > {}; echo waiting >&2; wait",
        pid.display()
    );
    // Long enough for a loaded machine to start a shell, so that there is a child to kill.
    let soon = SecretSource {
        command_timeout: Duration::from_secs(2),
        ..source()
    };
    assert_eq!(
        refused(&command(&["sh", "-c", &script]), &soon).await,
        "command sh took longer than 2 s and was killed; does it wait for input?; it said: waiting"
    );
    let child = fs::read_to_string(&pid).expect("the shell wrote it");
    let stat = format!("/proc/{}/stat", child.trim());
    // Its parent is gone, so nobody may reap it here: dead is enough.
    let alive = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    for _ in 0..10_000 {
        if !alive() {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert!(!alive(), "what the command started is still running");
}

#[tokio::test]
async fn a_command_that_never_stops_talking_is_refused() {
    let endless = command(&[
        "sh",
        "-c",
        "head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero >&2",
    ]);
    assert_eq!(
        refused(&endless, &source()).await,
        "command sh is longer than 65536 bytes; check that it is the right one"
    );
}
