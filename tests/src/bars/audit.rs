//! `get` over a kept connection with something switched on, against the same without.

use tokend_client::{AccountName, BlockingClient, GetOptions, SocketPath};

use super::{Figure, Stand, Times};
use crate::clock::Stopwatch;

const ROUNDS: usize = 40;
const IN_A_ROUND: usize = 500;

/// Measures what audit costs.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let off = Stand::start("", "[audit]\njournal = false\n")?;
    let on = Stand::start("", "[audit]\njournal = false\nfile = \"audit.jsonl\"\n")?;
    let figure = against("get with audit to a file on, p50", &off, &on)?;
    off.daemon.terminate()?;
    on.daemon.terminate()?;
    Ok(vec![figure])
}

/// The middle of `get` at one daemon against that at another, by turns.
pub(crate) fn against(what: &'static str, without: &Stand, with: &Stand) -> anyhow::Result<Figure> {
    let account: AccountName = "ads".parse()?;
    let options = GetOptions::new(account);
    let mut clients = Vec::new();
    for stand in [without, with] {
        let mut client = BlockingClient::connect(&SocketPath::from(stand.site.socket()))?;
        client.get(&options)?;
        clients.push((client, Times::default()));
    }
    for _ in 0..ROUNDS {
        for (client, times) in &mut clients {
            for _ in 0..IN_A_ROUND {
                let watch = Stopwatch::start();
                client.get(&options)?;
                times.add(watch.elapsed());
            }
        }
    }
    let mut middles = clients.iter().map(|(_, times)| times.quantile(0.5));
    let (without, with) = (
        middles.next().unwrap_or(f64::NAN),
        middles.next().unwrap_or(f64::NAN),
    );
    Ok(Figure {
        what,
        found: with / without,
        most: 1.3,
        unit: " x without",
        from: format!(
            "{} each, {with:.1} us against {without:.1} us",
            ROUNDS * IN_A_ROUND
        ),
    })
}
