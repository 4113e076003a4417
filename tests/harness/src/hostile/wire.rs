//! A client that sends what a test wants, in whole frames or not.
//!
//! Knows the protocol only through `tokend-proto`.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use crate::Site;
use tokend_proto::{
    ClientFrame, FrameBuffer, Request, RequestId, Response, ServerFrame, decode_server, encode,
};

/// One connection.
pub struct Wire {
    /// The stream itself.
    pub stream: UnixStream,
    buffer: FrameBuffer,
}

impl Wire {
    /// Connects and sends nothing.
    pub fn silent(site: &Site) -> Self {
        Self::at(&site.socket()).unwrap()
    }

    /// Connects to a socket and sends nothing.
    ///
    /// # Errors
    /// When no process listens there.
    pub fn at(socket: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        // Only bounds how long a failure takes.
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Ok(Self {
            stream,
            buffer: FrameBuffer::new(),
        })
    }

    /// Connects and sends the greeting.
    pub fn greeted(site: &Site) -> Self {
        let mut wire = Self::silent(site);
        assert!(wire.say(&hello()));
        assert!(matches!(wire.hear(), Some(Response::Welcome { .. })));
        wire
    }

    /// Sends bytes; false if the daemon has hung up.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends as much as fits at once; false if the daemon has hung up.
    pub fn write_some(&mut self, bytes: &[u8]) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let sent = self.stream.write(bytes);
        self.stream.set_nonblocking(false).unwrap();
        match sent {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// The next answer; `None` if the daemon hangs up first.
    pub fn hear(&mut self) -> Option<Response> {
        loop {
            if let Some(payload) = self.buffer.next_frame().unwrap() {
                let ServerFrame { response, .. } = decode_server(payload).unwrap();
                return Some(response);
            }
            match self.stream.read(self.buffer.spare()) {
                Ok(0) => return None,
                Ok(count) => self.buffer.filled(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the daemon neither answers nor hangs up: {error}"),
            }
        }
    }

    /// Reads everything until the daemon hangs up.
    pub fn hear_out(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Whether the daemon has hung up.
    pub fn ended(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let ended = loop {
            match self.stream.read(&mut [0; 512]) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).unwrap();
        ended
    }
}

/// One request as a frame.
pub fn frame(id: u64, request: Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(
        &ClientFrame {
            id: RequestId(id),
            request,
        },
        &mut bytes,
    )
    .unwrap();
    bytes
}

/// The greeting as a frame.
pub fn hello() -> Vec<u8> {
    frame(1, Request::hello("a test"))
}

/// A `get` as a frame.
pub fn get(id: u64, account: &str) -> Vec<u8> {
    let account = account.parse().unwrap();
    frame(
        id,
        Request::Get {
            account,
            min_validity_ms: None,
            wait_ms: 0,
            timeout_ms: 30_000,
        },
    )
}

/// Bytes that announce a payload of this length.
pub fn announce(length: u32) -> [u8; 4] {
    length.to_le_bytes()
}

/// Copies a program in another process: a child that another thread starts meanwhile would inherit the open copy, and the kernel does not
/// run a program that is open for writing.
///
/// # Errors
/// When it cannot be copied.
pub fn copy_program(from: &Path, to: &Path) -> std::io::Result<()> {
    match Command::new("cp").arg(from).arg(to).status()?.success() {
        true => Ok(()),
        false => Err(std::io::Error::other("cp failed")),
    }
}

/// Another user of this machine, who may enter the site and run `tokenctl` there.
pub struct Other {
    tokenctl: PathBuf,
    socket: PathBuf,
}

impl Other {
    /// The user and group that Debian and most others call `nobody`.
    pub const UID: &str = "65534";

    /// Opens the site's directory to everybody; secret files in it have modes of their own.
    pub fn at(site: &Site) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(site.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let tokenctl = site.path().join("tokenctl");
        copy_program(&site.binaries().tokenctl, &tokenctl).unwrap();
        Self {
            tokenctl,
            socket: site.socket(),
        }
    }

    /// Runs `tokenctl` as that user; needs root, or sudo without a password.
    pub fn tokenctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(if rustix::process::geteuid().is_root() {
            "setpriv"
        } else {
            "sudo"
        });
        match rustix::process::geteuid().is_root() {
            true => command.args([
                "--reuid",
                Self::UID,
                "--regid",
                Self::UID,
                "--clear-groups",
                "--",
            ]),
            false => command.args(["--non-interactive", "--user", "#65534", "--"]),
        };
        let command = command
            .arg(&self.tokenctl)
            .arg("--socket")
            .arg(&self.socket)
            .args(arguments);
        command.output().unwrap()
    }
}
