//! What comes later, laid over what came before: JSON, and entries by name.

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

/// Later entries replace earlier ones of the same name.
pub(crate) fn effective<'a, K: PartialEq, V>(
    entries: impl Iterator<Item = &'a (K, V)>,
) -> Vec<&'a (K, V)> {
    let mut found: Vec<&(K, V)> = Vec::new();
    for entry in entries {
        found.retain(|earlier| earlier.0 != entry.0);
        found.push(entry);
    }
    found
}
