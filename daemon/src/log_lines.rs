//! Compares the operations guide with the log lines: the guide has every warning and error of the daemon, and no others.

use std::path::Path;

use tokend_process::logging::ACCEPTING;

use crate::server::{accept, metrics_http};
use tokend_pages::lines::{documented, logged, unmatched};

const DAEMON: &str = env!("CARGO_MANIFEST_DIR");
const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/OPERATIONS.md");

#[test]
fn the_page_of_operations_has_every_line_that_warns_and_none_that_is_never_logged() {
    let lines = logged(Path::new(DAEMON));
    let rows = documented(Path::new(GUIDE), "Log lines");
    for level in ["error", "warn", "info"] {
        let known = lines.iter().any(|line| line.level == level);
        assert!(known, "no {level} line was found in {DAEMON}");
    }
    let wrong = unmatched(&lines, &rows, "systemd/OPERATIONS.md, \"Log lines\"");
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_log_counts_strangers_at_the_modules_where_they_knock() {
    assert_eq!(
        ACCEPTING,
        [
            accept::LOG_TARGET,
            metrics_http::LOG_TARGET,
            tokend_egress::LOG_TARGET
        ]
    );
}
