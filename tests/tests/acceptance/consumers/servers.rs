//! Servers that demand the newest token: HTTP, HTTPS, SMTP and IMAP.
//!
//! Own what was presented to them and how often. None gives anything but a small fixed answer.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{ServerConnection, StreamOwned};
use tokend_harness::hostile::{
    raw::{Raw, reply},
    tls,
};

pub(crate) struct Server {
    raw: Raw,
    demand: Arc<Demand>,
    pub(crate) redirects: Redirects,
    /// The certificate of a server with TLS, as PEM.
    pub(crate) certificate: String,
}

/// The redirects after which a consumer is shown to keep the token to itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// The protocol has none, or the program sends the token after each, which no line of ours can change.
    Unshown,
    /// One, to another host. Programs that were built with a Go before 1.22.11 send it after a second one, within that host (CVE-2024-45336).
    One,
    /// That, and then one within the other host.
    Two,
}

#[derive(Default)]
struct Demand {
    newest: Mutex<String>,
    accepted: AtomicUsize,
    refused: AtomicUsize,
    /// Where whoever presents the newest token is sent, in place of an answer.
    elsewhere: Mutex<Option<String>>,
}

impl Demand {
    /// Whether this is the newest token. A request without one is refused and not counted: clients ask so first.
    fn accepts(&self, presented: Option<&str>) -> bool {
        let Some(presented) = presented else {
            return false;
        };
        let good = *self.newest.lock().unwrap() == presented;
        let count = if good { &self.accepted } else { &self.refused };
        count.fetch_add(1, Ordering::SeqCst);
        good
    }
}

impl Server {
    /// Answers every path with this JSON or HTML.
    pub(crate) fn http_with(body: &'static str) -> Self {
        Self::http(move |_| (String::new(), body.to_owned()))
    }

    /// Answers each path as told: with more header lines, and a body.
    pub(crate) fn http(page: impl Fn(&str) -> (String, String) + Send + Sync + 'static) -> Self {
        let demand = Arc::new(Demand::default());
        let shared = Arc::clone(&demand);
        let raw = Raw::start(move |talk| {
            // Docker tries TLS first.
            let mut first = [0];
            if talk.stream.peek(&mut first).is_ok() && first == [22] {
                return;
            }
            let request = talk.request();
            let answer = answer(&shared, &request, &page);
            talk.say(&answer);
            talk.hang_up();
        });
        Self::of(raw, demand, Redirects::Two, String::new())
    }

    pub(crate) fn https_with(body: &'static str) -> Self {
        Self::https("127.0.0.1", move |_| (String::new(), body.to_owned()))
    }

    /// The same as [`Self::http`], with a certificate of this name.
    pub(crate) fn https(
        name: &str,
        page: impl Fn(&str) -> (String, String) + Send + Sync + 'static,
    ) -> Self {
        let demand = Arc::new(Demand::default());
        let shared = Arc::clone(&demand);
        let (config, certificate) = tls::self_signed(name, false);
        let raw = Raw::start(move |talk| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, talk.stream.try_clone().unwrap());
            let mut request = vec![0; 16_384];
            // The requests here have no body, and come in one piece.
            if let Ok(count @ 1..) = tls.read(&mut request) {
                let request = String::from_utf8_lossy(request.get(..count).unwrap()).into_owned();
                drop(tls.write_all(&answer(&shared, &request, &page)));
                tls.conn.send_close_notify();
                drop(tls.flush());
            }
        });
        Self::of(raw, demand, Redirects::Two, certificate)
    }

    /// Takes a mail by XOAUTH2.
    pub(crate) fn smtp() -> Self {
        Self::lines("220 ready", |demand, line, lines| {
            let upper = line.to_uppercase();
            let word = upper
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned();
            match word.as_str() {
                "EHLO" => "250-here\r\n250 AUTH XOAUTH2".to_owned(),
                "AUTH" => {
                    let word = match line.split_whitespace().nth(2) {
                        Some(word) => word.to_owned(),
                        None => lines.ask("334 "),
                    };
                    match demand.accepts(xoauth2(&word).as_deref()) {
                        true => "235 accepted".to_owned(),
                        false => "535 5.7.8 refused".to_owned(),
                    }
                }
                "DATA" => {
                    let mut text = lines.ask("354 go on");
                    while text != "." {
                        text = lines.ask("");
                    }
                    "250 taken".to_owned()
                }
                "QUIT" => "221 bye".to_owned(),
                _ => "250 ok".to_owned(),
            }
        })
    }

    /// Lists one mailbox after LOGIN.
    pub(crate) fn imap() -> Self {
        Self::lines("* OK [CAPABILITY IMAP4rev1] ready", |demand, line, _| {
            let mut words = line.split_whitespace();
            let tag = words.next().unwrap_or_default();
            let ok = format!("{tag} OK done");
            match words.next().unwrap_or_default().to_uppercase().as_str() {
                "CAPABILITY" => format!("* CAPABILITY IMAP4rev1\r\n{ok}"),
                "LOGIN" => {
                    let word = words.next_back().map(|word| word.trim_matches('"'));
                    match demand.accepts(word) {
                        true => ok,
                        false => format!("{tag} NO refused"),
                    }
                }
                "LIST" => format!("* LIST () \"/\" INBOX\r\n{ok}"),
                "LOGOUT" => format!("* BYE\r\n{ok}"),
                _ => ok,
            }
        })
    }

    fn lines(
        greeting: &'static str,
        play: impl Fn(&Demand, &str, &mut Lines) -> String + Send + Sync + 'static,
    ) -> Self {
        let demand = Arc::new(Demand::default());
        let shared = Arc::clone(&demand);
        let raw = Raw::start(move |talk| {
            let reading = BufReader::new(talk.stream.try_clone().unwrap());
            let mut lines = Lines {
                reading,
                writing: talk.stream.try_clone().unwrap(),
            };
            lines.say(greeting);
            while let Some(line) = lines.next() {
                let answer = play(&shared, &line, &mut lines);
                lines.say(&answer);
                // Whoever says goodbye hangs up.
                if ["* BYE", "221 "].iter().any(|bye| answer.starts_with(bye)) {
                    return;
                }
            }
        });
        Self::of(raw, demand, Redirects::Unshown, String::new())
    }

    fn of(raw: Raw, demand: Arc<Demand>, redirects: Redirects, certificate: String) -> Self {
        Self {
            raw,
            demand,
            redirects,
            certificate,
        }
    }

    /// From now on only this token is good.
    pub(crate) fn demand(&self, token: &str) {
        token.clone_into(&mut self.demand.newest.lock().unwrap());
    }

    /// The same, for a program that is to be shown fewer redirects.
    pub(crate) fn with(self, redirects: Redirects) -> Self {
        Self { redirects, ..self }
    }

    /// From now on whoever presents the newest token is sent to this host, or is answered again.
    pub(crate) fn send_to(&self, host: Option<String>) {
        *self.demand.elsewhere.lock().unwrap() = host;
    }

    /// How many tokens were accepted, and how many refused.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (count(&self.demand.accepted), count(&self.demand.refused))
    }

    pub(crate) fn url(&self) -> String {
        self.raw.http()
    }

    pub(crate) fn port(&self) -> String {
        let url = self.url();
        url.rsplit(':').next().unwrap().to_owned()
    }
}

