//! Somebody who may manage classes makes one.

use strongroom_model::{
    Action, AuditObject, ClassId, ClassName, ClassTerms, Label, PermissionClass,
};

use crate::classes::ClassList;
use crate::idempotency::Before;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// A tenant has at most so many classes.
pub(crate) const CLASSES_MAX: usize = 500;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct CreateClass {
    /// Its name, which no other class of the tenant has.
    pub name: ClassName,
    /// What people call it.
    pub label: Label,
    /// What it allows.
    pub terms: ClassTerms,
    /// So that a repeated request makes one class.
    pub idempotency: Option<Idempotency>,
}

/// Makes a permission class.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_classes`; [`VaultError::Invalid`] for a class wider than
/// the caller's own, or one that means nothing; `name_taken`.
pub async fn create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: CreateClass,
) -> Result<Answer<Versioned<PermissionClass>>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &CreateClass,
) -> Result<Answer<Versioned<PermissionClass>>, VaultError> {
    let tenant = ctx.tenant();
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageClasses, "class.create", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            let made = snapshot
                .load::<PermissionClass>(&keyspace::class(tenant, ClassId::from_bytes(id)))
                .await?;
            let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
            let made = made.ok_or(VaultError::NotFound)?;
            let value = Versioned { version: made.version, value: (*made.value).clone() };
            return Ok(Answer { value, lines: committed.places().to_vec() });
        }
    };
    check_terms(&wanted.terms)?;
    allowed.who.held().not_wider(&wanted.terms).map_err(|wider| {
        VaultError::invalid("/terms", format!("wider than your own classes: {wider}"))
    })?;
    let list_key = keyspace::class_list(tenant);
    let list = snapshot.load::<ClassList>(&list_key).await?.ok_or(VaultError::NotFound)?;
    if list.classes.iter().any(|(name, _)| *name == wanted.name) {
        return Err(VaultError::wrong_state(
            "name_taken",
            "another class of the tenant has this name",
        ));
    }
    if list.classes.len() >= CLASSES_MAX {
        return Err(VaultError::wrong_state(
            "too_many_classes",
            "a tenant has at most 500 classes",
        ));
    }

    let id = ClassId::new(vault.now(), &*vault.rng)?;
    let class = PermissionClass {
        id,
        name: wanted.name.clone(),
        label: wanted.label.clone(),
        terms: wanted.terms.clone(),
    };
    let mut longer = (*list.value).clone();
    longer.classes.push((class.name.clone(), id));
    let mut batch = snapshot.into_batch();
    let key = keyspace::class(tenant, id);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &class).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    let value = vault.seal_row(&list_key, OwnerLeaf::NOBODY, list.version + 1, &longer).await?;
    batch.put(list_key, list.version + 1, value);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    Ok(Answer { value: Versioned { version: 1, value: class }, lines: committed.places().to_vec() })
}

/// Most rules in a class, and fields in a rule.
const RULES_MAX: usize = 200;

/// Refuses terms that mean nothing.
pub(crate) fn check_terms(terms: &ClassTerms) -> Result<(), VaultError> {
    if terms.rules.len() > RULES_MAX || terms.rules.iter().any(|rule| rule.fields.len() > RULES_MAX)
    {
        return Err(VaultError::invalid(
            "/terms/rules",
            "a class has at most 200 rules, a rule at most 200 fields",
        ));
    }
    for (place, rule) in terms.rules.iter().enumerate() {
        if rule.actions.is_empty() || rule.actions.iter().any(|action| !action.is_data()) {
            return Err(VaultError::invalid(
                format!("/terms/rules/{place}/actions"),
                "a rule has data actions only; administrative ones stand in `administrative`",
            ));
        }
    }
    if terms.administrative.iter().any(|action| action.is_data()) {
        return Err(VaultError::invalid("/terms/administrative", "data actions stand in rules"));
    }
    if terms.administrative.iter().any(|action| {
        matches!(action, Action::ManageTenants | Action::Operate | Action::ManageBackends)
    }) {
        return Err(VaultError::invalid(
            "/terms/administrative",
            "an action of the provider's operators",
        ));
    }
    if let Some(window) = &terms.conditions.window {
        let zone = jiff::tz::TimeZone::get(&window.zone).is_ok();
        let days =
            !window.weekdays.is_empty() && window.weekdays.iter().all(|day| (1..=7).contains(day));
        if !zone || !days || window.from_minute >= window.until_minute || window.until_minute > 1440
        {
            return Err(VaultError::invalid(
                "/terms/conditions/window",
                "a window has a known zone, days 1 to 7, and minutes of a day with the end after the beginning",
            ));
        }
    }
    Ok(())
}
