//! Files that are ours alone, datagrams the journal reads, and queues that lose nothing untold.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::Value as Json;
use tokend_config::{AuditEvents, AuditFile};
use tokend_policy::Peer;
use tokend_proto::AccountName;
use tokend_proto::FaultCode;

use super::destination::{Room, Sink};
use super::*;

use tokend_process::clock::testing::FakeClock;
use tokend_process::testing::DEADLINE;

mod files;
mod places;
mod renamed;

pub(crate) fn peer(uid: u32) -> Peer {
    Peer::new(uid, uid, 1)
}

pub(crate) fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn record(seq: u64) -> Record {
    Record {
        run: "r".into(),
        seq,
        wall_ms: 1_700_000_000_123,
        boot_ms: 42,
        event: release(),
    }
}

fn release() -> Event {
    Event {
        account: Some(name("ads")),
        peer: Some(peer(7)),
        token: Some(FingerprintKey::new(b"k").fingerprint("t")),
        detail: Some("two\nlines \u{1b}[2J".into()),
        ..Event::new(AuditEvent::Release, Outcome::Ok)
    }
}

/// A denial of this user.
fn denial(uid: u32) -> Event {
    Event {
        peer: Some(peer(uid)),
        ..Event::new(AuditEvent::Denial, Outcome::Fault(FaultCode::NotAllowed))
    }
}

/// Settings that record to this file only.
fn to_file(path: &Path) -> Settings {
    Settings {
        journal: Some(false),
        file: Some(settings(path)),
        ..Settings::default()
    }
}

fn audit(settings: &Settings) -> Audit {
    let audit = Audit::new(FingerprintKey::new(b"k"), Clock::system(), "r");
    audit.apply(Audit::prepare(settings).unwrap()).unwrap();
    audit
}

fn settings(path: &Path) -> AuditFile {
    AuditFile {
        path: path.to_owned(),
        mode: 0o600,
        max_size: 1 << 20,
        keep: 2,
    }
}

fn lines(path: &Path) -> Vec<Json> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn write(file: &mut File, records: &[Record]) {
    let mut done = 0;
    file.write(records, &mut done).unwrap();
    assert_eq!(done, records.len());
}

#[test]
fn the_same_token_has_the_same_fingerprint_and_only_under_the_same_key() {
    let one = FingerprintKey::new(b"one key");
    let fingerprint = one.fingerprint("token").to_string();
    assert_eq!(fingerprint.len(), 16);
    assert_eq!(one.fingerprint("token").to_string(), fingerprint);
    assert_ne!(one.fingerprint("tokem").to_string(), fingerprint);
    assert_ne!(
        FingerprintKey::new(b"another")
            .fingerprint("token")
            .to_string(),
        fingerprint
    );
    assert!(!format!("{one:?}").contains("one key"));
}

#[test]
fn the_journal_gets_a_datagram_of_fields_for_each_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = Journal::at(path.to_str().unwrap());
    let mut done = 0;
    let error = journal.write(&[record(1)], &mut done).unwrap_err();
    assert!(error.to_string().contains("journal"), "{error}");
    assert_eq!(done, 0);
    let socket = UnixDatagram::bind(&path).unwrap();
    journal.write(&[record(1), record(2)], &mut done).unwrap();
    assert_eq!(done, 2);
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..length]).unwrap();
    let fields: Vec<_> = text
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .collect();
    let value = |name: &str| fields.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    assert_eq!(
        value("MESSAGE"),
        Some("audit: release of ads for uid 7 pid 1: ok")
    );
    assert_eq!(value("PRIORITY"), Some("6"));
    assert_eq!(value("TOKEND_SEQ"), Some("1"));
    assert_eq!(value("TOKEND_ACCOUNT"), Some("ads"));
    assert_eq!(value("TOKEND_DETAIL"), Some(r"two\nlines \u{1b}[2J"));
    let allowed = |c: char| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit();
    assert!(fields.iter().all(|(name, _)| name.chars().all(allowed)));
}

