//! The feature `tonic`: calls over a channel, to a server that takes the newest token only.

use std::{
    fs,
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full};
use tokend_client::GrpcTokenLayer;
use tokend_harness::probe;
use tokend_provider_simulator::spec::Api;
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::{
    Code, Status,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower::{layer::Layer as _, service_fn};

use super::{Case, account, runtime, words};
use crate::languages::Scene;

/// Whether a token is accepted.
type Accepts = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A server of gRPC. It ends when its runtime does.
#[derive(Clone)]
struct Calls {
    accepts: Accepts,
    /// Refuses in trailers, behind an empty message.
    late: bool,
    /// What each call presented.
    presented: Arc<Mutex<Vec<Option<String>>>>,
    count: Arc<AtomicUsize>,
}

impl Calls {
    fn of(accepts: impl Fn(&str) -> bool + Send + Sync + 'static, late: bool) -> Self {
        Self {
            accepts: Arc::new(accepts),
            late,
            presented: Arc::default(),
            count: Arc::default(),
        }
    }

    /// Takes the tokens that the simulated API takes.
    fn of_api(scene: &Scene, late: bool) -> Self {
        let url = scene.url();
        let accepts = move |token: &str| {
            let probe = probe::get(url.clone()).bearer(token);
            probe.send().unwrap().status == 200
        };
        Self::of(accepts, late)
    }

    fn start(&self, runtime: &Runtime) -> String {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = self.clone();
        let service = service_fn(move |request| {
            let calls = calls.clone();
            async move { Ok::<_, Status>(calls.answer(request).await) }
        });
        let incoming = TcpIncoming::from(listener);
        drop(runtime.spawn(Server::builder().serve_with_incoming(service, incoming)));
        url
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let token = request.headers().get(AUTHORIZATION);
        let token = token.map(|it| {
            it.to_str()
                .unwrap()
                .trim_start_matches("Bearer ")
                .to_owned()
        });
        self.presented.lock().unwrap().push(token.clone());
        let accepts = Arc::clone(&self.accepts);
        // The API is asked in the manner of threads.
        let asked = tokio::task::spawn_blocking(move || token.is_some_and(|it| accepts(&it)));
        let is_accepted = asked.await.unwrap();
        if !is_accepted && !self.late {
            // Before anything of the call is read, as interceptors do.
            return Status::unauthenticated("who are you?").into_http();
        }
        drop(request.into_body().collect().await);
        let code = if is_accepted { 0 } else { 16 };
        let mut trailers = HeaderMap::new();
        trailers.insert(Status::GRPC_STATUS, code.into());
        // One message without bytes.
        let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(ready(Some(Ok(trailers))));
        let response = Response::builder().header("content-type", "application/grpc");
        response.body(Body::new(body)).unwrap()
    }
}

/// Makes one call to the server at a URL: its status as HTTP has it, or the words of the client's error.
fn sender(scene: &Scene) -> impl Fn(&str) -> Result<u16, Status> {
    let runtime = runtime();
    let account = account(scene);
    move |url| {
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
        let layer = GrpcTokenLayer::new(account.clone(), endpoint.uri().clone());
        runtime.block_on(async {
            let mut client = Grpc::new(layer.layer(endpoint.connect().await.unwrap()));
            client.ready().await.unwrap();
            let check = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
            let request = tonic::Request::new(Bytes::from("a message"));
            client.unary(request, check, Raw).await.map(|_| 200)
        })
    }
}

/// Says in the configuration that the account's token is for a server.
fn belongs(scene: &Scene, url: &str) {
    let path = scene.stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    let it = "[account.\"it\"]";
    let api = format!("{it}\napi = {{ urls = [\"{url}\"] }}");
    fs::write(&path, text.replace(it, &api)).unwrap();
    let said = scene.stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_call_has_the_token() {
    let scene = Scene::new();
    let servers = runtime();
    let calls = Calls::of_api(&scene, false);
    let url = calls.start(&servers);
    belongs(&scene, &url);
    let send = sender(&scene);
    Case {
        scene: &scene,
        send: &|url| send(url).map_err(|status| words(&status)),
        url: &url,
        requests: &|| calls.count.load(Ordering::SeqCst),
    }
    .show();
    assert_eq!(send(&url).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn a_call_to_another_server_has_no_token_and_its_answer_reports_none() {
    let scene = Scene::new();
    let servers = runtime();
    let stranger = Calls::of(|_| true, false);
    let url = stranger.start(&servers);
    let before = scene.stage.requests();
    let status = sender(&scene)(&url).unwrap_err();
    assert_eq!(status.message(), "who are you?");
    assert_eq!(*stranger.presented.lock().unwrap(), [None]);
    assert_eq!(scene.stage.requests(), before);
}

#[test]
fn a_call_that_is_refused_at_its_end_is_reported_and_the_next_has_the_new_token() {
    let scene = Scene::new();
    let servers = runtime();
    let calls = Calls::of_api(&scene, true);
    let url = calls.start(&servers);
    belongs(&scene, &url);
    let send = sender(&scene);
    assert_eq!(send(&url).unwrap(), 200);
    scene.stage.sim.end_access("it");
    let before = scene.stage.requests();
    assert_eq!(send(&url).unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(send(&url).unwrap(), 200);
    assert_eq!(calls.count.load(Ordering::SeqCst), 3, "one for each");
    assert_eq!(scene.stage.requests(), before + 1);
    assert!(
        scene
            .stage
            .accepted(Api::JwtApi, &scene.stage.site.get("it").unwrap())
    );
}

/// Messages as they are.
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
