//! Somebody asks for an export: a job whose parts they take.

use strongroom_model::{
    Action, Asker, AuditEvent, AuditObject, Collection, CollectionName, Export, ExportFormat,
    ExportPart, Field, FieldName, FieldNumber, Job, JobId, JobKind, TOUCHES_MAX,
};
use strongroom_storage::Batch;

use crate::idempotency::Before;
use crate::jobs::check_room;
use crate::records::{Intent, May, Wanted, may};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct BeginExport {
    /// The collection.
    pub collection: CollectionName,
    /// How its parts are written.
    pub format: ExportFormat,
    /// Which fields.
    pub wanted: Wanted,
    /// Most records of a part, 1 to 1,000.
    pub part_records: u16,
    /// So that a repeated request makes one job.
    pub idempotency: Idempotency,
}

/// Asks for the job. Its parts are decided on when they are taken.
///
/// # Errors
/// [`VaultError::Refused`] for whoever may not export the collection; [`VaultError::NotFound`] for one
/// that is not there; [`VaultError::Invalid`] for unknown fields, or a number of records that is none;
/// `too_many_open_jobs`, `too_many_jobs`.
pub async fn begin(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BeginExport,
) -> Result<Answer<Job>, VaultError> {
    if wanted.part_records == 0 || usize::from(wanted.part_records) > TOUCHES_MAX {
        return Err(VaultError::invalid("/part_records", "a part has 1 to 1000 records"));
    }
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BeginExport,
) -> Result<Answer<Job>, VaultError> {
    let tenant = ctx.tenant();

    // The decision.
    let intent = Intent {
        collection: &wanted.collection,
        action: Action::Export,
        code: "export.begin",
        wanted: Some(&wanted.wanted),
    };
    let (mut snapshot, May { who, collection, columns, event }) =
        may(ctx, Snapshot::new(vault), &intent).await?;

    // The effect.
    let slot = match snapshot.before(ctx, Some(&wanted.idempotency)).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            return vault.job_made_before(ctx, snapshot, JobId::from_bytes(id), event).await;
        }
    };
    check_room(vault, tenant).await?;
    let export = Export {
        collection: collection.name.clone(),
        number: collection.number,
        format: wanted.format,
        fields: columns
            .requested
            .map(each_once)
            .or_else(|| fixed_fields(wanted.format, &collection)),
        reveal: each_once(columns.reveal),
        part_records: wanted.part_records,
        part: ExportPart::NOTHING,
        moved_at: None,
    };
    let id = JobId::new(vault.now(), &*vault.rng)?;
    // Whoever takes a part comes from somewhere then.
    let asker = Asker { address: None, ..ctx.as_asker() };
    let job = Job {
        asker: Some(asker),
        ..Job::new(id, JobKind::Export(export), who.principal, vault.now())
    };
    let mut batch = Batch::new();
    snapshot.put_job(&mut batch, tenant, 0, &job).await?;
    snapshot.expect_in(&mut batch);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    let object = AuditObject::Other(JobId::PREFIX, *id.as_bytes());
    batch.line(vault.line(tenant, Some(ctx), AuditEvent { object, ..event }).await?);
    let committed = vault.store.commit(batch).await?;
    Ok(Answer { value: job, lines: committed.places().to_vec() })
}

/// The fields of an export that names none: a table has the same columns in all its parts, also where
/// the collection gets a field in between.
fn fixed_fields(format: ExportFormat, collection: &Collection) -> Option<Vec<FieldNumber>> {
    match format {
        ExportFormat::Ndjson => None,
        ExportFormat::Csv => {
            let living = collection.fields.iter().filter(|field| !field.retired);
            Some(each_once(living.map(|field| field.number).collect()))
        }
    }
}

fn each_once(mut numbers: Vec<FieldNumber>) -> Vec<FieldNumber> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The names of those of these fields that are `wanted`, in their order.
pub(super) fn names(
    collection: &Collection,
    numbers: &[FieldNumber],
    wanted: impl Fn(&Field) -> bool,
) -> Vec<FieldName> {
    let fields = numbers.iter().filter_map(|number| collection.field_of(*number));
    fields.filter(|field| wanted(field)).map(|field| field.name.clone()).collect()
}
