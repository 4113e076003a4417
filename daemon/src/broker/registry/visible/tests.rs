//! What peers see is what the rules say, however many accounts there are.

use std::fmt::Write as _;

use super::super::visible_cache::KEPT;
use super::*;
use crate::testing::{Site, name, peer, registry};

/// Every seventh account is user 20's, every other one with a policy of its own.
fn many(count: usize) -> Arc<Snapshot> {
    let mut text = String::new();
    for n in 0..count {
        let allow = match n % 7 {
            0 => format!("{{ user = 20 }}, {{ user = {} }}", 10_000 + n % 2 * n),
            3 => "{ user = 20, may = [\"get\"] }".to_owned(),
            _ => "{ user = 30 }".to_owned(),
        };
        write!(
            text,
            "[account.a{n:05}]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{allow}]\n"
        )
        .unwrap();
    }
    Arc::clone(&registry(&Site::new(&text).config()).snapshot())
}

#[tokio::test]
async fn what_is_seen_is_what_the_rules_give() {
    let snapshot = many(1000);
    for uid in [20, 30, 40, 7, 10_007] {
        let peer = peer(uid);
        let visible = snapshot.compute_visible(&peer).await;
        for permission in Permission::ALL {
            let granted = snapshot
                .all_served()
                .filter(|served| snapshot.grants(&peer, served, permission).is_ok());
            let counted = match Permissions::OF_AN_ACCOUNT.has(permission) {
                true => granted.count(),
                false => visible.count_of(permission),
            };
            assert_eq!(visible.count_of(permission), counted, "{uid} {permission}");
        }
        for after in [
            None,
            Some(name("a00499")),
            Some(name("a00500")),
            Some(name("zz")),
        ] {
            let known = |served: &&Arc<ServedAccount>| {
                let later = after
                    .as_ref()
                    .is_none_or(|after| served.account.name > *after);
                later && Snapshot::knows(&peer, served, snapshot.as_administrator(&peer))
            };
            let expected: Vec<_> = snapshot
                .all_served()
                .filter(known)
                .map(|served| served.key)
                .collect();
            let found = visible.accounts(&snapshot, WhichAccounts::Any, after.as_ref());
            assert_eq!(
                found.map(|served| served.key).collect::<Vec<_>>(),
                expected,
                "{uid}"
            );
        }
        let status = visible
            .accounts(&snapshot, WhichAccounts::Status, None)
            .count();
        assert_eq!(status, visible.count_of(Permission::Status));
    }
}

#[tokio::test]
async fn it_is_found_once_for_each_kind_of_peer_and_configuration() {
    let snapshot = many(300);
    let first = snapshot.compute_visible(&peer(20)).await;
    let another = Peer::new(20, 20, 99);
    assert!(Arc::ptr_eq(
        &first,
        &snapshot.compute_visible(&another).await
    ));
    assert!(Arc::ptr_eq(&first, &snapshot.visible(&another)));
    for uid in 100..100 + u32::try_from(KEPT).unwrap() {
        drop(snapshot.visible(&peer(uid)));
    }
    assert!(
        snapshot.known_visible(&peer(20)).is_none(),
        "others displaced it"
    );
    assert!(snapshot.keep_visible(&peer(20), &first));
    assert!(Arc::ptr_eq(
        &first,
        &snapshot.known_visible(&peer(20)).unwrap()
    ));
    assert!(!snapshot.keep_visible(&peer(21), &first), "another user");
    assert!(
        !many(300).keep_visible(&peer(20), &first),
        "another configuration"
    );
}

#[tokio::test]
async fn names_nearby_are_those_the_peer_may_see() {
    let snapshot = many(1000);
    let visible = snapshot.visible(&peer(20));
    let near = visible.near(&snapshot, &name("a00500x"));
    assert!(near.len() <= 2 * NEAR && near.contains(&"a00500") && near.contains(&"a00504"));
    assert!(near.iter().all(|name| {
        let place = name[1..].parse::<usize>().unwrap() % 7;
        place == 0 || place == 3
    }));
    assert!(
        snapshot
            .visible(&peer(40))
            .near(&snapshot, &name("a00500"))
            .is_empty()
    );
}
