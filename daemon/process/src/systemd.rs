//! The service manager, where there is one.
//!
//! Owns the words of sd_notify(3). Decides nothing: the driver feeds the watchdog, from its own loop and
//! nowhere else. Without systemd every call does nothing.

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with,
};
use sd_notify::NotifyState;

/// Whether the machine's own systemd runs this process as a service with `Type=notify`, rather than a person, a
/// container or a user's manager.
pub fn is_the_machines() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| belongs_to_the_machines(&socket))
}

/// The directory of credentials that systemd gave this process (systemd.exec(5), `LoadCredential=`). Read here, and nowhere else.
pub fn credentials() -> Option<PathBuf> {
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty());
    dir.map(PathBuf::from)
}

/// A user's manager has its socket beneath /run/user.
fn belongs_to_the_machines(socket: &OsStr) -> bool {
    Path::new(socket).starts_with("/run/systemd")
}

/// The service manager that the daemon reports its state to.
#[derive(Debug, Clone)]
pub struct Manager {
    to: To,
    /// How long the driver may be silent before the daemon is taken for stuck.
    watchdog: Option<Duration>,
}

#[derive(Debug, Clone)]
enum To {
    Nobody,
    /// A datagram into a queue of hundreds; it waits only where systemd itself is stuck.
    Systemd,
    #[cfg(any(test, feature = "testing"))]
    Test(std::sync::Arc<std::sync::Mutex<Vec<String>>>),
}

impl Manager {
    /// The manager that started this process.
    pub fn of_this_process() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none_or(|path| path.is_empty()) {
            return Self::none();
        }
        Self {
            to: To::Systemd,
            watchdog: sd_notify::watchdog_enabled().filter(|time| !time.is_zero()),
        }
    }

    /// None.
    pub fn none() -> Self {
        Self {
            to: To::Nobody,
            watchdog: None,
        }
    }

    /// A manager that keeps what it is told, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn noting(
        watchdog: Option<Duration>,
    ) -> (Self, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
        let notes = std::sync::Arc::default();
        let to = To::Test(std::sync::Arc::clone(&notes));
        (Self { to, watchdog }, notes)
    }

    /// Whether anybody listens.
    pub fn listens(&self) -> bool {
        !matches!(self.to, To::Nobody)
    }

    /// How long the driver may be silent, if somebody watches it.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says that all is loaded and clients are served.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The configuration is being read again; [`Manager::ready`] follows.
    pub fn reloading(&self) {
        let mut states = vec![NotifyState::Reloading];
        // systemd from 253 on wants the time of the announcement beside it.
        states.extend(NotifyState::monotonic_usec_now());
        self.tell(&states);
    }

    /// Says that no more clients are served and running requests are being finished.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Gives the daemon's state in a line for people.
    pub fn status(&self, line: &str) {
        self.tell(&[NotifyState::Status(line)]);
    }

    /// Says that the driver's loop is alive.
    pub fn feed(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// Has systemd keep an open file under this name. If this process dies, its successor is given the file; where it is a connection, the
    /// other end notices nothing.
    pub fn keep(&self, name: &str, file: BorrowedFd<'_>) {
        let words = format!("FDSTORE=1\nFDNAME={name}");
        match &self.to {
            To::Systemd => {
                if let Err(error) = send_with(&words, file) {
                    tracing::debug!("systemd does not keep a file: {error}");
                }
            }
            _ => self.tell(&[NotifyState::Custom(&words)]),
        }
    }

    /// Has systemd close the file that it keeps under this name.
    pub fn keep_no_longer(&self, name: &str) {
        let words = format!("FDSTOREREMOVE=1\nFDNAME={name}");
        self.tell(&[NotifyState::Custom(&words)]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        match &self.to {
            To::Nobody => {}
            To::Systemd => {
                if let Err(error) = sd_notify::notify(states) {
                    tracing::debug!("systemd could not be notified: {error}");
                }
            }
            #[cfg(any(test, feature = "testing"))]
            To::Test(notes) => {
                let mut notes = notes
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                notes.extend(states.iter().map(ToString::to_string));
            }
        }
    }
}

/// Sends systemd these words with a file.
fn send_with(words: &str, file: BorrowedFd<'_>) -> io::Result<()> {
    let to = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let to = match to.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
        path => SocketAddrUnix::new(path),
    }?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let (mut files, file) = (SendAncillaryBuffer::new(&mut space), [file]);
    files.push(SendAncillaryMessage::ScmRights(&file));
    let words = [IoSlice::new(words.as_bytes())];
    sendmsg_addr(&socket, &to, &words, &mut files, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_manager_is_told_from_those_of_users_and_containers() {
        assert!(belongs_to_the_machines("/run/systemd/notify".as_ref()));
        for other in [
            "",
            "/run/user/1000/systemd/notify",
            "/run/notify/notify.sock",
            "@/org/freedesktop/somebody",
            "/run/systemd-of-mine/notify",
        ] {
            assert!(!belongs_to_the_machines(other.as_ref()), "{other}");
        }
    }
}
