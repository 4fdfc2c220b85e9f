//! Completes indexes after a restore: whatever has a value that is indexed is found by it.

use strongroom_model::{
    Collection, Email, ExternalId, RecordId, SubjectHead, SubjectId, SubjectState, TenantId, User,
    UserState,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange, Row, RowKey};

use crate::index::{Additions, Hit, Index};
use crate::records::SealedRecord;
use crate::snapshot::{Snapshot, attempt};
use crate::{Vault, VaultError, keyspace};

/// Rows that are looked at at a time; what is missing of them is added in one commit.
const ROWS_AT_ONCE: usize = 128;

/// A value that is to be found, and what it leads to.
type Wanted = (String, Hit);

impl Vault {
    /// Adds what is missing in the indexes of all tenants, and says how many entries that were.
    pub(super) async fn complete_indexes(&self) -> Result<u64, VaultError> {
        let mut added = self.complete_users(TenantId::PROVIDER).await?;
        let known = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::KnownTenant);
        let mut range = known.clone();
        loop {
            let rows = self.store.scan(&range, ROWS_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(added) };
            range = known.clone().continued(last);
            for (key, _) in &rows {
                let Some((_, _, tenant)) = keyspace::parse_id(key) else { continue };
                let tenant = TenantId::from_bytes(tenant);
                added += self.complete_users(tenant).await?;
                added += self.complete_subjects(tenant).await?;
                added += self.complete_collections(tenant).await?;
            }
        }
    }

    async fn complete_users(&self, tenant: TenantId) -> Result<u64, VaultError> {
        let mut added = 0;
        let mut walk = Walk::new(tenant, RowKind::User);
        while let Some(rows) = walk.next(self).await? {
            let (mut ids, mut addresses) = (Vec::new(), Vec::new());
            for (key, row) in &rows {
                let Some((user, _)) = alive(self.open_row::<User>(key, row).await)? else {
                    continue;
                };
                if user.state == UserState::Removed {
                    continue;
                }
                let hit = Hit {
                    subject: SubjectId::from_bytes([0; 16]),
                    record: RecordId::from_bytes(*user.id.as_bytes()),
                };
                ids.extend(user.external_id.as_ref().map(|id| (ExternalId::to_string(id), hit)));
                addresses.extend(user.email.as_ref().map(|it| (Email::to_string(it), hit)));
            }
            added += self.complete(Index::of_users(tenant), &ids).await?;
            added += self.complete(Index::of_emails(tenant), &addresses).await?;
        }
        Ok(added)
    }

    async fn complete_subjects(&self, tenant: TenantId) -> Result<u64, VaultError> {
        let mut added = 0;
        let mut walk = Walk::new(tenant, RowKind::SubjectHead);
        while let Some(rows) = walk.next(self).await? {
            let mut wanted = Vec::new();
            for (key, row) in &rows {
                let Some((head, _)) = alive(self.open_row::<SubjectHead>(key, row).await)? else {
                    continue;
                };
                if head.state == SubjectState::Erased {
                    continue;
                }
                let hit = Hit { subject: head.id, record: RecordId::from_bytes([0; 16]) };
                wanted.extend(head.external_id.as_ref().map(|id| (id.to_string(), hit)));
            }
            added += self.complete(Index::of_subjects(tenant), &wanted).await?;
        }
        Ok(added)
    }

    async fn complete_collections(&self, tenant: TenantId) -> Result<u64, VaultError> {
        let mut added = 0;
        let mut walk = Walk::new(tenant, RowKind::Collection);
        while let Some(rows) = walk.next(self).await? {
            for (key, row) in &rows {
                let found = alive(self.open_row::<Collection>(key, row).await)?;
                if let Some((collection, _)) = found.filter(|(found, _)| !found.erased) {
                    added += self.complete_records(tenant, &collection).await?;
                }
            }
        }
        Ok(added)
    }

    async fn complete_records(
        &self,
        tenant: TenantId,
        collection: &Collection,
    ) -> Result<u64, VaultError> {
        let mut added = 0;
        let prefix = keyspace::records_prefix(tenant, collection.number);
        let mut walk = Walk { range: KeyRange::prefix(prefix.as_bytes()) };
        while let Some(rows) = walk.next(self).await? {
            let mut wanted = Vec::new();
            for (key, row) in rows {
                let found = self.indexed(tenant, collection, &key, row).await;
                wanted.extend(alive(found)?.flatten());
            }
            added += self.complete(Index::of_records(tenant, collection), &wanted).await?;
        }
        Ok(added)
    }

    async fn indexed(
        &self,
        tenant: TenantId,
        collection: &Collection,
        key: &RowKey,
        row: Row,
    ) -> Result<Option<Wanted>, VaultError> {
        let Some((_, _, record)) = keyspace::parse_record(key) else { return Ok(None) };
        let sealed = SealedRecord::parse(row)?;
        // Whoever is being erased is found no more.
        let head = keyspace::subject_head(tenant, sealed.subject);
        let head = self.read_many::<SubjectHead>(&[head]).await?.pop().flatten();
        if head.is_none_or(|head| head.value.state == SubjectState::Erased) {
            return Ok(None);
        }
        let record_key = self.record_key(tenant, collection, sealed.place).await?;
        let opened = self.open_head(&record_key, tenant, collection, record, &sealed)?;
        let hit = Hit { subject: sealed.subject, record };
        Ok(opened.head.external_id.as_ref().map(|id| (id.to_string(), hit)))
    }

    /// Adds those of some values that are not in the index.
    async fn complete(&self, index: Index, wanted: &[Wanted]) -> Result<u64, VaultError> {
        let mut missing = Vec::new();
        for (value, hit) in wanted {
            if attempt(|| async { Snapshot::new(self).find(index, value).await }).await?.is_none() {
                missing.push((value.as_str(), *hit));
            }
        }
        if missing.is_empty() {
            return Ok(0);
        }
        attempt(|| self.add(index, &missing)).await
    }

    async fn add(&self, index: Index, missing: &[(&str, Hit)]) -> Result<u64, VaultError> {
        let values: Vec<&str> = missing.iter().map(|(value, _)| *value).collect();
        Snapshot::new(self).make_room(index, &values).await?;
        let mut snapshot = Snapshot::new(self);
        let mut additions = Additions::new(index);
        let mut batch = Batch::new();
        let mut added = 0;
        for (value, hit) in missing {
            added += u64::from(additions.add(&mut snapshot, &mut batch, value, *hit).await?);
        }
        let _grown = additions.finish(self, &mut batch).await?;
        snapshot.expect_in(&mut batch);
        let _committed = self.store.commit(batch).await?;
        Ok(added)
    }
}

/// What cannot be opened any more has nothing to be found by.
fn alive<T>(found: Result<T, VaultError>) -> Result<Option<T>, VaultError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(VaultError::Erased(_) | VaultError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Rows of a range, some at a time.
struct Walk {
    range: KeyRange,
}

impl Walk {
    fn new(tenant: TenantId, kind: RowKind) -> Self {
        Self { range: KeyRange::prefix_of(tenant, kind) }
    }

    async fn next(&mut self, vault: &Vault) -> Result<Option<Vec<(RowKey, Row)>>, VaultError> {
        let rows = vault.store.scan(&self.range, ROWS_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        self.range = self.range.clone().continued(last);
        Ok(Some(rows))
    }
}
