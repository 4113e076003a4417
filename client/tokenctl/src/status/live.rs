//! The table that is redrawn every second, for people.
//!
//! Owns which accounts are shown if the terminal has fewer lines than there are accounts: those that need a
//! person come first. Pure, like its siblings; each line fits the terminal and ends by itself.

use std::time::Duration;

use jiff::Timestamp;
use tokend_client::{AccountState, AccountStatus};

use super::columns::columns;
use super::detail::detail;
use super::table::{HEADINGS, row};
use crate::words;

/// The terminal a frame is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Canvas {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) colours: bool,
}

/// The data of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'k> {
    pub(crate) accounts: &'k [AccountStatus],
    /// How old the data is.
    pub(crate) age: Duration,
    /// The error since then.
    pub(crate) trouble: Option<&'k str>,
    /// Whether one account was named, and everything about it is shown.
    pub(crate) one: bool,
}

/// How urgently an account needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Person,
    Patience,
    Nothing,
}

/// The lines of a frame, at most as many as the canvas has rows.
pub(crate) fn live(known: Known<'_>, now: Timestamp, canvas: Canvas) -> Vec<String> {
    let mut accounts: Vec<AccountStatus> = known
        .accounts
        .iter()
        .map(|it| aged(it, known.age))
        .collect();
    accounts.sort_by(|a, b| (need(a.state), &a.account).cmp(&(need(b.state), &b.account)));
    let mut lines = vec![title(&accounts, known, now, canvas)];
    match accounts.as_slice() {
        [] if known.trouble.is_none() => {
            lines.push("there is no account that you may see".to_owned())
        }
        [] => {}
        [one] if known.one => {
            let text = detail(one, None, now, canvas.columns);
            lines.extend(text.lines().map(|line| cut(line, canvas.columns)));
        }
        accounts => lines.extend(table(accounts, now, canvas)),
    }
    lines.truncate(canvas.rows);
    lines
}

/// What this many accounts need, as a predicate.
fn attention(accounts: usize) -> &'static str {
    match accounts {
        1 => "needs attention",
        _ => "need attention",
    }
}

fn title(accounts: &[AccountStatus], known: Known<'_>, now: Timestamp, canvas: Canvas) -> String {
    let needy = accounts
        .iter()
        .filter(|it| need(it.state) == Need::Person)
        .count();
    let mut parts = vec![match accounts.len() {
        1 => "1 account".to_owned(),
        count => format!("{count} accounts"),
    }];
    if needy > 0 {
        parts.push(format!("{needy} {}", attention(needy)));
    }
    parts.push(words::time_of_day(now));
    parts.push("q ends".to_owned());
    let text = match known.trouble {
        // First, because the end may be cut off.
        Some(trouble) => format!("{}  {}", words::plain(trouble), parts.join("  ")),
        None => parts.join("  "),
    };
    paint(
        &cut(&text, canvas.columns),
        known.trouble.map_or("1", |_| "1;31"),
        canvas.colours,
    )
}

fn table(accounts: &[AccountStatus], now: Timestamp, canvas: Canvas) -> Vec<String> {
    // The title and the headings are above.
    let room = canvas.rows.saturating_sub(2);
    let shown = if accounts.len() > room {
        room.saturating_sub(1)
    } else {
        accounts.len()
    };
    let (above, below) = accounts.split_at(shown);
    let rows: Vec<[String; 6]> = above.iter().map(|status| row(status, now)).collect();
    let mut widths = HEADINGS.map(columns);
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = columns(cell).max(*widest);
        }
    }
    let mut lines = vec![cut(
        &line(&HEADINGS.map(str::to_owned), widths),
        canvas.columns,
    )];
    for (mut cells, status) in rows.into_iter().zip(above) {
        if let (Some(problem), [.., note]) = (&status.problem, &mut cells) {
            *note = format!("{note}: {}", words::plain(&problem.message));
        }
        let text = cut(&line(&cells, widths), canvas.columns);
        let colour = match (need(status.state), status.state) {
            (Need::Person, _) => "31",
            (Need::Patience, _) => "33",
            (Need::Nothing, AccountState::Valid) => "32",
            _ => "0",
        };
        let [account, state, ..] = widths;
        lines.push(paint_part(
            &text,
            account + 2,
            state,
            colour,
            canvas.colours,
        ));
    }
    if !below.is_empty() {
        let needy = below
            .iter()
            .filter(|it| need(it.state) == Need::Person)
            .count();
        let needy = match needy {
            0 => String::new(),
            needy => format!(", {needy} of them {}", attention(needy)),
        };
        lines.push(cut(
            &format!("{} more are not shown{needy}", below.len()),
            canvas.columns,
        ));
    }
    lines
}

fn line(cells: &[String; 6], widths: [usize; 6]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    padded.join("  ").trim_end().to_owned()
}

fn need(state: AccountState) -> Need {
    match state {
        AccountState::LoginRequired
        | AccountState::Misconfigured
        | AccountState::InDoubt
        | AccountState::Unpersisted
        | AccountState::Quarantined => Need::Person,
        AccountState::Idle | AccountState::Valid | AccountState::Obtaining => Need::Nothing,
        // Backing off and paced; a state of a newer release may end by itself like these.
        _ => Need::Patience,
    }
}

