//! The Debian package, from `dpkg -i` to a purge, and the guide for it.

use std::process::{Command, Stdio};

use tokend_harness::{Said, demand::carried_out};
use tokend_provider_simulator::{
    Simulator,
    spec::{AccountSpec, Api},
};
use tokend_tests::systemd::{self, Machine};

use crate::{front, guide::SUDO, operations, released, stage::CLIENT};

/// The guide's names for both.
const ACCOUNT: &str = "ads";
const HOST: &str = "ads.example.com";
const STATE: &str = "/var/lib/tokend";

/// A machine without any file of ours, and with the provider of the guide's account.
struct Scene {
    sim: Simulator,
    machine: Machine,
}

impl Scene {
    fn new() -> Option<Self> {
        if !carried_out("the package under a booted systemd", systemd::possible()) {
            return None;
        }
        let machine = Machine::boot().unwrap();
        machine.shell(&format!("useradd {CLIENT}")).unwrap();
        machine
            .copy(&released::deb(), "/root/tokend_1_all.deb", "644")
            .unwrap();
        machine.put("/usr/local/bin/sudo", SUDO, "755").unwrap();
        let mut account = AccountSpec::new(ACCOUNT, Api::AdVerification);
        account.username = Some("you@example.com".into());
        let sim = machine
            .within(|| Simulator::start(vec![account]))
            .unwrap()
            .unwrap();
        let url = sim.base_url(Api::AdVerification);
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        front::raise(&machine, HOST, address.parse().unwrap());
        Some(Self { sim, machine })
    }

    /// Follows one section of the guide literally. Returns the output of the last command.
    fn follow(&self, title: &str) -> Said {
        let mut last = None;
        for operations::Command(command) in operations::section(title) {
            let typed = match command.contains("/dev/stdin") {
                true => format!("{}\n", self.sim.accounts()[0].password.as_deref().unwrap()),
                false => String::new(),
            };
            let said = self.type_in(&command, &typed);
            assert_eq!(
                said.code,
                Some(0),
                "{command}: {said:?}\n{}",
                self.journal()
            );
            last = Some(said);
        }
        last.unwrap()
    }

    fn type_in(&self, command: &str, typed: &str) -> Said {
        let mut input = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut input, typed.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut input).unwrap();
        let line = format!("cd /root && {command}");
        self.machine
            .run_with(&["bash", "-euo", "pipefail", "-c", &line], input)
            .unwrap()
    }

    fn installed(&self) {
        self.follow("Install");
        self.follow("The first account in five minutes");
    }

    fn get(&self) -> String {
        let said = self
            .machine
            .run_as(CLIENT, &["tokenctl", "get", ACCOUNT])
            .unwrap();
        assert_eq!(said.code, Some(0), "{said:?}\n{}", self.journal());
        said.line().unwrap()
    }

    fn shell(&self, lines: &str) -> String {
        let said = self.machine.shell(lines);
        said.unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()))
    }

    /// Installs the same as the next version.
    fn upgrade(&self) {
        self.shell(
            "dpkg-deb -R /root/tokend_1_all.deb /root/next\n\
             sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control\n\
             dpkg-deb --root-owner-group -b /root/next /root/next.deb >/dev/null\n\
             dpkg -i /root/next.deb >/dev/null",
        );
    }

    fn is_there(&self, path: &str) -> bool {
        self.machine.run(&["test", "-e", path]).unwrap().code == Some(0)
    }

    fn journal(&self) -> String {
        self.machine.journal("tokend.service").unwrap()
    }
}

#[test]
fn the_guide_leads_from_the_package_to_the_first_token() {
    let Some(scene) = Scene::new() else { return };
    let installed = scene.follow("Install");
    assert_eq!(installed.out, "active\nactive\n");
    let commands = operations::section("The first account in five minutes");
    assert!(commands.len() >= 5);
    let status = scene.follow("The first account in five minutes");
    assert!(status.out.contains(ACCOUNT), "{status:?}");
    assert_eq!(Some(scene.get()), scene.sim.newest_access(ACCOUNT));
    assert_eq!(scene.sim.log(ACCOUNT).logins(), 1);
    assert_eq!(scene.sim.violations(), []);
    // The programs that others start by their own names.
    for helper in [
        &["git-credential-tokenctl", "capability"][..],
        &["docker-credential-tokenctl", "version"],
        &["cargo-credential-tokenctl", "--cargo-plugin"],
        &["terraform-credentials-tokenctl", "forget", "example.com"],
    ] {
        let said = scene.machine.run_as(CLIENT, helper).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    // Root administers and gets no token.
    let root = scene.machine.run(&["tokenctl", "get", ACCOUNT]).unwrap();
    assert_eq!(root.code, Some(77), "{root:?}");
}

#[test]
fn the_guides_backup_restore_and_new_key_lose_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.installed();
    let token = scene.get();
    for title in ["Backup and restore", "The sealing key"] {
        scene.follow(title);
        assert_eq!(scene.get(), token, "{title}");
    }
    assert_eq!(scene.sim.log(ACCOUNT).token_requests(), 1);
}

