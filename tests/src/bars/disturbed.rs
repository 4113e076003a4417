//! `get` on a healthy account while another account's provider hangs and clients stay silent.

use std::{os::unix::net::UnixStream, time::Duration};

use tokend_client::{AccountName, BlockingClient, GetOptions, SocketPath};

use super::{Figure, Stand, Times};
use crate::{
    clock::Stopwatch,
    simulator::fault::{Fault, FaultKind, Rule},
};

const ROUNDS: usize = 10;
const IN_A_ROUND: usize = 1000;

/// Measures it.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let lines = r#"pacing = { attempts = { burst = 1000, every = "10ms" }, logins = { burst = 1000, every = "10ms" } }"#;
    let stand = Stand::start(lines, "")?;
    let socket = SocketPath::from(stand.site.socket());
    let options = GetOptions::new("ads".parse()?);
    let mut client = BlockingClient::connect(&socket)?;
    client.get(&options)?;

    let (mut calm, mut disturbed) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        sample(&mut client, &options, &mut calm)?;
        let silent = UnixStream::connect(stand.site.socket())?;
        stand
            .simulator
            .fail(Rule::once("jwt", Fault::before(FaultKind::Hang)).forever());
        let waiting = hang(&socket)?;
        sample(&mut client, &options, &mut disturbed)?;
        stand.simulator.heal();
        drop(silent);
        anyhow::ensure!(
            waiting.join().is_ok(),
            "whoever waited for the hanging provider panicked"
        );
    }
    stand.daemon.kill()?;
    let (count, worst, usual) = (
        disturbed.len(),
        disturbed.quantile(0.99),
        calm.quantile(0.99),
    );
    Ok(vec![Figure {
        what: "get beside a provider that hangs and a client that is silent, p99",
        found: worst / usual,
        most: 2.0,
        unit: " x usual",
        from: format!("{count} each, {worst:.1} us against {usual:.1} us"),
    }])
}

/// Somebody who waits for the account whose provider hangs.
fn hang(socket: &SocketPath) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let socket = socket.clone();
    let account: AccountName = "jwt".parse()?;
    Ok(std::thread::spawn(move || {
        let options = GetOptions::new(account).timeout(Duration::from_secs(2));
        // It ends in a time-out, as it should.
        drop(BlockingClient::connect(&socket).map(|mut client| client.get(&options)));
    }))
}

fn sample(
    client: &mut BlockingClient,
    options: &GetOptions,
    times: &mut Times,
) -> anyhow::Result<()> {
    for _ in 0..IN_A_ROUND {
        let watch = Stopwatch::start();
        client.get(options)?;
        times.add(watch.elapsed());
    }
    Ok(())
}
