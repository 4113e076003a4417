//! Unit files as systemd reads them.

use super::environment::Variable;
use super::*;

fn installed(files: &[(&str, &str)]) -> (tempfile::TempDir, Option<Unit>) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let unit = Unit::installed(root.path());
    (root, unit)
}

#[test]
fn the_shipped_unit_says_what_a_start_needs() {
    let shipped = include_str!("../../../../../systemd/tokend.service");
    let socket = include_str!("../../../../../systemd/tokend.socket");
    let (_root, unit) = installed(&[
        ("usr/lib/systemd/system/tokend.service", shipped),
        ("usr/lib/systemd/system/tokend.socket", socket),
    ]);
    let unit = unit.unwrap();
    assert_eq!(
        (unit.user(), unit.group()),
        (Some("tokend"), Some("tokend"))
    );
    assert_eq!(unit.config(), Some("/etc/tokend/tokend.toml".into()));
    assert_eq!((unit.state_dir(), unit.socket()), (None, None));
    assert_eq!(unit.state_directory(), Some("/var/lib/tokend".into()));
    assert_eq!(unit.runtime_directory(), Some("/run/tokend".into()));
    assert!(unit.makes(Path::new("/var/log/tokend")) && !unit.makes(Path::new("/etc/tokend")));
    assert!(unit.has_socket && !unit.has_metrics_socket && unit.has_own_network());
    assert!(!unit.is_dynamic() && !unit.sees_programs());
    let relay = variable(&unit, "TOKEND_EGRESS");
    assert_eq!(relay.as_deref(), Some("127.0.0.1:3128"));
    assert_eq!(unit.credential("tokend.key"), UnitCredential::Absent);
    assert_eq!(
        unit.hides(Path::new("/home/a/secret")),
        Some("ProtectHome=")
    );
    assert_eq!(unit.hides(Path::new("/tmp/secret")), Some("PrivateTmp="));
    assert_eq!(unit.hides(Path::new("/etc/tokend/secrets/a")), None);
    assert_eq!(
        unit.keeps_from_writing(Path::new("/var/log/tokend/audit")),
        None
    );
}

#[test]
fn drop_ins_come_after_the_unit_and_the_nearest_of_a_name_counts() {
    let (_root, unit) = installed(&[
        (
            "usr/lib/systemd/system/tokend.service",
            "[Service]\nUser=far\nExecStart=/usr/bin/tokend run -c /a\nUser=broker\n",
        ),
        (
            "usr/lib/systemd/system/tokend.service.d/10-a.conf",
            "[Service]\nUser=ten\n",
        ),
        (
            "etc/systemd/system/tokend.service.d/10-a.conf",
            "[Service]\nExecStart=\nExecStart=/opt/tokend run \\\n  --config=%E/b --state-dir %S/c\n",
        ),
        (
            "etc/systemd/system/tokend.service.d/20-b.conf",
            "[Unit]\nUser=none\n# User=no\n[Service]\nSupplementaryGroups=x y\nSupplementaryGroups=\nSupplementaryGroups=z\nAmbientCapabilities=CAP_SYS_PTRACE\n",
        ),
    ]);
    let unit = unit.unwrap();
    assert_eq!(unit.user(), Some("broker"));
    assert_eq!(
        (unit.config(), unit.state_dir()),
        (Some("/etc/b".into()), Some("/var/lib/c".into()))
    );
    assert_eq!(unit.more_groups(), ["z"]);
    assert!(unit.sees_programs());
}

#[test]
fn a_unit_in_etc_replaces_the_packages_and_a_masked_one_is_none() {
    let package = (
        "usr/lib/systemd/system/tokend.service",
        "[Service]\nUser=tokend\n",
    );
    let (_root, unit) = installed(&[
        package,
        (
            "etc/systemd/system/tokend.service",
            "[Service]\nDynamicUser=yes\n",
        ),
    ]);
    assert!(unit.is_some_and(|unit| unit.is_dynamic() && unit.user().is_none()));
    let (root, _) = installed(&[package]);
    fs::create_dir_all(root.path().join("etc/systemd/system")).unwrap();
    std::os::unix::fs::symlink(
        "/dev/null",
        root.path().join("etc/systemd/system/tokend.service"),
    )
    .unwrap();
    assert!(Unit::installed(root.path()).is_none());
    assert!(installed(&[]).1.is_none());
}

#[test]
fn credentials_are_looked_for_where_systemd_looks() {
    let service = "[Service]\nLoadCredential=a:/etc/a\nLoadCredential=b:/etc/b\nLoadCredentialEncrypted=c\nLoadCredential=d\nSetCredential=e:x y\nImportCredential=f.*\n";
    let (_root, unit) = installed(&[
        ("etc/systemd/system/tokend.service", service),
        ("etc/a", "x"),
        ("etc/credstore.encrypted/c", "x"),
        // Not sealed, and asked for without a path: only the plain store counts.
        ("etc/credstore.encrypted/d", "x"),
    ]);
    let unit = unit.unwrap();
    assert_eq!(unit.credential("a"), UnitCredential::Present);
    assert_eq!(
        unit.credential("b"),
        UnitCredential::Missing("/etc/b".into())
    );
    assert_eq!(unit.credential("c"), UnitCredential::Present);
    assert_eq!(unit.credential("d"), UnitCredential::Absent);
    assert_eq!(unit.credential("e"), UnitCredential::Present);
    assert_eq!(unit.credential("f.g"), UnitCredential::Unseen);
    assert_eq!(unit.credential("g"), UnitCredential::Absent);
}

/// What the unit sets a variable to; `?` for what it may set unseen.
fn variable(unit: &Unit, name: &str) -> Option<String> {
    match unit.variable(name) {
        Variable::Set(value) => Some(value),
        Variable::Unset => None,
        Variable::Unseen => Some("?".to_owned()),
    }
}

