//! Prometheus text, version 0.0.4.
//!
//! Owns the names of metrics, which are a promise (`METRICS.md`). No library is used for the text, since libraries write all of it at once:
//! hundreds of megabytes for a hundred thousand accounts. This writer can stop after any line and continue there.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokend_proto::{AccountState, RequestKind};

use super::counters::Counters;
use super::label::Label as _;
use super::lines::{Lines, header};
use super::sample::Sample;
use super::snapshot::MetricsSnapshot;
use tokend_audit::Audit;
use tokend_process::logging::Lines as LogLines;

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
    kind: &'static str,
    help: &'static str,
    lines: fn(&mut Lines<'_>, &Sample),
}

const FAMILIES: [Family; 10] = [
    Family {
        name: "tokend_account_info",
        kind: "gauge",
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
        kind: "gauge",
        help: "1 for the state the account is in, 0 for the others.",
        lines: |out, it| {
            for state in AccountState::ALL {
                out.line(&[("state", state.as_str())], u8::from(it.state == state));
            }
        },
    },
    Family {
        name: "tokend_account_token_remaining_seconds",
        kind: "gauge",
        help: "How long the access token is still valid; 0 without one, +Inf when the provider does not say.",
        lines: |out, it| match (it.has_token, it.remaining_ms) {
            (false, _) => out.line(&[], 0_u8),
            (true, Some(ms)) => out.line(&[], seconds(ms)),
            (true, None) => out.line(&[], "+Inf"),
        },
    },
    Family {
        name: "tokend_account_attempts_total",
        kind: "counter",
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
        kind: "gauge",
        help: "How many attempts, and how many logins, the pace allows now.",
        lines: |out, it| {
            out.line(&[("pace", "attempts")], it.attempts_left);
            out.line(&[("pace", "logins")], it.logins_left);
        },
    },
    Family {
        name: "tokend_account_failures",
        kind: "gauge",
        help: "Attempts that failed in a row.",
        lines: |out, it| out.line(&[], it.failures),
    },
    Family {
        name: "tokend_account_rest_seconds",
        kind: "gauge",
        help: "How long until an attempt may begin, by pace and backoff; +Inf when none may before something changes.",
        lines: |out, it| match it.rest_ms {
            Some(ms) => out.line(&[], seconds(ms)),
            None => out.line(&[], "+Inf"),
        },
    },
    Family {
        name: "tokend_account_waiters",
        kind: "gauge",
        help: "Requests that wait for the account.",
        lines: |out, it| out.line(&[], it.waiters),
    },
    Family {
        name: "tokend_account_unpersisted",
        kind: "gauge",
        help: "1 while the newest credential is only in memory, because the store refuses it.",
        lines: |out, it| out.line(&[], u8::from(it.unpersisted)),
    },
    Family {
        name: "tokend_account_token",
        kind: "gauge",
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
                        header(out, family.name, family.kind, family.help);
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
    samples: &[Sample],
    wall_ms: i64,
) -> String {
    let mut text = String::with_capacity(32 * 1024);
    of_the_daemon(counters, samples, wall_ms, &mut text);
    of_requests(counters, &mut text);
    of_attempts(counters, &mut text);
    of_store_and_reloads(counters, &mut text);
    of_audit_and_log(audit, log, &mut text);
    text
}

/// The head of a metric.
fn of(name: &str, kind: &str, help: &str, out: &mut String) {
    header(out, name, kind, help);
}

/// A metric with one line.
fn one(out: &mut String, name: &'static str, kind: &str, help: &str, value: f64) {
    header(out, name, kind, help);
    Lines::of(out, name).line(&[], value);
}

fn count(number: &AtomicU64) -> u64 {
    number.load(Relaxed)
}

fn of_the_daemon(counters: &Counters, samples: &[Sample], wall_ms: i64, out: &mut String) {
    of(
        "tokend_build_info",
        "gauge",
        "The version that runs. Always 1.",
        out,
    );
    Lines::of(out, "tokend_build_info").line(&[("version", env!("CARGO_PKG_VERSION"))], 1_u8);
    let started = counters.started_ms.load(Relaxed);
    one(
        out,
        "tokend_start_time_seconds",
        "gauge",
        "When the daemon started, in Unix time.",
        wall(started),
    );
    one(
        out,
        "tokend_time_seconds",
        "gauge",
        "When these metrics were taken, in Unix time.",
        wall(wall_ms),
    );

    of(
        "tokend_accounts",
        "gauge",
        "How many accounts are in which state.",
        out,
    );
    for state in AccountState::ALL {
        let number = samples.iter().filter(|it| it.state == state).count();
        Lines::of(out, "tokend_accounts").line(&[("state", state.as_str())], number);
    }
}

fn of_requests(counters: &Counters, out: &mut String) {
    let name = "tokend_requests_total";
    of(
        name,
        "counter",
        "Requests that were answered, by what was asked and the fault if there was one.",
        out,
    );
    // The first request of a connection is answered by its session, and not counted.
    let answered = |(kind, _): &(RequestKind, _)| *kind != RequestKind::Hello;
    for (request, row) in counters.requests.iter().filter(answered) {
        for (outcome, number) in row.iter() {
            let labels = [("request", request.as_str()), ("outcome", outcome.as_str())];
            Lines::of(out, name).line(&labels, count(number));
        }
    }
    let name = "tokend_get_duration_seconds";
    of(
        name,
        "histogram",
        "How long a get took that found a token, and that waited for one.",
        out,
    );
    for (found, histogram) in counters.get.iter() {
        histogram.write(out, name, &[("answered", found.as_str())]);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "no more than there can be descriptors"
    )]
    one(
        out,
        "tokend_connections",
        "gauge",
        "Connections that are open.",
        count(&counters.connections) as f64,
    );
    let name = "tokend_connections_total";
    of(name, "counter", "Connections that came.", out);
    for (result, number) in [
        ("accepted", &counters.accepted),
        ("refused", &counters.refused),
    ] {
        Lines::of(out, name).line(&[("result", result)], count(number));
    }
}

