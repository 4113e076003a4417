//! The tarball: unpacked on a machine and installed as its guide says, from the first file to a token.

use std::{collections::BTreeSet, process::Command};

use crate::{
    guide::SUDO,
    released,
    stage::{CLIENT, IT, Stage},
};

#[test]
fn the_tarballs_own_guide_leads_from_its_files_to_a_token() {
    let Some(stage) = Stage::bare() else { return };
    let machine = &stage.machine;
    machine.put("/usr/local/bin/sudo", SUDO, "755").unwrap();
    machine
        .copy(&released::tarball(), "/root/tokend.tar.gz", "644")
        .unwrap();
    let unpack = "cd /root && tar -xzf tokend.tar.gz && ls -d /root/tokend-*/";
    let place = machine.shell(unpack).unwrap().trim().to_owned();
    let guide = machine.shell(&format!("cat {place}/systemd/README.md"));
    let guide = guide.unwrap();

    stage.follow_in(&guide, &place, "systemd-sysusers");
    stage.mend_configuration();
    stage.place_secret();
    stage.follow_in(&guide, &place, "tokend check");
    let token = stage.get();
    assert_eq!(stage.sim.newest_access(IT), Some(token.clone()));

    for helper in [
        &["git-credential-tokenctl", "capability"][..],
        &["docker-credential-tokenctl", "version"],
        &["cargo-credential-tokenctl", "--cargo-plugin"],
        &["terraform-credentials-tokenctl", "forget", "example.com"],
    ] {
        assert_eq!(machine.run(helper).unwrap().code, Some(0), "{helper:?}");
    }

    // In the other place, with its drop-in.
    machine
        .shell("systemctl stop 'tokend*.socket' 'tokend*.service'\nmv /usr/bin/tokend /usr/bin/tokenctl /usr/local/bin/")
        .unwrap();
    stage.follow_in(&guide, &place, "local-binaries.conf");
    stage.systemctl(&["daemon-reload"]);
    stage.systemctl(&["start", "tokend.socket", "tokend.service"]);
    assert_eq!(stage.get(), token);
    let doctor = machine.run_as(CLIENT, &["tokenctl", "doctor"]).unwrap();
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}

#[test]
fn the_tarballs_programs_need_no_file_of_the_system() {
    let files = released::unpacked(&released::tarball());
    for (program, name) in [
        ("tokend", "tokend"),
        ("tokenctl", "tokenctl"),
        ("tokenctl-request", "tokenctl"),
    ] {
        // A root directory with nothing in it but the tarball.
        let said = Command::new("unshare")
            .args(["--user", "--map-root-user", "chroot"])
            .arg(files.path())
            .args([&format!("/bin/{program}"), "--version"])
            .output()
            .unwrap();
        let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(String::from_utf8_lossy(&said.stdout), version, "{said:?}");
    }
}

#[test]
fn the_tarball_says_nothing_of_who_made_it_and_when() {
    let said = Command::new("tar")
        .args([
            "--list",
            "--verbose",
            "--numeric-owner",
            "--full-time",
            "--file",
        ])
        .arg(released::tarball())
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let listing = String::from_utf8(said.stdout).unwrap();
    let entries: Vec<Vec<&str>> = listing
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(entries.len() > 30, "{listing}");
    let times: BTreeSet<_> = entries.iter().map(|entry| (entry[3], entry[4])).collect();
    assert_eq!(times.len(), 1, "{listing}");
    for entry in &entries {
        assert_eq!(entry[1], "0/0", "{entry:?}");
        assert!(
            match entry[0] {
                // The programs that others start by their own names.
                // What tar lists as their permissions means nothing.
                mode if mode.starts_with('l') => entry[6..] == ["->", "tokenctl"],
                mode => matches!(mode, "drwxr-xr-x" | "-rwxr-xr-x" | "-rw-r--r--"),
            },
            "{entry:?}"
        );
    }
    let names: Vec<_> = entries.iter().map(|entry| entry[5]).collect();
    assert!(
        names.is_sorted_by_key(|name| name.trim_end_matches('/')),
        "{names:?}"
    );
}
