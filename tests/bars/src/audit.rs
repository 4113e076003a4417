//! `get` over a kept connection with audit switched on, against the same without.

use super::{Figure, Stand, asked, kept_by_turns, ratio};

/// Measures what audit costs.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let off = Stand::start("", "[audit]\njournal = false\n")?;
    let on = Stand::start("", "[audit]\njournal = false\nfile = \"audit.jsonl\"\n")?;
    let times = kept_by_turns(&[asked(&off.site, "ads")?, asked(&on.site, "ads")?])?;
    off.daemon.terminate()?;
    on.daemon.terminate()?;
    Ok(vec![ratio(
        "get with audit to a file on, p50",
        " x without",
        &times,
    )])
}
