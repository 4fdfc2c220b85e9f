//! Somebody who may manage classes changes or removes one.

use strongroom_model::{
    Action, Admission, ApiKey, AuditObject, ClassId, ClassName, ClassTerms, Label, PermissionClass,
    User,
};
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::RowKind;

use crate::caller::Who;
use crate::classes::{ClassList, check_terms};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot, Versioned, attempt};
use crate::{Answer, Expected, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct ReplaceClass {
    /// The class.
    pub name: ClassName,
    /// The version that the change is made against.
    pub expected: Expected,
    /// What people call it from now on.
    pub label: Label,
    /// What it allows from now on.
    pub terms: ClassTerms,
}

/// Replaces what a class allows. It is acknowledged when no request that was let in before can use
/// what was taken away.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_classes`; [`VaultError::Invalid`] for terms wider than
/// the caller's own; `owner_class` for the owner class, which stays as it is.
pub async fn replace(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ReplaceClass,
) -> Result<Answer<Versioned<PermissionClass>>, VaultError> {
    let answer = attempt(|| async {
        let (snapshot, event, found, who) =
            editable(vault, ctx, &wanted.name, wanted.expected, "class.change").await?;
        check_terms(&wanted.terms)?;
        who.held().not_wider(&wanted.terms).map_err(|wider| {
            VaultError::invalid("/terms", format!("wider than your own classes: {wider}"))
        })?;
        let class = PermissionClass {
            label: wanted.label.clone(),
            terms: wanted.terms.clone(),
            ..(*found.value).clone()
        };
        let mut batch = snapshot.into_batch();
        let key = keyspace::class(ctx.tenant(), class.id);
        let value = vault.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &class).await?;
        batch.put(key, found.version + 1, value);
        batch.line(vault.line(ctx.tenant(), Some(ctx), event).await?);
        let committed = vault.store.commit(batch).await?;
        let value = Versioned { version: found.version + 1, value: class };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await?;
    vault.admission.drain().await;
    Ok(answer)
}

/// Removes a class that nobody has.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_classes`; `class_in_use`; `owner_class`.
pub async fn remove(
    vault: &Vault,
    ctx: &TenantCtx,
    name: &ClassName,
    expected: Expected,
) -> Result<Answer<()>, VaultError> {
    attempt(|| async {
        let (mut snapshot, event, found, _) =
            editable(vault, ctx, name, expected, "class.remove").await?;
        if snapshot.is_held(ctx, found.id).await? {
            return Err(VaultError::wrong_state(
                "class_in_use",
                "a user, an API key or an admitted backend has this class",
            ));
        }
        let list_key = keyspace::class_list(ctx.tenant());
        let list = snapshot.load::<ClassList>(&list_key).await?.ok_or(VaultError::NotFound)?;
        let mut shorter = (*list.value).clone();
        shorter.classes.retain(|(_, id)| *id != found.id);
        let mut batch = snapshot.into_batch();
        batch.delete(keyspace::class(ctx.tenant(), found.id));
        let value =
            vault.seal_row(&list_key, OwnerLeaf::NOBODY, list.version + 1, &shorter).await?;
        batch.put(list_key, list.version + 1, value);
        batch.line(vault.line(ctx.tenant(), Some(ctx), event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: (), lines: committed.places().to_vec() })
    })
    .await
}

type Editable<'v> = (Snapshot<'v>, strongroom_model::AuditEvent, Loaded<PermissionClass>, Who);

async fn editable<'v>(
    vault: &'v Vault,
    ctx: &TenantCtx,
    name: &ClassName,
    expected: Expected,
    code: &'static str,
) -> Result<Editable<'v>, VaultError> {
    let object = AuditObject::Tenant(ctx.tenant());
    let (mut snapshot, mut allowed) =
        vault.administer(ctx, Snapshot::new(vault), Action::ManageClasses, code, object).await?;
    let found = snapshot.class_named(ctx.tenant(), name).await?.ok_or(VaultError::NotFound)?;
    expected.check(found.version)?;
    if found.terms.owner || (ctx.is_provider() && found.name.as_str() == "operator") {
        return Err(VaultError::wrong_state("owner_class", "the owner class stays as it is"));
    }
    if !allowed.who.held().may_administer(&found.name, &found.terms) {
        return Err(VaultError::wrong_state(
            "not_yours_to_change",
            "a class that you may not edit",
        ));
    }
    allowed.event.object = AuditObject::Other(ClassId::PREFIX, *found.id.as_bytes());
    Ok((snapshot, allowed.event, found, allowed.who))
}

/// Holders of a class are looked for among so many users, keys and admissions.
const HOLDERS_MAX: usize = strongroom_storage::PAGE_MAX;

impl Snapshot<'_> {
    async fn is_held(&mut self, ctx: &TenantCtx, class: ClassId) -> Result<bool, VaultError> {
        let users = self
            .vault
            .store
            .scan(&KeyRange::prefix_of(ctx.tenant(), RowKind::User), HOLDERS_MAX)
            .await?;
        let keys: Vec<_> = users.into_iter().map(|(key, _)| key).collect();
        if self
            .load_many::<User>(&keys)
            .await?
            .iter()
            .flatten()
            .any(|user| user.classes.contains(&class))
        {
            return Ok(true);
        }
        let keys = self
            .vault
            .store
            .scan(&KeyRange::prefix_of(ctx.tenant(), RowKind::ApiKey), HOLDERS_MAX)
            .await?;
        let keys: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
        let found = self.load_many::<ApiKey>(&keys).await?;
        if found.iter().flatten().any(|key| !key.revoked && key.classes.contains(&class)) {
            return Ok(true);
        }
        let range = KeyRange::prefix_of(ctx.tenant(), RowKind::Admission);
        let rows = self.vault.store.scan(&range, HOLDERS_MAX).await?;
        let keys: Vec<_> = rows.into_iter().map(|(key, _)| key).collect();
        let found = self.load_many::<Admission>(&keys).await?;
        Ok(found.iter().flatten().any(|found| !found.revoked && found.classes.contains(&class)))
    }
}
