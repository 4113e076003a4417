//! Who is served, and how many at once.

use super::*;
use crate::policy::command_of;

#[test]
fn only_its_own_user_and_only_with_the_secret_gets_a_token() {
    let (stage, _daemon) = stage();
    let token = stage.site.get("it").unwrap();
    for kind in kinds(&stage) {
        let endpoint = start(&stage, &kind);
        let (address, head) = endpoint.served(kind.0);
        let served = answer(&address, &head);
        assert!(
            status(&served) == "200" && served.contains(&token),
            "{served}"
        );
        for broken in [
            head.replace("X-IDENTITY-HEADER: ", "X-IDENTITY-HEADER: 0"),
            head.replace("X-Tokend-Endpoint: ", "X-Tokend-Endpoint: 0"),
            head.replace("Metadata-Flavor: Google", "Metadata-Flavor: none"),
        ] {
            let refused = answer(&address, &broken);
            assert!(broken == head || !refused.contains(&token), "{refused}");
            assert!(
                broken == head || ["401", "403"].contains(&status(&refused)),
                "{refused}"
            );
        }
        if !carried_out("an endpoint of another user", root()) {
            continue;
        }
        // The words with the secret, as another user who got hold of it.
        let file = stage.site.path().join("head");
        fs::write(&file, format!("{head}\r\n\r\n")).unwrap();
        let (host, port) = address.split_once(':').unwrap();
        let script = format!("exec 3<>/dev/tcp/{host}/{port}; cat >&3; cat <&3");
        let output = command_of(STRANGER)
            .args(["bash", "-c", &script])
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap();
        let refused = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(status(&refused), "403", "{refused}{output:?}");
        assert!(
            !refused.contains(&token) && refused.contains("user 4001"),
            "{refused}"
        );
    }
}

#[test]
fn whoever_keeps_connections_open_is_refused_more_and_takes_nothing_from_the_user() {
    let (stage, _daemon) = stage();
    let kind = &kinds(&stage)[0];
    let endpoint = start(&stage, kind);
    let (address, head) = endpoint.served(kind.0);
    // Of its own user, as many as are served at once; they say nothing.
    let silent: Vec<TcpStream> = (0..32)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let full = answer(&address, &head);
    assert_eq!(status(&full), "503", "{full}");
    assert!(
        full.contains("Retry-After: 1") && full.contains("too many"),
        "{full}"
    );
    drop(silent);
    let served = || status(&answer(&address, &head)) == "200";
    wait_until("room for one more", PATIENCE, served).unwrap();
    if !carried_out("an endpoint of another user", root()) {
        return;
    }
    let (host, port) = address.split_once(':').unwrap();
    let script = format!(
        "for _ in $(seq 64); do exec {{fd}}<>/dev/tcp/{host}/{port} || exit 1; done; echo open; exec sleep 1000"
    );
    let mut strangers = command_of(STRANGER)
        .args(["bash", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(strangers.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!((line.as_str(), served()), ("open\n", true));
    strangers.kill().unwrap();
    strangers.wait().unwrap();
}

#[test]
fn a_restart_keeps_the_secret_and_a_kill_leaves_nobody_who_serves() {
    let (stage, _daemon) = stage();
    let kind = &kinds(&stage)[0];
    let endpoint = start(&stage, kind);
    let (address, first) = endpoint.served("azure");
    drop(endpoint);
    assert!(TcpStream::connect(&address).is_err());
    let again = start(&stage, kind);
    let (address, second) = again.served("azure");
    assert_eq!(first, second);
    assert_eq!(status(&answer(&address, &first)), "200");
    drop(again);
    // Beside a command it goes with that, however it ends.
    let mut command = Command::new(&stage.site.binaries().tokenctl)
        .arg("--socket")
        .arg(stage.site.socket())
        .args([
            "exec",
            "--as",
            "gce",
            "it",
            "--",
            "sh",
            "-c",
            "echo \"$GCE_METADATA_HOST\"; exec sleep 1000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(command.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim_end();
    assert!(TcpStream::connect(address).is_ok());
    command.kill().unwrap();
    command.wait().unwrap();
    wait_until("the endpoint to go", PATIENCE, || {
        TcpStream::connect(address).is_err()
    })
    .unwrap();
}
