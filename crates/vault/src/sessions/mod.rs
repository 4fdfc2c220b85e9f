//! Sessions: ended by those whose they are.

use strongroom_model::{Action, AuditObject, Session, SessionId};

use crate::snapshot::{Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, Credential, TenantCtx, Vault, VaultError, keyspace};

/// Ends the session with which the caller signed in.
///
/// # Errors
/// `no_session` for a caller who came with another credential.
pub async fn end_current(vault: &Vault, ctx: &TenantCtx) -> Result<Answer<()>, VaultError> {
    let answer = attempt(|| async {
        let Credential::Session(id) = ctx.credential() else {
            return Err(VaultError::wrong_state(
                "no_session",
                "the caller has no session: it came with another credential",
            ));
        };
        let mut snapshot = Snapshot::new(vault);
        let who = snapshot.who(ctx).await?;
        let key = keyspace::session(ctx.tenant(), id);
        let found = snapshot.load::<Session>(&key).await?.ok_or(VaultError::Unauthenticated)?;
        let ended = Session { ended: true, ..(*found.value).clone() };
        let mut batch = snapshot.into_batch();
        let value = vault.seal_row(&key, found.leaf, found.version + 1, &ended).await?;
        batch.put(key, found.version + 1, value);
        let object = AuditObject::Other(SessionId::PREFIX, *id.as_bytes());
        let event = Attempted {
            principal: who.principal,
            action: Action::ManageUsers,
            code: "session.end",
            object,
        }
        .done();
        batch.line(vault.line(ctx.tenant(), Some(ctx), event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: (), lines: committed.places().to_vec() })
    })
    .await?;
    vault.admission.drain().await;
    Ok(answer)
}
