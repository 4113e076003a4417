//! How many lines somebody can cause.

use super::*;
use crate::testing::peer;

#[test]
fn a_peer_is_counted_by_its_user() {
    let peer = peer(1_000);
    assert_eq!(uid(&peer.to_string()), Some(1_000), "{peer}");
    assert_eq!(uid("somebody"), None);
}