/// The status as it is now, if only time has passed since it was read.
fn aged(status: &AccountStatus, age: Duration) -> AccountStatus {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    AccountStatus {
        remaining_ms: status.remaining_ms.map(|ms| ms.saturating_sub(age)),
        ..status.clone()
    }
}

/// At most `width` columns of a text.
fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

fn paint(text: &str, colour: &str, colours: bool) -> String {
    match colours {
        true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    }
}

/// Paints `width` columns from `start` on.
fn paint_part(text: &str, start: usize, width: usize, colour: &str, colours: bool) -> String {
    let part = |from: usize, count: usize| text.chars().skip(from).take(count).collect::<String>();
    let painted = paint(&part(start, width), colour, colours);
    format!(
        "{}{painted}{}",
        part(0, start),
        part(start + width, usize::MAX)
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::valid as account;
    use super::*;

    const CANVAS: Canvas = Canvas {
        columns: 120,
        rows: 24,
        colours: false,
    };

    fn frame(
        accounts: &[AccountStatus],
        age: Duration,
        trouble: Option<&str>,
        canvas: Canvas,
    ) -> Vec<String> {
        let known = Known {
            accounts,
            age,
            trouble,
            one: false,
        };
        live(known, Timestamp::UNIX_EPOCH, canvas)
    }

    fn named(name: &str, state: AccountState) -> AccountStatus {
        AccountStatus {
            account: name.parse().unwrap(),
            state,
            ..account()
        }
    }

    #[test]
    fn who_needs_somebody_stands_first_and_the_rest_is_counted() {
        use AccountState::{BackingOff, LoginRequired, Quarantined, Valid};
        let accounts = [
            named("a", Valid),
            named("b", BackingOff),
            named("c", LoginRequired),
            named("d", Quarantined),
            named("e", Valid),
        ];
        let lines = frame(&accounts, Duration::ZERO, None, CANVAS);
        assert!(
            lines[0].starts_with("5 accounts  2 need attention  "),
            "{lines:?}"
        );
        let order: String = lines[2..]
            .iter()
            .filter_map(|line| line.chars().next())
            .collect();
        assert_eq!(order, "cdbae");
        let lines = frame(
            &accounts,
            Duration::ZERO,
            None,
            Canvas { rows: 4, ..CANVAS },
        );
        assert_eq!(lines.len(), 4);
        assert!(lines[2].starts_with("c "), "{lines:?}");
        assert_eq!(lines[3], "4 more are not shown, 1 of them needs attention");
        let lines = frame(
            &accounts,
            Duration::ZERO,
            None,
            Canvas { rows: 6, ..CANVAS },
        );
        assert_eq!(lines[5], "2 more are not shown");
    }

    #[test]
    fn no_line_is_wider_and_no_frame_longer_than_the_terminal() {
        let accounts: Vec<_> = (0..30)
            .map(|n| named(&format!("a{n}"), AccountState::LoginRequired))
            .collect();
        for columns in [0, 1, 10, 80] {
            for rows in [0, 1, 2, 3, 31, 32, 33, 60] {
                let lines = frame(
                    &accounts,
                    Duration::ZERO,
                    Some("not reachable"),
                    Canvas {
                        columns,
                        rows,
                        colours: false,
                    },
                );
                assert!(lines.len() <= rows);
                assert!(
                    lines.iter().all(|line| line.chars().count() <= columns),
                    "{lines:?}"
                );
            }
        }
    }

    #[test]
    fn the_time_left_counts_down_between_two_answers() {
        let accounts = [AccountStatus {
            remaining_ms: Some(90_000),
            has_token: true,
            ..account()
        }];
        assert!(frame(&accounts, Duration::ZERO, None, CANVAS)[2].contains("1 min 30 s"));
        assert!(frame(&accounts, Duration::from_secs(31), None, CANVAS)[2].contains(" 59 s "));
        assert!(frame(&accounts, Duration::from_secs(99), None, CANVAS)[2].contains("expired"));
    }

    #[test]
    fn trouble_stands_first_and_colours_only_where_they_are_wanted() {
        let accounts = [named("a", AccountState::Valid)];
        let plain = frame(
            &accounts,
            Duration::ZERO,
            Some("tokend is not reachable, trying again"),
            CANVAS,
        );
        assert!(
            plain[0].starts_with("tokend is not reachable, trying again  1 account"),
            "{plain:?}"
        );
        assert!(!plain.concat().contains('\u{1b}'));
        let colours = Canvas {
            colours: true,
            ..CANVAS
        };
        let painted = frame(&accounts, Duration::ZERO, None, colours);
        assert!(painted[2].contains("\u{1b}[32mvalid"), "{painted:?}");
        let bare = painted[2]
            .replace("\u{1b}[32m", "")
            .replace("\u{1b}[0m", "");
        assert_eq!(bare, frame(&accounts, Duration::ZERO, None, CANVAS)[2]);
    }
}
