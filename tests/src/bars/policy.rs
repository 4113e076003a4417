//! `get` of an account with a rule by unit against one with a rule by user, in one daemon.
//!
//! Over a kept connection, where the unit is known after the first request, and over a new connection for each, where it is read
//! each time. This process is in a control group that is named like a unit while it measures.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use tokend_client::{AccountName, BlockingClient, GetOptions, SocketPath};

use super::{Figure, Times};
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

    let mut clients = [
        BlockingClient::connect(&socket)?,
        BlockingClient::connect(&socket)?,
    ];
    let (mut kept, mut fresh) = (<[Times; 2]>::default(), <[Times; 2]>::default());
    for round in 0..ROUNDS {
        for ((client, options), times) in clients.iter_mut().zip(&both).zip(&mut kept) {
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
        for (options, times) in both.iter().zip(&mut fresh) {
            for _ in 0..FRESH_IN_A_ROUND {
                let watch = Stopwatch::start();
                BlockingClient::connect(&socket)?.get(options)?;
                times.add(watch.elapsed());
            }
        }
    }
    daemon.terminate()?;
    Ok(vec![
        figure("get by a rule by unit on a kept connection, p50", &kept),
        figure("get by a rule by unit on a new connection, p50", &fresh),
    ])
}

fn figure(what: &'static str, [without, with]: &[Times; 2]) -> Figure {
    let (slow, fast) = (with.quantile(0.5), without.quantile(0.5));
    Figure {
        what,
        found: slow / fast,
        most: 1.3,
        unit: " x by user",
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
