//! Between the rows of the vault and the facts of the policy.

use strongroom_access_policy::{AccessRequest, Granted, decide};
use strongroom_model::{Action, AuditEvent, AuditObject};

use crate::caller::Who;
use crate::snapshot::Snapshot;
use crate::trail::Attempted;
use crate::{TenantCtx, Vault, VaultError, spans};

/// What an administrative decision allowed, ready to be put on record.
pub(crate) struct Allowed {
    pub(crate) who: Who,
    pub(crate) event: AuditEvent,
}

impl Vault {
    /// Decides on an administrative action. A refusal is put on record here; what is allowed is put
    /// on record with the change or before the answer.
    pub(crate) async fn administer<'v>(
        &'v self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'v>,
        action: Action,
        code: &'static str,
        object: AuditObject,
    ) -> Result<(Snapshot<'v>, Allowed), VaultError> {
        self.administer_as(ctx, snapshot, AccessRequest::new(action), code, object).await
    }

    /// The same for a request that says more than its action.
    pub(crate) async fn administer_as<'v>(
        &'v self,
        ctx: &TenantCtx,
        mut snapshot: Snapshot<'v>,
        request: AccessRequest<'_>,
        code: &'static str,
        object: AuditObject,
    ) -> Result<(Snapshot<'v>, Allowed), VaultError> {
        let who = snapshot.who(ctx).await?;
        let action = request.action;
        let decision = {
            let held = who.held();
            let facts = held.facts();
            let request = AccessRequest { address: ctx.about().address, ..request };
            spans::deciding().in_scope(|| decide(&facts, &request, self.now()))
        };
        let attempted = Attempted { principal: who.principal, action, code, object };
        match decision {
            Err(refusal) => self.refuse(ctx, snapshot, attempted, refusal).await,
            Ok(permit) => {
                let granted: Granted = permit.spend();
                let event = attempted.allowed(&granted, Vec::new());
                Ok((snapshot, Allowed { who, event }))
            }
        }
    }
}
