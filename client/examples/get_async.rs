//! Gets tokens for many accounts at once over one connection: `cargo run --example get_async ACCOUNT...`.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tokend_client::{AccountName, Client, GetOptions, SocketPath};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let accounts: Vec<AccountName> = std::env::args()
        .skip(1)
        .map(|name| name.parse())
        .collect::<Result<_, _>>()?;
    let client = Client::connect(&SocketPath::find(None)?).await?;
    let calls = accounts.into_iter().map(|account| {
        let client = client.clone();
        tokio::spawn(async move { (client.get(&GetOptions::new(account.clone())).await, account) })
    });
    for call in calls.collect::<Vec<_>>() {
        match call.await? {
            (Ok(token), account) => {
                println!("{account}: token of {} bytes", token.access_token.len())
            }
            (Err(error), account) => println!("{account}: {error}"),
        }
    }
    Ok(())
}
