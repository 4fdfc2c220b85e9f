//! Sealed messages with a stream body: files, rows, nodes, slots, subject states.
//!
//! `header16 | salt24 | commitment32 | chunks`, that is a header and a [`cobblestone`] body whose
//! context is `ctx96 | header16`. Layout: `docs/formats/sealed-messages.md`.

use std::ops::Range;

use strongroom_model::{Plaintext, Rng};

use crate::cobblestone::{self, CHUNK, ChunkReader, ChunkSealer, Engine, HEAD_BYTES, Layout};
use crate::{Context, Error, Key, MessagePurpose, Result};

/// Bytes before the first chunk: header, salt and commitment.
pub const PRELUDE: usize = Context::HEADER_BYTES + HEAD_BYTES;
const HEADER: u64 = Context::HEADER_BYTES as u64;

/// Seals `plaintext` for the place `context`.
///
/// # Errors
/// [`Error::NoRandomness`] if there is no salt to be had; [`Error::TooLong`] beyond the address space.
pub fn seal(key: &Key, context: &Context, plaintext: &[u8], rng: &dyn Rng) -> Result<Vec<u8>> {
    let length = cobblestone::sealed_length(plaintext.len())
        .and_then(|body| body.checked_add(Context::HEADER_BYTES))
        .ok_or(Error::TooLong)?;
    let mut sealed = Vec::with_capacity(length);
    sealed.extend_from_slice(&context.header16());
    let engine = engine(context, plaintext.len() >= CHUNK);
    cobblestone::seal_onto(&mut sealed, key, &context.ctx_and_header(), plaintext, engine, rng)?;
    Ok(sealed)
}

/// Seals a message whose plaintext comes piece by piece and is never in one place.
pub struct StreamSealer(ChunkSealer);

impl StreamSealer {
    /// Begins a message for the place `context`: appends what stands before its chunks to `out`.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] if there is no salt to be had.
    pub fn begin(out: &mut Vec<u8>, key: &Key, context: &Context, rng: &dyn Rng) -> Result<Self> {
        out.extend_from_slice(&context.header16());
        // How many chunks there will be is not known; both engines make the same of one.
        let engine = engine(context, true);
        ChunkSealer::begin(out, key, &context.ctx_and_header(), engine, rng).map(Self)
    }

    /// Takes plaintext, and appends what of the message is complete to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond 4 PiB.
    pub fn push(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.0.push(plaintext, out)
    }

    /// Ends the message: appends the rest of it to `out`.
    ///
    /// # Errors
    /// As for [`StreamSealer::push`].
    pub fn finish(self, out: &mut Vec<u8>) -> Result<()> {
        self.0.finish(out)
    }
}

/// Opens a sealed message that was found in the place `context`.
///
/// # Errors
/// [`Error::Damaged`] if it was sealed for another place or under another key, or any byte changed.
pub fn open(key: &Key, context: &Context, sealed: &[u8]) -> Result<Plaintext<Vec<u8>>> {
    let body = body(context, sealed)?;
    let engine = engine(context, body.len() > HEAD_BYTES + CHUNK);
    cobblestone::open(key, &context.ctx_and_header(), body, engine)
}

/// Opens parts of a sealed message. The last chunk is opened first, when the reader is made, so
/// that a message that was cut is not served from its beginning.
pub struct StreamReader(ChunkReader);

impl StreamReader {
    /// Where the last chunk of a sealed message of `sealed_length` bytes lies in it.
    ///
    /// # Errors
    /// [`Error::Damaged`] if no message has this length.
    pub fn last_chunk(sealed_length: u64) -> Result<Range<u64>> {
        Ok(shift(layout(sealed_length)?.last_chunk()))
    }

    /// Begins to read: `prelude` is the message's first [`PRELUDE`] bytes, `last_chunk` what lies
    /// at [`StreamReader::last_chunk`]. The plaintext of the last chunk comes with the reader.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they do not belong to this key, place and length.
    pub fn begin(
        key: &Key,
        context: &Context,
        prelude: &[u8],
        sealed_length: u64,
        last_chunk: &[u8],
    ) -> Result<(Self, Plaintext<Vec<u8>>)> {
        let layout = layout(sealed_length)?;
        let head = body(context, prelude)?;
        let engine = engine(context, layout.chunks() > 1);
        let context = context.ctx_and_header();
        let (reader, last) = ChunkReader::begin(key, &context, head, layout, last_chunk, engine)?;
        Ok((Self(reader), last))
    }

    /// How many chunks there are; chunk `i` holds the plaintext from `i` × [`CHUNK`].
    pub const fn chunks(&self) -> u64 {
        self.0.layout().chunks()
    }

    /// How many bytes of plaintext there are.
    pub const fn plaintext_length(&self) -> u64 {
        self.0.layout().plaintext()
    }

    /// Where chunk `index` lies in the sealed message; `None` beyond the last.
    pub fn chunk(&self, index: u64) -> Option<Range<u64>> {
        self.0.layout().chunk(index).map(shift)
    }

    /// Opens chunk `index`, whose sealed bytes lie at [`StreamReader::chunk`].
    ///
    /// # Errors
    /// [`Error::Damaged`] if they are not this message's chunk of that index.
    pub fn open_chunk(&self, index: u64, sealed: &[u8]) -> Result<Plaintext<Vec<u8>>> {
        self.0.open(index, sealed)
    }
}

/// Files of several chunks go through the fast cipher, under a key that serves this message alone.
/// Everything else goes through the one that wipes its keys by itself.
const fn engine(context: &Context, several_chunks: bool) -> Engine {
    match context.purpose {
        MessagePurpose::File if several_chunks => Engine::Bulk,
        MessagePurpose::File
        | MessagePurpose::Record
        | MessagePurpose::Row
        | MessagePurpose::Node
        | MessagePurpose::Slot
        | MessagePurpose::SubjectState => Engine::Wiped,
    }
}

/// What follows the header, which must be exactly that of the place.
pub(crate) fn body<'a>(context: &Context, sealed: &'a [u8]) -> Result<&'a [u8]> {
    sealed.strip_prefix(&context.header16()).ok_or(Error::Damaged)
}

fn layout(sealed_length: u64) -> Result<Layout> {
    sealed_length.checked_sub(HEADER).and_then(Layout::of).ok_or(Error::Damaged)
}

fn shift(range: Range<u64>) -> Range<u64> {
    range.start + HEADER..range.end + HEADER
}
