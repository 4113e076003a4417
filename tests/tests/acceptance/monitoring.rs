//! The alert rules and the dashboard of `systemd/monitoring`: they use existing names, and fire when they should.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde_json::Value;

use crate::{
    metrics::{lived_in, metrics},
    prometheus::{Metric, promtool, read},
};

fn monitoring(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../systemd/monitoring")
        .join(file)
}

/// Every selector in an expression: the metric, and the conditions on its labels.
fn selectors(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find("tokend_") {
        let here = &rest[at..];
        let end = here.find(|c| !is_name(c)).unwrap_or(here.len());
        let (name, after) = here.split_at(end);
        let labels = after.strip_prefix('{').and_then(|it| it.split_once('}'));
        let asked = labels.map_or_else(Vec::new, |(labels, _)| {
            let one = |label: &str| {
                let (name, value) = label.split_once('=').unwrap();
                let value = value.trim_start_matches('~').trim_matches('"');
                (name.to_owned(), value.to_owned())
            };
            labels.split(',').map(one).collect()
        });
        found.push((name.to_owned(), asked));
        rest = after;
    }
    found
}

fn check_expression(expression: &str, found: &BTreeMap<String, Metric>) {
    let asked = selectors(expression);
    for (name, labels) in &asked {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|it| name.strip_suffix(it));
        let metric = found.get(name).or_else(|| found.get(base?));
        let metric = metric.unwrap_or_else(|| panic!("{name} does not exist: {expression}"));
        for (label, wanted) in labels {
            let values: BTreeSet<_> = metric
                .series
                .iter()
                .filter_map(|(_, own, _)| own.get(label))
                .collect();
            assert!(!values.is_empty(), "{name} has no {label}: {expression}");
            for value in wanted.split('|').filter(|it| !it.starts_with('$')) {
                assert!(
                    values.contains(&value.to_owned()),
                    "{label}={value}: {expression}"
                );
            }
        }
    }
    // Every label that sums or legends use belongs to one of the metrics.
    let mut known: BTreeSet<_> = ["le", "instance", "job"].map(str::to_owned).into();
    for (name, _) in &asked {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|it| name.strip_suffix(it));
        let metric = found
            .get(name)
            .or_else(|| found.get(base.unwrap_or_default()));
        known.extend(
            metric
                .unwrap()
                .series
                .iter()
                .flat_map(|(_, own, _)| own.keys().cloned()),
        );
    }
    for by in expression.split("by (").skip(1) {
        for label in by.split(')').next().unwrap().split(',') {
            assert!(known.contains(label.trim()), "{label}: {expression}");
        }
    }
}

#[test]
fn alerts_fire_when_they_should() {
    let (rules, tests) = (
        monitoring("tokend.rules.yml"),
        monitoring("tokend.rules.test.yml"),
    );
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    promtool(&["test", "rules", tests.to_str().unwrap()], "");
    let (rules, tests) = (
        fs::read_to_string(rules).unwrap(),
        fs::read_to_string(tests).unwrap(),
    );
    for line in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(
            tests.contains(&format!("alertname: {line}\n")),
            "{line} has no test"
        );
    }
}

#[test]
fn rules_and_dashboard_name_only_what_there_is() {
    let (stage, _daemon) = lived_in();
    let found = read(&metrics(&stage));
    let rules = fs::read_to_string(monitoring("tokend.rules.yml")).unwrap();
    let expressions: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .collect();
    assert!(expressions.len() >= 10);
    expressions
        .iter()
        .for_each(|it| check_expression(it, &found));

    let text = fs::read_to_string(monitoring("tokend.dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 10);
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            check_expression(expression, &found);
            let legend = target["legendFormat"].as_str().unwrap();
            for label in legend.split("{{").skip(1) {
                let label = label.split("}}").next().unwrap();
                let shown = selectors(expression).iter().any(|(name, _)| {
                    let base = name.trim_end_matches("_bucket");
                    let metric = found.get(name).or_else(|| found.get(base));
                    metric
                        .unwrap()
                        .series
                        .iter()
                        .any(|(_, own, _)| own.contains_key(label))
                });
                assert!(
                    shown || label == "instance",
                    "{label} in {legend}: {expression}"
                );
            }
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let queries = variables.iter().filter_map(|it| it["definition"].as_str());
    queries.for_each(|it| check_expression(it, &found));
}