/// One connection of a protocol with lines.
struct Lines {
    reading: BufReader<std::net::TcpStream>,
    writing: std::net::TcpStream,
}

impl Lines {
    fn say(&mut self, line: &str) {
        drop(self.writing.write_all(format!("{line}\r\n").as_bytes()));
    }

    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reading.read_line(&mut line) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    /// Says something, unless that is nothing, and reads the next line; at the end a dot, which ends everything.
    fn ask(&mut self, line: &str) -> String {
        if !line.is_empty() {
            self.say(line);
        }
        self.next().unwrap_or_else(|| ".".to_owned())
    }
}

fn answer(demand: &Demand, request: &str, page: &dyn Fn(&str) -> (String, String)) -> Vec<u8> {
    const EVERY: &str = "Docker-Distribution-API-Version: registry/2.0\r\nConnection: close\r\n";
    match demand.accepts(presented(request).as_deref()) {
        true => {
            let path = request.split(' ').nth(1).unwrap_or_default();
            if let Some(host) = &*demand.elsewhere.lock().unwrap() {
                // After 307 a body is sent again.
                let status = match request.starts_with("POST ") {
                    true => "307 Temporary Redirect",
                    false => "302 Found",
                };
                return reply(status, &format!("Location: {host}{path}\r\n{EVERY}"), b"");
            }
            let (headers, body) = page(path);
            let kind = match body.starts_with('<') {
                _ if headers.contains("Content-Type") => "",
                true => "Content-Type: text/html\r\n",
                false => "Content-Type: application/json\r\n",
            };
            let head = format!("{kind}{headers}{EVERY}");
            reply("200 OK", &head, body.as_bytes())
        }
        false => {
            let head = format!("WWW-Authenticate: Basic realm=\"here\"\r\n{EVERY}");
            reply("401 Unauthorized", &head, b"refused")
        }
    }
}

/// The token of a request: a bearer token, the password of Basic, or the web identity of a form.
fn presented(request: &str) -> Option<String> {
    let form = request.split("WebIdentityToken=").nth(1);
    if let Some(token) = form.and_then(|rest| rest.split('&').next()) {
        return Some(token.trim().to_owned());
    }
    let mut lines = request.lines();
    let value = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization")
            .then(|| value.trim())
    })?;
    match value.split_once(' ')? {
        ("Bearer", token) => Some(token.to_owned()),
        ("Basic", word) => {
            let plain = decoded(word)?;
            let password = plain.split_once(':').map(|(_, password)| password);
            // A user name in the URL is presented without a password first.
            password.filter(|it| !it.is_empty()).map(str::to_owned)
        }
        _ => None,
    }
}

fn xoauth2(word: &str) -> Option<String> {
    let plain = decoded(word)?;
    let mut parts = plain.split('\u{1}');
    parts.find_map(|part| part.strip_prefix("auth=Bearer ").map(str::to_owned))
}

fn decoded(word: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(word).ok()?).ok()
}
