//! Prometheus text, version 0.0.4.
//!
//! Owns the names of metrics, which are a promise (`METRICS.md`). No library is used for the text, since libraries write all of it at once:
//! hundreds of megabytes for a hundred thousand accounts. This writer can stop after any line and continue there.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokend_proto::{AccountState, RequestKind};

use super::counters::Counters;
use super::lines::{Lines, header};
use super::sample::Sample;
use tokend_audit::Audit;
use tokend_process::logging::Lines as LogLines;

/// All metrics at one moment.
#[derive(Debug)]
pub struct MetricsSnapshot {
    /// The lines that do not depend on accounts.
    pub head: String,
    /// The samples of the accounts.
    pub accounts: Vec<Sample>,
}

/// The position in a snapshot: family 0 is the text that does not depend on accounts, by byte; the other families go by account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct At {
    /// The next family of metrics.
    pub family: u32,
    /// The next account.
    pub index: u32,
}

/// One metric of all accounts.
struct Family {
    name: &'static str,
    help: &'static str,
    lines: fn(&mut Lines<'_>, &Sample),
}

const FAMILIES: [Family; 10] = [
    Family {
        name: "tokend_account_info",
        help: "What is configured for the account. Always 1.",
        lines: |out, it| {
            let account = &it.account;
            let labels = [
                ("dialect", account.dialect.name()),
                ("base_url", account.endpoint.base_url()),
            ];
            out.line(&labels, 1_u8);
        },
    },
    Family {
        name: "tokend_account_state",
        help: "1 for the state the account is in, 0 for the others.",
        lines: |out, it| {
            let states =
                AccountState::ALL.map(|state| (state.as_str(), u8::from(it.state == state)));
            out.by("state", states);
        },
    },
    Family {
        name: "tokend_account_token_remaining_seconds",
        help: "How long the access token is still valid; 0 without one, +Inf when the provider does not say.",
        lines: |out, it| match (it.has_token, it.remaining_ms) {
            (false, _) => out.line(&[], 0_u8),
            (true, Some(ms)) => out.line(&[], seconds(ms)),
            (true, None) => out.line(&[], "+Inf"),
        },
    },
    Family {
        name: "tokend_account_attempts_total",
        help: "Attempts at the provider that are over, by kind and outcome.",
        lines: |out, it| {
            for (kind, row) in it.tried.0.iter() {
                for (outcome, count) in row.iter() {
                    let labels = [("kind", kind.as_str()), ("outcome", outcome.as_str())];
                    out.line(&labels, count);
                }
            }
        },
    },
    Family {
        name: "tokend_account_pace_left",
        help: "How many attempts, and how many logins, the rate limits allow now.",
        lines: |out, it| {
            let left = [("attempts", it.attempts_left), ("logins", it.logins_left)];
            out.by("pace", left);
        },
    },
    Family {
        name: "tokend_account_failures",
        help: "Attempts that failed in a row.",
        lines: |out, it| out.line(&[], it.failures),
    },
    Family {
        name: "tokend_account_rest_seconds",
        help: "How long until an attempt may begin, by pace and backoff; +Inf when none may before something changes.",
        lines: |out, it| match it.rest_ms {
            Some(ms) => out.line(&[], seconds(ms)),
            None => out.line(&[], "+Inf"),
        },
    },
    Family {
        name: "tokend_account_waiters",
        help: "Requests that wait for the account.",
        lines: |out, it| out.line(&[], it.waiters),
    },
    Family {
        name: "tokend_account_unpersisted",
        help: "1 while the newest credential is only in memory, because the store refuses it.",
        lines: |out, it| out.line(&[], u8::from(it.unpersisted)),
    },
    Family {
        name: "tokend_account_token",
        help: "1 while a valid access token is held.",
        lines: |out, it| out.line(&[], u8::from(it.has_token)),
    },
];

impl MetricsSnapshot {
    /// Writes whole lines from `at` on until there are `enough` bytes. True when more text follows.
    pub fn write(&self, at: &mut At, enough: usize, out: &mut String) -> bool {
        if at.family == 0 {
            let from = usize::try_from(at.index).unwrap_or(usize::MAX);
            let rest = self.head.get(from..).unwrap_or_default();
            let cut = match rest.len() <= enough {
                true => rest.len(),
                false => rest
                    .get(..rest.floor_char_boundary(enough))
                    .and_then(|part| part.rfind('\n'))
                    .map_or(rest.len(), |end| end + 1),
            };
            out.push_str(rest.get(..cut).unwrap_or_default());
            if cut < rest.len() {
                at.index = u32::try_from(from + cut).unwrap_or(u32::MAX);
                return true;
            }
            *at = At {
                family: 1,
                index: 0,
            };
        }
        if self.accounts.is_empty() {
            return false;
        }
        loop {
            let family = usize::try_from(at.family).unwrap_or(usize::MAX);
            let Some(family) = FAMILIES.get(family.saturating_sub(1)) else {
                return false;
            };
            if out.len() >= enough {
                return true;
            }
            let index = usize::try_from(at.index).unwrap_or(usize::MAX);
            match self.accounts.get(index) {
                Some(sample) => {
                    if index == 0 {
                        header(out, family.name, kind_of(family.name), family.help);
                    }
                    let account = sample.account.name.as_str();
                    let mut lines = Lines {
                        out,
                        name: family.name,
                        account: Some(account),
                    };
                    (family.lines)(&mut lines, sample);
                    at.index += 1;
                }
                None => {
                    *at = At {
                        family: at.family + 1,
                        index: 0,
                    }
                }
            }
        }
    }
}

/// All metrics that do not belong to one account.
pub fn head(
    counters: &Counters,
    (audit, log): (&Audit, &LogLines),
    (samples, [fresh, failing]): (&[Sample], [usize; 2]),
    wall_ms: i64,
) -> String {
    let mut head = Head(String::with_capacity(32 * 1024));
    head.of_the_daemon(counters, samples, wall_ms);
    head.of_requests(counters);
    let sinks = [("fresh", fresh), ("failing", failing)];
    head.metric(
        "tokend_sinks",
        "Files that sinks keep fresh, and that they cannot.",
    )
    .by("state", sinks);
    head.of_attempts(counters);
    head.of_store_and_reloads(counters);
    head.of_audit_and_log(audit, log);
    head.0
}

/// By convention of Prometheus the names of counters, and only those, end like this.
fn kind_of(name: &str) -> &'static str {
    match name.ends_with("_total") {
        true => "counter",
        false => "gauge",
    }
}

