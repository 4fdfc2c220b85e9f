//! An operator has tenants given a version of their blueprint: a job that does it is asked for.

use std::collections::BTreeSet;

use strongroom_model::{
    Action, ApplyBlueprint, AuditObject, BlueprintName, BlueprintVersion, Job, JobId, JobKind,
    TenantId, Timestamp,
};
use strongroom_storage::Batch;

use crate::blueprints::content::Flaws;
use crate::idempotency::Before;
use crate::jobs::check_room;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// One request names at most so many tenants.
const TENANTS_MAX: usize = 10_000;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct ApplyToTenants {
    /// The blueprint.
    pub name: BlueprintName,
    /// The number of the version; absent: the newest.
    pub version: Option<u32>,
    /// The tenants; absent: every one that has the blueprint.
    pub tenants: Option<Vec<TenantId>>,
    /// So that a repeated request makes one job.
    pub idempotency: Option<Idempotency>,
}

/// Asks for the job.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`] for a blueprint that
/// there is not; [`VaultError::Invalid`] for a version or a tenant that there is not;
/// `too_many_jobs`.
pub async fn apply(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ApplyToTenants,
) -> Result<Answer<Job>, VaultError> {
    let answer = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.work_soon.notify_one();
    Ok(answer)
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ApplyToTenants,
) -> Result<Answer<Job>, VaultError> {
    let id = JobId::new(vault.now(), &*vault.rng)?;
    let object = AuditObject::Other(JobId::PREFIX, *id.as_bytes());
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "blueprint.apply", object)
        .await?;
    let provider = ctx.tenant();
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            let id = JobId::from_bytes(id);
            return vault.job_made_before(ctx, snapshot, id, allowed.event).await;
        }
    };
    let Some(found) = snapshot.blueprint_named(&wanted.name).await? else {
        vault.put_on_record(ctx, snapshot, allowed.event).await?;
        return Err(VaultError::NotFound);
    };
    let version = wanted.version.unwrap_or(found.newest);
    let key = keyspace::blueprint_version(found.id, version);
    if snapshot.load::<BlueprintVersion>(&key).await?.is_none() {
        return Err(VaultError::invalid("/version", "the blueprint has no version of this number"));
    }
    let tenants = match &wanted.tenants {
        Some(named) => Some(snapshot.known_tenants(named).await?),
        None => None,
    };
    check_room(vault, provider).await?;

    let order = ApplyBlueprint { blueprint: found.id, name: found.name.clone(), version, tenants };
    let kind = JobKind::ApplyBlueprint(order);
    let job = Job::new(id, kind, allowed.who.principal, vault.now());
    let mut batch = Batch::new();
    snapshot.put_job(&mut batch, provider, 0, &job).await?;
    snapshot.expect_in(&mut batch);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, provider, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(provider, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    Ok(Answer { value: job, lines: committed.places().to_vec() })
}

impl Snapshot<'_> {
    /// These tenants in ascending order, each once.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for what is none.
    async fn known_tenants(&mut self, named: &[TenantId]) -> Result<Vec<TenantId>, VaultError> {
        if named.is_empty() || named.len() > TENANTS_MAX {
            return Err(VaultError::invalid("/tenants", "1 to 10000 tenants are named, or none"));
        }
        let mut flaws = Flaws::default();
        let keys: Vec<_> = named.iter().map(|tenant| keyspace::known_tenant(*tenant)).collect();
        let found = self.load_many::<Timestamp>(&keys).await?;
        for (place, found) in found.iter().enumerate() {
            if found.is_none() {
                flaws.add(format!("/tenants/{place}"), "there is no such tenant");
            }
        }
        flaws.check()?;
        let tenants: BTreeSet<TenantId> = named.iter().copied().collect();
        Ok(tenants.into_iter().collect())
    }
}
