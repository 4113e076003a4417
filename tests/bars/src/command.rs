//! `tokenctl get` and `tokenctl exec` on a held token, as whole processes, against `/bin/true`.

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

/// Measures what `tokenctl exec` adds to starting a command.
///
/// # Errors
/// When something cannot be started.
pub fn exec() -> anyhow::Result<Vec<Figure>> {
    let stand = Stand::start("", "")?;
    stand.site.get("ads")?;
    let socket = stand.site.socket();
    let program = Path::new("/bin/true");
    let started = |place: &[&str]| {
        let mut arguments = vec![Path::new("--socket"), &socket, Path::new("exec")];
        arguments.extend(place.iter().map(Path::new));
        arguments.extend([Path::new("ads"), Path::new("--"), program]);
        run(&stand.site.binaries().tokenctl, &arguments)
    };
    let mut all = <[Times; 4]>::default();
    for _ in 0..ROUNDS {
        let [nothing, in_variable, in_memory, in_file] = &mut all;
        nothing.add(run(program, &[])?);
        in_variable.add(started(&[])?);
        in_memory.add(started(&["--fd"])?);
        in_file.add(started(&["--file"])?);
    }
    let [nothing, in_variable, in_memory, in_file] = all.map(|times| times.quantile(0.5));
    stand.daemon.terminate()?;
    let figure = |what, found: f64| Figure {
        what,
        found: (found - nothing) / 1000.0,
        most: 2.0,
        unit: " ms",
        from: format!("{ROUNDS} rounds, p50 {found:.0} us against {nothing:.0} us of /bin/true"),
    };
    Ok(vec![
        figure("tokenctl exec, added to a command's start", in_variable),
        figure("tokenctl exec --fd, added to a command's start", in_memory),
        figure("tokenctl exec --file, added to a command's start", in_file),
    ])
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
