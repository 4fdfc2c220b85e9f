//! An operator asks what a file would change, and changes nothing.

use strongroom_model::{Action, AuditObject, BlueprintContent, TenantId};

use crate::blueprints::put::{newest, settled};
use crate::blueprints::{Change, PutBlueprint, changes};
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError};

/// What storing a content would do.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The number of the newest version; absent where there is no such blueprint.
    pub newest: Option<u32>,
    /// What the content has that the newest version has not; empty where it is the same.
    pub changes: Vec<Change>,
}

/// Says what storing this content would change.
///
/// # Errors
/// Those of [`crate::blueprints::put`].
pub async fn compare(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: PutBlueprint,
) -> Result<Answer<Comparison>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (mut snapshot, allowed) = vault
            .administer(
                ctx,
                Snapshot::new(vault),
                Action::ManageTenants,
                "blueprint.compare",
                object,
            )
            .await?;
        let found = snapshot.blueprint_named(&wanted.name).await?;
        let before = newest(&mut snapshot, found.as_ref()).await?;
        let old = before.as_ref().map(|before| &before.content);
        let content = settled(&mut snapshot, old, &wanted.content).await?;
        let empty = BlueprintContent::default();
        let value = Comparison {
            newest: found.map(|found| found.newest),
            changes: changes::between(old.unwrap_or(&empty), &content),
        };
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}
