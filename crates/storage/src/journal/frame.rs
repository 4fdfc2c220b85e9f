//! One frame: a group of lines that was written and synced together.
//!
//! `magic 4 | payload bytes u32 | lines u32 | crc32 u32 | payload`, the payload being `length u32 |
//! line` for each line. The checksum covers the frame's place, so that a frame is valid nowhere
//! else.

use bytes::{BufMut, Bytes, BytesMut};

/// What a frame begins with.
const MAGIC: [u8; 4] = *b"SRfr";
/// Bytes before the payload.
pub(super) const FRAME_HEADER_BYTES: u32 = 16;
/// Longest payload, so that a frame is read with bounded memory.
pub(crate) const PAYLOAD_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// A frame's header, whose place and checksum have not been compared yet.
pub(super) struct Header {
    pub(super) payload: u32,
    lines: u32,
    checksum: u32,
}

impl Header {
    /// Reads a header; none if there is none or it announces more than a frame holds.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC.as_slice())?;
        let (payload, rest) = rest.split_first_chunk::<4>()?;
        let (lines, rest) = rest.split_first_chunk::<4>()?;
        let checksum = rest.first_chunk::<4>()?;
        let header = Self {
            payload: u32::from_be_bytes(*payload),
            lines: u32::from_be_bytes(*lines),
            checksum: u32::from_be_bytes(*checksum),
        };
        (header.payload <= PAYLOAD_BYTES_MAX).then_some(header)
    }

    /// The lines, if these are the bytes that were written at this place.
    pub(super) fn lines(&self, segment: u32, offset: u32, payload: &Bytes) -> Option<Vec<Bytes>> {
        if self.checksum != checksum(segment, offset, self.lines, payload) {
            return None;
        }
        let mut lines = Vec::new();
        let mut at = 0usize;
        while at < payload.len() {
            let length = payload.get(at..at.checked_add(4)?)?.first_chunk::<4>()?;
            let end = (at + 4).checked_add(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            if end > payload.len() {
                return None;
            }
            lines.push(payload.slice(at + 4..end));
            at = end;
        }
        (u32::try_from(lines.len()) == Ok(self.lines)).then_some(lines)
    }
}

/// Bytes of the frame of these lines.
pub(super) fn length(lines: &[Bytes]) -> u32 {
    let payload: usize = lines.iter().map(|line| line.len() + 4).sum();
    FRAME_HEADER_BYTES.saturating_add(u32::try_from(payload).unwrap_or(u32::MAX))
}

/// The frame of these lines at this place.
pub(super) fn encode(segment: u32, offset: u32, lines: &[Bytes]) -> BytesMut {
    let mut payload = BytesMut::new();
    for line in lines {
        payload.put_u32(u32::try_from(line.len()).unwrap_or(u32::MAX));
        payload.put_slice(line);
    }
    let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let mut frame = BytesMut::with_capacity(payload.len() + 16);
    frame.put_slice(&MAGIC);
    frame.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    frame.put_u32(count);
    frame.put_u32(checksum(segment, offset, count, &payload));
    frame.put_slice(&payload);
    frame
}

/// Where in `bytes` a magic stands at or after `from`.
pub(super) fn find_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(MAGIC.len()).position(|window| window == MAGIC).map(|found| from + found)
}

/// A frame with its checksum put right, read in a place and written again there: for the fuzz target.
pub(crate) fn reread(bytes: &[u8]) -> Option<Vec<u8>> {
    const PLACE: (u32, u32) = (3, 1_000);
    let (head, payload) = bytes.split_at_checked(FRAME_HEADER_BYTES as usize)?;
    let header = Header::parse(head)?;
    if header.payload as usize != payload.len() {
        return None;
    }
    let right = checksum(PLACE.0, PLACE.1, header.lines, payload);
    let lines = Header { checksum: right, ..header }.lines(
        PLACE.0,
        PLACE.1,
        &Bytes::copy_from_slice(payload),
    )?;
    Some(encode(PLACE.0, PLACE.1, &lines).to_vec())
}

fn checksum(segment: u32, offset: u32, lines: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_be_bytes());
    hasher.update(&offset.to_be_bytes());
    hasher.update(&lines.to_be_bytes());
    hasher.update(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}
