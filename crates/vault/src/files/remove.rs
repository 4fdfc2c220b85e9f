//! Somebody takes the file out of a record: it cannot be read any more, its number is punctured in the next
//! batch, and its bytes are removed.

use strongroom_storage::{Batch, LinePlaced};

use crate::files::put::refuse_held_file;
use crate::files::{FileOwner, NamedFile};
use crate::records::KnownRecord;
use crate::snapshot::attempt;
use crate::{Answer, Expected, TenantCtx, Vault, VaultError};

/// What is wanted.
pub struct RemoveFile {
    /// Which file.
    pub named: NamedFile,
    /// The version of the record that the change is made against.
    pub expected: Expected,
}

/// Removes a file and gives the version that its record has now.
///
/// # Errors
/// [`VaultError::NotFound`] for what is not there and what the caller may not know about;
/// [`VaultError::Refused`]; [`VaultError::VersionRequired`], [`VaultError::VersionStale`]; `held`.
pub async fn remove(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: RemoveFile,
) -> Result<Answer<u64>, VaultError> {
    let (value, lines) = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.admission.drain().await;
    vault.work_soon.notify_one();
    Ok(Answer { value, lines })
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &RemoveFile,
) -> Result<(u64, Vec<LinePlaced>), VaultError> {
    let tenant = ctx.tenant();
    let writable = vault.writable(ctx, &wanted.named, "file.remove").await?;
    let Some(old) = writable.opened.head.file_in(writable.field) else {
        let KnownRecord { snapshot, who, attempted, .. } = writable.known;
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    let known = &writable.known;
    wanted.expected.check(known.sealed.version)?;
    refuse_held_file(&known.subject, Some(old))?;
    let owner = FileOwner {
        tenant,
        collection: known.collection.number,
        record: wanted.named.record,
        subject: known.subject.id,
        slot: known.sealed.place.slot,
    };
    let mut batch = Batch::new();
    vault.doom_file(&mut batch, &owner, old).await?;
    vault.commit_file_change(ctx, writable, batch, None).await
}
