//! The figures of `cargo bars`.
//!
//! Each module measures one thing together with its comparison in the same run, alternating, so that a noisy machine is noisy for both.

pub mod accounts;
pub mod audit;
pub mod command;
pub mod connection;
pub mod disturbances;
pub mod disturbed;
pub mod echo;
pub mod herd;
pub mod hostile;
pub mod http;
mod place;
pub mod policy;
pub mod subscription;

use std::{fmt, time::Duration};

use tokend_client::{BlockingClient, GetOptions, SocketPath};

use tokend_harness::{Daemon, Site, clock::Stopwatch};
use tokend_provider_simulator::{Configuration, Simulator, spec::AccountSpec};

/// One figure and its bar.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub what: &'static str,
    /// The value found.
    pub found: f64,
    /// The largest value allowed.
    pub most: f64,
    /// The unit of both.
    pub unit: &'static str,
    /// What the value was computed from.
    pub from: String,
}

impl Figure {
    /// Whether the bar is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.found <= self.most
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            found,
            most,
            unit,
            from,
        } = self;
        let word = if self.is_kept() { "kept  " } else { "MISSED" };
        write!(
            f,
            "{word} {what}: {found:.2}{unit} (at most {most}{unit}); {from}"
        )
    }
}

/// A set of times, with their quantiles.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds one time.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Adds all times of another set.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The number of times.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that `share` (0 to 1) of all times do not exceed, in microseconds.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a few thousand times"
        )]
        let at = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}

/// How often two sides alternate over connections.
pub(crate) const ROUNDS: usize = 40;

/// What the first and the second side take for one thing, done this many times in each of this many alternating rounds.
pub(crate) fn by_turns<S>(
    mut sides: [S; 2],
    rounds: usize,
    in_a_round: usize,
    mut one: impl FnMut(&mut S) -> anyhow::Result<()>,
) -> anyhow::Result<[Times; 2]> {
    let mut all = <[Times; 2]>::default();
    for _ in 0..rounds {
        for (side, times) in sides.iter_mut().zip(&mut all) {
            for _ in 0..in_a_round {
                let watch = Stopwatch::start();
                one(side)?;
                times.add(watch.elapsed());
            }
        }
    }
    Ok(all)
}

/// The socket of a daemon, and a request.
pub(crate) type Asked = (SocketPath, GetOptions);

/// The request for the token of an account at the daemon of a site.
pub(crate) fn asked(site: &Site, account: &str) -> anyhow::Result<Asked> {
    let options = GetOptions::new(account.parse()?);
    Ok((SocketPath::from(site.socket()), options))
}

/// `get` at the first and at the second in turn, over a kept connection each.
pub(crate) fn kept_by_turns(sides: &[Asked; 2]) -> anyhow::Result<[Times; 2]> {
    let client = |(socket, options): &Asked| -> anyhow::Result<_> {
        let mut client = BlockingClient::connect(socket)?;
        // The first request makes the daemon read the facts of its peer, and may cost an attempt.
        client.get(options)?;
        Ok((client, options.clone()))
    };
    let clients = [client(&sides[0])?, client(&sides[1])?];
    by_turns(clients, ROUNDS, 500, |(client, options)| {
        client.get(options)?;
        Ok(())
    })
}

/// The median with something switched on, divided by the median without.
pub(crate) fn ratio(
    what: &'static str,
    unit: &'static str,
    [without, with]: &[Times; 2],
) -> Figure {
    let (slow, fast) = (with.quantile(0.5), without.quantile(0.5));
    Figure {
        what,
        found: slow / fast,
        most: 1.3,
        unit,
        from: format!("{} each, {slow:.1} us against {fast:.1} us", with.len()),
    }
}

/// A daemon with one account of each API at simulated providers.
pub(crate) struct Stand {
    pub(crate) simulator: Simulator,
    pub(crate) site: Site,
    pub(crate) daemon: Daemon,
}

impl Stand {
    pub(crate) fn start(lines: &str, preamble: &str) -> anyhow::Result<Self> {
        let simulator = Simulator::start(AccountSpec::four())?;
        let mut configuration = Configuration::of(&simulator).everywhere(lines);
        preamble.clone_into(&mut configuration.preamble);
        let site = Site::with(&configuration)?;
        let daemon = site.start()?;
        Ok(Self {
            simulator,
            site,
            daemon,
        })
    }
}
