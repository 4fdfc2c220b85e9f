//! Cobblestone-256: the chunked encryption of <https://c2sp.org/chunked-encryption>, with SHA-512.
//!
//! `salt24 | commitment32 | chunks`: chunk `i` is AES-256-GCM of 16 KiB of plaintext under the
//! derived message key, nonce `nonce XOR i`, without associated data. The last chunk is shorter than
//! 16 KiB and may be empty, so that a message cut at a chunk's end does not open.

use std::ops::Range;

use strongroom_model::{Plaintext, Rng};

use crate::derived::{COMMITMENT, Derived, HEAD, SALT};
use crate::gcm::{BulkGcm, Gcm, TAG, WipedGcm};
use crate::layout::Reader;
use crate::wiping::scrub_after_cipher;
use crate::{Error, Key, Result};

/// Plaintext bytes in every chunk but the last.
pub const CHUNK: usize = 16 * 1024;
/// Sealed bytes of a full chunk.
pub const SEALED_CHUNK: usize = CHUNK + TAG;
/// Length of salt and commitment, before the first chunk.
pub const HEAD_BYTES: usize = HEAD;
/// A message has at most 2^38 chunks, 4 PiB, as the specification says.
pub const CHUNKS_MAX: u64 = 1 << 38;

/// Which implementation works on the chunks; both give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The one that wipes its own round keys.
    Wiped,
    /// The faster one, for files.
    Bulk,
}

/// Length of the body that `plaintext` bytes become.
pub const fn sealed_length(plaintext: usize) -> Option<usize> {
    let Some(tags) = (plaintext / CHUNK + 1).checked_mul(TAG) else { return None };
    let Some(chunks) = plaintext.checked_add(tags) else { return None };
    chunks.checked_add(HEAD)
}

/// Seals `plaintext` and appends the body to `out`, which grows at most once.
///
/// # Errors
/// [`Error::NoRandomness`] if there is no salt to be had; [`Error::TooLong`] beyond the address
/// space. `out` holds no plaintext afterwards, but may hold an incomplete body.
pub fn seal_onto(
    out: &mut Vec<u8>,
    key: &Key,
    context: &[u8],
    plaintext: &[u8],
    engine: Engine,
    rng: &dyn Rng,
) -> Result<()> {
    let mut salt = [0; SALT];
    rng.fill(&mut salt)?;
    out.reserve_exact(sealed_length(plaintext.len()).ok_or(Error::TooLong)?);
    scrub_after_cipher(|| seal_chunks(out, key, context, plaintext, engine, &salt))
}

/// What [`seal_onto`] does, with its salt.
fn seal_chunks(
    out: &mut Vec<u8>,
    key: &Key,
    context: &[u8],
    plaintext: &[u8],
    engine: Engine,
    salt: &[u8; SALT],
) -> Result<()> {
    let derived = Derived::stream(key, salt, context);
    let cipher = cipher(engine, &derived)?;
    out.extend_from_slice(salt);
    out.extend_from_slice(&derived.commitment());
    let (full, last) = plaintext.as_chunks::<CHUNK>();
    let chunks = full.iter().map(<[u8; CHUNK]>::as_slice).chain([last]);
    for (index, chunk) in (0..CHUNKS_MAX).zip(chunks) {
        let start = out.len();
        out.extend_from_slice(chunk);
        let buffer = out.get_mut(start..).unwrap_or_default();
        let tag = cipher.seal(&derived.nonce(index), &[], buffer)?;
        out.extend_from_slice(&tag);
    }
    Ok(())
}

/// Seals a body chunk by chunk, for plaintext that is never in one place. What comes out is what
/// [`seal_onto`] makes of the same bytes with the same salt.
pub struct ChunkSealer {
    derived: Derived,
    cipher: Box<dyn Gcm + Send + Sync>,
    /// The chunk that is being filled: never a whole one, so that there is a last one that is shorter.
    chunk: Plaintext<Vec<u8>>,
    index: u64,
}

