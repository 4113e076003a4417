//! What runs beside a healthy account: every failure of a provider and every kind of hostile client, in groups.
//!
//! Each runs until it is stopped, at a rate that leaves the processors to the daemon. Panics if it cannot do its part.

use std::{
    env,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, geteuid, prlimit};
use tokend_client::{AccountName, BlockingClient, GetOptions, Patience, SocketPath};
use tokend_proto::Request;

use super::place::Place;
use tokend_harness::hostile::{
    failings::{broken, hanging},
    raw::{FullBacklog, Raw},
    tls::{self, authority},
    wire::{Wire, announce, copy_program, frame, get, hello},
};

/// The user that Debian and most others call `nobody`.
pub(super) const NOBODY: u32 = 65534;
/// The pause between two actions of a hostile client: a few hundred actions a second.
const REST: Duration = Duration::from_millis(4);
/// The pause between two attempts at failing providers: as many attempts as five thousand failing accounts make at the usual rate limit,
/// one every two minutes each. At a hundred a second, the attempts themselves would delay one `get` in a hundred on two cores.
const BREATH: Duration = Duration::from_millis(24);
/// How many connections are kept open.
const MANY: usize = 100;

/// Runs until the place says that it is over; notes when it has begun.
type Play = dyn Fn(&Place, &AtomicBool) -> anyhow::Result<()> + Send + Sync;

pub(super) struct Disturbance {
    pub(super) what: &'static str,
    /// The accounts it needs, with their base URLs.
    pub(super) accounts: Vec<(String, String)>,
    pub(super) play: Box<Play>,
    /// Providers that live as long as the disturbance.
    _providers: Vec<Raw>,
    _backlog: Option<FullBacklog>,
}

impl Disturbance {
    fn of_clients(
        what: &'static str,
        play: impl Fn(&Place, &AtomicBool) -> anyhow::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            what,
            accounts: Vec::new(),
            play: Box::new(play),
            _providers: Vec::new(),
            _backlog: None,
        }
    }
}

pub(super) fn all() -> anyhow::Result<Vec<Disturbance>> {
    let (endless, senseless): (Vec<_>, Vec<_>) = broken().into_iter().partition(|(name, _)| {
        ["without-end", "gigabyte", "deep", "too-long"]
            .iter()
            .any(|word| name.contains(word))
    });
    Ok(vec![
        hanging_providers(),
        failing("get beside providers that answer nonsense, p99", senseless),
        unbelieved(),
        failing("get beside providers that answer without end, p99", endless),
        Disturbance::of_clients("get beside connections half open, p99", half_open),
        Disturbance::of_clients("get beside frames in drops, p99", drops),
        Disturbance::of_clients("get beside cut frames and lies, p99", lies),
        Disturbance::of_clients("get beside clients that leave in mid-answer, p99", leaving),
        Disturbance::of_clients("get beside clients that read no answer, p99", deaf),
        Disturbance::of_clients("get beside a flood by another user, p99", flood),
        Disturbance::of_clients("get without descriptors, p99", no_descriptors),
    ])
}

/// One attempt at each provider, all at once, again and again; each ends with a time-out.
fn hanging_providers() -> Disturbance {
    let mut providers = hanging();
    providers.push(("handshake", Raw::start(|talk| talk.stay())));
    let backlog = FullBacklog::start();
    let url = |(name, raw): &(&str, Raw)| {
        let url = if *name == "handshake" {
            raw.https()
        } else {
            raw.http()
        };
        ((*name).to_owned(), url)
    };
    let mut accounts: Vec<_> = providers.iter().map(url).collect();
    accounts.push(("connect".to_owned(), backlog.http()));
    let names: Vec<_> = accounts.iter().map(|(name, _)| name.clone()).collect();
    let play = move |place: &Place, started: &AtomicBool| {
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| -> anyhow::Result<()> {
                    while place.goes_on(BREATH) {
                        refresh(place, name)?;
                    }
                    Ok(())
                });
            }
            // There are many waiting clients, and none is done before its time-out.
            thread::park_timeout(5 * BREATH);
            started.store(true, Ordering::Relaxed);
        });
        Ok(())
    };
    Disturbance {
        what: "get beside providers that hang at each stage, p99",
        accounts,
        play: Box::new(play),
        _providers: providers.into_iter().map(|(_, raw)| raw).collect(),
        _backlog: Some(backlog),
    }
}

