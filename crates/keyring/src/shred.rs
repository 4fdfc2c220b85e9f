//! Erasing keys: the fence that a caller commits, the batches, and what they come to.

use std::collections::BTreeSet;

use strongroom_model::TenantId;
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{Batch, KeyRange, RowKey};

use crate::keyring::{Keyring, put_new};
use crate::outcome::{HolderReport, ShredOutcome, is_complete};
use crate::rekey::ShredPlan;
use crate::rows::{ClearRow, RetiredMark};
use crate::tombstone::{Doomed, Tombstone, TombstoneRow, TombstoneState};
use crate::tree::{Half, Leaf};
use crate::{KeyError, Result};

/// Most tombstone rows of one shred: every number of a [`crate::ShredTarget::Numbers`] counts.
pub const TARGETS_MAX: usize = 4_096;
/// Most leaves that one batch drops; a shred of more, with its retired slots, is several batches.
const BATCH_LEAVES_MAX: usize = 2_048;
const INCOMPLETE: KeyError =
    KeyError::Refused("the old root secret was not forgotten by a whole class");

impl Keyring {
    /// Puts a leaf on the durable list of those whose keys the next batch that touches the tenant
    /// drops, with the caller's commit. Nothing may use the leaf after it.
    pub fn retire(&self, batch: &mut Batch, leaf: Leaf) {
        let key = keyspace::retired(leaf.tenant, leaf.half.tree(), leaf.slot);
        put_new(batch, key, RetiredMark.encode());
    }

    /// Step 1: writes tombstones, `pending`, with the caller's commit, which has also what keeps
    /// everybody else from using the keys. The commit is a conflict if one of them exists.
    pub fn fence(&self, batch: &mut Batch, tombstones: &[Tombstone]) {
        for (key, doomed) in tombstones.iter().flat_map(Tombstone::rows) {
            let state = TombstoneState::Pending;
            let row = TombstoneRow { state, doomed, before: 0, after: 0 };
            put_new(batch, key, row.encode());
        }
    }

    /// Step 5: sets tombstones to `erased`, with the caller's commit of the receipt.
    ///
    /// # Errors
    /// [`KeyError::Refused`] if the shred was not complete: the keys may still exist.
    pub fn finish(
        &self,
        batch: &mut Batch,
        tombstones: &[Tombstone],
        outcome: &ShredOutcome,
    ) -> Result<()> {
        if !outcome.complete {
            return Err(INCOMPLETE);
        }
        let (before, after) = (outcome.number_before, outcome.number_after);
        for (key, doomed) in tombstones.iter().flat_map(Tombstone::rows) {
            let row = TombstoneRow { state: TombstoneState::Erased, doomed, before, after };
            batch.expect_version(key.clone(), TombstoneState::Erasing.version());
            batch.put(key, TombstoneState::Erased.version(), row.encode());
        }
        Ok(())
    }

    /// Step 5 for numbers that nobody asks about again: takes their tombstones away, with the caller's
    /// commit. What is left of the seed shows that they are punctured.
    ///
    /// # Errors
    /// [`KeyError::Refused`] if the shred was not complete, or for a tombstone of anything but numbers.
    pub fn finish_and_forget(
        &self,
        batch: &mut Batch,
        tombstones: &[Tombstone],
        outcome: &ShredOutcome,
    ) -> Result<()> {
        if !outcome.complete {
            return Err(INCOMPLETE);
        }
        for (key, doomed) in tombstones.iter().flat_map(Tombstone::rows) {
            if !matches!(doomed, Doomed::Number { .. }) {
                return Err(KeyError::Refused("only tombstones of numbers are forgotten"));
            }
            batch.expect_version(key.clone(), TombstoneState::Erasing.version());
            batch.delete(key);
        }
        Ok(())
    }

    /// All tombstones that are not `erased`, for somebody who resumes after a crash.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`], [`KeyError::Damaged`].
    pub async fn tombstones_pending(&self) -> Result<Vec<Tombstone>> {
        let mut pending = Vec::new();
        for tenant in self.tenants().await? {
            let prefix = kind_prefix(tenant, RowKind::Tombstone);
            for (key, row) in self.all_rows(&prefix).await? {
                let row = TombstoneRow::decode(&row.value)?;
                match row.state {
                    TombstoneState::Pending | TombstoneState::Erasing => {
                        pending.push((key, row.doomed));
                    }
                    TombstoneState::Erased => {}
                }
            }
        }
        Ok(Tombstone::gather(pending))
    }

