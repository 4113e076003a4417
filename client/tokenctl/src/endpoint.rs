//! `endpoint`: a token in a protocol that SDKs of clouds already speak, on a port of this machine.
//!
//! Owns one endpoint: who may ask, how many at once, and what a failure is in each protocol. It runs as the user whose program asks, and
//! gets each token from the daemon like every program of that user, so the daemon needs no port. It hands a token only to a connection that
//! the kernel knows as that user's, and, where the protocol has room for it, only for a secret that is that user's alone.

mod azure;
mod caller;
mod external_account;
mod gce;
mod listening;
mod message;
mod secret;
mod tokens;
mod variables;

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;
use sd_notify::NotifyState;
use tokend_client::SocketPath;
use zeroize::Zeroizing;

use crate::arguments::{Endpoint, EndpointKind, Serve};
use crate::failure::{Exit, Failure};
use crate::{notes, trust, words};
use message::{Answer, NotRead, PATIENCE, Request};
use secret::Secret;
use tokens::Source;
pub(crate) use variables::{WITHOUT_PROXY, check_configuration, in_the_way};

/// How many requests of its user are served at once.
const PLACES: usize = 32;
/// How many more are told to come later; others are only closed.
const REFUSED: usize = 32;
/// How many connections of other users are told that they get nothing. More are only closed.
const STRANGERS: usize = 4;
/// How long these may take.
const BRIEFLY: Duration = Duration::from_secs(1);
/// The longest time after which an SDK is told to try again: some hold back all requests until then.
const LATEST: Duration = Duration::from_secs(10);
/// What the kernel shows for a user that it cannot name here.
const NOBODY: u32 = 65_534;

/// Serves an endpoint of its own, until it is ended.
pub(crate) fn run(socket: Option<&Path>, options: Endpoint) -> Result<(), Failure> {
    let Endpoint {
        kind,
        account,
        purposes,
        directory,
        listen,
        credentials,
    } = options;
    demand_own(&directory)?;
    let listener = listening::take(listen)?;
    let secret = Secret::in_file(&directory.join(variables::SECRET))?;
    let address = address_of(&listener)?;
    if let Some(own) = &credentials {
        variables::write_configuration(&directory, own, address, &secret)?;
    }
    let names = variables::of(kind, address, &secret, Some(&directory));
    let source = Source::new(SocketPath::find(socket)?, kind, account, purposes);
    let served = Served::new(kind, source, secret)?;
    variables::write(&directory, &names)?;
    let status = format!("{kind} of {} on {address}", served.source.account);
    served.notes.print(format!(
        "{status}; its variables are in {}/{}",
        directory.display(),
        variables::ENVIRONMENT
    ));
    // Without systemd there is nobody to tell.
    drop(sd_notify::notify(&[
        NotifyState::Status(&status),
        NotifyState::Ready,
    ]));
    Arc::new(served).serve(&listener)
}

/// An endpoint beside a command.
pub(crate) struct Own {
    served: Arc<Served>,
    listener: TcpListener,
}

impl Own {
    /// Begins to listen, and returns the variables of the command.
    pub(crate) fn begin(
        socket: SocketPath,
        options: Serve,
    ) -> Result<(Self, Zeroizing<String>), Failure> {
        let listener = listening::any()?;
        let (secret, address) = (Secret::new()?, address_of(&listener)?);
        let files = options.credentials.as_ref();
        let directory = files.map(|(_, directory)| directory.as_path());
        if let Some((own, directory)) = files {
            variables::write_configuration(directory, own, address, &secret)?;
        }
        let names = variables::of(options.kind, address, &secret, directory);
        let lines = variables::lines(&names)?;
        let source = Source::new(socket, options.kind, options.account, options.purposes);
        let served = Arc::new(Served::new(options.kind, source, secret)?);
        Ok((Self { served, listener }, lines))
    }

    /// Serves it until the process ends.
    pub(crate) fn serve(self) -> Result<(), Failure> {
        self.served.serve(&self.listener)
    }
}

/// Only its own user may be able to read, or to replace, what is in the directory.
fn demand_own(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;

    let found = fs::metadata(directory).map_err(|error| unreadable(directory, &error))?;
    let is_own = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    match is_own && trust::keeps_what_is_in(directory) {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Config,
            format!("{} is not a directory of yours alone", directory.display()),
            "make one with: install -d -m 700 DIRECTORY",
        )),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let what = format!(
        "{} cannot be read: {error}",
        words::plain(&path.display().to_string())
    );
    Failure::new(Exit::Io, what, "check the path and its permissions")
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| {
        let what = format!("the socket of this endpoint cannot be used: {error}");
        Failure::new(Exit::Io, what, "start it again")
    })
}

/// An endpoint that is served.
struct Served {
    kind: EndpointKind,
    source: Source,
    secret: Secret,
    user: u32,
    own: AtomicUsize,
    strangers: AtomicUsize,
    notes: notes::Notes,
    /// The line that was printed last.
    said: Mutex<String>,
}

impl Served {
    fn new(kind: EndpointKind, source: Source, secret: Secret) -> Result<Self, Failure> {
        let user = geteuid().as_raw();
        if user == NOBODY {
            return Err(Failure::new(
                Exit::Config,
                "an endpoint cannot tell its own user, nobody, from users whom the kernel cannot name",
                "run it as another user",
            ));
        }
        Ok(Self {
            kind,
            source,
            secret,
            user,
            own: AtomicUsize::new(0),
            strangers: AtomicUsize::new(0),
            notes: notes::Notes::start(),
            said: Mutex::default(),
        })
    }

