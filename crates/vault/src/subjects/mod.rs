//! Subjects: the people whom records are about.

mod create;
mod lookup;
mod records;
mod show;
mod upsert;

pub(crate) use create::new_head;
pub use create::{CreateSubject, create};
pub use lookup::look_up;
pub use records::records;
pub use show::show;
pub use upsert::{UpsertedSubject, upsert};

use strongroom_model::{SubjectHead, SubjectId, TenantId};

use crate::snapshot::{Loaded, Snapshot};
use crate::{VaultError, keyspace};

impl Snapshot<'_> {
    /// What is known of a subject; nothing if it is erased or never was.
    pub(crate) async fn subject(
        &mut self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> Result<Option<Loaded<SubjectHead>>, VaultError> {
        match self.load::<SubjectHead>(&keyspace::subject_head(tenant, subject)).await {
            Err(VaultError::Erased(_)) => Ok(None),
            found => found,
        }
    }
}
