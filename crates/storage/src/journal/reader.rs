//! Reading the journal: line by line from a position, up to what is durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::Shared;
use super::frame::{FRAME_HEADER_BYTES, Header};
use super::segment::{self, HEADER_BYTES};
use crate::line::AppendPosition;

/// Why the journal was not read.
pub(crate) enum ReadError {
    /// The operating system refuses.
    Io,
    /// The bytes are not what was written.
    Damaged,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Damaged } else { Self::Io }
    }
}

/// Gives every durable line after `position`, with the position after it, to `take`, until that
/// says that it has enough.
pub(crate) fn read(
    shared: &Shared,
    position: AppendPosition,
    mut take: impl FnMut(AppendPosition, &Bytes) -> bool,
) -> Result<(), ReadError> {
    let durable = shared.durable();
    let first = position.segment.max(1);
    for number in first..=durable.segment {
        let file = File::open(segment::path(&shared.folder, number))?;
        let length = file.metadata()?.len();
        let end = if number == durable.segment {
            durable.length
        } else {
            u32::try_from(length).map_err(|_| ReadError::Damaged)?
        };
        let (mut offset, mut seen) = if number == position.segment {
            (position.offset.max(HEADER_BYTES), position.index)
        } else {
            (HEADER_BYTES, 0)
        };
        check_segment(&file, number)?;
        while offset < end {
            let (lines, frame_length) = read_frame(&file, number, offset, end)?;
            for (index, line) in (0u32..).zip(&lines).skip(usize_of(seen)) {
                let after = AppendPosition { segment: number, offset, index: index + 1 };
                if !take(after, line) {
                    return Ok(());
                }
            }
            offset += frame_length;
            seen = 0;
        }
    }
    Ok(())
}

fn check_segment(file: &File, number: u32) -> Result<(), ReadError> {
    let mut header = vec![0; usize_of(HEADER_BYTES)];
    file.read_exact_at(&mut header, 0)?;
    if segment::check_header(&header, number) { Ok(()) } else { Err(ReadError::Damaged) }
}

fn read_frame(
    file: &File,
    number: u32,
    offset: u32,
    end: u32,
) -> Result<(Vec<Bytes>, u32), ReadError> {
    let mut header = vec![0; usize_of(FRAME_HEADER_BYTES)];
    file.read_exact_at(&mut header, offset.into())?;
    let header = Header::parse(&header).ok_or(ReadError::Damaged)?;
    let length = FRAME_HEADER_BYTES + header.payload;
    if length > end.saturating_sub(offset) {
        return Err(ReadError::Damaged);
    }
    let mut payload = vec![0; usize_of(header.payload)];
    file.read_exact_at(&mut payload, u64::from(offset) + u64::from(FRAME_HEADER_BYTES))?;
    let lines = header.lines(number, offset, &payload.into()).ok_or(ReadError::Damaged)?;
    Ok((lines, length))
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
