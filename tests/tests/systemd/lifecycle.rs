//! From the first start to the end of the service.

use super::stage::{STRANGER, Stage};

#[test]
fn installed_started_asked_by_one_user_and_denied_to_another() {
    let Some(stage) = Stage::started() else {
        return;
    };
    assert_eq!(stage.property("ActiveState"), "active");
    let token = stage.get();
    assert_eq!(stage.sim.newest_access("it"), Some(token));
    let denied = stage.get_as(STRANGER);
    assert_eq!(denied.code, Some(77), "{denied:?}");
    assert_eq!(denied.out, "");
    // Root is not excepted.
    let root = stage.run(&["tokenctl", "get", "it"]);
    assert_eq!(root.code, Some(77), "{root:?}");
    assert_eq!(stage.requests(), 1);
    stage.behaved();
}
