//! The daemon's diagnosis of itself.
//!
//! Owns which things are checked, how long that may take, and which findings the peer may see. Changes nothing, runs no command, makes no
//! attempt: a provider sees at most a connection that ends without a request, and no host more than one in half a minute.

mod files;
mod finding;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokend_config::{Account, Proxy};
use tokend_document::counted;
use tokend_engine::Timestamp;
use tokend_policy::{Peer, Permission};
use tokend_proto::{
    AccountName, DiagnosisPage, Fault, FaultCode, Finding, Response, SinkLine, Topic,
};
use tokio::sync::Semaphore;

use crate::broker::registry::{ServedAccount, Snapshot};
use crate::broker::sinks::Sinks;
pub(crate) use files::OwnFiles;
use finding::{ok, problem, warning};
use tokend_process::clock::Clock;
use tokend_process::escaping::Escaped;
use tokend_upstream::Upstream;
use tokend_upstream::certificate_advice;
use tokend_upstream::secrets::{SecretSource, resolve};

/// The number of accounts on a page.
pub(crate) const PAGE: usize = 10;
/// The number of connections at once.
const PROBES: usize = 5;
/// How long the result of a probe is reused instead of a new connection.
const FRESH: Duration = Duration::from_secs(30);
/// The number of hosts whose results are remembered.
const MOST_HOSTS: usize = 1024;
/// The time limit for a secret's file: it may lie on a disk that hangs.
const SECRET_PATIENCE: Duration = Duration::from_secs(3);
/// The smallest step of the wall clock that is reported.
const LARGE_STEP_MS: u64 = 5_000;
/// The longest sentence, in characters. All sentences of a page fit a frame.
const LONGEST: usize = 400;

/// The result of a connection to a host, or why none was made.
type Outcome = Result<(), String>;

#[derive(Debug, Clone)]
struct Probed {
    outcome: Outcome,
    /// The age of that result, if it is not new.
    age: Option<Duration>,
}

impl Probed {
    fn now(outcome: Outcome) -> Self {
        let age = None;
        Self { outcome, age }
    }
}

/// Runs diagnoses, one at a time.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    upstream: Arc<Upstream>,
    files: OwnFiles,
    clock: Clock,
    turn: Semaphore,
    probed: Mutex<HashMap<Spot, (Timestamp, Outcome)>>,
}

/// The subject of one page.
pub(crate) struct Page {
    /// Whether the page includes findings that are not about accounts; if so, with the findings about the peer.
    pub(crate) caller: Option<Finding>,
    /// Whether places of secrets and files may be shown.
    pub(crate) admin: bool,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) accounts: Vec<Arc<ServedAccount>>,
    /// What sinks report.
    pub(crate) sinks: Arc<Sinks>,
    pub(crate) next: Option<AccountName>,
}

impl Diagnosis {
    pub(crate) fn new(upstream: Arc<Upstream>, files: OwnFiles, clock: Clock) -> Self {
        Self {
            upstream,
            files,
            clock,
            turn: Semaphore::new(1),
            probed: Mutex::default(),
        }
    }

    pub(crate) async fn page(self: Arc<Self>, page: Page) -> Response {
        let Ok(_turn) = self.turn.try_acquire() else {
            let busy = Fault::new(FaultCode::TooBusy, "another diagnosis is under way");
            return Response::Fault(busy.retry_after(5_000));
        };
        let mut findings = Vec::new();
        if let Some(caller) = page.caller {
            findings.push(caller);
            findings.push(self.clock());
            if page.admin {
                findings.extend(files::check(&self.files, page.snapshot).await);
            }
        }
        let probed = self.probe_all(&page.accounts).await;
        let upstream = &self.upstream;
        let source = upstream.secrets();
        for served in &page.accounts {
            let account = &served.account;
            let spots = spots(account, upstream);
            let mut proxies: Vec<_> = spots.iter().filter_map(|it| it.proxy.clone()).collect();
            proxies.dedup();
            findings.extend(secrets(account, &proxies, &source, page.admin).await);
            findings.extend(answer(served));
            let sinks = page.sinks.of(&account.name).into_iter();
            findings.extend(sinks.map(|line| about(account, sink(line))));
            for spot in spots {
                if let Some(found) = probed.get(&spot) {
                    let url = account.named(&spot.origin);
                    findings.push(about(account, provider(url, found)));
                }
            }
        }
        findings.iter_mut().for_each(shorten);
        Response::Diagnosis(DiagnosisPage {
            findings,
            next: page.next,
        })
    }

