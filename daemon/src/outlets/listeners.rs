//! The sockets of outlets.
//!
//! Owns which outlets listen: those whose sockets systemd passed, and those whose paths `[listen]` names. None does by default.

use std::io;

use tokend_config::Config;
use tokend_policy::Outlet;
use tokend_process::listen::{self, Bound, ListenError, SocketOrigin, Usage};
use tokend_process::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::http::Http;
use super::oidc_agent::OidcAgent;
use crate::server::accept::{self, Places};

/// Sockets on which no connection is accepted yet.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<(Outlet, Bound)>);

impl Listeners {
    /// Makes the sockets that are configured. One that systemd `passed` takes precedence over the path of the same outlet.
    pub(crate) fn bind(config: &Config, passed: Vec<(Outlet, Bound)>) -> Result<Self, ListenError> {
        let mut all = passed;
        for outlet in Outlet::ALL {
            let is_passed = all.iter().any(|(own, _)| *own == outlet);
            if let Some(path) = config.listen.at(outlet).filter(|_| !is_passed) {
                let bound = listen::bind(path, config.socket_mode, Usage::Outlet(outlet))?;
                all.push((outlet, bound));
            }
        }
        Ok(Self(all))
    }

    /// Where they are, to clean up at the end.
    pub(crate) fn origins(&self) -> Vec<SocketOrigin> {
        let origins = self.0.iter().map(|(_, bound)| bound.origin.clone());
        origins.collect()
    }

    /// Begins to accept connections.
    pub(crate) fn start(
        self,
        places: &Places,
        stage: &watch::Receiver<Shutdown>,
    ) -> Vec<JoinHandle<io::Result<()>>> {
        let start = |(outlet, bound): (Outlet, Bound)| {
            tracing::info!(socket = %bound.origin, "{outlet} is served");
            let (places, stage) = (places.clone(), stage.clone());
            match outlet {
                Outlet::Http => tokio::spawn(accept::run::<Http>(bound.fd, places, stage)),
                Outlet::OidcAgent => {
                    tokio::spawn(accept::run::<OidcAgent>(bound.fd, places, stage))
                }
            }
        };
        self.0.into_iter().map(start).collect()
    }
}
