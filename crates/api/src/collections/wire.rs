//! Collections as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{
    CollectionId, CollectionName, DpvTerm, FieldName, FieldNumber, FieldType, Label, Mask, Purpose,
    SubjectRule,
};
use strongroom_vault::{Expected, Versioned, collections};
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};

/// A collection that is to be declared.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCollection {
    /// Its name in paths, which no other collection of the tenant has or had.
    #[schema(example = "customers")]
    name: CollectionName,
    /// What people call it.
    #[schema(example = "Customers")]
    label: Label,
    /// For what its records may be used.
    #[schema(example = json!(["sales"]))]
    purposes: Vec<Purpose>,
    /// Whom its records are about, where a creation does not say.
    #[serde(default)]
    subject: SubjectRule,
    /// Whether each change of a record erases what it held before, as a correction does.
    #[serde(default)]
    forgets_old_versions: bool,
    /// Its fields.
    #[serde(deserialize_with = "crate::json::strict_items")]
    fields: Vec<NewField>,
}

impl FromBody for NewCollection {}

/// A field that is to be declared.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewField {
    /// Its name.
    #[schema(example = "phone")]
    name: FieldName,
    /// What people call it; its name, if absent.
    #[serde(default)]
    label: Option<Label>,
    /// What its values are.
    r#type: FieldType,
    /// The kind of personal data in it: a term of the W3C Data Privacy Vocabulary.
    #[serde(default)]
    #[schema(example = "pd:TelephoneNumber")]
    category: Option<DpvTerm>,
    /// What the view `masked` leaves of it; the type's default, if absent.
    #[serde(default)]
    mask: Option<Mask>,
    /// Whether a record must have it.
    #[serde(default)]
    required: bool,
    /// Whether row scopes may filter by it.
    #[serde(default)]
    scope: bool,
}

impl From<NewField> for collections::NewField {
    fn from(field: NewField) -> Self {
        let NewField { name, label, r#type: kind, category, mask, required, scope } = field;
        Self { name, label, kind, category, mask, required, scope }
    }
}

impl From<Sent<NewCollection>> for collections::CreateCollection {
    fn from(sent: Sent<NewCollection>) -> Self {
        let NewCollection { name, label, purposes, subject, forgets_old_versions, fields } =
            sent.value;
        let fields = fields.into_iter().map(Into::into).collect();
        let idempotency = sent.repeat;
        Self { name, label, purposes, subject, forgets_old_versions, fields, idempotency }
    }
}

/// What is to change of a collection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    label: Option<Label>,
    /// For what its records may be used.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    purposes: Option<Vec<Purpose>>,
    /// Whether each change of a record is to erase what it held before, from now on.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    forgets_old_versions: Option<bool>,
    /// Fields to be added.
    #[serde(default, deserialize_with = "crate::json::strict_items")]
    add_fields: Vec<NewField>,
    /// Fields to be retired: no longer written or shown.
    #[serde(default)]
    retire_fields: Vec<FieldName>,
    /// New labels, by the names of fields.
    #[serde(default, deserialize_with = "crate::json::members")]
    #[schema(value_type = std::collections::BTreeMap<String, Label>)]
    relabel: Vec<(FieldName, Label)>,
    /// New masks, by the names of fields.
    #[serde(default, deserialize_with = "crate::json::members")]
    #[schema(value_type = std::collections::BTreeMap<String, Mask>)]
    masks: Vec<(FieldName, Mask)>,
}

impl FromBody for CollectionPatch {}

impl CollectionPatch {
    /// As the vault takes it.
    pub(crate) fn of(
        self,
        name: CollectionName,
        expected: Expected,
    ) -> collections::ChangeCollection {
        let Self {
            label,
            purposes,
            forgets_old_versions,
            add_fields,
            retire_fields,
            relabel,
            masks,
        } = self;
        collections::ChangeCollection {
            name,
            expected,
            label,
            purposes,
            forgets_old_versions,
            add_fields: add_fields.into_iter().map(Into::into).collect(),
            retire_fields,
            relabel: relabel.into_iter().collect(),
            masks: masks.into_iter().collect(),
        }
    }
}

/// A collection.
#[derive(Serialize, ToSchema)]
pub(crate) struct Collection {
    #[schema(value_type = String)]
    id: CollectionId,
    /// Its name in paths.
    name: CollectionName,
    /// What people call it.
    label: Label,
    /// Its version, as the ETag has it.
    version: u64,
    /// For what its records may be used.
    purposes: Vec<Purpose>,
    /// Whom its records are about, where a creation does not say.
    subject: SubjectRule,
    /// Whether each change of a record erases what it held before, as a correction does.
    forgets_old_versions: bool,
    /// Its fields, retired ones included, in the order of their numbers.
    fields: Vec<Field>,
}

/// A field of a collection.
#[derive(Serialize, ToSchema)]
pub(crate) struct Field {
    /// Its number, by which refusals and the audit log name it. It is never reused.
    number: FieldNumber,
    /// Its name.
    name: FieldName,
    /// What people call it.
    label: Label,
    /// What its values are.
    r#type: FieldType,
    /// The kind of personal data in it.
    category: Option<DpvTerm>,
    /// What the view `masked` leaves of it.
    mask: Mask,
    /// Whether a record must have it.
    required: bool,
    /// Whether row scopes may filter by it.
    scope: bool,
    /// Whether it has been retired: no longer written or shown.
    retired: bool,
}

impl From<&Versioned<strongroom_model::Collection>> for Collection {
    fn from(found: &Versioned<strongroom_model::Collection>) -> Self {
        let collection = &found.value;
        Self {
            id: collection.id,
            name: collection.name.clone(),
            label: collection.label.clone(),
            version: found.version,
            purposes: collection.purposes.clone(),
            subject: collection.subject.clone(),
            forgets_old_versions: collection.forgets_old_versions,
            fields: collection.fields.iter().map(Field::from).collect(),
        }
    }
}

impl From<&strongroom_model::Field> for Field {
    fn from(field: &strongroom_model::Field) -> Self {
        let field = field.clone();
        Self {
            number: field.number,
            name: field.name,
            label: field.label,
            r#type: field.kind,
            category: field.category,
            mask: field.mask,
            required: field.required,
            scope: field.scope,
            retired: field.retired,
        }
    }
}
