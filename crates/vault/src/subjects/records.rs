//! Somebody who may read records finds out which of them are about a subject.

use strongroom_model::{Action, CollectionName, RecordId, RecordPlace, SubjectId};
use strongroom_storage::{KeyRange, RowKey};

use crate::snapshot::attempt;
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// Lists the records of a subject in the order of their numbers: where they are, nothing of what
/// they hold.
///
/// # Errors
/// [`VaultError::NotFound`] for whoever may not know of the subject; [`VaultError::Refused`].
pub async fn records(
    vault: &Vault,
    ctx: &TenantCtx,
    subject: SubjectId,
    page: Page,
) -> Result<Answer<Listed<(CollectionName, RecordId)>>, VaultError> {
    attempt(|| async {
        let tenant = ctx.tenant();
        let (mut snapshot, allowed, _) =
            vault.about_subject(ctx, subject, Action::Read, "subject.records").await?;
        let prefix = keyspace::manifest_prefix(tenant, subject);
        let list = prefix.as_bytes();
        let range = match &page.cursor {
            None => KeyRange::prefix(list),
            Some(cursor) => {
                KeyRange::after(&RowKey::new(vault.open_cursor(ctx, list, cursor).await?), list)
            }
        };
        let rows = vault.store.scan(&range, page.limit.saturating_add(1)).await?;
        let more = rows.len() > page.limit;
        let mut items = Vec::new();
        let mut last = None;
        for (key, row) in rows.into_iter().take(page.limit) {
            let (place, _) = vault.open_row::<RecordPlace>(&key, &row).await?;
            if place.file.is_none()
                && let Some(collection) = snapshot.collection_of(tenant, place.collection).await?
                && !collection.erased
            {
                items.push((collection.name.clone(), place.record));
            }
            last = Some(key);
        }
        let next = match last {
            Some(last) if more => Some(vault.seal_cursor(ctx, list, last.as_bytes()).await?),
            Some(_) | None => None,
        };
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}
