//! Gets one access token and tells about it, without a runtime: `cargo run --example get ACCOUNT`.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::time::Duration;

use tokend_client::{BlockingClient, GetOptions, SocketPath};

fn main() -> Result<(), Box<dyn Error>> {
    let account = std::env::args().nth(1).ok_or("usage: get ACCOUNT")?;
    let mut client = BlockingClient::connect(&SocketPath::find(None)?)?;
    let options = GetOptions::new(account.parse()?).min_validity(Duration::from_secs(30));
    let token = client.get(&options)?;
    let length = token.access_token.len();
    match token.remaining {
        Some(left) => println!(
            "{account}: {} token of {length} bytes, good for {} s",
            token.token_type,
            left.as_secs()
        ),
        None => println!(
            "{account}: {} token of {length} bytes, without a stated end",
            token.token_type
        ),
    }
    Ok(())
}
