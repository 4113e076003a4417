//! The provider of kept state directories: one address for ever, and tokens that tell what they came from.

use std::{
    collections::HashMap,
    io,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
};

use tokend_harness::hostile::raw::{Raw, Talk, reply};

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

/// A provider that runs until it is dropped.
pub struct Provider {
    asked: Arc<Mutex<Vec<Asked>>>,
    _raw: Raw,
}

impl Provider {
    /// Starts it.
    ///
    /// # Errors
    /// When its address is taken.
    pub fn start(mood: Mood) -> io::Result<Self> {
        let asked = Arc::default();
        let shared = Arc::clone(&asked);
        let raw = Raw::on(TcpListener::bind(PROVIDER)?, move |talk| {
            serve(talk, mood, &shared);
        });
        Ok(Self { asked, _raw: raw })
    }

    /// The requests at a path, in order.
    #[must_use]
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked
            .iter()
            .filter(|request| request.path == path)
            .cloned()
            .collect()
    }
}

fn serve(talk: &mut Talk, mood: Mood, asked: &Mutex<Vec<Asked>>) {
    let request = read(&talk.request());
    let answer = answer(&request, mood);
    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.push(request);
    drop(asked);
    let Some((status, body)) = answer else {
        return talk.stay();
    };
    let headers = "Content-Type: application/json\r\nConnection: close\r\n";
    talk.say(&reply(status, headers, body.as_bytes()));
    talk.hang_up();
}

fn read(request: &str) -> Asked {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or_default();
    Asked {
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        form: form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect(),
    }
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
