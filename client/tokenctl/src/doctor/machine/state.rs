//! The state of a unit, as systemd reports it.
//!
//! Reads the output of `systemctl show`; does not know which unit it is about.

/// The reported state of a unit.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) load: String,
    pub(super) active: String,
    pub(super) sub: String,
    pub(super) result: String,
    pub(super) status: String,
    pub(super) restarts: String,
    pub(super) invocation: String,
    /// Whether it starts with the machine.
    pub(super) enabled: String,
    listens: String,
}

impl State {
    /// How often systemd has restarted it. `None` if systemd does not say.
    pub(super) fn restarts(&self) -> Option<u64> {
        self.restarts.parse().ok()
    }

    /// The same as the end of a sentence.
    pub(super) fn so_far(&self) -> String {
        match self.restarts() {
            // There is no count before the first restart.
            None | Some(0) => String::new(),
            Some(1) => ", so far once".to_owned(),
            Some(times) => format!(", so far {times} times"),
        }
    }

    /// The path of a socket in the file system.
    pub(super) fn listens_at(&self) -> Option<&str> {
        let path = self.listens.strip_suffix(" (Stream)")?;
        path.starts_with('/').then_some(path)
    }

    pub(super) fn read(shown: &str) -> Self {
        let value = |name: &str| {
            let line = shown.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|rest| rest.strip_prefix('='));
            value.unwrap_or("unknown").to_owned()
        };
        Self {
            load: value("LoadState"),
            active: value("ActiveState"),
            sub: value("SubState"),
            result: value("Result"),
            status: value("ExecMainStatus"),
            restarts: value("NRestarts"),
            invocation: value("InvocationID"),
            enabled: value("UnitFileState"),
            listens: value("Listen"),
        }
    }
}
