//! Clears the rows that an erasure left: they cannot be read any more, but take space.

use strongroom_model::{
    CollectionNumber, Erasure, ErasureState, ErasureTarget, SubjectId, TenantId,
};
use strongroom_storage::keyspace::{Owner, RowKind};
use strongroom_storage::{Batch, KeyRange, RowKey};

use crate::snapshot::Snapshot;
use crate::{Vault, VaultError, keyspace};

/// Rows cleared in one commit.
const ROWS_AT_ONCE: usize = 500;

impl Vault {
    /// Clears what the tenant's finished erasures left. It can be stopped anywhere and run again.
    pub(crate) async fn sweep(&self, tenant: TenantId) -> Result<usize, VaultError> {
        let prefix = keyspace::erasures_prefix(tenant);
        let mut range = KeyRange::prefix(prefix.as_bytes());
        let mut cleared = 0;
        loop {
            let rows = self.store.scan(&range, ROWS_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(cleared) };
            range = KeyRange::after(last, prefix.as_bytes());
            let keys: Vec<RowKey> = rows.into_iter().map(|(key, _)| key).collect();
            let mut snapshot = Snapshot::new(self);
            for erasure in snapshot.load_many::<Erasure>(&keys).await?.into_iter().flatten() {
                match erasure.state {
                    ErasureState::Erased => cleared += self.clear(&erasure).await?,
                    ErasureState::Pending | ErasureState::Erasing | ErasureState::Partial => {}
                }
            }
        }
    }

    async fn clear(&self, erasure: &Erasure) -> Result<usize, VaultError> {
        let tenant = erasure.tenant;
        match &erasure.target {
            // A record's rows went with its fence.
            ErasureTarget::Record(..) => Ok(0),
            ErasureTarget::Subject(subject) => self.clear_subject(tenant, *subject).await,
            ErasureTarget::Collection(number, _, _) => self.clear_collection(tenant, *number).await,
            ErasureTarget::Tenant(_) => self.clear_tenant(tenant).await,
        }
    }

    /// A person's records lie among those of others: the manifest that led to them cannot be read any
    /// more, but each record's row names its subject.
    async fn clear_subject(
        &self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> Result<usize, VaultError> {
        let head = keyspace::subject_head(tenant, subject);
        let present = self.store.get_many(std::slice::from_ref(&head)).await?;
        if present.into_iter().flatten().next().is_none() {
            return Ok(0);
        }
        let mine = subject.as_bytes().as_slice();
        let is_mine = |value: &[u8]| value.starts_with(mine);
        let of_kind = |kind| KeyRange::prefix_of(tenant, kind);
        let mut cleared = self.clear_files(of_kind(RowKind::File), is_mine).await?;
        cleared += self.clear_rows(of_kind(RowKind::Record), is_mine).await?;
        let manifest = keyspace::manifest_prefix(tenant, subject);
        cleared += self.clear_rows(KeyRange::prefix(manifest.as_bytes()), |_| true).await?;
        // The head goes last: as long as it is there, the sweep is not done.
        let mut batch = Batch::new();
        batch.delete(head);
        let _committed = self.store.commit(batch).await?;
        Ok(cleared + 1)
    }

    async fn clear_collection(
        &self,
        tenant: TenantId,
        number: CollectionNumber,
    ) -> Result<usize, VaultError> {
        let files = keyspace::files_prefix(tenant, number);
        let mut cleared = self.clear_files(KeyRange::prefix(files.as_bytes()), |_| true).await?;
        let records = keyspace::records_prefix(tenant, number);
        cleared += self.clear_rows(KeyRange::prefix(records.as_bytes()), |_| true).await?;
        for kind in [RowKind::IndexEntry, RowKind::IndexPage] {
            let prefix =
                [tenant.as_bytes().as_slice(), &[kind.number()], &number.0.to_be_bytes()].concat();
            cleared += self.clear_rows(KeyRange::prefix(&prefix), |_| true).await?;
        }
        Ok(cleared)
    }

    async fn clear_tenant(&self, tenant: TenantId) -> Result<usize, VaultError> {
        let files = KeyRange::prefix_of(tenant, RowKind::File);
        let mut cleared = self.clear_files(files, |_| true).await?;
        for kind in RowKind::ALL.iter().filter(|kind| **kind != RowKind::File) {
            match kind.owner() {
                Owner::TenantData | Owner::Subject | Owner::Job | Owner::Day => {
                    cleared +=
                        self.clear_rows(KeyRange::prefix_of(tenant, *kind), |_| true).await?;
                }
                Owner::Clear | Owner::KeyState | Owner::TenantAccount | Owner::User => {}
            }
        }
        Ok(cleared)
    }

    /// Deletes the rows of a range that are wanted gone, some at a time, and says how many.
    pub(crate) async fn clear_rows(
        &self,
        range: KeyRange,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<usize, VaultError> {
        let mut range = range;
        let mut cleared = 0;
        loop {
            let rows = self.store.scan(&range, ROWS_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(cleared) };
            range = range.continued(last);
            let mut batch = Batch::new();
            for (key, row) in &rows {
                if wanted(&row.value) {
                    batch.delete(key.clone());
                    cleared += 1;
                }
            }
            if !batch.is_empty() {
                let _committed = self.store.commit(batch).await?;
            }
        }
    }
}
