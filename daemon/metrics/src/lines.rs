//! The format of one line of Prometheus text.
//!
//! Knows no metric by name.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use super::counters::{BOUNDS, Histogram};

/// The lines of one metric.
pub(super) struct Lines<'o> {
    pub(super) out: &'o mut String,
    pub(super) name: &'static str,
    pub(super) account: Option<&'o str>,
}

impl<'o> Lines<'o> {
    pub(super) fn of(out: &'o mut String, name: &'static str) -> Self {
        Self {
            out,
            name,
            account: None,
        }
    }

    pub(super) fn line(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        line(self.out, self.name, "", self.account, labels, value);
    }
}

impl Histogram {
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &[(&str, &str)]) {
        let mut labels = labels.to_vec();
        let mut so_far = 0;
        let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bound, bucket) in bounds.zip(&self.buckets) {
            so_far += bucket.load(Relaxed);
            labels.push(("le", bound));
            line(out, name, "_bucket", None, &labels, so_far);
            labels.pop();
        }
        #[expect(clippy::cast_precision_loss, reason = "a sum of durations")]
        let sum = self.nanos.load(Relaxed) as f64 / 1e9;
        line(out, name, "_sum", None, &labels, sum);
        line(out, name, "_count", None, &labels, so_far);
    }
}

pub(super) fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _written = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

pub(super) fn line(
    out: &mut String,
    name: &str,
    suffix: &str,
    account: Option<&str>,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) {
    out.push_str(name);
    out.push_str(suffix);
    let own = account.map(|account| ("account", account));
    let mut open = '{';
    for (label, text) in own.iter().chain(labels) {
        out.push(open);
        open = ',';
        out.push_str(label);
        out.push_str("=\"");
        text.chars().for_each(|c| match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        });
        out.push('"');
    }
    if open == ',' {
        out.push('}');
    }
    let _written = writeln!(out, " {value}");
}
