//! The feature `tower`: a layer over hyper's client.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokend_client::TokenLayer;
use tower::{Service as _, ServiceExt as _, layer::Layer as _};

use super::{Case, Stranger, account, requests, runtime, words};
use crate::languages::Scene;

fn sender(layer: TokenLayer<Full<Bytes>>) -> impl Fn(&str) -> Result<u16, String> {
    let runtime = runtime();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let service = layer.layer(client);
    move |url| {
        let request = Request::get(url).body(Full::from("a body")).unwrap();
        let mut service = service.clone();
        runtime.block_on(async {
            let ready = service.ready().await.unwrap();
            let response = ready.call(request).await;
            let response = response.map_err(|error| words(&*error))?;
            let status = response.status().as_u16();
            // Whatever was read of it is still there.
            assert!(!response.collect().await.unwrap().to_bytes().is_empty());
            Ok(status)
        })
    }
}

#[test]
fn a_tower_service_has_the_token() {
    let scene = Scene::new();
    let send = sender(TokenLayer::new(account(&scene)));
    Stranger::start().gets_no_token(&scene, &send);
    Case {
        scene: &scene,
        send: &send,
        url: &scene.url(),
        requests: &|| requests(&scene),
    }
    .show();
}

#[test]
fn a_body_that_cannot_be_sent_twice_is_not() {
    let scene = Scene::new();
    let send = sender(TokenLayer::once(account(&scene)));
    let url = scene.url();
    assert_eq!(send(&url), Ok(200));
    scene.stage.sim.end_access("it");
    let before = requests(&scene);
    assert_eq!((send(&url), send(&url)), (Ok(401), Ok(200)));
    assert_eq!(requests(&scene), before + 2, "one for each");
}