    fn clock(&self) -> Finding {
        let clock = &self.clock;
        let wall = u64::try_from(clock.wall_ms()).unwrap_or(0);
        let step = wall.abs_diff(clock.steady().as_millis());
        if step < LARGE_STEP_MS {
            return ok(
                Topic::Clock,
                "the wall clock has not been set since the daemon started",
            );
        }
        warning(
            Topic::Clock,
            format!(
                "the wall clock was set by {} s since the daemon started",
                step / 1000
            ),
            "tokens are not affected; if this was not intended, check what sets the clock",
        )
    }

    async fn probe_all(&self, accounts: &[Arc<ServedAccount>]) -> HashMap<Spot, Probed> {
        let upstream = &self.upstream;
        let now = self.clock.steady();
        let mut all = HashMap::new();
        // Several addresses at one host need one connection, if they are reached the same way.
        let mut open = HashMap::new();
        for served in accounts {
            for spot in spots(&served.account, upstream) {
                match self.remembered(&spot, now) {
                    Some(found) => drop(all.insert(spot, found)),
                    None => drop(open.insert(spot, served.account.proxy.clone())),
                }
            }
        }
        if open.is_empty() {
            return all;
        }
        let prober = match upstream.prober().await {
            Ok(prober) => prober,
            Err(why) => {
                let failed = |spot| (spot, Probed::now(Err(why.clone())));
                all.extend(open.into_keys().map(failed));
                return all;
            }
        };
        let found: HashMap<Spot, Outcome> = stream::iter(open)
            .map(|(spot, route)| {
                let prober = prober.clone();
                async move {
                    let found = prober.probe(&route, &spot.origin).await;
                    (spot, found.map_err(|why| Escaped(&why).to_string()))
                }
            })
            .buffer_unordered(PROBES)
            .collect()
            .await;
        self.remember(&found, now);
        all.extend(
            found
                .into_iter()
                .map(|(spot, outcome)| (spot, Probed::now(outcome))),
        );
        all
    }

    fn remembered(&self, spot: &Spot, now: Timestamp) -> Option<Probed> {
        let probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, outcome) = probed.get(spot)?;
        let age = now.since(*at);
        (age < FRESH).then(|| Probed {
            outcome: outcome.clone(),
            age: Some(age),
        })
    }

    fn remember(&self, found: &HashMap<Spot, Outcome>, now: Timestamp) {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        probed.retain(|_, (at, _)| now.since(*at) < FRESH);
        let room = MOST_HOSTS.saturating_sub(probed.len());
        let new = found.iter().take(room);
        probed.extend(new.map(|(spot, found)| (spot.clone(), (now, found.clone()))));
    }
}

/// The target of an account's connection, and the proxy on the way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Spot {
    /// Scheme, host and port.
    origin: String,
    proxy: Option<Arc<Proxy>>,
}

fn spots(account: &Account, upstream: &Upstream) -> Vec<Spot> {
    let origins = account.origins().into_iter();
    origins
        .map(|origin| Spot {
            proxy: upstream.proxy_for(account, &origin),
            origin,
        })
        .collect()
}

/// The permissions of the peer.
pub(crate) fn caller(snapshot: &Snapshot, peer: &Peer) -> Finding {
    let admin = !snapshot.as_administrator(peer).is_empty();
    let visible = snapshot.visible(peer);
    let tokens = visible.count_of(Permission::Get);
    let is_stranger = visible.is_empty();
    let who = format!("you are user {}, group {}", peer.uid, peer.gid);
    let rights = match (admin, tokens) {
        (true, tokens) => format!(
            "{who}: an administrator, with the tokens of {tokens} of {}",
            counted(snapshot.count(), "account")
        ),
        (false, _) if is_stranger => {
            return warning(
                Topic::Caller,
                format!("{who}: no rule allows you anything"),
                "ask the administrator of tokend for a rule that matches you in `allow` of an account",
            );
        }
        (false, tokens) => format!(
            "{who}: no administrator, with the tokens of {}; what only administrators may know was not looked at",
            counted(tokens, "account")
        ),
    };
    ok(Topic::Caller, rights)
}