    /// Accepts connections until the process ends.
    fn serve(self: Arc<Self>, listener: &TcpListener) -> Result<(), Failure> {
        loop {
            let (connection, far) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    let what = format!("no connection can be accepted any more: {error}");
                    return Err(Failure::new(Exit::Io, what, "start it again"));
                }
                // A connection that went away meanwhile, or no room for one more: the kernel keeps it until there is.
                Err(_) => {
                    thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            let user = connection
                .local_addr()
                .ok()
                .and_then(|near| caller::of(&connection, near, far));
            self.welcome(connection, user);
        }
    }

    /// Serves a connection of this user, if there is room.
    fn welcome(self: &Arc<Self>, connection: TcpStream, user: Option<u32>) {
        let is_own = user == Some(self.user);
        let (places, most) = match is_own {
            true => (&self.own, PLACES),
            false => (&self.strangers, STRANGERS),
        };
        // Only this thread takes places.
        let taken = places.load(Ordering::Acquire);
        let is_full = taken >= most;
        if is_full && (!is_own || taken >= most + REFUSED) {
            return;
        }
        places.fetch_add(1, Ordering::AcqRel);
        let served = Arc::clone(self);
        let work = move || {
            let answer = match (is_own, is_full) {
                (false, _) => served.stranger(&connection, user),
                (true, true) => Ok(served.refusal(
                    503,
                    "too many requests at once",
                    Some(Duration::from_secs(1)),
                )),
                (true, false) => served.answer(&connection),
            };
            if let Ok(answer) = answer {
                // Whoever does not take it has gone.
                drop(message::send(&connection, &answer));
            }
            served.leave(is_own);
        };
        if thread::Builder::new().spawn(work).is_err() {
            self.leave(is_own);
        }
    }

    fn leave(&self, is_own: bool) {
        let places = if is_own { &self.own } else { &self.strangers };
        places.fetch_sub(1, Ordering::AcqRel);
    }

    fn answer(&self, connection: &TcpStream) -> Result<Answer, NotRead> {
        match message::read(connection, PATIENCE) {
            Ok(request) => Ok(self.respond(&request)),
            Err(NotRead::Refused(status, why)) => Ok(self.refusal(status, why, None)),
            Err(gone) => Err(gone),
        }
    }

    /// The answer to a user whose endpoint this is not.
    fn stranger(&self, connection: &TcpStream, user: Option<u32>) -> Result<Answer, NotRead> {
        let who = user.map_or("a user that the kernel does not name".to_owned(), |user| {
            format!("user {user}")
        });
        let sentence = format!(
            "this endpoint is for programs of user {} only, and {who} asks",
            self.user
        );
        self.say(&sentence);
        // What came is not looked at, but has to be there: some clients send before they listen.
        match message::read(connection, BRIEFLY) {
            Err(NotRead::Gone) => Err(NotRead::Gone),
            _ => Ok(self.refusal(403, &sentence, None)),
        }
    }

    fn respond(&self, request: &Request) -> Answer {
        let answered = match self.kind {
            EndpointKind::Azure => match azure::read(request, &self.secret) {
                Err(refused) => return refused,
                Ok(resource) => self
                    .source
                    .demand_resource(&resource)
                    .and_then(|()| self.source.token())
                    .and_then(|token| azure::answer(&self.source.account, &token, &resource)),
            },
            EndpointKind::Gce => match gce::read(request, &self.source.purposes) {
                gce::Asked::Known(known) => return known,
                gce::Asked::Token(scopes) => self.source.token().and_then(|token| {
                    self.source.demand_scopes(&scopes, &token)?;
                    gce::answer(&token)
                }),
            },
            EndpointKind::ExternalAccount => match external_account::read(request, &self.secret) {
                Err(refused) => return refused,
                Ok(()) => self
                    .source
                    .token()
                    .and_then(|token| external_account::answer(&token)),
            },
        };
        match answered {
            Ok(answer) => {
                self.forget();
                answer
            }
            Err(failure) => {
                let sentence = failure.in_one_line();
                self.say(&sentence);
                let (status, retry) = status(&failure);
                self.refusal(status, &sentence, retry)
            }
        }
    }

    fn refusal(&self, status: u16, sentence: &str, retry: Option<Duration>) -> Answer {
        let sentence = format!("tokend: {sentence}");
        let mut answer = match self.kind {
            EndpointKind::Azure => azure::refusal(status, &sentence),
            EndpointKind::Gce => gce::refusal(status, &sentence),
            EndpointKind::ExternalAccount => external_account::refusal(status, &sentence),
        };
        if let Some(wait) = retry {
            let seconds = wait.min(LATEST).as_secs().max(1);
            answer.headers.push(format!("Retry-After: {seconds}"));
        }
        answer
    }

    /// Prints a line once.
    fn say(&self, sentence: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != sentence {
            sentence.clone_into(&mut said);
            self.notes.print(format!(
                "endpoint {} of {}: {sentence}",
                self.kind, self.source.account
            ));
        }
    }

    fn forget(&self) {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// The status for a failure, and when to try again: what SDKs repeat by themselves is only what a repetition can help.
fn status(failure: &Failure) -> (u16, Option<Duration>) {
    match failure.exit() {
        Exit::TryLater | Exit::Unavailable => (503, Some(failure.retry_after().unwrap_or(LATEST))),
        _ => (403, None),
    }
}
