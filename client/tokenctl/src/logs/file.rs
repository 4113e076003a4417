//! The audit file, with the file of denials beside it and what was rotated of both.
//!
//! Owns their names and the order of their records, and goes on with a new file when one is rotated away.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::record::Record;
use super::shown::{LONGEST, MOST, Shown, tell_cut, tell_none_yet};
use crate::arguments::Logs;
use crate::failure::{Exit, Failure};

/// How often a followed file is looked at.
const PAUSE: Duration = Duration::from_millis(250);
/// How many rotated files are looked for; `keep` is 8 by default.
const ROTATED: usize = 1_000;

/// One series of files, of which the newest is open.
struct Series {
    path: PathBuf,
    open: Option<BufReader<File>>,
    /// A line that is not whole yet.
    part: Vec<u8>,
}

pub(super) fn show(path: &Path, options: &Logs, shown: &mut Shown) -> Result<(), Failure> {
    let mut denials = path.as_os_str().to_owned();
    denials.push(".denied");
    let mut all = VecDeque::new();
    let mut cut = false;
    let mut series = Vec::new();
    for (path, must) in [(path.to_owned(), true), (PathBuf::from(denials), false)] {
        let mut one = Series {
            path,
            open: None,
            part: Vec::new(),
        };
        let mut found = VecDeque::new();
        one.history(must, |record| {
            if fits(&record, options) {
                found.push_back(record);
                if found.len() > MOST {
                    found.pop_front();
                    cut = true;
                }
            }
            Ok(())
        })?;
        all.extend(found);
        series.push(one);
    }
    // Stable: records of one series keep their order.
    all.make_contiguous()
        .sort_by_key(|record: &Record| record.time);
    cut |= all.len() > MOST;
    for record in all.iter().skip(all.len().saturating_sub(MOST)) {
        shown.print(record)?;
    }
    if cut {
        tell_cut();
    }
    if options.follow && all.is_empty() {
        tell_none_yet(&options.account);
    }
    match options.follow {
        true => follow(&mut series, options, shown),
        false => Ok(()),
    }
}

/// Goes on with what is added, until a signal or the reader of the output ends it.
fn follow(series: &mut [Series], options: &Logs, shown: &mut Shown) -> Result<(), Failure> {
    loop {
        for one in &mut *series {
            one.go_on(|record| match fits(&record, options) {
                true => shown.print(&record),
                false => Ok(()),
            })?;
        }
        thread::sleep(PAUSE);
    }
}

fn fits(record: &Record, options: &Logs) -> bool {
    record.is_about(options.account.as_str())
        && options.since.is_none_or(|since| record.time >= since)
}

impl Series {
    /// Reads everything there is, the oldest file first. The newest stays open.
    fn history(
        &mut self,
        must: bool,
        mut take: impl FnMut(Record) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let rotated = (1..=ROTATED).map(|number| {
            let mut path = self.path.as_os_str().to_owned();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        });
        let rotated: Vec<PathBuf> = rotated.take_while(|path| path.exists()).collect();
        for path in rotated.iter().rev() {
            self.open = open(path, false)?;
            self.read(&mut take)?;
        }
        self.open = open(&self.path, must)?;
        self.read(&mut take)
    }

    /// Reads what was added; also to a file that has taken the place of the one that is open.
    fn go_on(
        &mut self,
        mut take: impl FnMut(Record) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.read(&mut take)?;
        let now = std::fs::metadata(&self.path).map(|it| (it.dev(), it.ino()));
        let old = self
            .open
            .as_ref()
            .and_then(|open| open.get_ref().metadata().ok());
        let old = old.map(|it| (it.dev(), it.ino()));
        if now.is_ok_and(|now| Some(now) != old) {
            // What came between the last look and the rotation.
            self.read(&mut take)?;
            self.part.clear();
            self.open = open(&self.path, false)?;
            self.read(&mut take)?;
        }
        Ok(())
    }

    fn read(&mut self, mut take: impl FnMut(Record) -> Result<(), Failure>) -> Result<(), Failure> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        loop {
            let room = LONGEST.saturating_sub(u64::try_from(self.part.len()).unwrap_or(LONGEST));
            let read = open.by_ref().take(room).read_until(b'\n', &mut self.part);
            match read.map_err(|error| unreadable(&self.path, &error))? {
                0 if room > 0 => return Ok(()),
                _ if self.part.ends_with(b"\n") || room == 0 => {
                    if let Some(record) = Record::of_file(&self.part) {
                        take(record)?;
                    }
                    // The rest of a line that is too long is no record either.
                    self.part.clear();
                }
                _ => {}
            }
        }
    }
}

fn open(path: &Path, must: bool) -> Result<Option<BufReader<File>>, Failure> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound && !must => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let (exit, advice) = match error.kind() {
        ErrorKind::PermissionDenied => (
            Exit::NotAllowed,
            "run it as root or as the user of the daemon; `file_mode = \"0640\"` in [audit] lets its group read it, too",
        ),
        ErrorKind::NotFound => (
            Exit::Config,
            "`file` in [audit] of tokend.toml has the path; without it there is no file, and the journal has the records",
        ),
        _ => (Exit::Io, "check the file and its disk"),
    };
    let what = format!("cannot read the audit file {}: {error}", path.display());
    Failure::new(exit, crate::words::plain(&what), advice)
}
