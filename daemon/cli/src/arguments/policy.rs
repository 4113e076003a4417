//! The command line of `tokend policy`.
//!
//! Owns its grammar and help. The description of a peer is read here and judged elsewhere.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use tokend_policy::{Digest, UnitPattern};
use tokend_proto::AccountName;

/// What `tokend policy` can do.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say which rule decides what a peer may do with an account, and where it stands
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Box<ExplainArgs>),
}

/// Options of `tokend policy explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The account
    #[arg(value_parser = account)]
    pub account: AccountName,
    /// Configuration [default: /etc/tokend/tokend.toml for root, else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The peer's user, by name or number
    #[arg(long, value_name = "USER", required_unless_present = "pid")]
    pub uid: Option<String>,
    /// Its primary group, by name or number
    #[arg(long, value_name = "GROUP")]
    pub gid: Option<String>,
    /// A supplementary group, by name or number; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Its unit of the system manager
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub unit: Option<String>,
    /// Its unit of the user's manager
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub user_unit: Option<String>,
    /// The program it runs
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub exe: Option<PathBuf>,
    /// SHA-256 of that program's file
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub sha256: Option<Digest>,
    /// A running process instead of all of these; only root sees the program of another user's process
    #[arg(long, value_name = "PID", conflicts_with_all = ["uid", "gid", "groups", "unit", "user_unit", "exe", "sha256"])]
    pub pid: Option<u32>,
}

const EXPLAIN_HELP: &str = "\
Reads the configuration and asks no daemon. Without --gid and --group the user has the groups it would have after logging
in. A fact about the peer that is not given matches no rule that needs it, and that rule is named.

Examples:
  tokend policy explain ads --uid deploy
  tokend policy explain ads --uid 1000 --unit backup.service
  sudo tokend policy explain ads --pid 4711";

fn account(text: &str) -> Result<AccountName, String> {
    text.parse()
        .map_err(|error: tokend_proto::NameError| error.to_string())
}

fn unit(text: &str) -> Result<String, String> {
    match UnitPattern::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a unit is written as NAME.service or NAME.scope".to_owned()),
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse()
        .map_err(|()| "a SHA-256 digest has 64 hexadecimal digits".to_owned())
}
