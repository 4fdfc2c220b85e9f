//! What a new tenant gets of a blueprint: collections, classes, and the backends that it admits.

use strongroom_keyring::Half;
use strongroom_model::{
    Admission, Backend, Blueprint, BlueprintBackend, BlueprintCollection, BlueprintName,
    BlueprintOfTenant, BlueprintVersion, ClassId, ClassName, ClassTerms, Collection, CollectionId,
    CollectionName, CollectionNumber, Given, GivenClass, GivenCollection, Label, Principal,
    SUBJECTS_PER_HOUR_DEFAULT, TenantId,
};
use strongroom_storage::Batch;

use crate::blueprints::merge::{field_of, terms_of};
use crate::collections::{CollectionList, Entry};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot};
use crate::{Vault, VaultError, classes, keyspace};

/// What a tenant is to be made from.
pub(crate) struct Plan {
    blueprint: Loaded<Blueprint>,
    version: Loaded<BlueprintVersion>,
    /// The backends that the tenant is to admit: those that the provider has not revoked.
    backends: Vec<BlueprintBackend>,
}

impl Plan {
    /// What the tenant remembers of it.
    pub(crate) fn of_tenant(&self) -> BlueprintOfTenant {
        BlueprintOfTenant {
            id: self.blueprint.id,
            name: self.blueprint.name.clone(),
            version: self.version.number,
        }
    }
}

impl Snapshot<'_> {
    /// What a tenant is made from: the newest version of a blueprint.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for a name that no blueprint has.
    pub(crate) async fn plan(&mut self, name: &BlueprintName) -> Result<Plan, VaultError> {
        let blueprint = self
            .blueprint_named(name)
            .await?
            .ok_or_else(|| VaultError::invalid("/blueprint", "no blueprint of this name"))?;
        let version = self.blueprint_version(blueprint.id, blueprint.newest).await?;
        let mut backends = Vec::new();
        for named in &version.content.backends {
            let backend = self.load::<Backend>(&keyspace::backend(named.backend)).await?;
            if backend.is_some_and(|backend| !backend.revoked) {
                backends.push(named.clone());
            }
        }
        Ok(Plan { blueprint, version, backends })
    }
}

/// Writes what a new tenant gets of a blueprint, and gives its owner class.
pub(crate) async fn plant(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    plan: &Plan,
    by: Principal,
) -> Result<ClassId, VaultError> {
    let version = plan.version.number;
    let mut given = Given::default();
    let (owner, classes) = plant_classes(vault, batch, tenant, plan).await?;
    for (name, id) in &classes {
        given.classes.push(GivenClass { name: name.clone(), id: *id, version });
    }
    for collection in plant_collections(vault, batch, tenant, plan).await? {
        let Collection { name, number, .. } = collection;
        given.collections.push(GivenCollection { name, number, version });
    }
    for backend in &plan.backends {
        plant_admission(vault, batch, tenant, backend, &classes, by).await?;
    }
    let key = keyspace::given_blueprint(tenant);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &given).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(owner)
}

type Planted = (ClassId, Vec<(ClassName, ClassId)>);

async fn plant_classes(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    plan: &Plan,
) -> Result<Planted, VaultError> {
    let mut wanted: Vec<(ClassName, Label, ClassTerms)> = vec![classes::owner_class()?];
    for class in &plan.version.content.classes {
        let label = class.label.clone().map_or_else(|| class.name.as_str().parse(), Ok)?;
        wanted.push((class.name.clone(), label, terms_of(class)));
    }
    let mut made = classes::plant_these(vault, batch, tenant, wanted).await?;
    if made.is_empty() {
        return Err(VaultError::Internal("a tenant without an owner class".into()));
    }
    let (_, owner) = made.remove(0);
    Ok((owner, made))
}

async fn plant_collections(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    plan: &Plan,
) -> Result<Vec<Collection>, VaultError> {
    let wanted: Vec<&BlueprintCollection> =
        plan.version.content.collections.iter().filter(|it| !it.retired).collect();
    let slots = vault.keyring.take_slots(tenant, Half::Data, wanted.len()).await?;
    let mut list = CollectionList { next: 1, collections: Vec::with_capacity(wanted.len()) };
    let mut planted = Vec::with_capacity(wanted.len());
    for (new, slot) in wanted.into_iter().zip(slots) {
        let collection = enlist(vault, &mut list, new, slot, |_| true)?;
        put_new(vault, batch, tenant, &collection).await?;
        planted.push(collection);
    }
    let key = keyspace::collection_list(tenant);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &list).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(planted)
}

/// A collection that a tenant gets, with those of its fields that are given and whose references lead
/// to a collection that the tenant has. It is entered into the list.
pub(crate) fn enlist(
    vault: &Vault,
    list: &mut CollectionList,
    new: &BlueprintCollection,
    slot: u64,
    has: impl Fn(&CollectionName) -> bool,
) -> Result<Collection, VaultError> {
    let number = CollectionNumber(list.next.max(1));
    let given = new.fields.iter().filter(|field| {
        let target = crate::collections::references(&field.kind);
        !field.retired && target.is_none_or(&has)
    });
    let collection = Collection {
        id: CollectionId::new(vault.now(), &*vault.rng)?,
        number,
        name: new.name.clone(),
        label: new.label.clone(),
        purposes: new.purposes.clone(),
        fields: given.map(|field| field_of(field, field.number)).collect::<Result<_, _>>()?,
        slot,
        subject: new.subject.clone(),
        filler: None,
        erased: false,
        forgets_old_versions: new.forgets_old_versions,
    };
    list.next = number.0.saturating_add(1);
    list.collections.push(Entry {
        name: collection.name.clone(),
        number,
        id: collection.id,
        erased: false,
    });
    Ok(collection)
}

/// Writes a new collection's row.
pub(crate) async fn put_new(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    collection: &Collection,
) -> Result<(), VaultError> {
    let key = keyspace::collection(tenant, collection.number);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, collection).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(())
}

async fn plant_admission(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    backend: &BlueprintBackend,
    classes: &[(ClassName, ClassId)],
    by: Principal,
) -> Result<(), VaultError> {
    let named =
        |name: &ClassName| classes.iter().find(|(known, _)| known == name).map(|(_, class)| *class);
    let mut ids: Vec<ClassId> = backend.classes.iter().filter_map(named).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut purposes = backend.purposes.clone();
    purposes.sort_unstable();
    purposes.dedup();
    let now = vault.now();
    let row = Admission {
        backend: backend.backend,
        classes: ids,
        purposes,
        acts: backend.acts,
        subjects_per_hour: backend.subjects_per_hour.unwrap_or(SUBJECTS_PER_HOUR_DEFAULT),
        until: None,
        revoked: false,
        admitted_by: by,
        admitted_at: now,
        changed_at: now,
        limited_at: None,
    };
    let key = keyspace::admission(tenant, backend.backend);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &row).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(())
}
