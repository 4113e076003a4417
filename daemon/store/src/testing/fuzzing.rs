//! Hands arbitrary bytes to what reads a record, so that hostile bytes meet the code that the daemon runs.
//!
//! It adds no way to obtain a plaintext that [`crate::Store`] does not give.

use zeroize::Zeroizing;

use crate::account::{AccountId, Version};
use crate::codec;
use crate::error::QuarantineReason;
use crate::record::Record;
use crate::seal::{BACK, Bound, FRONT, Scratch, SealingKey};

/// Opens what stands in the database under an account's name, and decodes it.
///
/// # Errors
/// Why such a record would be set aside.
pub fn open(
    key: &SealingKey,
    account: &AccountId,
    sealed: &[u8],
) -> Result<(Version, Record), QuarantineReason> {
    let mut scratch = Scratch::default();
    let (version, plain) = key.open_record(account, sealed, &mut scratch)?;
    Ok((version, codec::decode(plain)?))
}

/// Seals a plaintext of any content as the record of an account. `None` when the cipher refuses.
#[must_use]
pub fn seal(
    key: &SealingKey,
    account: &AccountId,
    version: Version,
    plain: &[u8],
) -> Option<Vec<u8>> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(FRONT + plain.len() + BACK));
    buffer.resize(FRONT, 0);
    buffer.extend_from_slice(plain);
    key.seal(Bound::Record { account, version }, buffer)
}

/// Decodes the plaintext of a record.
///
/// # Errors
/// Why such a record would be set aside.
pub fn decode(plain: &[u8]) -> Result<Record, QuarantineReason> {
    codec::decode(plain)
}

/// The plaintext of a record; `None` when it is too large.
#[must_use]
pub fn encode(record: &Record) -> Option<Zeroizing<Vec<u8>>> {
    codec::encode(record, 0, 0).ok()
}
