//! Third-party token servers, installed by `tests/setup`, one process per test in a directory of its own.
//!
//! Knows how to start each and what its users are. Must never install anything and never skip silently: a server that
//! is not there is an error that says what to run.

mod glewlwyd;
mod options;

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::installed;
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use tokend_harness::clock::{PATIENCE, wait_until};
use tokend_provider_simulator::spec::{AccountSpec, Api, Behaviour};

pub use options::Options;

/// The time between two checks whether the server answers.
const CONNECT: Duration = Duration::from_millis(200);

/// The server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FastAPI and AuthX: document 000.
    FastApiForm,
    /// fastapi-users: document 001.
    FastApiUsers,
    /// @node-oauth/oauth2-server: document 002, and its own `/stock/token`.
    NodeOauth,
    /// Django REST framework and SimpleJWT: document 003.
    DrfSimpleJwt,
    /// glewlwyd: RFC 6749 with one-time refresh tokens.
    Glewlwyd,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::FastApiForm => "A-fastapi-form",
            Self::FastApiUsers => "B-fastapi-users",
            Self::NodeOauth => "C-node-oauth",
            Self::DrfSimpleJwt => "D-drf-simplejwt",
            Self::Glewlwyd => "glewlwyd",
        }
    }

    /// The account it knows, with its credentials.
    #[must_use]
    pub fn account(self, name: &str) -> AccountSpec {
        let (api, user, client) = match self {
            Self::FastApiForm => (
                Api::AdVerification,
                Some(("plus+user@example.com", "p%40ss word+é")),
                None,
            ),
            Self::FastApiUsers => (Api::JwtApi, Some(("you@example.com", "s3cret pa&ss")), None),
            Self::NodeOauth => (
                Api::ClientCredentials,
                None,
                Some(("YOUR_CLIENT_ID", "YOUR_CLIENT_SECRET")),
            ),
            Self::DrfSimpleJwt => (
                Api::FirebaseAccounts,
                Some(("johndoe", "your_password:with:colons é")),
                None,
            ),
            Self::Glewlwyd => (Api::Oauth2, Some(glewlwyd::USER), Some(glewlwyd::CLIENT)),
        };
        AccountSpec {
            name: name.to_owned(),
            api,
            username: user.map(|(name, _)| name.to_owned()),
            password: user.map(|(_, password)| password.to_owned()),
            client_id: client.map(|(id, _)| id.to_owned()),
            client_secret: client.map(|(_, secret)| secret.to_owned()),
            behaviour: Behaviour::documented(api),
        }
    }

    /// A path that needs an access token.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Glewlwyd => glewlwyd::RESOURCE,
            _ => self.account("it").api.resource(),
        }
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct RealServer {
    kind: Kind,
    options: Options,
    directory: TempDir,
    address: SocketAddr,
    process: Option<Process>,
}

impl RealServer {
    /// Starts a server on a free port and waits until it answers.
    ///
    /// # Errors
    /// When it has not been installed, or does not come up; the error repeats its log.
    pub fn start(kind: Kind, options: Options) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("real-server-").tempdir()?;
        // The port is free now; if another process takes it first, the server says so and the test fails.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut server = Self {
            kind,
            options,
            directory,
            address,
            process: None,
        };
        server.prepare()?;
        server.up()?;
        if kind == Kind::Glewlwyd {
            glewlwyd::provision(&server.base_url(), options)?;
        }
        Ok(server)
    }

    /// The base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address, for a [`crate::tap::Tap`].
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; its files on disk stay.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn up(&mut self) -> anyhow::Result<()> {
        let log_path = self.directory.path().join("server.log");
        let log = fs::File::create(&log_path)?;
        let mut command = self.command()?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.process_group(0).spawn();
        let process = Process(child.with_context(|| format!("cannot start {}", self.kind.name()))?);
        self.process = Some(process);
        let what = format!("{} to listen", self.kind.name());
        let listening = wait_until(&what, PATIENCE, || {
            TcpStream::connect_timeout(&self.address, CONNECT).is_ok()
        });
        listening.with_context(|| fs::read_to_string(&log_path).unwrap_or_default())
    }

    fn prepare(&self) -> anyhow::Result<()> {
        match self.kind {
            Kind::FastApiForm | Kind::FastApiUsers | Kind::NodeOauth => Ok(()),
            Kind::Glewlwyd => glewlwyd::prepare(self.directory.path(), self.address),
            Kind::DrfSimpleJwt => {
                let source = source(self.kind).join("server.py");
                let mut command = self.with_environment(program(self.kind, "venv/bin/python")?);
                let output = command.arg(source).arg("prepare").output()?;
                let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
                anyhow::ensure!(output.status.success(), "cannot prepare: {stderr}");
                Ok(())
            }
        }
    }

    fn command(&self) -> anyhow::Result<Command> {
        let port = self.address.port().to_string();
        let mut command = match self.kind {
            Kind::FastApiForm | Kind::FastApiUsers => {
                let mut command = self.with_environment(program(self.kind, "venv/bin/uvicorn")?);
                command.args([
                    "server:app",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    &port,
                    "--app-dir",
                ]);
                command.arg(source(self.kind));
                command
            }
            Kind::DrfSimpleJwt => {
                let mut command = self.with_environment(program(self.kind, "venv/bin/gunicorn")?);
                let bind = self.address.to_string();
                command.args([
                    "--workers=1",
                    "--threads=4",
                    "--bind",
                    &bind,
                    "--pythonpath",
                ]);
                command.arg(source(self.kind)).arg("server:application");
                command
            }
            Kind::NodeOauth => {
                let modules = program(self.kind, "node_modules")?;
                let mut command = self.with_environment(PathBuf::from("node"));
                command.arg(source(self.kind).join("server.js"));
                command.env("NODE_PATH", modules).env("PORT", port);
                command
            }
            Kind::Glewlwyd => self.with_environment(PathBuf::from("glewlwyd")),
        };
        if self.kind == Kind::Glewlwyd {
            command
                .arg("-c")
                .arg(self.directory.path().join(glewlwyd::CONFIGURATION));
        }
        Ok(command)
    }

    fn with_environment(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env("ACCESS_TTL", self.options.access_ttl.to_string())
            .env("REFRESH_TTL", self.options.refresh_ttl.to_string())
            .env("ROTATE", if self.options.rotate { "1" } else { "0" })
            // Two tests that import the same module at once must not write its cache at once.
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// A server and the workers it started.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        // Both fail only if nothing is left to end.
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        drop(self.0.wait());
    }
}

fn source(kind: Kind) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("real-servers")
        .join(kind.name())
}

/// A file `tests/setup` has installed for this server.
fn program(kind: Kind, file: &str) -> anyhow::Result<PathBuf> {
    installed(kind.name(), file)
}
