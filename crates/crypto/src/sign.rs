//! Ed25519 signatures (RFC 8032).

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use strongroom_model::Rng;

use crate::wiping::{WipingBox, scrub_after_cipher};
use crate::{Error, Key, Result};

/// Length of a signature.
pub const SIGNATURE: usize = 64;

/// A key that signs; its secret is a seed of 32 bytes.
pub struct SigningKey {
    pair: WipingBox<Ed25519KeyPair>,
    seed: Key,
}

impl SigningKey {
    /// A random key.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] if the generator fails.
    pub fn generate(rng: &dyn Rng) -> Result<Self> {
        Self::from_seed(Key::generate(rng)?)
    }

    /// The key with this seed.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the library refuses the seed, which it does for none of 32 bytes.
    pub fn from_seed(seed: Key) -> Result<Self> {
        let pair = WipingBox::build(|| pair(seed.expose()), || pair(&[0; 32]))
            .ok_or(Error::Misuse("the library refused the seed of a signing key"))?;
        Ok(Self { pair, seed })
    }

    /// The seed, to be sealed and kept.
    pub const fn seed(&self) -> &Key {
        &self.seed
    }

    /// Signs a message. The same key and message give the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        let mut bytes = [0; SIGNATURE];
        let signature = scrub_after_cipher(|| self.pair.value().sign(message));
        bytes.iter_mut().zip(signature.as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let public = self.pair.value().public_key();
        bytes.iter_mut().zip(public.as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }
}

/// Verifies a signature.
///
/// # Errors
/// [`Error::Damaged`] if it is not this key's signature of this message.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<()> {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).map_err(|_| Error::Damaged)
}

fn pair(seed: &[u8; 32]) -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(seed).ok()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// RFC 8032, 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let seed = Key::from_slice(&HEXLOWER.decode(seed.as_bytes()).unwrap()).unwrap();
        let key = SigningKey::from_seed(seed).unwrap();
        assert_eq!(
            HEXLOWER.encode(&key.public()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        assert_eq!(
            HEXLOWER.encode(&key.sign(&[0x72])),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }

    #[test]
    fn any_changed_bit_of_a_signed_message_or_signature_fails() {
        let key = SigningKey::from_seed(Key::build(|seed| seed.fill(9))).unwrap();
        let (public, message) = (key.public(), *b"erased");
        let signature = key.sign(&message);
        assert_eq!(verify(&public, &message, &signature), Ok(()));
        for bit in 0..message.len() * 8 {
            let mut other = message;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&public, &other, &signature), Err(Error::Damaged));
        }
        for bit in 0..SIGNATURE * 8 {
            let mut other = signature;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&public, &message, &other), Err(Error::Damaged));
        }
        assert_eq!(verify(&[0; 32], &message, &signature), Err(Error::Damaged));
        assert_eq!(verify(&public, &message, &signature[..63]), Err(Error::Damaged));
    }
}
