//! Writes an archive: files of a tar archive, sealed for its recipients as they come.

use strongroom_crypto::age::{Recipient, Sealer};
use strongroom_crypto::{hash, scrub_once};
use tar::{EntryType, Header};

use crate::{Vault, VaultError};

/// What the bytes of a file in a tar archive are filled up to (POSIX.1-1988, `ustar`).
const BLOCK: usize = 512;
/// Who may read a file that is unpacked: its owner alone.
const MODE: u32 = 0o600;

/// An archive in the making. It keeps what has been sealed and not taken yet, and less than a chunk
/// that has not been sealed.
pub struct ArchiveWriter {
    sealer: Sealer,
    sealed: Vec<u8>,
    /// When its files were made, in seconds since 1970.
    seconds: u64,
}

impl ArchiveWriter {
    /// Begins an archive for these recipients.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for no recipients, too many, or a key that no identity has.
    pub fn begin(vault: &Vault, recipients: &[Recipient]) -> Result<Self, VaultError> {
        let mut sealed = Vec::new();
        let sealer = scrub_once(|| Sealer::begin(recipients, &*vault.rng, &mut sealed));
        let sealer = sealer.map_err(|error| match error {
            strongroom_crypto::Error::Misuse(what) => VaultError::invalid("/recipients", what),
            other => other.into(),
        })?;
        let seconds = u64::try_from(vault.now().as_micros() / 1_000_000).unwrap_or(0);
        Ok(Self { sealer, sealed, seconds })
    }

    /// Adds a file and gives its SHA-256.
    ///
    /// # Errors
    /// [`VaultError::Internal`] for a name that does not fit.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<[u8; 32], VaultError> {
        let mut head = Header::new_ustar();
        head.set_path(name)
            .map_err(|_| VaultError::Internal("a file does not fit into an archive".into()))?;
        head.set_size(bytes.len() as u64);
        head.set_mode(MODE);
        head.set_uid(0);
        head.set_gid(0);
        head.set_mtime(self.seconds);
        head.set_entry_type(EntryType::Regular);
        head.set_cksum();
        let zeros = [0; BLOCK];
        let filled = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        scrub_once(|| {
            let parts = [head.as_bytes(), bytes, zeros.get(..filled).unwrap_or_default()];
            parts.into_iter().try_for_each(|part| self.sealer.push(part, &mut self.sealed))
        })?;
        Ok(hash::sha256(&[bytes]))
    }

    /// What has been sealed since this was asked for last.
    pub fn sealed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sealed)
    }

    /// Ends the archive, and gives what has been sealed since [`ArchiveWriter::sealed`] was asked for last.
    ///
    /// # Errors
    /// [`VaultError::Internal`] for an archive of more than 2^80 bytes.
    pub fn finish(self) -> Result<Vec<u8>, VaultError> {
        let Self { mut sealer, mut sealed, .. } = self;
        sealer.push(&[0; 2 * BLOCK], &mut sealed)?;
        sealer.finish(&mut sealed)?;
        Ok(sealed)
    }
}

/// A digest over files in their order, however many there are: `digest' = SHA-256(digest |
/// SHA-256(file))`, from 32 zeros.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilesDigest([u8; 32]);

impl FilesDigest {
    /// Takes in the SHA-256 of the next file.
    pub fn add(&mut self, file: &[u8; 32]) {
        self.0 = hash::sha256(&[&self.0, file]);
    }

    /// The digest.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
