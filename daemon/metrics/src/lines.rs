//! The format of one line of Prometheus text.
//!
//! Knows no metric by name.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use super::counters::{BOUNDS, Histogram};

/// The lines of one metric, or of its part that one account has.
pub(super) struct Lines<'o> {
    pub(super) out: &'o mut String,
    pub(super) name: &'static str,
    pub(super) account: Option<&'o str>,
}

impl<'o> Lines<'o> {
    /// Begins a metric that does not depend on accounts.
    pub(super) fn begin(out: &'o mut String, name: &'static str, kind: &str, help: &str) -> Self {
        header(out, name, kind, help);
        Self {
            out,
            name,
            account: None,
        }
    }

    pub(super) fn line(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        line(self.out, self.name, "", self.account, labels, value);
    }

    /// A line for each value of one label.
    pub(super) fn by<V: std::fmt::Display>(
        &mut self,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, V)>,
    ) {
        for (text, value) in values {
            self.line(&[(label, text)], value);
        }
    }

    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let (mut labels, mut so_far) = (labels.to_vec(), 0);
        let bounds = BOUNDS.map(|micros| (f64::from(micros) / 1e6).to_string());
        let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
        for (bound, bucket) in bounds.zip(&histogram.buckets) {
            so_far += bucket.load(Relaxed);
            labels.push(("le", bound));
            line(self.out, self.name, "_bucket", None, &labels, so_far);
            labels.pop();
        }
        #[expect(clippy::cast_precision_loss, reason = "a sum of durations")]
        let sum = histogram.nanos.load(Relaxed) as f64 / 1e9;
        line(self.out, self.name, "_sum", None, &labels, sum);
        line(self.out, self.name, "_count", None, &labels, so_far);
    }
}

pub(super) fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _written = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(
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
