//! Replies of providers, read by every built-in dialect.
//!
//! Owns three properties: no reply harms, what is handed out can be handed on, and nothing that was sent as a secret or that stands
//! where tokens stand is told.

use bytes::Bytes;
use http::Response;
use secrecy::ExposeSecret as _;
use tokend_dialect::{Kind, Reply, VALUE_LIMIT};

use crate::dialect::{CATALOG, MARK, fields};

/// The longest text a provider may put into a log line, in characters, with our own sentence before it.
const LONGEST_TOLD: usize = 400;

/// A reply: two bytes of status, lines of headers, an empty line, the body.
pub fn reply(bytes: &[u8]) {
    let Some((status, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let (head, body) = match rest.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (
            rest.get(..at).unwrap_or_default(),
            rest.get(at + 2..).unwrap_or_default(),
        ),
        None => (&[][..], rest),
    };
    let mut response = Response::builder().status(100 + u16::from_be_bytes(*status) % 500);
    for line in head.split(|byte| *byte == b'\n') {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        if let (Some(name), Some(value)) = (halves.next(), halves.next()) {
            response = response.header(name, value);
        }
    }
    let Ok(response) = response.body(Bytes::copy_from_slice(body)) else {
        return;
    };
    for (dialect, _) in CATALOG.iter() {
        let sent = fields(dialect);
        for kind in [Kind::Login, Kind::Refresh] {
            judge(&dialect.read_reply(kind, &response, &sent));
        }
        let _refused = dialect
            .rejection()
            .matches(response.status().as_u16(), body);
    }
}

fn judge(reply: &Reply) {
    if let Reply::Granted(grant) = reply {
        let tokens = [Some(&grant.access_token), grant.refresh_token.as_ref()];
        for token in tokens.into_iter().flatten() {
            let token = token.expose_secret();
            let sound = !token.is_empty() && token.len() <= VALUE_LIMIT;
            assert!(
                sound && !token.bytes().any(|byte| byte.is_ascii_control()),
                "a token that cannot be sent"
            );
        }
        return;
    }
    let told = reply.told().expect("what is not granted is told");
    let text = told.to_string();
    assert!(!text.contains(MARK), "{text}");
    assert!(!format!("{reply:?}").contains(MARK), "{reply:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.chars().count() <= LONGEST_TOLD, "{text}");
}
