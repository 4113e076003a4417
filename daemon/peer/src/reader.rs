//! Reads facts about peers.
//!
//! Owns which facts are read where: facts that the kernel gives are read at once; files are read on the threads
//! for blocking work, a bounded number at a time, shared among users, and for a bounded time. A file whose
//! digest is known takes no turn at reading. After reading, the reader checks that the pinned process still
//! lives and is still the user that connected; if not, every fact that was read is discarded.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use tokend_policy::{Digest, Executable, Fact, Facts, Namespaces, Needs, Peer, units};
use tokend_proto::{Fault, FaultCode};
use tokio::time::timeout;

use super::executable::Digests;
use super::pin::{ENDED, Pinned};
use super::process::{self, Kernel, Processes};
use super::recent::Recent;
use super::turns::{Full, Turn, Turns};
use tokend_process::clock::Clock;

/// How many executables are looked at at once, how many of one user's, and how many of one user may be in line.
const INSPECTIONS: (usize, usize, usize) = (16, 4, 64);
/// How many executables are read at once, how many of one user's, and how many of one user may be in line. A file of 512 MiB takes
/// seconds, and its owner can have it read again by touching it.
const READS: (usize, usize, usize) = (2, 1, 16);
/// How many look-ups of user names run at once, and how many for one user: a look-up may wait for a server.
const NAMES: (usize, usize, usize) = (8, 2, 16);
/// How long reading files may take. A file system that hangs costs its own peer the facts, and costs other
/// peers nothing.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Reads facts about peers.
#[derive(Debug)]
pub struct Reader {
    work: Arc<Work>,
    clock: Clock,
    inspections: Turns,
    reads: Turns,
    /// Turns at looking up names of users.
    pub names: Turns,
    /// Why no fact can be read at all.
    blind: Option<&'static str>,
}

/// Why a process could not be looked at now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// Too many requests of the same user are ahead of it.
    User,
    /// Too many files that identify other processes do not answer.
    Files,
}

