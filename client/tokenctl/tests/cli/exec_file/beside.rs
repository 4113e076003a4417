//! What the updater has of the command, and what others do to its files.

use super::*;

#[test]
fn the_command_has_no_child_and_no_descriptor_of_tokenctls() {
    let place = Place::new();
    let script = r"read -r children < /proc/$$/task/$$/children; echo [$children]; for fd in /proc/$$/fd/*; do readlink $fd; done; true";
    let ended = place.run(&["ads", "--", "sh", "-c", script]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("[]\n"), "{}", ended.stdout);
    for foreign in ["socket:", "pidfd", "tokenctl-exec"] {
        assert!(!ended.stdout.contains(foreign), "{}", ended.stdout);
    }
}

#[test]
fn the_updater_has_nothing_of_the_commands_but_standard_error_and_no_token_in_sight() {
    let place = Place::new();
    let held = place.runtime.path().join("held");
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            r#"exec 9>"$1" "$2" exec --file ads -- sh -c 'exec >&- 9>&-; exec sleep 100'"#,
        ])
        .args(["sh", held.to_str().unwrap(), env!("CARGO_BIN_EXE_tokenctl")])
        .env("HIDDEN", "in the environment");
    place.around(&mut shell);
    let mut child = shell.spawn().unwrap();
    // Standard output is read to its end while the command still runs.
    let mut all = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut all)
        .unwrap();
    assert_eq!((all.as_str(), child.try_wait().unwrap()), ("", None));
    let updater = place.updater();
    until(|| place.file(1).exists().then_some(()));
    let files = updater.files();
    let pipes = files.iter().filter(|name| name.starts_with("pipe:"));
    assert_eq!(pipes.count(), 1, "{files:?}");
    assert!(
        !files.iter().any(|name| name.ends_with("/held")),
        "{files:?}"
    );
    assert!(!updater.words().contains(TOKEN), "{}", updater.words());
    assert_eq!(fs::read(updater.of("environ")).unwrap(), b"");
    assert_eq!(fs::read_link(updater.of("cwd")).unwrap(), Path::new("/"));
    child.kill().unwrap();
    child.wait().unwrap();
    place.is_cleared();
}

#[test]
fn a_command_in_a_substitution_ends_it_at_once() {
    let place = Place::new();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"found=$("$1" exec --file ads -- sh -c 'cat "$ACCESS_TOKEN_FILE"' 2>&1); echo "[$found]""#])
        .args(["sh", env!("CARGO_BIN_EXE_tokenctl")]);
    place.around(&mut shell);
    let ended = finish(shell.spawn().unwrap());
    assert_eq!(ended.stdout, format!("[{TOKEN}.ads.1]\n"));
}

#[test]
fn a_command_that_goes_to_the_background_loses_its_file_when_what_was_started_ends() {
    let place = Place::new();
    let script = r#"(while [ -e "$ACCESS_TOKEN_FILE" ]; do sleep 0.01; done; echo gone) & exit 0"#;
    let ended = place.run(&["ads", "--", "sh", "-c", script]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "gone\n"));
}

#[test]
fn a_command_that_closes_everything_keeps_its_file() {
    fn newer(account: &str) -> Act {
        Act::Replies(vec![tell(account, 2)])
    }
    let place = Place::with(Some(3_600_000), &[quiet, newer]);
    let script = format!(
        "exec 0<&- 1>&- 2>&- 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec 1>/dev/null 2>&1; {}",
        until_it_has(2)
    );
    let child = place.script(&script);
    place.file(1);
    place.turn(1);
    assert_eq!(finish(child).code, 0);
    place.is_cleared();
}

#[test]
fn a_directory_that_is_taken_away_is_told_and_leaves_the_command() {
    fn newer(account: &str) -> Act {
        Act::RepliesAndClose(vec![tell(account, 2)])
    }
    let place = Place::with(Some(3_600_000), &[quiet, newer]);
    let (mut child, file) = place.sleeper();
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
    place.turn(1);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line = || lines.next().map(Result::unwrap);
    assert_eq!(
        line().unwrap(),
        "tokenctl: ads: another program has removed its directory, and its file is gone until the command is started again"
    );
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
    // The updater says no more, and ends.
    assert_eq!(line(), None);
}

