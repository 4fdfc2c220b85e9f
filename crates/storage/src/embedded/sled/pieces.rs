//! Long values in short pieces, because sled writes what is longer than an eighth of a megabyte to files
//! of their own, which it never syncs.
//!
//! The first piece stands under `space u8 | key` as `further pieces u16 | bytes`; further ones under
//! `space + 1 | length of the key u16 | key | piece u16`.

use ::sled::{Batch, IVec, Tree};

/// Most bytes of a value in one entry. A page of sled holds about 16 entries.
const PIECE_BYTES: usize = 4 * 1024;

/// What an entry is about, as the first byte of its key.
#[derive(Clone, Copy)]
pub(super) enum Space {
    /// The store's own numbers.
    Meta = 0,
    /// Rows; their further pieces come under 2.
    Row = 1,
    /// Lines of commits; their further pieces come under 4.
    Line = 3,
}

/// The key of a value's first piece.
pub(super) fn entry(space: Space, key: &[u8]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(key.len() + 1);
    entry.push(space as u8);
    entry.extend_from_slice(key);
    entry
}

/// Puts a value that consists of `head` and `bytes` in place of one with `before` further pieces.
pub(super) fn put(
    batch: &mut Batch,
    space: Space,
    key: &[u8],
    (head, bytes): (&[u8], &[u8]),
    before: u16,
) {
    let (first, rest) =
        bytes.split_at_checked(PIECE_BYTES - head.len()).unwrap_or((bytes, &[][..]));
    let pieces = u16::try_from(rest.chunks(PIECE_BYTES).len()).unwrap_or(u16::MAX);
    batch.insert(entry(space, key), [&pieces.to_be_bytes()[..], head, first].concat());
    for (number, piece) in (0..).zip(rest.chunks(PIECE_BYTES)) {
        batch.insert(further(space, key, number), piece);
    }
    for number in pieces..before {
        batch.remove(further(space, key, number));
    }
}

/// Removes a value with `before` further pieces.
pub(super) fn remove(batch: &mut Batch, space: Space, key: &[u8], before: u16) {
    batch.remove(entry(space, key));
    for number in 0..before {
        batch.remove(further(space, key, number));
    }
}

/// The bytes of a first piece, and how many follow it; none if it is too short.
pub(super) fn first(stored: &IVec) -> Option<(u16, &[u8])> {
    let (pieces, bytes) = stored.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*pieces), bytes))
}

/// The whole value that begins with this piece; none if one is missing.
pub(super) fn whole(
    tree: &Tree,
    space: Space,
    key: &[u8],
    stored: &IVec,
) -> ::sled::Result<Option<Vec<u8>>> {
    let Some((pieces, bytes)) = first(stored) else { return Ok(None) };
    let mut value = bytes.to_vec();
    for number in 0..pieces {
        let Some(piece) = tree.get(further(space, key, number))? else { return Ok(None) };
        value.extend_from_slice(&piece);
    }
    Ok(Some(value))
}

fn further(space: Space, key: &[u8], number: u16) -> Vec<u8> {
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
    [&[space as u8 + 1], &length.to_be_bytes()[..], key, &number.to_be_bytes()].concat()
}
