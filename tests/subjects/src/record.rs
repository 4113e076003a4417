//! Stored records: sealed bytes of the database, and the plaintext in them.
//!
//! Owns two properties: a record opens only with the key, name and version it was sealed with; a plaintext that decodes has one encoding,
//! which decodes to the same.

use std::sync::LazyLock;

use tokend_store::{AccountId, KEY_BYTES, SealingKey, Version, testing::fuzzing};
use zeroize::Zeroizing;

static KEY: LazyLock<SealingKey> = LazyLock::new(|| {
    let bytes = Zeroizing::new([7; KEY_BYTES]);
    SealingKey::from_bytes(&bytes).expect("a key of the right length")
});
static ACCOUNT: LazyLock<AccountId> = LazyLock::new(|| AccountId::new("ads").expect("a good name"));
static OTHER: LazyLock<AccountId> = LazyLock::new(|| AccountId::new("adt").expect("a good name"));

/// The bytes in the database where a record should be, and the plaintext of a record that opens.
pub fn record(bytes: &[u8]) {
    if fuzzing::open(&KEY, &ACCOUNT, bytes).is_ok() {
        // Only a record sealed for this name opens, and it opens for no other.
        assert!(fuzzing::open(&KEY, &OTHER, bytes).is_err());
    }
    let decoded = fuzzing::decode(bytes);
    if let Some(text) = decoded.as_ref().ok().map(fuzzing::encode) {
        let text = text.expect("a text this short fits");
        let again = fuzzing::decode(&text).unwrap_or_else(|why| panic!("its own text: {why}"));
        assert_eq!(fuzzing::encode(&again).as_deref(), Some(&*text));
    }
    // Sealing and opening are slow beside the rest, so only sometimes, depending on the content and not on the clock.
    if bytes.len() % 16 == 3 {
        sealed(bytes, decoded.is_ok());
    }
}

fn sealed(plain: &[u8], decodes: bool) {
    let version = Version::from(plain.len() as u64);
    let mut sealed = fuzzing::seal(&KEY, &ACCOUNT, version, plain).expect("the cipher works");
    match fuzzing::open(&KEY, &ACCOUNT, &sealed) {
        Ok((opened, _)) => assert!(decodes && opened == version),
        Err(_) => assert!(!decodes, "a record that decodes does not open"),
    }
    let place = plain
        .iter()
        .fold(0usize, |sum, byte| sum + usize::from(*byte))
        % sealed.len();
    if let Some(byte) = sealed.get_mut(place) {
        *byte ^= 1;
    }
    assert!(
        fuzzing::open(&KEY, &ACCOUNT, &sealed).is_err(),
        "byte {place} may be altered"
    );
}
