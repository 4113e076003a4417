//! HTTPS in front of the simulator, as `https://ads.example.com` uses it: a certificate that the machine trusts, on port 443.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokend_harness::hostile::tls;
use tokend_tests::systemd::Machine;

/// The longest header of a request; the simulator's clients send far less.
const LONGEST_HEAD: usize = 16 * 1024;

/// Makes `host` in the machine a provider with HTTPS, and passes its requests on to `simulator`.
pub(crate) fn raise(machine: &Machine, host: &str, simulator: SocketAddr) {
    let authority = tls::authority("tests");
    machine
        .put("/root/authority.pem", &authority.pem(), "644")
        .unwrap();
    machine
        .shell(&format!(
            "cat /root/authority.pem >>/etc/ssl/certs/ca-certificates.crt\necho '127.0.0.1 {host}' >>/etc/hosts"
        ))
        .unwrap();

    let config = tls::server(host, &authority, |_| {});
    let listener = machine
        .within(|| TcpListener::bind("127.0.0.1:443"))
        .unwrap()
        .unwrap();
    let network = machine.network().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (config, network) = (Arc::clone(&config), network.clone());
            thread::spawn(move || {
                // A client that does not get through is reported by the daemon.
                drop(carry(client, config, || network.connect(simulator)));
            });
        }
    });
}

fn carry(
    client: TcpStream,
    config: Arc<ServerConfig>,
    connect: impl FnOnce() -> io::Result<TcpStream>,
) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, client);
    let request = read_request(&mut tls)?;
    let mut simulator = connect()?;
    simulator.write_all(&request)?;
    let mut answer = Vec::new();
    simulator.read_to_end(&mut answer)?;
    tls.write_all(&answer)?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// One whole request, with a header that makes the other side close after its answer.
fn read_request(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if request.len() > LONGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        more(from, &mut request)?;
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0);
    while request.len() < head + length {
        more(from, &mut request)?;
    }
    request.splice(head - 2..head - 2, *b"connection: close\r\n");
    Ok(request)
}

fn more(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 4096];
    match from.read(&mut piece)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            into.extend_from_slice(&piece[..count]);
            Ok(())
        }
    }
}
