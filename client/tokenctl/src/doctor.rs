//! `doctor`: checks everything between the caller and a token, and says what to do.
//!
//! Owns the order of the checks, and the exit code. The daemon reports everything that only it can see; reasons for its absence are looked
//! for here. Changes nothing and asks no provider for a token.

mod finding;
mod left_over;
mod machine;
mod report;
mod socket;

use std::path::Path;

use tokend_client::{
    AccountName, AccountState, AccountStatus, BlockingClient, ClientError, FaultCode, Severity,
};

use self::finding::Finding;
use self::machine::Absence;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::who_answered::Daemon;

/// How many pages the daemon is asked for; no person reads the findings of ten thousand accounts.
const MOST_PAGES: usize = 20;

/// The socket of the system's daemon.
const SYSTEM: &str = "/run/tokend/tokend.sock";

/// Checks everything, prints the findings, and fails if there is a problem.
pub(crate) fn run(
    named: Option<&Path>,
    account: Option<&AccountName>,
    json: bool,
) -> Result<(), Failure> {
    let (mut findings, path) = socket::look(named);
    let units = machine::Units::of(path.as_ref());
    // systemd knows nothing of a daemon at another socket.
    let known = path
        .as_ref()
        .is_some_and(|it| it.is_own() || it.as_path() == Path::new(SYSTEM));
    let absence = units
        .as_ref()
        .filter(|_| known)
        .and_then(machine::Units::absence);
    match path.as_ref().map(BlockingClient::connect) {
        Some(Ok(mut client)) => {
            let answered = Daemon::of(&client);
            findings.push(Finding::ok(
                "daemon",
                format!("it is reachable: {answered}"),
            ));
            findings.extend(daemon(&mut client, account, absence.as_ref())?);
        }
        Some(Err(error)) => findings.push(socket::unreachable(&error, absence.as_ref())),
        None => {}
    }
    findings.extend(units.iter().flat_map(machine::Units::findings));
    findings.extend(machine::clock());
    findings.extend(left_over::look());
    match json {
        true => output::print_json(&report::json(&findings))?,
        false => {
            let width = output::is_terminal().then(output::width);
            output::print(report::text(&findings, width).as_bytes())?;
        }
    }
    let problem = findings.iter().find(|it| it.severity == Severity::Problem);
    problem.map_or(Ok(()), |problem| Err(Failure::silent(problem.exit)))
}

/// The findings of the daemon, and the states of its accounts.
fn daemon(
    client: &mut BlockingClient,
    account: Option<&AccountName>,
    absence: Option<&Absence>,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut after = None;
    for _ in 0..MOST_PAGES {
        match client.admin().diagnose(account, after) {
            Ok(page) => {
                findings.extend(page.findings.into_iter().map(local_finding));
                after = page.next;
            }
            Err(error) => match refused(&error, absence) {
                Some(finding) => {
                    findings.push(finding);
                    return Ok(findings);
                }
                // No such account, or none for the caller: the same answer as for any command.
                None => return Err(error.into()),
            },
        }
        if after.is_none() {
            break;
        }
    }
    if let Some(last) = &after {
        let message = format!("accounts after {last} were not checked one by one");
        findings.push(Finding::warning(
            "accounts",
            message,
            "name one: tokenctl doctor ACCOUNT",
        ));
    }
    match client.admin().status(account) {
        Ok(accounts) => findings.extend(states(&accounts)),
        Err(error) => findings.extend(refused(&error, absence)),
    }
    Ok(findings)
}

/// Converts a finding of the daemon.
fn local_finding(it: tokend_client::Finding) -> Finding {
    Finding {
        topic: it.topic.name(),
        account: it.account.map(|name| name.to_string()),
        severity: match it.severity {
            known @ (Severity::Ok | Severity::Problem) => known,
            // A severity of a newer release is unknown here; a person should look.
            _ => Severity::Warning,
        },
        message: it.message,
        advice: it.advice,
        exit: match it.topic {
            tokend_client::Topic::Provider | tokend_client::Topic::Store => Exit::TryLater,
            _ => Exit::Config,
        },
    }
}

/// Why the daemon did not check. `None` if the question was wrong, not the daemon.
fn refused(error: &ClientError, absence: Option<&Absence>) -> Option<Finding> {
    match (error, absence) {
        // systemd holds the socket of a daemon that is not running.
        (
            ClientError::Lost { .. } | ClientError::Silent { .. } | ClientError::TimedOut { .. },
            Some(Absence { why, exit, advice }),
        ) => Some(Finding::problem(
            "daemon",
            *exit,
            format!("the socket exists, but no daemon answers: {why}"),
            advice,
        )),
        _ => refused_by_itself(error),
    }
}

/// The same, if systemd has no explanation.
fn refused_by_itself(error: &ClientError) -> Option<Finding> {
    let same = "install tokenctl and tokend from the same release, and restart tokend";
    Some(match error {
        ClientError::Silent { .. } => Finding::problem(
            "daemon",
            Exit::TryLater,
            error.to_string(),
            "if its unit runs it hangs or is stopped (SIGSTOP): see journalctl -u tokend, and restart it",
        ),
        ClientError::Fault(fault) => match fault.code {
            FaultCode::UnknownAccount | FaultCode::NotAllowed => return None,
            FaultCode::BadRequest | FaultCode::UnsupportedVersion => Finding::problem(
                "daemon",
                Exit::Software,
                "it cannot diagnose itself: it is of another release",
                same,
            ),
            _ => {
                let advice = fault.advice.clone();
                let advice = advice.unwrap_or_else(|| "try again in a moment".to_owned());
                Finding::problem("daemon", Exit::TryLater, fault.message.clone(), advice)
            }
        },
        ClientError::Lost { .. } => Finding::problem(
            "daemon",
            Exit::TryLater,
            "it closed the connection when it was asked to diagnose itself",
            format!(
                "if it is of an older release: {same}; else check its log (journalctl -u tokend)"
            ),
        ),
        error => {
            let advice = error
                .advice()
                .unwrap_or("check its log (journalctl -u tokend)");
            Finding::problem("daemon", Exit::TryLater, error.to_string(), advice)
        }
    })
}

/// The states of the accounts: each account with a problem, and how many have none.
fn states(accounts: &[AccountStatus]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut well = 0_usize;
    for it in accounts {
        let severity = match it.state {
            AccountState::Idle | AccountState::Valid | AccountState::Obtaining => {
                well += 1;
                continue;
            }
            AccountState::Paced | AccountState::BackingOff | AccountState::Other(_) => {
                Severity::Warning
            }
            _ => Severity::Problem,
        };
        let exit = match it.state {
            AccountState::LoginRequired | AccountState::InDoubt => Exit::LoginRequired,
            AccountState::Misconfigured => Exit::Config,
            _ => Exit::TryLater,
        };
        let (message, advice) = match &it.problem {
            Some(problem) => (
                format!("{}: {}", it.state, problem.message),
                problem.advice.clone(),
            ),
            None => (it.state.to_string(), None),
        };
        let advice = advice.or_else(|| Some(format!("see: tokenctl status {}", it.account)));
        findings.push(Finding {
            topic: "account".into(),
            account: Some(it.account.to_string()),
            severity,
            message,
            advice,
            exit,
        });
    }
    let message = match well {
        1 => "1 account is well".to_owned(),
        well => format!("{well} accounts are well"),
    };
    if well > 0 {
        findings.push(Finding::ok("accounts", message));
    }
    findings
}
