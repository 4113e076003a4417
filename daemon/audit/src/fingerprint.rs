//! Fingerprints of tokens: equal tokens have equal fingerprints, and without the key a guess cannot be verified.
//!
//! HMAC-SHA-256 (RFC 2104), cut to 64 bits, under a key that is derived from the sealing key. Must never work without a key: a plain digest
//! of a short or guessable token could be searched for.

use std::fmt;

use aws_lc_rs::hmac;

use tokend_process::stack;

/// The fingerprint of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenFingerprint([u8; 8]);

/// Makes fingerprints.
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    /// Makes fingerprints with this key.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The fingerprint of a token.
    pub fn fingerprint(&self, token: &str) -> TokenFingerprint {
        // The state of the hash is on the stack, together with the last block of the token.
        let tag = stack::wiped(|| hmac::sign(&self.0, token.as_bytes()));
        TokenFingerprint(tag.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for TokenFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenFingerprint({self})")
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokend_process::testing::{is_left, secret};

    #[test]
    fn a_fingerprint_leaves_nothing_of_its_token_on_the_stack() {
        let fingerprint_key = FingerprintKey::new(b"a key");
        for length in [17, 40, 64, 100, 119, 300, 1200, 5000] {
            let token = secret(length);
            let make = || {
                std::hint::black_box(fingerprint_key.fingerprint(&token));
            };
            assert!(!is_left(&token, make), "{length}");
        }
    }
}
