//! The events of a stream.

use http::{HeaderMap, header};
use tokend_json::Event;
use tokend_proto::{AccountName, Response};
use zeroize::Zeroizing;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// One JSON object a line.
    Lines,
    /// Server-sent events.
    ServerSent,
}

impl Stream {
    /// The form that these headers ask for.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let asks = headers.get_all(header::ACCEPT).iter().any(|value| {
            let value = value.to_str().unwrap_or_default();
            value.split(',').any(|kind| {
                let kind = kind.split(';').next().unwrap_or_default().trim();
                kind.eq_ignore_ascii_case("text/event-stream")
            })
        });
        match asks {
            true => Self::ServerSent,
            false => Self::Lines,
        }
    }

    /// The type of the stream.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Lines => "application/jsonl",
            Self::ServerSent => "text/event-stream",
        }
    }

    /// The event that this answer of a watch is; `None` for what is no event. A fault is the last.
    pub fn event(self, account: &AccountName, response: &Response) -> Option<Zeroizing<Vec<u8>>> {
        let event = match response {
            Response::Token(token) => Event::token(account, token.into()),
            Response::Retired { .. } => Event::retired(account),
            Response::Unavailable(fault) => Event::unavailable(account, fault),
            Response::Fault(fault) => Event::ended(account, fault),
            _ => return None,
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(512));
        if self == Self::ServerSent {
            bytes.extend_from_slice(format!("event: {}\ndata: ", event.name()).as_bytes());
        }
        serde_json::to_writer(&mut *bytes, &event).ok()?;
        // JSON has no line end of its own.
        bytes.extend_from_slice(match self {
            Self::Lines => b"\n",
            Self::ServerSent => b"\n\n",
        });
        Some(bytes)
    }

    /// What says that the stream lives, when there is no event.
    pub fn silence(self) -> &'static [u8] {
        match self {
            Self::Lines => b"\n",
            Self::ServerSent => b":\n\n",
        }
    }
}

#[cfg(test)]
mod tests;
