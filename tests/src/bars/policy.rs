//! `get` of an account with a rule by unit against one with a rule by user, in one daemon.
//!
//! Over a kept connection, where the unit is known after the first request, and over a new connection for each, where it is read
//! each time. This process is in a control group that is named like a unit while it measures.
//!
//! Beside that the whole of it: rule by unit and audit, against a daemon with neither.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use tokend_client::{AccountName, BlockingClient, GetOptions, SocketPath};

use super::{Figure, Stand, Times, command};
use crate::{
    clock::Stopwatch,
    harness::Site,
    simulator::{
        Configuration, Simulator,
        spec::{AccountSpec, Api},
    },
    systemd,
};

const ROUNDS: usize = 40;
const KEPT_IN_A_ROUND: usize = 500;
const FRESH_IN_A_ROUND: usize = 100;
const PROCESSES: usize = 500;
const UNIT: &str = "tokend-bars.service";

/// Measures both.
///
/// # Errors
/// When something cannot be started or does not answer, or no control group can be made.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let uid = rustix::process::geteuid().as_raw();
    let specs = ["user", "unit"].map(|name| AccountSpec {
        username: Some(format!("{name}@example.com")),
        ..AccountSpec::new(name, Api::JwtApi)
    });
    let simulator = Simulator::start(specs.to_vec())?;
    let base_url = simulator.base_url(Api::JwtApi);
    let rules = [
        format!("allow = [{{ user = {uid} }}]"),
        format!("allow = [{{ unit = \"{UNIT}\" }}]"),
    ];
    let configuration = specs
        .into_iter()
        .zip(&rules)
        .fold(Configuration::default(), |all, (spec, rule)| {
            all.account(spec, &base_url, rule)
        });
    let site = Site::with(&configuration)?;
    let daemon = site.start()?;
    let _unit = Unit::enter()?;
    let socket = SocketPath::from(site.socket());
    let options = |name: &str| name.parse::<AccountName>().map(GetOptions::new);
    let both = [options("user")?, options("unit")?];

    let [user, unit] = both;
    let (kept, fresh) = by_turns(&[(&socket, user), (&socket, unit)])?;
    daemon.terminate()?;
    Ok(vec![
        figure(
            "get by a rule by unit on a kept connection, p50",
            " x by user",
            &kept,
        ),
        figure(
            "get by a rule by unit on a new connection, p50",
            " x by user",
            &fresh,
        ),
    ])
}

/// Measures `get` by a rule by unit with audit on, against a rule by user and no audit.
///
/// # Errors
/// As [`measure`].
pub fn with_audit() -> anyhow::Result<Vec<Figure>> {
    let uid = rustix::process::geteuid().as_raw();
    let stands = [
        Stand::start(
            &format!("allow = [{{ user = {uid} }}]"),
            "[audit]\njournal = false\n",
        )?,
        Stand::start(
            &format!("allow = [{{ unit = \"{UNIT}\" }}]"),
            "[audit]\njournal = false\nfile = \"audit.jsonl\"\n",
        )?,
    ];
    let _unit = Unit::enter()?;
    let options = || "ads".parse::<AccountName>().map(GetOptions::new);
    let sockets = [&stands[0], &stands[1]].map(|stand| SocketPath::from(stand.site.socket()));
    let (kept, fresh) = by_turns(&[(&sockets[0], options()?), (&sockets[1], options()?)])?;
    let mut whole = <[Times; 2]>::default();
    for _ in 0..PROCESSES {
        for (stand, times) in stands.iter().zip(&mut whole) {
            times.add(command::get(&stand.site, "ads")?);
        }
    }
    for stand in stands {
        stand.daemon.terminate()?;
    }
    let neither = " x with neither";
    Ok(vec![
        figure(
            "get by unit and audit, kept connection, p50",
            neither,
            &kept,
        ),
        figure(
            "get by unit and audit, new connection, p50",
            neither,
            &fresh,
        ),
        figure(
            "tokenctl get by unit and audit, whole process, p50",
            neither,
            &whole,
        ),
    ])
}

/// `get` at the first and at the second by turns, over a kept connection each, and over new ones.
fn by_turns(both: &[(&SocketPath, GetOptions); 2]) -> anyhow::Result<([Times; 2], [Times; 2])> {
    let mut clients = [
        BlockingClient::connect(both[0].0)?,
        BlockingClient::connect(both[1].0)?,
    ];
    let (mut kept, mut fresh) = (<[Times; 2]>::default(), <[Times; 2]>::default());
    for round in 0..ROUNDS {
        for ((client, (_, options)), times) in clients.iter_mut().zip(both).zip(&mut kept) {
            // The first one reads the facts, and is no kept connection yet.
            if round == 0 {
                client.get(options)?;
            }
            for _ in 0..KEPT_IN_A_ROUND {
                let watch = Stopwatch::start();
                client.get(options)?;
                times.add(watch.elapsed());
            }
        }
        for ((socket, options), times) in both.iter().zip(&mut fresh) {
            for _ in 0..FRESH_IN_A_ROUND {
                let watch = Stopwatch::start();
                BlockingClient::connect(socket)?.get(options)?;
                times.add(watch.elapsed());
            }
        }
    }
    Ok((kept, fresh))
}

fn figure(what: &'static str, unit: &'static str, [without, with]: &[Times; 2]) -> Figure {
    let (slow, fast) = (with.quantile(0.5), without.quantile(0.5));
    Figure {
        what,
        found: slow / fast,
        most: 1.3,
        unit,
        from: format!("{} each, {slow:.1} us against {fast:.1} us", with.len()),
    }
}

/// This process in a control group that is named like a unit. Dropped, it is where it was before.
struct Unit {
    group: PathBuf,
    before: PathBuf,
}

impl Unit {
    fn enter() -> anyhow::Result<Self> {
        let root = systemd::group_root()?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .context("this process is in no control group of version 2")?;
        let before = root.join(own);
        let group = root.join(UNIT);
        match fs::create_dir(&group) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.context("making a control group takes root")?,
        }
        let unit = Self { group, before };
        fs::write(unit.group.join("cgroup.procs"), "0")?;
        Ok(unit)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // Left behind it is empty, and found again by the next run.
        drop(fs::write(self.before.join("cgroup.procs"), "0"));
        drop(fs::remove_dir(&self.group));
    }
}
