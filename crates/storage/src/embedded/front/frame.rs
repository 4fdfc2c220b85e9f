//! One frame: a group of changes that was written and synced together, chained to the group before.
//!
//! `magic 4 | payload bytes u32 | group u64 | previous digest 32 | digest 32 | payload`. The digest is
//! SHA-256 of the frame's place, of everything before it in the frame and of the payload, so that a
//! frame is valid in its own place only, and after one other frame only.

use sha2::{Digest as _, Sha256};

/// What a frame begins with.
const MAGIC: [u8; 4] = *b"SRgr";
/// What the digest of a frame begins with, so that it is the digest of nothing else.
const LABEL: &[u8] = b"strongroom/group/1\0";
/// Bytes before the digest.
const CHAINED_BYTES: usize = 48;
/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = CHAINED_BYTES + 32;

/// SHA-256 of a frame.
pub(super) type Digest = [u8; 32];

/// Where a frame stands: a segment, and the offset in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
}

/// A frame whose digest is the one of its bytes.
pub(super) struct Frame<'b> {
    pub(super) group: u64,
    pub(super) previous: Digest,
    pub(super) digest: Digest,
    pub(super) payload: &'b [u8],
}

impl Frame<'_> {
    /// Bytes of the whole frame.
    pub(super) fn length(&self) -> usize {
        HEADER_BYTES.saturating_add(self.payload.len())
    }
}

/// Room for a header; the payload comes after it, and then [`close`].
pub(super) fn begin() -> Vec<u8> {
    vec![0; HEADER_BYTES]
}

/// Writes the header before the payload, and gives the frame's digest.
pub(super) fn close(place: Place, group: u64, previous: &Digest, frame: &mut [u8]) -> Digest {
    let Some((header, payload)) = frame.split_first_chunk_mut::<HEADER_BYTES>() else {
        return *previous;
    };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let group = group.to_be_bytes();
    let chained = MAGIC.iter().chain(&length).chain(&group).chain(previous);
    header.iter_mut().zip(chained).for_each(|(byte, of)| *byte = *of);
    let digest = digest(place, header.get(..CHAINED_BYTES).unwrap_or_default(), payload);
    header.iter_mut().skip(CHAINED_BYTES).zip(digest).for_each(|(byte, of)| *byte = of);
    digest
}

/// The frame at the beginning of these bytes; none if they are not a frame of this place.
pub(super) fn parse(bytes: &[u8], place: Place) -> Option<Frame<'_>> {
    let chained = bytes.get(..CHAINED_BYTES)?;
    let rest = bytes.strip_prefix(MAGIC.as_slice())?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (group, rest) = rest.split_first_chunk::<8>()?;
    let (previous, rest) = rest.split_first_chunk::<32>()?;
    let (stated, rest) = rest.split_first_chunk::<32>()?;
    let payload = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let found = digest(place, chained, payload);
    let group = u64::from_be_bytes(*group);
    (found == *stated).then_some(Frame { group, previous: *previous, digest: found, payload })
}

/// Whether a valid frame begins at or after `from`.
pub(super) fn is_followed(bytes: &[u8], segment: u32, mut from: usize) -> bool {
    while let Some(rest) = bytes.get(from..)
        && let Some(found) = rest.windows(MAGIC.len()).position(|window| window == MAGIC)
    {
        let at = from.saturating_add(found);
        let offset = u32::try_from(at).unwrap_or(u32::MAX);
        let rest = bytes.get(at..).unwrap_or_default();
        if parse(rest, Place { segment, offset }).is_some() {
            return true;
        }
        from = at.saturating_add(1);
    }
    false
}

fn digest(place: Place, chained: &[u8], payload: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(LABEL);
    hasher.update(place.segment.to_be_bytes());
    hasher.update(place.offset.to_be_bytes());
    hasher.update(chained);
    hasher.update(payload);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { segment: 3, offset: 1_000 };

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = begin();
        frame.extend_from_slice(payload);
        close(PLACE, 8, &[5; 32], &mut frame);
        frame
    }

    #[test]
    fn a_frame_reads_back_in_its_own_place_and_in_no_other() {
        let bytes = frame(b"payload");
        let read = parse(&bytes, PLACE).unwrap();
        assert_eq!((read.group, read.previous, read.payload), (8, [5; 32], &b"payload"[..]));
        assert_eq!(read.length(), bytes.len());
        for place in [Place { segment: 4, ..PLACE }, Place { offset: 1_001, ..PLACE }] {
            assert!(parse(&bytes, place).is_none(), "{place:?}");
        }
    }

    #[test]
    fn a_frame_with_a_changed_bit_or_cut_short_is_none() {
        let whole = frame(b"payload");
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&changed, PLACE).is_none(), "bit {bit}");
        }
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], PLACE).is_none(), "cut to {length}");
        }
    }

    #[test]
    fn a_valid_frame_is_found_behind_bytes_that_are_none() {
        let mut bytes = vec![b'S'; 1_000];
        assert!(!is_followed(&bytes, 3, 0));
        bytes.extend(frame(b"SRgrSRgr"));
        assert!(is_followed(&bytes, 3, 0) && is_followed(&bytes, 3, 1_000));
        assert!(!is_followed(&bytes, 3, 1_001) && !is_followed(&bytes, 4, 0));
    }
}
