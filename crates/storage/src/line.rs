//! Lines of the audit journal: sealed where their place becomes known, chained per node and tenant.

use bytes::Bytes;
use strongroom_model::TenantId;

/// A line of the audit journal before its place is known. The store calls `seal` once, inside the
/// section that orders commits, because a line's nonce and associated data are its place in the
/// chain. It must not block.
pub trait Line: Send {
    /// Whose log it belongs to.
    fn tenant(&self) -> TenantId;

    /// The whole sealed line: it begins with `tenant 16 | node u32 | n u64` as given, and ends
    /// with the 16 bytes of its authentication tag (`docs/formats/audit-line.md`).
    fn seal(&self, place: &LinePlace) -> Bytes;
}

/// Where a line will stand in the chain of its node and tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinePlace {
    /// The writer of the chain: a number that is new at every start, and different for the lines
    /// of commits and the lines of appends.
    pub node: u32,
    /// Counts the lines of this node and tenant from 0, without gaps.
    pub n: u64,
    /// The tag of the line before, zeros for the first.
    pub previous_tag: [u8; 16],
}

/// Where a durable line stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinePlaced {
    /// The writer of the chain.
    pub node: u32,
    /// Its number in the chain.
    pub n: u64,
    /// Its authentication tag.
    pub tag: [u8; 16],
}

/// How far somebody has read the journal. Opaque; it grows along one reading and is good for the
/// store that gave it, also after it was opened again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LinePosition {
    /// Lines of commits before this one.
    pub(crate) commits: u64,
    /// Where the next line of an append begins: a segment, a frame, and a line in the frame.
    pub(crate) appends: AppendPosition,
}

/// A place in the lane of appends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct AppendPosition {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) index: u32,
}

impl LinePosition {
    /// Before the first line.
    pub const START: Self =
        Self { commits: 0, appends: AppendPosition { segment: 0, offset: 0, index: 0 } };

    /// The same place in the lane of appends, and that of another position in the lane of commits.
    #[must_use]
    pub const fn with_commits_of(self, other: Self) -> Self {
        Self { commits: other.commits, ..self }
    }

    /// Whether the line that brought a reading from `before` to here is one of a commit.
    pub const fn is_of_commit(self, before: Self) -> bool {
        self.commits != before.commits
    }

    /// Whether the line that brought a reading from `before` to here is one of those that whoever had
    /// read as far as `end` has read.
    pub fn is_within(self, before: Self, end: Self) -> bool {
        if self.is_of_commit(before) {
            self.commits <= end.commits
        } else {
            self.appends <= end.appends
        }
    }

    /// Its 20 bytes, to be kept or sealed into a cursor: `commits u64 | segment u32 | offset u32 |
    /// index u32`.
    pub fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let parts = self.commits.to_be_bytes().into_iter().chain(
            [self.appends.segment, self.appends.offset, self.appends.index]
                .into_iter()
                .flat_map(u32::to_be_bytes),
        );
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        bytes
    }

    /// The position with these bytes.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        let part = |at: usize| {
            let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
            u32::from_be_bytes(bytes.copied().unwrap_or_default())
        };
        Self {
            commits: u64::from(part(0)) << 32 | u64::from(part(4)),
            appends: AppendPosition { segment: part(8), offset: part(12), index: part(16) },
        }
    }
}

/// Which lines to read. Both lanes are read: first the lines of commits, then those of appends,
/// each in the order in which they became durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineRange {
    /// Of this tenant only; of all if none.
    pub tenant: Option<TenantId>,
    /// Only lines after this position, which came with the last line read.
    pub after: LinePosition,
    /// At most this many, up to [`crate::PAGE_MAX`].
    pub limit: usize,
}

impl LineRange {
    /// Lines of all tenants.
    pub fn all(after: LinePosition, limit: usize) -> Self {
        Self { tenant: None, after, limit }
    }

    /// Lines of one tenant.
    pub fn of(tenant: TenantId, after: LinePosition, limit: usize) -> Self {
        Self { tenant: Some(tenant), after, limit }
    }

    /// Whether the line belongs to the tenant asked for: a sealed line begins with its tenant.
    pub(crate) fn wants(&self, line: &[u8]) -> bool {
        self.tenant.is_none_or(|tenant| line.starts_with(tenant.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_from_its_bytes() {
        let position = LinePosition {
            commits: 0x0102_0304_0506_0708,
            appends: AppendPosition { segment: 9, offset: 0x0A0B_0C0D, index: 14 },
        };
        assert_eq!(LinePosition::from_bytes(position.to_bytes()), position);
        assert_eq!(LinePosition::START.to_bytes(), [0; 20]);
    }
}
