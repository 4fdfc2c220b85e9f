//! Somebody looks at jobs, and at how single items of one ended.

use strongroom_access_policy::is_own_job;
use strongroom_model::{AuditObject, Job, JobId, JobItem, TenantId};
use strongroom_storage::keyspace::RowKind;

use crate::jobs::sight::oversight;
use crate::snapshot::{Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// How an item of a job ended.
#[derive(Debug, Clone)]
pub struct ItemView {
    /// The tenant that it is about.
    pub tenant: TenantId,
    /// How it ended.
    pub item: JobItem,
}

/// Lists jobs in the order in which they were asked for: the provider's for operators, and in a tenant
/// all of them for holders of `manage_settings` and their own for everybody else. A page of the latter
/// may have fewer than were asked for, and others after it.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator, under the provider.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Job>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(ctx.tenant());
        let action = oversight(ctx);
        let (mut snapshot, event, only) = if ctx.tenant() == TenantId::PROVIDER {
            let (snapshot, allowed) =
                vault.administer(ctx, Snapshot::new(vault), action, "job.list", object).await?;
            (snapshot, allowed.event, None)
        } else {
            let mut snapshot = Snapshot::new(vault);
            let who = snapshot.who(ctx).await?;
            let code = "job.list";
            let attempted = Attempted { principal: who.principal, action, code, object };
            match vault.oversees(ctx, &who) {
                Ok(granted) => (snapshot, attempted.allowed(&granted, Vec::new()), None),
                Err(_) => (snapshot, attempted.done(), Some(who)),
            }
        };
        let (keys, next) = vault.page_of_keys(ctx, ctx.tenant(), RowKind::Job, &page).await?;
        let found = snapshot.load_many::<Job>(&keys).await?;
        let sees = |job: &Job| only.as_ref().is_none_or(|who| is_own_job(&who.held().facts(), job));
        let jobs = found.into_iter().flatten().filter(|job| sees(job));
        let items = jobs.map(|job| (*job.value).clone()).collect();
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a job.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator, under the provider; [`VaultError::NotFound`].
pub async fn show(vault: &Vault, ctx: &TenantCtx, job: JobId) -> Result<Answer<Job>, VaultError> {
    attempt(|| async {
        let (snapshot, found, event) = vault.see_job(ctx, job, "job.read").await?;
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
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
        let (mut snapshot, _, event) = vault.see_job(ctx, job, "job.read").await?;
        let prefix = keyspace::job_items_prefix(ctx.tenant(), job);
        let (keys, next) = vault.page_below(ctx, prefix.as_bytes(), &page).await?;
        let found = snapshot.load_many::<JobItem>(&keys).await?;
        let tenants = keys.iter().filter_map(keyspace::parse_job_item);
        let tenants = tenants.map(|(_, _, tenant)| TenantId::from_bytes(tenant));
        let items = tenants
            .zip(found.into_iter().flatten())
            .map(|(tenant, item)| ItemView { tenant, item: (*item.value).clone() })
            .collect();
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}
