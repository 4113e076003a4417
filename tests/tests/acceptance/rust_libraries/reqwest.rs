//! The feature `reqwest-middleware`: reqwest's own client.

use bytes::Bytes;
use http_body_util::Full;
use reqwest_middleware::{
    ClientBuilder,
    reqwest::{Body, Client},
};
use tokend_client::TokenMiddleware;
use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::Endpoint,
};

use super::{Case, Stranger, account, requests, runtime, words};
use crate::languages::Scene;

fn sender(scene: &Scene, body: impl Fn() -> Body) -> impl Fn(&str) -> Result<u16, String> {
    let runtime = runtime();
    let middleware = TokenMiddleware::new(account(scene));
    let client = middleware.client(Client::builder()).unwrap().build();
    move |url| {
        let request = client.get(url).body(body());
        runtime.block_on(async {
            let response = request.send().await.map_err(|error| words(&error))?;
            assert_eq!(response.url().as_str(), url);
            let status = response.status().as_u16();
            // Whatever was read of it is still there.
            assert_eq!(
                response.content_length().unwrap(),
                response.bytes().await.unwrap().len() as u64
            );
            Ok(status)
        })
    }
}

#[test]
fn a_client_of_reqwest_has_the_token() {
    let scene = Scene::new();
    let send = sender(&scene, || Body::from("a body"));
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
fn a_stream_is_not_sent_twice() {
    let scene = Scene::new();
    let stream = || Body::wrap(Full::new(Bytes::from("a body")));
    let send = sender(&scene, stream);
    let url = scene.url();
    assert_eq!(send(&url), Ok(200));
    scene.stage.sim.end_access("it");
    let before = requests(&scene);
    assert_eq!((send(&url), send(&url)), (Ok(401), Ok(200)));
    assert_eq!(requests(&scene), before + 2, "one for each");
}

#[test]
fn a_redirect_gets_no_token_and_its_answer_reports_none() {
    let scene = Scene::new();
    let stranger = Stranger::start();
    let rule = FaultKind::redirect(&stranger.raw.http());
    let rule = Rule::once("it", Fault::before(rule)).at(Endpoint::Resource);
    scene.stage.sim.fail(rule.clone());
    let send = sender(&scene, || Body::from("a body"));
    assert_eq!(send(&scene.url()), Ok(307));
    assert_eq!(stranger.raw.requests(), 0);

    // A client that follows it all the same. reqwest leaves `Authorization` out there.
    scene.stage.sim.fail(rule);
    let middleware = TokenMiddleware::new(account(&scene));
    let client = ClientBuilder::new(Client::builder().build().unwrap());
    let client = client.with(middleware).build();
    let before = scene.stage.requests();
    let answer = runtime().block_on(client.get(scene.url()).send()).unwrap();
    assert_eq!(
        (answer.status().as_u16(), stranger.raw.requests()),
        (401, 1)
    );
    assert_eq!(scene.stage.requests(), before);
}
