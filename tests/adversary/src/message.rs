//! Sealed messages: their header and context, and both of their bodies (`docs/formats/sealed-messages.md`,
//! `docs/formats/record-body.md`).

use ring::hkdf;

use crate::Id;
use crate::primitives::{OKM, Opener, Secret, TAG, expand};

/// What every header of this version begins with, before the purpose.
pub(crate) const MAGIC: [u8; 4] = *b"SR\x01\x01";
/// Length of a header.
pub(crate) const HEADER: usize = 16;
/// Length of the salt that follows it.
pub(crate) const SALT: usize = 24;
/// Length of header, salt and commitment.
pub(crate) const PRELUDE: usize = HEADER + SALT + COMMITMENT;

pub(crate) const RECORD: u8 = 1;
pub(crate) const ROW: u8 = 3;
pub(crate) const NODE: u8 = 4;
pub(crate) const SLOT: u8 = 5;
pub(crate) const STATE: u8 = 6;

const COMMITMENT: usize = 32;
const CHUNK: usize = 16 * 1024 + TAG;
const STREAM_LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const RECORD_LABEL: &[u8] = b"strongroom/v1/record\0";
/// Record bodies are padded to a multiple of this.
const BLOCK: usize = 64;
/// The number of the directory's segment.
const DIRECTORY: u32 = u32::MAX;

/// Where a message stands: what its key is bound to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) purpose: u8,
    pub(crate) epoch: u16,
    pub(crate) install: Id,
    pub(crate) tenant: Id,
    pub(crate) subject: Id,
    pub(crate) object: Id,
    pub(crate) collection: u32,
    pub(crate) index: u64,
    pub(crate) number: u32,
    pub(crate) version: u64,
}

impl Place {
    fn header(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[self.purpose, 0], &self.epoch.to_be_bytes()].concat();
        bytes.extend(self.number.to_be_bytes());
        bytes.extend([0; 4]);
        bytes
    }

    /// `ctx96 | header16`.
    fn context(&self) -> Vec<u8> {
        let mut bytes = b"sr1\0".to_vec();
        bytes.extend([self.purpose, 1]);
        bytes.extend(self.epoch.to_be_bytes());
        for id in [self.install, self.tenant, self.subject, self.object] {
            bytes.extend(id);
        }
        bytes.extend(self.collection.to_be_bytes());
        bytes.extend(self.index.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.version.to_be_bytes());
        bytes.extend(self.header());
        bytes
    }
}

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) purpose: u8,
    pub(crate) epoch: u16,
    pub(crate) number: u32,
}

/// Reads the header of a sealed message.
pub(crate) fn header(sealed: &[u8]) -> Option<Header> {
    let (header, _) = sealed.split_first_chunk::<HEADER>()?;
    let [b'S', b'R', 1, 1, purpose, 0, e0, e1, n0, n1, n2, n3, 0, 0, 0, 0] = *header else {
        return None;
    };
    let (epoch, number) = (u16::from_be_bytes([e0, e1]), u32::from_be_bytes([n0, n1, n2, n3]));
    (1..=STATE).contains(&purpose).then_some(Header { purpose, epoch, number })
}

/// The salt of a sealed message, by which it is known again.
pub(crate) fn salt(sealed: &[u8]) -> Option<[u8; SALT]> {
    sealed.get(HEADER..)?.first_chunk().copied()
}

/// Bytes that begin with a sealed message.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether they also end with it. Of a message that was carved out of a file nobody knows where it ends.
    pub(crate) is_exact: bool,
}

/// Message key and nonce, if the commitment is that of this key and place.
struct Derived {
    opener: Opener,
    nonce: [u8; 12],
}

impl Derived {
    fn of(
        algorithm: hkdf::Algorithm,
        label: &[u8],
        key: &Secret,
        place: &Place,
        sealed: &[u8],
    ) -> Option<Self> {
        let rest = sealed.strip_prefix(place.header().as_slice())?;
        let (salt, rest) = rest.split_at_checked(SALT)?;
        let (commitment, _) = rest.split_at_checked(COMMITMENT)?;
        let okm: [u8; OKM] = expand(algorithm, key, &[label, salt, &place.context()]);
        let (message_key, rest) = okm.split_first_chunk::<32>()?;
        let (nonce, computed) = rest.split_first_chunk::<12>()?;
        if computed != commitment {
            return None;
        }
        Some(Self { opener: Opener::new(message_key)?, nonce: *nonce })
    }

    fn open(&self, counter: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = self.nonce;
        for (byte, counter) in nonce.iter_mut().skip(4).zip(counter.to_be_bytes()) {
            *byte ^= counter;
        }
        self.opener.open(nonce, &[], sealed)
    }
}

/// The plaintext of a message with a stream body.
pub(crate) fn open_stream(key: &Secret, place: &Place, sealed: Sealed<'_>) -> Option<Vec<u8>> {
    let derived = Derived::of(hkdf::HKDF_SHA512, STREAM_LABEL, key, place, sealed.bytes)?;
    let chunks = sealed.bytes.get(PRELUDE..)?;
    if !sealed.is_exact {
        // Of one chunk: what is kept in rows is short. Its tag says where it ends.
        let longest = chunks.len().min(CHUNK - 1);
        return (TAG..=longest).find_map(|end| derived.open(0, chunks.get(..end)?));
    }
    let mut plaintext = Vec::new();
    let mut chunks = chunks.chunks(CHUNK).peekable();
    let mut last = 0;
    for counter in 0.. {
        let Some(chunk) = chunks.next() else { break };
        last = chunk.len();
        plaintext.extend(derived.open(counter, chunk)?);
    }
    (last < CHUNK).then_some(plaintext)
}

/// The fields of a record's body.
pub(crate) fn open_record(
    key: &Secret,
    place: &Place,
    sealed: Sealed<'_>,
) -> Option<Vec<(u32, Vec<u8>)>> {
    let derived = Derived::of(hkdf::HKDF_SHA256, RECORD_LABEL, key, place, sealed.bytes)?;
    let body = sealed.bytes.get(PRELUDE..)?;
    let (size, body) = body.split_first_chunk::<2>()?;
    let (directory, mut segments) =
        body.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
    let directory = derived.open(DIRECTORY.into(), directory)?;
    let (_, directory) = directory.split_first_chunk::<2>()?;
    let mut fields = Vec::new();
    for entry in directory.as_chunks::<8>().0 {
        let [f0, f1, f2, f3, l0, l1, l2, l3] = *entry;
        let field = u32::from_be_bytes([f0, f1, f2, f3]);
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        let (segment, rest) = segments.split_at_checked(length.checked_add(TAG)?)?;
        fields.push((field, derived.open(field.into(), segment)?));
        segments = rest;
    }
    let is_padding = segments.len() < BLOCK && segments.iter().all(|byte| *byte == 0);
    (is_padding || !sealed.is_exact).then_some(fields)
}
