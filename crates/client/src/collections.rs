//! Collections: typed sets of records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_model::{
    CollectionId, CollectionName, DpvTerm, FieldName, FieldType, Label, Mask, Purpose, SubjectRule,
};

use crate::call::Call;
use crate::{Answer, ClientError, IfMatch, Listed, Page, Scoped};

/// A typed set of records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// Its name in paths.
    pub name: CollectionName,
    /// What people call it.
    pub label: String,
    /// Its version.
    #[serde(default)]
    pub version: Option<u64>,
    /// For what its records may be used.
    pub purposes: Vec<String>,
    /// Whom its records are about, where a creation does not say.
    pub subject: SubjectRule,
    /// Whether each change of a record erases what it held before.
    #[serde(default)]
    pub forgets_old_versions: bool,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field of a collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Field {
    /// Its number, which audit lines name.
    pub number: u32,
    /// Its name.
    pub name: FieldName,
    /// What people call it.
    pub label: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// The kind of personal data in it, a DPV term.
    #[serde(default)]
    pub category: Option<String>,
    /// What a class with the view `masked` sees of it.
    pub mask: Mask,
    /// Whether a record must have it.
    pub required: bool,
    /// Whether row scopes may filter by it.
    pub scope: bool,
    /// Whether it is no longer written or shown.
    pub retired: bool,
}

/// A collection to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCollection {
    /// Its name in paths.
    pub name: CollectionName,
    /// What people are to call it.
    pub label: Label,
    /// For what its records may be used.
    pub purposes: Vec<Purpose>,
    /// Whom its records are about, where a creation does not say.
    #[serde(default)]
    pub subject: SubjectRule,
    /// Whether each change of a record erases what it held before.
    #[serde(default)]
    pub forgets_old_versions: bool,
    /// Its fields.
    pub fields: Vec<NewField>,
}

/// A field to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewField {
    /// Its name.
    pub name: FieldName,
    /// What people are to call it; absent: the server makes one from the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// The kind of personal data in it, a DPV term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<DpvTerm>,
    /// What a class with the view `masked` sees of it; absent: the type's own mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// Whether a record must have it.
    #[serde(default)]
    pub required: bool,
    /// Whether row scopes may filter by it.
    #[serde(default)]
    pub scope: bool,
}

/// What is to change about a collection; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionChange {
    /// Another label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Other purposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purposes: Option<Vec<Purpose>>,
    /// Whether each change of a record is to erase what it held before, from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgets_old_versions: Option<bool>,
    /// Fields to be added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_fields: Vec<NewField>,
    /// Fields to be retired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retire_fields: Vec<FieldName>,
    /// Other labels of fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relabel: BTreeMap<FieldName, Label>,
    /// Other masks of fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masks: BTreeMap<FieldName, Mask>,
}

impl Scoped<'_> {
    /// Makes a collection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_collection(
        &self,
        collection: &NewCollection,
    ) -> Result<Answer<Collection>, ClientError> {
        Call::post(self.client, self.path("collections"))?.json(collection)?.read().await
    }

    /// The collections.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn collections(
        &self,
        page: &Page,
    ) -> Result<Answer<Listed<Collection>>, ClientError> {
        Call::get(self.client, self.path("collections")).query(page.query()).read().await
    }

    /// One collection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn collection(
        &self,
        name: &CollectionName,
    ) -> Result<Answer<Collection>, ClientError> {
        Call::get(self.client, self.path(&format!("collections/{name}"))).read().await
    }

    /// Changes a collection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_collection(
        &self,
        name: &CollectionName,
        change: &CollectionChange,
        version: IfMatch,
    ) -> Result<Answer<Collection>, ClientError> {
        let path = self.path(&format!("collections/{name}"));
        Call::patch(self.client, path).if_match(version).json(change)?.read().await
    }
}
