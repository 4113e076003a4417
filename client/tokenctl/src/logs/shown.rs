//! What is shown of records, and how many.
//!
//! Records are other programs' words: nothing of them moves a cursor.

use jiff::tz::TimeZone;
use tokend_client::AccountName;

use super::names::Names;
use super::record::Record;
use crate::failure::Failure;
use crate::{output, words};

/// How many records are shown, the newest ones: more than anybody reads, and some megabytes.
pub(super) const MOST: usize = 10_000;
/// The longest line of a source that is read. A record has at most some kilobytes.
pub(super) const LONGEST: u64 = 64 * 1024;

/// What was printed so far, and how.
pub(super) struct Shown {
    pub(super) json: bool,
    pub(super) zone: TimeZone,
    pub(super) names: Names,
    pub(super) count: usize,
}

impl Shown {
    pub(super) fn print(&mut self, record: &Record) -> Result<(), Failure> {
        self.count += 1;
        let line = match self.json {
            true => record.json(),
            false => record.line(&self.zone, &mut self.names),
        };
        output::print(format!("{}\n", words::plain(&line)).as_bytes())
    }
}

/// Says that older records were left out.
pub(super) fn tell_cut() {
    output::note(&format!(
        "only the newest {MOST} records are shown; the journal or the audit files have the older ones"
    ));
}

/// Says that there is nothing to show of an account that is followed.
pub(super) fn tell_none_yet(account: &AccountName) {
    output::note(&format!(
        "there is no record of account {account} yet; the next ones are shown as they come"
    ));
}
