//! A store that hands everything that is written to it to the adversary. It stands by itself, so that tests of
//! rooms below this crate take it by its path.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_adversary::Evidence;
use strongroom_storage::{
    Batch, Committed, Description, Expect, KeyRange, Line, LinePosition, LineRange, Row, RowKey,
    Store, StoreError, Sums,
};

/// The store with its recorder: rows are noted before they are committed, also those that never are.
pub struct Recorder {
    inner: Arc<dyn Store>,
    evidence: Arc<Mutex<Evidence>>,
}

impl Recorder {
    /// Notes what is written to a store.
    pub fn new(inner: Arc<dyn Store>, evidence: Arc<Mutex<Evidence>>) -> Self {
        Self { inner, evidence }
    }

    fn note(&self, batch: &Batch) {
        let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, version, value) in batch.writes() {
            evidence.row(key.as_bytes(), version, value);
        }
    }
}

#[async_trait]
impl Store for Recorder {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.inner.scan(range, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        self.note(&batch);
        self.inner.commit(batch).await
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        self.inner.append(lines, facts).await
    }

    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
        self.inner.read_lines(range).await
    }

    fn sums(&self) -> &Sums {
        self.inner.sums()
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }
}
