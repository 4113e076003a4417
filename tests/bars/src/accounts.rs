//! A hundred thousand accounts: how soon the daemon is ready, how much memory it takes, and what it does when nobody asks.

use std::{
    fmt::{self, Write as _},
    fs,
    time::Duration,
};

use tokend_client::{AccountName, BlockingClient, GetOptions, SocketPath};

use super::Figure;
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, Stopwatch, wait_for},
};

const ACCOUNTS: usize = 100_000;
/// The number of reloads after which the allocator holds all the memory it will reuse for the next one.
const SETTLING: usize = 3;
/// The number of reloads measured after that.
const RELOADS: usize = 5;
const IDLE: Duration = Duration::from_secs(10);

/// Measures startup, memory and reloads.
///
/// # Errors
/// When the daemon cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let site = Site::new()?;
    fs::write(site.configuration(), configuration(ACCOUNTS))?;
    let watch = Stopwatch::start();
    let daemon = Daemon::spawn(&site)?;
    let socket = SocketPath::from(site.socket());
    let mut client = wait_for("the daemon to serve", PATIENCE, || {
        BlockingClient::connect(&socket).ok()
    })?;
    let account: AccountName = "a099999".parse()?;
    // The fault says that the password file is missing, so the daemon knows the account and has looked at it.
    let known = client.get(&GetOptions::new(account)).is_err();
    let ready = watch.elapsed();
    anyhow::ensure!(known, "an account without a password had a token");
    let resident = memory(daemon.pid(), "VmRSS:")?;
    let peak = memory(daemon.pid(), "VmHWM:")?;
    let before = cpu(daemon.pid())?;
    std::thread::park_timeout(IDLE);
    let idle = cpu(daemon.pid())?.saturating_sub(before);
    let reloaded = after_reloads(&daemon, &mut client, RELOADS)?;
    daemon.terminate()?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "kibibytes and clock ticks of one process"
    )]
    let (resident, peak, idle) = (resident as f64 / 1024.0, peak as f64 / 1024.0, idle as f64);
    let from = format!("{ACCOUNTS} accounts, none with a token");
    let mut figures = vec![
        Figure {
            what: "ready after",
            found: ready.as_secs_f64(),
            most: 3.0,
            unit: " s",
            from: from.clone(),
        },
        Figure {
            what: "resident memory",
            found: resident,
            most: 200.0,
            unit: " MB",
            from: format!("{from}; peak {peak:.0} MB"),
        },
        Figure {
            what: "processor time while idle",
            found: idle,
            most: 1.0,
            unit: " ticks of 10 ms",
            from: format!("{IDLE:?}"),
        },
    ];
    figures.extend(reloaded.figures());
    Ok(figures)
}

/// A configuration of this many accounts.
#[must_use]
pub fn configuration(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let _never_fails = writeln!(
            text,
            "[account.a{number:06}]\nprovider = \"ad-verification\"\nbase_url = \"https://ads{}.example.com\"\nusername = \"user{number}@example.com\"\npassword = {{ file = \"/etc/tokend/secrets/a{number:06}\" }}\n",
            number % 100
        );
    }
    text
}

/// Resident memory after the first three reloads, and after more of them, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Reloaded {
    settled: u64,
    last: u64,
}

impl Reloaded {
    /// How many times larger it is in the end.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
    pub fn ratio(&self) -> f64 {
        self.last as f64 / self.settled as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
    fn figures(&self) -> [Figure; 2] {
        [
            Figure {
                what: "resident memory after more reloads",
                found: self.ratio(),
                most: 1.05,
                unit: " x that after the third",
                from: self.to_string(),
            },
            Figure {
                what: "resident memory after all of them",
                found: self.last as f64 / 1024.0,
                most: 250.0,
                unit: " MB",
                from: self.to_string(),
            },
        ]
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} MB, then {} MB",
            self.settled / 1024,
            self.last / 1024
        )
    }
}

/// Reloads three times, and then this many times more.
///
/// # Errors
/// When a reload fails.
pub fn after_reloads(
    daemon: &Daemon,
    client: &mut BlockingClient,
    more: usize,
) -> anyhow::Result<Reloaded> {
    for _ in 0..SETTLING {
        client.admin().reload()?;
    }
    let settled = memory(daemon.pid(), "VmRSS:")?;
    for _ in 0..more {
        client.admin().reload()?;
    }
    let last = memory(daemon.pid(), "VmRSS:")?;
    Ok(Reloaded { settled, last })
}

fn memory(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line
        .and_then(|rest| rest.trim().split(' ').next())
        .and_then(|kib| kib.parse().ok());
    kib.ok_or_else(|| anyhow::anyhow!("no {field} in /proc/{pid}/status"))
}

/// User and system time of a process, in clock ticks (proc_pid_stat(5), fields 14 and 15).
fn cpu(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    anyhow::ensure!(ticks.len() == 2, "/proc/{pid}/stat is not as expected");
    Ok(ticks.iter().sum())
}
