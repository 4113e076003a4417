//! A booted machine with tokend installed, an account, and its provider on the machine's loopback.

use tokend_harness::{
    Said,
    clock::{PATIENCE, wait_until},
    demand::carried_out,
};
use tokend_provider_simulator::{
    Simulator,
    fault::{Fault, FaultKind, Rule},
    spec::{AccountSpec, Api},
};
use tokend_tests::systemd::{self, Machine, Running};

/// The user who may have tokens.
pub(crate) const CLIENT: &str = "deploy";
/// The user who may not.
pub(crate) const STRANGER: &str = "mallory";
/// The account.
pub(crate) const IT: &str = "it";
/// A rate limit that never matters here, and no attempt without a request.
const QUIET: &str = r#"
refresh = "on-demand"
pacing = { attempts = { burst = 5000, every = "10ms" }, logins = { burst = 5000, every = "10ms" }, host = { burst = 5000, every = "10ms" } }
"#;
/// The delay of a late reply.
const LATE: FaultKind = FaultKind::Slow { ms: 1500 };
/// The place of its password.
pub(crate) const SECRET: &str = "/etc/tokend/secrets/it";
const CONFIGURATION: &str = "/etc/tokend/tokend.toml";

pub(crate) struct Stage {
    // Declared before the machine, whose network its sockets are in.
    pub(crate) sim: Simulator,
    pub(crate) machine: Machine,
}

impl Stage {
    /// A machine with users and a provider; `None` if that is impossible, after saying why.
    pub(crate) fn bare() -> Option<Self> {
        if !carried_out("units under a booted systemd", systemd::possible()) {
            return None;
        }
        let machine = Machine::boot().unwrap();
        machine
            .shell(&format!("useradd -m {CLIENT}\nuseradd -m {STRANGER}"))
            .unwrap();
        let account = AccountSpec::new(IT, Api::JwtApi).with(|it| it.suspension = None);
        let sim = machine
            .within(|| Simulator::start(vec![account]))
            .unwrap()
            .unwrap();
        Some(Self { sim, machine })
    }

    /// With tokend installed, and nothing else.
    pub(crate) fn installed() -> Option<Self> {
        let stage = Self::bare()?;
        systemd::install(&stage.machine).unwrap();
        Some(stage)
    }

    /// Installed and configured, not started.
    pub(crate) fn configured() -> Option<Self> {
        let stage = Self::installed()?;
        stage.mend_configuration();
        stage.place_secret();
        Some(stage)
    }

    /// The same with the service running.
    pub(crate) fn started() -> Option<Self> {
        let stage = Self::configured()?;
        stage.systemctl(&["enable", "--now", "tokend.socket", "tokend.service"]);
        Some(stage)
    }

    /// The configuration of the account; `password` is the line that says where its password is.
    pub(crate) fn configuration(&self, password: &str) -> String {
        let account = &self.sim.accounts()[0];
        format!(
            "[account.{IT}]\nprovider = \"{}\"\nbase_url = \"{}\"\nusername = \"{}\"\n{password}\nallow = [{{ user = \"{CLIENT}\" }}]\n{QUIET}",
            account.api.dialect(),
            self.sim.base_url(account.api),
            account.username.as_deref().unwrap_or_default(),
        )
    }

    /// Writes it.
    pub(crate) fn configure(&self, password: &str) {
        let text = self.configuration(password);
        self.machine.put(CONFIGURATION, &text, "644").unwrap();
    }

    /// Puts the password where the configuration says.
    pub(crate) fn place_secret(&self) {
        self.machine.put(SECRET, &self.password(), "600").unwrap();
        let give = format!("chown tokend: {SECRET}");
        self.machine.shell(&give).unwrap();
    }

    /// The account's password.
    pub(crate) fn password(&self) -> String {
        self.sim.accounts()[0].password.clone().unwrap()
    }

    /// Runs a command in the machine as root.
    pub(crate) fn run(&self, command: &[&str]) -> Said {
        self.machine.run(command).unwrap()
    }