#[test]
fn an_upgrade_keeps_tokens_and_asks_no_provider() {
    let Some(scene) = Scene::new() else { return };
    scene.installed();
    let token = scene.get();
    let sink = "tokend-sink@feed.service";
    scene.shell(&format!(
        "mkdir -p /etc/tokend/sinks.d /etc/systemd/system/{sink}.d\n\
         printf '[Service]\\nUser={CLIENT}\\n' >/etc/systemd/system/{sink}.d/user.conf\n\
         printf 'account = \"{ACCOUNT}\"\\npath = \"/run/tokend-sink/feed/token\"\\n' >/etc/tokend/sinks.d/feed.toml\n\
         systemctl daemon-reload\n\
         systemctl start {sink}"
    ));
    let main = |unit| scene.machine.property(unit, "MainPID").unwrap();
    let (before, sink_before) = (main("tokend.service"), main(sink));
    scene.upgrade();
    assert_ne!(main("tokend.service"), before);
    // A sink that runs is the new program too, and its file was left to it.
    assert_ne!(main(sink), sink_before);
    assert_eq!(
        scene.machine.property(sink, "ActiveState").unwrap(),
        "active"
    );
    assert_eq!(scene.shell("cat /run/tokend-sink/feed/token"), token);
    assert_eq!(scene.get(), token);
    assert_eq!(scene.sim.log(ACCOUNT).token_requests(), 1);
    assert!(scene.is_there("/etc/tokend/accounts.d/ads.toml"));
}

const OUTLETS: [&str; 4] = [
    "tokend-http.socket",
    "tokend-credentials.socket",
    "tokend-oidc-agent.socket",
    "tokend-metrics.socket",
];
const ENDPOINT: [&str; 2] = [
    "tokend-endpoint@report.socket",
    "tokend-endpoint@report.service",
];

#[test]
fn outlets_are_off_until_enabled_outlive_an_upgrade_and_go_with_a_purge() {
    let Some(scene) = Scene::new() else { return };
    scene.installed();
    let active = |unit: &str| scene.machine.property(unit, "ActiveState").unwrap() == "active";
    for socket in OUTLETS {
        let said = scene.machine.run(&["systemctl", "is-enabled", socket]);
        assert_eq!(said.unwrap().out.trim_end(), "disabled", "{socket}");
        assert!(!active(socket), "{socket}");
    }
    let (sockets, endpoint) = (OUTLETS.join(" "), ENDPOINT.join(" "));
    scene.shell(&format!(
        "systemctl stop tokend.socket tokend.service\n\
         systemctl enable {sockets}\nsystemctl start {sockets}\nsystemctl start tokend.socket tokend.service\n\
         cd /etc/systemd/system && mkdir 'tokend-endpoint@report.socket.d' 'tokend-endpoint@report.service.d'\n\
         printf '[Socket]\\nListenStream=127.0.0.1:7201\\n' > tokend-endpoint@report.socket.d/own.conf\n\
         printf '[Service]\\nUser={CLIENT}\\nEnvironment=\"ENDPOINT=azure {ACCOUNT}\"\\n' > tokend-endpoint@report.service.d/own.conf\n\
         systemctl daemon-reload && systemctl enable --now {endpoint}"
    ));
    let http = || {
        let ask = format!(
            "curl -s --unix-socket /run/tokend/http.sock -H 'X-Tokend: 1' http://tokend/v1/accounts/{ACCOUNT}/token"
        );
        scene
            .machine
            .run_as(CLIENT, &["sh", "-c", &ask])
            .unwrap()
            .out
    };
    let variables = || scene.shell("cat /run/tokend-endpoint/report/environment");
    let process = || scene.machine.property(ENDPOINT[1], "MainPID").unwrap();
    let (before, began, token) = (variables(), process(), scene.get());
    assert!(http().contains(&token));
    scene.upgrade();
    for unit in OUTLETS.iter().chain(&ENDPOINT) {
        assert!(active(unit), "{unit}");
    }
    assert!(http().contains(&token));
    assert_eq!(variables(), before, "a program that has them goes on");
    assert_ne!(process(), began, "it is of the new package");
    scene.shell("dpkg --remove tokend");
    for unit in OUTLETS.iter().chain(&ENDPOINT) {
        assert!(!active(unit), "{unit}");
    }
    scene.shell("DEBIAN_FRONTEND=noninteractive dpkg --purge tokend 2>&1");
    let left =
        scene.shell("find /etc/systemd/system /var/lib/systemd -name '*tokend*' ! -name '*.d'");
    assert_eq!(left, "", "links of a package that is gone");
}

#[test]
fn a_purge_deletes_logins_only_for_whoever_says_so() {
    let Some(scene) = Scene::new() else { return };
    scene.installed();
    let token = scene.get();
    let active = || {
        scene
            .machine
            .property("tokend.service", "ActiveState")
            .unwrap()
    };
    let purge = "DEBIAN_FRONTEND=noninteractive dpkg --purge tokend 2>&1";

    scene.shell("dpkg --remove tokend");
    assert_ne!(active(), "active");
    assert!(scene.is_there(STATE) && scene.is_there("/etc/tokend/tokend.toml"));
    let said = scene.shell(purge);
    assert!(said.contains("are kept"), "{said}");
    assert!(scene.is_there(STATE) && !scene.is_there("/etc/tokend/tokend.toml"));
    assert!(
        scene.is_there("/etc/tokend/secrets/ads"),
        "a secret somebody put there"
    );

    // The kept files are as good as before.
    scene.follow("Install");
    scene.shell("tokenctl reload");
    assert_eq!(scene.get(), token);
    assert_eq!(scene.sim.log(ACCOUNT).token_requests(), 1);

    scene.shell("echo 'tokend tokend/delete-state boolean true' | debconf-set-selections");
    scene.shell(purge);
    assert!(!scene.is_there(STATE));
    assert_eq!(
        scene.shell("debconf-show tokend"),
        "",
        "the question is gone with its package"
    );
}

#[test]
fn lintian_finds_nothing_in_the_package() {
    let Ok(output) = Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning,info", "--info"])
        .arg(released::deb())
        .stdin(Stdio::null())
        .output()
    else {
        panic!("there is no lintian; tests/setup installs it");
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
