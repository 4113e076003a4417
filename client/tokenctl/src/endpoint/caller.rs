//! Whose program is at the other end of a connection of this machine.
//!
//! Owns the proof. TCP says nothing of a process, but the kernel lists each connection with the user who made its socket. Only a connection
//! that stands counts: while it does, no other socket can have the same two addresses.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, SocketAddr};

/// What the kernel calls a connection that both ends hold.
const ESTABLISHED: &str = "01";
/// Where the kernel lists connections. Of this process, so that it is its own network that is meant.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// Of a table more is not read: it has 150 bytes a connection.
const LONGEST: u64 = 256 * 1024 * 1024;

/// How often the tables are read. A line can be missed while others come and go.
const TIMES: usize = 3;

/// The user at the `far` end of a connection whose `near` end is ours.
pub(super) fn of(near: SocketAddr, far: SocketAddr) -> Option<u32> {
    (0..TIMES).find_map(|_| in_tables(near, far))
}

fn in_tables(near: SocketAddr, far: SocketAddr) -> Option<u32> {
    // A socket of the other family has the same addresses in its own notation.
    TABLES.into_iter().find_map(|table| {
        let lines = BufReader::new(File::open(table).ok()?.take(LONGEST)).lines();
        let wide = table.ends_with('6');
        let (their, our) = (listed(far, wide)?, listed(near, wide)?);
        lines
            .map_while(Result::ok)
            .find_map(|line| user(&line, &their, &our))
    })
}

/// The user of a line of the table, if that is the connection between these addresses.
fn user(line: &str, their: &str, our: &str) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let is_this = words.next()? == their && words.next()? == our && words.next()? == ESTABLISHED;
    // Behind them: two queues, a timer, retransmissions.
    is_this.then(|| words.nth(3)?.parse().ok())?
}

/// An address as the tables have it: in groups of four bytes, each in the order of this machine.
fn listed(address: SocketAddr, wide: bool) -> Option<String> {
    let octets = match (address.ip().to_canonical(), wide) {
        (IpAddr::V4(ip), false) => ip.octets().to_vec(),
        (IpAddr::V4(ip), true) => ip.to_ipv6_mapped().octets().to_vec(),
        (IpAddr::V6(ip), true) => ip.octets().to_vec(),
        (IpAddr::V6(_), false) => return None,
    };
    let groups = octets.chunks_exact(4).map(|group| {
        let group = <[u8; 4]>::try_from(group).unwrap_or_default();
        format!("{:08X}", u32::from_ne_bytes(group))
    });
    Some(format!(
        "{}:{:04X}",
        groups.collect::<String>(),
        address.port()
    ))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_this_user_and_a_closed_one_is_nobodys() {
        let me = rustix::process::geteuid().as_raw();
        for (bound, named) in [
            ("127.0.0.1:0", None),
            ("[::1]:0", None),
            ("127.0.0.1:0", Some("::ffff:127.0.0.1")),
        ] {
            // Some machines have no IPv6.
            let Ok(listener) = TcpListener::bind(bound) else {
                continue;
            };
            let mut address = listener.local_addr().unwrap();
            if let Some(named) = named {
                address.set_ip(named.parse().unwrap());
            }
            let Ok(client) = TcpStream::connect(address) else {
                continue;
            };
            let (served, far) = listener.accept().unwrap();
            let near = served.local_addr().unwrap();
            assert_eq!(of(near, far), Some(me), "{bound} {named:?}");
            let mut other = far;
            other.set_port(far.port() ^ 1);
            assert_eq!(of(near, other), None);
            client.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(of(near, far), None, "{bound}: half closed");
        }
    }

    #[test]
    fn a_line_of_another_state_or_address_is_passed_over() {
        let line = |remote: &str, state: &str| {
            format!(
                "   1: 0100007F:0001 {remote} {state} 00000000:00000000 00:00000000 00000000  1000        0 1 1 0"
            )
        };
        let (their, our) = ("0100007F:0001", "0100007F:0002");
        assert_eq!(user(&line(our, "01"), their, our), Some(1000));
        assert_eq!(user(&line(our, "02"), their, our), None);
        assert_eq!(user(&line("0100007F:0003", "01"), their, our), None);
        assert_eq!(user("  sl  local_address rem_address", their, our), None);
        assert_eq!(user("", their, our), None);
    }
}
