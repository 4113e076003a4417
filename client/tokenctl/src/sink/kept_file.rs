//! The file of a sink.
//!
//! Owns when it is written and when it goes. A token is in the file only while it may be used: until its end, or until the daemon says that
//! it is over. A file that was there at the start is kept only if the daemon says that it holds the current token. A file that cannot be
//! written keeps the token before, until that one's end.

use std::io::{self, Read as _};
use std::time::Duration;

use rustix::fs::Stat;
use rustix::process::{getegid, geteuid};
use tokend_client::{Token, WatchEvent};
use zeroize::Zeroizing;

use super::on_change::Runner;
use super::place::{Holder, Place};
use super::settings::Settings;
use crate::clock;
use crate::secret_file::SecretFile;

/// How soon it is tried again to write a file, and how often it is looked whether it is still there.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest wait: waits stand still while the machine sleeps, and tokens end all the same.
const REST: Duration = Duration::from_secs(30);
/// How long a file of an earlier sink may stay while the daemon says nothing.
const UNCONFIRMED: Duration = Duration::from_secs(10);

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
    runner: Option<Runner>,
    /// The token that belongs into the file.
    current: Option<Current>,
    written: Option<Written>,
    /// Until when a file of an earlier sink stays without a word of the daemon.
    unconfirmed: Option<Duration>,
    /// Where a file is that could not be removed.
    lingering: Vec<Place>,
    /// When it is tried again to write the file.
    again: Option<Duration>,
    /// Why the file is not as it should be.
    problem: Option<String>,
}

impl KeptFile {
    pub(super) fn new(settings: Settings, runner: Option<Runner>, now: Duration) -> Self {
        let place = Place::open(settings.file.path(), me());
        if let Ok(place) = &place {
            place.clean(clock::now().as_second());
        }
        let is_there = place.is_ok_and(|it| it.stat().is_some());
        Self {
            settings,
            runner,
            current: None,
            written: None,
            unconfirmed: is_there.then(|| now.saturating_add(UNCONFIRMED)),
            lingering: Vec::new(),
            again: None,
            problem: None,
        }
    }

    /// How long until [`KeptFile::pass`] has something to do.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        let is_there = self.written.is_some() || !self.lingering.is_empty();
        let check = is_there.then(|| now.saturating_add(AGAIN));
        let ends = self.written.as_ref().and_then(|it| it.ends);
        let due = [check, ends, self.again, self.unconfirmed]
            .into_iter()
            .flatten()
            .min();
        let is_busy = self.runner.as_ref().is_some_and(|it| it.state().0);
        let soon = is_busy.then_some(Duration::from_millis(200));
        let wait = due.map_or(REST, |due| due.saturating_sub(now));
        soon.map_or(wait, |soon| wait.min(soon))
    }

    /// What is wrong at present, for people.
    pub(super) fn problem(&self) -> Option<String> {
        let of_runner = || self.runner.as_ref().and_then(|it| it.state().1);
        self.problem.clone().or_else(of_runner)
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
            self.problem.get_or_insert_with(|| ENDED.to_owned());
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
                let is_same = (self.current.as_ref())
                    .is_some_and(|it| it.token.access_token == token.access_token);
                self.current = Some(Current { token, ends });
                match &mut self.written {
                    // Once more, as after a restart of the daemon.
                    Some(written) if is_same && self.again.is_none() => written.ends = ends,
                    _ => self.put(now),
                }
            }
            WatchEvent::Retired => {
                self.current = None;
                (self.again, self.problem) = (None, None);
                self.remove();
            }
            // The file that was found at the start does not hold the current token: there is none.
            WatchEvent::Unavailable(_) if self.unconfirmed.is_some() => self.remove(),
            _ => {}
        }
    }

    /// Nobody keeps the file fresh any more.
    pub(super) fn end(&mut self) {
        self.current = None;
        self.remove();
    }

    /// Brings the token into the file.
    fn put(&mut self, now: Duration) {
        let Some(Current { token, ends }) = &self.current else {
            return;
        };
        let ends = *ends;
        let text = match self.settings.content.text(token) {
            Ok(text) => text,
            Err(failure) => return self.not_written(failure.in_one_line(), now),
        };
        let file = &self.settings.file;
        let place = match Place::open(file.path(), me()) {
            Ok(place) => place,
            Err(unfit) => return self.not_written(unfit.in_one_line(), now),
        };
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
        if !is_there && let Some(runner) = &self.runner {
            runner.changed(token);
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
