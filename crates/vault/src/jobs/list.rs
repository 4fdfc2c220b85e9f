//! An operator looks at jobs, and at how single items of one ended.

use strongroom_model::{Action, AuditObject, Job, JobId, JobItem, TenantId};
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// How an item of a job ended.
#[derive(Debug, Clone)]
pub struct ItemView {
    /// The tenant that it is about.
    pub tenant: TenantId,
    /// How it ended.
    pub item: JobItem,
}

/// Lists the provider's jobs in the order in which they were asked for.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Job>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "job.list", object)
            .await?;
        let (keys, next) = vault.page_of_keys(ctx, ctx.tenant(), RowKind::Job, &page).await?;
        let found = snapshot.load_many::<Job>(&keys).await?;
        let items = found.into_iter().flatten().map(|job| (*job.value).clone()).collect();
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a job.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`].
pub async fn show(vault: &Vault, ctx: &TenantCtx, job: JobId) -> Result<Answer<Job>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(JobId::PREFIX, *job.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "job.read", object)
            .await?;
        let found = snapshot.load::<Job>(&keyspace::job(ctx.tenant(), job)).await?;
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let found = found.ok_or(VaultError::NotFound)?;
        Ok(Answer { value: (*found.value).clone(), lines: committed.places().to_vec() })
    })
    .await
}

/// Lists the items of a job that are done and did not find everything as it should be already, in the
/// order in which they were done.
///
/// # Errors
/// As for [`show`].
pub async fn items(
    vault: &Vault,
    ctx: &TenantCtx,
    job: JobId,
    page: Page,
) -> Result<Answer<Listed<ItemView>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(JobId::PREFIX, *job.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "job.read", object)
            .await?;
        let prefix = keyspace::job_items_prefix(ctx.tenant(), job);
        let (keys, next) = vault.page_below(ctx, prefix.as_bytes(), &page).await?;
        let found = snapshot.load_many::<JobItem>(&keys).await?;
        let tenants = keys.iter().filter_map(keyspace::parse_job_item);
        let tenants = tenants.map(|(_, _, tenant)| TenantId::from_bytes(tenant));
        let items = tenants
            .zip(found.into_iter().flatten())
            .map(|(tenant, item)| ItemView { tenant, item: (*item.value).clone() })
            .collect();
        let job = Snapshot::new(vault).load::<Job>(&keyspace::job(ctx.tenant(), job)).await?;
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        job.ok_or(VaultError::NotFound)?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}
