//! `exec --as`: an endpoint beside the command, which the SDK in it finds by its variables.
//!
//! Owns what the command's environment becomes. The secret of the endpoint comes through a socket without a name, and lives as long as the
//! command does.

use std::env;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use tokend_client::SocketPath;
use zeroize::Zeroizing;

use super::apart;
use super::runtime::{Runtime, TokenDirectory};
use super::start::{Beside, demand_init};
use crate::arguments::{EndpointKind, Exec, Serve};
use crate::clock;
use crate::endpoint::{Own, WITHOUT_PROXY, check_configuration, in_the_way};
use crate::failure::{Exit, Failure};
use crate::output;

/// What Google's SDKs take in place of a metadata server, below the person's home.
const PREFERRED: &str = "gcloud/application_default_credentials.json";
/// More than the variables of an endpoint are.
const LONGEST: usize = 16 * 1024;
const CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Starts the endpoint, and lets the command find it.
pub(super) fn prepare(
    command: &mut Command,
    socket: &Path,
    options: &Exec,
    kind: EndpointKind,
) -> Result<(), Failure> {
    // The command line has exactly one account then.
    let Some((account, _)) = options.tokens.first() else {
        return Ok(());
    };
    let directory = match kind {
        EndpointKind::ExternalAccount => Some(Runtime::find()?.make()?),
        EndpointKind::Azure | EndpointKind::Gce => None,
    };
    let path = directory.as_ref().map(|it| it.path().to_owned());
    let serve = Serve {
        kind,
        account: account.clone(),
        purposes: options.purposes.clone(),
        credentials: credentials(kind)?.zip(path),
    };
    if let Some(preferred) = preferred(kind) {
        output::note(&format!(
            "Google's SDKs prefer {} over this endpoint: move it away, or set CLOUDSDK_CONFIG to another directory",
            preferred.display()
        ));
    }
    let said = match start(socket, &serve) {
        Ok(said) => said,
        Err(failure) => {
            if let Some(directory) = directory {
                directory.remove();
            }
            return Err(failure);
        }
    };
    for name in in_the_way(kind) {
        command.env_remove(name);
    }
    for (name, value) in said.lines().filter_map(|line| line.split_once('=')) {
        match WITHOUT_PROXY.contains(&name) {
            true => command.env(name, without_proxy(name, value)),
            false => command.env(name, value),
        };
    }
    Ok(())
}

/// The hosts that are reached without a proxy: what was so before, and the endpoint's. Programs read one of the two names first, and the
/// other only if that is not set.
fn without_proxy(name: &str, address: &str) -> String {
    let set = |name: &str| env::var(name).ok().filter(|it| !it.trim().is_empty());
    let mut others = WITHOUT_PROXY.iter().filter(|it| **it != name);
    let before = set(name).or_else(|| others.find_map(|it| set(it)));
    match before.as_deref().map(str::trim) {
        // Alone it stands for all hosts, and beside others for none.
        Some("*") => "*".to_owned(),
        Some(before) => format!("{before},{address}"),
        None => address.to_owned(),
    }
}

/// Starts the server, and returns the lines that it says: the variables by which it is found.
fn start(socket: &Path, serve: &Serve) -> Result<Zeroizing<String>, Failure> {
    let failed = |exit, why: &str| {
        Failure::new(
            exit,
            format!("the process that serves the endpoint did not begin: {why}"),
            "see the line above if there is one; /proc must be mounted",
        )
    };
    demand_init("--as", "")?;
    let read = |conversation: &UnixStream| {
        let mut said = Zeroizing::new(String::with_capacity(LONGEST));
        conversation
            .take(LONGEST as u64)
            .read_to_string(&mut said)?;
        Ok(said)
    };
    let started = Beside::start(socket, serve.words());
    match started.and_then(|mut beside| beside.talk(read)) {
        Ok(Some(said)) if !said.is_empty() => Ok(said),
        Ok(_) => Err(failed(Exit::Io, "it ended")),
        Err(error) => Err(failed(Exit::TryLater, &error.to_string())),
    }
}

/// The person's own configuration of an external account.
fn credentials(kind: EndpointKind) -> Result<Option<PathBuf>, Failure> {
    if kind != EndpointKind::ExternalAccount {
        return Ok(None);
    }
    let named = env::var_os(CREDENTIALS).filter(|it| !it.is_empty());
    let path = named.and_then(|it| std::path::absolute(it).ok());
    let path = path.ok_or_else(|| {
        Failure::new(
            Exit::Config,
            format!("the variable {CREDENTIALS} does not name the configuration of the external account"),
            "make one with gcloud iam workload-identity-pools create-cred-config, and set the variable to its path",
        )
    })?;
    check_configuration(&path)?;
    Ok(Some(path))
}

fn preferred(kind: EndpointKind) -> Option<PathBuf> {
    if kind != EndpointKind::Gce {
        return None;
    }
    let own = env::var_os("CLOUDSDK_CONFIG").map(PathBuf::from);
    let own = own.map(|it| it.join("application_default_credentials.json"));
    let home = || {
        Some(
            PathBuf::from(env::var_os("HOME")?)
                .join(".config")
                .join(PREFERRED),
        )
    };
    own.or_else(home).filter(|it| it.exists())
}

/// Serves the endpoint until the command has ended.
pub(crate) fn serve(socket: Option<&Path>, options: Serve) -> Result<(), Failure> {
    let socket = SocketPath::find(socket)?;
    let begun = begin(socket, options);
    let (own, directory) = begun.map_err(|failure| {
        // Before the process that waits for this one learns that it has ended.
        failure.report(clock::now());
        Failure::silent(Exit::Io)
    })?;
    let serving = thread::Builder::new().spawn(move || {
        if let Err(failure) = own.serve() {
            failure.report(clock::now());
        }
    });
    if serving.is_ok() {
        apart::until_the_end();
    }
    if let Some(directory) = directory {
        directory.remove();
    }
    Ok(())
}

/// Becomes independent of the command, and tells it the variables.
fn begin(socket: SocketPath, options: Serve) -> Result<(Own, Option<TokenDirectory>), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Io,
            format!("the endpoint cannot be served: {error}"),
            "free memory or processes, and try again",
        )
    };
    apart::settle().map_err(failed)?;
    let directory = match &options.credentials {
        Some((_, directory)) => Some(TokenDirectory::hold(directory.clone()).map_err(failed)?),
        None => None,
    };
    let begun = Own::begin(socket, options);
    let said = begun.and_then(|(own, lines)| {
        apart::answer(lines.as_bytes()).map_err(failed)?;
        Ok(own)
    });
    match (said, directory) {
        (Ok(own), directory) => Ok((own, directory)),
        (Err(failure), directory) => {
            if let Some(directory) = directory {
                directory.remove();
            }
            Err(failure)
        }
    }
}
