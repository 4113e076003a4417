//! What the tests of faults and of the ledger need: one account of document 000 and the requests it makes.

use serde_json::json;
use tokend_harness::probe::{self, Probe, Reply};
use tokend_provider_simulator::{
    Simulator,
    fault::{Fault, Rule},
    spec::{AccountSpec, Api},
};

pub(crate) fn simulator() -> Simulator {
    Simulator::start(vec![AccountSpec::new("it", Api::AdVerification)]).unwrap()
}

pub(crate) fn login(sim: &Simulator) -> Probe {
    let account = sim.accounts().remove(0);
    let (user, password) = (account.username.unwrap(), account.password.unwrap());
    let url = format!("{}/login", sim.base_url(Api::AdVerification));
    probe::post(url).form(&[("username", &user), ("password", &password)])
}

pub(crate) fn refresh(sim: &Simulator, token: &str) -> Reply {
    let url = format!("{}/refresh_token", sim.base_url(Api::AdVerification));
    probe::post(url)
        .json(&json!({"refresh_token": token}))
        .send()
        .unwrap()
}

pub(crate) fn resource(sim: &Simulator, token: &str) -> u16 {
    let url = format!("{}/v1/project/list", sim.base_url(Api::AdVerification));
    probe::get(url).bearer(token).send().unwrap().status
}

pub(crate) fn once(sim: &Simulator, fault: Fault) {
    sim.fail(Rule::once("it", fault));
}
