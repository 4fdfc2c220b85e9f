//! The clear rows of the key state and their fixed layouts.

use strongroom_crypto::layout::{Reader, Writer};
use strongroom_model::InstallId;
use strongroom_storage::Row;

use crate::holder::HolderId;
use crate::tree::{FAN_OUT, HEIGHT_MAX, Half, capacity};
use crate::{KeyError, Result};

/// First byte of every clear row of the key state.
const FORMAT: u8 = 1;

/// A row's content with its version, for the precondition of the commit that changes it.
pub(crate) struct Versioned<T> {
    pub(crate) value: T,
    pub(crate) version: u64,
}

/// A clear row of the key state.
pub(crate) trait ClearRow: Sized {
    const WHAT: &'static str;
    fn write(&self, to: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Option<Self>;

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(FORMAT);
        self.write(&mut writer);
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        reader
            .u8()
            .filter(|format| *format == FORMAT)
            .and_then(|_| Self::read(&mut reader))
            .filter(|_| reader.end().is_some())
            .ok_or(KeyError::Damaged(Self::WHAT))
    }

    fn of(row: Option<&Row>) -> Result<Option<Versioned<Self>>> {
        row.map(|row| Ok(Versioned { value: Self::decode(&row.value)?, version: row.version }))
            .transpose()
    }
}

/// How high a tree is and which slot is handed out next: `erased u8 | height u8 | next u64`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TreeHead {
    pub(crate) erased: bool,
    pub(crate) height: u8,
    pub(crate) next: u64,
}

impl TreeHead {
    /// Whether the slot lies in a node that exists.
    pub(crate) fn covers(&self, slot: u64) -> bool {
        slot / FAN_OUT < self.next.div_ceil(FAN_OUT)
    }
}

impl ClearRow for TreeHead {
    const WHAT: &'static str = "a tree's head is not one";

    fn write(&self, to: &mut Writer) {
        to.u8(u8::from(self.erased)).u8(self.height).u64(self.next);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let erased = boolean(from.u8()?)?;
        let head = Self { erased, height: from.u8()?, next: from.u64()? };
        let sound = (1..=HEIGHT_MAX).contains(&head.height) && head.next <= capacity(head.height);
        sound.then_some(head)
    }
}

/// The slots of a tenant's trees in the root tree: `account u64 | data u64`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Halves {
    pub(crate) account: u64,
    pub(crate) data: u64,
}

impl Halves {
    pub(crate) const fn slot(&self, half: Half) -> u64 {
        match half {
            Half::Account => self.account,
            Half::Data => self.data,
        }
    }
}

impl ClearRow for Halves {
    const WHAT: &'static str = "the slots of a tenant's halves are not some";

    fn write(&self, to: &mut Writer) {
        to.u64(self.account).u64(self.data);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { account: from.u64()?, data: from.u64()? })
    }
}

/// A holder that belongs to the installation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Enrolled {
    pub(crate) id: HolderId,
    pub(crate) class: u8,
}

/// The number in force, and what it takes to make its root secret:
/// `number u64 | install 16 | count u8 | (holder 16 | class u8)*`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct InForce {
    pub(crate) number: u64,
    pub(crate) install: InstallId,
    pub(crate) holders: Vec<Enrolled>,
}

impl ClearRow for InForce {
    const WHAT: &'static str = "the number in force is not one";

    fn write(&self, to: &mut Writer) {
        to.u64(self.number).bytes(self.install.as_bytes());
        to.u8(u8::try_from(self.holders.len()).unwrap_or(u8::MAX));
        for holder in &self.holders {
            to.bytes(&holder.id.0).u8(holder.class);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (number, install) = (from.u64()?, InstallId::from_bytes(from.array()?));
        let count = from.u8()?;
        let holders = (0..count)
            .map(|_| Some(Enrolled { id: HolderId(from.array()?), class: from.u8()? }))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { number, install, holders })
    }
}

/// How far a batch has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BatchState {
    /// Its number is taken; new shares may be in some holders, the nodes are not changed.
    Open,
    /// Its nodes are committed; old shares may still be in some holders.
    Forgetting,
    /// It ended after its nodes were committed.
    Done,
    /// It ended before; its shares never count.
    Aborted,
}

impl BatchState {
    const fn number(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Forgetting => 1,
            Self::Done => 2,
            Self::Aborted => 3,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Open),
            1 => Some(Self::Forgetting),
            2 => Some(Self::Done),
            3 => Some(Self::Aborted),
            _ => None,
        }
    }

    /// Whether another batch may begin.
    pub(crate) const fn has_ended(self) -> bool {
        match self {
            Self::Open | Self::Forgetting => false,
            Self::Done | Self::Aborted => true,
        }
    }
}

/// The newest batch: `state u8 | number u64 | coordinator 16 | token u64`. Its number is the highest
/// ever used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchRecord {
    pub(crate) state: BatchState,
    pub(crate) number: u64,
    pub(crate) coordinator: [u8; 16],
    pub(crate) token: u64,
}

impl ClearRow for BatchRecord {
    const WHAT: &'static str = "the batch row is not one";

    fn write(&self, to: &mut Writer) {
        to.u8(self.state.number()).u64(self.number).bytes(&self.coordinator).u64(self.token);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            state: BatchState::from_number(from.u8()?)?,
            number: from.u64()?,
            coordinator: from.array()?,
            token: from.u64()?,
        })
    }
}

/// That a slot's key was dropped outside a batch: nothing more.
pub(crate) struct RetiredMark;

impl ClearRow for RetiredMark {
    const WHAT: &'static str = "a retired slot's row is not one";

    fn write(&self, _: &mut Writer) {}

    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }
}

pub(crate) const fn boolean(byte: u8) -> Option<bool> {
    match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_storage::RowKey;

    fn check<T: ClearRow>(value: &T, hex: &str) {
        let bytes = value.encode();
        let shown = format!("{:?}", RowKey::new(bytes.clone()));
        assert_eq!(shown, hex);
        assert_eq!(T::decode(&bytes).map(|again| again.encode()), Ok(bytes.clone()));
        for length in 0..bytes.len() {
            assert!(T::decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
        assert!(T::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        let other = [&[2], bytes.get(1..).unwrap()].concat();
        assert!(T::decode(&other).is_err(), "another format version");
    }

    #[test]
    fn clear_rows_have_the_bytes_of_the_format_page() {
        check(&TreeHead { erased: false, height: 2, next: 80 }, "0100020000000000000050");
        check(&Halves { account: 2, data: 3 }, "0100000000000000020000000000000003");
        let holder = Enrolled { id: HolderId([7; 16]), class: 1 };
        let install = InstallId::from_bytes([9; 16]);
        check(
            &InForce { number: 5, install, holders: vec![holder] },
            &format!("010000000000000005{}01{}01", "09".repeat(16), "07".repeat(16)),
        );
        let record =
            BatchRecord { state: BatchState::Aborted, number: 6, coordinator: [8; 16], token: 2 };
        check(&record, &format!("01030000000000000006{}0000000000000002", "08".repeat(16)));
        check(&RetiredMark, "01");
    }

    #[test]
    fn a_head_that_cannot_be_is_refused() {
        for (height, next) in [(0, 0), (11, 0), (1, 65)] {
            let bytes = TreeHead { erased: false, height, next }.encode();
            assert!(TreeHead::decode(&bytes).is_err());
        }
    }
}
