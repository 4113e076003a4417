//! The variables by which SDKs find an endpoint.
//!
//! Owns which variables each kind has. One of them may hold the endpoint's secret, so they go into a file or the environment of a program
//! that are its user's alone, and never into a command line.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use zeroize::Zeroizing;

use super::secret::Secret;
use super::{azure, external_account};
use crate::arguments::EndpointKind;
use crate::failure::{Exit, Failure};
use crate::secret_file::SecretFile;
use crate::words;

/// The names of files in the endpoint's directory.
pub(super) const SECRET: &str = "secret";
pub(super) const ENVIRONMENT: &str = "environment";
pub(super) const CREDENTIALS: &str = "credentials.json";

/// With a proxy for HTTP in its environment, an SDK would send the request for a token there, the secret with it.
pub(crate) const WITHOUT_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What makes an SDK ask somewhere else, or in another protocol, or not at all. Each is one that an SDK prefers to the endpoint.
pub(crate) fn in_the_way(kind: EndpointKind) -> &'static [&'static str] {
    match kind {
        EndpointKind::Azure => &[
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_CLIENT_ID",
            "AZURE_CLIENT_SECRET",
            "AZURE_FEDERATED_TOKEN_FILE",
            "AZURE_PASSWORD",
            "AZURE_TOKEN_CREDENTIALS",
            "AZURE_USERNAME",
            "IDENTITY_SERVER_THUMBPRINT",
            "IMDS_ENDPOINT",
            "MSI_ENDPOINT",
            "MSI_SECRET",
        ],
        EndpointKind::Gce => &[
            "GCE_METADATA_MTLS_MODE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "METADATA_SERVER_DETECTION",
            "NO_GCE_CHECK",
        ],
        EndpointKind::ExternalAccount => &[],
    }
}

/// Names and values.
pub(super) type Variables = Vec<(&'static str, Zeroizing<String>)>;

/// The variables of an endpoint at this address, whose files are in this directory.
pub(super) fn of(
    kind: EndpointKind,
    address: SocketAddr,
    secret: &Secret,
    directory: Option<&Path>,
) -> Variables {
    let mut variables = Variables::new();
    let mut set = |name, value: String| variables.push((name, Zeroizing::new(value)));
    match kind {
        EndpointKind::Azure => {
            set(
                "IDENTITY_ENDPOINT",
                format!("http://{address}{}", azure::PATH),
            );
            set("IDENTITY_HEADER", secret.text().to_owned());
        }
        EndpointKind::Gce => {
            for name in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"] {
                set(name, address.to_string());
            }
        }
        EndpointKind::ExternalAccount => {
            let file = directory.map(|it| it.join(CREDENTIALS));
            let file = file.unwrap_or_default().display().to_string();
            set("GOOGLE_APPLICATION_CREDENTIALS", file);
        }
    }
    for name in WITHOUT_PROXY {
        set(name, address.ip().to_string());
    }
    variables
}

/// A line for each, as `EnvironmentFile=` of a unit has it.
pub(super) fn lines(variables: &Variables) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    for (name, value) in variables {
        // A quote, a backslash or a blank would mean something else to systemd, and to a shell.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:[]".contains(&byte);
        if !value.bytes().all(is_plain) {
            return Err(Failure::new(
                Exit::Config,
                format!("the path of the directory cannot stand in the variable {name}"),
                "choose a directory with letters, digits and . _ - + @ in its path",
            ));
        }
        for part in [name, "=", value, "\n"] {
            text.push_str(part);
        }
    }
    Ok(text)
}

/// Writes them to the file that programs are pointed to.
pub(super) fn write(directory: &Path, variables: &Variables) -> Result<(), Failure> {
    let text = lines(variables)?;
    SecretFile::new(directory.join(ENVIRONMENT), 0o600, None).write(text.as_bytes())
}

/// Writes the configuration of an external account, made of the person's own.
pub(super) fn write_configuration(
    directory: &Path,
    own: &Path,
    address: SocketAddr,
    secret: &Secret,
) -> Result<(), Failure> {
    let text = external_account::configuration(&read(own)?, &format!("http://{address}"), secret)?;
    SecretFile::new(directory.join(CREDENTIALS), 0o600, None).write(&text)
}

/// Fails unless this file is the configuration of an external account.
pub(crate) fn check_configuration(own: &Path) -> Result<(), Failure> {
    external_account::own(&read(own)?).map(drop)
}

fn read(own: &Path) -> Result<Vec<u8>, Failure> {
    /// The longest one, in bytes.
    const LONGEST: u64 = 64 * 1024;
    let wrong = |why: &str| {
        let path = words::plain(&own.display().to_string());
        Failure::new(
            Exit::Config,
            format!("{path} {why}"),
            "name a file that you can read; a unit reads none in a home: put it into /etc/tokend, for its user",
        )
    };
    // It is read twice, and a pipe only once; to open one may even wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = open(own, flags, Mode::empty()).map(File::from);
    let file = opened.map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    if !file.metadata().is_ok_and(|it| it.is_file()) {
        return Err(wrong("is no regular file"));
    }
    let mut bytes = Vec::new();
    match file.take(LONGEST + 1).read_to_end(&mut bytes) {
        Err(error) => Err(wrong(&format!("cannot be read: {error}"))),
        Ok(count) if count as u64 > LONGEST => Err(wrong("is longer than 64 KiB")),
        Ok(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_says_where_it_is_and_keeps_proxies_out() {
        let address = "127.0.0.1:7201".parse().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let secret = Secret::known("right");
        let mut all = Vec::new();
        for kind in [
            EndpointKind::Azure,
            EndpointKind::Gce,
            EndpointKind::ExternalAccount,
        ] {
            let variables = of(kind, address, &secret, Some(directory.path()));
            write(directory.path(), &variables).unwrap();
            let text = std::fs::read_to_string(directory.path().join(ENVIRONMENT)).unwrap();
            assert!(
                text.contains("\nNO_PROXY=127.0.0.1\nno_proxy=127.0.0.1\n"),
                "{text}"
            );
            all.push(text);
        }
        assert!(all[0].starts_with(
            "IDENTITY_ENDPOINT=http://127.0.0.1:7201/msi/token\nIDENTITY_HEADER=right\n"
        ));
        assert!(all[1].starts_with("GCE_METADATA_HOST=127.0.0.1:7201\n"));
        assert!(!all[1].contains("right"));
        let odd = of(
            EndpointKind::ExternalAccount,
            address,
            &secret,
            Some(Path::new("/a b")),
        );
        assert!(write(directory.path(), &odd).is_err());
    }
}
