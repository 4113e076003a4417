//! Short names for equal contents, stable across restarts and releases.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// The first 128 bits of a SHA-256 over texts. Equal only for equal texts; reveals nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of `parts` in this order. Lengths count, so `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut parts_so_far = Parts::default();
        parts.into_iter().for_each(|part| parts_so_far.add(part));
        parts_so_far.finish()
    }
}

/// A fingerprint in the making, for parts that come one by one.
pub struct Parts(Context);

/// No part yet.
impl Default for Parts {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Parts {
    /// Adds a part. Only the digest of it is kept.
    pub fn add(&mut self, part: &str) {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part.as_bytes());
    }

    /// The fingerprint of all parts in the order they came.
    pub fn finish(self) -> Fingerprint {
        let mut short = [0; 16];
        short
            .iter_mut()
            .zip(self.0.finish().as_ref())
            .for_each(|(to, from)| *to = *from);
        Fingerprint(short)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_stable_and_depends_on_every_part() {
        // Stored by earlier releases: must never change.
        assert_eq!(
            Fingerprint::of(["a", "bc"]).to_string(),
            "3fafa1cf2f19a7c1129beb20cf0983f7"
        );
        let all = [
            Fingerprint::of([]),
            Fingerprint::of([""]),
            Fingerprint::of(["", ""]),
            Fingerprint::of(["ab", "c"]),
            Fingerprint::of(["a", "bc"]),
            Fingerprint::of(["bc", "a"]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one));
        }
    }
}
