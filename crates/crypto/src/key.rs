//! Secret keys: 32 bytes in a box that wipes itself.

use strongroom_model::Rng;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, optimization_barrier};

use crate::{Error, Result};

/// 256 secret bits.
///
/// A key is built inside its box, so that no copy of it is left on the stack, and wiped when it is
/// dropped. It has no `Debug`, `Display`, `Clone`, `PartialEq` or `Serialize`.
pub struct Key(Box<[u8; Key::BYTES]>);

impl Key {
    /// Length of a key.
    pub const BYTES: usize = 32;

    /// A random key.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] if the generator fails.
    pub fn generate(rng: &dyn Rng) -> Result<Self> {
        Self::try_build(|bytes| rng.fill(bytes).map_err(Error::from))
    }

    /// The key with these bytes, or nothing if there are not exactly 32. The caller wipes its own copy.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == Self::BYTES).then(|| Self::build(|key| key.copy_from_slice(bytes)))
    }

    /// The key that `write` writes into a box of zeros.
    pub fn build(write: impl FnOnce(&mut [u8; Self::BYTES])) -> Self {
        let mut key = Self(Box::new([0; Self::BYTES]));
        write(&mut key.0);
        key
    }

    /// The key that `write` writes into a box of zeros, unless it fails.
    ///
    /// # Errors
    /// That of `write`; what it had written is wiped.
    pub fn try_build<E>(
        write: impl FnOnce(&mut [u8; Self::BYTES]) -> std::result::Result<(), E>,
    ) -> std::result::Result<Self, E> {
        let mut key = Self(Box::new([0; Self::BYTES]));
        write(&mut key.0)?;
        Ok(key)
    }

    /// The secret bytes.
    pub fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// A second box with the same key, wiped on its own.
    pub fn duplicate(&self) -> Self {
        Self::build(|bytes| bytes.copy_from_slice(self.expose()))
    }

    /// Whether two keys are the same, in time that does not depend on their bytes.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }

    /// Puts the result of `derive`, which has already taken in the present bytes, in their place.
    pub(crate) fn replace(&mut self, write: impl FnOnce(&mut [u8; Self::BYTES])) {
        write(&mut self.0);
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.fill(0);
        optimization_barrier(&*self.0);
    }
}

impl ZeroizeOnDrop for Key {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_bytes_are_a_key() {
        for length in [0, 1, 31, 33, 64] {
            assert!(Key::from_slice(&vec![7; length]).is_none(), "{length}");
        }
        assert_eq!(Key::from_slice(&[7; 32]).unwrap().expose(), &[7; 32]);
    }

    #[test]
    fn keys_are_the_same_only_if_every_bit_is() {
        let key = Key::build(|bytes| bytes.fill(0x5a));
        assert!(key.is_same_as(&key.duplicate()));
        for bit in 0..256 {
            let other = Key::build(|bytes| {
                bytes.copy_from_slice(key.expose());
                bytes[bit / 8] ^= 1 << (bit % 8);
            });
            assert!(!key.is_same_as(&other), "bit {bit}");
        }
    }

    #[test]
    fn a_failed_build_gives_no_key() {
        assert!(Key::try_build(|_| Err::<(), _>("no")).is_err());
    }
}
