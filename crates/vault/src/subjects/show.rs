//! Somebody who may read records looks at what is known of a subject.

use strongroom_access_policy::{AccessRequest, Facts, SubjectFacts, decide};
use strongroom_model::{Action, AuditObject, SubjectHead, SubjectId, SubjectState};

use crate::decision::Allowed;
use crate::snapshot::{Loaded, Snapshot, Versioned, attempt};
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError, spans};

/// Shows a subject: its state and external id, nothing of its records.
///
/// # Errors
/// [`VaultError::NotFound`] for whoever may not know; [`VaultError::Refused`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    subject: SubjectId,
) -> Result<Answer<Versioned<SubjectHead>>, VaultError> {
    attempt(|| async {
        let (snapshot, allowed, found) =
            vault.about_subject(ctx, subject, Action::Read, "subject.read").await?;
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let value = Versioned { version: found.version, value: (*found.value).clone() };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}

impl Vault {
    /// Decides on an action on subjects in general: somebody who may do it to the records of some
    /// collection may do it.
    pub(crate) async fn with_subjects<'v>(
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
                purpose: ctx.about().purpose.as_ref(),
                address: ctx.about().address,
                ..AccessRequest::new(action)
            };
            spans::deciding().in_scope(|| decide(&facts, &request, self.now()))
        };
        let attempted = Attempted { principal: who.principal, action, code, object };
        match decision {
            Err(refusal) => self.refuse(ctx, snapshot, attempted, refusal).await,
            Ok(permit) => {
                let event = attempted.allowed(&permit.spend(), Vec::new());
                Ok((snapshot, Allowed { who, event }))
            }
        }
    }

    /// Decides on an action on one subject, and finds it.
    pub(crate) async fn about_subject<'v>(
        &'v self,
        ctx: &TenantCtx,
        subject: SubjectId,
        action: Action,
        code: &'static str,
    ) -> Result<(Snapshot<'v>, Allowed, Loaded<SubjectHead>), VaultError> {
        let mut snapshot = Snapshot::new(self);
        let who = snapshot.who(ctx).await?;
        let found = snapshot.subject(ctx.tenant(), subject).await?;
        let attempted = Attempted {
            principal: who.principal,
            action,
            code,
            object: AuditObject::Subject(subject),
        };
        let Some(found) = found.filter(|found| found.state != SubjectState::Erased) else {
            snapshot.look_for_erasure(ctx.tenant(), *subject.as_bytes()).await?;
            return self.refuse_absent(ctx, snapshot, who, attempted).await;
        };
        snapshot.is_about((found.id, found.leaf.slot));
        let decision = {
            let held = who.held();
            let facts = Facts { subject: Some(SubjectFacts::from(&*found.value)), ..held.facts() };
            let request = AccessRequest {
                purpose: ctx.about().purpose.as_ref(),
                address: ctx.about().address,
                ..AccessRequest::new(action)
            };
            spans::deciding().in_scope(|| decide(&facts, &request, self.now()))
        };
        match decision {
            Ok(permit) => {
                let persons = crate::records::person(&found);
                let (snapshot, attempted) =
                    self.count_subjects(ctx, snapshot, &who, attempted, persons.as_slice()).await?;
                let event = attempted.allowed(&permit.spend(), Vec::new());
                Ok((snapshot, Allowed { who, event }, found))
            }
            Err(refusal) => self.refuse(ctx, snapshot, attempted, refusal).await,
        }
    }
}
