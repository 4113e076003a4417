//! Sends a request with an account's token, by a layer of tower over hyper's client:
//! `cargo run --example tower --features tower ACCOUNT URL`. For `https://` it takes a connector with TLS.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::{client::legacy, rt::TokioExecutor};
use tokend_client::{Client, GetOptions, TokenLayer};
use tower::{Service, ServiceBuilder, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut words = std::env::args().skip(1);
    let (Some(account), Some(url)) = (words.next(), words.next()) else {
        return Err("name an account and a URL".into());
    };
    let account = Client::lazy().account(GetOptions::new(account.parse()?));
    let http = legacy::Client::builder(TokioExecutor::new()).build_http();
    let mut api = ServiceBuilder::new()
        .layer(TokenLayer::new(account))
        .service(http);
    let request = Request::get(url).body(Full::<Bytes>::default())?;
    let response = api.ready().await?.call(request).await?;
    println!("{}", response.status());
    Ok(())
}
