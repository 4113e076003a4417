//! Whose program is at the other end of a connection of this machine.
//!
//! Owns the proof. TCP says nothing of a process, but the kernel tells of each connection which user made its socket. Only a connection that
//! stands counts: while it does, no other socket can have the same two addresses. The kernel is asked for the one socket (sock_diag(7)); where
//! it does not answer such questions, the list of all of them is read.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use rustix::net::{recv, send, socket_with};
use rustix::time::Timespec;

/// What the kernel calls a connection that both ends hold.
const ESTABLISHED: (u8, &str) = (1, "01");
/// Where the kernel lists connections. Of this process, so that it is its own network that is meant.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// Of a table more is not read: it has 150 bytes a connection.
const LONGEST: u64 = 256 * 1024 * 1024;
/// How often the tables are read. A line can be missed while others come and go.
const TIMES: usize = 3;

/// The user at the `far` end of this connection, whose `near` end is ours.
pub(super) fn of(connection: impl AsFd, near: SocketAddr, far: SocketAddr) -> Option<u32> {
    match asked(near, far) {
        Ok(user) => user,
        // What was closed already is in no table, however often it is read.
        Err(_) if is_closed(connection) => None,
        Err(_) => (0..TIMES).find_map(|_| in_tables(near, far)),
    }
}

/// Asks the kernel for the socket at the far end: `struct inet_diag_req_v2` of linux/inet_diag.h, and `struct inet_diag_msg` in the answer.
fn asked(near: SocketAddr, far: SocketAddr) -> Result<Option<u32>, Errno> {
    let (far_ip, near_ip) = (far.ip().to_canonical(), near.ip().to_canonical());
    let (family, is_one_family) = match far_ip {
        IpAddr::V4(_) => (2_u8, near_ip.is_ipv4()),
        IpAddr::V6(_) => (10, near_ip.is_ipv6()),
    };
    if !is_one_family {
        return Ok(None);
    }
    let of_sockets = |octets: fn(IpAddr) -> Vec<u8>| {
        let ports = [far.port(), near.port()].map(u16::to_be_bytes).concat();
        [ports, octets(far_ip), octets(near_ip)].concat()
    };
    let narrow = of_sockets(|ip| match ip {
        IpAddr::V4(ip) => [&ip.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    // A socket of IPv6 that speaks IPv4 is found too, and has its addresses in its own notation.
    let wide = of_sockets(|ip| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    let mut identity = narrow.clone();
    // At any interface, and without a cookie.
    identity.extend_from_slice(&[0; 4]);
    identity.extend_from_slice(&[0xff; 8]);
    let mut message = Vec::with_capacity(72);
    message.extend_from_slice(&72_u32.to_ne_bytes());
    // SOCK_DIAG_BY_FAMILY, and NLM_F_REQUEST.
    message.extend_from_slice(&20_u16.to_ne_bytes());
    message.extend_from_slice(&1_u16.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    // TCP, no more facts, and this state.
    message.extend_from_slice(&[family, 6, 0, 0]);
    message.extend_from_slice(&(1_u32 << ESTABLISHED.0).to_ne_bytes());
    message.extend_from_slice(&identity);

    let flags = SocketFlags::CLOEXEC;
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&kernel, &message, SendFlags::empty())?;
    let mut answer = [0; 512];
    let (_, length) = recv(&kernel, &mut answer, RecvFlags::DONTWAIT)?;
    let answer = answer.get(..length).unwrap_or_default();
    read(answer, &[(family, narrow), (10, wide)])
}

/// The user in an answer, if it is of this very connection and that stands.
fn read(answer: &[u8], sockets: &[(u8, Vec<u8>)]) -> Result<Option<u32>, Errno> {
    let bytes = |at: usize, count: usize| answer.get(at..at + count);
    let four = |at: usize| bytes(at, 4).and_then(|it| <[u8; 4]>::try_from(it).ok());
    match bytes(4, 2)
        .and_then(|it| <[u8; 2]>::try_from(it).ok())
        .map(u16::from_ne_bytes)
    {
        Some(20) => {}
        // An error: without such a socket it is ENOENT.
        Some(2) => {
            let code = four(16).map_or(0, i32::from_ne_bytes);
            return match Errno::from_raw_os_error(code.saturating_neg()) {
                Errno::NOENT => Ok(None),
                error => Err(error),
            };
        }
        _ => return Err(Errno::PROTO),
    }
    let is_this = sockets.iter().any(|(family, identity)| {
        bytes(16, 2) == Some(&[*family, ESTABLISHED.0]) && bytes(20, 36) == Some(identity)
    });
    Ok(four(80).filter(|_| is_this).map(u32::from_ne_bytes))
}

/// Whether the far end has closed it.
fn is_closed(connection: impl AsFd) -> bool {
    let mut watched = [PollFd::new(&connection, PollFlags::RDHUP)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let polled = poll(&mut watched, Some(&now));
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    polled.is_ok() && watched.iter().any(|it| it.revents().intersects(gone))
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
    let is_this = words.next()? == their && words.next()? == our && words.next()? == ESTABLISHED.1;
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
            assert_eq!(of(&served, near, far), Some(me), "{bound} {named:?}");
            assert_eq!(asked(near, far), Ok(Some(me)), "{bound} {named:?}");
            assert_eq!(in_tables(near, far), Some(me), "{bound} {named:?}");
            assert!(!is_closed(&served));
            let mut other = far;
            other.set_port(far.port() ^ 1);
            assert_eq!(
                (asked(near, other), in_tables(near, other)),
                (Ok(None), None)
            );
            // What listens there is nobody's connection.
            assert_eq!(asked(other, near), Ok(None));
            client.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(of(&served, near, far), None, "{bound}: half closed");
            assert_eq!((asked(near, far), in_tables(near, far)), (Ok(None), None));
            assert!(is_closed(&served));
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
