//! A user who asks in vain without end, with a new connection for each request.

use tokend_process::clock::testing::FakeClock;

use super::*;
use crate::outlets::in_vain::{asked, is_put_off};

const OWN: &str = r#"{"request":"access_token","account":"ads"}"#;
const VAIN: [&str; 6] = [
    r#"{"request":"access_token","account":"nope"}"#,
    r#"{"request":"access_token","account":"../x"}"#,
    r#"{"request":"access_token","issuer":"https://nobody.example"}"#,
    r#"{"request":"access_token"}"#,
    r#"{"request":"loaded_accounts"}"#,
    "GET / HTTP/1.1",
];

#[tokio::test(start_paused = true)]
async fn whoever_asks_the_agent_in_vain_waits_on_new_connections_too_and_nobody_else_does() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let site = site(20);
    let (requests, _driver) = requests(&site, &clock, 64);
    let serve = |(pipe, caller, requests)| serve(pipe, caller, requests, BOUNDS);
    is_put_off(serve, &requests, &clock, &VAIN.map(str::to_owned), OWN).await;
    let long = format!(
        r#"{{"request":"access_token","account":"{}"}}"#,
        "\u{e4}".repeat(5_000)
    );
    let (said, _) = asked(serve, &requests, 22, &long).await;
    assert!(said.len() < 1_000, "{} bytes", said.len());
}
