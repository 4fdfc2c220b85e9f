//! An operator stores a version of a blueprint; the same content again is the version that it was.

use strongroom_model::{
    Action, AuditObject, Backend, Blueprint, BlueprintContent, BlueprintId, BlueprintName,
    BlueprintVersion,
};

use crate::blueprints::content::{Flaws, check, filled, ordered};
use crate::blueprints::{
    BLUEPRINTS_MAX, BlueprintList, Change, VERSION_BYTES_MAX, changes, evolve,
};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct PutBlueprint {
    /// Its name.
    pub name: BlueprintName,
    /// What the version is to hold.
    pub content: BlueprintContent,
}

/// What was stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The blueprint.
    pub blueprint: Blueprint,
    /// The version that holds the content.
    pub version: BlueprintVersion,
    /// Whether it is a new one.
    pub new: bool,
    /// What it has that the version before had not.
    pub changes: Vec<Change>,
}

/// Stores a version.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::Invalid`] with every flaw of the
/// content, and of what it changes of the version before; `too_many_blueprints`.
pub async fn put(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: PutBlueprint,
) -> Result<Answer<Stored>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &PutBlueprint,
) -> Result<Answer<Stored>, VaultError> {
    let id = BlueprintId::new(vault.now(), &*vault.rng)?;
    let object = AuditObject::Other(BlueprintId::PREFIX, *id.as_bytes());
    let (mut snapshot, mut allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "blueprint.put", object)
        .await?;
    let found = snapshot.blueprint_named(&wanted.name).await?;
    let before = newest(&mut snapshot, found.as_ref()).await?;
    let content =
        settled(&mut snapshot, before.as_ref().map(|it| &it.content), &wanted.content).await?;
    if let Some(found) = &found {
        allowed.event.object = AuditObject::Other(BlueprintId::PREFIX, *found.id.as_bytes());
    }
    if let (Some(found), Some(before)) = (&found, &before)
        && before.content == content
    {
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let value = Stored {
            blueprint: (*found.value).clone(),
            version: (*before.value).clone(),
            new: false,
            changes: Vec::new(),
        };
        return Ok(Answer { value, lines: committed.places().to_vec() });
    }

    let now = vault.now();
    let blueprint = match &found {
        Some(found) => Blueprint {
            newest: found.newest.saturating_add(1),
            changed_at: now,
            ..(*found.value).clone()
        },
        None => {
            Blueprint { id, name: wanted.name.clone(), newest: 1, created_at: now, changed_at: now }
        }
    };
    let list = match &found {
        Some(_) => None,
        None => Some(longer(&mut snapshot, &blueprint).await?),
    };
    let empty = BlueprintContent::default();
    let old = before.as_ref().map_or(&empty, |before| &before.content);
    let changes = changes::between(old, &content);
    let version = BlueprintVersion {
        number: blueprint.newest,
        content,
        stored_by: allowed.who.principal,
        stored_at: now,
    };
    let mut batch = snapshot.into_batch();
    if let Some((version, list)) = list {
        let key = keyspace::blueprint_list();
        let value = vault.seal_row(&key, OwnerLeaf::NOBODY, version + 1, &list).await?;
        batch.put(key, version + 1, value);
    }
    let key = keyspace::blueprint(blueprint.id);
    let row = found.map_or(0, |found| found.version) + 1;
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, row, &blueprint).await?;
    batch.put(key, row, value);
    let key = keyspace::blueprint_version(blueprint.id, version.number);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &version).await?;
    if value.len() > VERSION_BYTES_MAX {
        return Err(VaultError::invalid("", "a version has at most 1 MiB as it is kept"));
    }
    batch.expect_absent(key.clone()).put(key, 1, value);
    batch.line(vault.line(ctx.tenant(), Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let value = Stored { blueprint, version, new: true, changes };
    Ok(Answer { value, lines: committed.places().to_vec() })
}

/// The newest version of a blueprint that there is.
pub(crate) async fn newest(
    snapshot: &mut Snapshot<'_>,
    found: Option<&Loaded<Blueprint>>,
) -> Result<Option<Loaded<BlueprintVersion>>, VaultError> {
    match found {
        Some(found) => Ok(Some(snapshot.blueprint_version(found.id, found.newest).await?)),
        None => Ok(None),
    }
}

/// The content as it would be kept, after everything that could be wrong with it.
///
/// # Errors
/// [`VaultError::Invalid`] with every flaw.
pub(crate) async fn settled(
    snapshot: &mut Snapshot<'_>,
    before: Option<&BlueprintContent>,
    content: &BlueprintContent,
) -> Result<BlueprintContent, VaultError> {
    let content = filled(content)?;
    let mut flaws = Flaws::default();
    check(&content, &mut flaws);
    if let Some(before) = before {
        evolve::check(before, &content, &mut flaws);
    }
    for (place, named) in content.backends.iter().enumerate() {
        let had = before.is_some_and(|it| it.backends.iter().any(|b| b.backend == named.backend));
        let known = snapshot.load::<Backend>(&keyspace::backend(named.backend)).await?;
        // One that was revoked since stands in the file until somebody takes it out.
        if !had && known.is_none_or(|backend| backend.revoked) {
            let detail = "the provider has no such backend, or has revoked it";
            flaws.add(format!("/backends/{place}/backend"), detail);
        }
    }
    flaws.check()?;
    Ok(ordered(content))
}

/// The list with one more blueprint, and the version of its row.
async fn longer(
    snapshot: &mut Snapshot<'_>,
    blueprint: &Blueprint,
) -> Result<(u64, BlueprintList), VaultError> {
    let list = snapshot.load::<BlueprintList>(&keyspace::blueprint_list()).await?;
    let version = list.as_ref().map_or(0, |list| list.version);
    let mut longer = list.map_or_else(BlueprintList::default, |list| (*list.value).clone());
    if longer.blueprints.len() >= BLUEPRINTS_MAX {
        return Err(VaultError::wrong_state(
            "too_many_blueprints",
            "the provider has at most 200 blueprints",
        ));
    }
    longer.blueprints.push((blueprint.name.clone(), blueprint.id));
    Ok((version, longer))
}
