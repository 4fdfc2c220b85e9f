//! Jobs as JSON.

use serde::Serialize;
use strongroom_model::{
    BackupPlaceName, BlueprintName, CollectionName, ExportFormat, Import, JobId, JobKind,
    JobOutcome, JobState, Progress, TenantId, Timestamp,
};
use strongroom_vault::jobs;
use utoipa::ToSchema;

/// A long-running piece of work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Job {
    #[schema(value_type = String)]
    id: JobId,
    /// What is to be done: `apply_blueprint`, `import`, `export`, `archive` or
    /// `backup`.
    kind: &'static str,
    /// The blueprint that tenants are given; null for other jobs.
    blueprint: Option<JobBlueprint>,
    /// What is imported; null for other jobs.
    import: Option<JobImport>,
    /// What is taken out; null for other jobs.
    export: Option<JobExport>,
    /// Where the store is copied to; null for other jobs.
    backup: Option<JobBackup>,
    /// Where it stands.
    state: JobState,
    /// When it was asked for.
    asked_at: Timestamp,
    /// When it began.
    started_at: Option<Timestamp>,
    /// When it ended.
    ended_at: Option<Timestamp>,
    /// How far it has come, in items: tenants, rows of a file, records that were taken out, or rows
    /// of the store that were copied, whose total is known at the end.
    progress: Progress,
    /// How many items had which outcome.
    outcomes: Outcomes,
    /// Why it could not go on, as a stable word.
    problem: Option<String>,
}

/// The version that a job gives.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobBlueprint {
    /// The name of the blueprint.
    name: BlueprintName,
    /// The number of the version.
    version: u32,
    /// How many tenants were named; null where it is every one that has the blueprint.
    tenants: Option<usize>,
}

/// The import of a file.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobImport {
    /// The collection whose records are made.
    collection: CollectionName,
    /// Whether everything is looked at and nothing is made.
    dry_run: bool,
    /// Parts of the file that are there.
    parts: u32,
}

/// What an export or an archive takes out.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobExport {
    /// The collections.
    collections: Vec<CollectionName>,
    /// How they are written: `ndjson`, `csv` or `archive`.
    format: &'static str,
    /// The number of the part that was taken last, 0 before the first; null for an archive.
    part: Option<u32>,
}

/// A backup.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobBackup {
    /// Where it goes, as the configuration calls it.
    place: BackupPlaceName,
    /// What it is called there.
    name: String,
    /// How many bytes are there.
    bytes: u64,
}

/// How many items of a job had which outcome.
#[derive(Serialize, ToSchema)]
pub(crate) struct Outcomes {
    /// They got all of it.
    applied: u64,
    /// They had it already.
    unchanged: u64,
    /// They got it but for what they have edited themselves.
    kept: u64,
    /// They are not there any more.
    skipped: u64,
    /// They got nothing of it.
    failed: u64,
    /// Rows of which a record was made, or would have been.
    created: u64,
    /// Rows whose external id was there; those records were left as they are.
    exists: u64,
    /// Rows that became no record.
    rejected: u64,
}

impl From<&strongroom_model::Job> for Job {
    fn from(job: &strongroom_model::Job) -> Self {
        let count = |wanted: JobOutcome| {
            let found = job.outcomes.iter().find(|count| count.outcome == wanted);
            found.map_or(0, |count| count.items)
        };
        let (mut blueprint, mut import, mut export, mut backup) = (None, None, None, None);
        let kind = match &job.kind {
            JobKind::ApplyBlueprint(order) => {
                let tenants = order.tenants.as_ref().map(Vec::len);
                let (name, version) = (order.name.clone(), order.version);
                blueprint = Some(JobBlueprint { name, version, tenants });
                "apply_blueprint"
            }
            JobKind::Import(order) => {
                let Import { collection, dry_run, parts, .. } = order.clone();
                import = Some(JobImport { collection, dry_run, parts });
                "import"
            }
            JobKind::Export(order) => {
                let collections = vec![order.collection.clone()];
                let format = match order.format {
                    ExportFormat::Ndjson => "ndjson",
                    ExportFormat::Csv => "csv",
                };
                export = Some(JobExport { collections, format, part: Some(order.part.number) });
                "export"
            }
            JobKind::Archive(order) => {
                let collections = order.collections.clone();
                export = Some(JobExport { collections, format: "archive", part: None });
                "archive"
            }
            JobKind::Backup(order) => {
                let (place, name) = (order.place.clone(), order.name.to_string());
                backup = Some(JobBackup { place, name, bytes: order.bytes });
                "backup"
            }
        };
        Self {
            id: job.id,
            kind,
            blueprint,
            import,
            export,
            backup,
            state: job.state,
            asked_at: job.asked_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            progress: job.progress,
            outcomes: Outcomes {
                applied: count(JobOutcome::Applied),
                unchanged: count(JobOutcome::Unchanged),
                kept: count(JobOutcome::Kept),
                skipped: count(JobOutcome::Skipped),
                failed: count(JobOutcome::Failed),
                created: count(JobOutcome::Created),
                exists: count(JobOutcome::Exists),
                rejected: count(JobOutcome::Rejected),
            },
            problem: job.problem.clone(),
        }
    }
}

/// What became of one item of a job.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobItem {
    /// The tenant that it is about.
    #[schema(value_type = String)]
    tenant: TenantId,
    /// How it ended.
    outcome: JobOutcome,
    /// What stays as the tenant has edited it: the names of the parts.
    #[schema(example = json!(["/collections/patients/fields/phone/label"]))]
    kept: Vec<String>,
    /// Why it failed, as a stable word.
    problem: Option<String>,
}

impl From<&jobs::ItemView> for JobItem {
    fn from(view: &jobs::ItemView) -> Self {
        Self {
            tenant: view.tenant,
            outcome: view.item.outcome,
            kept: view.item.kept.clone(),
            problem: view.item.problem.clone(),
        }
    }
}
