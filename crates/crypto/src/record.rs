//! Sealed records: every field is a segment of its own, so that one is opened without the others.
//!
//! `header16 | salt24 | commitment32 | size u16 | sealed directory | segments | zeros to a multiple
//! of 64`, the padding counted from after the header. Layout: `docs/formats/record-body.md`.

use std::ops::Range;

use strongroom_model::{Plaintext, Rng, Wipe};

use crate::derived::{COMMITMENT, Derived, HEAD, SALT};
use crate::gcm::{Gcm, TAG, WipedGcm};
use crate::layout::{Reader, Writer};
use crate::wiping::scrub_after_cipher;
use crate::{Context, Error, Key, Result, stream};

/// The number of the directory; no field has it.
pub const DIRECTORY: u32 = u32::MAX;
/// Most fields a record can have: the directory's sealed length must fit 16 bits.
pub const FIELDS_MAX: usize = (u16::MAX as usize - TAG - 2) / ENTRY;
/// Bodies are padded to a multiple of this, so that their lengths say less.
pub const BLOCK: usize = 64;
/// A directory entry: field number and length.
const ENTRY: usize = 8;
/// Salt, commitment and the directory's length.
const PRELUDE: usize = HEAD + 2;

/// Seals the fields of a record for the place `context`, in any order.
///
/// # Errors
/// [`Error::Misuse`] if a field is named twice or has the directory's number; [`Error::TooLong`] if
/// there are more than [`FIELDS_MAX`] or one is longer than 4 GiB; [`Error::NoRandomness`].
pub fn seal(
    key: &Key,
    context: &Context,
    fields: &[(u32, &[u8])],
    rng: &dyn Rng,
) -> Result<Vec<u8>> {
    let mut fields = fields.to_vec();
    fields.sort_unstable_by_key(|(number, _)| *number);
    let directory = directory(&fields)?;
    let size = u16::try_from(directory.len() + TAG).map_err(|_| Error::TooLong)?;
    let length = padded(usize::from(size), &fields).ok_or(Error::TooLong)?;
    let mut salt = [0; SALT];
    rng.fill(&mut salt)?;
    let mut sealed = Vec::with_capacity(Context::HEADER_BYTES + length);
    scrub_after_cipher(|| {
        seal_segments(&mut sealed, key, context, size, &directory, &fields, &salt)
    })?;
    sealed.resize(Context::HEADER_BYTES + length, 0);
    Ok(sealed)
}

/// Everything but the padding.
fn seal_segments(
    sealed: &mut Vec<u8>,
    key: &Key,
    context: &Context,
    size: u16,
    directory: &[u8],
    fields: &[(u32, &[u8])],
    salt: &[u8; SALT],
) -> Result<()> {
    let derived = Derived::record(key, salt, &context.ctx_and_header());
    let cipher = WipedGcm::new(derived.message_key());
    sealed.extend_from_slice(&context.header16());
    sealed.extend_from_slice(salt);
    sealed.extend_from_slice(&derived.commitment());
    sealed.extend_from_slice(&size.to_be_bytes());
    for (number, value) in std::iter::once(&(DIRECTORY, directory)).chain(fields) {
        let start = sealed.len();
        sealed.extend_from_slice(value);
        let buffer = sealed.get_mut(start..).unwrap_or_default();
        let tag = cipher.seal(&derived.nonce((*number).into()), &[], buffer)?;
        sealed.extend_from_slice(&tag);
    }
    Ok(())
}

/// Opens the directory of a record that was found in the place `context`, and no field of it.
///
/// # Errors
/// [`Error::Damaged`] if the record was sealed for another place or under another key, if its
/// directory or padding changed, or if they say what [`seal`] never writes.
pub fn open<B: AsRef<[u8]>>(key: &Key, context: &Context, sealed: B) -> Result<OpenRecord<B>> {
    let opened = scrub_after_cipher(|| read(key, context, stream::body(context, sealed.as_ref())?));
    let (derived, cipher, fields) = opened?;
    Ok(OpenRecord { derived, cipher, fields, sealed })
}

/// Fields in ascending order, with the places of their segments in the body.
type Fields = Vec<(u32, Range<usize>)>;

/// A record whose directory is open and whose fields are still sealed, with its message: borrowed
/// bytes, or bytes that stay with it.
pub struct OpenRecord<B> {
    derived: Derived,
    cipher: WipedGcm,
    fields: Fields,
    sealed: B,
}

impl<B: AsRef<[u8]>> OpenRecord<B> {
    /// The fields that the record has, in ascending order.
    pub fn fields(&self) -> impl Iterator<Item = u32> + '_ {
        self.fields.iter().map(|(number, _)| *number)
    }

    /// Opens one field; `None` if the record does not have it.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the field's bytes changed.
    pub fn open_field(&self, number: u32) -> Result<Option<Plaintext<Vec<u8>>>> {
        let mut opened = Plaintext::new(Vec::new());
        Ok(self.open_field_into(number, &mut opened)?.then_some(opened))
    }

    /// Opens one field into `out`, in place of what is there, which may be another field that is no
    /// longer needed; `false`, and nothing is touched, if the record does not have it.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the field's bytes changed; then nothing of it is in `out`.
    pub fn open_field_into(&self, number: u32, out: &mut Plaintext<Vec<u8>>) -> Result<bool> {
        let Ok(found) = self.fields.binary_search_by_key(&number, |(field, _)| *field) else {
            return Ok(false);
        };
        let segment = self
            .fields
            .get(found)
            .and_then(|(_, place)| self.body().get(place.clone()))
            .ok_or(Error::Damaged)?;
        scrub_after_cipher(|| open_segment(&self.cipher, &self.derived, number, segment, out))?;
        Ok(true)
    }

    fn body(&self) -> &[u8] {
        self.sealed.as_ref().get(Context::HEADER_BYTES..).unwrap_or_default()
    }
}