fn of_attempts(counters: &Counters, out: &mut String) {
    let name = "tokend_attempts_total";
    let dialects = counters
        .dialects
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    of(
        name,
        "counter",
        "Attempts of all accounts of a dialect that are over, by kind and outcome.",
        out,
    );
    for (dialect, attempts) in &dialects {
        for (kind, row) in attempts.counts.iter() {
            for (outcome, number) in row.iter() {
                let labels = [
                    ("dialect", &**dialect),
                    ("kind", kind.as_str()),
                    ("outcome", outcome.as_str()),
                ];
                Lines::of(out, name).line(&labels, count(number));
            }
        }
    }
    let name = "tokend_attempt_duration_seconds";
    of(
        name,
        "histogram",
        "How long attempts took from begin to end.",
        out,
    );
    for (dialect, attempts) in &dialects {
        for (kind, histogram) in attempts.took.iter() {
            let labels = [("dialect", &**dialect), ("kind", kind.as_str())];
            histogram.write(out, name, &labels);
        }
    }
}

fn of_store_and_reloads(counters: &Counters, out: &mut String) {
    let name = "tokend_store_writes_total";
    of(
        name,
        "counter",
        "Records written to the store, or refused by it.",
        out,
    );
    for (result, number) in [("ok", &counters.stored), ("refused", &counters.not_stored)] {
        Lines::of(out, name).line(&[("result", result)], count(number));
    }
    let name = "tokend_store_write_duration_seconds";
    of(
        name,
        "histogram",
        "How long a transaction of the store took.",
        out,
    );
    counters.store.write(out, name, &[]);

    let name = "tokend_reloads_total";
    of(name, "counter", "Reloads of the configuration.", out);
    for (result, number) in counters.reloads.iter() {
        Lines::of(out, name).line(&[("result", result.as_str())], count(number));
    }
    let good = f64::from(!counters.reload_failed.load(Relaxed));
    one(
        out,
        "tokend_last_reload_successful",
        "gauge",
        "Whether the last reload put a configuration in force.",
        good,
    );
    let reloaded = wall(counters.reloaded_ms.load(Relaxed));
    one(
        out,
        "tokend_last_reload_success_time_seconds",
        "gauge",
        "When the configuration in force was read, in Unix time.",
        reloaded,
    );
}

fn of_audit_and_log(audit: &Audit, log: &LogLines, out: &mut String) {
    let tallies = || audit.tallies();
    let name = "tokend_audit_records_total";
    of(name, "counter", "Audit records written.", out);
    tallies().for_each(|(sink, tally)| {
        Lines::of(out, name).line(&[("sink", sink)], tally.written.get())
    });
    let name = "tokend_audit_lost_total";
    of(
        name,
        "counter",
        "Audit records that were lost because there was no room for them.",
        out,
    );
    tallies()
        .for_each(|(sink, tally)| Lines::of(out, name).line(&[("sink", sink)], tally.lost.get()));
    let name = "tokend_audit_failing";
    of(
        name,
        "gauge",
        "1 while audit records cannot be written.",
        out,
    );
    tallies().for_each(|(sink, tally)| {
        Lines::of(out, name).line(&[("sink", sink)], u8::from(tally.is_failing()));
    });
    let name = "tokend_log_lines_lost_total";
    of(
        name,
        "counter",
        "Log lines that were not written, because nobody read them or there were too many like them.",
        out,
    );
    for (reason, number) in [("dropped", log.dropped()), ("counted", log.counted())] {
        Lines::of(out, name).line(&[("reason", reason)], number);
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
