//! The command line of `logs`.
//!
//! Owns how a moment in the past is written: a date, a time or a duration ago.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, ValueHint};
use clap::{Arg, ArgMatches};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokend_client::AccountName;

use super::options::{account, account_arg, flag, json_arg, text};
use crate::failure::Failure;
use crate::{clock, words};

#[derive(Debug)]
pub(crate) struct Logs {
    pub(crate) account: AccountName,
    pub(crate) since: Option<Timestamp>,
    pub(crate) json: bool,
    pub(crate) follow: bool,
    /// The audit file; without it the journal is read.
    pub(crate) file: Option<PathBuf>,
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let since = Arg::new("since").long("since").value_name("TIME");
    let file = Arg::new("file").long("file").value_name("PATH");
    command.args([
        account_arg(),
        since.help(
            "Only what happened after a time (2026-11-30, 2026-11-30 14:00) or a duration ago (2h)",
        ),
        json_arg(),
        flag("follow", "Keep showing records as they come").short('f'),
        file.value_parser(PathBufValueParser::new())
            .value_hint(ValueHint::FilePath)
            .help("The audit file of the configuration, in place of the journal"),
    ])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Logs, Failure> {
    Ok(Logs {
        account: account(matches)?,
        since: text(matches, "since")
            .map(|text| moment(text, clock::now()))
            .transpose()?,
        json: matches.get_flag("json"),
        follow: matches.get_flag("follow"),
        file: matches.get_one::<PathBuf>("file").cloned(),
    })
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let ago = words::parse_duration(text).ok().and_then(|ago| {
        let ago = SignedDuration::try_from(ago).ok()?;
        now.checked_sub(ago).ok()
    });
    let local = |time: DateTime| time.to_zoned(TimeZone::system()).ok();
    let day = || text.parse::<Date>().ok().map(|day| day.at(0, 0, 0, 0));
    let read = ago.or_else(|| text.parse().ok()).or_else(|| {
        let time = text.parse::<DateTime>().ok().or_else(day);
        time.and_then(local).map(|time| time.timestamp())
    });
    read.ok_or_else(|| {
        Failure::usage(
            format!("--since {text:?} is no time"),
            "write 2026-11-30, \"2026-11-30 14:00\", 2026-11-30T13:00:00Z, or a duration ago such as 2h",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_duration_ago_a_day_or_a_moment() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let read = |text| moment(text, now).unwrap().as_second();
        assert_eq!(read("2h"), 1_700_000_000 - 7_200);
        assert_eq!(read("2023-11-14T22:13:20Z"), 1_700_000_000);
        assert!(read("2023-11-15") - read("2023-11-14 12:00") > 3_600);
        for wrong in ["", "yesterday", "2023-13-01", "-1h"] {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
    }
}
