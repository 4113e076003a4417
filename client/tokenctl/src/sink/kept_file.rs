//! The file of a sink.
//!
//! Owns when it is written and when it goes. A token is in the file only while it may be used: until its end, or until the daemon says that
//! it is over. A file that was there at the start is kept only if the daemon says that it holds the current token. A file that cannot be
//! written keeps the token before, until that one's end. What another sink keeps is never touched.

use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::Stat;
use rustix::process::{getegid, geteuid};
use tokend_client::{Fault, Token, WatchEvent};
use zeroize::Zeroizing;

use super::hold::{Hold, NotHeld};
use super::on_change::Runner;
use super::place::{Holder, Place, shown};
use super::settings::Settings;
use crate::failure::{Exit, Failure};
use crate::secret_file::SecretFile;

/// How soon it is tried again to write a file, and how often it is looked whether it is still there.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest wait: waits stand still while the machine sleeps, and tokens end all the same.
const REST: Duration = Duration::from_secs(30);
/// How long a file of an earlier sink may stay while the daemon says nothing.
const UNCONFIRMED: Duration = Duration::from_secs(10);
/// How long there may be no file before that is a problem: after a refusal the next token is a matter of a second or two.
const PAUSE: Duration = Duration::from_secs(3);

pub(super) const RETIRED: &str =
    "its token must not be used any more, and its file is gone until there is a newer one";
const HELD_ADVICE: &str = "end that one, or give this sink a path of its own";
const ENDED: &str = "its token has ended, and its file is gone until there is a newer one";

/// A token, and when it ends on the clock that counts since the machine was started.
struct Current {
    token: Token,
    ends: Option<Duration>,
}

/// A file that this sink has written, or knows to hold the current token.
struct Written {
    place: Place,
    /// Its device and number: another program may put another file there.
    identity: (u64, u64),
    ends: Option<Duration>,
}

pub(super) struct KeptFile {
    settings: Settings,
    hold: Option<Hold>,
    runner: Option<Runner>,
    /// The token that belongs into the file.
    current: Option<Current>,
    written: Option<Written>,
    /// Until when a file of an earlier sink stays without a word of the daemon.
    unconfirmed: Option<Duration>,
    /// Where a file is that could not be removed.
    lingering: Vec<Place>,
    /// When the file is to be written, for the first time or again.
    again: Option<Duration>,
    /// Why the file is not as it should be.
    problem: Option<String>,
    /// Why there is no token for the file, and from when on that is a problem.
    absent: Option<(String, Duration)>,
}

impl KeptFile {
    /// # Errors
    /// If another sink keeps the file.
    pub(super) fn new(
        settings: Settings,
        runner: Option<Runner>,
        now: Duration,
    ) -> Result<Self, Failure> {
        let mut kept = Self {
            settings,
            hold: None,
            runner,
            current: None,
            written: None,
            unconfirmed: None,
            lingering: Vec::new(),
            again: None,
            problem: None,
            absent: None,
        };
        // A place that is none is reported with the first token.
        if let Ok(place) = Place::open(kept.settings.file.path(), me()) {
            if let Err(NotHeld::ByOther(who)) = kept.hold(&place) {
                return Err(Failure::new(
                    Exit::TryLater,
                    held_by(&kept.settings, &who),
                    HELD_ADVICE,
                ));
            }
            place.clean();
            kept.unconfirmed = place.stat().map(|_| now.saturating_add(UNCONFIRMED));
        }
        Ok(kept)
    }

