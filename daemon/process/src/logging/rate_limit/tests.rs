//! How many lines somebody can cause.

use super::*;
use tokend_policy::Peer;

#[test]
fn a_peer_is_counted_by_its_user() {
    let peer = Peer::new(1_000, 1_000, 1);
    assert_eq!(uid(&peer.to_string()), Some(1_000), "{peer}");
    assert_eq!(uid("somebody"), None);
}
