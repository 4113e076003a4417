//! The one loop that accepts connections.
//!
//! Owns that accepting goes on after the system refused it, and that it ends when it is told to. Who may connect, how many, and what becomes
//! of a connection is for whoever uses the loop. Must never wait for a connection that it handed on.

use std::io;
use std::time::Duration;

/// How long accepting rests after the system refused it, for want of descriptors or memory. Without a rest the loop would take a whole
/// processor until there are some.
const REST: Duration = Duration::from_millis(100);

/// Accepts one connection after the other and hands each to `welcome`, until `end` is done.
///
/// `refused` says in the log that one could not be accepted. The caller says it, because the log bounds such lines by the module they are
/// from. Those who are connected are served on meanwhile.
pub async fn accept_until<Stream, Accept>(
    end: impl Future<Output = ()>,
    mut accept: impl FnMut() -> Accept,
    mut welcome: impl FnMut(Stream),
    refused: impl Fn(&io::Error),
) where
    Accept: Future<Output = io::Result<Stream>>,
{
    let for_ever = async {
        loop {
            match accept().await {
                Ok(stream) => welcome(stream),
                Err(error) => {
                    refused(&error);
                    tokio::time::sleep(REST).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = end => {}
        () = for_ever => {}
    }
}

#[cfg(test)]
mod tests;
