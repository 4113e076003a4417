//! A user who asks for credentials in vain without end.

use tokend_process::clock::testing::FakeClock;
use tokio::time::Instant;

use super::*;
use crate::broker::budget::testing::{LONGEST, use_up};

fn now() -> Instant {
    sleep(Duration::ZERO).deadline()
}

/// Connections that get nothing: no rule, no account's name, another unit, no systemd.
fn vain(uid: u32) -> [(Peer, &'static str); 4] {
    let manager = format!("/user.slice/user-{uid}.slice/user@{uid}.service");
    let of_a_unit = |unit: &str| process(uid, &format!("{manager}/app.slice/{unit}"));
    [
        (of_a_unit("demo.service"), "demo.service/other"),
        (of_a_unit("demo.service"), "demo.service/a b"),
        (of_a_unit("evil.service"), "demo.service/own"),
        (
            process(uid, "/system.slice/demo.service"),
            "demo.service/ads",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_credentials_in_vain_waits_on_new_connections_too_and_nobody_else_does() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let stage = Stage::at(&clock);
    stage.hold("own", "secret-token");
    let budgets = &stage.requests.budgets;
    let load = async |peer: Peer, asked: &str| {
        let began = now();
        (stage.load(peer, asked).await, now() - began)
    };
    for (uid, kind) in (2000..).zip(0..) {
        let Some((peer, asked)) = vain(uid).into_iter().nth(kind) else {
            break;
        };
        assert_eq!(use_up(budgets, &clock, uid), None);
        assert_eq!(load(peer, asked).await, (Loaded::Refused, Duration::ZERO));
        let owed = budgets.owed(clock.boot_ms(), uid);
        assert!(owed.is_some(), "it cost nothing: {asked}");
    }
    let most = || budgets.spend(clock.boot_ms(), 1000, u64::MAX / 2);
    for (peer, asked) in vain(1000) {
        most();
        let (loaded, took) = load(peer, asked).await;
        assert_eq!(loaded, Loaded::Refused);
        assert!(took >= LONGEST, "{asked}: {took:?}");
    }
    most();
    let [(demo, _), ..] = vain(1000);
    let own = load(demo, "demo.service/own").await;
    assert_eq!(
        own,
        (content("secret-token"), Duration::ZERO),
        "what is held"
    );
    let refused = load(systemd(), "demo.service/other").await;
    assert_eq!(refused, (Loaded::Refused, Duration::ZERO), "another user");
}
