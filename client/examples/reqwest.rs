//! Sends a request with an account's token, by reqwest: `cargo run --example reqwest --features reqwest-middleware ACCOUNT URL`.
//! For `https://` give reqwest one of its features for TLS.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tokend_client::{Client, GetOptions, TokenMiddleware};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(account), Some(url)) = (words.next(), words.next()) else {
        return Err("name an account and a URL".into());
    };
    let account = Client::lazy().account(GetOptions::new(account.parse()?));
    let api = TokenMiddleware::new(account)
        .client(reqwest::Client::builder())?
        .build();
    let response = api.get(url).send().await?;
    println!("{}", response.status());
    Ok(())
}
