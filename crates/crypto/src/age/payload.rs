//! The payload of an age file: chunks of 64 KiB under a key of their own (the STREAM of age).

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use strongroom_model::{Rng, Wiping};

use super::header::{self, FileKey};
use super::keys::{Identity, Recipient};
use crate::wiping::WipingBox;
use crate::{Error, Key, Result};

/// Bytes of plaintext in a chunk; only the last has fewer.
const CHUNK: usize = 64 * 1024;
/// Bytes of a sealed chunk.
const SEALED_CHUNK: usize = CHUNK + Chacha::TAG;
/// Length of the random nonce from which the key of a payload comes.
const PAYLOAD_NONCE: usize = 16;
/// Where that key comes from.
const PAYLOAD_INFO: &[u8] = b"payload";
/// A header is at most so long: one of a thousand recipients still fits.
const HEADER_BYTES_MAX: usize = 128 * 1024;

/// ChaCha20-Poly1305 (RFC 8439) of `ring`, in a box that overwrites its key; each key serves one file.
pub(super) struct Chacha(WipingBox<LessSafeKey>);

impl Chacha {
    /// Length of a nonce.
    pub(super) const NONCE: usize = 12;
    /// Length of a tag.
    pub(super) const TAG: usize = 16;

    pub(super) fn new(key: &Key) -> Result<Self> {
        let make =
            |key: &[u8; 32]| UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new);
        WipingBox::build(
            || make(key.expose()),
            || UnboundKey::new(&CHACHA20_POLY1305, &[0; 32]).ok().map(LessSafeKey::new),
        )
        .map(Self)
        .ok_or(Error::Misuse("the cipher takes keys of 32 bytes"))
    }

    /// Encrypts in place and appends the tag.
    pub(super) fn seal(&self, nonce: &[u8; Self::NONCE], buffer: &mut Vec<u8>) -> Result<()> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let sealed = self.0.value().seal_in_place_append_tag(nonce, Aad::empty(), buffer);
        sealed.map_err(|_| Error::TooLong)
    }

    /// Checks the tag, decrypts in place and takes the tag away.
    pub(super) fn open(&self, nonce: &[u8; Self::NONCE], buffer: &mut Vec<u8>) -> Result<()> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.value().open_in_place(nonce, Aad::empty(), buffer);
        let length = opened.map_err(|_| Error::Damaged)?.len();
        buffer.truncate(length);
        Ok(())
    }
}

/// The key of a payload, with the number of the next chunk.
struct Stream {
    cipher: Chacha,
    next: u64,
}

impl Stream {
    fn new(file_key: &FileKey, nonce: &[u8]) -> Result<Self> {
        let key = header::derive(&**file_key, nonce, PAYLOAD_INFO);
        Ok(Self { cipher: Chacha::new(&key)?, next: 0 })
    }

    /// `counter 11 | 1 for the last chunk, else 0`.
    fn nonce(&mut self, last: bool) -> Result<[u8; Chacha::NONCE]> {
        let mut nonce = [0; Chacha::NONCE];
        let counter = nonce.iter_mut().skip(3);
        counter.zip(self.next.to_be_bytes()).for_each(|(to, from)| *to = from);
        if let Some(flag) = nonce.last_mut() {
            *flag = u8::from(last);
        }
        self.next = self.next.checked_add(1).ok_or(Error::TooLong)?;
        Ok(nonce)
    }
}

/// Seals a stream for some recipients. What has not been finished is recognised as cut off.
pub struct Sealer {
    stream: Stream,
    /// What waits for its chunk to be full.
    waiting: Wiping<Vec<u8>>,
}

impl Sealer {
    /// Begins: appends header and nonce to `out`.
    ///
    /// # Errors
    /// [`Error::NoRandomness`]; [`Error::Misuse`] for no recipients, or more than
    /// [`super::RECIPIENTS_MAX`].
    pub fn begin(recipients: &[Recipient], rng: &dyn Rng, out: &mut Vec<u8>) -> Result<Self> {
        let file_key = header::write(recipients, rng, out)?;
        let mut nonce = [0; PAYLOAD_NONCE];
        rng.fill(&mut nonce)?;
        out.extend_from_slice(&nonce);
        let waiting = Wiping::new(Vec::with_capacity(SEALED_CHUNK));
        Ok(Self { stream: Stream::new(&file_key, &nonce)?, waiting })
    }

