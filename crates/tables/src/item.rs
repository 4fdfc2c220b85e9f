//! What a row becomes: a record on its way to the server, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_model::{
    CollectionName, ExternalId, Label, Purpose, RecordId, SubjectId, Timestamp, UserId,
};

/// One item of an import.
#[derive(Clone, Serialize, Deserialize)]
pub struct ImportItem {
    /// The id that the SaaS product has for it; what exists under it is left as it is.
    pub external_id: ExternalId,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<NamedUser>,
    /// Its values.
    pub fields: Map<String, Value>,
}

/// By what a record names a user to whom it is assigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NamedUser {
    /// A user that there is.
    Id(UserId),
    /// The user with this external id.
    External {
        /// The id that the SaaS product has for the user.
        external_id: ExternalId,
    },
}

impl NamedUser {
    /// Whether it means the same user at every server.
    pub(crate) const fn is_external(&self) -> bool {
        match self {
            Self::External { .. } => true,
            Self::Id(_) => false,
        }
    }
}

/// By what a record names the person whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NamedSubject {
    /// A subject that there is.
    Id(SubjectId),
    /// The subject with this external id, who is made with the record if there is none.
    External {
        /// The id that the SaaS product has for the person.
        external_id: ExternalId,
    },
}

/// A record as an NDJSON export has it, one a line.
#[derive(Clone, Serialize, Deserialize)]
pub struct ExportedRecord {
    /// Its id.
    pub id: RecordId,
    /// Its collection.
    pub collection: CollectionName,
    /// The id that the SaaS product has for it.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Whom it is about.
    #[serde(default)]
    pub subject: Option<String>,
    /// The id that the SaaS product has for that person.
    #[serde(default)]
    pub subject_external_id: Option<String>,
    /// Who gave the data.
    #[serde(default)]
    pub source: Option<String>,
    /// When it was collected, RFC 3339.
    pub collected_at: String,
    /// The version of the notice that was in force then.
    #[serde(default)]
    pub notice: Option<u32>,
    /// For what it may be used.
    pub purposes: Vec<String>,
    /// Its version.
    pub version: u64,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was last changed, RFC 3339.
    pub changed_at: String,
    /// To whom it is assigned: by their external ids where the export was told to write these.
    #[serde(default)]
    pub assignees: Vec<NamedUser>,
    /// The values that the caller sees in the clear.
    pub fields: Map<String, Value>,
    /// What masks leave of others.
    #[serde(default)]
    pub masked: Map<String, Value>,
}

/// What is wrong with one part of a row, or of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// Where: a JSON pointer (RFC 6901) into the record, or the request's body.
    pub pointer: String,
    /// What, without the value.
    pub detail: String,
}
