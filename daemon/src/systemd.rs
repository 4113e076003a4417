//! What systemd is told, where there is one.
//!
//! Owns the notifications of sd_notify(3). Without systemd every call does nothing.

use sd_notify::NotifyState;

/// All is loaded and clients are served.
pub(crate) fn ready(accounts: usize) {
    let status = status(accounts);
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The configuration is being read again; [`ready`] follows.
pub(crate) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    // systemd from 253 on wants the time of the announcement beside it.
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// No more clients are served; what runs is being finished.
pub(crate) fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("finishing attempts under way"),
    ]);
}

fn status(accounts: usize) -> String {
    match accounts {
        1 => "serving 1 account".to_owned(),
        count => format!("serving {count} accounts"),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd was not told: {error}");
    }
}
