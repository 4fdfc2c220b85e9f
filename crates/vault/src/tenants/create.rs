//! An operator makes a tenant: its keys, its classes, and an invitation for its first owner.

use strongroom_model::{
    Action, AuditObject, BlueprintName, Email, Label, Principal, Tenant, TenantId, TenantState,
};
use strongroom_storage::Batch;

use crate::idempotency::Before;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::trail::Attempted;
use crate::users::NewUser;
use crate::{
    Answer, Idempotency, Secret, TenantCtx, Vault, VaultError, blueprints, classes, keyspace, users,
};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct CreateTenant {
    /// The tenant's name.
    pub name: Label,
    /// Who is to be its first owner.
    pub owner: Owner,
    /// What it is made from, in its newest version; absent: no collections, and one class of each of
    /// the server's templates.
    pub blueprint: Option<BlueprintName>,
    /// So that a repeated request makes one tenant.
    pub idempotency: Option<Idempotency>,
}

/// The person who is to be a tenant's first owner.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Their name.
    pub name: Label,
    /// Their e-mail address.
    pub email: Option<Email>,
}

/// A tenant that was made.
#[derive(Debug)]
pub struct CreatedTenant {
    /// The tenant.
    pub tenant: Versioned<Tenant>,
    /// The invitation of its first owner, shown once.
    pub invitation: Secret,
}

/// Makes a tenant.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::Invalid`] for a blueprint that
/// there is not; [`VaultError::SecretAlreadyShown`] for a request that was carried out before.
pub async fn create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: CreateTenant,
) -> Result<Answer<CreatedTenant>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &CreateTenant,
) -> Result<Answer<CreatedTenant>, VaultError> {
    let tenant = TenantId::new(vault.now(), &*vault.rng)?;
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "tenant.create", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => return Err(VaultError::SecretAlreadyShown),
    };

    let plan = match &wanted.blueprint {
        Some(name) => Some(snapshot.plan(name).await?),
        None => None,
    };

    // The keys come first: rows without keys could not be written, keys without rows are only unused.
    vault.keyring.create_tenant(tenant).await?;
    let row = Tenant {
        id: tenant,
        name: wanted.name.clone(),
        state: TenantState::Invited,
        created_at: vault.now(),
        blueprint: plan.as_ref().map(blueprints::Plan::of_tenant),
    };
    let mut batch = snapshot.into_batch();
    put_tenant(vault, &mut batch, &row).await?;
    let known = keyspace::known_tenant(tenant);
    let value = vault.seal_row(&known, OwnerLeaf::NOBODY, 1, &vault.now()).await?;
    batch.expect_absent(known.clone()).put(known, 1, value);
    let owner = match &plan {
        Some(plan) => {
            let by = allowed.who.principal;
            // The tenant sees in its own log what it was made from.
            let event =
                strongroom_model::AuditEvent { code: "blueprint.give", ..allowed.event.clone() };
            batch.line(vault.line(tenant, Some(ctx), event).await?);
            blueprints::plant(vault, &mut batch, tenant, plan, by).await?
        }
        None => classes::plant(vault, &mut batch, tenant).await?,
    };
    let new = NewUser {
        name: wanted.owner.name.clone(),
        email: wanted.owner.email.clone(),
        external_id: None,
        classes: vec![owner],
        managed_by: None,
    };
    let (_, invitation) =
        users::plant(vault, &mut batch, tenant, new, users::INVITATION_SECONDS).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, ctx.tenant(), OwnerLeaf::NOBODY, *tenant.as_bytes()).await?;
    }
    batch.line(vault.line(ctx.tenant(), Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let tenant = Versioned { version: 1, value: row };
    Ok(Answer { value: CreatedTenant { tenant, invitation }, lines: committed.places().to_vec() })
}

/// Writes a new tenant's row.
async fn put_tenant(vault: &Vault, batch: &mut Batch, tenant: &Tenant) -> Result<(), VaultError> {
    let key = keyspace::tenant(tenant.id);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, tenant).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(())
}

/// Makes the provider itself, when the installation is made: a tenant without collections, with its
/// classes, and an invitation of a quarter of an hour for the first operator.
///
/// # Errors
/// [`VaultError::Unavailable`] if the store fails.
pub(crate) async fn plant_provider(vault: &Vault, operator: Owner) -> Result<Secret, VaultError> {
    /// The first operator's invitation ends soon.
    const SECONDS: i64 = 15 * 60;
    let row = Tenant {
        id: TenantId::PROVIDER,
        name: "Provider".parse()?,
        state: TenantState::Active,
        created_at: vault.now(),
        blueprint: None,
    };
    let mut batch = Batch::new();
    put_tenant(vault, &mut batch, &row).await?;
    let class = classes::plant_provider(vault, &mut batch).await?;
    let new = NewUser {
        name: operator.name,
        email: operator.email,
        external_id: None,
        classes: vec![class],
        managed_by: None,
    };
    let (_, invitation) = users::plant(vault, &mut batch, TenantId::PROVIDER, new, SECONDS).await?;
    let event = Attempted {
        principal: Principal::Job(strongroom_model::JobName::Init),
        action: Action::Operate,
        code: "install.create",
        object: AuditObject::Tenant(TenantId::PROVIDER),
    }
    .done();
    batch.line(vault.line(TenantId::PROVIDER, None, event).await?);
    let _committed = vault.store.commit(batch).await?;
    Ok(invitation)
}
