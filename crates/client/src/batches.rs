//! Batches of records: up to 100 at once, with one result for each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_model::{CollectionName, ExternalId, FieldName, RecordId};

use crate::call::Call;
use crate::{Answer, ClientError, IfMatch, NamedUser, NewRecord, Problem, Record, Scoped};

/// Most items of one batch.
pub const BATCH_ITEMS_MAX: usize = 100;

/// By what an item of a batch names a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NamedRecord {
    /// By its id.
    Id {
        /// Its id.
        id: RecordId,
    },
    /// By the id that the SaaS product has for it.
    External {
        /// That id.
        external_id: ExternalId,
    },
}

/// A record that is to be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemToRead {
    /// Its collection.
    pub collection: CollectionName,
    /// Which one.
    #[serde(flatten)]
    pub record: NamedRecord,
}

/// Which fields of the records of a collection a batch is to show.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldsShown {
    /// Only these; absent: all that the caller may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<FieldName>>,
    /// These in the clear where the caller may reveal them; it is recorded.
    #[serde(default)]
    pub reveal: Vec<FieldName>,
}

/// Records that are to be read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchToRead {
    /// The records, of any collections.
    pub items: Vec<ItemToRead>,
    /// Which fields, by collection; all that the caller may see of those that are not named.
    #[serde(default)]
    pub shown: BTreeMap<CollectionName, FieldsShown>,
}

/// What became of one item of a batch that reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemRead {
    /// Which item, counted from 0.
    pub index: usize,
    /// The record, if the caller may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// Why it is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Records that are to be made.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchToCreate {
    /// The records.
    pub items: Vec<NewRecord>,
    /// Whether all of them are to be made or none.
    #[serde(default)]
    pub atomic: bool,
}

/// What is to change of one record.
#[derive(Clone, Serialize, Deserialize)]
pub struct ItemToChange {
    /// Which one.
    #[serde(flatten)]
    pub record: NamedRecord,
    /// The version that the change is made against: a number, or `"*"`.
    pub if_match: ItemVersion,
    /// The values that change; null takes one away.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// To whom it is assigned from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignees: Option<Vec<NamedUser>>,
    /// Whether what stood there was wrong and is to be erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub correction: bool,
}

/// Changes that are to be made.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchToChange {
    /// The changes.
    pub items: Vec<ItemToChange>,
    /// Whether all of them are to be made or none.
    #[serde(default)]
    pub atomic: bool,
}

/// A record that is to be deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemToDelete {
    /// Which one.
    #[serde(flatten)]
    pub record: NamedRecord,
    /// The version that is to be deleted; absent: whichever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<ItemVersion>,
}

/// Records that are to be deleted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchToDelete {
    /// The records.
    pub items: Vec<ItemToDelete>,
    /// Whether all of them are to be deleted or none.
    #[serde(default)]
    pub atomic: bool,
}

/// The version that an item is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ItemVersion {
    /// This one.
    Version(u64),
    /// Whichever is there.
    Any(Star),
}

/// Whichever version is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Star {
    /// `*`.
    #[serde(rename = "*")]
    Any,
}

impl From<IfMatch> for ItemVersion {
    fn from(version: IfMatch) -> Self {
        match version {
            IfMatch::Version(version) => Self::Version(version),
            IfMatch::Any => Self::Any(Star::Any),
        }
    }
}

/// What became of one item of a batch that changes something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemWritten {
    /// Which item, counted from 0.
    pub index: usize,
    /// The record, if the item was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RecordId>,
    /// Its version from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why the item was not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The results of a batch.
#[derive(Deserialize)]
struct Results<T> {
    results: Vec<T>,
}

impl Scoped<'_> {
    /// Reads up to 100 records of any collections.
    ///
    /// # Errors
    /// [`ClientError`]; what is wrong with single items is in their results.
    pub async fn batch_get_records(
        &self,
        batch: &BatchToRead,
    ) -> Result<Answer<Vec<ItemRead>>, ClientError> {
        let call = Call::look(self.client, self.path("records:batchGet")).json(batch)?;
        Ok(call.read::<Results<ItemRead>>().await?.map(|answer| answer.results))
    }

    /// Makes up to 100 records.
    ///
    /// # Errors
    /// [`ClientError`]; what is wrong with single items is in their results.
    pub async fn batch_create_records(
        &self,
        collection: &CollectionName,
        batch: &BatchToCreate,
    ) -> Result<Answer<Vec<ItemWritten>>, ClientError> {
        self.batch(collection, "batchCreate", batch).await
    }

    /// Changes up to 100 records.
    ///
    /// # Errors
    /// [`ClientError`]; what is wrong with single items is in their results.
    pub async fn batch_change_records(
        &self,
        collection: &CollectionName,
        batch: &BatchToChange,
    ) -> Result<Answer<Vec<ItemWritten>>, ClientError> {
        self.batch(collection, "batchPatch", batch).await
    }

    /// Deletes up to 100 records.
    ///
    /// # Errors
    /// [`ClientError`]; what is wrong with single items is in their results.
    pub async fn batch_delete_records(
        &self,
        collection: &CollectionName,
        batch: &BatchToDelete,
    ) -> Result<Answer<Vec<ItemWritten>>, ClientError> {
        self.batch(collection, "batchDelete", batch).await
    }

    async fn batch(
        &self,
        collection: &CollectionName,
        verb: &str,
        batch: &impl Serialize,
    ) -> Result<Answer<Vec<ItemWritten>>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records:{verb}"));
        let call = Call::post(self.client, path)?.json(batch)?;
        Ok(call.read::<Results<ItemWritten>>().await?.map(|answer| answer.results))
    }
}
