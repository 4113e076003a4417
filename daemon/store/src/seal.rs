//! Sealing: the only place that touches a key.
//!
//! AES-256-GCM-SIV (RFC 8452) with random nonces, from aws-lc-rs. Sealed bytes are bound to their account and version, so they open
//! nowhere else. Must never show the key, nor leave plaintext in memory that is not wiped.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use crate::account::{AccountId, Version};
use crate::error::{KeyError, QuarantineReason};
use crate::sizes::KEY_BYTES;
use crate::state_dir::StoreId;

/// Bytes before the ciphertext: version and nonce.
pub(crate) const FRONT: usize = VERSION_BYTES + NONCE_BYTES;

/// Bytes after it: the tag.
pub(crate) const BACK: usize = 16;

const VERSION_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;

/// The key that seals all records of one store. The cipher wipes its copy when this is dropped.
pub struct SealingKey {
    cipher: RandomizedNonceKey,
    marking: Zeroizing<[u8; KEY_BYTES]>,
}

impl SealingKey {
    /// Takes a key that does not come from a file.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`] when the cipher cannot be set up.
    pub fn from_bytes(bytes: &Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, KeyError> {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM_SIV, bytes.as_slice())
            .map_err(|_| KeyError::NoRandomness)?;
        let mut marking = Zeroizing::new([0; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"tokend")
            .extract(bytes.as_slice())
            .expand(&[b"tokend audit fingerprint 1"], hkdf::HKDF_SHA256)
            .and_then(|derived| derived.fill(marking.as_mut_slice()))
            .map_err(|_| KeyError::NoRandomness)?;
        Ok(Self { cipher, marking })
    }

    /// A key derived from this one (HKDF, RFC 5869), for fingerprints of tokens. It reveals nothing about this one, and changes only
    /// with it.
    pub fn marking_key(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.marking.clone()
    }

    /// Seals a plaintext in place, which has [`FRONT`] bytes before it. `None` when the cipher or its nonce fails.
    pub(crate) fn seal(&self, bound: Bound<'_>, mut buffer: Zeroizing<Vec<u8>>) -> Option<Vec<u8>> {
        let (front, plain) = buffer.split_at_mut_checked(FRONT)?;
        let (version, nonce_place) = front.split_at_mut_checked(VERSION_BYTES)?;
        let (nonce, tag) = self
            .cipher
            .seal_in_place_separate_tag(Aad::from(bound.additional_data()), plain)
            .ok()?;
        version.copy_from_slice(&bound.version().to_be_bytes());
        nonce_place.copy_from_slice(nonce.as_ref());
        buffer.extend_from_slice(tag.as_ref());
        // Only ciphertext is left in the buffer.
        Some(std::mem::take(&mut *buffer))
    }

    /// Opens a sealed record of `account` into `scratch`.
    pub(crate) fn open_record<'s>(
        &self,
        account: &AccountId,
        sealed: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<(Version, &'s [u8]), QuarantineReason> {
        let version = sealed
            .first_chunk()
            .map(|bytes| Version::from(u64::from_be_bytes(*bytes)))
            .ok_or(QuarantineReason::DoesNotOpen)?;
        self.open(Bound::Record { account, version }, sealed, scratch)
            .map(|plain| (version, plain))
            .ok_or(QuarantineReason::DoesNotOpen)
    }

    /// A sealed known text, stored to tell the store's key from another.
    pub(crate) fn make_check(&self, store: &StoreId) -> Option<Vec<u8>> {
        let mut buffer = Zeroizing::new(vec![0; FRONT]);
        buffer.extend_from_slice(CHECK_TEXT);
        self.seal(Bound::KeyCheck { store }, buffer)
    }

    /// Whether a check was made with this key for this store.
    pub(crate) fn passes_check(&self, store: &StoreId, check: &[u8]) -> bool {
        let mut scratch = Scratch::default();
        self.open(Bound::KeyCheck { store }, check, &mut scratch) == Some(CHECK_TEXT)
    }

    fn open<'s>(
        &self,
        bound: Bound<'_>,
        sealed: &[u8],
        scratch: &'s mut Scratch,
    ) -> Option<&'s [u8]> {
        let nonce = sealed.get(VERSION_BYTES..FRONT)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let in_out = scratch.filled_with(sealed.get(FRONT..)?);
        self.cipher
            .open_in_place(nonce, Aad::from(bound.additional_data()), in_out)
            .ok()
            .map(|plain| &*plain)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([REDACTED])")
    }
}

const CHECK_TEXT: &[u8] = b"this key opens this store";

/// What sealed bytes are bound to.
#[derive(Clone, Copy)]
pub(crate) enum Bound<'a> {
    Record {
        account: &'a AccountId,
        version: Version,
    },
    KeyCheck {
        store: &'a StoreId,
    },
}

impl Bound<'_> {
    fn version(self) -> u64 {
        match self {
            Self::Record { version, .. } => version.into(),
            Self::KeyCheck { .. } => 0,
        }
    }

    /// Schema tag, name and version, each behind its length, so that no two differ only in where one part ends.
    fn additional_data(self) -> Vec<u8> {
        let version = self.version().to_be_bytes();
        let parts: [&[u8]; 3] = match self {
            Self::Record { account, .. } => {
                [b"tokend record 1", account.as_str().as_bytes(), &version]
            }
            Self::KeyCheck { store } => [b"tokend key check 1", store.as_bytes(), b""],
        };
        let mut data = Vec::with_capacity(128);
        for part in parts {
            // No part is longer than a name.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// A buffer for plaintext that is used again and again, and wiped whenever it is replaced or dropped.
#[derive(Default)]
pub(crate) struct Scratch(Zeroizing<Vec<u8>>);

impl Scratch {
    fn filled_with(&mut self, bytes: &[u8]) -> &mut [u8] {
        if self.0.capacity() < bytes.len() {
            // Not grown in place: that would leave the last plaintext behind in freed memory.
            self.0 = Zeroizing::new(Vec::with_capacity(bytes.len().next_power_of_two()));
        }
        self.0.clear();
        self.0.extend_from_slice(bytes);
        &mut self.0
    }
}

#[cfg(test)]
mod tests;
