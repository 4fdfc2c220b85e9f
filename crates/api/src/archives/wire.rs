//! Archives as JSON: what is asked for, and what stands first and last in one.

use serde::{Deserialize, Serialize};
use strongroom_model::{CollectionName, Label, Purpose, TenantId, Timestamp};
use strongroom_vault::Flaw;
use strongroom_vault::archives::{Archive, FilesDigest, Recipient};
use utoipa::ToSchema;

use crate::collections::wire::Collection;
use crate::extract::FromBody;
use crate::problem::Problem;
use crate::reply::hexadecimal;

/// What the manifest of every archive calls it.
const FORMAT: &str = "strongroom-archive";
/// The version of the format.
const VERSION: u32 = 1;

/// An archive that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewArchive {
    /// Its collections; all that the caller may export, if absent.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false, min_items = 1, example = json!(["customers"]))]
    collections: Option<Vec<CollectionName>>,
    /// 1 to 20 recipients of age, `age1…`: the holders of their identities open the archive, and nobody
    /// else.
    #[schema(min_items = 1, max_items = 20)]
    recipients: Vec<String>,
}

impl FromBody for NewArchive {}

impl NewArchive {
    /// As the vault takes it.
    ///
    /// # Errors
    /// 422 for a recipient that is none.
    pub(crate) fn parse(self) -> Result<(Option<Vec<CollectionName>>, Vec<Recipient>), Problem> {
        let mut flaws = Vec::new();
        let mut recipients: Vec<Recipient> = Vec::with_capacity(self.recipients.len());
        for (place, text) in self.recipients.iter().enumerate() {
            match text.parse() {
                Ok(recipient) => recipients.push(recipient),
                Err(strongroom_model::Malformed(detail)) => flaws.push(Flaw {
                    pointer: format!("/recipients/{place}"),
                    detail: detail.to_owned(),
                }),
            }
        }
        if flaws.is_empty() {
            Ok((self.collections, recipients))
        } else {
            Err(Problem::invalid(flaws))
        }
    }
}

/// What stands first in an archive.
#[derive(Serialize)]
pub(crate) struct Manifest<'a> {
    format: &'static str,
    version: u32,
    tenant: ArchivedTenant<'a>,
    made_at: Timestamp,
    /// For which purpose it was taken out, if that was said.
    purpose: Option<&'a Purpose>,
    /// Its collections, as the API shows them.
    collections: Vec<Collection>,
}

/// Whose archive it is.
#[derive(Serialize)]
struct ArchivedTenant<'a> {
    id: TenantId,
    name: &'a Label,
}

impl<'a> Manifest<'a> {
    /// The manifest of an archive that is made now.
    pub(crate) fn of(archive: &'a Archive, now: Timestamp, purpose: Option<&'a Purpose>) -> Self {
        let tenant = &archive.tenant.value;
        Self {
            format: FORMAT,
            version: VERSION,
            tenant: ArchivedTenant { id: tenant.id, name: &tenant.name },
            made_at: now,
            purpose,
            collections: archive.collections.iter().map(Collection::from).collect(),
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Names, ids and texts can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What stands last in an archive: without it, it was cut off.
#[derive(Default, Serialize)]
pub(crate) struct End {
    /// Records of all collections.
    records: u64,
    /// What was written of each collection, in the order of the manifest.
    collections: Vec<Written>,
}

/// What was written of a collection.
#[derive(Serialize)]
pub(crate) struct Written {
    name: CollectionName,
    records: u64,
    files: u64,
    /// The digest over its files.
    digest: String,
}

impl Written {
    pub(crate) fn new(
        name: CollectionName,
        records: u64,
        files: u64,
        digest: &FilesDigest,
    ) -> Self {
        Self { name, records, files, digest: hexadecimal(digest.bytes()) }
    }
}

impl End {
    pub(crate) fn add(&mut self, written: Written) {
        self.records += written.records;
        self.collections.push(written);
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Names and numbers can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
