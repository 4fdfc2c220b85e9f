//! What every engine promises.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Batch, Expect, KeyRange, Line, LinePlaced, LinePosition, LineRange, Row, RowKey, StoreError,
    Sums,
};

/// Most keys of one [`Store::get_many`].
pub const KEYS_MAX: usize = 65_536;
/// Most rows of one [`Store::scan`] and most lines of one [`Store::read_lines`].
pub const PAGE_MAX: usize = 10_000;

/// An ordered, transactional, durable key-value store with a journal of audit lines beside it.
///
/// A call that was sent goes on when its future is dropped: whether it took place is then seen by
/// reading. Readers see durable state only.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The rows under these keys, in their order, of one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Refused`] above [`KEYS_MAX`]; [`StoreError::Unavailable`] or
    /// [`StoreError::Damaged`] if the store cannot be read.
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError>;

    /// The first `limit` rows of a range, in its direction, of one snapshot. Fewer than `limit`
    /// means that the range has ended.
    ///
    /// # Errors
    /// [`StoreError::Refused`] above [`PAGE_MAX`]; otherwise as [`Store::get_many`].
    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError>;

    /// Makes a batch durable: all of it, its lines included, or nothing. The lines of a batch that
    /// fails take no number.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a precondition does not hold where commits are ordered, or a
    /// version would not grow; [`StoreError::Refused`] for a batch that could never be committed;
    /// [`StoreError::Full`] if there is no room. Nothing has changed then.
    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError>;

    /// Makes lines durable, if all facts are the newest where commits are ordered.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a fact is no longer the newest, also if the commit that changes
    /// it is ordered but not yet durable: the answer then comes when it is, so that reading again
    /// shows the change. Otherwise as [`Store::commit`].
    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError>;

    /// Durable lines with their positions; the next page begins after the last of them. An empty
    /// page means that there are no more for now.
    ///
    /// # Errors
    /// As [`Store::scan`].
    async fn read_lines(&self, range: &LineRange)
    -> Result<Vec<(LinePosition, Bytes)>, StoreError>;

    /// Whether its changes are summed; whoever passes a store on passes this on.
    fn sums(&self) -> &Sums;

    /// What it is and how much it has done.
    fn describe(&self) -> Description;
}

/// What a store is and how much it has done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Description {
    /// The engine's name, as in a store's URL.
    pub engine: &'static str,
    /// Groups of batches that were made durable together.
    pub commit_groups: u64,
    /// Groups of appends that were made durable together.
    pub append_groups: u64,
    /// Times that a file was synced to its disk.
    pub syncs: u64,
}

/// Proof that something is durable, with the places of its lines. Only a store makes it, and it is
/// used up by value.
#[derive(Debug)]
pub struct Committed {
    places: Vec<LinePlaced>,
}

impl Committed {
    pub(crate) fn new(places: Vec<LinePlaced>) -> Self {
        Self { places }
    }

    /// Where its lines stand, in the order in which they were given. Empty if there were none.
    pub fn places(&self) -> &[LinePlaced] {
        &self.places
    }
}
