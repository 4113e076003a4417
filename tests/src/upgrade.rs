//! An upgrade from the program of an earlier commit, and the way back: `cargo upgrade [COMMIT]`.
//!
//! Owns the questions to both versions and the answers each must give. It learns only from exit codes, output, log lines and the requests
//! that the provider saw.

mod commands;
mod old;
mod report;

pub use old::build;
pub use report::Report;

use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt as _};

use tokend_harness::{
    Binaries, Site,
    clock::{PATIENCE, wait_until},
};

use crate::kept::{self, Asked, Mood, Provider, TYPED_PASSWORD};

/// The default commit to upgrade from: the last one whose clients speak only version 1 of the protocol and fail on an unknown number.
pub const BEFORE: &str = "1bc83618e04a9f0cac6e6f8e6e87999a6f708654";

/// An account whose only login for an hour has been used.
const PACED: &str = r#"
[account.paced]
provider = "oauth2"
base_url = "http://127.91.0.1:7591"
client_id = "kept-client"
username = "paced-user"
options = { client_auth = "none", token_path = "/typed" }

[account.paced.pacing]
logins = { burst = 1, every = "1h" }
"#;

/// Runs everything and prints what holds.
///
/// # Errors
/// When a program cannot be run at all.
pub fn run(old: &Binaries, new: &Binaries, report: &mut Report) -> anyhow::Result<()> {
    report.part("a state directory of the old daemon, killed in the middle of an attempt");
    let mut site = place(old)?;
    let mut asked = first_day(&site, report)?;
    let provider = Provider::start(Mood::Answers)?;

    report.part("the new daemon on the same state, key and configuration");
    site = site.with_programs(new.clone());
    let daemon = site.start()?;
    everything_is_there(&site, &provider, report);
    report.check("SIGTERM ends it with 0", || {
        let status = daemon.terminate()?;
        anyhow::ensure!(status.success(), "{status}");
        Ok(())
    });

    report.part("back again: the old daemon on the state that the new one wrote");
    site = site.with_programs(old.clone());
    match site.start() {
        Ok(daemon) => {
            report.note("the old daemon opens it");
            everything_is_there(&site, &provider, report);
            daemon.terminate()?;
        }
        Err(refusal) => report.note(&format!("the old daemon refuses it: {refusal:#}")),
    }
    site = site.with_programs(new.clone());
    let daemon = site.start()?;
    report.note("and the new daemon after that");
    everything_is_there(&site, &provider, report);
    daemon.terminate()?;
    asked.extend(provider.asked("/rotating"));
    drop(provider);
    report.check("no refresh token was presented twice", || no_replay(&asked));
    report.check("no record was set aside", || {
        let log = site.log()?;
        anyhow::ensure!(!log.contains("set aside"), "{log}");
        Ok(())
    });

    for (client, daemon, what) in [
        (old, old, "the old tokenctl and the old daemon, to compare"),
        (old, new, "the old tokenctl and the new daemon"),
        (new, old, "the new tokenctl and the old daemon"),
        (new, new, "the new tokenctl and the new daemon"),
    ] {
        report.part(what);
        let programs = Binaries {
            tokend: daemon.tokend.clone(),
            tokenctl: client.tokenctl.clone(),
        };
        let _provider = Provider::start(Mood::Answers)?;
        let site = place(&programs)?;
        let _daemon = site.start()?;
        commands::all(&site, report);
    }
    Ok(())
}

/// A place with the configuration of `tests/kept` and one more account.
fn place(programs: &Binaries) -> anyhow::Result<Site> {
    let site = kept::place()?.with_programs(programs.clone());
    fs::write(
        site.configuration(),
        format!("{}{PACED}", kept::CONFIGURATION),
    )?;
    kept::lay_secrets(&site)?;
    fs::set_permissions(site.path(), fs::Permissions::from_mode(0o700))?;
    Ok(site)
}

/// Makes a record of every kind and kills the daemon while a reply is on its way. Returns the requests at `/rotating`.
fn first_day(site: &Site, report: &mut Report) -> anyhow::Result<Vec<Asked>> {
    let provider = Provider::start(Mood::Silent)?;
    let daemon = site.start()?;
    kept::first_day(site, &provider)?;
    let said = site.tokenctl_with(&["login", "paced"], TYPED_PASSWORD)?;
    anyhow::ensure!(said.code == Some(0), "{said:?}");
    wait_until("the rate limit of logins to be reached", PATIENCE, || {
        site.tokenctl(&["get", "paced"])
            .is_ok_and(|said| said.code == Some(75))
    })?;
    daemon.kill()?;
    report.note(
        "a held token, a typed password, a rotated refresh token, a refused client, a used-up pace, an attempt in doubt",
    );
    Ok(provider.asked("/rotating"))
}

/// Every login works with the stored credentials, and nothing is asked that must not be.
fn everything_is_there(site: &Site, provider: &Provider, report: &mut Report) {
    let get = |account: &str| site.tokenctl(&["get", account]);
    report.check("the held token is served without a request", || {
        anyhow::ensure!(site.get("unending")? == "at-unending");
        anyhow::ensure!(provider.asked("/unending").is_empty(), "it was asked for");
        Ok(())
    });
    report.check("the typed password logs in", || {
        anyhow::ensure!(site.get("typed")? == "at-typed");
        Ok(())
    });
    report.check(
        "the refresh token that was stored last brings a token",
        || {
            // Checked by name: the token of the part before may still be good.
            let said = site.tokenctl(&["refresh", "rotating"])?;
            anyhow::ensure!(said.code == Some(0), "{said:?}");
            let token = site.get("rotating")?;
            anyhow::ensure!(token.starts_with("at-rotating-"), "{token}");
            Ok(())
        },
    );
    report.check("the refused client is not tried again (79)", || {
        let said = get("refused")?;
        anyhow::ensure!(said.code == Some(79), "{said:?}");
        anyhow::ensure!(provider.asked("/refused").is_empty(), "it was asked for");
        Ok(())
    });
    report.check("the reached rate limit of logins holds (75)", || {
        let said = get("paced")?;
        anyhow::ensure!(said.code == Some(75), "{said:?}");
        let asked = provider.asked("/typed");
        let user = |it: &Asked| it.form.get("username").is_some_and(|it| it == "paced-user");
        anyhow::ensure!(!asked.iter().any(user), "it was asked for");
        Ok(())
    });
    report.check("the account in doubt comes back", || {
        wait_until("its token", PATIENCE, || site.get("doubt").is_ok())
    });
}

fn no_replay(asked: &[Asked]) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for request in asked {
        let token = request.form.get("refresh_token");
        anyhow::ensure!(seen.insert(token), "{token:?} was");
    }
    anyhow::ensure!(seen.len() > 2, "only {} were asked with", seen.len());
    Ok(())
}
