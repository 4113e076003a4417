//! The encryption of the protocol: what NaCl calls `crypto_box`, which is X25519, HSalsa20 and XSalsa20-Poly1305.
//!
//! Owns the keys of one conversation. They are made for it and end with it.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, generic_array::GenericArray};
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305};
use salsa20::cipher::consts::U10;
use zeroize::Zeroizing;

/// How many bytes a box has more than its content.
pub(super) const MARGIN: usize = 16;
const NONCE: usize = 24;

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

/// The peer's public key is none that a key can be agreed on with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SuspiciousKey;

/// The key that both sides have agreed on.
pub(super) struct SharedKey(XSalsa20Poly1305);

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// A private key for one conversation.
pub(super) fn new_key() -> Result<PrivateKey, NoRandomness> {
    PrivateKey::generate(&X25519).map_err(|_| NoRandomness)
}

/// The public key of this one, as it is sent.
pub(super) fn public(own: &PrivateKey) -> Result<Vec<u8>, NoRandomness> {
    let public = own.compute_public_key().map_err(|_| NoRandomness)?;
    Ok(STANDARD.encode(public).into_bytes())
}

impl SharedKey {
    /// Agrees with the owner of a public key.
    pub(super) fn agree(own: &PrivateKey, theirs: &[u8]) -> Result<Self, SuspiciousKey> {
        let theirs = STANDARD.decode(theirs).map_err(|_| SuspiciousKey)?;
        let theirs = UnparsedPublicKey::new(&X25519, theirs);
        // Refuses points of low order, with which every private key makes the same secret.
        agree(own, theirs, SuspiciousKey, |secret| {
            let secret: Zeroizing<[u8; 32]> =
                Zeroizing::new(secret.try_into().map_err(|_| SuspiciousKey)?);
            let key = salsa20::hsalsa::<U10>(&(*secret).into(), &GenericArray::default());
            let key: Zeroizing<[u8; 32]> = Zeroizing::new(key.into());
            Ok(Self(XSalsa20Poly1305::new(&(*key).into())))
        })
    }

    /// What is in a box; `None` if it was not made with this key.
    pub(super) fn open(&self, nonce: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let nonce: [u8; NONCE] = STANDARD.decode(nonce).ok()?.try_into().ok()?;
        let sealed = STANDARD.decode(sealed).ok()?;
        let opened = self.0.decrypt(&nonce.into(), &*sealed).ok()?;
        Some(Zeroizing::new(opened))
    }

    /// The message with this content.
    pub(super) fn seal(&self, content: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| NoRandomness)?;
        self.seal_with(nonce, content)
    }

    pub(super) fn seal_with(
        &self,
        nonce: [u8; NONCE],
        content: &[u8],
    ) -> Result<Vec<u8>, NoRandomness> {
        // It fails only with contents of gigabytes.
        let sealed = self.0.encrypt(&nonce.into(), content);
        let sealed = STANDARD.encode(sealed.map_err(|_| NoRandomness)?);
        let (length, nonce) = (content.len(), STANDARD.encode(nonce));
        Ok(format!("{length}:{nonce}:{sealed}").into_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A private key that everybody knows.
    pub(in super::super) fn known_key() -> PrivateKey {
        let bytes: Vec<u8> = (1..=32).collect();
        PrivateKey::from_private_key(&X25519, &bytes).unwrap()
    }

    #[test]
    fn keys_of_low_order_are_refused() {
        let one = [[1].as_slice(), &[0; 31]].concat();
        for key in [vec![0; 32], one, vec![1; 31], vec![1; 33], vec![]] {
            let agreed = SharedKey::agree(&known_key(), STANDARD.encode(&key).as_bytes());
            assert_eq!(agreed.err(), Some(SuspiciousKey), "{key:?}");
        }
        let not_base64 = SharedKey::agree(&known_key(), b"=AAA");
        assert_eq!(not_base64.err(), Some(SuspiciousKey));
    }

    #[test]
    fn what_one_side_seals_the_other_opens_and_nobody_else() {
        let (own, other) = (new_key().unwrap(), new_key().unwrap());
        let one = SharedKey::agree(&own, &public(&other).unwrap()).unwrap();
        let same = SharedKey::agree(&other, &public(&own).unwrap()).unwrap();
        let sealed = one.seal(b"hello").unwrap();
        let parts = super::super::reading::encrypted(&sealed).unwrap().unwrap();
        let opened = same.open(parts.nonce, parts.secret_box).unwrap();
        assert_eq!(*opened, b"hello");
        let third = SharedKey::agree(&own, &public(&own).unwrap()).unwrap();
        assert!(third.open(parts.nonce, parts.secret_box).is_none());
        assert_ne!(sealed, one.seal(b"hello").unwrap());
    }
}
