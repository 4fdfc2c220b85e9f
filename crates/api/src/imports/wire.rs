//! Imports as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_model::{CollectionName, JobReject, Wiping};
use strongroom_tables::Mapping;
use strongroom_vault::{Idempotency, imports};
use utoipa::ToSchema;

use crate::extract::FromBody;
use crate::problem::{FlawDocument, Problem};

/// An import that is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImportJob {
    /// How the columns of the file become fields: the members of a mapping file.
    #[serde(default)]
    #[schema(value_type = Option<Object>, nullable = false,
        example = json!({"collection": "customers", "external_id": "number",
            "fields": {"name": "name"}}))]
    mapping: Option<Value>,
    /// Instead of a mapping: the file is an NDJSON export, and its records become those of this
    /// collection again.
    #[serde(default)]
    #[schema(nullable = false)]
    exported: Option<CollectionName>,
    /// Whether every row is read and decided on, and nothing is made.
    #[serde(default)]
    dry_run: bool,
}

impl FromBody for NewImportJob {}

/// How the rows of a file become records, as it is kept with the job.
#[derive(Serialize, Deserialize)]
struct Kept {
    mapping: Option<Value>,
    exported: Option<CollectionName>,
}

impl NewImportJob {
    /// As the vault takes it.
    ///
    /// # Errors
    /// 422 for a mapping that is none.
    pub(crate) fn of(self, idempotency: Idempotency) -> Result<imports::BeginImport, Problem> {
        let Self { mapping, exported, dry_run } = self;
        let kept = Kept { mapping, exported };
        // Texts, numbers, lists and objects can always be written.
        let written = serde_json::to_vec(&kept).unwrap_or_default();
        let collection = kept.mapping()?.collection;
        Ok(imports::BeginImport { collection, dry_run, mapping: written, idempotency })
    }
}

impl Kept {
    fn mapping(self) -> Result<Mapping, Problem> {
        match (self.mapping, self.exported) {
            (Some(mapping), None) => Mapping::from_json(mapping)
                .map_err(|error| Problem::invalid_at("/mapping", error.to_string())),
            (None, Some(collection)) => Ok(Mapping::of_export(collection)),
            (Some(_), Some(_)) | (None, None) => Err(Problem::invalid_at(
                "",
                "an import has either a `mapping` or the collection that was `exported`",
            )),
        }
    }
}

/// The mapping that was kept with a job.
///
/// # Errors
/// 500 if it is not what was written.
pub(super) fn mapping(kept: &[u8]) -> Result<Mapping, Problem> {
    let kept: Kept = serde_json::from_slice(kept).map_err(|error| Problem::internal(&error))?;
    kept.mapping()
}

/// How many parts a file has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartImport {
    /// The number of parts of the file, so that one that did not come is noticed.
    pub(crate) parts: u32,
}

impl FromBody for StartImport {}

/// What is there of a part.
#[derive(Serialize, ToSchema)]
pub(crate) struct UploadedPart {
    /// Its number.
    part: u32,
    /// Its rows, those included that cannot be read.
    rows: u64,
    /// Those that cannot be read.
    rejected: u64,
}

impl From<&imports::Uploaded> for UploadedPart {
    fn from(uploaded: &imports::Uploaded) -> Self {
        let imports::Uploaded { part, rows, rejected } = *uploaded;
        Self { part, rows, rejected }
    }
}

/// A row that became no record.
#[derive(Serialize)]
struct Reject {
    part: u32,
    line: u64,
    errors: Vec<FlawDocument>,
}

/// Rejects, one a line.
pub(super) fn write_rejects(rejects: &[JobReject]) -> Wiping<Vec<u8>> {
    let mut out = Vec::new();
    for reject in rejects {
        let errors = reject.flaws.iter().map(|(pointer, detail)| FlawDocument::of(pointer, detail));
        let (part, line) = (reject.part, reject.line);
        let line = Reject { part, line, errors: errors.collect() };
        // Texts and numbers can always be written.
        out.extend_from_slice(&serde_json::to_vec(&line).unwrap_or_default());
        out.push(b'\n');
    }
    Wiping::new(out)
}
