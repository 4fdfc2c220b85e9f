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

/// The store with its recorder.
pub(crate) struct Recorder {
    inner: Arc<dyn Store>,
    evidence: Arc<Mutex<Evidence>>,
    /// Also what the store refused, because something else had changed meanwhile: it never writes that.
    with_refused: bool,
}

impl Recorder {
    /// Notes what a store writes, with `with_refused` all that it is asked to.
    pub(crate) fn new(
        inner: Arc<dyn Store>,
        evidence: Arc<Mutex<Evidence>>,
        with_refused: bool,
    ) -> Self {
        Self { inner, evidence, with_refused }
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
        let written: Vec<_> = batch
            .writes()
            .map(|(key, version, value)| (key.clone(), version, value.to_vec()))
            .collect();
        let committed = self.inner.commit(batch).await;
        if self.with_refused || !matches!(committed, Err(StoreError::Conflict)) {
            let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, version, value) in written {
                evidence.row(key.as_bytes(), version, &value);
            }
        }
        committed
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
