//! The one-message secrets that every sealed body begins with.

use subtle::ConstantTimeEq;
use zeroize::optimization_barrier;

use crate::gcm::NONCE;
use crate::{Error, Key, Result, hkdf, labels};

/// Length of the random salt of a message.
pub(crate) const SALT: usize = 24;
/// Length of the commitment to key and context.
pub(crate) const COMMITMENT: usize = 32;
/// Length of salt and commitment, which stand before every body.
pub(crate) const HEAD: usize = SALT + COMMITMENT;

/// `okm76 = HKDF-Expand(key, label | salt24 | context, 76) = message key 32 | nonce 12 | commitment 32`.
pub(crate) struct Derived(Box<[u8; 76]>);

impl Derived {
    /// For streams: SHA-512, with the label of C2SP chunked-encryption.
    pub(crate) fn stream(key: &Key, salt: &[u8; SALT], context: &[u8]) -> Self {
        let mut derived = Self(Box::new([0; 76]));
        let info = [labels::STREAM, salt, context];
        hkdf::expand_sha512(key.expose(), &info, derived.0.as_mut());
        derived
    }

    /// For record bodies: SHA-256.
    pub(crate) fn record(key: &Key, salt: &[u8; SALT], context: &[u8]) -> Self {
        let mut derived = Self(Box::new([0; 76]));
        let info = [labels::RECORD, salt, context];
        hkdf::expand_sha256(key.expose(), &info, derived.0.as_mut());
        derived
    }

    pub(crate) fn message_key(&self) -> &[u8; 32] {
        let (key, _) = self.0.split_first_chunk().unwrap_or((&[0; 32], &[]));
        key
    }

    pub(crate) fn commitment(&self) -> [u8; COMMITMENT] {
        let mut commitment = [0; COMMITMENT];
        let okm: &[u8; 76] = &self.0;
        commitment.copy_from_slice(&okm[32 + NONCE..]);
        commitment
    }

    /// The nonce with a counter or field number XORed into its last 8 bytes.
    pub(crate) fn nonce(&self, counter: u64) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        let okm: &[u8; 76] = &self.0;
        nonce.copy_from_slice(&okm[32..32 + NONCE]);
        for (byte, counter) in nonce[4..].iter_mut().zip(counter.to_be_bytes()) {
            *byte ^= counter;
        }
        nonce
    }

    /// Compares the commitment in constant time, before anything is decrypted.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not that of this key and context.
    pub(crate) fn check(&self, commitment: &[u8; COMMITMENT]) -> Result<()> {
        if self.commitment().ct_eq(commitment).into() { Ok(()) } else { Err(Error::Damaged) }
    }
}

impl Drop for Derived {
    fn drop(&mut self) {
        self.0.fill(0);
        optimization_barrier(&*self.0);
    }
}