    /// Erases the keys of fenced tombstones, and of all retired slots of their tenants. It goes on
    /// if the caller stops waiting; one shred runs at a time. With tombstones that were erasing
    /// already it forgets what is left to forget.
    ///
    /// # Errors
    /// [`KeyError::Refused`] above [`TARGETS_MAX`] or if a tombstone is not fenced;
    /// [`KeyError::Unknown`] if a target never existed; [`KeyError::HoldersUnavailable`],
    /// [`KeyError::Unavailable`], [`KeyError::Overtaken`]: run it again later.
    pub async fn shred(&self, targets: &[Tombstone]) -> Result<ShredOutcome> {
        let (keyring, targets) = (self.clone(), targets.to_vec());
        let running = tokio::spawn(async move { keyring.shred_now(&targets).await });
        running.await.unwrap_or(Err(KeyError::Damaged("the shred was cut short")))
    }

    async fn shred_now(&self, targets: &[Tombstone]) -> Result<ShredOutcome> {
        let rows = self.tombstone_rows(targets).await?;
        let mut outcome: Option<ShredOutcome> = None;
        for plan in self.plans(&rows).await? {
            let next = match self.run_batch(&plan).await {
                Ok(next) => next,
                Err(error) => {
                    self.clean_up().await;
                    return Err(error);
                }
            };
            outcome = Some(match outcome {
                None => next,
                Some(earlier) => ShredOutcome {
                    number_before: earlier.number_before,
                    nodes_rekeyed: earlier.nodes_rekeyed + next.nodes_rekeyed,
                    ..next
                },
            });
        }
        let mut outcome = match outcome {
            Some(outcome) => outcome,
            None => self.settle_only().await?,
        };
        // Of tombstones that were erasing before, the numbers are those of their own batch.
        let before = rows.iter().filter(|(_, row)| row.after > 0).map(|(_, row)| row.before).min();
        outcome.number_before = before.unwrap_or(u64::MAX).min(outcome.number_before);
        Ok(outcome)
    }

    /// Steps 0, 2, 3 and 4.
    async fn run_batch(&self, plan: &ShredPlan) -> Result<ShredOutcome> {
        let open = self.open_batch().await?;
        let installed = self.install_shares(open).await?;
        let committed = self.commit_nodes(installed, plan).await?;
        let holders = self.forget_old(&committed).await;
        let (number_before, number_after) = committed.numbers();
        let nodes_rekeyed = committed.nodes_rekeyed();
        self.close_batch(committed).await?;
        let complete = is_complete(&holders);
        Ok(ShredOutcome { number_before, number_after, holders, complete, nodes_rekeyed })
    }

    /// Step 4 alone.
    async fn settle_only(&self) -> Result<ShredOutcome> {
        let _gate = self.core.batch_gate.lock().await;
        let secrets = self.secrets()?;
        let (_, holders): (_, Vec<HolderReport>) = self.recover(&secrets).await?;
        let number = self.number();
        let complete = is_complete(&holders);
        Ok(ShredOutcome {
            number_before: number,
            number_after: number,
            holders,
            complete,
            nodes_rekeyed: 0,
        })
    }

    /// Ends what a failed batch has left, if that can be done now; otherwise the next batch, or the
    /// next unlocking, does it.
    async fn clean_up(&self) {
        let _gate = self.core.batch_gate.lock().await;
        if let Ok(secrets) = self.secrets()
            && let Err(error) = self.recover(&secrets).await
        {
            tracing::warn!(%error, "a failed erasure batch could not be ended yet");
        }
    }

    /// What a shred of these tombstones drops, in pieces of the size of a batch, none if nothing is
    /// left to be dropped: the pending ones, and the retired slots of all their tenants.
    ///
    /// # Errors
    /// [`KeyError::Refused`] above [`TARGETS_MAX`] or if a tombstone is not fenced;
    /// [`KeyError::Unavailable`], [`KeyError::Damaged`].
    pub async fn plan(&self, targets: &[Tombstone]) -> Result<Vec<ShredPlan>> {
        let rows = self.tombstone_rows(targets).await?;
        self.plans(&rows).await
    }

