//! `tokend key`: creates and replaces the key that seals the store.
//!
//! Owns the messages. The order of the steps is the store's. Must never print a key, nor run beside a daemon.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tokend_config::Environment;
use tokend_store::{
    KEY_FILE, NamedKey, Rotated, StateDir, make_key_file, must_be_elsewhere, rotate_key_file,
    rotate_to_named,
};

use super::printing::{Failure, Output, finish};
use super::run_as::{RunAs, RunAsOptions, become_owner, owner_to_be};
use crate::arguments::{Exit, KeyCommand, RotateArgs, is_mistake_of_store};

/// Runs `command`.
pub fn run(command: &KeyCommand, environment: &Environment, output: &mut Output<'_>) -> Exit {
    let done = match command {
        KeyCommand::New { file } => make(file, output.out),
        KeyCommand::Rotate(args) => rotate(args, environment, output),
    };
    finish(done, output.err)
}

fn make(file: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    make_key_file(file).map_err(|error| refused(&error.into()))?;
    writeln!(out, "a new key is in {}", file.display())?;
    Ok(Exit::Success)
}

fn rotate(
    args: &RotateArgs,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    // A command line that names the directory needs no configuration.
    let state_dir = match &args.state_dir {
        Some(dir) if args.config.is_none() => dir.clone(),
        _ => {
            let options = RunAsOptions {
                config: args.config.as_deref(),
                state_dir: args.state_dir.as_deref(),
                user: None,
            };
            let run_as = RunAs::find(options, environment);
            let run_as =
                run_as.map_err(|why| Failure::line(Exit::Usage, format!("tokend: {why}")))?;
            run_as.load(output.medium)?.state_dir
        }
    };
    // Key files that root made for a credential are readable only by root.
    let keys = Keys::named(&state_dir, args).map_err(|error| refused(&error))?;
    // Files that root created there would keep the daemon from starting.
    become_owner(&state_dir).map_err(|error| {
        let shown = state_dir.display();
        Failure::line(
            Exit::NotNow,
            format!(
                "tokend: root cannot act as the owner of {shown} here: {error}; run it as that user"
            ),
        )
    })?;
    let done = replace(&state_dir, &keys).map_err(|error| refused(&error))?;
    report_rotation(done, &state_dir, args, output.out)?;
    Ok(Exit::Success)
}

/// The keys that the command line names.
struct Keys {
    old: Option<NamedKey>,
    new: Option<NamedKey>,
}

impl Keys {
    /// Reads the keys as the user who runs the command. If that is root, the files may also belong to the owner of the store, as whom root
    /// continues.
    fn named(state_dir: &Path, args: &RotateArgs) -> anyhow::Result<Self> {
        let own = state_dir.join(KEY_FILE);
        if let Some(new) = &args.new_key {
            must_be_elsewhere(&own, new)?;
        }
        let owner = owner_to_be(state_dir);
        let read = |path: &Path| NamedKey::read(path, owner);
        // An interrupted rotation is settled before the check which key the store's own file holds.
        let kept = fs::canonicalize(own).ok();
        let old = args.old_key.as_deref();
        let old = old.filter(|path| kept.is_none() || fs::canonicalize(path).ok() != kept);
        Ok(Self {
            old: old.map(read).transpose()?,
            new: args.new_key.as_deref().map(read).transpose()?,
        })
    }
}

fn replace(state_dir: &Path, keys: &Keys) -> anyhow::Result<Rotated> {
    let state = StateDir::acquire(state_dir)?;
    let kept = state_dir.join(KEY_FILE);
    let Some(new) = &keys.new else {
        return Ok(rotate_key_file(&state, &kept)?);
    };
    let old = keys.old.as_ref().map(NamedKey::key);
    Ok(rotate_to_named(&state, &kept, old, new)?)
}

fn report_rotation(
    done: Rotated,
    state_dir: &Path,
    args: &RotateArgs,
    out: &mut dyn Write,
) -> io::Result<()> {
    match done {
        Rotated::Resealed(1) => writeln!(out, "1 record is sealed with the new key")?,
        Rotated::Resealed(count) => writeln!(out, "{count} records are sealed with the new key")?,
        Rotated::Already => writeln!(out, "the store is sealed with the new key already")?,
    }
    match &args.new_key {
        None => writeln!(
            out,
            "it is in {}; back it up with the store",
            state_dir.join(KEY_FILE).display()
        )?,
        Some(new) => writeln!(
            out,
            "before you start tokend, make {} the credential tokend.key, and take away the old key",
            new.display()
        )?,
    }
    Ok(())
}

/// The same errors end a daemon in the same way.
fn refused(error: &anyhow::Error) -> Failure {
    let exit = match is_mistake_of_store(error).unwrap_or(false) {
        true => Exit::Config,
        false => Exit::NotNow,
    };
    Failure::line(exit, format!("tokend: {error:#}"))
}

#[cfg(test)]
mod tests;
