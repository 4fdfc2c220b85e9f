//! Sealed audit lines: what is said is sealed, who wrote the line and in which order is clear.
//!
//! `tenant 16 | node u32 | n u64 | time u64 | AES-256-GCM(audit key, nonce = node | n, line, AAD =
//! those 36 bytes | tag of the previous line of this node and tenant)`. Layout:
//! `docs/formats/audit-line.md`.

use strongroom_model::{Plaintext, TenantId};

use crate::gcm::{Gcm, NONCE, TAG, WipedGcm};
use crate::layout::Reader;
use crate::wiping::scrub_after_cipher;
use crate::{Error, Key, Result};

/// Length of the clear prefix of a line.
pub const PREFIX: usize = 36;
/// Longest line in the clear, 1 MiB.
pub const CLEAR_MAX: usize = 1 << 20;
/// What stands for the previous tag before a node's first line of a tenant.
pub const NO_PREVIOUS: [u8; TAG] = [0; TAG];

/// The clear part of a sealed line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The tenant whose line it is.
    pub tenant: TenantId,
    /// Which run of which server wrote it; new at every start, so that key and nonce never repeat.
    pub node: u32,
    /// Its place among this node's lines of this tenant, from 0, without gaps.
    pub n: u64,
    /// When it was written, in microseconds since 1970.
    pub time_us: u64,
}

impl Prefix {
    /// Reads the clear part of a sealed line; `None` if it is too short to be one.
    pub fn parse(sealed: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(sealed);
        let prefix = Self {
            tenant: TenantId::from_bytes(reader.array()?),
            node: reader.u32()?,
            n: reader.u64()?,
            time_us: reader.u64()?,
        };
        (reader.rest().len() >= TAG).then_some(prefix)
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; PREFIX] {
        let mut bytes = [0; PREFIX];
        bytes[..16].copy_from_slice(self.tenant.as_bytes());
        bytes[16..20].copy_from_slice(&self.node.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.n.to_be_bytes());
        bytes[28..].copy_from_slice(&self.time_us.to_be_bytes());
        bytes
    }

    fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[..4].copy_from_slice(&self.node.to_be_bytes());
        nonce[4..].copy_from_slice(&self.n.to_be_bytes());
        nonce
    }

    fn associated(&self, previous_tag: &[u8; TAG]) -> [u8; PREFIX + TAG] {
        let mut bytes = [0; PREFIX + TAG];
        bytes[..PREFIX].copy_from_slice(&self.encode());
        bytes[PREFIX..].copy_from_slice(previous_tag);
        bytes
    }
}

/// Seals a line. The caller never uses the same node and `n` twice under one audit key.
///
/// # Errors
/// [`Error::TooLong`] above [`CLEAR_MAX`].
pub fn seal(
    audit_key: &Key,
    prefix: &Prefix,
    previous_tag: &[u8; TAG],
    line: &[u8],
) -> Result<Vec<u8>> {
    LineKey::new(audit_key).seal(prefix, previous_tag, line)
}

/// Opens a line that follows the line with `previous_tag`.
///
/// # Errors
/// [`Error::Damaged`] if it follows another line, was sealed under another key, or any byte changed.
pub fn open(
    audit_key: &Key,
    previous_tag: &[u8; TAG],
    sealed: &[u8],
) -> Result<(Prefix, Plaintext<Vec<u8>>)> {
    LineKey::new(audit_key).open(previous_tag, sealed)
}

/// The tag of a sealed line: its last 16 bytes, to which the next line is bound.
///
/// # Errors
/// [`Error::Damaged`] if it is too short to be a line.
pub fn tag(sealed: &[u8]) -> Result<[u8; TAG]> {
    let long_enough = sealed.len() >= PREFIX + TAG;
    sealed.last_chunk().filter(|_| long_enough).copied().ok_or(Error::Damaged)
}

/// A tenant's audit key made ready, for many lines.
pub struct LineKey(WipedGcm);

impl LineKey {
    /// From the tenant's audit key.
    pub fn new(audit_key: &Key) -> Self {
        Self(scrub_after_cipher(|| WipedGcm::new(audit_key.expose())))
    }

    /// Seals a line, as [`seal`].
    ///
    /// # Errors
    /// [`Error::TooLong`] above [`CLEAR_MAX`].
    pub fn seal(&self, prefix: &Prefix, previous_tag: &[u8; TAG], line: &[u8]) -> Result<Vec<u8>> {
        if line.len() > CLEAR_MAX {
            return Err(Error::TooLong);
        }
        let mut sealed = Vec::with_capacity(PREFIX + line.len() + TAG);
        sealed.extend_from_slice(&prefix.encode());
        sealed.extend_from_slice(line);
        let buffer = sealed.get_mut(PREFIX..).unwrap_or_default();
        let associated = prefix.associated(previous_tag);
        let tag = scrub_after_cipher(|| self.0.seal(&prefix.nonce(), &associated, buffer))?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens a line, as [`open`].
    ///
    /// # Errors
    /// [`Error::Damaged`] as for [`open`].
    pub fn open(
        &self,
        previous_tag: &[u8; TAG],
        sealed: &[u8],
    ) -> Result<(Prefix, Plaintext<Vec<u8>>)> {
        let prefix = Prefix::parse(sealed).ok_or(Error::Damaged)?;
        let (ciphertext, tag) = sealed
            .get(PREFIX..)
            .and_then(<[u8]>::split_last_chunk::<TAG>)
            .filter(|(line, _)| line.len() <= CLEAR_MAX)
            .ok_or(Error::Damaged)?;
        let mut line = Plaintext::new(ciphertext.to_vec());
        let associated = prefix.associated(previous_tag);
        scrub_after_cipher(|| self.0.open(&prefix.nonce(), &associated, line.expose_mut(), tag))?;
        Ok((prefix, line))
    }
}
