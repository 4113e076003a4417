//! What systemd itself says of the unit files.

use super::stage::Stage;

/// What is left is explained one by one in `systemd/README.md`: 1.4.
const EXPOSURE: &str = "--threshold=14";

#[test]
fn the_service_is_as_little_exposed_as_its_guide_says() {
    let Some(stage) = Stage::installed() else {
        return;
    };
    let said = stage.run(&[
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        EXPOSURE,
        "/usr/lib/systemd/system/tokend.service",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
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
    ];
    let user = [
        "--user",
        "/usr/lib/systemd/user/tokend.service",
        "/usr/lib/systemd/user/tokend.socket",
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
