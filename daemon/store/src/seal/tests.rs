//! What is sealed opens under its own name, version and key, whole, and in no other way.

use proptest::prelude::*;

use super::*;

/// The golden record, sealed by the first version with a key of 32 bytes 7 as account `ads` version 5, in hex. It must open
/// for ever.
const GOLDEN: &str = include_str!("../../tests/golden/record-v1.sealed");
const GOLDEN_TEXT: &str = include_str!("../../tests/golden/record-v1.json");

fn key(byte: u8) -> SealingKey {
    SealingKey::from_bytes(&Zeroizing::new([byte; KEY_BYTES])).unwrap()
}

fn id(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn sealed(key: &SealingKey, account: &AccountId, version: u64, plain: &[u8]) -> Vec<u8> {
    let mut buffer = Zeroizing::new(vec![0; FRONT]);
    buffer.extend_from_slice(plain);
    let version = version.into();
    key.seal(Bound::Record { account, version }, buffer)
        .unwrap()
}

fn opened(key: &SealingKey, account: &AccountId, sealed: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut scratch = Scratch::default();
    let (version, plain) = key.open_record(account, sealed, &mut scratch).ok()?;
    Some((version.into(), plain.to_vec()))
}

#[test]
fn the_golden_sealed_record_opens() {
    let bytes: Vec<u8> = GOLDEN
        .trim_end()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    assert_eq!(
        opened(&key(7), &id("ads"), &bytes),
        Some((5, GOLDEN_TEXT.trim_end().as_bytes().to_vec()))
    );
}

#[test]
fn additional_data_tells_all_names_and_versions_apart() {
    let data = |name: &str, version: u64| {
        let account = &id(name);
        let version = version.into();
        Bound::Record { account, version }.additional_data()
    };
    assert_eq!(
        data("ads", 5),
        [
            b"\0\0\0\x0ftokend record 1".as_slice(),
            b"\0\0\0\x03ads",
            b"\0\0\0\x08\0\0\0\0\0\0\0\x05"
        ]
        .concat()
    );
    assert_ne!(data("a", 0x6261), data("ab", 0x62));
}

#[test]
fn no_two_seals_are_alike() {
    let first = sealed(&key(7), &id("ads"), 1, b"same");
    let second = sealed(&key(7), &id("ads"), 1, b"same");
    assert_ne!(first, second, "each has a nonce of its own");
    assert!(!first.windows(4).any(|window| window == b"same"));
}

#[test]
fn a_key_check_passes_for_its_key_and_store_only() {
    let (store, other) = (StoreId::random().unwrap(), StoreId::random().unwrap());
    let check = key(7).make_check(&store).unwrap();
    assert!(key(7).passes_check(&store, &check));
    assert!(!key(8).passes_check(&store, &check));
    assert!(!key(7).passes_check(&other, &check));
    assert!(!key(7).passes_check(&store, b""));
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", key(7)), "SealingKey([REDACTED])");
}

#[test]
fn scratch_is_wiped_before_it_is_given_up() {
    let mut scratch = Scratch::default();
    scratch.filled_with(b"a secret");
    let before = scratch.0.as_ptr();
    scratch.filled_with(b"shorter");
    assert_eq!(scratch.0.as_ptr(), before, "used again");
    let longer = [1; 4096];
    assert_eq!(scratch.filled_with(&longer), longer, "replaced, not grown");
}

proptest! {
    #[test]
    fn a_record_opens_as_it_was_sealed(name in "[a-zä]{1,20}", version: u64, plain: Vec<u8>) {
        let bytes = sealed(&key(7), &id(&name), version, &plain);
        prop_assert_eq!(bytes.len(), FRONT + plain.len() + BACK);
        prop_assert_eq!(opened(&key(7), &id(&name), &bytes), Some((version, plain)));
    }

    #[test]
    fn any_flipped_bit_is_refused(plain: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
        let mut bytes = sealed(&key(7), &id("ads"), 5, &plain);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(opened(&key(7), &id("ads"), &bytes), None);
    }

    #[test]
    fn any_cut_is_refused(plain: Vec<u8>, at: prop::sample::Index) {
        let bytes = sealed(&key(7), &id("ads"), 5, &plain);
        prop_assert_eq!(opened(&key(7), &id("ads"), &bytes[..at.index(bytes.len())]), None);
    }

    #[test]
    fn another_account_version_or_key_is_refused(
        a in "[a-z]{1,5}", b in "[a-z]{1,5}", v: u64, w: u64, plain: Vec<u8>,
    ) {
        let bytes = sealed(&key(7), &id(&a), v, &plain);
        prop_assert_eq!(opened(&key(8), &id(&a), &bytes), None);
        prop_assert_eq!(opened(&key(7), &id(&b), &bytes).is_some(), a == b);
        let mut moved = bytes;
        moved[..8].copy_from_slice(&w.to_be_bytes());
        prop_assert_eq!(opened(&key(7), &id(&a), &moved).is_some(), v == w);
    }
}

/// The fingerprints in old audit records stay comparable for as long as this does not change. The value was computed with Python's
/// hmac: HKDF-SHA256 of 32 bytes 7, salt `tokend`, info `tokend audit fingerprint 1`.
#[test]
fn the_marking_key_is_derived_and_always_the_same() {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let marking = key(7).marking_key();
    assert_eq!(
        hex(marking.as_slice()),
        "0b2925a1ef480a98c789a1a6d0881b8bd9639955e74eaf5bbdd973291e6e80b0"
    );
    assert_eq!(*marking, *key(7).marking_key());
    assert_ne!(*marking, *key(8).marking_key());
    // It is not the key itself: what one seals the other does not open.
    let sealed = sealed(&key(7), &id("ads"), 1, b"plain");
    let other = SealingKey::from_bytes(&marking).unwrap();
    assert_eq!(opened(&other, &id("ads"), &sealed), None);
}