/// Certificates that are not valid.
fn unbelieved() -> Disturbance {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let providers = tls::unbelieved(&ours, &theirs).into_iter();
    let providers = providers.map(|(name, _, raw)| (name, raw.https(), raw));
    one_by_one(
        "get beside certificates that do not hold, p99",
        providers.collect(),
    )
}

fn failing(what: &'static str, providers: Vec<(&'static str, Raw)>) -> Disturbance {
    let providers = providers.into_iter();
    let providers = providers.map(|(name, raw)| (name, raw.http(), raw));
    one_by_one(what, providers.collect())
}

/// One attempt after the other at providers with these names and base URLs.
fn one_by_one(what: &'static str, providers: Vec<(&'static str, String, Raw)>) -> Disturbance {
    let url = |(name, url, _): &(&str, String, Raw)| ((*name).to_owned(), url.clone());
    let accounts: Vec<_> = providers.iter().map(url).collect();
    let names: Vec<_> = accounts.iter().map(|(name, _)| name.clone()).collect();
    let play = move |place: &Place, started: &AtomicBool| {
        for name in names.iter().cycle() {
            refresh(place, name)?;
            started.store(true, Ordering::Relaxed);
            if !place.goes_on(BREATH) {
                break;
            }
        }
        Ok(())
    };
    Disturbance {
        what,
        accounts,
        play: Box::new(play),
        _providers: providers.into_iter().map(|(.., raw)| raw).collect(),
        _backlog: None,
    }
}

fn refresh(place: &Place, name: &str) -> anyhow::Result<()> {
    let account: AccountName = name.parse()?;
    let patience = Patience::default().timeout(Duration::from_secs(10));
    let mut client = BlockingClient::connect(&SocketPath::from(place.site.socket()))?;
    // The attempt fails, as it should.
    anyhow::ensure!(
        client.admin().refresh(&account, patience).is_err(),
        "{name} works"
    );
    Ok(())
}

fn half_open(place: &Place, started: &AtomicBool) -> anyhow::Result<()> {
    let mut open: Vec<Wire> = Vec::new();
    let mut count = 0_usize;
    loop {
        open.retain_mut(|wire| !wire.ended());
        while open.len() < MANY {
            let mut wire = Wire::silent(&place.site);
            let part = [vec![], vec![9, 0], announce(60_000).to_vec(), hello()];
            wire.say(part.get(count % part.len()).context("there are four")?);
            open.push(wire);
            count += 1;
        }
        started.store(true, Ordering::Relaxed);
        if !place.goes_on(5 * BREATH) {
            return Ok(());
        }
    }
}

fn drops(place: &Place, started: &AtomicBool) -> anyhow::Result<()> {
    let begun = || {
        let mut wire = Wire::greeted(&place.site);
        wire.say(&announce(60_000));
        wire
    };
    let mut open: Vec<_> = (0..MANY).map(|_| begun()).collect();
    started.store(true, Ordering::Relaxed);
    for turn in (0..MANY).cycle() {
        if let Some(wire) = open.get_mut(turn)
            && (!wire.say(b"x") || wire.ended())
        {
            *wire = begun();
        }
        if !place.goes_on(REST) {
            break;
        }
    }
    Ok(())
}

fn lies(place: &Place, started: &AtomicBool) -> anyhow::Result<()> {
    let account = "well";
    let conversation = [
        hello(),
        get(2, account),
        frame(3, Request::List { after: None }),
    ]
    .concat();
    let cuts = (0..conversation.len()).filter_map(|cut| conversation.get(..cut));
    let mut words: Vec<Vec<u8>> = cuts.map(<[u8]>::to_vec).collect();
    words.extend([
        announce(u32::MAX).to_vec(),
        announce(64 * 1024 + 1).to_vec(),
        announce(0).to_vec(),
        [hello(), hello()].concat(),
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0xff; 70_000],
    ]);
    for word in words.iter().cycle() {
        let mut wire = Wire::silent(&place.site);
        wire.say(word);
        // The daemon may have hung up already.
        let _gone = wire.stream.shutdown(Shutdown::Write);
        wire.hear_out();
        started.store(true, Ordering::Relaxed);
        if !place.goes_on(REST) {
            break;
        }
    }
    Ok(())
}

