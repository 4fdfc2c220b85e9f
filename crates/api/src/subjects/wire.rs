//! Subjects as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{
    CollectionName, ExternalId, RecordId, SubjectHead, SubjectId, SubjectState, Timestamp,
};
use strongroom_vault::{Versioned, subjects};
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};

/// A subject that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubject {
    /// The id that the SaaS product has for the person.
    #[serde(default)]
    #[schema(example = "person-4711")]
    external_id: Option<ExternalId>,
}

impl FromBody for NewSubject {}

impl From<Sent<NewSubject>> for subjects::CreateSubject {
    fn from(sent: Sent<NewSubject>) -> Self {
        Self { external_id: sent.value.external_id, idempotency: sent.repeat }
    }
}

/// By what a subject is looked up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubjectLookup {
    /// The id that the SaaS product has for the person.
    #[schema(example = "person-4711")]
    pub(crate) external_id: ExternalId,
}

impl FromBody for SubjectLookup {}

/// A subject: a person whom records are about.
#[derive(Serialize, ToSchema)]
pub(crate) struct Subject {
    #[schema(value_type = String)]
    id: SubjectId,
    /// Where it stands.
    state: SubjectState,
    /// The id that the SaaS product has for the person.
    external_id: Option<ExternalId>,
    /// When it came to be.
    created_at: Timestamp,
}

impl From<&Versioned<SubjectHead>> for Subject {
    fn from(found: &Versioned<SubjectHead>) -> Self {
        let head = &found.value;
        Self {
            id: head.id,
            state: head.state,
            external_id: head.external_id.clone(),
            created_at: head.created_at,
        }
    }
}

/// Where a record of a subject is.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubjectRecord {
    /// The name of its collection.
    collection: CollectionName,
    #[schema(value_type = String)]
    record: RecordId,
}

impl From<&(CollectionName, RecordId)> for SubjectRecord {
    fn from((collection, record): &(CollectionName, RecordId)) -> Self {
        Self { collection: collection.clone(), record: *record }
    }
}
