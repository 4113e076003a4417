//! The command line of `tokend key`.
//!
//! Owns its grammar and help. Takes names of key files and never a key itself: the command line is no place for secrets.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// What `tokend key` can do.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key in a file that only its owner can read
    New {
        /// The file; it must not exist yet
        file: PathBuf,
    },
    /// Seal the store with another key
    #[command(after_help = ROTATE_HELP)]
    Rotate(RotateArgs),
}

/// Options of `tokend key rotate`.
#[derive(Debug, Clone, Default, Args)]
pub struct RotateArgs {
    /// Configuration [default: /etc/tokend/tokend.toml for root, else $XDG_CONFIG_HOME/tokend/tokend.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Directory of the store and its key; overrides `state_dir` of the configuration
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,
    /// The key that opens the store now [default: tokend.key in the state directory]
    #[arg(long, value_name = "FILE", requires = "new_key")]
    pub old_key: Option<PathBuf>,
    /// The key to seal it with, if the daemon's key is not in the state directory [default: a new one in the old one's place]
    #[arg(long, value_name = "FILE")]
    pub new_key: Option<PathBuf>,
}

const ROTATE_HELP: &str = "\
The daemon must be stopped. Every record is sealed with the new key in one transaction; if the machine crashes meanwhile, the
next start, or the same command again, completes it. If the disk fails meanwhile (exit code 75), keep both tokend.key and
tokend.key.next: the next start, or the same command again, finds out which of them opens the store. Root acts as the owner of the
state directory:
  sudo tokend key rotate

To replace a key that is a systemd credential, make a file and encrypt it afterwards. Both files may belong to root. NEW is never
tokend.key or tokend.key.next of the state directory, which tokend replaces itself:
  sudo tokend key new NEW
  sudo tokend key rotate --old-key OLD --new-key NEW

Earlier backups need the old key. Destroy it when they are gone: it still opens what deleted parts of the file may hold.";