impl Busy {
    /// The sentence for the client.
    pub fn fault(self, uid: u32, needs: Needs) -> Fault {
        let too_busy = |message| Fault::new(FaultCode::TooBusy, message).retry_after(1_000);
        // The retry time is given beside it, so the sentence does not say to try again.
        match self {
            Self::User => too_busy(format!(
                "too many processes of user {uid} are being looked at: the {needs} of this one has no turn"
            )),
            Self::Files => too_busy(format!(
                "too many programs lie on file systems that do not answer: the {needs} of this process cannot be looked at"
            ))
            .advise("if it continues, check the disks and networks that programs run from"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Reading {
    /// Those of files that were read before.
    Known,
    /// All. The time is that of the wall clock.
    All(i64),
}

#[derive(Debug)]
struct Work {
    processes: Box<dyn Processes>,
    digests: Digests,
    recent: Recent,
}

impl Reader {
    /// One that asks the kernel.
    pub fn new(clock: Clock) -> Self {
        Self::with(Box::new(Kernel), clock, process::why_blind())
    }

    fn with(processes: Box<dyn Processes>, clock: Clock, blind: Option<&'static str>) -> Self {
        Self {
            work: Arc::new(Work {
                processes,
                digests: Digests::default(),
                recent: Recent::default(),
            }),
            clock,
            inspections: turns(INSPECTIONS),
            reads: turns(READS),
            names: turns(NAMES),
            blind,
        }
    }

    /// `peer` with the facts that are wanted and were not asked for before. `pin` is what its connection says.
    ///
    /// # Errors
    /// When too many others of its user are before it, or too many files do not answer. Then nothing was asked.
    pub async fn learn(
        &self,
        peer: Peer,
        wanted: Needs,
        pin: Result<Box<dyn Pinned>, String>,
    ) -> Result<Peer, Busy> {
        let wanted = wanted.without(peer.asked());
        if wanted.is_empty() {
            return Ok(peer);
        }
        let pin = match (self.blind, peer.pid, pin) {
            (Some(blind), ..) => Err(blind.to_owned()),
            (_, 0, _) => Err("it runs in a PID namespace the daemon's does not show".to_owned()),
            (_, _, pin) => pin,
        };
        let pin = match pin {
            Ok(pin) => pin,
            Err(why) => {
                let facts = unread(peer.facts().clone(), wanted, &why);
                return Ok(peer.with(facts));
            }
        };
        let facts = peer.facts().clone();
        if !wanted.has(Needs::FILES) {
            let boot_ms = self.clock.boot_ms();
            let facts = self.work.read_again(&peer, facts, wanted, &*pin, boot_ms);
            return Ok(peer.with(facts));
        }
        let now_ms = self.clock.wall_ms();
        let read = |digests| {
            let (work, own, facts) = (Arc::clone(&self.work), peer.clone(), facts.clone());
            move |pin: Box<dyn Pinned>| {
                let facts = work.read(&own, facts, wanted, &*pin, digests);
                (facts, pin)
            }
        };
        let looked = self
            .turn(&self.inspections, peer.uid, pin, read(Reading::Known))
            .await?;
        let found = match looked {
            // The digest is not known: the file has to be read, which takes a turn of another kind.
            Ok((found, pin)) if wanted.has(Needs::SHA256) && found.sha256.is_unasked() => {
                let read = read(Reading::All(now_ms));
                self.turn(&self.reads, peer.uid, pin, read).await?
            }
            looked => looked,
        };
        let facts = match found {
            Ok((found, _pin)) => found,
            Err(why) => unread(facts, wanted, why),
        };
        Ok(peer.with(facts))
    }

    /// Runs work on files on the threads for blocking work, when it is this user's turn. The inner error says
    /// why nothing is known.
    async fn turn(
        &self,
        turns: &Turns,
        uid: u32,
        pin: Box<dyn Pinned>,
        work: impl FnOnce(Box<dyn Pinned>) -> (Facts, Box<dyn Pinned>) + Send + 'static,
    ) -> Result<Result<(Facts, Box<dyn Pinned>), &'static str>, Busy> {
        let turn = timeout(PATIENCE, turns.take(uid)).await;
        let Turn { common, own } = match turn {
            Ok(Ok(turn)) => turn,
            Ok(Err(Full::Threads)) => return Err(Busy::Files),
            Ok(Err(Full::Queue)) | Err(_) => return Err(Busy::User),
        };
        let work = tokio::task::spawn_blocking(move || {
            let done = work(pin);
            drop(own);
            done
        });
        let done = match timeout(PATIENCE, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err("reading it failed inside tokend; please report this"),
            Err(_) => Err("it could not be read in time"),
        };
        // A file that hangs keeps its own user's turn, and no other user's. It also keeps its thread, and the
        // number of threads is bounded.
        drop(common);
        Ok(done)
    }

    /// The facts of a running process, for a caller that knows only its id.
    pub fn look_at(pid: u32, wanted: Needs, clock: &Clock) -> Result<Peer, String> {
        let pin = super::Pin::open(pid).map_err(|why| why.replace(" that connected", ""))?;
        let reader = Self::new(clock.clone());
        if let Some(blind) = reader.blind {
            return Err(blind.to_owned());
        }
        let (uid, gid) = Kernel.ids(pid).map_err(|error| error.to_string())?;
        let peer = Peer::new(uid, gid, pid);
        let facts = reader.work.read(
            &peer,
            Facts::default(),
            wanted,
            &pin,
            Reading::All(clock.wall_ms()),
        );
        Ok(peer.with(facts))
    }
}

impl Work {
    /// As [`Work::read`], but units that were read of this very process a moment ago are not read again.
    fn read_again(
        &self,
        peer: &Peer,
        facts: Facts,
        wanted: Needs,
        pin: &dyn Pinned,
        boot_ms: u64,
    ) -> Facts {
        let number = (wanted == Needs::UNITS).then(|| pin.number()).flatten();
        let known = number.and_then(|number| self.recent.of(number, peer, boot_ms));
        if let Some(units) = known.filter(|_| pin.lives()) {
            return Facts {
                units: Fact::Known(units),
                ..facts
            };
        }
        let facts = self.read(peer, facts, wanted, pin, Reading::Known);
        if let (Some(number), Fact::Known(units)) = (number, &facts.units) {
            self.recent.note(number, peer, units.clone(), boot_ms);
        }
        facts
    }

    /// Reads the wanted facts, and keeps them only if they are certainly about the process that connected.
    fn read(
        &self,
        peer: &Peer,
        facts: Facts,
        wanted: Needs,
        pin: &dyn Pinned,
        reading: Reading,
    ) -> Facts {
        let found = self.facts(peer.pid, facts.clone(), wanted, reading);
        let ids = self.processes.ids(peer.pid);
        // Checked last: as long as the process lives, no other has its id, so every fact above was about it.
        if !pin.lives() {
            return unread(facts, wanted, ENDED);
        }
        match ids {
            Ok(ids) if ids == (peer.uid, peer.gid) => found,
            Ok(_) => unread(
                facts,
                wanted,
                "it has another user or group than when it connected",
            ),
            Err(error) => unread(facts, wanted, &why(&error)),
        }
    }

    fn facts(&self, pid: u32, mut facts: Facts, wanted: Needs, reading: Reading) -> Facts {
        let file = |name| {
            let text = self.processes.file(pid, name);
            text.map_err(|error| why(&error))
        };
        if wanted.has(Needs::UNITS) {
            facts.units = fact(file("cgroup").and_then(|text| Ok(units(&text)?)));
        }
        if wanted.has(Needs::GROUPS | Needs::NAMESPACES) {
            let status = file("status");
            let status = status.as_deref().map_err(Clone::clone);
            if wanted.has(Needs::NAMESPACES) {
                facts.namespaces = fact(status.clone().map(|it| self.namespaces(pid, it)));
            }
            if wanted.has(Needs::GROUPS) {
                facts.groups = fact(status.and_then(|status| {
                    process::groups(status).ok_or_else(|| "the kernel does not tell them".into())
                }));
            }
        }
        if wanted.has(Needs::EXECUTABLE | Needs::SHA256) {
            let (executable, sha256) = self.program(pid, wanted, reading);
            if wanted.has(Needs::EXECUTABLE) {
                facts.executable = executable;
            }
            if wanted.has(Needs::SHA256) {
                facts.sha256 = sha256;
            }
        }
        facts
    }

    fn namespaces(&self, pid: u32, status: &str) -> Namespaces {
        let map = |pid| self.processes.file(pid, "uid_map").ok();
        Namespaces {
            nested_pid: process::is_nested(status),
            other_user: map(pid)
                .zip(map(std::process::id()))
                .map(|(theirs, ours)| theirs != ours),
        }
    }

    fn program(
        &self,
        pid: u32,
        wanted: Needs,
        reading: Reading,
    ) -> (Fact<Executable>, Fact<Digest>) {
        let (executable, fd) = match self.processes.executable(pid) {
            Ok(found) => found,
            Err(error) => {
                let why: Box<str> = why_not_shown(&error).into();
                return (Fact::Unread(why.clone()), Fact::Unread(why));
            }
        };
        let sha256 = if wanted.has(Needs::SHA256) {
            match (self.digests.known(fd.as_fd()), reading) {
                (Some(digest), _) => Fact::Known(digest),
                (None, Reading::Known) => Fact::Unasked,
                (None, Reading::All(now_ms)) => {
                    let digest = self.digests.of(fd.as_fd(), now_ms);
                    fact(digest.map_err(|error| why(&error)))
                }
            }
        } else {
            Fact::Unasked
        };
        (Fact::Known(executable), sha256)
    }
}

fn turns((all, per_user, longest): (usize, usize, usize)) -> Turns {
    Turns::new(all, per_user, longest)
}

/// What was read, or why it could not be.
fn fact<T>(read: Result<T, String>) -> Fact<T> {
    read.map_or_else(|why| Fact::Unread(why.into()), Fact::Known)
}

/// `facts` with everything that was wanted noted as unread.
fn unread(mut facts: Facts, wanted: Needs, why: &str) -> Facts {
    fn note<T>(fact: &mut Fact<T>, wanted: bool, why: &str) {
        if wanted {
            *fact = Fact::Unread(why.into());
        }
    }
    note(&mut facts.groups, wanted.has(Needs::GROUPS), why);
    note(&mut facts.units, wanted.has(Needs::UNITS), why);
    note(&mut facts.executable, wanted.has(Needs::EXECUTABLE), why);
    note(&mut facts.sha256, wanted.has(Needs::SHA256), why);
    note(&mut facts.namespaces, wanted.has(Needs::NAMESPACES), why);
    facts
}

/// Why something of a process could not be read.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "the daemon is not shown its process (hidepid, ProtectProc= or it has ended)".to_owned()
        }
        io::ErrorKind::PermissionDenied => "the daemon has no permission to read it".to_owned(),
        // Our own sentence stands alone; an error of the system is given with its number.
        _ => error.to_string(),
    }
}

fn why_not_shown(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "the daemon may see the executable only of its own user's processes, for want of CAP_SYS_PTRACE (see executable-rules.conf)".to_owned()
        }
        _ => why(error),
    }
}

#[cfg(test)]
mod tests;
