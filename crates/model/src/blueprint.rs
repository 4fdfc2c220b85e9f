//! Blueprints: what the provider's tenants begin with, and what they are given later.

use crate::{
    ActsAs, BackendId, BlueprintId, BlueprintName, ClassId, ClassName, ClassTerms, CollectionName,
    CollectionNumber, DpvTerm, FieldName, FieldNumber, FieldType, Label, Mask, Principal, Purpose,
    SubjectRule, Timestamp,
};

/// What a version of a blueprint holds, as its file says it.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct BlueprintContent {
    /// The purposes that its collections, classes and backends may name.
    #[n(0)]
    #[serde(default)]
    pub purposes: Vec<BlueprintPurpose>,
    /// The collections that tenants get.
    #[n(1)]
    #[serde(default)]
    pub collections: Vec<BlueprintCollection>,
    /// The permission classes that tenants get, beside the owner class.
    #[n(2)]
    #[serde(default)]
    pub classes: Vec<BlueprintClass>,
    /// The backends that a new tenant admits.
    #[n(3)]
    #[serde(default)]
    pub backends: Vec<BlueprintBackend>,
}

/// A purpose for which data is used.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct BlueprintPurpose {
    /// Its name.
    #[n(0)]
    pub name: Purpose,
    /// What people call it; its name, if absent.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// A collection as tenants get it.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct BlueprintCollection {
    /// Its name in paths, by which it is known from version to version.
    #[n(0)]
    pub name: CollectionName,
    /// What people call it.
    #[n(1)]
    pub label: Label,
    /// For what its records may be used.
    #[n(2)]
    pub purposes: Vec<Purpose>,
    /// Whom its records are about, where a creation does not say. It never changes.
    #[n(3)]
    #[serde(default)]
    pub subject: SubjectRule,
    /// Its fields.
    #[n(4)]
    pub fields: Vec<BlueprintField>,
    /// Whether it is given no longer: tenants that have it keep it as it is.
    #[n(5)]
    #[serde(default)]
    pub retired: bool,
    /// Whether each change of a record erases what it held before, as a correction does.
    #[n(6)]
    #[serde(default)]
    pub forgets_old_versions: bool,
}

/// A field of a collection as tenants get it.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct BlueprintField {
    /// Its number, 1 to 1,000,000, which belongs to its name for good.
    #[n(0)]
    pub number: FieldNumber,
    /// Its name.
    #[n(1)]
    pub name: FieldName,
    /// What people call it; its name, if absent.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// What its values are. It never changes.
    #[n(3)]
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// The kind of personal data in it: a term of the W3C Data Privacy Vocabulary.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<DpvTerm>,
    /// What the view `masked` leaves of it; the type's default, if absent.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// Whether a record must have it.
    #[n(6)]
    #[serde(default)]
    pub required: bool,
    /// Whether row scopes may filter by it.
    #[n(7)]
    #[serde(default)]
    pub scope: bool,
    /// Whether it is no longer written or shown.
    #[n(8)]
    #[serde(default)]
    pub retired: bool,
}

/// A permission class as tenants get it: made of a template of the server's, or of terms.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct BlueprintClass {
    /// Its name, by which it is known from version to version.
    #[n(0)]
    pub name: ClassName,
    /// What people call it; that of the template, if absent.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// The template that it is made of. What is stored has its terms instead.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ClassName>,
    /// What it allows, where it is made of no template.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<ClassTerms>,
}

/// A backend that a new tenant admits, and how far.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct BlueprintBackend {
    /// The backend.
    #[n(0)]
    #[schema(value_type = String)]
    pub backend: BackendId,
    /// The classes of the blueprint that bound it.
    #[n(1)]
    pub classes: Vec<ClassName>,
    /// The purposes that bound it; empty: those of the classes.
    #[n(2)]
    #[serde(default)]
    pub purposes: Vec<Purpose>,
    /// In whose name it acts.
    #[n(3)]
    #[serde(default)]
    pub acts: ActsAs,
    /// About how many persons it may read in an hour; 1,000, if absent.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects_per_hour: Option<u32>,
}

/// A blueprint: its name, and which version is the newest.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Blueprint {
    /// Its id.
    #[n(0)]
    pub id: BlueprintId,
    /// Its name.
    #[n(1)]
    pub name: BlueprintName,
    /// The number of its newest version, from 1.
    #[n(2)]
    pub newest: u32,
    /// When its first version was stored.
    #[n(3)]
    pub created_at: Timestamp,
    /// When its newest version was stored.
    #[n(4)]
    pub changed_at: Timestamp,
}

/// A version of a blueprint, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BlueprintVersion {
    /// Its number, from 1.
    #[n(0)]
    pub number: u32,
    /// What it holds, in order and with every default filled in.
    #[n(1)]
    pub content: BlueprintContent,
    /// Who stored it.
    #[n(2)]
    pub stored_by: Principal,
    /// When it was stored.
    #[n(3)]
    pub stored_at: Timestamp,
}

/// Which version of which blueprint a tenant was given last.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BlueprintOfTenant {
    /// The blueprint.
    #[n(0)]
    pub id: BlueprintId,
    /// Its name.
    #[n(1)]
    pub name: BlueprintName,
    /// The number of the version.
    #[n(2)]
    pub version: u32,
}

/// What a tenant has of its blueprint: with what its own edits are compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, minicbor::Encode, minicbor::Decode)]
pub struct Given {
    /// Its collections that the blueprint gave.
    #[n(0)]
    pub collections: Vec<GivenCollection>,
    /// Its classes that the blueprint gave.
    #[n(1)]
    pub classes: Vec<GivenClass>,
}

/// A collection that a blueprint gave.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct GivenCollection {
    /// Its name.
    #[n(0)]
    pub name: CollectionName,
    /// Its number in the tenant.
    #[n(1)]
    pub number: CollectionNumber,
    /// The version of the blueprint that it was compared with last.
    #[n(2)]
    pub version: u32,
}

/// A class that a blueprint gave.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct GivenClass {
    /// Its name.
    #[n(0)]
    pub name: ClassName,
    /// Its id in the tenant.
    #[n(1)]
    pub id: ClassId,
    /// The version of the blueprint that it was compared with last.
    #[n(2)]
    pub version: u32,
}