/// A place that says what it is given, once it is told whether to take it.
#[derive(Debug)]
struct Slow {
    orders: Receiver<bool>,
    taken: SyncSender<Vec<u64>>,
    lost: SyncSender<u64>,
}

impl Sink for Slow {
    fn write(&mut self, records: &[Record], done: &mut usize) -> io::Result<()> {
        // Whoever gave orders is gone only at the end of a test.
        if !self.orders.recv().unwrap_or(true) {
            return Err(io::Error::other("full"));
        }
        let _gone = self.taken.send(records.iter().map(|it| it.seq).collect());
        for lost in records.iter().filter_map(|it| it.event.lost) {
            let _gone = self.lost.send(lost);
        }
        *done = records.len();
        Ok(())
    }

    fn finish(&mut self) {}
}

struct Bench {
    queues: Arc<Queues>,
    orders: SyncSender<bool>,
    taken: Receiver<Vec<u64>>,
    lost: Receiver<u64>,
}

/// Queues whose file is on.
fn bench(required: bool) -> Bench {
    bench_of(&DESTINATIONS, 1, required, Clock::system())
}

/// Queues for these places, of which only one is on.
fn bench_of(
    places: impl IntoIterator<Item = &'static Destination>,
    on: usize,
    required: bool,
    clock: Clock,
) -> Bench {
    let ((orders, ordered), (took, taken), (lose, lost)) =
        (sync_channel(16), sync_channel(64), sync_channel(64));
    let sink = Slow {
        orders: ordered,
        taken: took,
        lost: lose,
    };
    let queues = Arc::new(Queues::new("test", clock, places));
    let mut changes: Vec<_> = queues.tallies().map(|_| SinkChange::Off).collect();
    changes[on] = SinkChange::To(Box::new(sink));
    queues
        .apply(changes, AuditEvents::ALL, required, queue::writer::run)
        .unwrap();
    Bench {
        queues,
        orders,
        taken,
        lost,
    }
}

impl Bench {
    fn tally(&self, place: usize) -> &Tally {
        let (_, tally) = self.queues.tallies().nth(place).unwrap();
        tally
    }

    fn push(&self) -> Result<(), Refused> {
        self.queues.push(release())
    }

    /// Pushes until the thread has taken something and waits for its place to take it.
    fn until_full(&self) -> u64 {
        let mut pushed = 0;
        while self.tally(1).lost.get() == 0 {
            self.push().unwrap();
            pushed += 1;
        }
        pushed
    }
}

#[test]
fn what_finds_no_room_is_counted_and_told_where_it_is_missing() {
    let bench = bench(false);
    let pushed = bench.until_full();
    for _ in 0..4 {
        bench.push().unwrap();
    }
    let mut seen = Vec::new();
    bench.orders.send(true).unwrap();
    bench.orders.send(true).unwrap();
    while seen.last() != Some(&(pushed + 5)) {
        seen.extend(bench.taken.recv_timeout(DEADLINE).unwrap());
        let _more = bench.orders.try_send(true);
    }
    let lost = bench.lost.recv_timeout(DEADLINE).unwrap();
    assert_eq!(lost, 5);
    assert_eq!(bench.tally(1).lost.get(), 5);
    let missing = (1..pushed + 5).filter(|seq| !seen.contains(seq)).count();
    assert_eq!(missing, 5, "the numbers show where");
    assert!(seen.len() <= Room::USUAL.records + 1);
    assert!(seen.is_sorted());
}

