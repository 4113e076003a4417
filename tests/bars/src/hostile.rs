//! Users without rights at a daemon of fifty thousand accounts: how much they slow another user's `get`, and what they learn from timing.
//!
//! Needs root, to act as other users. Each hostile user is this program, run as that user; it asks without end and without pause.
//! "Without" is the same `get` while their processes are stopped, alternating, so the figure includes everything they cost, their own
//! processor time too. For that reason the daemon delays answers to peers that keep asking without a right, instead of only taking turns:
//! on two processors, three such peers answered at once would leave the scheduler to decide about everybody else.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokend_client::{BlockingClient, GetOptions, SocketPath};
use tokend_proto::Request;

use super::{Figure, Times, disturbed::sample};
use tokend_harness::{
    Daemon, Site,
    clock::Stopwatch,
    hostile::wire::{Wire, copy_program, frame, get, hello},
};
use tokend_provider_simulator::{
    Configuration, Simulator,
    spec::{AccountSpec, Api},
};

const ACCOUNTS: u32 = 50_000;
/// Users that no machine has; the first has a right to an account of its own.
const USERS: [u32; 3] = [61_001, 61_002, 61_003];
const ROUNDS: usize = 31;
/// The number of requests of each kind whose times are compared.
const ASKED: usize = 10_000;
/// A curious user pauses after this many requests, for this long: the daemon delays faster ones, and the delay would be measured.
const IN_A_ROW: usize = 1_000;
const REST: Duration = Duration::from_millis(2_100);

/// No token is released without an audit record, and no audit file is rotated away.
const PREAMBLE: &str =
    "[audit]\njournal = false\nfile = \"records\"\nmax_size = \"1024MiB\"\nrequired = true\n";

struct Place {
    site: Site,
    _simulator: Simulator,
    daemon: Daemon,
    program: std::path::PathBuf,
}

/// Measures what they cost and what they learn.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    anyhow::ensure!(geteuid().is_root(), "this takes root: it is several users");
    let place = Place::start()?;
    let options = GetOptions::new("well".parse()?);
    let mut client = BlockingClient::connect(&SocketPath::from(place.site.socket()))?;
    client.get(&options)?;
    let mut figures = place.names()?;
    let (beside, asked) = place.beside(&mut client, &options)?;
    figures.push(beside);
    place.daemon.terminate()?;
    figures.extend(left_behind(&place.site, asked + 1)?);
    Ok(figures)
}

/// Whether each release has its record, and how many bytes were recorded and logged of denials.
fn left_behind(site: &Site, released: usize) -> anyhow::Result<[Figure; 2]> {
    let records = fs::read_to_string(site.path().join("records"))?;
    let recorded = records.matches("\"event\":\"release\"").count();
    let denied = fs::metadata(site.path().join("records.denied"))?.len();
    let bytes = denied + fs::metadata(site.log_path())?.len();
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let (missing, megabytes) = (released.abs_diff(recorded) as f64, bytes as f64 / 1e6);
    Ok([
        Figure {
            what: "releases without a record",
            found: missing,
            most: 0.0,
            unit: "",
            from: format!("{released} beside them, and records are required"),
        },
        Figure {
            what: "log and records of denials, of all of them",
            found: megabytes,
            most: 1.0,
            unit: " MB",
            from: "in about a minute".to_owned(),
        },
    ])
}

