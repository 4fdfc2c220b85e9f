//! A store that shows in traces how long it takes to make something durable.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_storage::{
    Batch, Committed, Description, Expect, KeyRange, Line, LinePosition, LineRange, Row, RowKey,
    Store, StoreError, Sums,
};
use strongroom_vault::SPANS;
use tracing::Instrument;

/// Another store, with a span around each commit and each append.
pub(super) struct TracedStore(pub(super) Arc<dyn Store>);

#[async_trait]
impl Store for TracedStore {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.0.get_many(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.0.scan(range, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let span = tracing::info_span!(target: SPANS, "commit");
        self.0.commit(batch).instrument(span).await
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        let span = tracing::info_span!(target: SPANS, "append");
        self.0.append(lines, facts).instrument(span).await
    }

    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, bytes::Bytes)>, StoreError> {
        self.0.read_lines(range).await
    }

    fn sums(&self) -> &Sums {
        self.0.sums()
    }

    fn describe(&self) -> Description {
        self.0.describe()
    }
}
