//! Somebody who may erase, or read the audit log, looks at erasures and their receipts.

use strongroom_audit::receipt::{self, Receipt};
use strongroom_model::{
    Action, AuditEvent, AuditObject, CollectionName, CollectionNumber, Erasure, ErasureId,
    ErasureTarget, ReceiptId, TenantId,
};
use strongroom_storage::{KeyRange, RowKey};

use crate::collections::CollectionList;
use crate::erasures::carry_out::ReceiptRow;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// An erasure, and the name of the collection that it is about, if that can still be read.
#[derive(Debug, Clone)]
pub struct ErasureView {
    /// The erasure.
    pub erasure: Erasure,
    /// The collection's name.
    pub collection: Option<CollectionName>,
}

/// A receipt.
#[derive(Debug)]
pub struct ReceiptView {
    /// Its id.
    pub id: ReceiptId,
    /// As a file, to be verified offline.
    pub armoured: String,
    /// What it says.
    pub receipt: Receipt,
}

/// Lists the tenant's erasures in the order of their ids.
///
/// # Errors
/// [`VaultError::Refused`] without `erase` or `read_audit`.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<ErasureView>>, VaultError> {
    attempt(|| async {
        let (mut snapshot, event) =
            may_know(vault, ctx, "erasure.list", AuditObject::Tenant(ctx.tenant())).await?;
        let prefix = keyspace::erasures_prefix(ctx.tenant());
        let list = prefix.as_bytes();
        let range = match &page.cursor {
            None => KeyRange::prefix(list),
            Some(cursor) => {
                KeyRange::after(&RowKey::new(vault.open_cursor(ctx, list, cursor).await?), list)
            }
        };
        let rows = vault.store.scan(&range, page.limit.saturating_add(1)).await?;
        let more = rows.len() > page.limit;
        let keys: Vec<RowKey> = rows.into_iter().take(page.limit).map(|(key, _)| key).collect();
        let mut items = Vec::new();
        for found in snapshot.load_many::<Erasure>(&keys).await?.into_iter().flatten() {
            let collection = snapshot.name_in(&found).await?;
            items.push(ErasureView { erasure: (*found.value).clone(), collection });
        }
        let next = match keys.last() {
            Some(last) if more => Some(vault.seal_cursor(ctx, list, last.as_bytes()).await?),
            Some(_) | None => None,
        };
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows an erasure.
///
/// # Errors
/// [`VaultError::Refused`] without `erase` or `read_audit`; [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    erasure: ErasureId,
) -> Result<Answer<ErasureView>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(ErasureId::PREFIX, *erasure.as_bytes());
        let (mut snapshot, event) = may_know(vault, ctx, "erasure.read", object).await?;
        let found = snapshot.load::<Erasure>(&keyspace::erasure(ctx.tenant(), erasure)).await?;
        let view = match found {
            Some(found) => {
                let collection = snapshot.name_in(&found).await?;
                Some(ErasureView { erasure: (*found.value).clone(), collection })
            }
            None => None,
        };
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        Ok(Answer { value: view.ok_or(VaultError::NotFound)?, lines: committed.places().to_vec() })
    })
    .await
}

/// Gives a receipt.
///
/// # Errors
/// [`VaultError::Refused`] without `erase` or `read_audit`; [`VaultError::NotFound`] also for those
/// of other tenants.
pub async fn receipt(
    vault: &Vault,
    ctx: &TenantCtx,
    id: ReceiptId,
) -> Result<Answer<ReceiptView>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(ReceiptId::PREFIX, *id.as_bytes());
        let (mut snapshot, event) = may_know(vault, ctx, "receipt.read", object).await?;
        let found = snapshot.load::<ReceiptRow>(&keyspace::receipt(id)).await?;
        let public = vault.receipt_key().await?.public();
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        let row = found
            .filter(|row| row.tenant == ctx.tenant() || ctx.is_provider())
            .ok_or(VaultError::NotFound)?;
        let receipt = receipt::verify(&public, &row.signed)
            .map_err(|error| VaultError::Damaged(Box::new(error)))?;
        let value = ReceiptView { id, armoured: receipt::armour(&row.signed), receipt };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}

/// Lets in whoever may erase or read the audit log.
async fn may_know<'v>(
    vault: &'v Vault,
    ctx: &TenantCtx,
    code: &'static str,
    object: AuditObject,
) -> Result<(Snapshot<'v>, AuditEvent), VaultError> {
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let action = if who.held().has(Action::ReadAudit) { Action::ReadAudit } else { Action::Erase };
    let (snapshot, allowed) = vault.administer(ctx, snapshot, action, code, object).await?;
    Ok((snapshot, allowed.event))
}

impl Snapshot<'_> {
    async fn name_in(&mut self, erasure: &Erasure) -> Result<Option<CollectionName>, VaultError> {
        match &erasure.target {
            ErasureTarget::Record(number, _) => self.name_of(erasure.tenant, *number).await,
            ErasureTarget::Collection(_, name, _) => Ok(Some(name.clone())),
            ErasureTarget::Subject(_) | ErasureTarget::Tenant(_) => Ok(None),
        }
    }

    async fn name_of(
        &mut self,
        tenant: TenantId,
        number: CollectionNumber,
    ) -> Result<Option<CollectionName>, VaultError> {
        match self.load::<CollectionList>(&keyspace::collection_list(tenant)).await {
            Err(VaultError::Erased(_)) => Ok(None),
            list => Ok(list?.and_then(|list| {
                list.collections
                    .iter()
                    .find(|entry| entry.number == number)
                    .map(|entry| entry.name.clone())
            })),
        }
    }
}