    async fn tombstone_rows(&self, targets: &[Tombstone]) -> Result<Vec<(RowKey, TombstoneRow)>> {
        let keys: Vec<(RowKey, Doomed)> = targets.iter().flat_map(Tombstone::rows).collect();
        if keys.len() > TARGETS_MAX {
            return Err(KeyError::Refused("too many targets at once"));
        }
        let names: Vec<RowKey> = keys.iter().map(|(key, _)| key.clone()).collect();
        let rows = self.many_rows(&names).await?;
        let mut found = Vec::with_capacity(keys.len());
        for ((key, doomed), row) in keys.into_iter().zip(rows) {
            let row = row.ok_or(KeyError::Refused("a target is not fenced"))?;
            let row = TombstoneRow::decode(&row.value)?;
            if row.doomed != doomed {
                return Err(KeyError::Refused("a target is fenced as something else"));
            }
            found.push((key, row));
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(one, _), (other, _)| one == other);
        Ok(found)
    }

    /// What is to be dropped, in pieces of the size of a batch: none if nothing is.
    async fn plans(&self, rows: &[(RowKey, TombstoneRow)]) -> Result<Vec<ShredPlan>> {
        let mut tenants = BTreeSet::new();
        let mut tombstones = Vec::new();
        for (key, row) in rows {
            let tenant = keyspace::parse_tombstone(key).map(|(tenant, ..)| tenant);
            match row.state {
                TombstoneState::Pending => tombstones.push((key.clone(), *row)),
                TombstoneState::Erasing => {}
                TombstoneState::Erased => continue,
            }
            tenants.extend(tenant);
        }
        let mut retired = Vec::new();
        for tenant in tenants {
            retired.extend(self.retired(tenant).await?);
        }
        let mut plans: Vec<ShredPlan> = tombstones
            .chunks(BATCH_LEAVES_MAX)
            .map(|tombstones| ShredPlan { tombstones: tombstones.to_vec(), retired: Vec::new() })
            .collect();
        for retired in retired.chunks(BATCH_LEAVES_MAX) {
            match plans.last_mut() {
                Some(last) if last.leaves() + retired.len() <= BATCH_LEAVES_MAX => {
                    last.retired = retired.to_vec();
                }
                Some(_) | None => {
                    plans.push(ShredPlan { tombstones: Vec::new(), retired: retired.to_vec() });
                }
            }
        }
        Ok(plans)
    }

    async fn retired(&self, tenant: TenantId) -> Result<Vec<(RowKey, Leaf)>> {
        let rows = self.all_rows(&kind_prefix(tenant, RowKind::Retired)).await?;
        let damaged = KeyError::Damaged("a retired slot's key is not one");
        rows.into_iter()
            .map(|(key, row)| {
                RetiredMark::decode(&row.value)?;
                let (tenant, tree, slot) = keyspace::parse_retired(&key).ok_or(damaged.clone())?;
                let half = Half::of(tree).ok_or(damaged.clone())?;
                Ok((key, Leaf { tenant, half, slot }))
            })
            .collect()
    }

    /// All tenants that have rows, by jumping from one to the first row behind it.
    async fn tenants(&self) -> Result<Vec<TenantId>> {
        let mut tenants = Vec::new();
        let mut range = KeyRange::prefix(&[]);
        loop {
            let page = self.core.store.scan(&range, 1).await?;
            let Some((key, _)) = page.first() else { return Ok(tenants) };
            let Some((tenant, ..)) = key.as_bytes().split_first_chunk::<16>() else {
                return Err(KeyError::Damaged("a row's key has no tenant"));
            };
            tenants.push(TenantId::from_bytes(*tenant));
            let last = RowKey::new([tenant.as_slice(), &[u8::MAX; 64]].concat());
            range = KeyRange::after(&last, &[]);
        }
    }
}

impl ShredPlan {
    fn leaves(&self) -> usize {
        self.tombstones.len() + self.retired.len()
    }
}

fn kind_prefix(tenant: TenantId, kind: RowKind) -> Vec<u8> {
    [tenant.as_bytes().as_slice(), &[kind.number()]].concat()
}
