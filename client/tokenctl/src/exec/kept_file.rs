//! One file that is kept fresh.
//!
//! Owns when it is written and when it goes, and which lines people read about it. A token is in the file only while it may be used: until
//! its end, or until the daemon says that it is over. A file that cannot be written keeps the token before, until that one's end.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokend_client::{AccountName, ClientError, FaultCode, Token, WatchEvent};
use zeroize::Zeroizing;

use super::runtime::TokenDirectory;
use crate::failure::Failure;
use crate::notes::Notes;
use crate::secret_file::SecretFile;

/// How soon it is tried again to write a file.
const AGAIN: Duration = Duration::from_secs(5);
/// After so many failed attempts to reach the daemon it is said: six take about three seconds, and a restart less.
const MANY: u32 = 6;

const REMOVED: &str = "another program has removed its file, which comes back with the next token";
const WITHOUT_DIRECTORY: &str = "another program has removed its directory, and its file is gone until the command is started again";

/// The file of one account. Times are on the clock that counts since the machine was started.
pub(super) struct KeptFile {
    account: AccountName,
    file: SecretFile,
    path: PathBuf,
    /// Whether a token is in it.
    is_there: bool,
    /// When its token ends, if that is known.
    ends: Option<Duration>,
    /// A token that could not be written, when it ends, and when it is tried again.
    unwritten: Option<(Token, Option<Duration>, Duration)>,
    /// The line that was printed last, until there is a newer token.
    said: Option<String>,
    /// Attempts to reach the daemon since it was last heard.
    attempts: u32,
    /// Where the lines go.
    notes: Notes,
}

impl KeptFile {
    /// The file of a first token, which is there.
    pub(super) fn new(
        directory: &TokenDirectory,
        account: AccountName,
        ends: Option<Duration>,
        notes: Notes,
    ) -> Self {
        Self {
            file: directory.file_of(&account),
            path: directory.path_of(&account),
            account,
            is_there: true,
            ends,
            unwritten: None,
            said: None,
            attempts: 0,
            notes,
        }
    }

    /// When [`KeptFile::pass`] has something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        let ends = self.ends.filter(|_| self.is_there);
        let again = self.unwritten.as_ref().map(|(_, _, again)| *again);
        ends.into_iter().chain(again).min()
    }

    /// Time passes.
    pub(super) fn pass(&mut self, now: Duration) {
        if self.is_there && is_absent(&self.path) {
            self.is_there = false;
            match self.has_lost_its_directory() {
                true => self.say(WITHOUT_DIRECTORY),
                false => self.say(REMOVED),
            }
        }
        let has_ended = |ends: Option<Duration>| ends.is_some_and(|ends| ends <= now);
        if self.is_there && has_ended(self.ends) {
            self.remove();
            self.say("its token has ended, and its file is gone until there is a newer one");
        }
        if let Some((_, _, again)) = &self.unwritten
            && *again <= now
            && let Some((token, ends, _)) = self.unwritten.take()
            && !has_ended(ends)
        {
            self.put(token, ends, now);
        }
    }

    /// The daemon has told something.
    pub(super) fn heard(&mut self, event: WatchEvent, now: Duration) {
        self.attempts = 0;
        match event {
            WatchEvent::Token(token) => {
                let ends = ends(&token, now);
                self.put(token, ends, now);
            }
            WatchEvent::Retired => {
                self.unwritten = None;
                if self.is_there {
                    self.remove();
                    self.say("its token must not be used any more, and its file is gone until there is a newer one");
                }
            }
            WatchEvent::Unavailable(fault) => {
                let advice = fault.advice.map(|it| format!("; {it}")).unwrap_or_default();
                self.say(&format!(
                    "no newer token at present: {}{advice}",
                    fault.message
                ));
            }
            // Of a newer release.
            _ => {}
        }
    }

    /// The daemon could not be reached, and is tried again.
    pub(super) fn away(&mut self, error: &ClientError) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts == MANY {
            self.say(&format!("{error}; trying again until tokend is back"));
        }
    }

    /// The daemon tells nothing any more. If the right has ended the token may not be used; else it may, until its end.
    pub(super) fn over(&mut self, error: ClientError) {
        let has_no_right = matches!(
            &error,
            ClientError::Fault(fault)
                if matches!(fault.code, FaultCode::NotAllowed | FaultCode::UnknownAccount)
        );
        let why = Failure::from(error).in_one_line();
        self.unwritten = None;
        let then = match has_no_right || self.ends.is_none() {
            true => {
                self.remove();
                "its file is gone until the command is started again"
            }
            false => "its file goes at the end of its token, until the command is started again",
        };
        self.say(&format!("{why}; {then}"));
    }

    fn put(&mut self, token: Token, ends: Option<Duration>, now: Duration) {
        let secret = token.access_token.expose().as_bytes();
        if self.is_there && self.has(secret) {
            // Told once more, as after a restart of the daemon.
            self.ends = ends;
            return;
        }
        match self.file.write(secret) {
            Ok(()) => {
                self.is_there = true;
                self.ends = ends;
                self.unwritten = None;
                if self.said.take().is_some() {
                    self.note("its file has the newest token again");
                }
            }
            Err(failure) => {
                self.unwritten = Some((token, ends, now.saturating_add(AGAIN)));
                match self.has_lost_its_directory() {
                    true => self.say(WITHOUT_DIRECTORY),
                    false => self.say(&failure.in_one_line()),
                }
            }
        }
    }

    fn has_lost_its_directory(&self) -> bool {
        self.path.parent().is_some_and(is_absent)
    }

    fn has(&self, secret: &[u8]) -> bool {
        fs::read(&self.path).is_ok_and(|found| *Zeroizing::new(found) == *secret)
    }

    fn remove(&mut self) {
        self.is_there = false;
        self.ends = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                self.say(&format!("its file cannot be removed: {error}"));
            }
            _ => {}
        }
    }

    /// Prints a line once.
    fn say(&mut self, sentence: &str) {
        if self.said.as_deref() != Some(sentence) {
            self.note(sentence);
            self.said = Some(sentence.to_owned());
        }
    }

    fn note(&self, sentence: &str) {
        self.notes.print(format!("{}: {sentence}", self.account));
    }
}

/// Whether it is certain that there is nothing.
fn is_absent(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}

/// When a token that has just come ends.
pub(super) fn ends(token: &Token, now: Duration) -> Option<Duration> {
    token.remaining.map(|left| now.saturating_add(left))
}
