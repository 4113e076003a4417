//! What systemd itself reports about the unit files.

use tokend_tests::systemd;

use super::stage::Stage;

/// `systemd/README.md` explains each remaining item: 0.8 for the daemon and for sinks, 1.0 for endpoints, 1.1 for the relay.
const EXPOSURES: [(&str, &str); 4] = [
    ("tokend.service", "--threshold=8"),
    ("tokend-egress.service", "--threshold=11"),
    ("tokend-sink@.service", "--threshold=8"),
    ("tokend-endpoint@.service", "--threshold=10"),
];

#[test]
fn the_services_are_as_little_exposed_as_their_guide_says() {
    let Some(stage) = Stage::installed() else {
        return;
    };
    for (unit, threshold) in EXPOSURES {
        let file = format!("/usr/lib/systemd/system/{unit}");
        let analyze = [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
        ];
        let said = stage.run(&[&analyze[..], &[threshold, &file]].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

#[test]
fn no_unit_counts_its_starts_and_every_socket_of_the_daemon_its_waiting_clients() {
    for name in [
        "tokend.service",
        "tokend.socket",
        "tokend-metrics.socket",
        "tokend-http.socket",
        "tokend-credentials.socket",
        "tokend-oidc-agent.socket",
        "tokend-endpoint@.socket",
        "tokend-egress.service",
        "tokend-egress.socket",
        "user/tokend.service",
        "user/tokend.socket",
    ] {
        let text = std::fs::read_to_string(systemd::unit_files().join(name)).unwrap();
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        assert_eq!(value("StartLimitIntervalSec"), Some("0"), "{name}");
        if name.ends_with(".socket") {
            // Long enough to end a slow restart loop, too.
            assert_eq!(value("TriggerLimitIntervalSec"), Some("60"), "{name}");
        } else if !name.contains("egress") {
            let waits = value("RestartPreventExitStatus");
            assert_eq!(waits, Some("64 78 243"), "{name}");
        }
    }
}

#[test]
fn every_unit_is_verified_and_names_nothing_unknown() {
    let Some(stage) = Stage::installed() else {
        return;
    };
    let verify = [
        "systemd-analyze",
        "verify",
        "--man=no",
        "--recursive-errors=yes",
    ];
    let system = [
        "/usr/lib/systemd/system/tokend.service",
        "/usr/lib/systemd/system/tokend.socket",
        "/usr/lib/systemd/system/tokend-egress.service",
        "/usr/lib/systemd/system/tokend-egress.socket",
        "/usr/lib/systemd/system/tokend-metrics.socket",
        "/usr/lib/systemd/system/tokend-sink@.service",
        "/usr/lib/systemd/system/tokend-http.socket",
        "/usr/lib/systemd/system/tokend-credentials.socket",
        "/usr/lib/systemd/system/tokend-oidc-agent.socket",
    ];
    let user = [
        "--user",
        "/usr/lib/systemd/user/tokend.service",
        "/usr/lib/systemd/user/tokend.socket",
        "/usr/lib/systemd/user/tokend-sink@.service",
    ];
    for unit in system {
        let said = stage.run(&[&verify[..], &[unit]].concat());
        assert_eq!(
            (said.code, said.err.as_str()),
            (Some(0), ""),
            "{unit}: {said:?}"
        );
    }
    let environment = ["env", "XDG_RUNTIME_DIR=/run"];
    let said = stage.run(&[&environment, &verify[..], &user].concat());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    // The flags do find a mistake.
    stage
        .machine
        .put(
            "/run/wrong.service",
            "[Service]\nExecStart=/bin/true\nNoNewPrivilege=yes\n",
            "644",
        )
        .unwrap();
    let said = stage.run(&[&verify[..], &["/run/wrong.service"]].concat());
    assert_ne!(said.code, Some(0), "{said:?}");
}
