//! `get` of an account with a rule by unit against one with a rule by user, in one daemon.
//!
//! Over a kept connection, where the unit is known after the first request, and over a new connection for each request, where it is read
//! each time. While it measures, this process is in a control group that is named like a unit.
//!
//! The last figure has both, a rule by unit and audit, against a daemon with neither.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use tokend_client::BlockingClient;

use super::{Asked, Figure, ROUNDS, Stand, Times, asked, by_turns, command, kept_by_turns, ratio};
use tokend_harness::{Site, control_groups};
use tokend_provider_simulator::{
    Configuration, Simulator,
    spec::{AccountSpec, Api},
};

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
    let both = [asked(&site, "user")?, asked(&site, "unit")?];
    let (kept, fresh) = (kept_by_turns(&both)?, fresh_by_turns(&both)?);
    daemon.terminate()?;
    Ok(vec![
        ratio(
            "get by a rule by unit on a kept connection, p50",
            " x by user",
            &kept,
        ),
        ratio(
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
    let both = [
        asked(&stands[0].site, "ads")?,
        asked(&stands[1].site, "ads")?,
    ];
    let (kept, fresh) = (kept_by_turns(&both)?, fresh_by_turns(&both)?);
    let whole = by_turns(stands.each_ref(), PROCESSES, 1, |stand| {
        command::get(&stand.site, "ads").map(drop)
    })?;
    for stand in stands {
        stand.daemon.terminate()?;
    }
    let neither = " x with neither";
    Ok(vec![
        ratio(
            "get by unit and audit, kept connection, p50",
            neither,
            &kept,
        ),
        ratio(
            "get by unit and audit, new connection, p50",
            neither,
            &fresh,
        ),
        ratio(
            "tokenctl get by unit and audit, whole process, p50",
            neither,
            &whole,
        ),
    ])
}

/// `get` at the first and at the second in turn, over a new connection each time.
fn fresh_by_turns(sides: &[Asked; 2]) -> anyhow::Result<[Times; 2]> {
    by_turns(sides.each_ref(), ROUNDS, 100, |(socket, options)| {
        BlockingClient::connect(socket)?.get(options)?;
        Ok(())
    })
}

/// Keeps this process in a control group that is named like a unit. Dropping it moves the process back.
struct Unit {
    group: PathBuf,
    before: PathBuf,
}

impl Unit {
    fn enter() -> anyhow::Result<Self> {
        let root = control_groups::root()?;
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
        // A group left behind is empty, and the next run finds it again.
        drop(fs::write(self.before.join("cgroup.procs"), "0"));
        drop(fs::remove_dir(&self.group));
    }
}
