//! Somebody finds a record by its external id.

use strongroom_model::{Action, AuditObject, CollectionName, ExternalId, RecordId};

use crate::index::Index;
use crate::records::read::{ReadRecord, read};
use crate::records::view::{RecordView, Wanted};
use crate::snapshot::{Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct LookUpRecord {
    /// The collection.
    pub collection: CollectionName,
    /// The external id.
    pub external_id: ExternalId,
    /// Which of its fields.
    pub wanted: Wanted,
}

/// Reads the record with this external id.
///
/// # Errors
/// As for [`read`].
pub async fn look_up(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: LookUpRecord,
) -> Result<Answer<RecordView>, VaultError> {
    match find(vault, ctx, &wanted.collection, &wanted.external_id).await? {
        Some(record) => {
            let wanted =
                ReadRecord { collection: wanted.collection, record, wanted: wanted.wanted };
            read(vault, ctx, wanted).await
        }
        None => attempt(|| absent(vault, ctx)).await,
    }
}

/// The record with this external id, whoever asks: what may be known of it is decided afterwards.
pub(crate) async fn find(
    vault: &Vault,
    ctx: &TenantCtx,
    collection: &CollectionName,
    external_id: &ExternalId,
) -> Result<Option<RecordId>, VaultError> {
    let mut snapshot = Snapshot::new(vault);
    let Some(collection) = snapshot.collection(ctx.tenant(), collection).await? else {
        return Ok(None);
    };
    let hit =
        snapshot.find(Index::of_records(ctx.tenant(), &collection), external_id.as_str()).await?;
    Ok(hit.map(|hit| hit.record))
}

async fn absent<T>(vault: &Vault, ctx: &TenantCtx) -> Result<Answer<T>, VaultError> {
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let object = AuditObject::Tenant(ctx.tenant());
    let attempted =
        Attempted { principal: who.principal, action: Action::Read, code: "record.read", object };
    vault.refuse_absent(ctx, snapshot, who, attempted).await
}
