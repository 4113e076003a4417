//! `tokend egress` on the command line.

use clap::Args;

use tokend_egress::{Egress, Options};

pub(super) const HELP: &str = "\
A proxy for HTTP: CONNECT host:port, and requests for http:// addresses. It reads no configuration and holds no secret; https
to a provider passes through encrypted. The daemon finds it by TOKEND_EGRESS. systemd starts it (tokend-egress.socket)
with a socket that only the daemon can reach; see systemd/README.md. Started by hand it listens on a Unix socket and serves
the user who started it, root, and the users that --user names.

Example:
  tokend egress --listen /run/user/1000/tokend/egress.sock &
  TOKEND_EGRESS=/run/user/1000/tokend/egress.sock tokend";

/// Options of `tokend egress`.
#[derive(Debug, Clone, Default, Args)]
pub struct EgressArgs {
    /// Unix socket to listen on, if systemd passes none [default: egress.sock beside the daemon's socket]; or a loopback address, with --any-local-user
    #[arg(long, value_name = "PATH", value_parser = Egress::to_listen_at)]
    pub listen: Option<Egress>,
    /// Also serve this user, by name or number; can be given several times
    #[arg(long, value_name = "USER")]
    pub user: Vec<String>,
    /// Listen on a loopback address, where every user of this machine can connect through the relay
    #[arg(long)]
    pub any_local_user: bool,
}

impl EgressArgs {
    /// As the relay takes them.
    pub fn into_options(self) -> Options {
        Options {
            listen: self.listen,
            users: self.user,
            any_local_user: self.any_local_user,
        }
    }
}
