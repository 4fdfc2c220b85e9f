//! What a group of batches comes to: pure, given the versions of the rows that it asks about.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use strongroom_model::TenantId;

use super::lane::Job;
use crate::chain::Chain;
use crate::sums::{self, Summation};
use crate::{BATCH_BYTES_MAX, Batch, Expect, LinePlaced, Row, RowKey, StoreError};

/// What becomes of a batch once its group is durable.
pub(super) type Verdict = Result<Vec<LinePlaced>, StoreError>;

/// What a row becomes.
pub(super) enum Change {
    /// It stands so.
    Put { version: u64, value: Bytes },
    /// It is gone.
    Delete,
}

/// What a group of batches comes to.
#[derive(Default)]
pub(super) struct Group {
    pub(super) verdicts: Vec<Verdict>,
    /// The rows that its accepted batches change, as they stand after all of them.
    pub(super) changes: BTreeMap<RowKey, Change>,
    /// The lines of its accepted batches, sealed.
    pub(super) lines: Vec<(TenantId, Bytes)>,
}

impl Group {
    /// Judges each batch against what the ones before it made of the rows, and seals the lines of
    /// those that it accepts.
    pub(super) fn judge(jobs: &[Job], stored: &HashMap<RowKey, u64>, chain: &mut Chain) -> Self {
        let mut group = Self::default();
        for job in jobs {
            let verdict = group.verdict(&job.batch, stored, chain);
            group.verdicts.push(verdict);
        }
        group
    }

    /// Adds what its changes make of the sums over rows.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a sum that is stored is none.
    pub(super) fn sum(
        &mut self,
        summation: &Summation,
        stored: &HashMap<RowKey, u64>,
        rows: &HashMap<RowKey, Row>,
    ) -> Result<(), StoreError> {
        let changes = self.changes.iter().map(|(key, change)| {
            let after = match change {
                Change::Put { version, value } => Some((*version, &**value)),
                Change::Delete => None,
            };
            (key, sums::Change { before: stored.get(key).copied(), after })
        });
        for (key, row) in summation.fold(changes, rows)? {
            let change = match row {
                Some(Row { version, value }) => Change::Put { version, value },
                None => Change::Delete,
            };
            self.changes.insert(key, change);
        }
        Ok(())
    }

    /// Whether the store is another one after it.
    pub(super) fn is_change(&self) -> bool {
        !self.changes.is_empty() || !self.lines.is_empty()
    }

    fn verdict(
        &mut self,
        batch: &Batch,
        stored: &HashMap<RowKey, u64>,
        chain: &mut Chain,
    ) -> Verdict {
        let version = |key: &RowKey| match self.changes.get(key) {
            Some(Change::Put { version, .. }) => Some(*version),
            Some(Change::Delete) => None,
            None => stored.get(key).copied(),
        };
        let holds = batch.expects.iter().all(|fact| fact.holds(version(fact.key())));
        let grows = batch
            .puts
            .iter()
            .all(|put| version(&put.key).is_none_or(|stored| put.version > stored));
        if !holds || !grows {
            return Err(StoreError::Conflict);
        }
        let sealed = chain.seal(&batch.lines, BATCH_BYTES_MAX)?;
        for put in &batch.puts {
            let change = Change::Put { version: put.version, value: put.value.clone() };
            self.changes.insert(put.key.clone(), change);
        }
        for key in &batch.deletes {
            self.changes.insert(key.clone(), Change::Delete);
        }
        let tenants = batch.lines.iter().map(|line| line.tenant());
        self.lines.extend(tenants.zip(sealed.lines));
        Ok(sealed.places)
    }
}

/// The rows whose versions decide about these batches.
pub(super) fn rows_that_decide(jobs: &[Job]) -> Vec<&RowKey> {
    let keys: BTreeSet<&RowKey> = jobs
        .iter()
        .flat_map(|job| {
            let expected = job.batch.expects.iter().map(Expect::key);
            expected.chain(job.batch.changed_keys())
        })
        .collect();
    keys.into_iter().collect()
}
