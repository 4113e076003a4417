//! HTTP as the SDKs speak it: one request on a connection, one answer, and the end.
//!
//! Owns the bounds of a request and when a slow caller is let go. It reads nothing but the head: no request that is served has a body.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock;

/// The longest head, in bytes, and the number of its headers.
const LONGEST: usize = 16 * 1024;
const HEADERS: usize = 64;
/// How long a caller may take to send its request, and to take its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How much of what a caller still sends is read before the connection ends, so that the answer reaches it.
const LEFT_OVER: usize = 64 * 1024;
/// How long that is read.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// A request, as far as it is read.
pub(super) struct Request {
    pub(super) method: String,
    /// Decoded.
    pub(super) path: String,
    /// Decoded, in their order.
    query: Vec<(String, String)>,
    headers: Vec<(String, Zeroizing<Vec<u8>>)>,
}

impl Request {
    /// The value of this parameter; `None` if it is not there, or there twice.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut values = self.query.iter().filter(|(other, _)| other == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// The first parameter that is there and has none of these names, or a second of one of them.
    pub(super) fn other_parameter(&self, known: &[&str]) -> Option<&str> {
        let mut others = self.query.iter().map(|(name, _)| name.as_str());
        others.find(|name| !known.contains(name) || self.parameter(name).is_none())
    }

    /// The value of this header; `None` if it is not there, or there twice.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    /// Further headers, as lines.
    pub(super) headers: Vec<String>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(super) fn new(status: u16, media_type: &'static str, body: Zeroizing<Vec<u8>>) -> Self {
        Self {
            status,
            media_type,
            headers: Vec::new(),
            body,
        }
    }

    /// A line of text.
    pub(super) fn text(status: u16, text: &str) -> Self {
        let body = format!("{text}\n").into_bytes();
        Self::new(status, "text/plain; charset=utf-8", Zeroizing::new(body))
    }

    /// The bytes of it.
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n",
            self.status,
            reason(self.status),
            self.media_type,
            self.body.len(),
        );
        for header in &self.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + self.body.len()));
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Why a request was not read.
pub(super) enum NotRead {
    /// It can be answered with this.
    Refused(u16, &'static str),
    /// Nobody is there any more.
    Gone,
}

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Self::Refused(408, "the request did not come in time")
            }
            _ => Self::Gone,
        }
    }
}

/// Reads a request, if it comes in time.
pub(super) fn read(mut connection: &TcpStream, patience: Duration) -> Result<Request, NotRead> {
    let begun = clock::steady();
    // It may hold a secret.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut part = Zeroizing::new([0; 2048]);
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(io::Error::from(ErrorKind::TimedOut).into());
        }
        connection.set_read_timeout(Some(left))?;
        let count = match connection.read(&mut *part) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) => return Err(NotRead::Gone),
            read => read?,
        };
        let Some(came) = part
            .get(..count)
            .filter(|it| bytes.len() + it.len() <= LONGEST)
        else {
            return Err(NotRead::Refused(431, "the head of the request is too long"));
        };
        bytes.extend_from_slice(came);
        if let Some(request) = parse(&bytes)? {
            return Ok(request);
        }
    }
}

/// The request, once its head is there.
fn parse(bytes: &[u8]) -> Result<Option<Request>, NotRead> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(NotRead::Refused(431, "the request has too many headers"));
        }
        Err(_) => return Err(NotRead::Refused(400, "the request is no HTTP")),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Ok(None);
    };
    let wrong = || NotRead::Refused(400, "the address of the request cannot be read");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.starts_with('/') {
        return Err(wrong());
    }
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| decoded(&text.replace('+', " "));
        let (name, value) = decode(name).zip(decode(value)).ok_or_else(wrong)?;
        parameters.push((name, value));
    }
    let headers = request.headers.iter().map(|header| {
        let name = header.name.to_ascii_lowercase();
        (name, Zeroizing::new(header.value.to_vec()))
    });
    Ok(Some(Request {
        method: method.to_owned(),
        path: decoded(path).ok_or_else(wrong)?,
        query: parameters,
        headers: headers.collect(),
    }))
}

/// What is meant by `%xx`; `None` if that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Sends the answer, if the caller takes it in time, and ends the connection.
pub(super) fn send(mut connection: &TcpStream, answer: &Answer) -> io::Result<()> {
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(&answer.bytes())?;
    connection.shutdown(Shutdown::Write)?;
    // With something unread the kernel would reset the connection, and the caller might lose the answer.
    let (begun, mut part) = (clock::steady(), Zeroizing::new([0; 2048]));
    let mut left = LEFT_OVER;
    while left > 0 {
        let rest = LAST_BYTES.saturating_sub(begun.elapsed());
        if rest.is_zero() {
            break;
        }
        connection.set_read_timeout(Some(rest))?;
        match connection.read(&mut *part)? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The request that these bytes are.
    pub(in crate::endpoint) fn request(bytes: &str) -> Request {
        match parse(bytes.as_bytes()) {
            Ok(Some(request)) => request,
            _ => panic!("no request: {bytes}"),
        }
    }

    fn status(bytes: &[u8]) -> Option<u16> {
        match parse(bytes) {
            Err(NotRead::Refused(status, _)) => Some(status),
            _ => None,
        }
    }

    #[test]
    fn a_request_is_read_whole_and_what_is_no_request_is_refused() {
        let whole = "GET /a%20b?x=%41+b&y=&z HTTP/1.1\r\nHost: h\r\nX-Secret: s\r\n\r\n";
        for cut in 0..whole.len() {
            assert!(matches!(parse(&whole.as_bytes()[..cut]), Ok(None)), "{cut}");
        }
        let read = request(whole);
        assert_eq!((read.method.as_str(), read.path.as_str()), ("GET", "/a b"));
        assert_eq!(read.parameter("x"), Some("A b"));
        assert_eq!(
            (read.parameter("y"), read.parameter("z")),
            (Some(""), Some(""))
        );
        assert_eq!(read.header("x-secret"), Some(&b"s"[..]));
        assert_eq!(read.other_parameter(&["x", "y"]), Some("z"));
        for broken in [
            "GET /%zz HTTP/1.1\r\n\r\n",
            "GET /%ff HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\n\r\n",
            "\0\0\0\0\r\n\r\n",
        ] {
            assert_eq!(status(broken.as_bytes()), Some(400), "{broken}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(status(many.as_bytes()), Some(431));
    }

    #[test]
    fn what_is_there_twice_counts_as_not_there() {
        let read = request("GET /?a=1&a=2 HTTP/1.1\r\nS: 1\r\ns: 2\r\n\r\n");
        assert_eq!(read.parameter("a"), None);
        assert_eq!(read.other_parameter(&["a"]), Some("a"));
        assert_eq!(read.header("s"), None);
    }

    #[test]
    fn a_caller_that_sends_too_much_or_nothing_is_let_go() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let endless = TcpStream::connect(address).unwrap();
        let (served, _) = listener.accept().unwrap();
        (&endless).write_all(&vec![b'a'; LONGEST + 1]).unwrap();
        // One long word is no method.
        assert!(matches!(
            read(&served, PATIENCE),
            Err(NotRead::Refused(400 | 431, _))
        ));
        let silent = TcpStream::connect(address).unwrap();
        let (served, _) = listener.accept().unwrap();
        let refused = read(&served, Duration::from_millis(1));
        assert!(matches!(refused, Err(NotRead::Refused(408, _))));
        drop(silent);
        assert!(matches!(read(&served, PATIENCE), Err(NotRead::Gone)));
    }
}
