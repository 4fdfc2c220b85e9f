//! Records: entries of collections, in the caller's view.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_model::{
    CollectionName, ExternalId, FieldName, Label, Purpose, RecordId, Timestamp,
};

use crate::call::Call;
use crate::{
    Answer, ClientError, Flaw, IfMatch, ImportItem, Listed, NamedSubject, NamedUser, Page, Scoped,
};

/// An entry of a collection, as the caller sees it. It prints without its values.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Its collection.
    pub collection: CollectionName,
    /// Whom it is about.
    #[serde(default)]
    pub subject: Option<String>,
    /// The id that the SaaS product has for it.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Its version.
    pub version: u64,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created_at: Option<String>,
    /// When it was last changed, RFC 3339.
    #[serde(default)]
    pub changed_at: Option<String>,
    /// The values that the caller sees in the clear.
    pub fields: Map<String, Value>,
    /// What masks leave of others.
    #[serde(default)]
    pub masked: Map<String, Value>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.collection)
    }
}

/// Which fields a read is to show.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Only these; empty: all that the caller may see.
    pub fields: Vec<FieldName>,
    /// These in the clear where the caller may reveal them; it is recorded.
    pub reveal: Vec<FieldName>,
}

impl Shown {
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let joined =
            |names: &[FieldName]| names.iter().map(FieldName::as_str).collect::<Vec<_>>().join(",");
        [("fields", &self.fields), ("reveal", &self.reveal)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(name, names)| (name, joined(names)))
            .collect()
    }
}

/// A record to be made.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// The id that the SaaS product has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// Whom it is about, if the collection's rule is not to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<NamedSubject>,
    /// Where the data comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Label>,
    /// When it was collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_at: Option<Timestamp>,
    /// The version of the notice that was in force then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<u32>,
    /// For what it may be used; absent: what the collection says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purposes: Option<Vec<Purpose>>,
    /// To whom it is assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignees: Option<Vec<NamedUser>>,
    /// Its values.
    pub fields: Map<String, Value>,
}

/// What is to change about a record (RFC 7396: `null` removes a value).
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordChange {
    /// The values that change.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// To whom it is assigned from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignees: Option<Vec<NamedUser>>,
    /// Whether what stood there was wrong and is to be erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub correction: bool,
}

/// What became of one item of an import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportResult {
    /// Which item, counted from 0.
    pub index: usize,
    /// What became of it.
    pub status: ImportStatus,
    /// The record's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RecordId>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Flaw>,
}

/// What became of one item of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// A record was made.
    Created,
    /// A record with this external id exists and was left as it is.
    Exists,
    /// Nothing was made.
    Failed,
}

impl Scoped<'_> {
    /// Makes a record.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_record(
        &self,
        collection: &CollectionName,
        record: &NewRecord,
    ) -> Result<Answer<Record>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records"));
        Call::post(self.client, path)?.json(record)?.read().await
    }

    /// The records of a collection, in the caller's view.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn records(
        &self,
        collection: &CollectionName,
        shown: &Shown,
        page: &Page,
    ) -> Result<Answer<Listed<Record>>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records"));
        Call::get(self.client, path).query(shown.query()).query(page.query()).read().await
    }

    /// One record, in the caller's view.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record(
        &self,
        collection: &CollectionName,
        record: RecordId,
        shown: &Shown,
    ) -> Result<Answer<Record>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records/{record}"));
        Call::get(self.client, path).query(shown.query()).read().await
    }

    /// The record that has this external id, in the caller's view.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn look_up_record(
        &self,
        collection: &CollectionName,
        external_id: &ExternalId,
        shown: &Shown,
    ) -> Result<Answer<Record>, ClientError> {
        #[derive(Serialize)]
        struct Body<'b> {
            external_id: &'b ExternalId,
        }
        let path = self.path(&format!("collections/{collection}/records:lookup"));
        let call = Call::ask(self.client, path).query(shown.query());
        call.json(&Body { external_id })?.read().await
    }

    /// Changes a record.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_record(
        &self,
        collection: &CollectionName,
        record: RecordId,
        change: &RecordChange,
        version: IfMatch,
    ) -> Result<Answer<Record>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records/{record}"));
        Call::patch(self.client, path).if_match(version).json(change)?.read().await
    }

    /// Makes a record, or gives the one with this external id these values.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upsert_record(
        &self,
        collection: &CollectionName,
        record: &NewRecord,
    ) -> Result<Answer<Record>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records:upsert"));
        Call::put(self.client, path).json(record)?.read().await
    }

    /// Hides a record at once; its key dies in the next batch.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_record(
        &self,
        collection: &CollectionName,
        record: RecordId,
        version: IfMatch,
    ) -> Result<Answer<()>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records/{record}"));
        Call::delete(self.client, path).if_match(version).done().await
    }

    /// Makes many records; one result per item. The key makes a repetition harmless.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn import_records(
        &self,
        collection: &CollectionName,
        items: &[ImportItem],
        key: &str,
    ) -> Result<Answer<Vec<ImportResult>>, ClientError> {
        #[derive(Serialize)]
        struct Body<'b> {
            items: &'b [ImportItem],
        }
        #[derive(Deserialize)]
        struct Results {
            results: Vec<ImportResult>,
        }
        let path = self.path(&format!("collections/{collection}/records:import"));
        let call = Call::post_with_key(self.client, path, key)?.json(&Body { items })?;
        Ok(call.read::<Results>().await?.map(|answer| answer.results))
    }
}
