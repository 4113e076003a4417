//! Fingerprints of tokens: the same token has the same one, and nobody without the key can tell whether a guess is right.
//!
//! HMAC-SHA-256 (RFC 2104), cut to 64 bits, under a key that is derived from the sealing key. Must never be made without a key: a plain
//! digest of a short or guessable token could be searched for.

use std::fmt;

use aws_lc_rs::hmac;

use tokend_process::stack;

/// The fingerprint of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 8]);

/// Whoever makes fingerprints.
pub struct Marker(hmac::Key);

impl Marker {
    /// Fingerprints by this key.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The fingerprint of a token.
    pub fn mark(&self, token: &str) -> Mark {
        // The state of the hash is on the stack, with the last block of the token in it.
        let tag = stack::wiped(|| hmac::sign(&self.0, token.as_bytes()));
        Mark(tag.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({self})")
    }
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marker([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokend_process::testing::{is_left, secret};

    #[test]
    fn a_fingerprint_leaves_nothing_of_its_token_on_the_stack() {
        let marker = Marker::new(b"a key");
        for length in [17, 40, 64, 100, 119, 300, 1200, 5000] {
            let token = secret(length);
            let make = || {
                std::hint::black_box(marker.mark(&token));
            };
            assert!(!is_left(&token, make), "{length}");
        }
    }
}
