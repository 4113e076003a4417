//! One bar that the tests hold too, at a size that takes no time.

use std::fs;

use tokend_bars::accounts::{after_reloads, configuration};
use tokend_client::{BlockingClient, SocketPath};
use tokend_harness::Site;

/// The bar at a hundred thousand accounts is lower; here the allocator's differences from run to run need room.
#[test]
fn one_reload_after_another_takes_no_more_memory() {
    let site = Site::new().unwrap();
    fs::write(site.configuration(), configuration(10_000)).unwrap();
    let daemon = site.start().unwrap();
    let mut client = BlockingClient::connect(&SocketPath::from(site.socket())).unwrap();
    let reloaded = after_reloads(&daemon, &mut client, 5).unwrap();
    assert!(reloaded.ratio() < 1.12, "{reloaded}");
}
