//! Tombstones: the durable record of what is to be erased, is being erased, and was erased.

use std::collections::BTreeMap;

use strongroom_crypto::layout::{Reader, Writer};
use strongroom_model::TenantId;
use strongroom_storage::RowKey;
use strongroom_storage::keyspace::{self, RowKind};

use crate::rows::ClearRow;
use crate::tree::Half;

/// Something to be erased, and the opaque id it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tombstone {
    /// Whose it is.
    pub tenant: TenantId,
    /// The kind of row that the id names.
    pub kind: RowKind,
    /// The id of the record, subject, collection, user or tenant; the keyring does not look at it.
    pub id: [u8; 16],
    /// Tells several leaves or trees of one id apart, 0 for the first. [`ShredTarget::Numbers`] has
    /// its numbers for that.
    pub part: u32,
    /// The keys that die.
    pub target: ShredTarget,
}

/// The keys that die.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShredTarget {
    /// The key of one slot, and everything that is derived from it.
    Leaf {
        /// In which tree.
        half: Half,
        /// Which slot.
        slot: u64,
    },
    /// Some numbers under the seed of a slot.
    Numbers {
        /// In which tree.
        half: Half,
        /// The seed's slot.
        slot: u64,
        /// The numbers; each makes a tombstone of its own.
        numbers: Vec<u32>,
    },
    /// One of the tenant's two trees, whole.
    Tenant {
        /// Which one.
        half: Half,
    },
}

/// How far an erasure has come. The version of a tombstone's row counts its states from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TombstoneState {
    /// Access is closed.
    Pending,
    /// The nodes no longer lead to the key; the old root secret may still exist.
    Erasing,
    /// The key is gone.
    Erased,
}

impl TombstoneState {
    const fn number(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Erasing => 1,
            Self::Erased => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Pending),
            1 => Some(Self::Erasing),
            2 => Some(Self::Erased),
            _ => None,
        }
    }

    /// The version of the row in this state.
    pub(crate) const fn version(self) -> u64 {
        match self {
            Self::Pending => 1,
            Self::Erasing => 2,
            Self::Erased => 3,
        }
    }
}

/// What one row says is erased. A number stands in the row's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doomed {
    Leaf { half: Half, slot: u64 },
    Number { half: Half, slot: u64 },
    Tree { half: Half },
}

/// One row: `state u8 | what u8 | tree u8 | slot u64 | before u64 | after u64`; `before` and `after`
/// are the numbers of the batch, zero while pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TombstoneRow {
    pub(crate) state: TombstoneState,
    pub(crate) doomed: Doomed,
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl ClearRow for TombstoneRow {
    const WHAT: &'static str = "a tombstone is not one";

    fn write(&self, to: &mut Writer) {
        let (what, half, slot) = match self.doomed {
            Doomed::Leaf { half, slot } => (0, half, slot),
            Doomed::Number { half, slot } => (1, half, slot),
            Doomed::Tree { half } => (2, half, 0),
        };
        to.u8(self.state.number()).u8(what).u8(half.tree().number()).u64(slot);
        to.u64(self.before).u64(self.after);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let state = TombstoneState::from_number(from.u8()?)?;
        let what = from.u8()?;
        let half = Half::of(keyspace::Tree::from_number(from.u8()?)?)?;
        let slot = from.u64()?;
        let doomed = match (what, slot) {
            (0, slot) => Doomed::Leaf { half, slot },
            (1, slot) => Doomed::Number { half, slot },
            (2, 0) => Doomed::Tree { half },
            _ => return None,
        };
        Some(Self { state, doomed, before: from.u64()?, after: from.u64()? })
    }
}

impl Tombstone {
    /// The rows that say so: one, or one for each number.
    pub(crate) fn rows(&self) -> Vec<(RowKey, Doomed)> {
        let key = |number| keyspace::tombstone(self.tenant, self.kind, &self.id, number);
        match &self.target {
            ShredTarget::Leaf { half, slot } => {
                vec![(key(self.part), Doomed::Leaf { half: *half, slot: *slot })]
            }
            ShredTarget::Numbers { half, slot, numbers } => numbers
                .iter()
                .map(|number| (key(*number), Doomed::Number { half: *half, slot: *slot }))
                .collect(),
            ShredTarget::Tenant { half } => vec![(key(self.part), Doomed::Tree { half: *half })],
        }
    }

    /// The tombstones that some rows make up; numbers of one id and seed come together again.
    pub(crate) fn gather(rows: Vec<(RowKey, Doomed)>) -> Vec<Self> {
        type Seed = (TenantId, RowKind, [u8; 16], Half, u64);
        let mut whole = Vec::new();
        let mut numbers: BTreeMap<Seed, Vec<u32>> = BTreeMap::new();
        for (key, doomed) in rows {
            let Some((tenant, kind, id, part)) = keyspace::parse_tombstone(&key) else { continue };
            let target = match doomed {
                Doomed::Leaf { half, slot } => ShredTarget::Leaf { half, slot },
                Doomed::Tree { half } => ShredTarget::Tenant { half },
                Doomed::Number { half, slot } => {
                    numbers.entry((tenant, kind, id, half, slot)).or_default().push(part);
                    continue;
                }
            };
            whole.push(Self { tenant, kind, id, part, target });
        }
        whole.extend(numbers.into_iter().map(|((tenant, kind, id, half, slot), numbers)| Self {
            tenant,
            kind,
            id,
            part: 0,
            target: ShredTarget::Numbers { half, slot, numbers },
        }));
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_reads_back_from_its_rows() {
        let tenant = TenantId::from_bytes([1; 16]);
        let stone = |part, target| Tombstone {
            tenant,
            kind: RowKind::SubjectHead,
            id: [3; 16],
            part,
            target,
        };
        let stones = vec![
            stone(0, ShredTarget::Leaf { half: Half::Data, slot: 17 }),
            stone(1, ShredTarget::Tenant { half: Half::Account }),
            stone(0, ShredTarget::Numbers { half: Half::Data, slot: 18, numbers: vec![16, 99] }),
        ];
        let rows: Vec<_> = stones.iter().flat_map(Tombstone::rows).collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(Tombstone::gather(rows), stones);
    }

    #[test]
    fn a_tombstone_row_has_the_bytes_of_the_format_page() {
        for (doomed, hex) in [
            (
                Doomed::Leaf { half: Half::Data, slot: 17 },
                "0101".to_owned() + "00" + "02" + "0000000000000011",
            ),
            (
                Doomed::Number { half: Half::Account, slot: 1 },
                "0101".to_owned() + "01" + "01" + "0000000000000001",
            ),
            (
                Doomed::Tree { half: Half::Data },
                "0101".to_owned() + "02" + "02" + "0000000000000000",
            ),
        ] {
            let row = TombstoneRow { state: TombstoneState::Erasing, doomed, before: 4, after: 6 };
            let bytes = row.encode();
            let shown = format!("{:?}", RowKey::new(bytes.clone()));
            assert_eq!(shown, hex + "0000000000000004" + "0000000000000006");
            assert_eq!(TombstoneRow::decode(&bytes), Ok(row));
        }
    }
}
