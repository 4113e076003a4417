//! Files with tokens that killed processes of tokenctl left, of which no process takes care any more.

use std::path::Path;

use super::finding::Finding;
use crate::{exec, sink, words};

/// A warning for each of them.
pub(super) fn look() -> Vec<Finding> {
    let shown = |path: &Path| words::plain(&path.display().to_string());
    let left = |path: String, writer: &str, remove: &str| {
        let message =
            format!("{path} was left by {writer} that was killed, and a token may be in it");
        Finding::warning("files", message, format!("{remove} {path}"))
    };
    let of_exec = exec::left_over().into_iter().map(|path| {
        let remove = "the next `tokenctl exec --file` of its user removes it, or: rm -r";
        left(shown(&path), "an updater of `tokenctl exec --file`", remove)
    });
    let of_sinks = sink::left_over().into_iter().map(|path| {
        let remove = "the next start of the sink beside it removes it, or: rm";
        left(shown(&path), "a sink", remove)
    });
    of_exec.chain(of_sinks).collect()
}
