//! Signals, which an operator sends with kill(1).
//!
//! Owns which signal means what. SIGHUP reloads; SIGTERM and SIGINT drain, and a second one ends the wait for
//! what still runs; SIGXFSZ is ignored.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::StreamExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook_tokio::Signals;

/// Makes a limit on the size of files (`RLIMIT_FSIZE`) refuse a write, as a full disk does, although its signal
/// would end the process.
///
/// Installs a handler that does nothing, and does not ignore the signal: programs that are started, such as a
/// `command`, begin with the default.
pub fn outlive_a_limit_on_files() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// Read the configuration again.
    Reload,
    /// Finish and exit.
    Stop,
}

/// The signals as they come.
pub struct Incoming {
    signals: Signals,
    /// Whether a reload was asked for while something else had to be done first.
    put_off: bool,
}

impl Incoming {
    /// Begins to listen. From here on none of these signals ends the process by itself.
    pub fn register() -> io::Result<Self> {
        Ok(Self {
            signals: Signals::new([SIGHUP, SIGINT, SIGTERM])?,
            put_off: false,
        })
    }

    /// Runs `work`, and gives it up when a signal asks to stop meanwhile. A reload that is asked for meanwhile
    /// comes next.
    pub async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut put_off = false;
        let done = loop {
            tokio::select! {
                done = &mut work => break Some(done),
                asked = self.next() => match asked {
                    SignalRequest::Reload => put_off = true,
                    SignalRequest::Stop => break None,
                },
            }
        };
        self.put_off = put_off;
        done
    }

    /// Waits until a signal asks to stop, and ignores all others.
    pub async fn stop(&mut self) {
        while self.next().await != SignalRequest::Stop {}
    }

    /// The next one.
    pub async fn next(&mut self) -> SignalRequest {
        if std::mem::take(&mut self.put_off) {
            return SignalRequest::Reload;
        }
        match self.signals.next().await {
            Some(SIGHUP) => SignalRequest::Reload,
            _ => SignalRequest::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use signal_hook::low_level::raise;

    use super::*;

    #[tokio::test]
    async fn work_is_given_up_when_asked_to_stop_and_a_reload_comes_after_it() {
        let mut incoming = Incoming::register().unwrap();
        raise(SIGTERM).unwrap();
        assert_eq!(incoming.unless_stopped(pending::<()>()).await, None);
        let (go_on, held) = tokio::sync::oneshot::channel();
        raise(SIGHUP).unwrap();
        let work = incoming.unless_stopped(held);
        let later = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            go_on.send(7)
        };
        let (done, sent) = tokio::join!(work, later);
        assert_eq!((done, sent), (Some(Ok(7)), Ok(())));
        assert_eq!(incoming.next().await, SignalRequest::Reload);
    }
}
