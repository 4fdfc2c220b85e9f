//! Sealed entries of index pages.
//!
//! `nonce 12 | AES-256-GCM(page key, nonce, tag 16 | subject 16 | record 16 | version u64, AAD =
//! "sr1\0entry\0" | tenant 16 | index u32 | page 16 | row 8)`. Layout: `docs/formats/index-entry.md`.

use strongroom_model::{RecordId, Rng, SubjectId, TenantId, Wipe, Wiping};

use crate::gcm::{Gcm, NONCE, TAG, WipedGcm};
use crate::layout::Reader;
use crate::wiping::scrub_after_cipher;
use crate::{Error, Key, Result, labels};

/// Length of a sealed entry.
pub const SEALED: usize = NONCE + CLEAR + TAG;
/// Length of an entry in the clear.
const CLEAR: usize = 56;
/// Most entries that may be sealed under one page key, whose nonces are random.
pub const PAGE_ENTRIES_MAX: usize = 1 << 20;

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPlace {
    /// The tenant.
    pub tenant: TenantId,
    /// The index.
    pub index: u32,
    /// The page's id.
    pub page: [u8; 16],
    /// The entry's own part of its row key.
    pub row: [u8; 8],
}

/// What an entry says: a record with this value exists. It wipes itself.
#[derive(PartialEq, Eq)]
pub struct Entry {
    /// The keyed hash of the value.
    pub tag: [u8; 16],
    /// The subject, its 16 bytes.
    subject: [u8; 16],
    /// The record, its 16 bytes.
    record: [u8; 16],
    /// The record's version; the entry counts only while it is the record's.
    pub version: u64,
}

impl Entry {
    /// The entry of a record's value.
    pub const fn new(tag: [u8; 16], subject: SubjectId, record: RecordId, version: u64) -> Self {
        Self { tag, subject: *subject.as_bytes(), record: *record.as_bytes(), version }
    }

    /// The subject to whom the record belongs.
    pub const fn subject(&self) -> SubjectId {
        SubjectId::from_bytes(self.subject)
    }

    /// The record.
    pub const fn record(&self) -> RecordId {
        RecordId::from_bytes(self.record)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tag.wipe();
        self.subject.wipe();
        self.record.wipe();
        self.version.wipe();
    }
}

/// Seals an entry under its page's key, with a random nonce: a page key is random, serves one page,
/// and sees at most [`PAGE_ENTRIES_MAX`] entries.
///
/// # Errors
/// [`Error::NoRandomness`] if there is no nonce to be had.
pub fn seal(page_key: &Key, place: &EntryPlace, entry: &Entry, rng: &dyn Rng) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE];
    rng.fill(&mut nonce)?;
    let mut clear = Wiping::new([0; CLEAR]);
    let bytes: &mut [u8; CLEAR] = &mut clear;
    bytes[..16].copy_from_slice(&entry.tag);
    bytes[16..32].copy_from_slice(&entry.subject);
    bytes[32..48].copy_from_slice(&entry.record);
    bytes[48..].copy_from_slice(&entry.version.to_be_bytes());
    let associated = associated(place);
    let tag = scrub_after_cipher(|| {
        WipedGcm::new(page_key.expose()).seal(&nonce, &associated, clear.as_mut_slice())
    })?;
    let mut sealed = Vec::with_capacity(SEALED);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(clear.as_slice());
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens an entry that was found at `place`.
///
/// # Errors
/// [`Error::Damaged`] if it was sealed for another place or under another key, or any byte changed.
pub fn open(page_key: &Key, place: &EntryPlace, sealed: &[u8]) -> Result<Entry> {
    PageReader::new(page_key).open(place, sealed)
}

/// Opens the entries of one page, deriving from its key once.
pub struct PageReader(WipedGcm);

impl PageReader {
    /// For the page with this key.
    pub fn new(page_key: &Key) -> Self {
        Self(scrub_after_cipher(|| WipedGcm::new(page_key.expose())))
    }

    /// Opens an entry that was found at `place`.
    ///
    /// # Errors
    /// [`Error::Damaged`] as for [`open`].
    pub fn open(&self, place: &EntryPlace, sealed: &[u8]) -> Result<Entry> {
        scrub_after_cipher(|| open_page_entry(&self.0, place, sealed)).ok_or(Error::Damaged)
    }
}

fn open_page_entry(cipher: &WipedGcm, place: &EntryPlace, sealed: &[u8]) -> Option<Entry> {
    let mut reader = Reader::new(sealed);
    let nonce = reader.array()?;
    let mut clear = Wiping::new(reader.array::<CLEAR>()?);
    let tag = reader.array()?;
    reader.end()?;
    cipher.open(&nonce, &associated(place), &mut *clear, &tag).ok()?;
    let mut clear = Reader::new(clear.as_slice());
    Some(Entry {
        tag: clear.array()?,
        subject: clear.array()?,
        record: clear.array()?,
        version: clear.u64()?,
    })
}

fn associated(place: &EntryPlace) -> [u8; 54] {
    let mut bytes = [0; 54];
    bytes[..10].copy_from_slice(labels::ENTRY);
    bytes[10..26].copy_from_slice(place.tenant.as_bytes());
    bytes[26..30].copy_from_slice(&place.index.to_be_bytes());
    bytes[30..46].copy_from_slice(&place.page);
    bytes[46..].copy_from_slice(&place.row);
    bytes
}
