//! `tokenctl get` on a held token, as a whole process, against `/bin/true`.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;

use super::{Figure, Stand, Times};
use tokend_harness::{Site, clock::Stopwatch};

const ROUNDS: usize = 1000;

/// Measures one `tokenctl get`.
///
/// # Errors
/// When something cannot be started.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let stand = Stand::start("", "")?;
    stand.site.get("ads")?;
    let (mut got, mut nothing) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        nothing.add(run(Path::new("/bin/true"), &[])?);
        got.add(get(&stand.site, "ads")?);
    }
    let (get, nothing) = (got.quantile(0.5), nothing.quantile(0.5));
    stand.daemon.terminate()?;
    Ok(vec![Figure {
        what: "tokenctl get, held token, whole process",
        found: get / nothing,
        most: 1.6,
        unit: " x /bin/true",
        from: format!("{ROUNDS} pairs, p50 {get:.0} us against {nothing:.0} us"),
    }])
}

/// How long `tokenctl get` takes as a whole process.
pub(super) fn get(site: &Site, account: &str) -> anyhow::Result<Duration> {
    let socket = site.socket();
    let arguments = [
        Path::new("--socket"),
        &socket,
        Path::new("get"),
        Path::new(account),
    ];
    run(&site.binaries().tokenctl, &arguments)
}

fn run(program: &Path, arguments: &[&Path]) -> anyhow::Result<Duration> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let watch = Stopwatch::start();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let elapsed = watch.elapsed();
    anyhow::ensure!(status.success(), "{} failed: {status}", program.display());
    Ok(elapsed)
}
