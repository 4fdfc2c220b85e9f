//! The steps of a shred batch, each a value that the next one takes: a test may stop after any.

use std::sync::Arc;

use strongroom_crypto::Key;
use strongroom_storage::keyspace;
use strongroom_storage::{Batch, StoreError};
use tokio::sync::OwnedMutexGuard;

use crate::holders::Shares;
use crate::keyring::Keyring;
use crate::outcome::HolderReport;
use crate::rekey::{Rekeyed, ShredPlan};
use crate::rows::{BatchRecord, BatchState, ClearRow, InForce, Versioned};
use crate::secrets::{Changed, Secrets};
use crate::walk::ATTEMPTS;
use crate::{KeyError, Result};

/// Step 0 done: the batch has a number that nothing else has or will have.
pub struct OpenBatch {
    _gate: OwnedMutexGuard<()>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) record: Versioned<BatchRecord>,
    pub(crate) in_force: Versioned<InForce>,
}

/// Step 2 done: every class has a holder that keeps a fresh share beside the old one.
pub struct InstalledBatch {
    open: OpenBatch,
    shares: Shares,
    root: Key,
}

/// Step 3 done: the nodes stand under the new root secret; the old one still exists.
pub struct CommittedBatch {
    open: OpenBatch,
    shares: Shares,
    nodes: usize,
}

impl OpenBatch {
    /// The number in force when the batch was opened.
    pub fn number_before(&self) -> u64 {
        self.in_force.value.number
    }

    /// The batch's number.
    pub fn number_after(&self) -> u64 {
        self.record.value.number
    }
}

impl CommittedBatch {
    /// The number in force before the batch, and its own.
    pub fn numbers(&self) -> (u64, u64) {
        (self.open.number_before(), self.open.number_after())
    }

    /// How many nodes got new keys.
    pub fn nodes_rekeyed(&self) -> usize {
        self.nodes
    }
}

impl Keyring {
    /// Step 0: takes the next number in the batch row, after ending a batch that had not ended.
    ///
    /// # Errors
    /// [`KeyError::Locked`]; [`KeyError::Overtaken`] if another coordinator was faster;
    /// [`KeyError::Unavailable`].
    pub async fn open_batch(&self) -> Result<OpenBatch> {
        let gate = Arc::clone(&self.core.batch_gate).lock_owned().await;
        let secrets = self.secrets()?;
        let (in_force, last) = self.protocol_rows().await?;
        let (in_force, last) = if last.value.state.has_ended() {
            (in_force, last)
        } else {
            self.recover(&secrets).await?;
            self.protocol_rows().await?
        };
        let record = BatchRecord {
            state: BatchState::Open,
            number: last.value.number.saturating_add(1),
            coordinator: self.new_coordinator()?,
            token: last.value.token.saturating_add(1),
        };
        let version = self.advance(last.version, record, Batch::new()).await?;
        let record = Versioned { value: record, version };
        Ok(OpenBatch { _gate: gate, secrets, record, in_force })
    }

    /// Step 2: fresh shares, beside the old, read back; every class needs one holder that keeps it.
    /// Before that, holders that were behind catch up and forget what they should have forgotten.
    ///
    /// # Errors
    /// [`KeyError::HoldersUnavailable`]; [`KeyError::WrongSealKey`] or [`KeyError::Damaged`] if the
    /// share in force can no longer be read.
    pub async fn install_shares(&self, open: OpenBatch) -> Result<InstalledBatch> {
        let (before, after) = (open.number_before(), open.number_after());
        let seal = &open.secrets.seal;
        let present = self.load_shares(seal, before).await?;
        self.settle(seal, &present, before, after).await;
        let shares = self.new_shares()?;
        if !self.install_everywhere(seal, &shares, after).await {
            return Err(KeyError::HoldersUnavailable);
        }
        let root = self.root_of(after, &shares)?;
        Ok(InstalledBatch { open, shares, root })
    }

