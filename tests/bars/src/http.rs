//! A held token over HTTP against the same over the native protocol, on kept connections, with both ends on one core.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokend_client::{BlockingClient, GetOptions, SocketPath};

use super::{Figure, Stand, Times, connection};
use tokend_harness::clock::Stopwatch;

const ROUNDS: usize = 40;
const IN_A_ROUND: usize = 500;
const ASKED: &[u8] = b"GET /v1/accounts/ads/token HTTP/1.1\r\nhost: tokend\r\nx-tokend: 1\r\n\r\n";

/// Measures both in turn.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let before = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|core| before.is_set(*core));
    let core = first.context("there is no core this may run on")?;
    let figure = on(core);
    sched_setaffinity(None, &before)?;
    Ok(vec![figure?])
}

fn on(core: usize) -> anyhow::Result<Figure> {
    let stand = Stand::start("", "[listen]\nhttp = \"http.sock\"\n")?;
    let options = GetOptions::new("ads".parse()?);
    let mut client = BlockingClient::connect(&SocketPath::from(stand.site.socket()))?;
    client.get(&options)?;
    let mut http = UnixStream::connect(stand.site.path().join("http.sock"))?;
    connection::pin(stand.daemon.pid(), core)?;
    sched_setaffinity(None, &connection::only(core))?;

    let (mut native, mut over_http) = (Times::default(), Times::default());
    let mut answer = Vec::new();
    for _ in 0..ROUNDS {
        for _ in 0..IN_A_ROUND {
            let watch = Stopwatch::start();
            client.get(&options)?;
            native.add(watch.elapsed());
        }
        for _ in 0..IN_A_ROUND {
            let watch = Stopwatch::start();
            http.write_all(ASKED)?;
            hear(&mut http, &mut answer)?;
            over_http.add(watch.elapsed());
        }
    }
    stand.daemon.terminate()?;
    let (count, slow, fast) = (native.len(), over_http.quantile(0.5), native.quantile(0.5));
    Ok(Figure {
        what: "a held token over HTTP, both ends on one core, p50",
        found: slow / fast,
        most: 3.0,
        unit: " x the native protocol",
        from: format!("{count} each, {slow:.1} us against {fast:.1} us"),
    })
}

/// Reads one answer with a token.
fn hear(http: &mut UnixStream, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut part = [0; 4096];
    answer.clear();
    loop {
        let count = http.read(&mut part)?;
        anyhow::ensure!(count > 0, "the daemon hung up");
        answer.extend(part.iter().take(count));
        // The body is one object in one line.
        if answer.ends_with(b"}\n") {
            anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200 "), "no token came");
            return Ok(());
        }
    }
}
