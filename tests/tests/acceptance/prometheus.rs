//! Reads Prometheus text as strictly as Prometheus and its tools do.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    process::{Command, Stdio},
};

/// One metric that was read.
#[derive(Debug, Default)]
pub(crate) struct Metric {
    pub(crate) kind: String,
    /// Labels by series.
    pub(crate) series: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads Prometheus text as strictly as its description is: one group for each metric, its help and type first, no series twice.
pub(crate) fn read(text: &str) -> BTreeMap<String, Metric> {
    assert!(text.ends_with('\n'));
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let (mut current, mut helped) = (String::new(), String::new());
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && !metrics.contains_key(name), "{line}");
            name.clone_into(&mut helped);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "help first");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let metric = Metric {
                kind: kind.to_owned(),
                ..Metric::default()
            };
            assert!(metrics.insert(name.to_owned(), metric).is_none(), "{line}");
            name.clone_into(&mut current);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series.to_owned()), "twice: {line}");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let metric = metrics.get_mut(&current).unwrap();
            let suffix = name.strip_prefix(current.as_str());
            let suffix = suffix.unwrap_or_else(|| panic!("{line} below {current}"));
            let histogram = ["_bucket", "_sum", "_count"].contains(&suffix);
            assert_eq!(histogram, metric.kind == "histogram", "{line}");
            assert!(histogram || suffix.is_empty(), "{line}");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            metric
                .series
                .push((name.to_owned(), read_labels(labels), value));
        }
    }
    for (name, metric) in &metrics {
        assert!(
            metric.kind != "histogram" || buckets_add_up(metric),
            "{name}"
        );
    }
    metrics
}

fn read_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_suffix('}').unwrap();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        let allowed = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(!name.is_empty() && name.chars().all(allowed), "{text}");
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in after.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    end = Some(at);
                    break;
                }
                c => {
                    assert!(!escaped || ['\\', '"', 'n'].contains(&c), "{text}");
                    escaped = false;
                    value.push(c);
                }
            }
        }
        assert!(labels.insert(name.to_owned(), value).is_none(), "{text}");
        rest = &after[end.unwrap() + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

fn buckets_add_up(metric: &Metric) -> bool {
    let mut groups: BTreeMap<BTreeMap<String, String>, (Vec<f64>, f64)> = BTreeMap::new();
    for (name, labels, value) in &metric.series {
        let mut labels = labels.clone();
        let le = labels.remove("le");
        let group = groups.entry(labels).or_default();
        match le {
            Some(_) => group.0.push(*value),
            None if name.ends_with("_count") => group.1 = *value,
            None => {}
        }
    }
    groups
        .values()
        .all(|(buckets, count)| buckets.is_sorted() && buckets.last() == Some(count))
}

/// Runs promtool, which must not complain.
pub(crate) fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; tests/setup installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Written in parallel, so that neither side waits for the other.
    let writing = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}
