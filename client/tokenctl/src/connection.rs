//! Reaching the daemon.
//!
//! Owns how much of a time limit is left once a connection is there.

use std::path::Path;
use std::time::{Duration, Instant};

use tokend_client::{BlockingClient, ClientError, Deadlines, Patience, SocketPath};

use crate::arguments::Patient;
use crate::clock;

pub(crate) fn connect(socket: Option<&Path>) -> Result<BlockingClient, ClientError> {
    BlockingClient::connect(&SocketPath::find(socket)?)
}

/// Connects, and returns how much of the time limit is left then.
pub(crate) fn connect_within(
    socket: Option<&Path>,
    patience: Patience,
) -> Result<(BlockingClient, Patience), ClientError> {
    let begun = clock::steady();
    let standard = Deadlines::default();
    let deadlines = standard
        .connect(standard.connect.min(patience.timeout))
        .answer(standard.answer.min(patience.timeout));
    let client = BlockingClient::connect_with(&SocketPath::find(socket)?, deadlines)?;
    Ok((client, left(patience, begun)))
}

/// What is left of it since then.
pub(crate) fn left(patience: Patience, begun: Instant) -> Patience {
    // Less than this does not matter, and without the cut the daemon gets a round number.
    const TICK: Duration = Duration::from_millis(100);
    let ticks = begun.elapsed().as_millis() / TICK.as_millis();
    let spent = TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
    patience.timeout(patience.timeout.saturating_sub(spent))
}

/// A wait without a timeout raises the timeout, so that the wait fits into it.
pub(crate) fn patience(patient: &Patient) -> Patience {
    let waiting = Patience::default().wait(patient.wait.unwrap_or_default());
    match patient.timeout {
        Some(timeout) => waiting.timeout(timeout),
        None => waiting,
    }
}