    /// Takes in what follows, and appends to `out` what is sealed of it by now.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond 2^64 chunks.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        while !plain.is_empty() {
            // Whether a chunk is the last is known when something follows it.
            if self.waiting.len() == CHUNK {
                self.seal_chunk(false, out)?;
            }
            let room = CHUNK - self.waiting.len();
            let (now, later) = plain.split_at(room.min(plain.len()));
            self.waiting.extend_from_slice(now);
            plain = later;
        }
        Ok(())
    }

    /// Ends the stream: appends the last chunk to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond 2^64 chunks.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.seal_chunk(true, out)
    }

    fn seal_chunk(&mut self, last: bool, out: &mut Vec<u8>) -> Result<()> {
        let nonce = self.stream.nonce(last)?;
        self.stream.cipher.seal(&nonce, &mut self.waiting)?;
        out.extend_from_slice(&self.waiting);
        self.waiting.clear();
        Ok(())
    }
}

/// Opens a stream that was sealed for one of its identities.
pub struct Opener {
    identities: Vec<Identity>,
    /// The length of the header, once it has ended.
    header: Option<usize>,
    stream: Option<Stream>,
    /// What has come and cannot be opened yet: a header in parts, or a chunk of which it is not known
    /// whether it is the last.
    waiting: Wiping<Vec<u8>>,
}

impl Opener {
    /// With the identities of whoever opens.
    pub fn new(identities: Vec<Identity>) -> Self {
        let waiting = Wiping::new(Vec::with_capacity(SEALED_CHUNK));
        Self { identities, header: None, stream: None, waiting }
    }

    /// Whether the header has been opened: what fails from here on fails for what came, not for who
    /// opens it.
    pub const fn has_begun(&self) -> bool {
        self.stream.is_some()
    }

    /// Takes in what has come, and appends to `out` what is open of it by now.
    ///
    /// # Errors
    /// [`Error::Damaged`] for what is no age file, or is sealed for others, or was changed.
    pub fn push(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<()> {
        while !sealed.is_empty() {
            let room = match &self.stream {
                Some(_) if self.waiting.len() == SEALED_CHUNK => {
                    self.open_chunk(false, out)?;
                    SEALED_CHUNK
                }
                Some(_) => SEALED_CHUNK - self.waiting.len(),
                None => 1,
            };
            let (now, later) = sealed.split_at(room.min(sealed.len()));
            self.waiting.extend_from_slice(now);
            sealed = later;
            if self.stream.is_none() {
                self.begin()?;
            }
        }
        Ok(())
    }

    /// Ends the stream: appends the last chunk to `out`.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a stream that was cut off.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.open_chunk(true, out)
    }

    /// Begins the stream when its header and nonce are there; called with each byte before that.
    fn begin(&mut self) -> Result<()> {
        if self.header.is_none() && header::has_ended(&self.waiting) {
            self.header = Some(self.waiting.len());
        }
        let Some(length) = self.header else {
            let is_bounded = self.waiting.len() < HEADER_BYTES_MAX;
            return if is_bounded { Ok(()) } else { Err(Error::Damaged) };
        };
        let (header, nonce) = self.waiting.split_at_checked(length).ok_or(Error::Damaged)?;
        if nonce.len() < PAYLOAD_NONCE {
            return Ok(());
        }
        let file_key = header::open(header, &self.identities)?;
        self.stream = Some(Stream::new(&file_key, nonce)?);
        self.waiting.clear();
        Ok(())
    }

    fn open_chunk(&mut self, last: bool, out: &mut Vec<u8>) -> Result<()> {
        let stream = self.stream.as_mut().ok_or(Error::Damaged)?;
        let is_first = stream.next == 0;
        let nonce = stream.nonce(last)?;
        stream.cipher.open(&nonce, &mut self.waiting)?;
        // Only a stream of nothing has a chunk of nothing: each has one sealed form for its length.
        if self.waiting.is_empty() && !is_first {
            return Err(Error::Damaged);
        }
        out.extend_from_slice(&self.waiting);
        self.waiting.clear();
        Ok(())
    }
}
