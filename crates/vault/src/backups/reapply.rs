//! What has been erased since a backup was made stays erased: the tombstones of the live key state are
//! asked about every row that comes back.

use strongroom_crypto::Context;
use strongroom_model::{Collection, Tenant, TenantId};
use strongroom_storage::keyspace::{Owner, RowKind};
use strongroom_storage::{KEYS_MAX, Row, RowKey};

use crate::collections::CollectionList;
use crate::records::SUPERSEDED;
use crate::rows::split_owner;
use crate::{Vault, VaultError, keyspace};

/// What becomes of a row that the live store does not have.
pub(super) enum Fate {
    /// It comes back as it is.
    AsItIs,
    /// It comes back and says that something was erased.
    Marked(Vec<u8>),
    /// What it belongs to was erased.
    Erased,
    /// It is a version of a record that was corrected.
    Superseded,
}

impl Vault {
    /// Looks for tombstones of what a row belongs to, pending ones too: their keys are still there, and
    /// access is closed all the same.
    pub(super) async fn fate(&self, key: &RowKey, row: &Row) -> Result<Fate, VaultError> {
        let Some((tenant, kind, _)) = keyspace::parse(key) else { return Ok(Fate::AsItIs) };
        let owner = split_owner(&row.value).map(|(id, _, sealed)| (id, Context::peek(sealed)));
        let of_tenant = keyspace::tombstone(tenant, RowKind::Tenant, tenant.as_bytes(), 0);
        let mut stones = vec![of_tenant.clone()];
        let mut superseded = None;
        if kind == RowKind::Tenant {
            return self.tenant_fate(key, row, of_tenant).await;
        } else if kind == RowKind::CollectionList {
            return self.list_fate(tenant, key, row, of_tenant).await;
        } else if kind == RowKind::Collection {
            return self.collection_fate(tenant, key, row, of_tenant).await;
        } else if kind.owner() != Owner::Subject {
            return Ok(Fate::AsItIs);
        }
        if let Some((subject, peeked)) = owner {
            stones.push(keyspace::tombstone(tenant, RowKind::SubjectHead, &subject, 0));
            if let (Some((_, number)), Some((_, _, record))) = (peeked, keyspace::parse_record(key))
            {
                let record = record.as_bytes();
                stones.push(keyspace::tombstone(tenant, RowKind::Record, record, number));
                superseded = Some(keyspace::tombstone(tenant, SUPERSEDED, record, number));
            }
            if let (Some((_, number)), Some((_, _, _, file))) = (peeked, keyspace::parse_file(key))
            {
                stones.push(keyspace::tombstone(tenant, RowKind::File, file.as_bytes(), number));
            }
        }
        if self.is_any_there(&stones).await? {
            return Ok(Fate::Erased);
        }
        let corrected = self.is_any_there(superseded.as_slice()).await?;
        Ok(if corrected { Fate::Superseded } else { Fate::AsItIs })
    }

    async fn is_any_there(&self, stones: &[RowKey]) -> Result<bool, VaultError> {
        Ok(self.store.get_many(stones).await?.iter().any(Option::is_some))
    }

    async fn tenant_fate(
        &self,
        key: &RowKey,
        row: &Row,
        stone: RowKey,
    ) -> Result<Fate, VaultError> {
        if !self.is_any_there(&[stone]).await? {
            return Ok(Fate::AsItIs);
        }
        let (mut found, leaf) = self.open_row::<Tenant>(key, row).await?;
        if let Ok(erased) = found.state.erase() {
            found.state = erased;
        }
        Ok(Fate::Marked(self.seal_row(key, leaf, row.version, &found).await?))
    }

    async fn collection_fate(
        &self,
        tenant: TenantId,
        key: &RowKey,
        row: &Row,
        of_tenant: RowKey,
    ) -> Result<Fate, VaultError> {
        if self.is_any_there(&[of_tenant]).await? {
            return Ok(Fate::Erased);
        }
        let (mut found, leaf) = self.open_row::<Collection>(key, row).await?;
        let stone = keyspace::tombstone(tenant, RowKind::Collection, found.id.as_bytes(), 0);
        if found.erased || !self.is_any_there(&[stone]).await? {
            return Ok(Fate::AsItIs);
        }
        found.erased = true;
        Ok(Fate::Marked(self.seal_row(key, leaf, row.version, &found).await?))
    }

    async fn list_fate(
        &self,
        tenant: TenantId,
        key: &RowKey,
        row: &Row,
        of_tenant: RowKey,
    ) -> Result<Fate, VaultError> {
        if self.is_any_there(&[of_tenant]).await? {
            return Ok(Fate::Erased);
        }
        let (mut list, leaf) = self.open_row::<CollectionList>(key, row).await?;
        let mut marked = false;
        for some in list.collections.chunks_mut(KEYS_MAX) {
            let stones: Vec<RowKey> = some
                .iter()
                .map(|it| keyspace::tombstone(tenant, RowKind::Collection, it.id.as_bytes(), 0))
                .collect();
            let found = self.store.get_many(&stones).await?;
            for (entry, stone) in some.iter_mut().zip(found) {
                marked |= stone.is_some() && !entry.erased;
                entry.erased |= stone.is_some();
            }
        }
        if !marked {
            return Ok(Fate::AsItIs);
        }
        Ok(Fate::Marked(self.seal_row(key, leaf, row.version, &list).await?))
    }
}