#[test]
fn denials_take_no_room_in_the_queue_from_releases() {
    let (clock, hands) = FakeClock::start(0, 0, "a");
    // A journal takes both.
    let bench = bench_of(&DESTINATIONS, 0, true, clock);
    while bench.tally(0).lost.get() == 0 {
        // Denials of very many users.
        (0..200).for_each(|uid| bench.queues.push(denial(uid)).unwrap());
        hands.advance(Duration::from_secs(60));
    }
    assert!(
        bench.queues.may_release(),
        "denials are lost, and nothing else"
    );
    let lost = bench.tally(0).lost.get();
    // A thread that woke late has one place for the record that tells how many denials were lost.
    for _ in 1..Room::USUAL.records {
        bench.push().unwrap();
    }
    let mut last = [bench.push(), bench.push()].into_iter();
    assert!(last.any(|pushed| pushed == Err(Refused)), "now it is full");
    assert_eq!(bench.tally(0).lost.get(), lost);
}

#[test]
fn denials_go_to_a_file_of_their_own_with_numbers_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (path, denied) = (dir.path().join("audit"), dir.path().join("audit.denied"));
    let audit = audit(&to_file(&path));
    for _ in 0..1_000 {
        audit.note(denial(7));
        audit.note(release());
    }
    audit.finish();
    let releases = lines(&path);
    assert_eq!(releases.len(), 1_000);
    assert!(
        releases
            .iter()
            .zip(1_u64..)
            .all(|(it, seq)| it["seq"] == seq)
    );
    let denials = lines(&denied);
    assert_eq!(denials.len(), 2, "{denials:#?}");
    for (denial, (seq, count)) in denials.iter().zip([(1, Json::Null), (2, 999.into())]) {
        assert_eq!(
            (&denial["run"], &denial["seq"]),
            (&"r-denied".into(), &seq.into())
        );
        assert_eq!(denial["count"], count);
    }
}

#[test]
fn what_could_not_be_written_is_tried_again_and_nothing_is_there_twice() {
    let bench = bench(false);
    bench.push().unwrap();
    bench.orders.send(false).unwrap();
    bench.orders.send(true).unwrap();
    let seen = bench.taken.recv_timeout(DEADLINE).unwrap();
    assert_eq!(seen, [1]);
    bench.orders.send(true).unwrap();
    assert!(bench.queues.finish(DEADLINE));
}

#[test]
fn a_required_record_that_cannot_be_kept_holds_the_release_back_and_nothing_else() {
    let bench = bench(true);
    assert!(bench.queues.may_release());
    bench.push().unwrap();
    bench.orders.send(false).unwrap();
    while !bench.tally(1).is_failing() || bench.queues.may_release() {
        std::thread::yield_now();
    }
    assert_eq!(bench.push(), Err(Refused));
    let failure = Event::new(
        AuditEvent::Failure,
        Outcome::Fault(FaultCode::AuditUnavailable),
    );
    assert_eq!(bench.queues.push(failure), Ok(()));
    bench.orders.send(true).unwrap();
    let _later = bench.orders.send(true);
    while !bench.queues.may_release() {
        std::thread::yield_now();
    }
    bench.push().unwrap();
}

#[test]
fn what_is_queued_is_written_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let audit = audit(&Settings {
        events: [AuditEvent::Release].into_iter().collect(),
        ..to_file(&path)
    });
    assert!(audit.wants(AuditEvent::Release) && !audit.wants(AuditEvent::Denial));
    for _ in 0..100 {
        audit.note(release());
        audit.note(Event::new(
            AuditEvent::Denial,
            Outcome::Fault(FaultCode::NotAllowed),
        ));
    }
    audit.finish();
    let seqs: Vec<_> = lines(&path).iter().map(|it| it["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=100).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_reload_opens_the_file_that_is_there_now() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("audit"), dir.path().join("moved"));
    let settings = to_file(&path);
    let audit = audit(&settings);
    audit.note(release());
    fs::rename(&path, &moved).unwrap();
    audit.apply(Audit::prepare(&settings).unwrap()).unwrap();
    audit.note(release());
    audit.finish();
    let all: Vec<_> = [lines(&moved), lines(&path)].concat();
    let seqs: Vec<_> = all.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2]);
    assert!(!lines(&path).is_empty());
    let nowhere = Settings {
        file: None,
        required: true,
        ..settings
    };
    assert!(Audit::prepare(&nowhere).is_err());
}
