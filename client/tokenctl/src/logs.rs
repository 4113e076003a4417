//! The history of one account: its attempts, releases and denials, as audit records tell them.
//!
//! Owns which source is read.

mod file;
mod journal;
mod names;
mod record;
mod shown;

use jiff::tz::TimeZone;
use tokend_client::SocketPath;

use crate::arguments::Logs;
use crate::failure::Failure;
use crate::output;
use names::Names;
use shown::Shown;

/// Prints the history of the account; with `follow` until a signal or the reader of the output ends it.
pub(crate) fn run(socket: Option<&std::path::Path>, options: &Logs) -> Result<(), Failure> {
    let mut shown = Shown {
        json: options.json,
        zone: TimeZone::system(),
        names: Names::default(),
        count: 0,
    };
    match &options.file {
        Some(path) => file::show(path, options, &mut shown),
        None => {
            // Without a socket there is no daemon of one's own; the journal may still tell of the system's.
            let is_own = SocketPath::find(socket).is_ok_and(|socket| socket.is_own());
            journal::show(is_own, options, &mut shown)
        }
    }?;
    if shown.count == 0 {
        output::note(&format!(
            "there is no record of account {}",
            options.account
        ));
    }
    Ok(())
}
