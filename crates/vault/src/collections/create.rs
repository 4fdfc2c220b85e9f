//! Somebody who may manage the schema declares a collection.

use strongroom_keyring::Half;
use strongroom_model::{
    Action, AuditObject, Collection, CollectionId, CollectionName, CollectionNumber, DpvTerm,
    Field, FieldName, FieldNumber, FieldType, Label, Mask, Purpose, SubjectRule,
};

use crate::collections::{CollectionList, Entry};
use crate::files::{TOO_MANY_FILES, too_many_files};
use crate::idempotency::Before;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Flaw, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// A collection has at most so many fields.
pub(crate) const FIELDS_MAX: usize = 500;
/// A tenant has at most so many collections.
pub(crate) const COLLECTIONS_MAX: usize = 1000;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct CreateCollection {
    /// Its name, which no other collection of the tenant has or had.
    pub name: CollectionName,
    /// What people call it.
    pub label: Label,
    /// For what its records may be used.
    pub purposes: Vec<Purpose>,
    /// Whom its records are about, where a creation does not say.
    pub subject: SubjectRule,
    /// Whether each change of a record erases what it held before.
    pub forgets_old_versions: bool,
    /// Its fields.
    pub fields: Vec<NewField>,
    /// So that a repeated request makes one collection.
    pub idempotency: Option<Idempotency>,
}

/// A field as it is declared.
#[derive(Debug, Clone)]
pub struct NewField {
    /// Its name.
    pub name: FieldName,
    /// What people call it; its name, where absent.
    pub label: Option<Label>,
    /// What its values are.
    pub kind: FieldType,
    /// The kind of personal data in it.
    pub category: Option<DpvTerm>,
    /// What the view `masked` leaves of it; the type's default, where absent.
    pub mask: Option<Mask>,
    /// Whether a record must have it.
    pub required: bool,
    /// Whether row scopes may filter by it.
    pub scope: bool,
}

/// Declares a collection.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_schema`; [`VaultError::Invalid`] with every flaw of the
/// fields; `name_taken`.
pub async fn create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: CreateCollection,
) -> Result<Answer<Versioned<Collection>>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &CreateCollection,
) -> Result<Answer<Versioned<Collection>>, VaultError> {
    let tenant = ctx.tenant();
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, mut allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageSchema, "collection.create", object)
        .await?;
    if ctx.is_provider() {
        return Err(VaultError::wrong_state(
            "no_collections_here",
            "the provider is a tenant without collections",
        ));
    }
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            let list = snapshot.load::<CollectionList>(&keyspace::collection_list(tenant)).await?;
            let id = CollectionId::from_bytes(id);
            let number = list.and_then(|list| {
                list.collections.iter().find(|entry| entry.id == id).map(|entry| entry.number)
            });
            let made = match number {
                Some(number) => snapshot.collection_of(tenant, number).await?,
                None => None,
            };
            let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
            let made = made.filter(|made| !made.erased).ok_or(VaultError::NotFound)?;
            let value = Versioned { version: made.version, value: (*made.value).clone() };
            return Ok(Answer { value, lines: committed.places().to_vec() });
        }
    };
    let list_key = keyspace::collection_list(tenant);
    let list = snapshot.load::<CollectionList>(&list_key).await?;
    let version = list.as_ref().map_or(0, |list| list.version);
    let mut longer = list.map_or_else(CollectionList::default, |list| (*list.value).clone());
    if longer.collections.iter().any(|entry| entry.name == wanted.name) {
        return Err(VaultError::wrong_state(
            "name_taken",
            "the tenant has or had a collection of this name",
        ));
    }
    if longer.collections.len() >= COLLECTIONS_MAX {
        return Err(VaultError::wrong_state(
            "too_many_collections",
            "a tenant has at most 1000 collections",
        ));
    }
    let fields = declare(&wanted.fields, 1, &[])?;
    check_subject(&wanted.subject, &fields)?;
    for field in &fields {
        let target = references(&field.kind);
        let known = target.is_none_or(|target| {
            *target == wanted.name
                || longer.collections.iter().any(|entry| entry.name == *target && !entry.erased)
        });
        if !known {
            return Err(VaultError::invalid(
                "/fields",
                format!("`{}` refers to a collection that there is not", field.name),
            ));
        }
    }

    let slots = vault.keyring.take_slots(tenant, Half::Data, 1).await?;
    let number = CollectionNumber(longer.next.max(1));
    let collection = Collection {
        id: CollectionId::new(vault.now(), &*vault.rng)?,
        number,
        name: wanted.name.clone(),
        label: wanted.label.clone(),
        purposes: wanted.purposes.clone(),
        fields,
        slot: slots.first().copied().ok_or_else(crate::rows::damaged)?,
        subject: wanted.subject.clone(),
        filler: None,
        erased: false,
        forgets_old_versions: wanted.forgets_old_versions,
    };
    longer.next = number.0.saturating_add(1);
    longer.collections.push(Entry {
        name: collection.name.clone(),
        number,
        id: collection.id,
        erased: false,
    });

    allowed.event.object = AuditObject::Collection(number);
    let mut batch = snapshot.into_batch();
    let key = keyspace::collection(tenant, number);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &collection).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    let value = vault.seal_row(&list_key, OwnerLeaf::NOBODY, version + 1, &longer).await?;
    batch.put(list_key, version + 1, value);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, *collection.id.as_bytes()).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    Ok(Answer {
        value: Versioned { version: 1, value: collection },
        lines: committed.places().to_vec(),
    })
}

