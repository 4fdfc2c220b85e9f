//! Somebody comes in with a one-time invitation and gets a session.

use strongroom_keyring::{Half, KeyError, Service};
use strongroom_model::{
    Action, AuditObject, Invitation, InvitationId, Principal, Session, SessionId, Tenant, TenantId,
    TenantState, User, UserId, UserState,
};

use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, Secret, Token, TokenKind, Vault, VaultError, keyspace};

/// How long a session lasts at the most.
const SESSION_SECONDS: i64 = 12 * 60 * 60;

/// What came of an invitation.
#[derive(Debug)]
pub struct Redeemed {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// Its token, shown once.
    pub secret: Secret,
}

/// Redeems an invitation: it is gone, and its user is signed in.
///
/// # Errors
/// [`VaultError::Unauthenticated`] for whatever is no invitation that can be redeemed, without
/// saying why.
pub async fn redeem(vault: &Vault, token: &str) -> Result<Answer<Redeemed>, VaultError> {
    let token = Token::parse(token).filter(|token| token.kind == TokenKind::Invitation);
    let token = token.ok_or(VaultError::Unauthenticated)?;
    attempt(|| once(vault, &token)).await
}

async fn once(vault: &Vault, token: &Token) -> Result<Answer<Redeemed>, VaultError> {
    let tenant = token.tenant;
    let credentials = match vault.keyring.service(tenant, Half::Account, Service::Credentials).await
    {
        Err(KeyError::Gone | KeyError::Unknown) => return Err(VaultError::Unauthenticated),
        found => found?,
    };
    let mut snapshot = Snapshot::new(vault);
    let invitation_key = keyspace::invitation(tenant, InvitationId::from_bytes(token.id));
    let found = snapshot.load::<Invitation>(&invitation_key).await?;
    let stored = found.as_ref().map_or([0; 32], |found| found.secret_hash);
    let known = token.matches(&credentials, &stored);
    let invitation = found.filter(|_| known).ok_or(VaultError::Unauthenticated)?;
    if invitation.until <= vault.now() {
        return Err(VaultError::Unauthenticated);
    }
    let user_key = keyspace::user(tenant, invitation.user);
    let user = snapshot.load::<User>(&user_key).await?.ok_or(VaultError::Unauthenticated)?;
    match user.state {
        UserState::Invited | UserState::Active => {}
        UserState::Suspended | UserState::Removed => return Err(VaultError::Unauthenticated),
    }
    let tenant_key = keyspace::tenant(tenant);
    let row = snapshot.load::<Tenant>(&tenant_key).await?.ok_or(VaultError::Unauthenticated)?;
    let recovery = snapshot.recovery_finished_by(tenant, user.id).await?;

    let mut batch = snapshot.into_batch();
    batch.delete(invitation_key);
    // Whose account an operator's is, a recovery asks; of other users nobody does.
    let is_let_in = tenant == TenantId::PROVIDER && invitation.made_by != Some(user.id);
    if user.state == UserState::Invited || is_let_in {
        let mut active = (*user.value).clone();
        if active.state == UserState::Invited {
            active.state = active.state.redeem()?;
        }
        if is_let_in {
            active.let_in_at = Some(vault.now());
        }
        let value = vault.seal_row(&user_key, user.leaf, user.version + 1, &active).await?;
        batch.put(user_key, user.version + 1, value);
    }
    if row.state == TenantState::Invited {
        let active = Tenant { state: row.state.redeem()?, ..(*row.value).clone() };
        let value =
            vault.seal_row(&tenant_key, OwnerLeaf::NOBODY, row.version + 1, &active).await?;
        batch.put(tenant_key, row.version + 1, value);
    }
    let session = SessionId::new(vault.now(), &*vault.rng)?;
    let expires_at = vault.now().plus_seconds(SESSION_SECONDS);
    let session_token = Token::new(TokenKind::Session, tenant, *session.as_bytes(), &*vault.rng)?;
    let session_row = Session {
        id: session,
        user: user.id,
        created_at: vault.now(),
        expires_at,
        ended: false,
        secret_hash: session_token.hash(&credentials),
    };
    let session_key = keyspace::session(tenant, session);
    let value = vault.seal_row(&session_key, user.leaf, 1, &session_row).await?;
    batch.expect_absent(session_key.clone()).put(session_key, 1, value);
    let principal = if tenant == TenantId::PROVIDER {
        Principal::Operator(user.id)
    } else {
        Principal::User(user.id)
    };
    let object = AuditObject::Other(SessionId::PREFIX, *session.as_bytes());
    let event =
        Attempted { principal, action: Action::ManageUsers, code: "invitation.redeem", object }
            .done();
    batch.line(vault.line(tenant, None, event).await?);
    if let Some(recovery) = recovery {
        vault.put_recovery(&mut batch, tenant, recovery.version, &recovery.row).await?;
        let object = AuditObject::Tenant(tenant);
        let action = Action::ManageUsers;
        for log in [tenant, TenantId::PROVIDER] {
            let event = Attempted { principal, action, code: "recovery.finish", object }.done();
            batch.line(vault.line(log, None, event).await?);
        }
    }
    let committed = vault.store.commit(batch).await?;
    let secret = Secret { token: session_token.reveal(), expires_at };
    let value = Redeemed { tenant, user: user.id, session, secret };
    // What stands in the provider's log is none of the user's.
    Ok(Answer { value, lines: committed.places().iter().take(1).copied().collect() })
}
