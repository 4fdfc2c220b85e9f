//! New trees and new slots: a tenant's two trees, and leaves that are taken and never given back.

use std::ops::Range;

use strongroom_crypto::Key;
use strongroom_model::{InstallId, Rng, TenantId};
use strongroom_storage::keyspace;
use strongroom_storage::{Batch, StoreError};

use crate::edit::{Absent, TreeEdit};
use crate::keyring::{Keyring, put_new};
use crate::node::{Node, Place};
use crate::rows::{ClearRow, Halves, InForce, TreeHead, Versioned};
use crate::secrets::Secrets;
use crate::tree::{FAN_OUT, FIRST_SLOT, Half, Position, TreeName, capacity};
use crate::walk::ATTEMPTS;
use crate::{KeyError, Result};

/// Most slots that are taken at once.
pub const TAKE_MAX: usize = 4_096;

impl Keyring {
    /// Makes the two trees of a tenant, in a commit of its own. A tenant that has them keeps them.
    ///
    /// # Errors
    /// [`KeyError::Gone`] if one of its trees was erased: an id is not used again.
    pub async fn create_tenant(&self, tenant: TenantId) -> Result<()> {
        let secrets = self.secrets()?;
        let _gate = self.core.slot_gate.lock().await;
        for attempt in 0..ATTEMPTS {
            if self.has_trees(tenant).await? {
                return Ok(());
            }
            match self.try_create_tenant(&secrets, tenant, attempt > 1).await {
                Ok(true) => return Ok(()),
                Ok(false) => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            }
        }
        Err(KeyError::Conflict)
    }

    /// Takes slots of one of a tenant's trees, ascending. They are never given out again, whatever
    /// becomes of them.
    ///
    /// # Errors
    /// [`KeyError::Locked`]; [`KeyError::Unknown`] or [`KeyError::Gone`] if there is no such tree;
    /// [`KeyError::Refused`] above [`TAKE_MAX`].
    pub async fn take_slots(&self, tenant: TenantId, half: Half, count: usize) -> Result<Vec<u64>> {
        self.with_rest(tenant, half, count, |secrets| secrets.take_rest(tenant, half, count)).await
    }

    /// Sees to it that so many slots can be taken without a commit, so that whoever takes them one by
    /// one waits once. Those that are not taken stay for others.
    ///
    /// # Errors
    /// As for [`Keyring::take_slots`].
    pub async fn prepare_slots(&self, tenant: TenantId, half: Half, count: usize) -> Result<()> {
        let enough = |secrets: &Secrets| secrets.has_rest(tenant, half, count).then_some(());
        self.with_rest(tenant, half, count, enough).await
    }

    /// Does something with slots that are taken and not yet handed out, after taking so many more if
    /// there are too few.
    async fn with_rest<T>(
        &self,
        tenant: TenantId,
        half: Half,
        count: usize,
        done: impl Fn(&Secrets) -> Option<T>,
    ) -> Result<T> {
        if count > TAKE_MAX {
            return Err(KeyError::Refused("too many slots at once"));
        }
        let secrets = self.secrets()?;
        if let Some(done) = done(&secrets) {
            return Ok(done);
        }
        let _gate = self.core.slot_gate.lock().await;
        for attempt in 0..ATTEMPTS {
            if let Some(done) = done(&secrets) {
                return Ok(done);
            }
            let name = TreeName::half(tenant, half);
            match self.try_reserve(&secrets, name, half, count, attempt > 1).await? {
                Some(slots) => secrets.add_rest(tenant, half, slots),
                None => tokio::task::yield_now().await,
            }
        }
        Err(KeyError::Conflict)
    }

    async fn has_trees(&self, tenant: TenantId) -> Result<bool> {
        let head = |half| TreeName::half(tenant, half).head_key();
        let [halves, account, data] =
            self.rows([keyspace::halves(tenant), head(Half::Account), head(Half::Data)]).await?;
        let erased = |row: Option<&_>| {
            Ok::<_, KeyError>(TreeHead::of(row)?.is_some_and(|head| head.value.erased))
        };
        if erased(account.as_ref())? || erased(data.as_ref())? {
            return Err(KeyError::Gone);
        }
        Ok(halves.is_some())
    }

