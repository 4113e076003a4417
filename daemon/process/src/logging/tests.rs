//! What a line looks like, and that nobody can forge one.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use super::*;
use crate::clock::testing::FakeClock;

#[derive(Debug, Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("lock").clone()).expect("UTF-8")
    }

    fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("lock").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn captured(format: Format, level: &str, terminal: bool, log: impl FnOnce(&Logging)) -> Captured {
    let destination = match terminal {
        true => Destination::Terminal,
        false => Destination::Elsewhere,
    };
    captured_at(Clock::system(), format, level, destination, log)
}

fn captured_at(
    clock: Clock,
    format: Format,
    level: &str,
    destination: Destination,
    log: impl FnOnce(&Logging),
) -> Captured {
    let captured = Captured::default();
    let level = level.parse().expect("a level");
    let lines = Lines::new(clock);
    let (subscriber, logging) = subscriber(format, &level, destination, lines, captured.clone());
    tracing::subscriber::with_default(subscriber, || log(&logging));
    captured
}

const FORGED: &str = "denied\n<3>ERROR forged account=root\r\x1b[2Jnext\u{2028}li\u{9b}\x7fne";

#[test]
fn a_journal_line_has_a_priority_and_no_time() {
    let log = captured(Format::Journal, "trace", true, |_| {
        tracing::error!("broken");
        tracing::warn!("odd");
        tracing::info!(account = "ads", attempts = 3, ok = true, "attempt finished");
        tracing::debug!("detail");
        tracing::trace!("tiny");
    });
    let expected = [
        "<3>broken",
        "<4>odd",
        "<6>attempt finished account=ads attempts=3 ok=true",
        "<7>detail",
        "<7>tiny",
    ];
    assert_eq!(log.lines(), expected);
}

#[test]
fn a_line_is_one_line_whatever_a_provider_says() {
    for format in [Format::Journal, Format::Human, Format::Json] {
        let log = captured(format, "info", false, |_| {
            tracing::info!(told = FORGED, "provider said");
            tracing::info!(told = %FORGED, "provider said");
            tracing::info!(told = ?FORGED, "provider said");
            tracing::info!(
                error = &io::Error::other(FORGED) as &dyn std::error::Error,
                "failed"
            );
            tracing::info!("provider said {FORGED}");
            tracing::info_span!("attempt", told = FORGED).in_scope(|| tracing::info!("inside"));
        });
        let text = log.text();
        assert_eq!(text.matches('\n').count(), 6, "{text}");
        let controls = text
            .chars()
            .filter(|c| c.is_control() && *c != '\n')
            .count();
        assert_eq!(controls, 0, "{text}");
    }
}

#[test]
fn a_value_cannot_pose_as_another_value() {
    let log = captured(Format::Journal, "info", false, |_| {
        tracing::info!(told = "ok account=root", "a");
        tracing::info!(told = %"x\" account=\"root", "b");
        tracing::info!(told = ?"x\" y", list = ?["p", "q"], "c");
    });
    let expected = [
        r#"<6>a told="ok account=root""#,
        r#"<6>b told="x\" account=\"root""#,
        r#"<6>c told="x\" y" list="[\"p\", \"q\"]""#,
    ];
    assert_eq!(log.lines(), expected);
}

#[test]
fn a_line_for_people_has_a_time_and_colours_only_on_a_terminal() {
    let log = captured(Format::Human, "info", false, |_| {
        tracing::warn!(account = "ads", "odd")
    });
    let line = log.text();
    let (time, rest) = line.split_once(' ').expect("a time");
    assert!(time.ends_with('Z') && time.contains('T'), "{line}");
    assert_eq!(rest, " WARN odd account=ads\n");

    let log = captured(Format::Human, "info", true, |_| tracing::warn!("odd"));
    let coloured = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    assert_eq!(log.text().contains("\x1b[33m WARN\x1b[0m odd"), coloured);
}

#[test]
fn automatic_has_a_time_everywhere_but_in_the_journal_which_keeps_its_own() {
    let line = |destination| {
        let said = || tracing::info!("hello");
        captured_at(Clock::system(), Format::Auto, "info", destination, |_| {
            said()
        })
        .text()
    };
    assert_eq!(line(Destination::Journal), "<6>hello\n");
    assert!(line(Destination::Terminal).contains("INFO"));
    let elsewhere = line(Destination::Elsewhere);
    let (time, rest) = elsewhere.split_once(' ').expect("a time");
    assert!(time.ends_with('Z') && time.contains('T'), "{elsewhere}");
    assert_eq!(rest, " INFO hello\n");
}

#[test]
fn the_journal_is_told_by_device_and_inode_and_not_by_the_variable_alone() {
    let file = tempfile::tempfile().expect("a file");
    let own = rustix::fs::fstat(&file).expect("its numbers");
    let (device, inode) = (own.st_dev, own.st_ino);
    assert!(is_stream(&file, &format!("{device}:{inode}")));
    for another in [
        format!("{device}:{}", inode + 1),
        format!("{}:{inode}", device + 1),
        format!("{device}"),
        format!("{device}:{inode}:"),
        String::new(),
        "a:b".to_owned(),
    ] {
        assert!(!is_stream(&file, &another), "{another}");
    }
}

