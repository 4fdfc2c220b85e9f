//! Exports as JSON.

use serde::Deserialize;
use strongroom_model::{CollectionName, ExportFormat, FieldName};
use strongroom_vault::{Idempotency, exports, records};
use utoipa::ToSchema;

use crate::extract::FromBody;

/// Most records of a part, if the request does not say it.
const PART_RECORDS: u16 = 1000;

/// An export that is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExportJob {
    /// The collection.
    collection: CollectionName,
    /// How its parts are written.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^(ndjson|csv)$", default = "ndjson")]
    format: WantedFormat,
    /// Only these fields; absent: all that the caller may see. What is not asked for is not decrypted.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    fields: Option<Vec<FieldName>>,
    /// Revealable fields that are to come in the clear, which is recorded as such.
    #[serde(default)]
    reveal: Vec<FieldName>,
    /// Most records of a part.
    #[serde(default = "part_records")]
    #[schema(minimum = 1, maximum = 1000, default = 1000)]
    part_records: u16,
}

/// How an export is written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WantedFormat {
    #[default]
    Ndjson,
    Csv,
}

const fn part_records() -> u16 {
    PART_RECORDS
}

impl FromBody for NewExportJob {}

impl NewExportJob {
    /// As the vault takes it.
    pub(crate) fn of(self, idempotency: Idempotency) -> exports::BeginExport {
        let Self { collection, format, fields, reveal, part_records } = self;
        let format = match format {
            WantedFormat::Ndjson => ExportFormat::Ndjson,
            WantedFormat::Csv => ExportFormat::Csv,
        };
        let wanted = records::Wanted { fields, reveal };
        exports::BeginExport { collection, format, wanted, part_records, idempotency }
    }
}
