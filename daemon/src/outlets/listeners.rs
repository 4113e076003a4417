//! The sockets of outlets.
//!
//! Owns which outlets listen: those whose sockets systemd passed, and those whose paths `[listen]` names. None does by default.

use std::io;
use std::os::fd::OwnedFd;

use tokend_config::Config;
use tokend_policy::Outlet;
use tokend_process::listen::{self, Bound, ListenError, SocketOrigin, Usage};
use tokend_process::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::credentials::{self, Credentials};
use super::http::Http;
use super::oidc_agent::OidcAgent;
use crate::server::accept::{self, Places};

/// Sockets on which no connection is accepted yet, and connections that are not served yet.
#[derive(Debug)]
pub(crate) struct Listeners {
    all: Vec<(Outlet, Bound)>,
    /// Those that the daemon before left to this one.
    kept: Vec<(String, OwnedFd)>,
}

impl Listeners {
    /// Makes the sockets that are configured. One that systemd `passed` takes precedence over the path of the same outlet.
    pub(crate) fn bind(
        config: &Config,
        passed: Vec<(Outlet, Bound)>,
        kept: Vec<(String, OwnedFd)>,
    ) -> Result<Self, ListenError> {
        let mut all = passed;
        for outlet in Outlet::ALL {
            let is_passed = all.iter().any(|(own, _)| *own == outlet);
            if let Some(path) = config.listen.at(outlet).filter(|_| !is_passed) {
                let bound = listen::bind(path, config.socket_mode, Usage::Outlet(outlet))?;
                all.push((outlet, bound));
            }
        }
        Ok(Self { all, kept })
    }

    /// Where they are, to clean up at the end.
    pub(crate) fn origins(&self) -> Vec<SocketOrigin> {
        let origins = self.all.iter().map(|(_, bound)| bound.origin.clone());
        origins.collect()
    }

    /// Begins to accept connections.
    pub(crate) fn start(
        self,
        places: &Places,
        stage: &watch::Receiver<Shutdown>,
    ) -> Vec<JoinHandle<io::Result<()>>> {
        for (name, connection) in self.kept {
            credentials::take_over(&name, connection, places, stage);
        }
        let start = |(outlet, bound): (Outlet, Bound)| {
            tracing::info!(socket = %bound.origin, "{outlet} is served");
            let (places, stage) = (places.clone(), stage.clone());
            match outlet {
                Outlet::Http => tokio::spawn(accept::run::<Http>(bound.fd, places, stage)),
                Outlet::Credentials => {
                    tokio::spawn(accept::run::<Credentials>(bound.fd, places, stage))
                }
                Outlet::OidcAgent => {
                    tokio::spawn(accept::run::<OidcAgent>(bound.fd, places, stage))
                }
            }
        };
        self.all.into_iter().map(start).collect()
    }
}
