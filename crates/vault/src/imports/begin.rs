//! Somebody asks for an import: a job that waits for the parts of a file.

use strongroom_keyring::Half;
use strongroom_model::{AuditObject, CollectionName, Import, Job, JobId, JobKind, JobState};
use strongroom_storage::Batch;

use crate::idempotency::Before;
use crate::imports::spool::{MAPPING_BYTES_MAX, MappingRow};
use crate::jobs::check_room;
use crate::records::{Intent, may};
use crate::rows::{OwnerLeaf, damaged};
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
pub struct BeginImport {
    /// The collection.
    pub collection: CollectionName,
    /// Whether everything is looked at and nothing is made.
    pub dry_run: bool,
    /// How rows become records, as whoever reads them keeps it.
    pub mapping: Vec<u8>,
    /// So that a repeated request makes one job.
    pub idempotency: Idempotency,
}

/// Asks for the job.
///
/// # Errors
/// [`VaultError::Refused`] for whoever may not create records of the collection;
/// [`VaultError::NotFound`] for one that there is not; `too_many_open_jobs`, `too_many_jobs`.
pub async fn begin(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BeginImport,
) -> Result<Answer<Job>, VaultError> {
    if wanted.mapping.len() > MAPPING_BYTES_MAX {
        return Err(VaultError::invalid("/mapping", "a mapping has at most 64 KiB"));
    }
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BeginImport,
) -> Result<Answer<Job>, VaultError> {
    let tenant = ctx.tenant();
    let intent = Intent::to_create(&wanted.collection, "import.begin");
    let (mut snapshot, allowed) = may(ctx, Snapshot::new(vault), &intent).await?;
    let slot = match snapshot.before(ctx, Some(&wanted.idempotency)).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            let id = JobId::from_bytes(id);
            return vault.job_made_before(ctx, snapshot, id, allowed.event).await;
        }
    };
    check_room(vault, tenant).await?;
    let leaves = vault.keyring.take_slots(tenant, Half::Data, 1).await?;
    let leaf = leaves.first().copied().ok_or_else(damaged)?;
    let id = JobId::new(vault.now(), &*vault.rng)?;
    let import = Import::new(wanted.collection.clone(), wanted.dry_run);
    let job = Job {
        state: JobState::Uploading,
        asker: Some(ctx.as_asker()),
        slot: Some(leaf),
        ..Job::new(id, JobKind::Import(import), allowed.who.principal, vault.now())
    };
    let mut batch = Batch::new();
    snapshot.put_job(&mut batch, tenant, 0, &job).await?;
    snapshot.expect_in(&mut batch);
    let at = keyspace::job_mapping(tenant, id);
    let mapping = MappingRow { mapping: wanted.mapping.clone() };
    let value = vault.seal_row(&at, OwnerLeaf::job(id, leaf), 1, &mapping).await?;
    batch.expect_absent(at.clone()).put(at, 1, value);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    let object = AuditObject::Other(JobId::PREFIX, *id.as_bytes());
    let event = strongroom_model::AuditEvent { object, ..allowed.event };
    batch.line(vault.line(tenant, Some(ctx), event).await?);
    let committed = vault.store.commit(batch).await?;
    Ok(Answer { value: job, lines: committed.places().to_vec() })
}
