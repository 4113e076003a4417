//! Another host, to which the server of a consumer sends it with a redirect.
//!
//! Owns what it heard. No token is for it: it tempts with a demand for a password, and may do so with a redirect within itself before.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokend_harness::hostile::raw::{Raw, reply};

pub(crate) struct Elsewhere {
    raw: Raw,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Elsewhere {
    pub(crate) fn start(leads_on: bool) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&heard);
        let raw = Raw::start(move |talk| {
            let request = talk.request();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let answer = match leads_on && !path.starts_with("/again") {
                // Some clients forget at a second redirect that the first one led to another host.
                true => reply(
                    "302 Found",
                    &format!("Location: /again{path}\r\nConnection: close\r\n"),
                    b"",
                ),
                false => reply(
                    "401 Unauthorized",
                    "WWW-Authenticate: Basic realm=\"elsewhere\"\r\nConnection: close\r\n",
                    b"refused",
                ),
            };
            shared.lock().unwrap().push(request);
            talk.say(&answer);
            talk.hang_up();
        });
        Self { raw, heard }
    }

    /// Its address, by another name than that of every server here.
    pub(crate) fn url(&self) -> String {
        self.raw.http().replace("127.0.0.1", "localhost")
    }

    /// The requests that had anything in them from which one learns the token.
    pub(crate) fn learned(&self, token: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let tells = |request: &&String| {
            let mut words = request.split(|char: char| !is_of_base64(char));
            request.contains(token)
                || words.any(|word| {
                    let plain = BASE64_STANDARD.decode(word).unwrap_or_default();
                    String::from_utf8_lossy(&plain).contains(token)
                })
        };
        heard.iter().filter(tells).cloned().collect()
    }
}

fn is_of_base64(char: char) -> bool {
    char.is_ascii_alphanumeric() || "+/=".contains(char)
}
