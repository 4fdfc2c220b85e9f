//! An operator looks at the backends: of the tenants that admit one only their number is shown.

use strongroom_model::{
    Action, Admission, AuditObject, Backend, BackendId, BackendSecret, Label, TenantId, Timestamp,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{KeyRange, PAGE_MAX};

use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// A backend as the provider sees it.
#[derive(Debug, Clone)]
pub struct BackendView {
    /// Its id.
    pub id: BackendId,
    /// Its name.
    pub name: Label,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it has been revoked.
    pub revoked: bool,
    /// The secrets in force: their numbers and times, never the secrets.
    pub secrets: Vec<BackendSecret>,
    /// How many tenants admit it now.
    pub tenants: u64,
}

impl BackendView {
    pub(crate) fn of(backend: Backend, tenants: u64, now: Timestamp) -> Self {
        Self {
            id: backend.id,
            created_at: backend.created_at,
            revoked: backend.revoked,
            secrets: backend.in_force(now).cloned().collect(),
            name: backend.name,
            tenants,
        }
    }
}

/// Lists the backends in the order in which they were made.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Versioned<BackendView>>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageBackends, "backend.list", object)
            .await?;
        let (keys, next) =
            vault.page_of_keys(ctx, TenantId::PROVIDER, RowKind::Backend, &page).await?;
        let found = snapshot.load_many::<Backend>(&keys).await?;
        let found: Vec<_> = found.into_iter().flatten().collect();
        let ids: Vec<BackendId> = found.iter().map(|backend| backend.id).collect();
        let tenants = vault.count_admitting(&ids).await?;
        let items = found.into_iter().zip(tenants).map(|(backend, tenants)| Versioned {
            version: backend.version,
            value: BackendView::of((*backend.value).clone(), tenants, vault.now()),
        });
        let items = items.collect();
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a backend.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    backend: BackendId,
) -> Result<Answer<Versioned<BackendView>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(BackendId::PREFIX, *backend.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageBackends, "backend.read", object)
            .await?;
        let found = snapshot.load::<Backend>(&keyspace::backend(backend)).await?;
        let tenants = vault.count_admitting(&[backend]).await?.first().copied().unwrap_or(0);
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let found = found.ok_or(VaultError::NotFound)?;
        let value = BackendView::of((*found.value).clone(), tenants, vault.now());
        let value = Versioned { version: found.version, value };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}

impl Vault {
    /// How many tenants admit each of these backends now. The rows looked at are no facts: the number
    /// is one of a moment.
    pub(crate) async fn count_admitting(
        &self,
        backends: &[BackendId],
    ) -> Result<Vec<u64>, VaultError> {
        let now = self.now();
        let mut counts = vec![0; backends.len()];
        let prefix = [TenantId::PROVIDER.as_bytes().as_slice(), &[RowKind::KnownTenant.number()]];
        let prefix = prefix.concat();
        let mut range = KeyRange::prefix(&prefix);
        loop {
            let page = self.store.scan(&range, PAGE_MAX).await?;
            let tenants = page.iter().filter_map(|(key, _)| keyspace::parse_id(key));
            let tenants: Vec<_> = tenants.map(|(_, _, id)| TenantId::from_bytes(id)).collect();
            for (count, backend) in counts.iter_mut().zip(backends) {
                let at: Vec<_> =
                    tenants.iter().map(|id| keyspace::admission(*id, *backend)).collect();
                let rows = self.store.get_many(&at).await?;
                for (key, _) in at.iter().zip(rows).filter(|(_, row)| row.is_some()) {
                    // Tenants are erased while this goes on, and their rows do not open any more.
                    let found = match Snapshot::new(self).load::<Admission>(key).await {
                        Err(VaultError::Erased(_) | VaultError::NotFound) => None,
                        found => found?,
                    };
                    let holds = found.is_some_and(|found| found.is_in_force(now));
                    *count += u64::from(holds);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() >= PAGE_MAX => {
                    range = KeyRange::after(last, &prefix);
                }
                Some(_) | None => return Ok(counts),
            }
        }
    }
}
