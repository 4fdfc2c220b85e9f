//! Somebody who may read records finds a subject by the id that the SaaS product has for the person.

use strongroom_model::{Action, AuditObject, ExternalId, SubjectHead, SubjectId};

use crate::index::Index;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::subjects::show;
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError};

/// Shows the subject with this external id.
///
/// # Errors
/// As for [`show`].
pub async fn look_up(
    vault: &Vault,
    ctx: &TenantCtx,
    external_id: &ExternalId,
) -> Result<Answer<Versioned<SubjectHead>>, VaultError> {
    match find(vault, ctx, external_id).await? {
        Some(subject) => show(vault, ctx, subject).await,
        None => attempt(|| absent(vault, ctx)).await,
    }
}

/// The subject with this external id, whoever asks: what may be known of them is decided afterwards.
pub(crate) async fn find(
    vault: &Vault,
    ctx: &TenantCtx,
    external_id: &ExternalId,
) -> Result<Option<SubjectId>, VaultError> {
    let index = Index::of_subjects(ctx.tenant());
    let found =
        attempt(|| async { Snapshot::new(vault).find(index, external_id.as_str()).await }).await?;
    Ok(found.map(|hit| hit.subject))
}

async fn absent<T>(vault: &Vault, ctx: &TenantCtx) -> Result<Answer<T>, VaultError> {
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let object = AuditObject::Tenant(ctx.tenant());
    let attempted =
        Attempted { principal: who.principal, action: Action::Read, code: "subject.read", object };
    vault.refuse_absent(ctx, snapshot, who, attempted).await
}
