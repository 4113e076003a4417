//! How a daemon is started on this machine.
//!
//! Owns where systemd's units are looked for. It reads whether files exist and starts nothing.

use std::path::Path;

/// Which of systemd's units of tokend there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// One of the machine.
    System,
    /// One of users, and none of the machine.
    User,
    /// None, so that nothing but the program itself can be started.
    None,
}

/// Where packages, administrators and generators put units, as systemd.unit(5) has it.
const DIRECTORIES: [&str; 4] = [
    "/etc/systemd",
    "/run/systemd",
    "/usr/lib/systemd",
    "/lib/systemd",
];

/// The units of this machine.
pub(crate) fn units() -> Units {
    let is_there = |kind: &str| {
        let unit = |directory: &&str| Path::new(directory).join(kind).join("tokend.service");
        DIRECTORIES.iter().any(|it| unit(it).exists())
    };
    if is_there("system") {
        Units::System
    } else if is_there("user") {
        Units::User
    } else {
        Units::None
    }
}

/// Where to look when the daemon says nothing.
pub(crate) fn how_to_look() -> &'static str {
    match units() {
        Units::System => {
            "it may be stopped, hang, or not come up: systemctl status tokend and tokenctl doctor say which; then try again"
        }
        Units::User => {
            "it may be stopped, hang, or not come up: systemctl --user status tokend and tokenctl doctor say which; then try again"
        }
        Units::None => {
            "it may be stopped, hang, or not come up: check its process and its log, and run tokenctl doctor; then try again"
        }
    }
}

/// How to start the daemon, as the beginning of a sentence.
pub fn how_to_start() -> &'static str {
    match units() {
        Units::System => "start the daemon: systemctl start tokend",
        Units::User => "start the daemon: systemctl --user start tokend",
        Units::None => "start the daemon: tokend",
    }
}