impl ChunkSealer {
    /// Begins a body: appends its salt and commitment to `out`.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] if there is no salt to be had.
    pub fn begin(
        out: &mut Vec<u8>,
        key: &Key,
        context: &[u8],
        engine: Engine,
        rng: &dyn Rng,
    ) -> Result<Self> {
        let mut salt = [0; SALT];
        rng.fill(&mut salt)?;
        let (derived, cipher) = scrub_after_cipher(|| {
            let derived = Derived::stream(key, &salt, context);
            let cipher = cipher(engine, &derived)?;
            Ok::<_, Error>((derived, cipher))
        })?;
        out.extend_from_slice(&salt);
        out.extend_from_slice(&derived.commitment());
        let chunk = Plaintext::new(Vec::with_capacity(CHUNK));
        Ok(Self { derived, cipher, chunk, index: 0 })
    }

    /// Takes plaintext, and appends the chunks that it completes to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond [`CHUNKS_MAX`] chunks. The body is of no use then.
    pub fn push(&mut self, mut plaintext: &[u8], out: &mut Vec<u8>) -> Result<()> {
        while !plaintext.is_empty() {
            let room = CHUNK - self.chunk.expose().len();
            let (now, later) = plaintext.split_at(room.min(plaintext.len()));
            self.chunk.expose_mut().extend_from_slice(now);
            plaintext = later;
            if self.chunk.expose().len() == CHUNK {
                self.seal(out)?;
            }
        }
        Ok(())
    }

    /// Ends the body: appends its last chunk, which is shorter than a whole one, to `out`.
    ///
    /// # Errors
    /// As for [`ChunkSealer::push`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.seal(out)
    }

    /// Seals what is in the chunk, where it lies, and makes room for the next one.
    fn seal(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.index == CHUNKS_MAX {
            return Err(Error::TooLong);
        }
        let nonce = self.derived.nonce(self.index);
        let (cipher, chunk) = (self.cipher.as_ref(), self.chunk.expose_mut());
        let tag = scrub_after_cipher(|| cipher.seal(&nonce, &[], chunk))?;
        out.extend_from_slice(chunk);
        out.extend_from_slice(&tag);
        chunk.clear();
        self.index += 1;
        Ok(())
    }
}

/// Opens a whole body.
///
/// # Errors
/// [`Error::Damaged`] if any byte of it, the key or the context is another.
pub fn open(key: &Key, context: &[u8], body: &[u8], engine: Engine) -> Result<Plaintext<Vec<u8>>> {
    scrub_after_cipher(|| open_chunks(key, context, body, engine))
}

/// What [`open`] does.
fn open_chunks(
    key: &Key,
    context: &[u8],
    body: &[u8],
    engine: Engine,
) -> Result<Plaintext<Vec<u8>>> {
    let layout = Layout::of(body.len() as u64).ok_or(Error::Damaged)?;
    let (derived, chunks) = open_head(key, context, body)?;
    let cipher = cipher(engine, &derived)?;
    let overhead = HEAD + chunks.len().div_ceil(SEALED_CHUNK) * TAG;
    let length = body.len().checked_sub(overhead).ok_or(Error::Damaged)?;
    let mut plaintext = Plaintext::new(Vec::with_capacity(length));
    let (full, last) = chunks.as_chunks::<SEALED_CHUNK>();
    let sealed = full.iter().map(<[u8; SEALED_CHUNK]>::as_slice).chain([last]);
    for (index, chunk) in (0..layout.chunks).zip(sealed) {
        open_chunk(cipher.as_ref(), &derived, index, chunk, plaintext.expose_mut())?;
    }
    Ok(plaintext)
}

/// Opens chunks of a body one by one, the last one first: that the length is what it seems is
/// known before any other chunk is served.
pub struct ChunkReader {
    derived: Derived,
    cipher: Box<dyn Gcm + Send + Sync>,
    layout: Layout,
}

