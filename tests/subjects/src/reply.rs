//! Replies of providers, read by the built-in dialects.
//!
//! Owns three properties: no reply harms, a granted token can be passed on, and no message contains a secret that was sent or a text in
//! the place of a token.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::Response;
use secrecy::ExposeSecret as _;
use tokend_dialect::{Dialect, ExchangeKind, Fields, ProviderReply, VALUE_LIMIT};

use crate::dialect::{CATALOG, MARK, fields};

/// The longest text that a provider may put into a log line, in characters, together with our own sentence before it.
const LONGEST_MESSAGE: usize = 400;

/// The request behind a reply: the dialect, the fields it sent, and the kind of exchange.
type Asked = (Arc<Dialect>, Arc<Fields>, ExchangeKind);

/// Every possible request.
static ASKED: LazyLock<Vec<Asked>> = LazyLock::new(|| {
    let dialects = CATALOG
        .iter()
        .map(|(dialect, _)| (Arc::clone(dialect), Arc::new(fields(dialect))));
    dialects
        .flat_map(|(dialect, sent)| {
            [ExchangeKind::Login, ExchangeKind::Refresh]
                .map(|kind| (Arc::clone(&dialect), Arc::clone(&sent), kind))
        })
        .collect()
});

/// A reply: a byte that selects the request, two of status, lines of headers, an empty line, the body.
pub fn reply(bytes: &[u8]) {
    let Some(([asked, status @ ..], rest)) = bytes.split_first_chunk::<3>() else {
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
    let Some((dialect, sent, kind)) = ASKED.get(usize::from(*asked) % ASKED.len()) else {
        return;
    };
    judge(&dialect.read_reply(*kind, &response, sent));
    let status = response.status().as_u16();
    let _refused = dialect.rejection().matches(status, body);
}

fn judge(reply: &ProviderReply) {
    if let ProviderReply::Granted(grant) = reply {
        let access = grant.access_token.expose_secret();
        assert!(
            access.bytes().all(|byte| byte.is_ascii_graphic()),
            "a token that cannot be sent"
        );
        // A refresh token is stored as it came, whatever is in it: bodies can carry anything, and a request that cannot is not made.
        let tokens = [Some(&grant.access_token), grant.refresh_token.as_ref()];
        for token in tokens.into_iter().flatten() {
            let token = token.expose_secret();
            assert!(!token.is_empty() && token.len() <= VALUE_LIMIT);
        }
        return;
    }
    let problem = reply
        .provider_message()
        .expect("a reply that grants nothing is a problem");
    let text = problem.to_string();
    assert!(!text.contains(MARK), "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.chars().count() <= LONGEST_MESSAGE, "{text}");
    // Formatting twice costs as much as reading, so the other form is checked only sometimes, depending on the content.
    if text.len() % 8 == 3 {
        assert!(!format!("{reply:?}").contains(MARK), "{reply:?}");
    }
}
