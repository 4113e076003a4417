//! Asks a gRPC server for its health, with an account's token, by a layer of tonic:
//! `cargo run --example tonic --features tonic ACCOUNT URL`. For `https://` give tonic one of its features for TLS.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tokend_client::{Client, GetOptions, GrpcTokenLayer};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut words = std::env::args().skip(1);
    let (Some(account), Some(url)) = (words.next(), words.next()) else {
        return Err("name an account and a URL".into());
    };
    let account = Client::lazy().account(GetOptions::new(account.parse()?));
    let endpoint = Endpoint::from_shared(url)?;
    let layer = GrpcTokenLayer::new(account, endpoint.uri().clone());
    let api = ServiceBuilder::new()
        .layer(layer)
        .service(endpoint.connect().await?);
    // A client that tonic generates is made the same way: `GreeterClient::new(api)`.
    let mut client = Grpc::new(api);
    client.ready().await?;
    let check = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let answer = client.unary(Request::new(Bytes::new()), check, Raw).await?;
    println!("an answer of {} bytes", answer.into_inner().len());
    Ok(())
}

/// Messages as they are, since this example has no generated code.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
