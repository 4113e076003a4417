//! A user who asks in vain without end, with a new connection for each request.

use tokend_process::clock::testing::FakeClock;

use super::*;
use crate::outlets::in_vain::is_put_off;

fn request(path: &str) -> String {
    format!("GET /v1/{path} HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\nconnection: close\r\n\r\n")
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_over_http_in_vain_waits_on_new_connections_too_and_nobody_else_does() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let site = Site::new(&config(20));
    let (requests, _driver) = requests(&site, &clock, 64);
    let vain = [
        "accounts/nope/token",
        "accounts/%20/token",
        "accounts/ads/token?min_validity=x",
        "nothing",
        "whoami",
    ];
    let own = request("accounts/ads/token");
    let vain = vain.map(request);
    let serve = |(pipe, caller, requests)| serve(pipe, caller, requests, BOUNDS);
    is_put_off(serve, &requests, &clock, &vain, &own).await;
}
