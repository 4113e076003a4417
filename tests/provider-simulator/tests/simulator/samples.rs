//! Helpers for the tests of the documents.

use tokend_harness::probe::{self, Probe, Reply};
use tokend_provider_simulator::{
    Simulator,
    spec::{AccountSpec, Api},
};

pub(crate) fn simulator(api: Api) -> (Simulator, AccountSpec) {
    let account = AccountSpec::new("it", api);
    (Simulator::start(vec![account.clone()]).unwrap(), account)
}

pub(crate) fn post(simulator: &Simulator, api: Api, path: &str) -> Probe {
    probe::post(format!("{}{path}", simulator.base_url(api)))
}

pub(crate) fn resource(simulator: &Simulator, api: Api, token: &str) -> Reply {
    let url = format!("{}{}", simulator.base_url(api), api.resource());
    probe::get(url).bearer(token).send().unwrap()
}

/// Puts the document's sample values where the tokens are, to compare the rest byte by byte.
pub(crate) fn with_samples(reply: &Reply, samples: &[(&str, &str)]) -> String {
    let mut body = reply.body.clone();
    for (pointer, sample) in samples {
        let value: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let token = value
            .pointer(pointer)
            .and_then(|token| token.as_str())
            .unwrap()
            .to_owned();
        body = body.replacen(&token, sample, 1);
    }
    body
}
