//! AES-256-GCM (NIST SP 800-38D) twice: one that wipes its keys, and a fast one for bulk.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use crate::wiping::WipingBox;
use crate::{Error, Result};

/// Length of a nonce.
pub(crate) const NONCE: usize = 12;
/// Length of a tag.
pub(crate) const TAG: usize = 16;

/// AES-256-GCM under one key.
pub(crate) trait Gcm {
    /// Encrypts in place and returns the tag. Key and nonce must never have been used together.
    ///
    /// # Errors
    /// [`Error::TooLong`] above 2^36 - 32 bytes.
    fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG]>;

    /// Checks the tag and decrypts in place; on failure the buffer is wiped.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the tag is not that of these bytes.
    fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<()>;
}

/// The `aes-gcm` library, which wipes its round keys: for everything whose key matters after the
/// call. While it works it copies them over the stack: whoever calls it does so within
/// [`scrub_after_cipher`](crate::wiping::scrub_after_cipher).
pub(crate) struct WipedGcm(Box<Aes256Gcm>);

impl WipedGcm {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Box::new(Aes256Gcm::new(key.into())))
    }
}

impl Gcm for WipedGcm {
    fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG]> {
        let tag = self.0.encrypt_inout_detached(nonce.into(), aad, buffer.into());
        tag.map(Into::into).map_err(|_| Error::TooLong)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<()> {
        let whole = (&mut *buffer).into();
        let opened = self.0.decrypt_inout_detached(nonce.into(), aad, whole, tag.into());
        opened.map_err(|_| {
            buffer.zeroize();
            Error::Damaged
        })
    }
}

/// The `ring` library, several times faster, in a box that overwrites its round keys: for the
/// chunks of files, under keys that serve one message.
pub(crate) struct BulkGcm(WipingBox<LessSafeKey>);

impl BulkGcm {
    /// `None` only if the library refuses a 32-byte key, which it does not.
    pub(crate) fn new(key: &[u8; 32]) -> Option<Self> {
        WipingBox::build(|| ring_key(key), || ring_key(&[0; 32])).map(Self)
    }
}

fn ring_key(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

impl Gcm for BulkGcm {
    fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG]> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let key = self.0.value();
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), buffer)
            .map_err(|_| Error::TooLong)?;
        tag.as_ref().try_into().map_err(|_| Error::TooLong)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<()> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let (key, aad, tag) = (self.0.value(), Aad::from(aad), (*tag).into());
        let opened = key.open_in_place_separate_tag(nonce, aad, tag, buffer, 0..).is_ok();
        if opened {
            return Ok(());
        }
        buffer.zeroize();
        Err(Error::Damaged)
    }
}