    /// One attempt; false if something changed meanwhile.
    async fn try_create_tenant(
        &self,
        secrets: &Secrets,
        tenant: TenantId,
        reload: bool,
    ) -> Result<bool> {
        let [in_force, head] =
            self.rows([keyspace::committed_number(), TreeName::ROOT.head_key()]).await?;
        let number = InForce::of(in_force.as_ref())?.ok_or(KeyError::NotCreated)?.value.number;
        let head = TreeHead::of(head.as_ref())?.ok_or(KeyError::NotCreated)?;
        let Some(root) = self.root_in_force(secrets, number, reload).await? else {
            return Ok(false);
        };
        let first = head.value.next;
        let mut batch = Batch::new();
        let mut edit = TreeEdit::new(TreeName::ROOT, head.value.height, root.duplicate());
        if let Err(error) = self.extend(&mut edit, &mut batch, &head, first..first + 2).await {
            return torn(error, reload);
        }
        let halves = Halves { account: first, data: first + 1 };
        for half in [Half::Account, Half::Data] {
            let key = edit.slot_key(halves.slot(half))?;
            let name = TreeName::half(tenant, half);
            write_first_node(&mut batch, self.core.install, name, &key, self.core.rng.as_ref())?;
        }
        put_new(&mut batch, keyspace::halves(tenant), halves.encode());
        self.commit_or_retry(batch).await
    }

    /// One attempt to take whole nodes, or what is left of the one that the services share; none if
    /// something changed meanwhile.
    async fn try_reserve(
        &self,
        secrets: &Secrets,
        name: TreeName,
        half: Half,
        count: usize,
        reload: bool,
    ) -> Result<Option<Range<u64>>> {
        let [in_force, root_head, halves, head] = self
            .rows([
                keyspace::committed_number(),
                TreeName::ROOT.head_key(),
                keyspace::halves(name.tenant),
                name.head_key(),
            ])
            .await?;
        let number = InForce::of(in_force.as_ref())?.ok_or(KeyError::NotCreated)?.value.number;
        let root_head = TreeHead::of(root_head.as_ref())?.ok_or(KeyError::NotCreated)?.value;
        let head = TreeHead::of(head.as_ref())?.ok_or(KeyError::Unknown)?;
        let halves = Halves::of(halves.as_ref())?.ok_or(KeyError::Unknown)?.value;
        if head.value.erased {
            return Err(KeyError::Gone);
        }
        let Some(root) = self.root_in_force(secrets, number, reload).await? else {
            return Ok(None);
        };

        let first = head.value.next;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let end = first.saturating_add(count).next_multiple_of(FAN_OUT);
        let slot = halves.slot(half);
        let mut upper = TreeEdit::new(TreeName::ROOT, root_head.height, root.duplicate());
        let mut batch = Batch::new();
        let extended = async {
            upper.load(self, [slot], Absent::IsDamage).await?;
            let mut edit = TreeEdit::new(name, head.value.height, upper.slot_key(slot)?);
            self.extend(&mut edit, &mut batch, &head, first..end).await
        };
        if let Err(error) = extended.await {
            return torn(error, reload).map(|_| None);
        }
        Ok(self.commit_or_retry(batch).await?.then_some(first..end))
    }

    /// Makes the nodes for some slots, the first that were never taken, growing the tree where it is
    /// too low; writes them and the tree's head.
    async fn extend(
        &self,
        edit: &mut TreeEdit,
        batch: &mut Batch,
        head: &Versioned<TreeHead>,
        slots: Range<u64>,
    ) -> Result<()> {
        while capacity(edit.height()) < slots.end {
            edit.load(self, [], Absent::IsDamage).await?;
            edit.grow(self)?;
        }
        let step = usize::try_from(FAN_OUT).unwrap_or(1);
        let from_slot = slots.start;
        let first_of_nodes = (slots.start / FAN_OUT * FAN_OUT..slots.end).step_by(step);
        edit.load(self, first_of_nodes, Absent::IsMade { from_slot }).await?;
        edit.write(self, batch)?;
        let key = TreeName::head_key(edit.name());
        let value = TreeHead { erased: false, height: edit.height(), next: slots.end };
        batch.expect_version(key.clone(), head.version);
        batch.put(key, head.version + 1, value.encode());
        Ok(())
    }

    /// True if the batch is durable, false if it has to be made anew.
    async fn commit_or_retry(&self, batch: Batch) -> Result<bool> {
        match self.core.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Nodes that were read in two snapshots may not fit together: that is worth another attempt.
fn torn(error: KeyError, reload: bool) -> Result<bool> {
    match error {
        KeyError::Damaged(_) if !reload => Ok(false),
        error => Err(error),
    }
}

/// A new tree: one node, full, and its head; the slots of the services are taken from the beginning.
pub(crate) fn write_first_node(
    batch: &mut Batch,
    install: InstallId,
    name: TreeName,
    key: &Key,
    rng: &dyn Rng,
) -> Result<()> {
    let position = Position { name, level: 0, index: 0 };
    let place = Place { install, position, version: 1 };
    let sealed = Node::generate(rng)?.seal(key, &place, rng)?;
    put_new(batch, position.row_key(), sealed);
    let head = TreeHead { erased: false, height: 1, next: FIRST_SLOT };
    put_new(batch, name.head_key(), head.encode());
    Ok(())
}