/// `count u16 | (field u32, length u32)*` of fields in ascending order.
fn directory(fields: &[(u32, &[u8])]) -> Result<Vec<u8>> {
    if fields.len() > FIELDS_MAX {
        return Err(Error::TooLong);
    }
    let count = u16::try_from(fields.len()).map_err(|_| Error::TooLong)?;
    if fields.iter().zip(fields.iter().skip(1)).any(|(one, next)| one.0 == next.0) {
        return Err(Error::Misuse("a field stands twice in a record"));
    }
    if fields.last().is_some_and(|(number, _)| *number == DIRECTORY) {
        return Err(Error::Misuse("a field has the directory's number"));
    }
    let mut directory = Writer::with_capacity(2 + fields.len() * ENTRY);
    directory.u16(count);
    for (number, value) in fields {
        directory.u32(*number).u32(u32::try_from(value.len()).map_err(|_| Error::TooLong)?);
    }
    Ok(directory.finish())
}

/// Length of the body, padding included.
fn padded(directory: usize, fields: &[(u32, &[u8])]) -> Option<usize> {
    let segments = fields
        .iter()
        .try_fold(0usize, |sum, (_, value)| sum.checked_add(value.len())?.checked_add(TAG))?;
    segments.checked_add(PRELUDE + directory)?.checked_next_multiple_of(BLOCK)
}

/// What opens the fields of a body, and where they are.
///
/// # Errors
/// [`Error::Damaged`] if it is not a body of this key and place, as [`seal`] writes it.
fn read(key: &Key, context: &Context, body: &[u8]) -> Result<(Derived, WipedGcm, Fields)> {
    let mut reader = Reader::new(body);
    let salt = reader.array::<SALT>().ok_or(Error::Damaged)?;
    let commitment = reader.array::<COMMITMENT>().ok_or(Error::Damaged)?;
    let size = usize::from(reader.u16().ok_or(Error::Damaged)?);
    let sealed_directory = reader.slice(size).ok_or(Error::Damaged)?;
    let derived = Derived::record(key, &salt, &context.ctx_and_header());
    derived.check(&commitment)?;
    let cipher = WipedGcm::new(derived.message_key());
    let mut directory = Plaintext::new(Vec::new());
    open_segment(&cipher, &derived, DIRECTORY, sealed_directory, &mut directory)?;
    let read = read_directory(directory.expose(), PRELUDE + size);
    let (fields, end) = read.ok_or(Error::Damaged)?;
    let exact = end.checked_next_multiple_of(BLOCK) == Some(body.len());
    let padding = body.get(end..).ok_or(Error::Damaged)?;
    if exact && padding.iter().all(|byte| *byte == 0) {
        Ok((derived, cipher, fields))
    } else {
        Err(Error::Damaged)
    }
}

/// The fields of a directory with the places of their segments, the first of which begins at
/// `start`, and where the last one ends. `None` if it is not strictly ascending, names its own
/// number, or is longer or shorter than it says.
fn read_directory(directory: &[u8], start: usize) -> Option<(Fields, usize)> {
    let mut reader = Reader::new(directory);
    let count = usize::from(reader.u16()?);
    if reader.rest().len() != count * ENTRY {
        return None;
    }
    let mut fields = Fields::with_capacity(count);
    let mut end = start;
    for _ in 0..count {
        let number = reader.u32()?;
        let length = usize::try_from(reader.u32()?).ok()?;
        let next = end.checked_add(length)?.checked_add(TAG)?;
        if number == DIRECTORY || fields.last().is_some_and(|(last, _)| *last >= number) {
            return None;
        }
        fields.push((number, end..next));
        end = next;
    }
    Some((fields, end))
}

/// Opens a segment in place of what is in `out`.
fn open_segment(
    cipher: &WipedGcm,
    derived: &Derived,
    number: u32,
    segment: &[u8],
    out: &mut Plaintext<Vec<u8>>,
) -> Result<()> {
    let (ciphertext, tag) = segment.split_last_chunk::<TAG>().ok_or(Error::Damaged)?;
    let buffer = out.expose_mut();
    if buffer.capacity() < ciphertext.len() {
        // A vector that grows would leave what is in it behind.
        buffer.wipe();
        buffer.reserve_exact(ciphertext.len());
    }
    buffer.clear();
    buffer.extend_from_slice(ciphertext);
    let opened = cipher.open(&derived.nonce(number.into()), &[], buffer, tag);
    if opened.is_err() {
        buffer.wipe();
    }
    opened
}