    /// How long until [`KeptFile::pass`] has something to do.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        let is_there = self.written.is_some() || !self.lingering.is_empty();
        let check = is_there.then(|| now.saturating_add(AGAIN));
        let ends = self.written.as_ref().and_then(|it| it.ends);
        let absent = self.absent.as_ref().map(|(_, from)| *from);
        let absent = absent.filter(|from| *from > now);
        let due = [check, ends, self.again, self.unconfirmed, absent];
        let due = due.into_iter().flatten().min();
        let is_busy = self.runner.as_ref().is_some_and(|it| it.state().0);
        let soon = is_busy.then_some(Duration::from_millis(200));
        let wait = due.map_or(REST, |due| due.saturating_sub(now));
        soon.map_or(wait, |soon| wait.min(soon))
    }

    /// What is wrong at present, for people.
    pub(super) fn problem(&self, now: Duration) -> Option<String> {
        let is_absent = |(_, from): &&(String, Duration)| self.written.is_none() && *from <= now;
        let absent = || self.absent.as_ref().filter(is_absent);
        let of_runner = || self.runner.as_ref().and_then(|it| it.state().1);
        let problem = self.problem.clone();
        problem
            .or_else(|| absent().map(|(why, _)| why.clone()))
            .or_else(of_runner)
    }

    /// Whether the newest token is in the file.
    pub(super) fn is_fresh(&self) -> bool {
        self.written.is_some() && self.again.is_none()
    }

    /// Time passes.
    pub(super) fn pass(&mut self, now: Duration) {
        let has_ended = |ends: Option<Duration>| ends.is_some_and(|ends| ends <= now);
        if !self.lingering.is_empty() {
            self.problem = None;
            self.remove_at(Vec::new());
        }
        if self.unconfirmed.is_some_and(|until| until <= now) {
            self.remove();
        }
        if self.written.as_ref().is_some_and(|it| has_ended(it.ends)) {
            self.remove();
            self.absent.get_or_insert_with(|| (ENDED.to_owned(), now));
        }
        if self.current.as_ref().is_some_and(|it| has_ended(it.ends)) {
            self.current = None;
            self.again = None;
        }
        let is_touched = self.written.as_ref().is_some_and(|it| !self.stands(it));
        let is_due = self.again.is_some_and(|again| again <= now);
        if is_due || is_touched && self.again.is_none() {
            self.put(now);
        }
    }

    /// The daemon has said something.
    pub(super) fn heard(&mut self, event: &WatchEvent, now: Duration) {
        match event {
            WatchEvent::Token(token) => {
                let ends = token.remaining.map(|left| now.saturating_add(left));
                let token = token.clone();
                self.absent = None;
                let is_same = (self.current.as_ref())
                    .is_some_and(|it| it.token.access_token == token.access_token);
                self.current = Some(Current { token, ends });
                match &mut self.written {
                    // Once more, as after a restart of the daemon.
                    Some(written) if is_same && self.again.is_none() => written.ends = ends,
                    // Not at once: what is heard next may take it back.
                    _ => self.again = Some(now),
                }
            }
            WatchEvent::Retired => {
                self.current = None;
                (self.again, self.problem) = (None, None);
                self.absent = Some((RETIRED.to_owned(), now.saturating_add(PAUSE)));
                self.remove();
            }
            WatchEvent::Unavailable(fault) => {
                self.absent = Some((unavailable(fault), now));
                // The file that was found at the start does not hold the current token: there is none.
                if self.unconfirmed.is_some() {
                    self.remove();
                }
            }
            _ => {}
        }
    }

    /// Nobody keeps the file fresh any more.
    pub(super) fn end(&mut self) {
        self.current = None;
        self.remove();
        if let Some(hold) = self.hold.take() {
            hold.end();
        }
        self.stop();
    }

    /// What is being done about a change ends, and nothing is done any more.
    pub(super) fn stop(&self) {
        if let Some(runner) = &self.runner {
            runner.end();
        }
    }

    /// Makes sure that no other sink keeps the file in this place.
    fn hold(&mut self, place: &Place) -> Result<(), NotHeld> {
        if self.hold.as_ref().is_some_and(|it| it.is_of(place)) {
            return Ok(());
        }
        let next = Hold::take(place, self.settings.name.as_str())?;
        if let Some(before) = self.hold.replace(next) {
            before.end();
        }
        Ok(())
    }

    /// Where the file belongs, if no other sink keeps it.
    fn place(&mut self) -> Result<Place, String> {
        let path = self.settings.file.path();
        let place = Place::open(path, me()).map_err(|unfit| unfit.in_one_line())?;
        self.hold(&place).map_err(|not_held| match not_held {
            NotHeld::ByOther(who) => {
                let why = held_by(&self.settings, &who);
                format!("{why}; {HELD_ADVICE}")
            }
            NotHeld::Failed(error) => {
                let failure = self.settings.file.failure("locked", &error.into());
                failure.in_one_line()
            }
        })?;
        Ok(place)
    }

    /// Brings the token into the file.
    fn put(&mut self, now: Duration) {
        let Some(Current { token, ends }) = &self.current else {
            return;
        };
        let (token, ends) = (token.clone(), *ends);
        let text = match self.settings.content.text(&token) {
            Ok(text) => text,
            Err(failure) => return self.not_written(failure.in_one_line(), now),
        };
        let place = match self.place() {
            Ok(place) => place,
            Err(why) => return self.not_written(why, now),
        };
        let file = &self.settings.file;
        // What cannot be replaced goes, if it is not known to be this token: so this is forgotten only after the write.
        let is_there = self.unconfirmed.is_some() && holds(&place, &text, file);
        if !is_there && let Err(error) = file.write_in(&place.directory, &place.name, &text) {
            return self.not_written(file.failure("written", &error).in_one_line(), now);
        }
        self.unconfirmed = None;
        self.lingering.retain(|it| !it.is_beside(&place));
        // The directory of before may have been moved elsewhere, with the file in it.
        if let Some(before) = self.written.take().filter(|it| !it.place.is_beside(&place)) {
            let _failed = before.place.remove();
        }
        // Also for what an earlier sink wrote: it may have ended before it did this.
        if let Some(runner) = &self.runner {
            runner.changed(&token);
        }
        self.written = place.stat().map(|it| Written {
            place,
            identity: (it.st_dev, it.st_ino),
            ends,
        });
        (self.again, self.problem) = (None, None);
    }

    fn not_written(&mut self, why: String, now: Duration) {
        self.problem = Some(why);
        self.again = Some(now.saturating_add(AGAIN));
        // What could not be replaced may be of an earlier sink, and have ended.
        if self.unconfirmed.is_some() {
            self.remove();
        }
    }

    /// Whether the file is where it belongs, and the one that was written.
    fn stands(&self, written: &Written) -> bool {
        let place = Place::open(self.settings.file.path(), me());
        place.is_ok_and(|place| {
            let identity = place.stat().map(|it| (it.st_dev, it.st_ino));
            place.is_beside(&written.place) && identity == Some(written.identity)
        })
    }

    /// The file goes, wherever its directory is now.
    fn remove(&mut self) {
        self.unconfirmed = None;
        let written = self.written.take();
        let there = Place::open(self.settings.file.path(), me()).ok();
        let there = there.filter(|it| !matches!(self.hold(it), Err(NotHeld::ByOther(_))));
        self.remove_at(
            written
                .into_iter()
                .map(|it| it.place)
                .chain(there)
                .collect(),
        );
    }

    /// Removes the file in these places, and where it could not be removed before.
    fn remove_at(&mut self, places: Vec<Place>) {
        let before = std::mem::take(&mut self.lingering);
        for place in before.into_iter().chain(places) {
            if let Err(error) = place.remove() {
                let error = io::Error::from(error);
                self.problem = Some(self.settings.file.failure("removed", &error).in_one_line());
                if !self.lingering.iter().any(|it| it.is_beside(&place)) {
                    self.lingering.push(place);
                }
            }
        }
    }
}

