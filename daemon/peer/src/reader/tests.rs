//! Facts from a made-up kernel: numbers that come round again, users that change, files that hang.

use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use tokend_process::clock::testing::FakeClock;
use tokend_process::testing::soon;

/// Any small file that is there.
const PROGRAM: &str = "/etc/passwd";

/// A kernel in which one number names what it is told.
#[derive(Debug, Default)]
struct Fake {
    is: Mutex<Shown>,
    /// When a file has been read this often, the number changes hands.
    reused_after: Option<usize>,
    reads: AtomicUsize,
    lives: AtomicBool,
    /// What the kernel calls it and no other.
    number: Option<u64>,
    /// Where executables hang until it is dropped.
    hang: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

#[derive(Debug, Clone, Default)]
struct Shown {
    ids: (u32, u32),
    unit: &'static str,
}

#[derive(Debug)]
struct Number(Arc<Fake>);

#[derive(Debug)]
struct FakePin(Arc<Fake>);

impl Pinned for FakePin {
    fn lives(&self) -> bool {
        self.0.lives.load(Ordering::SeqCst)
    }

    fn number(&self) -> Option<u64> {
        self.0.number
    }
}

impl Fake {
    fn of(ids: (u32, u32), unit: &'static str) -> Self {
        Self {
            is: Mutex::new(Shown { ids, unit }),
            lives: AtomicBool::new(true),
            ..Self::default()
        }
    }

    fn shown(&self) -> Shown {
        let count = self.reads.fetch_add(1, Ordering::SeqCst);
        let shown = self.is.lock().unwrap().clone();
        if self.reused_after == Some(count) {
            self.reuse();
        }
        shown
    }

    /// The process ends, and its number goes to another of the same user, in a unit that is trusted.
    fn reuse(&self) {
        self.lives.store(false, Ordering::SeqCst);
        self.is.lock().unwrap().unit = "trusted.service";
    }
}

impl Processes for Number {
    fn ids(&self, _: u32) -> io::Result<(u32, u32)> {
        Ok(self.0.shown().ids)
    }

    fn file(&self, pid: u32, name: &str) -> io::Result<String> {
        Ok(match name {
            "status" => {
                let (uid, gid) = self.0.shown().ids;
                format!("Uid:\t1\t{uid}\nGid:\t1\t{gid}\nGroups:\t50\nNSpid:\t9\t1\n")
            }
            "cgroup" => format!("0::/system.slice/{}\n", self.0.shown().unit),
            _ if pid == 9 => "0 1000 1".to_owned(),
            _ => "0 0 4294967295".to_owned(),
        })
    }

