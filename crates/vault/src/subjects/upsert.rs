//! Somebody who may create records sees to it that the subject of an external id is there.

use strongroom_model::{ExternalId, SubjectHead};

use crate::snapshot::Versioned;
use crate::subjects::lookup::find;
use crate::subjects::{CreateSubject, create, show};
use crate::{Answer, TenantCtx, Vault, VaultError};

/// What became of it.
#[derive(Debug)]
pub enum UpsertedSubject {
    /// The subject was made.
    Created(Versioned<SubjectHead>),
    /// The subject was there.
    Found(Versioned<SubjectHead>),
}

/// Makes the subject of an external id, or shows the one who has it.
///
/// # Errors
/// As for [`create`] and [`show`].
pub async fn upsert(
    vault: &Vault,
    ctx: &TenantCtx,
    external_id: ExternalId,
) -> Result<Answer<UpsertedSubject>, VaultError> {
    if find(vault, ctx, &external_id).await?.is_none() {
        let new = CreateSubject { external_id: Some(external_id.clone()), idempotency: None };
        match create(vault, ctx, new).await {
            // Somebody else made them meanwhile.
            Err(VaultError::WrongState { code: "external_id_taken", .. }) => {}
            made => {
                return made.map(|made| Answer {
                    value: UpsertedSubject::Created(made.value),
                    lines: made.lines,
                });
            }
        }
    }
    let subject = find(vault, ctx, &external_id).await?.ok_or(VaultError::Conflict)?;
    let shown = show(vault, ctx, subject).await?;
    Ok(Answer { value: UpsertedSubject::Found(shown.value), lines: shown.lines })
}
