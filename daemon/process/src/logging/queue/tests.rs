//! That nobody waits for a reader, and that nothing is dropped unreported.

use std::cell::Cell;
use std::io::Write as _;
use std::rc::Rc;

use super::*;

/// Says what it is asked to say by writing a line, as logging does.
struct Says(Queue);

impl LogNotices for Says {
    fn dropped(&self, lines: u64, why: &Why) {
        let why = match why {
            Why::Unread => "unread",
            Why::Failed(error) => error,
        };
        writeln!(self.0.make_writer(), "dropped {lines}: {why}").expect("a queue");
    }

    fn due(&self, last: bool) -> Option<Duration> {
        if last {
            writeln!(self.0.make_writer(), "the last").expect("a queue");
        }
        None
    }
}

/// A standard error that takes so many bytes until it is full.
#[derive(Clone, Default)]
struct Paper {
    written: Rc<RefCell<Vec<u8>>>,
    room: Rc<Cell<usize>>,
}

impl Paper {
    fn write(&self, text: &[u8]) -> io::Result<usize> {
        let count = self.room.get().min(text.len());
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.set(self.room.get() - count);
        self.written.borrow_mut().extend_from_slice(&text[..count]);
        Ok(count)
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.written.borrow().clone()).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }
}

type Write = Box<dyn FnMut(&[u8]) -> io::Result<usize>>;
type Bench = (Queue, Paper, Writer<Write, Says>);

fn bench(room: usize) -> Bench {
    let (queue, paper) = (Queue::default(), Paper::default());
    paper.room.set(room);
    let own = paper.clone();
    let write: Write = Box::new(move |text| own.write(text));
    let writer = Writer::new(queue.clone(), write, Says(queue.clone()));
    (queue, paper, writer)
}

fn log(queue: &Queue, level: Level, line: &str) {
    queue.push(level, format!("{line}\n").as_bytes());
}

#[test]
fn what_finds_no_room_is_counted_and_told_behind_what_did() {
    let (queue, paper, mut writer) = bench(usize::MAX);
    let line = "x".repeat(99);
    for _ in 0..ROOM / 100 + 7 {
        log(&queue, Level::INFO, &line);
    }
    assert_eq!(queue.dropped(), 7);
    log(&queue, Level::ERROR, "tokend ended: for a reason");
    writer.turn();
    let lines = paper.lines();
    assert_eq!(lines.len(), ROOM / 100 + 2);
    let last: Vec<_> = lines.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["dropped 7: unread", "tokend ended: for a reason"]);
    log(&queue, Level::INFO, "there is room again");
    writer.turn();
    assert_eq!(paper.lines().last().unwrap(), "there is room again");
}

#[test]
fn a_disk_that_is_full_loses_lines_and_tells_how_many_once_there_is_room() {
    let (queue, paper, mut writer) = bench("first\nsec".len());
    for line in ["first", "second", "third"] {
        log(&queue, Level::INFO, line);
    }
    writer.turn();
    writer.turn();
    assert_eq!(queue.dropped(), 2);
    assert_eq!(paper.lines(), ["first", "sec"]);
    paper.room.set(usize::MAX);
    writer.turn();
    let full = io::Error::from(io::ErrorKind::StorageFull);
    // Half a line takes no other with it.
    let message = format!("dropped 2: {full}");
    assert_eq!(paper.lines(), ["first", "sec", &message]);
    assert_eq!(queue.lock().unreported, 0);
}

#[test]
fn a_line_longer_than_a_pipe_takes_at_once_is_written_whole() {
    let (queue, paper, mut writer) = bench(usize::MAX);
    let lines = ["a".repeat(3 * AT_ONCE), "b".to_owned(), "c".repeat(AT_ONCE)];
    for line in &lines {
        log(&queue, Level::INFO, line);
    }
    writer.turn();
    assert_eq!(paper.lines(), lines);
}

#[test]
fn the_end_has_everything_said_and_waits_for_no_reader_that_is_gone() {
    let (queue, paper, mut writer) = bench(usize::MAX);
    log(&queue, Level::INFO, "stopped");
    assert!(!queue.finish(Duration::from_millis(1)), "nobody writes");
    writer.turn();
    assert!(queue.lock().ended);
    assert_eq!(paper.lines(), ["stopped", "the last"]);
}
