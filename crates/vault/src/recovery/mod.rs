//! Recovery of a lost owner: asked for by one operator, approved by another, waited for, and
//! stopped by the tenant if it wants until the new owner has come in.

mod approve;
mod finish;
mod redeem;
mod show;
mod start;
mod stop;

pub use approve::approve;
pub use redeem::{RedeemRecovery, RedeemedRecovery, redeem};
pub use show::{RecoveryNotice, RecoveryView, show};
pub use start::{StartRecovery, start};
pub use stop::stop;

use strongroom_access_policy::WrongOperator;
use strongroom_model::{
    AuditEvent, Outcome, Principal, Recovery, TenantId, TenantState, User, UserId, UserState,
    WrongState,
};
use strongroom_storage::{Batch, Committed, LinePlaced};

use crate::caller::Who;
use crate::index::{self, Index};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot};
use crate::{TenantCtx, Vault, VaultError, keyspace};

/// Only a tenant whose people can sign in, and so could stop it, has an owner recovered.
fn can_be_stopped(state: TenantState) -> Result<(), WrongState> {
    match state {
        TenantState::Active | TenantState::Suspended | TenantState::Terminating => Ok(()),
        TenantState::Invited | TenantState::Frozen | TenantState::Erased => {
            Err(WrongState(state.name()))
        }
    }
}

/// What an operator is told who may not do what another may.
const fn told(wrong: WrongOperator) -> (&'static str, &'static str) {
    match wrong {
        WrongOperator::Asked => (
            "another_operator_needed",
            "an operator other than the one who asked for it must approve a recovery",
        ),
        WrongOperator::Bystander => (
            "another_operator_needed",
            "only the operators who asked for and approved a recovery may invite the owner",
        ),
        WrongOperator::TooNew => (
            "operator_too_new",
            "for 72 hours nobody else may have let the operator in, or given them their classes",
        ),
    }
}

/// The promise of the caller's own log; the line in the other one's is none of theirs.
fn own_line(committed: &Committed) -> Vec<LinePlaced> {
    committed.places().iter().take(1).copied().collect()
}

impl Snapshot<'_> {
    /// The tenant's last recovery.
    async fn recovery(&mut self, tenant: TenantId) -> Result<Option<Loaded<Recovery>>, VaultError> {
        match self.load(&keyspace::recovery(tenant)).await {
            Err(VaultError::Erased(_)) => Ok(None),
            found => found,
        }
    }

    /// That these operators may still sign in: a recovery does not outlive those who stand for it.
    async fn stand_for_it(&mut self, operators: &[UserId]) -> Result<(), VaultError> {
        let keys: Vec<_> =
            operators.iter().map(|user| keyspace::user(TenantId::PROVIDER, *user)).collect();
        let found = self.load_many::<User>(&keys).await?;
        let active = |user: &Option<Loaded<User>>| {
            user.as_ref().is_some_and(|user| user.state == UserState::Active)
        };
        if found.iter().all(active) {
            return Ok(());
        }
        Err(VaultError::wrong_state(
            "operator_gone",
            "an operator who stands for the recovery may not sign in any more",
        ))
    }

    /// The operator who is asking. That it is a person and not one of their keys, the decision has seen
    /// to.
    async fn operator(&mut self, who: &Who) -> Result<Loaded<User>, VaultError> {
        let user = match who.principal {
            Principal::Operator(user) => user,
            Principal::User(_)
            | Principal::ApiKey(_)
            | Principal::Job(_)
            | Principal::Anonymous
            | Principal::Backend(_) => return Err(VaultError::NotFound),
        };
        let found = self.load::<User>(&keyspace::user(TenantId::PROVIDER, user)).await?;
        found.ok_or(VaultError::NotFound)
    }

    /// Puts on record, in the provider's log, that this operator is not the one who may do it.
    async fn wrong_operator<T>(
        &self,
        ctx: &TenantCtx,
        event: AuditEvent,
        wrong: WrongOperator,
    ) -> Result<T, VaultError> {
        let (code, detail) = told(wrong);
        let event = AuditEvent { outcome: Outcome::Refused, rule: None, code, ..event };
        let committed = self.vault.put_on_record(ctx, self.same(), event).await?;
        let error = Box::new(VaultError::wrong_state(code, detail));
        Err(VaultError::OnRecord { error, lines: committed.places().to_vec() })
    }

    /// Removes somebody who was invited as new owner and has not come in, and gives their address free.
    /// Nobody can come in by an invitation of a user who is removed.
    async fn take_back(
        &mut self,
        batch: &mut Batch,
        tenant: TenantId,
        user: &Loaded<User>,
    ) -> Result<(), VaultError> {
        if let Some(email) = &user.email {
            let address = [email.as_str().to_owned()];
            index::forget(self, batch, Index::of_emails(tenant), &address).await?;
        }
        let removed = User { state: user.state.remove()?, email: None, ..(*user.value).clone() };
        let key = keyspace::user(tenant, user.id);
        let value = self.vault.seal_row(&key, user.leaf, user.version + 1, &removed).await?;
        batch.put(key, user.version + 1, value);
        Ok(())
    }
}

impl Vault {
    /// Writes the recovery's next row.
    pub(crate) async fn put_recovery(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        version: u64,
        row: &Recovery,
    ) -> Result<(), VaultError> {
        let key = keyspace::recovery(tenant);
        let value = self.seal_row(&key, OwnerLeaf::NOBODY, version, row).await?;
        if version == 1 {
            batch.expect_absent(key.clone());
        }
        batch.put(key, version, value);
        Ok(())
    }

    /// Puts a step on record in both logs, the caller's own first. What a tenant's user says of themselves,
    /// address and reason, stays in the tenant's log.
    async fn in_both_logs(
        &self,
        batch: &mut Batch,
        ctx: &TenantCtx,
        tenant: TenantId,
        event: AuditEvent,
    ) -> Result<(), VaultError> {
        batch.line(self.line(ctx.tenant(), Some(ctx), event.clone()).await?);
        let other = if ctx.is_provider() {
            self.line(tenant, Some(ctx), event).await?
        } else {
            self.line(TenantId::PROVIDER, None, event).await?
        };
        batch.line(other);
        Ok(())
    }
}