fn questions() -> Vec<u8> {
    let status = |id| {
        frame(
            id,
            Request::Status {
                account: None,
                after: None,
            },
        )
    };
    (2..30).flat_map(status).collect()
}

fn leaving(place: &Place, started: &AtomicBool) -> anyhow::Result<()> {
    let questions = questions();
    loop {
        let mut wire = Wire::greeted(&place.site);
        wire.say(&questions);
        wire.hear();
        started.store(true, Ordering::Relaxed);
        drop(wire);
        if !place.goes_on(REST) {
            return Ok(());
        }
    }
}

fn deaf(place: &Place, started: &AtomicBool) -> anyhow::Result<()> {
    let questions = questions();
    let mut open: Vec<_> = (0..MANY).map(|_| Wire::greeted(&place.site)).collect();
    started.store(true, Ordering::Relaxed);
    // One after the other, so that there are as many questions as from clients that leave.
    for turn in (0..MANY).cycle() {
        if let Some(wire) = open.get_mut(turn)
            && !wire.write_some(&questions)
        {
            *wire = Wire::greeted(&place.site);
        }
        if !place.goes_on(REST) {
            break;
        }
    }
    Ok(())
}

/// Another user's process floods the socket; it is this program, run as that user.
fn flood(place: &Place, started: &AtomicBool) -> anyhow::Result<()> {
    let place_of = place.site.path();
    std::fs::set_permissions(place_of, std::fs::Permissions::from_mode(0o755))?;
    let program = place_of.join("flood");
    copy_program(&env::current_exe()?, &program)?;
    let nobody = NOBODY.to_string();
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            &nobody,
            "--regid",
            &nobody,
            "--clear-groups",
            "--",
        ]);
        command
    } else {
        let mut command = Command::new("sudo");
        command.args(["--non-interactive", "--user", &format!("#{nobody}"), "--"]);
        command
    };
    let mut child = command
        .arg(&program)
        .arg("--flood")
        .arg(place.site.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot become another user; it takes root")?;
    let mut out = child.stdout.take().context("it has an output")?;
    anyhow::ensure!(out.read(&mut [0; 1])? == 1, "the other user cannot flood");
    started.store(true, Ordering::Relaxed);
    while place.goes_on(BREATH) {
        anyhow::ensure!(child.try_wait()?.is_none(), "the flood ended by itself");
    }
    // The process ends when its input ends.
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}

/// What the other user's process does: forty questions on a new connection, until its input ends. Writes a byte once it has begun.
///
/// # Errors
/// When the daemon is not running.
pub fn be_flood(socket: &SocketPath) -> anyhow::Result<()> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(std::io::stdin().read(&mut [0; 1]));
            over.store(true, Ordering::Relaxed);
        });
        let options = GetOptions::new("well".parse()?);
        let mut reported = false;
        while !over.load(Ordering::Relaxed) {
            // Beyond the limit of connections the daemon refuses it, which is part of the disturbance.
            if let Ok(mut client) = BlockingClient::connect(socket) {
                for _ in 0..40 {
                    drop(client.get(&options));
                }
            }
            if !reported {
                reported = true;
                std::io::stdout().write_all(b"!")?;
                std::io::stdout().flush()?;
            }
            thread::park_timeout(REST);
        }
        Ok(())
    })
}

fn no_descriptors(place: &Place, started: &AtomicBool) -> anyhow::Result<()> {
    let pid = i32::try_from(place.daemon.pid())
        .ok()
        .and_then(Pid::from_raw);
    let open = std::fs::read_dir(format!("/proc/{}/fd", place.daemon.pid()))?.count();
    let limit = |current| {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(4096),
        };
        prlimit(pid, Resource::Nofile, limit)
    };
    limit(u64::try_from(open)? + 4)?;
    let mut waiting: Vec<_> = (0..30).map(|_| Wire::silent(&place.site)).collect();
    started.store(true, Ordering::Relaxed);
    while place.goes_on(BREATH) {
        waiting.remove(0);
        waiting.push(Wire::silent(&place.site));
    }
    limit(1024)?;
    Ok(())
}
