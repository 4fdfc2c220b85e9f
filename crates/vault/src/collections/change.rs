//! Somebody who may manage the schema changes a collection: fields are added, relabelled, retired,
//! masked otherwise; a type never changes and a number is never reused.

use std::collections::BTreeMap;

use strongroom_model::{
    Action, AuditObject, Collection, CollectionName, FieldName, Label, Mask, Purpose,
};

use crate::collections::create::{declare, references};
use crate::collections::{CollectionList, NewField};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Expected, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted; what is absent stays.
#[derive(Debug, Clone)]
pub struct ChangeCollection {
    /// The collection.
    pub name: CollectionName,
    /// The version that the change is made against.
    pub expected: Expected,
    /// What people call it.
    pub label: Option<Label>,
    /// For what its records may be used.
    pub purposes: Option<Vec<Purpose>>,
    /// Whether each change of a record erases what it held before.
    pub forgets_old_versions: Option<bool>,
    /// Fields to be added.
    pub add_fields: Vec<NewField>,
    /// Fields to be retired: no longer written or shown.
    pub retire_fields: Vec<FieldName>,
    /// New labels of fields.
    pub relabel: BTreeMap<FieldName, Label>,
    /// New masks of fields.
    pub masks: BTreeMap<FieldName, Mask>,
}

/// Changes a collection.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_schema`; [`VaultError::Invalid`] for what does not fit;
/// [`VaultError::VersionStale`].
pub async fn change(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ChangeCollection,
) -> Result<Answer<Versioned<Collection>>, VaultError> {
    let answer = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.admission.drain().await;
    Ok(answer)
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ChangeCollection,
) -> Result<Answer<Versioned<Collection>>, VaultError> {
    let tenant = ctx.tenant();
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, mut allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageSchema, "collection.change", object)
        .await?;
    let found = snapshot.collection(tenant, &wanted.name).await?.ok_or(VaultError::NotFound)?;
    wanted.expected.check(found.version)?;
    let list = snapshot
        .load::<CollectionList>(&keyspace::collection_list(tenant))
        .await?
        .ok_or(VaultError::NotFound)?;

    let mut collection = (*found.value).clone();
    if let Some(label) = &wanted.label {
        collection.label = label.clone();
    }
    if let Some(purposes) = &wanted.purposes {
        collection.purposes.clone_from(purposes);
    }
    if let Some(forgets) = wanted.forgets_old_versions {
        collection.forgets_old_versions = forgets;
    }
    let first = collection.fields.last().map_or(1, |last| last.number.0.saturating_add(1));
    let added = declare(&wanted.add_fields, first, &collection.fields)?;
    for field in &added {
        let known = references(&field.kind).is_none_or(|target| {
            list.collections.iter().any(|entry| entry.name == *target && !entry.erased)
        });
        if !known {
            return Err(VaultError::invalid(
                "/add_fields",
                format!("`{}` refers to a collection that there is not", field.name),
            ));
        }
        if field.required {
            return Err(VaultError::invalid(
                "/add_fields",
                "a field that is added later cannot be required",
            ));
        }
    }
    for name in &wanted.retire_fields {
        if collection.subject == strongroom_model::SubjectRule::Through(name.clone()) {
            return Err(VaultError::invalid(
                "/retire_fields",
                "records take their subject through this field",
            ));
        }
        named(&mut collection, name, "/retire_fields")?.retired = true;
    }
    for (name, label) in &wanted.relabel {
        named(&mut collection, name, "/relabel")?.label = label.clone();
    }
    for (name, mask) in &wanted.masks {
        let field = named(&mut collection, name, "/masks")?;
        if !field.kind.takes(*mask) {
            return Err(VaultError::invalid(
                "/masks",
                "this mask cannot be applied to values of this type",
            ));
        }
        field.mask = *mask;
    }
    collection.fields.extend(added);

    allowed.event.object = AuditObject::Collection(collection.number);
    let mut batch = snapshot.into_batch();
    let key = keyspace::collection(tenant, collection.number);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &collection).await?;
    batch.put(key, found.version + 1, value);
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let value = Versioned { version: found.version + 1, value: collection };
    Ok(Answer { value, lines: committed.places().to_vec() })
}

fn named<'c>(
    collection: &'c mut Collection,
    name: &FieldName,
    pointer: &str,
) -> Result<&'c mut strongroom_model::Field, VaultError> {
    let field = collection.fields.iter_mut().find(|field| field.name == *name && !field.retired);
    field.ok_or_else(|| {
        VaultError::invalid(pointer, format!("the collection has no field `{name}`"))
    })
}
