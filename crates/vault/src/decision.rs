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
        mut snapshot: Snapshot<'v>,
        action: Action,
        code: &'static str,
        object: AuditObject,
    ) -> Result<(Snapshot<'v>, Allowed), VaultError> {
        let who = snapshot.who(ctx).await?;
        let decision = {
            let held = who.held();
            let facts = held.facts();
            let request = AccessRequest {
                purpose: None,
                address: ctx.about().address,
                ..AccessRequest::new(action)
            };
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