    /// `systemctl` with these words, which must succeed.
    pub(crate) fn systemctl(&self, words: &[&str]) -> String {
        let said = self.run(&[&["systemctl"], words].concat());
        assert_eq!(
            said.code,
            Some(0),
            "{words:?}: {said:?}\n{}",
            self.journal()
        );
        said.out
    }

    pub(crate) fn get_as(&self, user: &str) -> Said {
        self.machine.run_as(user, &["tokenctl", "get", IT]).unwrap()
    }

    /// A token for the client.
    pub(crate) fn get(&self) -> String {
        let said = self.get_as(CLIENT);
        assert_eq!(said.code, Some(0), "{said:?}\n{}", self.journal());
        said.line().unwrap()
    }

    /// A property of the service.
    pub(crate) fn property(&self, name: &str) -> String {
        self.machine.property("tokend.service", name).unwrap()
    }

    pub(crate) fn journal(&self) -> String {
        self.machine.journal("tokend.service").unwrap()
    }

    /// Token requests the provider has seen.
    pub(crate) fn requests(&self) -> usize {
        self.sim.log(IT).token_requests()
    }

    /// The provider saw nothing that a well-behaved broker never does.
    pub(crate) fn behaved(&self) {
        assert_eq!(self.sim.violations(), []);
    }

    /// Writes a configuration with a mistake.
    pub(crate) fn break_configuration(&self) {
        let broken = "[account.it]\nprovidr = \"jwt-api\"\n";
        self.machine.put(CONFIGURATION, broken, "644").unwrap();
    }

    /// Writes the working configuration again.
    pub(crate) fn mend_configuration(&self) {
        self.configure(&format!("password = {{ file = \"{SECRET}\" }}"));
    }

    /// Lines for a drop-in of the service.
    pub(crate) fn drop_in(&self, lines: &str) {
        let path = "/etc/systemd/system/tokend.service.d/test.conf";
        let text = format!("[Service]\n{lines}\n");
        self.machine.put(path, &text, "644").unwrap();
        self.systemctl(&["daemon-reload"]);
    }

    /// Installs a drop-in of `systemd/examples`, as its first lines say.
    pub(crate) fn example(&self, name: &str) {
        self.example_for("tokend.service", name);
    }

    /// The same for another unit than the daemon's.
    pub(crate) fn example_for(&self, unit: &str, name: &str) {
        let from = systemd::unit_files().join("examples").join(name);
        let to = format!("/etc/systemd/system/{unit}.d/{name}");
        self.machine.copy(&from, &to, "644").unwrap();
        self.systemctl(&["daemon-reload"]);
    }

    /// Starts a `get` of the client without waiting for it.
    pub(crate) fn getting(&self) -> Running {
        let get = ["tokenctl", "get", IT];
        self.machine.spawn_as(CLIENT, &get).unwrap()
    }

    /// Starts a `get` whose attempt has reached the provider, and whose reply is later than anything else would be waited for.
    pub(crate) fn getting_late(&self) -> Running {
        self.sim.fail(Rule::once(IT, Fault::after(LATE)));
        let getting = self.getting();
        self.wait_for_requests(1);
        getting
    }

    /// Waits for a property of the service.
    pub(crate) fn wait_for(&self, name: &str, wanted: &str) {
        self.wait(name, || self.property(name) == wanted);
    }

    /// Waits for a condition.
    pub(crate) fn wait(&self, what: &str, condition: impl FnMut() -> bool) {
        if let Err(error) = wait_until(what, PATIENCE, condition) {
            let status = self.run(&["systemctl", "status", "--no-pager", "tokend.service"]);
            panic!("{error}\n{}\n{}", status.out, self.journal());
        }
    }

    /// Waits until the provider has received this many requests.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.wait("requests", || self.requests() >= count);
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, signal: &str) {
        self.systemctl(&[
            "kill",
            "--kill-who=main",
            "--signal",
            signal,
            "tokend.service",
        ]);
    }
}
