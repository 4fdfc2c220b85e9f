//! A store that stops working when a test wants it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_storage::{
    Batch, Committed, Description, Expect, KeyRange, Line, LinePosition, LineRange, Row, RowKey,
    Store, StoreError, Sums,
};

/// What does not work at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Everything works.
    None,
    /// Lines of reads cannot be made durable.
    Append,
    /// Batches cannot be made durable: the disk is full.
    Commit,
    /// Nothing can be reached.
    Everything,
}

/// The switch of such a store.
#[derive(Debug, Default)]
pub struct Faults(AtomicU8);

impl Faults {
    /// From now on this does not work.
    pub fn set(&self, fault: Fault) {
        self.0.store(fault as u8, Ordering::SeqCst);
    }

    fn check(&self, faults: &[Fault], error: StoreError) -> Result<(), StoreError> {
        let now = self.0.load(Ordering::SeqCst);
        if faults.iter().any(|fault| *fault as u8 == now) { Err(error) } else { Ok(()) }
    }

    fn check_reach(&self) -> Result<(), StoreError> {
        self.check(&[Fault::Everything], StoreError::Unavailable("it is a test"))
    }
}

/// A store with a switch.
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) faults: Arc<Faults>,
}

#[async_trait]
impl Store for Faulty {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.faults.check_reach()?;
        self.inner.get_many(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.faults.check_reach()?;
        self.inner.scan(range, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        self.faults.check_reach()?;
        self.faults.check(&[Fault::Commit], StoreError::Full)?;
        self.inner.commit(batch).await
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        self.faults.check_reach()?;
        self.faults.check(&[Fault::Append], StoreError::Unavailable("it is a test"))?;
        self.inner.append(lines, facts).await
    }

    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
        self.faults.check_reach()?;
        self.inner.read_lines(range).await
    }

    fn sums(&self) -> &Sums {
        self.inner.sums()
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }
}