/// Whether the secrets of an account can be read from their places. A command is not run: it may ask somebody, or leave traces.
async fn secrets(
    account: &Account,
    proxies: &[Arc<Proxy>],
    source: &SecretSource,
    admin: bool,
) -> Vec<Finding> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let own = account
        .secrets
        .iter()
        .map(|(field, place)| (&**field, place));
    let of_proxies = proxies.iter().filter_map(|proxy| proxy.password.as_ref());
    let of_proxies = of_proxies.map(|place| ("the proxy's password", place));
    for (field, place) in own.chain(of_proxies) {
        if place.is_command() {
            good.push(format!("{field}: a command, which was not run"));
            continue;
        }
        match tokio::time::timeout(SECRET_PATIENCE, resolve(place, source)).await {
            Ok(Ok(_secret)) => good.push(format!("{field} can be read")),
            Ok(Err(why)) => bad.push((field, why.to_string())),
            Err(_) => bad.push((field, format!("{place} does not answer"))),
        }
    }
    let mut findings = Vec::new();
    if bad.is_empty() && !good.is_empty() {
        findings.push(about(account, ok(Topic::Secret, good.join(", "))));
    }
    for (field, why) in bad {
        // The sentence names the place, and for most mistakes the command that mends it.
        let (message, advice) = match admin {
            true => (
                format!("{field} cannot be read: {why}"),
                "correct it there; the next attempt finds it",
            ),
            false => (
                format!("{field} cannot be read"),
                "ask an administrator to run: tokenctl doctor",
            ),
        };
        findings.push(about(account, problem(Topic::Secret, message, advice)));
    }
    findings
}

/// The values that could not be used in the reply that brought the held token.
fn answer(served: &ServedAccount) -> Option<Finding> {
    let token = served.cell.token();
    let remark = token.as_ref()?.remark.as_deref()?;
    let dialect = served.account.dialect.name();
    let cut_short = warning(
        Topic::Provider,
        format!("its last answer could not be used in full: {remark}"),
        format!(
            "correct dialect {dialect} (`tokend dialect try` shows what it reads), or set `assumed_lifetime` of the account where the expiry is not known"
        ),
    );
    Some(about(&served.account, cut_short))
}

/// A file that a sink keeps fresh.
fn sink(line: SinkLine) -> Finding {
    let SinkLine {
        sink, uid, path, ..
    } = line;
    let keeps = format!("sink {sink} of user {uid} keeps {path} fresh");
    match line.problem {
        None => ok(Topic::Sink, keeps),
        Some(why) => problem(
            Topic::Sink,
            format!("sink {sink} of user {uid} cannot keep {path} fresh: {why}"),
            "correct it there, or give the account a token; the sink tries again by itself, and its own log says more",
        ),
    }
}

fn provider(url: &str, probed: &Probed) -> Finding {
    // Earlier results may be out of date, and a person who mends something asks again at once.
    let (can, cannot) = match probed.age {
        None => ("can be reached".to_owned(), "cannot be reached".to_owned()),
        Some(age) => {
            let ago = format!("be reached {} s ago", age.as_secs());
            (format!("could {ago}"), format!("could not {ago}"))
        }
    };
    let why = match &probed.outcome {
        Ok(()) => return ok(Topic::Provider, format!("{url} {can}")),
        Err(why) => why,
    };
    let lower = why.to_lowercase();
    let advice = if lower.contains("the egress relay") && lower.contains("has no free place") {
        "the relay's log says whose connections take its places (`no free place for a connection`); have that program end them"
    } else if lower.contains("the egress relay at /") {
        "this daemon connects through a relay that was started by hand (TOKEND_EGRESS): see that it runs, as which user, and what it logs"
    } else if lower.contains("the egress relay") {
        "the daemon has no network of its own; see what the relay says: journalctl -u tokend-egress.service -u tokend-egress.socket"
    } else if lower.starts_with("through the proxy ") {
        "check `proxy` of the account and of [http], and whether the proxy lets this machine through"
    } else if lower.contains("dns error") || lower.contains("lookup") {
        "check the host in `base_url`, and the resolver of this machine (resolvectl query HOST)"
    } else if let Some(advice) = certificate_advice(why) {
        advice
    } else if lower.contains("timed out") {
        "check the network, firewalls, and `proxy` of [http]"
    } else if lower.contains("refused") {
        "check the port in `base_url`, and whether the provider is up"
    } else {
        "check `base_url`, the network, and `proxy` of [http]"
    };
    problem(Topic::Provider, format!("{url} {cannot}: {why}"), advice)
}

fn about(account: &Account, finding: Finding) -> Finding {
    Finding {
        account: Some(account.name.clone()),
        ..finding
    }
}

fn shorten(finding: &mut Finding) {
    let texts = [Some(&mut finding.message), finding.advice.as_mut()];
    for text in texts.into_iter().flatten() {
        if let Some((at, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(at);
            text.push('…');
        }
    }
}

#[cfg(test)]
mod tests;