impl Place {
    fn start() -> anyhow::Result<Self> {
        let well = AccountSpec::new("well", Api::JwtApi).with(|it| it.suspension = None);
        let simulator = Simulator::start(vec![well])?;
        let allow = format!(
            "allow = [{{ user = 0 }}, {{ user = {} }}]\n",
            geteuid().as_raw()
        );
        let mut configuration = Configuration::of(&simulator).everywhere(&allow);
        PREAMBLE.clone_into(&mut configuration.preamble);
        let site = Site::with(&configuration)?;
        let mut text = fs::read_to_string(site.configuration())?;
        // A policy of its own for each account, so that the daemon cannot share one result among many.
        for number in 0..ACCOUNTS {
            writeln!(
                text,
                "[account.a{number:06}]\nprovider = \"jwt-api\"\nbase_url = \"https://ads.example.com\"\nusername = \"u\"\npassword = {{ file = \"/nonexistent\" }}\nrefresh = \"on-demand\"\nallow = [{{ user = {} }}]",
                USERS[0] + if number == 7 { 0 } else { 100 + number }
            )?;
        }
        fs::write(site.configuration(), text)?;
        fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755))?;
        let program = site.path().join("asker");
        copy_program(&env::current_exe()?, &program)?;
        let daemon = site.start()?;
        Ok(Self {
            site,
            _simulator: simulator,
            daemon,
            program,
        })
    }

    fn run(&self, user: u32, word: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(word)
            .arg(self.site.socket())
            .uid(user)
            .gid(user);
        command
    }

    /// Whether unknown names and the names of others' accounts take the same time, for a user with a right elsewhere and for one without
    /// any.
    fn names(&self) -> anyhow::Result<Vec<Figure>> {
        let whats = [
            "get of another's account against of none, with a right elsewhere, p50",
            "get of another's account against of none, a stranger, p50",
        ];
        let measured = whats.iter().zip(USERS).map(|(what, user)| {
            let output = self.run(user, "--names").output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let found: Vec<f64> = text.split_whitespace().flat_map(str::parse).collect();
            let [others, none] = found[..] else {
                anyhow::bail!("the asker failed: {output:?}");
            };
            Ok(Figure {
                what,
                found: (others / none).max(none / others),
                most: 1.05,
                unit: " x",
                from: format!("{ASKED} each by turns, {others:.2} us against {none:.2} us"),
            })
        });
        measured.collect()
    }

    /// What a `get` takes beside them, alternating with what it takes without them, and how often it was measured.
    fn beside(
        &self,
        client: &mut BlockingClient,
        options: &GetOptions,
    ) -> anyhow::Result<(Figure, usize)> {
        let mut askers = Vec::new();
        for user in USERS {
            askers.push(Asker(self.run(user, "--ask").stdin(Stdio::null()).spawn()?));
        }
        let (mut calm, mut beside, mut ratios) = (Times::default(), Times::default(), Vec::new());
        for _ in 0..ROUNDS {
            askers
                .iter()
                .try_for_each(|asker| asker.signal(Signal::STOP))?;
            let usual = sample(client, options)?;
            askers
                .iter()
                .try_for_each(|asker| asker.signal(Signal::CONT))?;
            let disturbed = sample(client, options)?;
            ratios.push(disturbed.quantile(0.99) / usual.quantile(0.99));
            calm.append(usual);
            beside.append(disturbed);
        }
        ratios.sort_unstable_by(f64::total_cmp);
        let (worst, usual) = (beside.quantile(0.99), calm.quantile(0.99));
        let asked = calm.len() + beside.len();
        let figure = Figure {
            what: "get beside three users who ask without end, p99",
            found: ratios.get(ROUNDS / 2).copied().unwrap_or(f64::NAN),
            most: 2.0,
            unit: " x usual",
            from: format!(
                "{ACCOUNTS} accounts, {ROUNDS} rounds; {} and {} times, {worst:.0} us against {usual:.0} us in all, the slowest {:.0} us",
                beside.len(),
                calm.len(),
                beside.quantile(1.0),
            ),
        };
        Ok((figure, asked))
    }
}

/// A user's process; killed when dropped.
struct Asker(Child);

impl Asker {
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.0.id())?).context("a process has an id")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What the process of a hostile user does: asks without end for names that do not exist, the list, the status and its own facts.
///
/// # Errors
/// When the daemon is not running.
pub fn be_asker(socket: &Path) -> anyhow::Result<()> {
    loop {
        let mut wire = Wire::at(socket)?;
        let mut batch = hello();
        for id in 1..=256 {
            batch.extend(match id % 64 {
                0 => frame(id, Request::List { after: None }),
                1 => frame(
                    id,
                    Request::Status {
                        account: None,
                        after: None,
                    },
                ),
                2 => frame(id, Request::Whoami),
                _ => get(id, &format!("zzz{id}")),
            });
        }
        let mut answers = 257;
        while wire.say(&batch) {
            for _ in 0..answers {
                if wire.hear().is_none() {
                    break;
                }
            }
            answers = 256;
            if batch.starts_with(&hello()) {
                batch.drain(..hello().len());
            }
        }
    }
}

/// What the process of a curious user does: asks for others' accounts and for unknown ones in turn, and prints the median of both in
/// microseconds.
///
/// # Errors
/// When the daemon is not running, or its answers differ.
pub fn be_curious(socket: &Path) -> anyhow::Result<()> {
    let mut client = BlockingClient::connect(&SocketPath::from(socket.to_owned()))?;
    let (mut others, mut none) = (Times::default(), Times::default());
    for number in 0..ASKED {
        if number % IN_A_ROW == 0 {
            thread::park_timeout(REST);
        }
        let number = number * 4 + 11;
        for (name, times) in [
            (format!("a{number:06}"), &mut others),
            (format!("b{number:06}"), &mut none),
        ] {
            let options = GetOptions::new(name.parse()?);
            let watch = Stopwatch::start();
            let said = client.get(&options);
            times.add(watch.elapsed());
            anyhow::ensure!(
                said.is_err_and(|error| error.to_string().contains("that you may use")),
                "{name} was told apart"
            );
        }
    }
    writeln!(
        std::io::stdout(),
        "{} {}",
        others.quantile(0.5),
        none.quantile(0.5)
    )?;
    Ok(())
}
