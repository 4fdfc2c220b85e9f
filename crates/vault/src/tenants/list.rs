//! An operator lists the tenants.

use strongroom_model::{Action, AuditObject, Tenant, TenantId};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{KeyRange, RowKey};

use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// Lists tenants in the order of their ids.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Versioned<Tenant>>>, VaultError> {
    attempt(|| once(vault, ctx, &page)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    page: &Page,
) -> Result<Answer<Listed<Versioned<Tenant>>>, VaultError> {
    let object = AuditObject::Tenant(TenantId::PROVIDER);
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "tenant.list", object)
        .await?;
    let (keys, next) =
        vault.page_of_keys(ctx, TenantId::PROVIDER, RowKind::KnownTenant, page).await?;
    let ids = keys.iter().filter_map(keyspace::parse_id).map(|(_, _, id)| TenantId::from_bytes(id));
    let mut items = Vec::new();
    for id in ids {
        if let Some(found) = snapshot.named_tenant(ctx, id).await? {
            items.push(Versioned { version: found.version, value: (*found.value).clone() });
        }
    }
    let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
    Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
}

impl Vault {
    /// A page of the row keys of one kind, and the cursor of the next page.
    pub(crate) async fn page_of_keys(
        &self,
        ctx: &TenantCtx,
        tenant: TenantId,
        kind: RowKind,
        page: &Page,
    ) -> Result<(Vec<RowKey>, Option<String>), VaultError> {
        let list = [tenant.as_bytes().as_slice(), &[kind.number()]].concat();
        self.page_below(ctx, &list, page).await
    }

    /// The same for the row keys with one beginning.
    pub(crate) async fn page_below(
        &self,
        ctx: &TenantCtx,
        list: &[u8],
        page: &Page,
    ) -> Result<(Vec<RowKey>, Option<String>), VaultError> {
        let range = match &page.cursor {
            None => KeyRange::prefix(list),
            Some(cursor) => {
                let last = RowKey::new(self.open_cursor(ctx, list, cursor).await?);
                KeyRange::after(&last, list)
            }
        };
        let rows = self.store.scan(&range, page.limit.saturating_add(1)).await?;
        let more = rows.len() > page.limit;
        let keys: Vec<RowKey> = rows.into_iter().take(page.limit).map(|(key, _)| key).collect();
        let next = match keys.last() {
            Some(last) if more => Some(self.seal_cursor(ctx, list, last.as_bytes()).await?),
            Some(_) | None => None,
        };
        Ok((keys, next))
    }
}
