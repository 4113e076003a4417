//! `tokend key`: creates and replaces the key that seals the store.
//!
//! Owns the messages. The order of the steps is the store's. Must never print a key, nor run beside a daemon.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tokend_config::{Config, Environment};
use tokend_document::{Medium, report};
use tokend_store::{
    NamedKey, Rotated, StateDir, make_key_file, must_be_elsewhere, rotate_key_file, rotate_to_named,
};

use super::printing::finish;
use super::run_as::{RunAs, RunAsOptions, become_owner, owner_to_be};
use crate::arguments::is_mistake_of_store;
use crate::arguments::{Exit, KeyCommand, RotateArgs};
use tokend_store::KEY_FILE;

/// Runs `command`.
pub fn run(
    command: &KeyCommand,
    environment: &Environment,
    out: &mut impl Write,
    err: &mut impl Write,
    medium: Medium,
) -> Exit {
    match command {
        KeyCommand::New { file } => finish(match make_key_file(file) {
            Ok(()) => made(file, out),
            Err(error) => refused(&error.into(), err),
        }),
        KeyCommand::Rotate(args) => rotate(args, environment, out, err, medium),
    }
}

fn rotate(
    args: &RotateArgs,
    environment: &Environment,
    out: &mut impl Write,
    err: &mut impl Write,
    medium: Medium,
) -> Exit {
    // A command line that names the directory needs no configuration.
    let state_dir = match &args.state_dir {
        Some(dir) if args.config.is_none() => dir.clone(),
        _ => {
            let asked = RunAsOptions {
                config: args.config.as_deref(),
                state_dir: args.state_dir.as_deref(),
                user: None,
            };
            let run_as = match RunAs::find(asked, environment) {
                Ok(run_as) => run_as,
                Err(why) => return finish(writeln!(err, "tokend: {why}").map(|()| Exit::Usage)),
            };
            match Config::load(&run_as.file, &run_as.overrides, &run_as.environment) {
                Ok(config) => config.state_dir,
                Err(error) => {
                    return super::printing::refuse(
                        &report(error.diagnostics(), medium),
                        &error,
                        err,
                    );
                }
            }
        }
    };
    // Key files that root made for a credential are readable only by root.
    let keys = match Keys::named(&state_dir, args) {
        Ok(keys) => keys,
        Err(error) => return finish(refused(&error, err)),
    };
    // Files that root created there would keep the daemon from starting.
    if let Err(error) = become_owner(&state_dir) {
        let shown = state_dir.display();
        let said = writeln!(
            err,
            "tokend: root cannot act as the owner of {shown} here: {error}; run it as that user"
        );
        return finish(said.map(|()| Exit::NotNow));
    }
    finish(match replace(&state_dir, &keys) {
        Ok(done) => report_rotation(done, &state_dir, args, out),
        Err(error) => refused(&error, err),
    })
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

fn made(file: &Path, out: &mut impl Write) -> io::Result<Exit> {
    writeln!(out, "a new key is in {}", file.display())?;
    Ok(Exit::Success)
}

fn report_rotation(
    done: Rotated,
    state_dir: &Path,
    args: &RotateArgs,
    out: &mut impl Write,
) -> io::Result<Exit> {
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
    Ok(Exit::Success)
}

/// The same errors end a daemon in the same way.
fn refused(error: &anyhow::Error, err: &mut impl Write) -> io::Result<Exit> {
    writeln!(err, "tokend: {error:#}")?;
    Ok(match is_mistake_of_store(error).unwrap_or(false) {
        true => Exit::Config,
        false => Exit::NotNow,
    })
}

#[cfg(test)]
mod tests;