    /// Step 3: one commit with the re-keyed paths, the tombstones and the number.
    ///
    /// # Errors
    /// [`KeyError::Overtaken`] if the batch is no longer this coordinator's; [`KeyError::Unknown`] if
    /// a target never existed; [`KeyError::Unavailable`] if it is not known whether the commit took
    /// place: recovery will see.
    pub async fn commit_nodes(
        &self,
        installed: InstalledBatch,
        plan: &ShredPlan,
    ) -> Result<CommittedBatch> {
        let InstalledBatch { mut open, shares, root } = installed;
        let root = Arc::new(root);
        open.secrets.add_root(open.number_after(), Arc::clone(&root));
        let mut last = KeyError::Conflict;
        for _ in 0..ATTEMPTS {
            match self.try_commit(&mut open, &root, plan).await {
                Ok(nodes) => return Ok(CommittedBatch { open, shares, nodes }),
                // Something took slots meanwhile, or the trees were read in two snapshots.
                Err(error @ (KeyError::Conflict | KeyError::Damaged(_))) => last = error,
                Err(error) => return Err(error),
            }
            tokio::task::yield_now().await;
        }
        Err(last)
    }

    /// Step 4: every holder overwrites what is not the new share, having just read that back.
    pub async fn forget_old(&self, committed: &CommittedBatch) -> Vec<HolderReport> {
        let number = committed.open.number_after();
        self.settle(&committed.open.secrets.seal, &committed.shares, number, number).await
    }

    /// Closes the batch: another may begin.
    ///
    /// # Errors
    /// [`KeyError::Overtaken`], [`KeyError::Unavailable`]: recovery closes it then.
    pub async fn close_batch(&self, committed: CommittedBatch) -> Result<()> {
        let record = BatchRecord { state: BatchState::Done, ..committed.open.record.value };
        self.advance(committed.open.record.version, record, Batch::new()).await.map(drop)
    }

    async fn try_commit(
        &self,
        open: &mut OpenBatch,
        new_root: &Arc<Key>,
        plan: &ShredPlan,
    ) -> Result<usize> {
        let (before, after) = (open.number_before(), open.number_after());
        let root = open.secrets.root(before).ok_or(KeyError::Conflict)?;
        let Rekeyed { mut batch, changed, nodes } =
            self.rekey(&root, new_root, (before, after), plan).await?;
        let in_force = InForce { number: after, ..open.in_force.value.clone() };
        batch.expect_version(keyspace::committed_number(), open.in_force.version);
        batch.put(keyspace::committed_number(), open.in_force.version + 1, in_force.encode());
        let record = BatchRecord { state: BatchState::Forgetting, ..open.record.value };

        // Whatever becomes of the commit, and of this future, nothing stays in memory from before.
        let invalidation = Invalidation { secrets: Arc::clone(&open.secrets), changed };
        let version = self.advance(open.record.version, record, batch).await?;
        drop(invalidation);
        open.record = Versioned { value: record, version };
        open.secrets.keep_root(after);
        self.core.number.store(after, std::sync::atomic::Ordering::SeqCst);
        Ok(nodes)
    }

    /// Commits a batch together with a new state of the batch row, whose version must still be the
    /// given one. If the store does not say whether it took place, the row is read: only this
    /// coordinator could have written it.
    ///
    /// # Errors
    /// [`KeyError::Overtaken`] if the row is another coordinator's; [`KeyError::Conflict`] if some
    /// other precondition failed.
    pub(crate) async fn advance(
        &self,
        version: u64,
        record: BatchRecord,
        mut batch: Batch,
    ) -> Result<u64> {
        let value = record.encode();
        batch.expect_version(keyspace::batch_row(), version);
        batch.put(keyspace::batch_row(), version + 1, value.clone());
        let Err(error) = self.core.store.commit(batch).await else { return Ok(version + 1) };
        match error {
            StoreError::Conflict | StoreError::Unavailable(_) => {}
            StoreError::Refused(_) | StoreError::Full | StoreError::Damaged(_) => {
                return Err(error.into());
            }
        }
        let [row] = self.rows([keyspace::batch_row()]).await?;
        match row {
            Some(row) if row.version == version + 1 && row.value == value => Ok(row.version),
            Some(row) if row.version == version => Err(error.into()),
            Some(_) | None => Err(KeyError::Overtaken),
        }
    }

    pub(crate) fn new_coordinator(&self) -> Result<[u8; 16]> {
        let mut coordinator = [0; 16];
        self.core.rng.fill(&mut coordinator)?;
        Ok(coordinator)
    }
}

/// Drops from memory what a commit changes, when it is itself dropped.
struct Invalidation {
    secrets: Arc<Secrets>,
    changed: Changed,
}

impl Drop for Invalidation {
    fn drop(&mut self) {
        self.secrets.invalidate(&self.changed);
    }
}