/// Turns declarations into fields numbered from `first`; `present` are the fields that there are.
pub(crate) fn declare(
    new: &[NewField],
    first: u32,
    present: &[Field],
) -> Result<Vec<Field>, VaultError> {
    let mut flaws = Vec::new();
    let mut fields: Vec<Field> = Vec::with_capacity(new.len());
    if new.len().saturating_add(present.len()) > FIELDS_MAX {
        return Err(VaultError::invalid(
            "/fields",
            "a collection has at most 500 fields, retired ones included",
        ));
    }
    let kinds = present.iter().map(|field| &field.kind).chain(new.iter().map(|field| &field.kind));
    if too_many_files(kinds) {
        return Err(VaultError::invalid("/fields", TOO_MANY_FILES));
    }
    for (place, field) in new.iter().enumerate() {
        let mut flaw = |part: &str, detail: &str| {
            flaws.push(Flaw {
                pointer: format!("/fields/{place}/{part}"),
                detail: detail.to_owned(),
            });
        };
        if present.iter().chain(&fields).any(|known| known.name == field.name) {
            flaw("name", "another field of the collection has or had this name");
        }
        if let Err(malformed) = field.kind.check() {
            flaw("type", malformed.0);
        }
        let mask = field.mask.unwrap_or_else(|| field.kind.default_mask());
        if !field.kind.takes(mask) {
            flaw("mask", "this mask cannot be applied to values of this type");
        }
        if field.required && !field.kind.can_be_required() {
            flaw("required", "a field of this type cannot be required");
        }
        if field.scope && !field.kind.can_scope() {
            flaw("scope", "only text, boolean and choice can be used for row scopes");
        }
        let label = field.label.clone().map_or_else(|| field.name.as_str().parse(), Ok)?;
        fields.push(Field {
            number: FieldNumber(first.saturating_add(u32::try_from(place).unwrap_or(u32::MAX))),
            name: field.name.clone(),
            label,
            kind: field.kind.clone(),
            category: field.category.clone(),
            mask,
            required: field.required,
            scope: field.scope,
            retired: false,
        });
    }
    if flaws.is_empty() { Ok(fields) } else { Err(VaultError::Invalid(flaws)) }
}

/// Refuses a subject rule that leads nowhere.
fn check_subject(rule: &SubjectRule, fields: &[Field]) -> Result<(), VaultError> {
    match rule {
        SubjectRule::Own | SubjectRule::Nobody => Ok(()),
        SubjectRule::Through(name) => {
            let leads = fields
                .iter()
                .any(|field| field.name == *name && matches!(field.kind, FieldType::Reference(_)));
            if leads {
                Ok(())
            } else {
                Err(VaultError::invalid("/subject", "not a field of type `reference`"))
            }
        }
    }
}

/// The collection that values of this type lead to.
pub(crate) fn references(kind: &FieldType) -> Option<&CollectionName> {
    match kind {
        FieldType::Reference(target) => Some(target),
        FieldType::List(of) => references(of),
        FieldType::Text
        | FieldType::Name
        | FieldType::Email
        | FieldType::Phone
        | FieldType::Date
        | FieldType::Timestamp
        | FieldType::Number
        | FieldType::Decimal
        | FieldType::Boolean
        | FieldType::Choice(_)
        | FieldType::Address
        | FieldType::NationalId
        | FieldType::TaxId
        | FieldType::Card
        | FieldType::Location
        | FieldType::Credential
        | FieldType::Subject
        | FieldType::Json
        | FieldType::File => None,
    }
}