#[test]
fn json_keeps_types_and_protects_its_own_names() {
    let log = captured(Format::Json, "info", false, |_| {
        let span = tracing::info_span!("attempt", account = "ads");
        span.in_scope(|| {
            tracing::info!(
                level = "forged",
                n = -3,
                big = u64::MAX,
                ok = true,
                half = 0.5,
                "done"
            );
        });
    });
    let line: Json = serde_json::from_str(log.text().trim_end()).expect("JSON");
    assert_eq!(line["message"], "done");
    assert_eq!(line["level"], "info");
    assert_eq!(line["level_"], "forged");
    assert_eq!(line["n"], -3);
    assert_eq!(line["big"], u64::MAX);
    assert_eq!(line["ok"], true);
    assert_eq!(line["half"], 0.5);
    assert_eq!(line["spans"], "attempt{account=ads}");
    assert!(
        line["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
}

#[test]
fn level_and_format_change_while_running() {
    let log = captured(Format::Journal, "info", false, |logging| {
        tracing::debug!("hidden");
        logging.apply(Format::Json, &"debug".parse().expect("a level"));
        tracing::debug!("shown");
        logging.apply(Format::Journal, &"error".parse().expect("a level"));
        tracing::warn!("hidden");
        tracing::error!("shown");
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with('{') && lines[0].contains("\"message\":\"shown\""));
    assert_eq!(lines[1], "<3>shown");
}

#[test]
fn levels_are_checked() {
    for good in [
        "info",
        "WARN",
        "off",
        "info,tokend=debug",
        "tokend::driver=trace,warn",
    ] {
        assert_eq!(
            good.parse::<Level>().map(|level| level.to_string()),
            Ok(good.to_owned())
        );
    }
    for bad in ["", "inof", "info,", "tokend=loud", "4 5"] {
        let error = bad.parse::<Level>().expect_err(bad);
        assert_eq!(
            error.to_string(),
            format!(
                "{bad:?} is not a log level; use error, warn, info, debug, trace or off, \
                 or directives such as info,tokend=debug"
            )
        );
    }
}

/// One kind of line, caused by a user.
fn denied(uid: u32) {
    let peer = tokend_policy::Peer::new(uid, uid, 1);
    tracing::warn!(account = "ads", peer = %peer, "denied: no rule allows this peer");
}

#[test]
fn lines_a_user_causes_are_counted_beyond_some_and_told_when_the_minute_is_over() {
    let (clock, hands) = FakeClock::start(0, 0, "a");
    let log = captured_at(
        clock,
        Format::Journal,
        "info",
        Destination::Journal,
        |logging| {
            for _ in 0..rate_limit::SHOWN + 12_345 {
                denied(1_000);
            }
            // Somebody else's lines, and other kinds of lines, are not among them.
            denied(2_000);
            tracing::info!("ready");
            hands.advance(rate_limit::MINUTE);
            assert_eq!(logging.lines().due(false), None);
            assert_eq!(logging.lines().counted(), 12_345);
            denied(1_000);
            assert_eq!(
                logging.lines().due(true),
                None,
                "there is nothing left to be told"
            );
        },
    );
    let lines = log.lines();
    let shown = usize::try_from(rate_limit::SHOWN).expect("a number");
    assert_eq!(lines.len(), shown + 4, "{lines:#?}");
    let expected = "<4>and 12345 more like it from user 1000 in the last minute: denied: no rule allows this peer";
    assert_eq!(lines[shown + 2], expected);
}

#[test]
fn users_too_many_to_be_told_apart_count_as_one() {
    let (clock, hands) = FakeClock::start(0, 0, "a");
    let log = captured_at(
        clock,
        Format::Journal,
        "info",
        Destination::Journal,
        |logging| {
            for uid in 0..65_536 {
                denied(uid);
            }
            hands.advance(rate_limit::MINUTE);
            assert_eq!(logging.lines().due(false), None);
        },
    );
    let lines = log.lines();
    assert!(lines.len() < 1_200, "{}", lines.len());
    let message = lines.last().expect("a line");
    assert!(
        message.contains("more like it from users that are not kept apart in the last minute"),
        "{message}"
    );
}

#[test]
fn lines_of_strangers_at_a_door_are_counted_too_and_those_of_the_daemon_itself_never() {
    let log = captured(Format::Journal, "info", false, |_| {
        for _ in 0..1_000 {
            tracing::warn!(target: ACCEPTING[0], "a connection could not be accepted: no");
            tracing::warn!(target: ACCEPTING[1], "a reader of metrics took too long and was disconnected");
            tracing::warn!(target: ACCEPTING[2], "a request to the relay was refused: no");
            tracing::info!(account = "ads", "attempt finished");
        }
    });
    let lines = log.lines();
    let shown = usize::try_from(rate_limit::SHOWN).expect("a number");
    assert_eq!(lines.len(), ACCEPTING.len() * shown + 1_000);
}

/// Or a test of anything that logs would fail without a word.
#[test]
fn a_log_that_starts_leaves_panics_to_whoever_has_them() {
    use std::panic;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default().to_owned();
        ear.lock().expect("lock").push(said);
    }));
    let _logging = Logging::start(Format::Auto, &"off".parse().expect("a level"));
    let value = 17;
    let ended = panic::catch_unwind(|| panic!("this came: {value}"));
    drop(panic::take_hook());
    assert!(ended.is_err());
    let heard = heard.lock().expect("lock");
    assert!(
        heard.iter().any(|said| said == "this came: 17"),
        "{heard:?}"
    );
}
