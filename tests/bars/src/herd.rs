//! A thousand clients that ask at once for a token that the daemon does not hold.

use std::time::Duration;

use tokend_client::{AccountName, Client, GetOptions, SocketPath};
use tokio::{sync::Barrier, task::JoinSet};

use std::sync::Arc;

use super::{Figure, Stand};

const CLIENTS: usize = 1000;

/// Measures the slowest of them.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let stand = Stand::start("", "")?;
    let socket = SocketPath::from(stand.site.socket());
    let account: AccountName = "ads".parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let tokens = runtime.block_on(async {
        let start = Arc::new(Barrier::new(CLIENTS));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (socket, account, start) = (socket.clone(), account.clone(), Arc::clone(&start));
            clients.spawn(async move {
                let client = Client::connect(&socket).await?;
                start.wait().await;
                let options = GetOptions::new(account).timeout(Duration::from_secs(60));
                anyhow::Ok(client.get(&options).await?.access_token.expose().to_owned())
            });
        }
        let mut tokens = std::collections::BTreeSet::new();
        while let Some(token) = clients.join_next().await {
            tokens.insert(token??);
        }
        anyhow::Ok(tokens.len())
    })?;
    let requests = stand.simulator.log("ads").token_requests();
    stand.daemon.terminate()?;
    #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
    let most = |what, found: usize, unit| Figure {
        what,
        found: found as f64,
        most: 1.0,
        unit,
        from: format!("{CLIENTS} clients at once, no token held"),
    };
    Ok(vec![
        most("requests at the provider", requests, " requests"),
        most("different tokens handed out", tokens, " tokens"),
    ])
}
