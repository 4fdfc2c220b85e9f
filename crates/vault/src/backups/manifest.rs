//! The manifest, written last: whose backup it is, what it has, and the proof that it is ours.

use strongroom_crypto::layout::{Reader, Writer};
use strongroom_crypto::{Key, mac};
use strongroom_model::{InstallId, Timestamp};

use crate::backups::part::Digest;

/// What it begins with.
const MAGIC: &[u8; 8] = b"SRbkhead";
/// The version of the layout.
const VERSION: u32 = 1;
/// Domain of the key that proves it.
const KEY_LABEL: &[u8] = b"sr1/backup-manifest\0";
/// The name of its file.
pub(super) const FILE: &str = "manifest";

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The installation.
    pub(super) install: InstallId,
    /// The backup: the id of the job that made it.
    pub(super) backup: [u8; 16],
    /// The number of the root secret in force when it was finished.
    pub(super) number: u64,
    /// When it was begun.
    pub(super) began: Timestamp,
    /// When it was finished.
    pub(super) ended: Timestamp,
    /// How many parts it has.
    pub(super) parts: u32,
    /// How many rows.
    pub(super) rows: u64,
    /// How many bytes its parts have.
    pub(super) bytes: u64,
    /// The digest of the last part, which names the one before it, and so on.
    pub(super) last: Digest,
}

/// Why bytes are no manifest of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoManifest {
    /// They have not its layout.
    Foreign,
    /// They have the layout of another version.
    Version(u32),
    /// It is another installation's.
    Elsewhere(InstallId),
    /// It was changed.
    Changed,
}

impl Manifest {
    /// Its bytes, with the proof under a key of the installation.
    pub(super) fn write(&self, service: &Key) -> Vec<u8> {
        let mut clear = self.clear();
        let proof = proof(service, &clear);
        clear.extend_from_slice(&proof);
        clear
    }

    /// Reads one.
    pub(super) fn read(
        bytes: &[u8],
        install: InstallId,
        service: &Key,
    ) -> Result<Self, NoManifest> {
        let (clear, shown) = bytes.split_last_chunk::<32>().ok_or(NoManifest::Foreign)?;
        let mut reader = Reader::new(clear);
        if reader.array::<8>() != Some(*MAGIC) {
            return Err(NoManifest::Foreign);
        }
        match reader.u32() {
            Some(VERSION) => {}
            Some(other) => return Err(NoManifest::Version(other)),
            None => return Err(NoManifest::Foreign),
        }
        let manifest = Self::parse(reader).ok_or(NoManifest::Foreign)?;
        if manifest.install != install {
            return Err(NoManifest::Elsewhere(manifest.install));
        }
        if !mac::verify(shown, &proof(service, clear)) {
            return Err(NoManifest::Changed);
        }
        Ok(manifest)
    }

    fn clear(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.bytes(MAGIC).u32(VERSION).bytes(self.install.as_bytes()).bytes(&self.backup);
        to.u64(self.number).i64(self.began.as_micros()).i64(self.ended.as_micros());
        to.u32(self.parts).u64(self.rows).u64(self.bytes).bytes(&self.last);
        to.finish()
    }

    fn parse(mut from: Reader<'_>) -> Option<Self> {
        let manifest = Self {
            install: InstallId::from_bytes(from.array()?),
            backup: from.array()?,
            number: from.u64()?,
            began: Timestamp::from_micros(from.i64()?),
            ended: Timestamp::from_micros(from.i64()?),
            parts: from.u32()?,
            rows: from.u64()?,
            bytes: from.u64()?,
            last: from.array()?,
        };
        from.end().map(|()| manifest)
    }
}

fn proof(service: &Key, clear: &[u8]) -> Digest {
    mac::hmac_sha256(&mac::derive_key(service, &[KEY_LABEL]), &[clear])
}

/// A manifest without its proof, proved, read where it belongs and written again: for the fuzz target.
pub(crate) fn reread(clear: &[u8], service: &Key) -> Option<Vec<u8>> {
    let mut reader = Reader::new(clear);
    let (_magic, _version) = (reader.array::<8>()?, reader.u32()?);
    let install = InstallId::from_bytes(reader.array()?);
    let whole = [clear, &proof(service, clear)].concat();
    Manifest::read(&whole, install, service).ok().map(|manifest| manifest.clear())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            install: InstallId::from_bytes([1; 16]),
            backup: [2; 16],
            number: 3,
            began: Timestamp::from_micros(4),
            ended: Timestamp::from_micros(5),
            parts: 6,
            rows: 7,
            bytes: 8,
            last: [9; 32],
        }
    }

    fn key(byte: u8) -> Key {
        Key::from_slice(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_manifest_reads_back_and_no_changed_byte_of_it_does() {
        let (install, bytes) = (InstallId::from_bytes([1; 16]), sample().write(&key(1)));
        assert_eq!(Manifest::read(&bytes, install, &key(1)), Ok(sample()));
        assert_eq!(Manifest::read(&bytes, install, &key(2)), Err(NoManifest::Changed));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Manifest::read(&changed, install, &key(1)).is_err(), "byte {at}");
            assert!(Manifest::read(&bytes[..at], install, &key(1)).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn a_manifest_of_another_installation_says_so() {
        let elsewhere = InstallId::from_bytes([7; 16]);
        let found = Manifest::read(&sample().write(&key(1)), elsewhere, &key(1));
        assert_eq!(found, Err(NoManifest::Elsewhere(InstallId::from_bytes([1; 16]))));
    }
}
