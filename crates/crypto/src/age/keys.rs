//! Whom a stream is sealed for, and who opens it: X25519 keys (RFC 7748) in the text that age gives them.

use strongroom_model::{Malformed, Plaintext, Rng};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::bech32;
use crate::wiping::scrub_after_cipher;
use crate::{Key, Result};

/// Most recipients of one stream.
pub const RECIPIENTS_MAX: usize = 20;

/// What the text of a recipient begins with.
const RECIPIENT: &str = "age";
/// The same of an identity, which is written in upper case.
const IDENTITY: &str = "age-secret-key-";

/// Somebody for whom a stream can be sealed: a public key, `age1…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(pub(super) [u8; 32]);

impl std::str::FromStr for Recipient {
    type Err = Malformed;

    fn from_str(text: &str) -> std::result::Result<Self, Malformed> {
        let mut key = [0; 32];
        bech32::decode(RECIPIENT, text.as_bytes(), &mut key)
            .ok_or(Malformed("not a recipient of age: `age1…` and 58 letters and digits"))?;
        Ok(Self(key))
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = bech32::encode(RECIPIENT, &self.0);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Somebody who can open what is sealed for their recipient: a secret key, `AGE-SECRET-KEY-1…`.
pub struct Identity(pub(super) Key);

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// [`crate::Error::NoRandomness`] if the generator fails.
    pub fn generate(rng: &dyn Rng) -> Result<Self> {
        Key::generate(rng).map(Self)
    }

    /// The identity of this text.
    ///
    /// # Errors
    /// [`Malformed`], without repeating anything of the text.
    pub fn parse(text: &str) -> std::result::Result<Self, Malformed> {
        let malformed = Malformed("not an identity of age: `AGE-SECRET-KEY-1…`");
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(malformed);
        }
        let lower = Plaintext::new(text.to_ascii_lowercase());
        let decode = |key: &mut [u8; 32]| bech32::decode(IDENTITY, lower.expose().as_bytes(), key);
        Key::try_build(|key| decode(key).ok_or(malformed)).map(Self)
    }

    /// Its text, for the file in which its holder keeps it.
    pub fn write(&self) -> Plaintext<String> {
        let lower = bech32::encode(IDENTITY, self.0.expose());
        let upper: String =
            lower.iter().map(|byte| char::from(byte.to_ascii_uppercase())).collect();
        Plaintext::new(upper)
    }

    /// For whom is to be sealed what it is to open.
    pub fn recipient(&self) -> Recipient {
        Recipient(public(&self.0))
    }
}

/// The public half of a secret key.
pub(super) fn public(secret: &Key) -> [u8; 32] {
    scrub_after_cipher(|| x25519(*secret.expose(), X25519_BASEPOINT_BYTES))
}

/// What two parties share of whom one has this secret, the other this public key; nothing where the
/// public key is one with which everybody would share the same (RFC 7748, 6.1).
pub(super) fn shared(secret: &Key, public: &[u8; 32]) -> Option<Key> {
    let shared = scrub_after_cipher(|| {
        Key::build(|bytes| bytes.copy_from_slice(&x25519(*secret.expose(), *public)))
    });
    let nothing = Key::build(|_| ());
    (!shared.is_same_as(&nothing)).then_some(shared)
}
