//! JSON laid over JSON.

use serde_json::Value;

/// Lays one value over another as `extends` lays one dialect over another: objects are merged, everything else is replaced.
pub(crate) fn overlay(base: &mut Value, own: Value) {
    match (base, own) {
        (Value::Object(base), Value::Object(own)) => {
            for (name, value) in own {
                match base.get_mut(&name) {
                    Some(earlier) => overlay(earlier, value),
                    None => drop(base.insert(name, value)),
                }
            }
        }
        (base, own) => *base = own,
    }
}
