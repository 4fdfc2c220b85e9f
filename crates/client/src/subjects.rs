//! Subjects: the people whom records are about.

use serde::{Deserialize, Serialize};
use strongroom_model::{CollectionName, ExternalId, RecordId, SubjectId};

use crate::call::Call;
use crate::{Answer, ClientError, Listed, Page, Scoped};

/// A person whom records are about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subject {
    /// Their id.
    pub id: SubjectId,
    /// Where they stand: `active`, `restricted`, `closed`, `erased`.
    pub state: String,
    /// The id that the SaaS product has for them.
    #[serde(default)]
    pub external_id: Option<String>,
    /// When they were made, RFC 3339.
    #[serde(default)]
    pub created_at: Option<String>,
}

/// A subject to be made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewSubject {
    /// The id that the SaaS product has for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
}

/// A record about a subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubjectRecord {
    /// Its collection.
    pub collection: CollectionName,
    /// Its id.
    pub record: RecordId,
}

impl Scoped<'_> {
    /// Makes a subject.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_subject(
        &self,
        subject: &NewSubject,
    ) -> Result<Answer<Subject>, ClientError> {
        Call::post(self.client, self.path("subjects"))?.json(subject)?.read().await
    }

    /// One subject.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn subject(&self, subject: SubjectId) -> Result<Answer<Subject>, ClientError> {
        Call::get(self.client, self.path(&format!("subjects/{subject}"))).read().await
    }

    /// The subject that has this external id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn look_up_subject(
        &self,
        external_id: &ExternalId,
    ) -> Result<Answer<Subject>, ClientError> {
        let named = NewSubject { external_id: Some(external_id.clone()) };
        Call::look(self.client, self.path("subjects:lookup")).json(&named)?.read().await
    }

    /// Makes the subject of this external id, or shows the one who has it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upsert_subject(
        &self,
        external_id: &ExternalId,
    ) -> Result<Answer<Subject>, ClientError> {
        let named = NewSubject { external_id: Some(external_id.clone()) };
        Call::put(self.client, self.path("subjects:upsert")).json(&named)?.read().await
    }

    /// The records about a subject.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn subject_records(
        &self,
        subject: SubjectId,
        page: &Page,
    ) -> Result<Answer<Listed<SubjectRecord>>, ClientError> {
        let path = self.path(&format!("subjects/{subject}/records"));
        Call::get(self.client, path).query(page.query()).read().await
    }
}