impl ChunkReader {
    /// Checks the commitment in `head`, the first [`HEAD_BYTES`] bytes of the body, and opens the
    /// last chunk, which lies at [`Layout::last_chunk`].
    ///
    /// # Errors
    /// [`Error::Damaged`] if they do not belong to this key, context and length.
    pub fn begin(
        key: &Key,
        context: &[u8],
        head: &[u8],
        layout: Layout,
        last_chunk: &[u8],
        engine: Engine,
    ) -> Result<(Self, Plaintext<Vec<u8>>)> {
        let reader = scrub_after_cipher(|| {
            let (derived, rest) = open_head(key, context, head)?;
            let cipher = cipher(engine, &derived)?;
            if rest.is_empty() { Ok(Self { derived, cipher, layout }) } else { Err(Error::Damaged) }
        })?;
        let last = reader.open(layout.chunks - 1, last_chunk)?;
        Ok((reader, last))
    }

    /// Opens chunk `index`, which lies at [`Layout::chunk`].
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not this message's chunk of that index.
    pub fn open(&self, index: u64, sealed: &[u8]) -> Result<Plaintext<Vec<u8>>> {
        let place = self.layout.chunk(index).ok_or(Error::Damaged)?;
        if place.end - place.start != sealed.len() as u64 {
            return Err(Error::Damaged);
        }
        let mut plaintext = Plaintext::new(Vec::with_capacity(sealed.len()));
        let (cipher, out) = (self.cipher.as_ref(), plaintext.expose_mut());
        scrub_after_cipher(|| open_chunk(cipher, &self.derived, index, sealed, out))?;
        Ok(plaintext)
    }

    /// Where the chunks lie.
    pub const fn layout(&self) -> Layout {
        self.layout
    }
}

/// Where the chunks of a body of a known length lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    body: u64,
    chunks: u64,
}

impl Layout {
    /// The layout of a body of `body` bytes; `None` if no body has this length.
    pub fn of(body: u64) -> Option<Self> {
        let chunks = body.checked_sub(HEAD as u64)?;
        let last = chunks % SEALED_CHUNK as u64;
        let layout = Self { body, chunks: chunks / SEALED_CHUNK as u64 + 1 };
        (last >= TAG as u64 && layout.chunks <= CHUNKS_MAX).then_some(layout)
    }

    /// How many chunks there are, at least 1.
    pub const fn chunks(self) -> u64 {
        self.chunks
    }

    /// How many bytes of plaintext there are.
    pub const fn plaintext(self) -> u64 {
        self.body - HEAD as u64 - self.chunks * TAG as u64
    }

    /// Where chunk `index` lies, from the body's first byte; `None` beyond the last.
    pub fn chunk(self, index: u64) -> Option<Range<u64>> {
        if index >= self.chunks {
            return None;
        }
        let start = HEAD as u64 + index * SEALED_CHUNK as u64;
        Some(start..self.body.min(start + SEALED_CHUNK as u64))
    }

    /// Where the last chunk lies.
    pub const fn last_chunk(self) -> Range<u64> {
        HEAD as u64 + (self.chunks - 1) * SEALED_CHUNK as u64..self.body
    }
}

fn cipher(engine: Engine, derived: &Derived) -> Result<Box<dyn Gcm + Send + Sync>> {
    Ok(match engine {
        Engine::Wiped => Box::new(WipedGcm::new(derived.message_key())),
        Engine::Bulk => {
            let cipher = BulkGcm::new(derived.message_key());
            Box::new(cipher.ok_or(Error::Misuse("the bulk cipher refused its key"))?)
        }
    })
}

/// Derives from the salt and checks the commitment; returns what follows them.
fn open_head<'a>(key: &Key, context: &[u8], body: &'a [u8]) -> Result<(Derived, &'a [u8])> {
    let mut reader = Reader::new(body);
    let salt = reader.array::<SALT>().ok_or(Error::Damaged)?;
    let commitment = reader.array::<COMMITMENT>().ok_or(Error::Damaged)?;
    let derived = Derived::stream(key, &salt, context);
    derived.check(&commitment)?;
    Ok((derived, reader.rest()))
}

/// Appends the plaintext of a chunk to `out`, which has room for it.
fn open_chunk(
    cipher: &dyn Gcm,
    derived: &Derived,
    index: u64,
    sealed: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG>().ok_or(Error::Damaged)?;
    let start = out.len();
    out.extend_from_slice(ciphertext);
    let buffer = out.get_mut(start..).unwrap_or_default();
    cipher.open(&derived.nonce(index), &[], buffer, tag)
}