#[test]
fn variables_are_read_as_systemd_reads_them() {
    for (lines, value) in [
        ("Environment=A=1 IT=2", Some("2")),
        ("Environment=IT=1\nEnvironment=B=1 IT=2", Some("2")),
        ("Environment=IT=1\nEnvironment=", None),
        ("Environment=IT=", Some("")),
        ("Environment=\"IT=a b\" C=1", Some("a b")),
        ("Environment='IT=a \"b\"'", Some("a \"b\"")),
        ("Environment=IT='a b'c", Some("a bc")),
        (r"Environment=IT=a\x20b\s\\\t", Some("a b \\\t")),
        (r"Environment=IT=\xc3\xa9\u00e9", Some("éé")),
        ("Environment=IT=%%S%t", Some("%S/run")),
        ("Environment=IT=a=b", Some("a=b")),
        ("Environment=NOIT=1 ITS=2", None),
        // Nothing behind a quote that does not end.
        ("Environment=A=1 \"B=2 IT=3", None),
        ("Environment=IT=1 \\q=2", Some("1")),
        ("Environment=IT=1\nUnsetEnvironment=IT", None),
        ("Environment=IT=1\nUnsetEnvironment=IT=1", None),
        ("Environment=IT=1\nUnsetEnvironment=IT=2", Some("1")),
        ("EnvironmentFile=-/etc/default/tokend", Some("?")),
        ("EnvironmentFile=/x\nUnsetEnvironment=IT", None),
        ("EnvironmentFile=/x\nEnvironmentFile=", None),
        // A file comes before what the unit says itself.
        ("EnvironmentFile=/x\nEnvironment=IT=1", Some("?")),
        ("Environment=IT=1\nEnvironmentFile=-/x", Some("?")),
        (
            "Environment=IT=1\nEnvironmentFile=/x\nEnvironmentFile=",
            Some("1"),
        ),
        (
            "Environment=IT=1\nEnvironmentFile=/x\nUnsetEnvironment=IT=1",
            Some("?"),
        ),
        (
            "Environment=IT=1\nEnvironmentFile=/x\nUnsetEnvironment=IT",
            None,
        ),
        ("PassEnvironment=A IT", Some("?")),
        ("PassEnvironment=A", None),
        ("[Unit]\nEnvironment=IT=1", None),
    ] {
        let text = format!("[Service]\n{lines}\n");
        let (_root, unit) = installed(&[("etc/systemd/system/tokend.service", &text)]);
        assert_eq!(variable(&unit.unwrap(), "IT").as_deref(), value, "{lines}");
    }
}

#[test]
fn where_the_daemon_cannot_write_goes_by_what_is_said_nearest_to_it() {
    let strict = "ProtectSystem=strict\nStateDirectory=tokend";
    for (lines, path, why) in [
        (strict, "/var/lib/tokend", None),
        (strict, "/srv/tokend", Some("ProtectSystem=strict")),
        (
            "ProtectSystem=full",
            "/etc/tokend/state",
            Some("ProtectSystem=full"),
        ),
        ("ProtectSystem=full", "/srv/tokend", None),
        (
            "ProtectSystem=yes",
            "/usr/local/tokend",
            Some("ProtectSystem=yes"),
        ),
        ("ProtectSystem=yes", "/etc/tokend", None),
        (
            "ProtectSystem=strict\nReadWritePaths=-/srv",
            "/srv/tokend",
            None,
        ),
        (
            "ReadWritePaths=/srv\nReadOnlyPaths=/srv/tokend",
            "/srv/tokend/state",
            Some("ReadOnlyPaths="),
        ),
        (
            "ReadOnlyPaths=/srv\nReadWritePaths=/srv/tokend",
            "/srv/tokend",
            None,
        ),
        (
            "ProtectHome=read-only",
            "/home/t",
            Some("ProtectHome=read-only"),
        ),
        ("ProtectHome=yes", "/home/t", Some("ProtectHome=")),
        (
            "DynamicUser=yes\nStateDirectory=tokend",
            "/srv",
            Some("DynamicUser="),
        ),
        (
            "DynamicUser=yes\nStateDirectory=tokend",
            "/var/lib/tokend",
            None,
        ),
    ] {
        let text = format!("[Service]\n{lines}\n");
        let (_root, unit) = installed(&[("etc/systemd/system/tokend.service", &text)]);
        let found = unit.unwrap().keeps_from_writing(Path::new(path));
        assert_eq!(found, why, "{lines}: {path}");
    }
}

#[test]
fn what_a_link_leads_to_counts_and_not_where_it_is() {
    let site = tempfile::tempdir().unwrap();
    let link = |name: &str, to: &str| {
        let at = site.path().join(name);
        std::os::unix::fs::symlink(to, &at).unwrap();
        at
    };
    // The site is below /tmp: what is told of it is by where the links lead.
    let text = format!(
        "[Service]\nProtectSystem=strict\nProtectHome=yes\nReadWritePaths={}\n",
        link("open", "/usr").display()
    );
    let (_root, unit) = installed(&[("etc/systemd/system/tokend.service", &text)]);
    let unit = unit.unwrap();
    let closed = Some("ProtectSystem=strict");
    assert_eq!(unit.keeps_from_writing(&link("a", "/usr")), None);
    assert_eq!(
        unit.keeps_from_writing(&site.path().join("a/not-there")),
        None
    );
    assert_eq!(unit.keeps_from_writing(&link("b", "/etc")), closed);
    assert_eq!(unit.hides(&link("c", "/root")), Some("ProtectHome="));
    assert_eq!(unit.hides(&site.path().join("b")), None);
}