/// What people read while there is no newer token.
pub(super) fn unavailable(fault: &Fault) -> String {
    let advice = fault.advice.iter().map(|it| format!("; {it}"));
    let advice: String = advice.collect();
    format!("no newer token at present: {}{advice}", fault.message)
}

/// Removes what a sink with this path left behind when it was killed; `false` if there is no such file, or another sink keeps it.
pub(super) fn clear(path: &Path, sink: &str) -> bool {
    let Ok(place) = Place::open(path, me()) else {
        return false;
    };
    let Ok(hold) = Hold::take_over(&place, sink) else {
        return false;
    };
    let is_removed = place.stat().is_some() && place.remove().is_ok();
    hold.end();
    is_removed
}

fn held_by(settings: &Settings, who: &str) -> String {
    let path = shown(settings.file.path());
    match who {
        "" => format!("{path} is kept by another sink"),
        who => format!("{path} is kept by another sink ({who})"),
    }
}

fn me() -> Holder {
    Holder::User(geteuid().as_raw())
}

/// Whether exactly this is in the file, with the owner and the permissions that it is to have.
fn holds(place: &Place, text: &[u8], wanted: &SecretFile) -> bool {
    let mut found = Zeroizing::new(Vec::new());
    let longest = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let is_read = place.file().is_some_and(|file| {
        let read = file.take(longest.saturating_add(1)).read_to_end(&mut found);
        read.is_ok()
    });
    let group = wanted.gid().unwrap_or_else(|| getegid().as_raw());
    let is_wanted = |it: Stat| {
        it.st_mode & 0o7777 == wanted.mode()
            && it.st_uid == geteuid().as_raw()
            && it.st_gid == group
    };
    is_read && *found == *text && place.stat().is_some_and(is_wanted)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokend_client::{FaultCode, SecretText};
    use tokend_document::Diagnostics;

    use super::super::settings;
    use super::*;

    fn token(secret: &str) -> WatchEvent {
        WatchEvent::Token(Token::from(tokend_proto::Token {
            access_token: SecretText::new(secret).unwrap(),
            token_type: "Bearer".to_owned(),
            expires_at_ms: None,
            remaining_ms: None,
            scope: None,
            grant: 1,
        }))
    }

    fn kept(folder: &Path) -> KeptFile {
        let configuration = folder.join("feed.toml");
        let path = folder.join("token");
        let text = format!("account = \"ads\"\npath = \"{}\"\n", path.display());
        fs::write(&configuration, text).unwrap();
        let settings = settings::read(&configuration, me(), &mut Diagnostics::default());
        KeptFile::new(settings.unwrap(), None, Duration::ZERO).unwrap()
    }

    #[test]
    fn a_token_that_was_taken_back_before_it_was_written_is_never_written() {
        let top = tempfile::tempdir().unwrap();
        let mut kept = kept(top.path());
        let now = Duration::from_secs(1);
        kept.heard(&token("over"), now);
        kept.heard(&WatchEvent::Retired, now);
        kept.pass(now);
        assert!(!top.path().join("token").exists());
        kept.heard(&token("first"), now);
        kept.heard(&token("newest"), now);
        assert_eq!(kept.wait(now), Duration::ZERO);
        kept.pass(now);
        assert!(kept.is_fresh());
        assert_eq!(
            fs::read_to_string(top.path().join("token")).unwrap(),
            "newest"
        );
    }

    #[test]
    fn no_file_is_a_problem_at_once_or_after_the_time_that_a_new_token_takes() {
        let top = tempfile::tempdir().unwrap();
        let mut kept = kept(top.path());
        let now = Duration::from_secs(1);
        assert_eq!(kept.problem(now), None);
        let down = WatchEvent::Unavailable(Fault::new(FaultCode::ProviderUnreachable, "down"));
        kept.heard(&down, now);
        let said = kept.problem(now).unwrap();
        assert_eq!(said, "no newer token at present: down");
        kept.heard(&token("one"), now);
        kept.pass(now);
        kept.heard(&down, now);
        assert_eq!(kept.problem(now), None, "the file is still good");
        kept.heard(&WatchEvent::Retired, now);
        assert_eq!(kept.problem(now), None);
        assert_eq!(kept.wait(now), PAUSE);
        assert_eq!(kept.problem(now + PAUSE).as_deref(), Some(RETIRED));
        kept.end();
        assert_eq!(
            fs::read_dir(top.path()).unwrap().count(),
            1,
            "the configuration"
        );
    }
}
