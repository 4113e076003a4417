//! A provider of a few lines, on a loopback address.
//!
//! Does as it is scripted and notes what it was sent; the strict one is in the package of the acceptance tests.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "for tests")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use tokend_process::testing::soon;

/// What the provider does with a connection.
#[derive(Debug)]
pub enum Act {
    /// Reads the request, writes these bytes, closes.
    Say(String),
    /// The same, with bytes that are no text.
    Bytes(Vec<u8>),
    /// Closes with a reset before it has read anything.
    ResetAtOnce,
    /// Reads the request and closes with a reset.
    ResetAfter,
    /// Reads the request, and then waits to be told to go on with these bytes.
    Hold(oneshot::Receiver<String>),
    /// Reads the request and says nothing.
    Hang,
    /// Reads the request and writes without end.
    Pour,
}

impl Act {
    /// All that leave it open whether the request was acted on: nothing, or only a beginning with a token in it, is answered.
    pub fn without_a_whole_answer() -> Vec<Self> {
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":\"tok";
        vec![
            Self::ResetAtOnce,
            Self::ResetAfter,
            Self::Hang,
            Self::Say(String::new()),
            Self::Say(cut.to_owned()),
        ]
    }
}

/// A provider on a loopback address.
#[derive(Debug)]
pub struct Provider {
    /// Where it is.
    pub base_url: String,
    seen: Arc<Mutex<Vec<String>>>,
    acts: Arc<Mutex<VecDeque<Act>>>,
}

impl Provider {
    /// A provider that gives `token-N` and `refresh-N` to the Nth request, unless it is scripted otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, acts) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<Mutex<VecDeque<Act>>>::default(),
        );
        let provider = Self {
            base_url,
            seen: Arc::clone(&seen),
            acts: Arc::clone(&acts),
        };
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let act = lock(&acts).pop_front();
                drop(tokio::spawn(serve(stream, act, Arc::clone(&seen))));
            }
        }));
        provider
    }

    /// What is done with the next connection that no act is meant for yet.
    pub fn then(&self, act: Act) -> &Self {
        lock(&self.acts).push_back(act);
        self
    }

    /// The requests that were read, as they came.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.seen).clone()
    }

    /// Waits until this many requests have been read.
    pub async fn asked(&self, times: usize) {
        soon(async {
            while lock(&self.seen).len() < times {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reply with this status and body.
pub fn reply(status: &str, body: &str) -> Act {
    Act::Say(raw(status, body))
}

/// A reply with this status and body, as it is sent.
pub fn raw(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The body of a grant.
pub fn grant(n: usize) -> String {
    format!(
        r#"{{"access_token":"token-{n}","refresh_token":"refresh-{n}","token_type":"Bearer","expires_in":3600}}"#
    )
}

async fn serve(mut stream: TcpStream, act: Option<Act>, seen: Arc<Mutex<Vec<String>>>) {
    if matches!(act, Some(Act::ResetAtOnce)) {
        // Closing with unread bytes resets; wait for some without reading them.
        let _readable = stream.readable().await;
        return;
    }
    let request = read_request(&mut stream).await;
    let nth = {
        let mut seen = lock(&seen);
        seen.push(request);
        seen.len()
    };
    let text = match act {
        None => raw("200 OK", &grant(nth)).into_bytes(),
        Some(Act::Say(text)) => text.into_bytes(),
        Some(Act::Bytes(bytes)) => bytes,
        Some(Act::Hold(go_on)) => go_on.await.unwrap_or_default().into_bytes(),
        Some(Act::ResetAtOnce | Act::ResetAfter) => {
            let _reset = stream.set_zero_linger();
            return;
        }
        Some(Act::Hang) => return std::future::pending().await,
        Some(Act::Pour) => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            let _gone = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            return;
        }
    };
    let _gone = stream.write_all(&text).await;
    let _gone = stream.shutdown().await;
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).await.unwrap_or(0);
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return text;
            }
            continue;
        };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:")
                .map(|value| value.trim().parse().unwrap_or(0))
        });
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}