fn count(number: &AtomicU64) -> u64 {
    number.load(Relaxed)
}

/// The text that does not depend on accounts.
struct Head(String);

impl Head {
    /// A counter or a gauge.
    fn metric(&mut self, name: &'static str, help: &str) -> Lines<'_> {
        Lines::begin(&mut self.0, name, kind_of(name), help)
    }

    fn histogram(&mut self, name: &'static str, help: &str) -> Lines<'_> {
        Lines::begin(&mut self.0, name, "histogram", help)
    }

    fn of_the_daemon(&mut self, counters: &Counters, samples: &[Sample], wall_ms: i64) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        self.metric("tokend_build_info", "The version that runs. Always 1.")
            .line(&version, 1_u8);
        let started = "When the daemon started, in Unix time.";
        self.metric("tokend_start_time_seconds", started)
            .line(&[], wall(counters.started_ms.load(Relaxed)));
        let taken = "When these metrics were taken, in Unix time.";
        self.metric("tokend_time_seconds", taken)
            .line(&[], wall(wall_ms));
        let number = |state| samples.iter().filter(|it| it.state == state).count();
        self.metric("tokend_accounts", "How many accounts are in which state.")
            .by(
                "state",
                AccountState::ALL.map(|it| (it.as_str(), number(it))),
            );
    }

    fn of_requests(&mut self, counters: &Counters) {
        let help = "Requests that were answered, by what was asked and the fault if there was one.";
        let mut lines = self.metric("tokend_requests_total", help);
        // The first request of a connection is answered by its session, and not counted.
        let answered = |(kind, _): &(RequestKind, _)| *kind != RequestKind::Hello;
        for (request, row) in counters.requests.iter().filter(answered) {
            for (outcome, number) in row.iter() {
                let labels = [("request", request.as_str()), ("outcome", outcome)];
                lines.line(&labels, count(number));
            }
        }
        let help = "How long a get took that found a token, and that waited for one.";
        let mut lines = self.histogram("tokend_get_duration_seconds", help);
        lines.histogram(&[("answered", "held")], &counters.get_held);
        lines.histogram(&[("answered", "waited")], &counters.get_waited);
        self.metric("tokend_connections", "Connections that are open.")
            .line(&[], count(&counters.connections));
        self.metric("tokend_watches", "Watches that have not ended.")
            .line(&[], count(&counters.watches));
        let (accepted, refused) = (count(&counters.accepted), count(&counters.refused));
        self.metric("tokend_connections_total", "Connections that came.")
            .by("result", [("accepted", accepted), ("refused", refused)]);
    }

    fn of_attempts(&mut self, counters: &Counters) {
        let dialects = counters.dialects.lock();
        let dialects = dialects.unwrap_or_else(PoisonError::into_inner).clone();
        let help = "Attempts of all accounts of a dialect that are over, by kind and outcome.";
        let mut lines = self.metric("tokend_attempts_total", help);
        for (dialect, attempts) in &dialects {
            for (kind, row) in attempts.counts.iter() {
                for (outcome, number) in row.iter() {
                    let labels = [
                        ("dialect", &**dialect),
                        ("kind", kind.as_str()),
                        ("outcome", outcome.as_str()),
                    ];
                    lines.line(&labels, count(number));
                }
            }
        }
        let help = "How long attempts took from begin to end.";
        let mut lines = self.histogram("tokend_attempt_duration_seconds", help);
        for (dialect, attempts) in &dialects {
            for (kind, durations) in attempts.took.iter() {
                let labels = [("dialect", &**dialect), ("kind", kind.as_str())];
                lines.histogram(&labels, durations);
            }
        }
    }

    fn of_store_and_reloads(&mut self, counters: &Counters) {
        let (stored, refused) = (count(&counters.stored), count(&counters.not_stored));
        let help = "Records written to the store, or refused by it.";
        self.metric("tokend_store_writes_total", help)
            .by("result", [("ok", stored), ("refused", refused)]);
        let help = "How long a transaction of the store took.";
        self.histogram("tokend_store_write_duration_seconds", help)
            .histogram(&[], &counters.store);
        let (done, refused) = (count(&counters.reloads), count(&counters.reloads_refused));
        self.metric("tokend_reloads_total", "Reloads of the configuration.")
            .by("result", [("ok", done), ("refused", refused)]);
        let help = "Whether the last reload put a configuration in force.";
        self.metric("tokend_last_reload_successful", help)
            .line(&[], u8::from(!counters.reload_failed.load(Relaxed)));
        let help = "When the configuration in force was read, in Unix time.";
        self.metric("tokend_last_reload_success_time_seconds", help)
            .line(&[], wall(counters.reloaded_ms.load(Relaxed)));
    }

    fn of_audit_and_log(&mut self, audit: &Audit, log: &LogLines) {
        let written = audit.tallies().map(|(sink, it)| (sink, it.written.get()));
        self.metric("tokend_audit_records_total", "Audit records written.")
            .by("sink", written);
        let help = "Audit records that were lost because there was no room for them.";
        let lost = audit.tallies().map(|(sink, it)| (sink, it.lost.get()));
        self.metric("tokend_audit_lost_total", help)
            .by("sink", lost);
        let help = "1 while audit records cannot be written.";
        let failing = audit.tallies();
        self.metric("tokend_audit_failing", help).by(
            "sink",
            failing.map(|(sink, it)| (sink, u8::from(it.is_failing()))),
        );
        let help = "Log lines that were not written, because nobody read them or there were too many like them.";
        let lines = [("dropped", log.dropped()), ("counted", log.counted())];
        self.metric("tokend_log_lines_lost_total", help)
            .by("reason", lines);
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a lifetime")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970")]
fn wall(ms: i64) -> f64 {
    ms as f64 / 1e3
}