#[test]
fn a_file_that_another_program_removes_comes_back() {
    let place = Place::new();
    let (mut child, file) = place.sleeper();
    fs::remove_file(&file).unwrap();
    // The scripted daemon tells the same token again and again.
    place.file(1);
    child.kill().unwrap();
    child.wait().unwrap();
    place.is_cleared();
}

#[test]
fn a_full_place_keeps_the_token_before_and_has_the_newer_one_when_there_is_room() {
    fn newer(account: &str) -> Act {
        Act::RepliesAndClose(vec![tell(account, 2)])
    }
    let place = Place::with(Some(3_600_000), &[quiet, newer]);
    // A small place of its own, which the command fills.
    let inner = format!(
        r#"directory=${{ACCESS_TOKEN_FILE%/*}}; cat /dev/zero > "$directory/../filler" 2>/dev/null; echo full
           read -r go; [ "$(cat "$ACCESS_TOKEN_FILE")" = {TOKEN}.ads.1 ] || exit 6; rm "$directory/../filler"; {}"#,
        until_it_has(2)
    );
    let mut shell = Command::new("unshare");
    shell
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(r#"mount -t tmpfs -o size=64k,mode=700 tmpfs "$XDG_RUNTIME_DIR" && exec "$1" exec --file ads -- sh -c "$2""#)
        .args(["sh", env!("CARGO_BIN_EXE_tokenctl"), &inner]);
    place.around(&mut shell);
    let mut child = shell.stdin(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "full\n", "{:?}", child.wait_with_output());
    place.turn(1);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    line.clear();
    errors.read_line(&mut line).unwrap();
    assert!(line.contains("No space left on device"), "{line}");
    assert!(line.contains("the file before is as it was"), "{line}");
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_mode_of_a_place_does_not_hang_on_the_callers_mask() {
    let place = Place::new();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"umask 0277; exec "$1" exec --file ads -- sh -c 'stat -c %a "$ACCESS_TOKEN_FILE" "${ACCESS_TOKEN_FILE%/*}"'"#])
        .args(["sh", env!("CARGO_BIN_EXE_tokenctl")]);
    place.around(&mut shell);
    assert_eq!(finish(shell.spawn().unwrap()).stdout, "600\n700\n");
}

#[test]
fn a_token_that_ended_while_nobody_heard_it_goes_with_the_next_connection() {
    fn away(_: &str) -> Act {
        let fault = Fault::new(FaultCode::ProviderUnreachable, "the provider is down");
        let parts = [Response::Retired { grant: 0 }, Response::Unavailable(fault)];
        Act::Replies(parts.to_vec())
    }
    let place = Place::with(Some(3_600_000), &[quiet, away]);
    let child = place.script(r#"while [ -e "$ACCESS_TOKEN_FILE" ]; do sleep 0.01; done; exit 5"#);
    place.file(1);
    place.turn(1);
    let ended = finish(child);
    assert_eq!(ended.code, 5);
    assert!(
        ended.stderr.contains("must not be used any more"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_token_that_only_lives_too_short_for_a_new_connection_stays() {
    fn short(_: &str) -> Act {
        let fault = Fault::new(FaultCode::ProviderUnreachable, "the provider is down");
        Act::Reply(Response::Unavailable(fault))
    }
    let place = Place::with(Some(3_600_000), &[quiet, short]);
    let (mut child, file) = place.sleeper();
    place.turn(1);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("the provider is down"), "{line}");
    assert!(file.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    place.is_cleared();
}

#[test]
fn a_watch_that_ends_for_another_reason_leaves_the_token_until_its_end() {
    fn ends(_: &str) -> Act {
        let fault = Fault::new(FaultCode::Internal, "a defect in the daemon");
        Act::Reply(Response::Fault(fault))
    }
    let place = Place::with(Some(900), &[ends]);
    let script = r#"sleep 0.3; cat "$ACCESS_TOKEN_FILE" > /dev/null || exit 6
                    while [ -e "$ACCESS_TOKEN_FILE" ]; do sleep 0.01; done; exit 5"#;
    let ended = finish(place.script(script));
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("goes at the end of its token"),
        "{}",
        ended.stderr
    );
}
