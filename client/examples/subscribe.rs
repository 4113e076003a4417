//! Has an account's newest token at hand, and uses it often: `cargo run --example subscribe ACCOUNT`.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tokend_client::{Client, GetOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let account = std::env::args().nth(1).ok_or("usage: subscribe ACCOUNT")?;
    let subscription = Client::lazy().subscribe(GetOptions::new(account.parse()?));
    subscription.ready().await?;
    println!("subscribed to {account}");
    let (times, mut length) = (100_000, 0);
    for _ in 0..times {
        // Neither a request nor a system call: the newest token lies in memory.
        length = subscription.token()?.access_token.len();
    }
    println!("used {times} times: a token of {length} bytes");
    Ok(())
}
