//! Blueprints as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{
    BlueprintBackend, BlueprintClass, BlueprintCollection, BlueprintContent, BlueprintId,
    BlueprintName, BlueprintPurpose, TenantId, Timestamp,
};
use strongroom_vault::blueprints;
use utoipa::ToSchema;

use crate::extract::FromBody;

/// What a version of a blueprint is to hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBlueprint {
    /// The purposes that its collections, classes and backends may name.
    #[serde(default, deserialize_with = "crate::json::strict_items")]
    purposes: Vec<BlueprintPurpose>,
    /// The collections that tenants get.
    #[serde(default, deserialize_with = "crate::json::strict_items")]
    collections: Vec<BlueprintCollection>,
    /// The permission classes that tenants get, beside the owner class.
    #[serde(default, deserialize_with = "crate::json::strict_items")]
    classes: Vec<BlueprintClass>,
    /// The backends that a new tenant admits.
    #[serde(default, deserialize_with = "crate::json::strict_items")]
    backends: Vec<BlueprintBackend>,
}

impl FromBody for NewBlueprint {}

impl NewBlueprint {
    /// As the vault takes it.
    pub(crate) fn of(self, name: BlueprintName) -> blueprints::PutBlueprint {
        let Self { purposes, collections, classes, backends } = self;
        let content = BlueprintContent { purposes, collections, classes, backends };
        blueprints::PutBlueprint { name, content }
    }
}

/// Which tenants are to be given which version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    /// The number of the version; the newest, if absent.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub(crate) version: Option<u32>,
    /// The tenants, 1 to 10,000; every one that has the blueprint, if absent. A tenant that has no
    /// blueprint yet gets this one if it is named.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 10_000)]
    pub(crate) tenants: Option<Vec<TenantId>>,
}

impl FromBody for Application {}

/// A blueprint.
#[derive(Serialize, ToSchema)]
pub(crate) struct Blueprint {
    #[schema(value_type = String)]
    id: BlueprintId,
    /// Its name.
    name: BlueprintName,
    /// The number of its newest version, from 1.
    newest: u32,
    /// When its first version was stored.
    created_at: Timestamp,
    /// When its newest version was stored.
    changed_at: Timestamp,
    /// How many tenants have which version now; left out in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    tenants: Vec<TenantsAt>,
}

/// How many tenants have a version.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantsAt {
    /// The version's number.
    version: u32,
    /// How many tenants.
    tenants: u64,
}

impl From<&blueprints::BlueprintView> for Blueprint {
    fn from(view: &blueprints::BlueprintView) -> Self {
        let blueprint = view.blueprint.clone();
        let at =
            |it: &blueprints::TenantsAt| TenantsAt { version: it.version, tenants: it.tenants };
        Self {
            id: blueprint.id,
            name: blueprint.name,
            newest: blueprint.newest,
            created_at: blueprint.created_at,
            changed_at: blueprint.changed_at,
            tenants: view.tenants.iter().map(at).collect(),
        }
    }
}

/// A version of a blueprint, without what it holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionSummary {
    /// Its number, from 1.
    version: u32,
    /// When it was stored.
    stored_at: Timestamp,
    /// How many collections it gives.
    collections: usize,
    /// How many classes it gives.
    classes: usize,
}

impl From<&blueprints::VersionView> for VersionSummary {
    fn from(view: &blueprints::VersionView) -> Self {
        let content = &view.version.content;
        Self {
            version: view.version.number,
            stored_at: view.version.stored_at,
            collections: content.collections.iter().filter(|it| !it.retired).count(),
            classes: content.classes.len(),
        }
    }
}

/// A version of a blueprint.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlueprintVersion {
    /// The name of the blueprint.
    name: BlueprintName,
    /// Its number, from 1.
    version: u32,
    /// When it was stored.
    stored_at: Timestamp,
    /// What it holds.
    content: BlueprintContent,
}

impl From<&blueprints::VersionView> for BlueprintVersion {
    fn from(view: &blueprints::VersionView) -> Self {
        Self {
            name: view.blueprint.name.clone(),
            version: view.version.number,
            stored_at: view.version.stored_at,
            content: view.version.content.clone(),
        }
    }
}

/// A difference between two versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlueprintChange {
    /// Where: the names of the parts.
    #[schema(example = "/collections/patients/fields/phone")]
    place: String,
    /// What: `added`, `removed`, `relabelled`, `retired`, `masked`, `purposes` or `terms`.
    what: &'static str,
}

fn changes(changes: &[blueprints::Change]) -> Vec<BlueprintChange> {
    changes
        .iter()
        .map(|change| BlueprintChange { place: change.place.clone(), what: change.what.name() })
        .collect()
}

/// A version that was stored.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoredBlueprint {
    /// The name of the blueprint.
    name: BlueprintName,
    /// The number of the version that holds the content.
    version: u32,
    /// Whether it is a new one.
    new: bool,
    /// When it was stored.
    stored_at: Timestamp,
    /// What it has that the version before had not.
    changes: Vec<BlueprintChange>,
}

impl From<&blueprints::Stored> for StoredBlueprint {
    fn from(stored: &blueprints::Stored) -> Self {
        Self {
            name: stored.blueprint.name.clone(),
            version: stored.version.number,
            new: stored.new,
            stored_at: stored.version.stored_at,
            changes: changes(&stored.changes),
        }
    }
}

/// What storing a content would change.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlueprintDiff {
    /// The number of the newest version; null where there is no such blueprint.
    newest: Option<u32>,
    /// What the content has that the newest version has not.
    changes: Vec<BlueprintChange>,
}

impl From<&blueprints::Comparison> for BlueprintDiff {
    fn from(comparison: &blueprints::Comparison) -> Self {
        Self { newest: comparison.newest, changes: changes(&comparison.changes) }
    }
}
