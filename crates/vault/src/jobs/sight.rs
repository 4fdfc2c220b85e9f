//! Who may see and stop a job: whoever asked for it, and holders of the action that runs the place.

use strongroom_access_policy::{
    AccessRequest, Granted, Permit, Refusal, decide, is_own_job, may_feed,
};
use strongroom_model::{Action, AuditEvent, AuditObject, Job, JobId, JobKind, TenantId};

use crate::caller::Who;
use crate::snapshot::{Loaded, Snapshot};
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// The action whose holders see and stop all jobs.
pub(super) fn oversight(ctx: &TenantCtx) -> Action {
    if ctx.tenant() == TenantId::PROVIDER { Action::ManageTenants } else { Action::ManageSettings }
}

impl Vault {
    /// Finds a job that the caller may see, and the line that says so. What is not there and what is
    /// others' are refused alike.
    pub(crate) async fn see_job<'v>(
        &'v self,
        ctx: &TenantCtx,
        job: JobId,
        code: &'static str,
    ) -> Result<(Snapshot<'v>, Loaded<Job>, AuditEvent), VaultError> {
        let object = AuditObject::Other(JobId::PREFIX, *job.as_bytes());
        let action = oversight(ctx);
        if ctx.tenant() == TenantId::PROVIDER {
            let (mut snapshot, allowed) =
                self.administer(ctx, Snapshot::new(self), action, code, object).await?;
            let Some(job) = snapshot.job(ctx.tenant(), job).await? else {
                self.put_on_record(ctx, snapshot, allowed.event).await?;
                return Err(VaultError::NotFound);
            };
            return Ok((snapshot, job, allowed.event));
        }
        let mut snapshot = Snapshot::new(self);
        let who = snapshot.who(ctx).await?;
        let attempted = Attempted { principal: who.principal, action, code, object };
        let Some(job) = snapshot.job(ctx.tenant(), job).await? else {
            return self.refuse_absent(ctx, snapshot, who, attempted).await;
        };
        if is_own_job(&who.held().facts(), &job) {
            return Ok((snapshot, job, attempted.done()));
        }
        match self.oversees(ctx, &who) {
            Ok(granted) => {
                let event = attempted.allowed(&granted, Vec::new());
                Ok((snapshot, job, event))
            }
            Err(_) => self.refuse_absent(ctx, snapshot, who, attempted).await,
        }
    }

    /// Finds a job of some kind that this very credential has asked for, in the same user's name. What is
    /// not there and what is others' are refused alike: nobody else gives it anything, or takes what it
    /// makes, in the asker's name.
    pub(crate) async fn asked_job<'v>(
        &'v self,
        ctx: &TenantCtx,
        id: JobId,
        (action, code): (Action, &'static str),
        is_of_kind: fn(&JobKind) -> bool,
    ) -> Result<(Snapshot<'v>, Loaded<Job>), VaultError> {
        let mut snapshot = Snapshot::new(self);
        let who = snapshot.who(ctx).await?;
        let is_asked = |job: &Job| {
            let asker = job.asker.as_ref();
            is_of_kind(&job.kind) && asker.is_some_and(|asker| may_feed(&ctx.as_asker(), asker))
        };
        if let Some(job) = snapshot.job(ctx.tenant(), id).await?.filter(|job| is_asked(job)) {
            return Ok((snapshot, job));
        }
        let object = AuditObject::Other(JobId::PREFIX, *id.as_bytes());
        let attempted = Attempted { principal: who.principal, action, code, object };
        self.refuse_absent(ctx, snapshot, who, attempted).await
    }

    /// The job that a request has made before, for the one that repeats it.
    pub(crate) async fn job_made_before(
        &self,
        ctx: &TenantCtx,
        mut snapshot: Snapshot<'_>,
        id: JobId,
        event: AuditEvent,
    ) -> Result<Answer<Job>, VaultError> {
        let made = snapshot.load::<Job>(&keyspace::job(ctx.tenant(), id)).await?;
        let committed = self.put_on_record(ctx, snapshot, event).await?;
        let value = (*made.ok_or(VaultError::NotFound)?.value).clone();
        Ok(Answer { value, lines: committed.places().to_vec() })
    }

    /// Whether the caller sees and stops the jobs of others in their tenant.
    pub(super) fn oversees(&self, ctx: &TenantCtx, who: &Who) -> Result<Granted, Refusal> {
        let held = who.held();
        let address = ctx.about().address;
        let request = AccessRequest { address, ..AccessRequest::new(oversight(ctx)) };
        decide(&held.facts(), &request, self.now()).map(Permit::spend)
    }
}

impl Snapshot<'_> {
    /// The job; nothing where there is none, or where it is gone with the tenant's data.
    pub(crate) async fn job(
        &mut self,
        tenant: TenantId,
        job: JobId,
    ) -> Result<Option<Loaded<Job>>, VaultError> {
        match self.load::<Job>(&keyspace::job(tenant, job)).await {
            Err(VaultError::Erased(_) | VaultError::NotFound) => Ok(None),
            found => found,
        }
    }
}
