//! Somebody who may manage keys makes one, with classes that allow no more than their own.

use strongroom_keyring::{Half, Service};
use strongroom_model::{
    Action, ActsAs, ApiKey, AuditObject, ClassName, KeyId, KeyLabel, Timestamp,
};

use crate::api_keys::ApiKeyView;
use crate::idempotency::Before;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{
    Answer, Idempotency, Secret, TenantCtx, Token, TokenKind, Vault, VaultError, keyspace,
};

/// The longest life of a key.
const LIFE_SECONDS_MAX: i64 = 366 * 24 * 60 * 60;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// What it is called in lists.
    pub label: KeyLabel,
    /// The classes it is to have.
    pub classes: Vec<ClassName>,
    /// In whose name it is to act.
    pub acts: ActsAs,
    /// When it ends: within a year.
    pub expires_at: Timestamp,
    /// So that a repeated request makes one key.
    pub idempotency: Option<Idempotency>,
}

/// A key that was made.
#[derive(Debug)]
pub struct CreatedApiKey {
    /// The key.
    pub key: Versioned<ApiKeyView>,
    /// Its token, shown once.
    pub secret: Secret,
}

/// Makes an API key.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_keys`; [`VaultError::Invalid`] for classes wider than
/// the caller's and for an end in the past or more than a year away.
pub async fn create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: CreateApiKey,
) -> Result<Answer<CreatedApiKey>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &CreateApiKey,
) -> Result<Answer<CreatedApiKey>, VaultError> {
    let tenant = ctx.tenant();
    let id = KeyId::new(vault.now(), &*vault.rng)?;
    let object = AuditObject::Other(KeyId::PREFIX, *id.as_bytes());
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageKeys, "api_key.create", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => return Err(VaultError::SecretAlreadyShown),
    };
    if wanted.expires_at <= vault.now()
        || wanted.expires_at > vault.now().plus_seconds(LIFE_SECONDS_MAX)
    {
        return Err(VaultError::invalid(
            "/expires_at",
            "a key ends in the future and within 366 days",
        ));
    }
    if wanted.acts == ActsAs::ForUsers && ctx.is_provider() {
        return Err(VaultError::invalid("/acts", "a key of the provider acts for no users"));
    }
    let classes = snapshot.classes_named(tenant, &wanted.classes).await?;
    let held = allowed.who.held();
    for (place, class) in classes.iter().enumerate() {
        if let Err(wider) = held.covers(class) {
            return Err(VaultError::invalid(
                format!("/classes/{place}"),
                format!("wider than your own: {wider}"),
            ));
        }
    }

    let credentials = vault.keyring.service(tenant, Half::Account, Service::Credentials).await?;
    let token = Token::new(TokenKind::ApiKey, tenant, *id.as_bytes(), &*vault.rng)?;
    let row = ApiKey {
        id,
        label: wanted.label.clone(),
        classes: classes.iter().map(|class| class.id).collect(),
        created_by: allowed.who.principal,
        created_at: vault.now(),
        expires_at: wanted.expires_at,
        revoked: false,
        secret_hash: token.hash(&credentials),
        acts: (wanted.acts == ActsAs::ForUsers).then_some(wanted.acts),
    };
    let mut batch = snapshot.into_batch();
    let key = keyspace::api_key(tenant, id);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &row).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let names = classes.iter().map(|class| class.name.clone()).collect();
    let key = Versioned { version: 1, value: ApiKeyView { key: row, classes: names } };
    let secret = Secret { token: token.reveal(), expires_at: wanted.expires_at };
    Ok(Answer { value: CreatedApiKey { key, secret }, lines: committed.places().to_vec() })
}
