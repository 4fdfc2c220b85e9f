//! An operator looks at the blueprints, their versions, and how many tenants have which.

use std::collections::BTreeMap;

use strongroom_model::{
    Action, AuditObject, Blueprint, BlueprintId, BlueprintName, BlueprintVersion, Tenant, TenantId,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{KeyRange, PAGE_MAX, RowKey};

use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// A blueprint as the provider sees it.
#[derive(Debug, Clone)]
pub struct BlueprintView {
    /// The blueprint.
    pub blueprint: Blueprint,
    /// How many tenants have which version now; empty in lists.
    pub tenants: Vec<TenantsAt>,
}

/// How many tenants have a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantsAt {
    /// The version's number.
    pub version: u32,
    /// How many tenants.
    pub tenants: u64,
}

/// A version with the blueprint that it is of.
#[derive(Debug, Clone)]
pub struct VersionView {
    /// The blueprint.
    pub blueprint: Blueprint,
    /// The version.
    pub version: BlueprintVersion,
}

const CODE_LIST: &str = "blueprint.list";
const CODE_READ: &str = "blueprint.read";

/// Lists the blueprints in the order in which they were first stored.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<BlueprintView>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, CODE_LIST, object)
            .await?;
        let (keys, next) =
            vault.page_of_keys(ctx, TenantId::PROVIDER, RowKind::Blueprint, &page).await?;
        let found = snapshot.load_many::<Blueprint>(&keys).await?;
        let items = found
            .into_iter()
            .flatten()
            .map(|found| BlueprintView { blueprint: (*found.value).clone(), tenants: Vec::new() })
            .collect();
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a blueprint, with the number of tenants at each of its versions.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    name: &BlueprintName,
) -> Result<Answer<BlueprintView>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, CODE_READ, object)
            .await?;
        let found = snapshot.blueprint_named(name).await?;
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let found = found.ok_or(VaultError::NotFound)?;
        let tenants = vault.tenants_at(found.id).await?;
        let value = BlueprintView { blueprint: (*found.value).clone(), tenants };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}

/// Lists the versions of a blueprint, the first one first.
///
/// # Errors
/// As for [`show`].
pub async fn versions(
    vault: &Vault,
    ctx: &TenantCtx,
    name: &BlueprintName,
    page: Page,
) -> Result<Answer<Listed<VersionView>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, CODE_LIST, object)
            .await?;
        let Some(found) = snapshot.blueprint_named(name).await? else {
            vault.put_on_record(ctx, snapshot, allowed.event).await?;
            return Err(VaultError::NotFound);
        };
        let prefix = keyspace::blueprint_versions_prefix(found.id);
        let (keys, next) = vault.page_below(ctx, prefix.as_bytes(), &page).await?;
        let items = snapshot.load_many::<BlueprintVersion>(&keys).await?;
        let items = items
            .into_iter()
            .flatten()
            .map(|version| VersionView {
                blueprint: (*found.value).clone(),
                version: (*version.value).clone(),
            })
            .collect();
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a version of a blueprint.
///
/// # Errors
/// As for [`show`].
pub async fn show_version(
    vault: &Vault,
    ctx: &TenantCtx,
    name: &BlueprintName,
    number: u32,
) -> Result<Answer<VersionView>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, CODE_READ, object)
            .await?;
        let found = snapshot.blueprint_named(name).await?;
        let version = match &found {
            Some(found) => {
                let key = keyspace::blueprint_version(found.id, number);
                snapshot.load::<BlueprintVersion>(&key).await?
            }
            None => None,
        };
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let (found, version) = found.zip(version).ok_or(VaultError::NotFound)?;
        let value =
            VersionView { blueprint: (*found.value).clone(), version: (*version.value).clone() };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}

impl Vault {
    /// How many tenants have which version of a blueprint. The rows looked at are no facts: the numbers
    /// are those of a moment.
    async fn tenants_at(&self, blueprint: BlueprintId) -> Result<Vec<TenantsAt>, VaultError> {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        let prefix = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::KnownTenant);
        let mut range = prefix.clone();
        loop {
            let rows = self.store.scan(&range, PAGE_MAX).await?;
            for tenant in self.tenants_among(rows.iter().map(|(key, _)| key)).await? {
                let of_tenant = tenant.blueprint.filter(|it| it.id == blueprint);
                if let Some(of_tenant) = of_tenant {
                    *counts.entry(of_tenant.version).or_default() += 1;
                }
            }
            match rows.last() {
                Some((last, _)) if rows.len() >= PAGE_MAX => {
                    range = prefix.clone().continued(last);
                }
                Some(_) | None => {
                    let counts = counts.into_iter();
                    return Ok(counts
                        .map(|(version, tenants)| TenantsAt { version, tenants })
                        .collect());
                }
            }
        }
    }

    /// The tenants of these rows that say that there is one; those that are gone are left out.
    pub(crate) async fn tenants_among<'k>(
        &self,
        known: impl Iterator<Item = &'k RowKey>,
    ) -> Result<Vec<Tenant>, VaultError> {
        let mut tenants = Vec::new();
        for (_, _, id) in known.filter_map(keyspace::parse_id) {
            let key = keyspace::tenant(TenantId::from_bytes(id));
            match Snapshot::new(self).load::<Tenant>(&key).await {
                Ok(found) => tenants.extend(found.map(|found| (*found.value).clone())),
                // Tenants are erased while this goes on, and their rows do not open any more.
                Err(VaultError::Erased(_) | VaultError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(tenants)
    }
}
