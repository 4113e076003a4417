//! `get` over a kept connection against a bare echo with the same byte counts.
//!
//! Both ends are pinned, because the scheduler's placement of two processes changes the result by more than a factor of ten. With both on
//! one core, the processor's work is compared; with one on each, the path between cores. Instructions are counted too, because neighbours
//! do not change their number.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
};

use anyhow::Context as _;
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use tokend_client::{AccountName, BlockingClient, GetOptions, SocketPath};
use tokend_proto::{ClientFrame, Request, RequestId, Response, ServerFrame, Token, encode};

use super::{Figure, Stand, Times};
use tokend_harness::Daemon;
use tokend_harness::clock::{PATIENCE, Stopwatch, wait_for};

const ROUNDS: usize = 40;
const IN_A_ROUND: usize = 500;
/// How many gets are counted under callgrind, for each of two runs; everything else the daemon does is in both.
const COUNTED: [u64; 2] = [500, 5_500];

/// Measures both placements, and counts instructions.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let before = sched_getaffinity(None)?;
    let cores: Vec<_> = (0..CpuSet::MAX_CPU)
        .filter(|core| before.is_set(*core))
        .collect();
    let [first, others @ ..] = cores.as_slice() else {
        anyhow::bail!("there is no core this may run on");
    };
    let mut figures = vec![pinned(
        "get on a kept connection, both ends on one core, p50",
        *first,
        *first,
    )?];
    if let Some(second) = others.first() {
        let what = "get on a kept connection, its ends on two cores, p50";
        figures.push(pinned(what, *first, *second)?);
    }
    sched_setaffinity(None, &before)?;
    let instructions = match instructions() {
        Ok(count) => format!("{count} instructions of the daemon for each get"),
        Err(error) => format!("instructions were not counted: {error:#}"),
    };
    for figure in &mut figures {
        figure.from = format!("{}; {instructions}", figure.from);
    }
    Ok(figures)
}

/// Runs this thread on the core `here`, and all of the daemon and the echo on `there`.
fn pinned(what: &'static str, here: usize, there: usize) -> anyhow::Result<Figure> {
    let stand = Stand::start("", "")?;
    let options = GetOptions::new("ads".parse()?);
    let mut client = BlockingClient::connect(&SocketPath::from(stand.site.socket()))?;
    let token = client.get(&options)?;
    let (asked, mut answered) = frames(&options, token)?;

    let socket = stand.site.path().join("echo");
    let mut server = Command::new(env::current_exe()?)
        .arg("--echo")
        .arg(&socket)
        .args([asked.len().to_string(), answered.len().to_string()])
        .spawn()?;
    let mut echo = wait_for("the echo to listen", PATIENCE, || {
        UnixStream::connect(&socket).ok()
    })?;
    for process in [stand.daemon.pid(), server.id()] {
        pin(process, there)?;
    }
    sched_setaffinity(None, &only(here))?;

    let (mut get, mut bare) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        for _ in 0..IN_A_ROUND {
            let watch = Stopwatch::start();
            client.get(&options)?;
            get.add(watch.elapsed());
        }
        for _ in 0..IN_A_ROUND {
            let watch = Stopwatch::start();
            echo.write_all(&asked)?;
            echo.read_exact(&mut answered)?;
            bare.add(watch.elapsed());
        }
    }
    drop(echo);
    server.wait()?;
    stand.daemon.terminate()?;
    let (count, fast, least) = (get.len(), get.quantile(0.5), bare.quantile(0.5));
    Ok(Figure {
        what,
        found: fast / least,
        most: 1.5,
        unit: " x bare echo",
        from: format!(
            "{count} each, {fast:.1} us against {least:.1} us for {} + {} bytes",
            asked.len(),
            answered.len()
        ),
    })
}

/// The bytes of one `get` over the connection, and those of its answer.
fn frames(options: &GetOptions, token: tokend_client::Token) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    let request = Request::Get {
        account: options.account.clone(),
        min_validity_ms: None,
        wait_ms: 0,
        timeout_ms: 30_000,
    };
    let id = RequestId(1);
    encode(&ClientFrame { id, request }, &mut asked)?;
    let response = Response::Token(Token {
        access_token: token.access_token,
        token_type: token.token_type,
        // Whatever they are, they take as many bytes.
        expires_at_ms: token.expires_at.map(|_| 0),
        remaining_ms: token.remaining.map(|_| 0),
        scope: token.scope,
        grant: token.grant,
    });
    encode(&ServerFrame { id, response }, &mut answered)?;
    Ok((asked, answered))
}

pub(super) fn only(core: usize) -> CpuSet {
    let mut cores = CpuSet::new();
    cores.set(core);
    cores
}

/// Pins every thread of a process. Threads it starts later inherit this.
pub(super) fn pin(process: u32, core: usize) -> anyhow::Result<()> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let id = thread?.file_name().to_string_lossy().parse()?;
        let id = Pid::from_raw(id).context("a thread has a positive id")?;
        sched_setaffinity(Some(id), &only(core))?;
    }
    Ok(())
}

/// How many instructions one `get` takes, by callgrind: the difference between a daemon that was asked often and one that was asked less.
fn instructions() -> anyhow::Result<u64> {
    let [few, many] = COUNTED;
    Ok((counted(many)? - counted(few)?) / (many - few))
}

/// How many instructions a daemon ran in its whole life, in which it was asked `times` times.
fn counted(times: u64) -> anyhow::Result<u64> {
    let stand = Stand::start("", "")?;
    stand.daemon.terminate()?;
    let file = stand.site.path().join("callgrind.out");
    let out = format!("--callgrind-out-file={}", file.display());
    let under = [
        "python3",
        "-c",
        include_str!("without_auxv.py"),
        "valgrind",
        "-q",
        "--tool=callgrind",
        &out,
    ];
    let daemon = Daemon::start_under(&under, &stand.site).context("with valgrind")?;
    let options = GetOptions::new("ads".parse::<AccountName>()?);
    let mut client = BlockingClient::connect(&SocketPath::from(stand.site.socket()))?;
    for _ in 0..times {
        client.get(&options)?;
    }
    drop(client);
    daemon.terminate()?;
    total(&file)
}

/// The sum in a file of callgrind.
fn total(file: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| {
        line.strip_prefix("totals: ")
            .or_else(|| line.strip_prefix("summary: "))
    });
    let sum = line.context("callgrind told no sum")?;
    Ok(sum.trim().parse()?)
}
