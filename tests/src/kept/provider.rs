//! The provider of kept state directories: one address for ever, and tokens that tell what they came from.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// What an operator typed for the account `typed`.
pub const TYPED_PASSWORD: &str = "kept-typed-password";
/// Where it listens. No other test uses this address of the loopback network.
pub const PROVIDER: &str = "127.91.0.1:7591";

/// Whether `/doubt` is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It holds the connection and says nothing.
    Silent,
    /// It answers.
    Answers,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The fields of its form.
    pub form: HashMap<String, String>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    ended: AtomicBool,
    /// Connections that are held without an answer.
    held: Mutex<Vec<TcpStream>>,
}

/// A provider that runs until it is dropped.
#[derive(Debug)]
pub struct Provider {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// Starts it.
    ///
    /// # Errors
    /// When its address is taken.
    pub fn start(mood: Mood) -> io::Result<Self> {
        let listener = TcpListener::bind(PROVIDER)?;
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if its.ended.load(Ordering::SeqCst) {
                    break;
                }
                // One that breaks off is the daemon's to notice.
                drop(connection.and_then(|connection| serve(connection, mood, &its)));
            }
        });
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// The requests at a path, in order.
    #[must_use]
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.shared.asked.lock();
        let asked = asked.unwrap_or_else(PoisonError::into_inner);
        asked
            .iter()
            .filter(|request| request.path == path)
            .cloned()
            .collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(PROVIDER));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(mut connection: TcpStream, mood: Mood, shared: &Shared) -> io::Result<()> {
    let request = read(&connection)?;
    let answer = answer(&request, mood);
    let mut asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.push(request);
    drop(asked);
    match answer {
        Some((status, body)) => write!(
            connection,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
        None => {
            let mut held = shared.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.push(connection);
            Ok(())
        }
    }
}

fn read(connection: &TcpStream) -> io::Result<Asked> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let form = form_urlencoded::parse(&body).into_owned().collect();
    Ok(Asked { path, form })
}

/// Tokens are named after what brought them: a refresh token `rt-x-1` brings `at-x-1` and `rt-x-2`.
fn answer(request: &Asked, mood: Mood) -> Option<(&'static str, String)> {
    let field = |name: &str| request.form.get(name).map_or("", String::as_str);
    let granted = |body: serde_json::Value| Some(("200 OK", body.to_string()));
    let refused = |code: &str| serde_json::json!({ "error": code }).to_string();
    match request.path.as_str() {
        "/doubt" if mood == Mood::Silent => None,
        "/unending" => granted(serde_json::json!({
            "access_token": "at-unending", "token_type": "Bearer",
        })),
        "/typed" if field("password") == TYPED_PASSWORD => granted(serde_json::json!({
            "access_token": "at-typed", "token_type": "Bearer", "expires_in": 1,
        })),
        "/refused" => Some(("401 Unauthorized", refused("invalid_client"))),
        "/rotating" | "/doubt" => {
            let presented = field("refresh_token");
            let next = presented
                .rsplit_once('-')
                .and_then(|(name, number)| Some((name, number.parse::<u32>().ok()?)));
            let Some((name, number)) = next else {
                return Some(("400 Bad Request", refused("invalid_grant")));
            };
            granted(serde_json::json!({
                "access_token": presented.replacen("rt-", "at-", 1),
                "refresh_token": format!("{name}-{}", number + 1),
                "token_type": "Bearer",
                "expires_in": 1,
            }))
        }
        _ => Some(("400 Bad Request", refused("invalid_grant"))),
    }
}