    fn executable(&self, _: u32) -> io::Result<(Executable, OwnedFd)> {
        let until = self.0.hang.lock().unwrap().take();
        if let Some(until) = until {
            let _dropped = until.recv();
        }
        self.0.shown();
        let file = std::fs::File::open(PROGRAM)?;
        let path = std::path::Path::new(PROGRAM).into();
        Ok((
            Executable {
                path,
                is_there: true,
            },
            file.into(),
        ))
    }
}

fn reader(fake: &Arc<Fake>) -> Reader {
    Reader::with(Box::new(Number(Arc::clone(fake))), Clock::system(), None)
}

fn pin(fake: &Arc<Fake>) -> Result<Box<dyn Pinned>, String> {
    Ok(Box::new(FakePin(Arc::clone(fake))))
}

fn peer() -> Peer {
    Peer::new(7, 8, 9)
}

async fn learn(fake: Fake, wanted: Needs) -> Peer {
    let fake = Arc::new(fake);
    soon(reader(&fake).learn(peer(), wanted, pin(&fake)))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_asked_is_read_and_nothing_else() {
    let learned = learn(Fake::of((7, 8), "a.service"), Needs::UNITS).await;
    assert_eq!(learned.unit(), Some("a.service"));
    assert_eq!(learned.asked(), Needs::UNITS);
    let learned = learn(Fake::of((7, 8), "a.service"), Needs::ALL).await;
    assert_eq!(learned.asked(), Needs::ALL);
    let facts = learned.facts();
    assert_eq!(facts.groups, Fact::Known([50].into()));
    assert_eq!(
        facts.namespaces,
        Fact::Known(Namespaces {
            nested_pid: Some(true),
            other_user: Some(true)
        })
    );
    assert!(facts.sha256.known().is_some());
    assert_eq!(learned.executable(), Some(std::path::Path::new(PROGRAM)));
}

#[tokio::test]
async fn facts_are_read_once_and_added_to() {
    let fake = Arc::new(Fake::of((7, 8), "a.service"));
    let reader = reader(&fake);
    let first = reader
        .learn(peer(), Needs::UNITS, pin(&fake))
        .await
        .unwrap();
    let reads = fake.reads.load(Ordering::SeqCst);
    let again = reader
        .learn(first.clone(), Needs::UNITS, pin(&fake))
        .await
        .unwrap();
    assert_eq!((&again, fake.reads.load(Ordering::SeqCst)), (&first, reads));
    fake.is.lock().unwrap().unit = "b.service";
    let more = reader
        .learn(first, Needs::UNITS | Needs::GROUPS, pin(&fake))
        .await
        .unwrap();
    assert_eq!(
        more.unit(),
        Some("a.service"),
        "as it was when it was asked first"
    );
    assert!(more.facts().groups.known().is_some());
}

#[tokio::test]
async fn a_process_that_connects_again_within_a_second_is_not_looked_at_again() {
    let (clock, fake_clock) = FakeClock::start(0, 5000, "boot");
    let numbered = |unit| {
        Arc::new(Fake {
            number: Some(70),
            ..Fake::of((7, 8), unit)
        })
    };
    let fake = numbered("a.service");
    let reader = Reader::with(Box::new(Number(Arc::clone(&fake))), clock, None);
    let unit = async |peer: Peer, wanted, pin| {
        let learned = reader.learn(peer, wanted, pin).await.unwrap();
        learned.unit().map(str::to_owned)
    };
    let known = async |wanted| unit(peer(), wanted, pin(&fake)).await;
    assert_eq!(known(Needs::UNITS).await.as_deref(), Some("a.service"));
    fake.is.lock().unwrap().unit = "b.service";
    assert_eq!(known(Needs::UNITS).await.as_deref(), Some("a.service"));
    // What is read besides is read of one moment.
    let more = Needs::UNITS | Needs::GROUPS;
    assert_eq!(known(more).await.as_deref(), Some("b.service"));
    // Another process of the same number, and the same one as another user, are others.
    let other = Arc::new(Fake {
        number: Some(71),
        ..Fake::of((7, 8), "")
    });
    let of_other = unit(peer(), Needs::UNITS, pin(&other)).await;
    assert_eq!(of_other.as_deref(), Some("b.service"));
    fake.is.lock().unwrap().ids = (0, 0);
    let as_other = unit(Peer::new(0, 0, 9), Needs::UNITS, pin(&fake)).await;
    assert_eq!(as_other.as_deref(), Some("b.service"));
    fake.is.lock().unwrap().ids = (7, 8);
    fake_clock.advance(Duration::from_secs(1));
    assert_eq!(known(Needs::UNITS).await.as_deref(), Some("b.service"));
    // A process that ended has nothing, however lately it was looked at.
    fake.lives.store(false, Ordering::SeqCst);
    assert_eq!(known(Needs::UNITS).await, None);
}

#[tokio::test]
async fn what_could_not_be_read_is_read_again() {
    let fake = Arc::new(Fake {
        number: Some(70),
        ..Fake::of((0, 8), "a.service")
    });
    let reader = reader(&fake);
    let denied = reader
        .learn(peer(), Needs::UNITS, pin(&fake))
        .await
        .unwrap();
    assert_eq!(denied.unit(), None);
    fake.is.lock().unwrap().ids = (7, 8);
    let learned = reader
        .learn(peer(), Needs::UNITS, pin(&fake))
        .await
        .unwrap();
    assert_eq!(learned.unit(), Some("a.service"));
}

#[tokio::test]
async fn a_number_that_comes_round_again_inherits_nothing() {
    // Whose file has to be read is looked at twice.
    for (wanted, reads) in [(Needs::UNITS, 2), (Needs::ALL, 8)] {
        for reused_after in 0..=reads {
            let fake = Fake {
                reused_after: Some(reused_after),
                ..Fake::of((7, 8), "a.service")
            };
            let learned = learn(fake, wanted).await;
            if reused_after == reads {
                // It never came to that.
                assert_eq!(learned.unit(), Some("a.service"));
                continue;
            }
            assert_eq!(
                learned.facts().units.why_unread(),
                Some(ENDED),
                "{wanted} {reused_after}"
            );
            assert_eq!(learned.asked(), wanted);
        }
    }
}

#[tokio::test]
async fn whoever_changed_its_user_or_group_has_no_facts() {
    for ids in [(0, 8), (7, 0), (0, 0)] {
        let learned = learn(Fake::of(ids, "a.service"), Needs::ALL).await;
        let why = learned.facts().units.why_unread().unwrap();
        assert!(why.contains("another user or group"), "{why}");
        assert_eq!(learned.facts().executable.why_unread(), Some(why));
        assert_eq!(learned.facts().groups.why_unread(), Some(why));
    }
}

#[tokio::test]
async fn without_a_pin_a_number_or_a_proc_nothing_is_read() {
    let fake = Arc::new(Fake::of((7, 8), "a.service"));
    let blind = Reader::with(
        Box::new(Number(Arc::clone(&fake))),
        Clock::system(),
        Some("no /proc"),
    );
    let unpinned = reader(&fake)
        .learn(peer(), Needs::ALL, Err("gone".to_owned()))
        .await
        .unwrap();
    let strange = reader(&fake)
        .learn(Peer::new(7, 8, 0), Needs::ALL, pin(&fake))
        .await
        .unwrap();
    let unseen = blind.learn(peer(), Needs::ALL, pin(&fake)).await.unwrap();
    for (learned, why) in [
        (unpinned, "gone"),
        (strange, "PID namespace"),
        (unseen, "no /proc"),
    ] {
        assert!(learned.facts().units.why_unread().unwrap().contains(why));
        assert_eq!(learned.asked(), Needs::ALL);
    }
    assert_eq!(fake.reads.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_executable_that_hangs_costs_only_the_facts() {
    let (go_on, until) = std::sync::mpsc::sync_channel(0);
    let fake = Arc::new(Fake {
        hang: Mutex::new(Some(until)),
        ..Fake::of((7, 8), "a.service")
    });
    let reader = Arc::new(reader(&fake));
    let hanging = {
        let (reader, fake) = (Arc::clone(&reader), Arc::clone(&fake));
        tokio::spawn(async move { reader.learn(peer(), Needs::EXECUTABLE, pin(&fake)).await })
    };
    while fake.hang.lock().unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    let elsewhere = reader
        .learn(peer(), Needs::UNITS, pin(&fake))
        .await
        .unwrap();
    assert_eq!(elsewhere.unit(), Some("a.service"));
    assert!(!hanging.is_finished());
    tokio::time::advance(PATIENCE).await;
    let learned = hanging.await.unwrap().unwrap();
    let why = learned.facts().executable.why_unread().unwrap();
    assert!(why.contains("in time"), "{why}");
    drop(go_on);
}

#[tokio::test]
async fn a_digest_that_is_known_takes_no_turn_at_reading() {
    let fake = Arc::new(Fake::of((7, 8), "a.service"));
    let reader = reader(&fake);
    let wanted = Needs::FILES;
    let read = soon(reader.learn(peer(), wanted, pin(&fake)));
    let read = read.await.unwrap();
    // Two others read files without end.
    let _first = soon(reader.reads.take(1)).await.unwrap();
    let _second = soon(reader.reads.take(2)).await.unwrap();
    let again = soon(reader.learn(peer(), wanted, pin(&fake)));
    assert_eq!(again.await.unwrap().facts(), read.facts());
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_turn_is_told_so_and_is_not_taken_for_a_stranger() {
    let fake = Arc::new(Fake::of((7, 8), "a.service"));
    let reader = reader(&fake);
    let mut held = vec![
        soon(reader.reads.take(7)).await.unwrap(),
        soon(reader.reads.take(1)).await.unwrap(),
    ];
    // In a line that does not move.
    let waited = reader.learn(peer(), Needs::FILES, pin(&fake)).await;
    assert_eq!(waited.unwrap_err(), Busy::User);
    // With the line full, at once.
    let mut line: Vec<_> = (1..READS.2)
        .map(|_| Box::pin(reader.reads.take(7)))
        .collect();
    for waiting in &mut line {
        assert!(futures_util::FutureExt::now_or_never(waiting).is_none());
    }
    let full = reader.learn(peer(), Needs::FILES, pin(&fake)).await;
    assert_eq!(full.unwrap_err(), Busy::User);
    drop(line);
    held.clear();
    let learned = reader.learn(peer(), Needs::FILES, pin(&fake)).await;
    assert!(learned.unwrap().facts().sha256.known().is_some());
}

#[test]
fn a_process_that_is_there_can_be_looked_at() {
    let own = std::process::id();
    let looked = Reader::look_at(own, Needs::ALL, &Clock::system()).unwrap();
    assert_eq!(looked.uid, rustix::process::geteuid().as_raw());
    assert_eq!(looked.executable(), std::env::current_exe().ok().as_deref());
    assert!(Reader::look_at(0, Needs::ALL, &Clock::system()).is_err());
}

#[test]
fn that_a_look_is_to_be_tried_again_is_said_with_when_and_not_twice() {
    for busy in [Busy::User, Busy::Files] {
        let fault = busy.fault(7, Needs::UNITS);
        assert_eq!(fault.retry_after_ms, Some(1_000));
        let advice = fault.advice.unwrap_or_default();
        assert!(!advice.contains("again"), "{advice}");
    }
}
