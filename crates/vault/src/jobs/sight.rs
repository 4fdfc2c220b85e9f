//! Who may see and stop a job: whoever asked for it, and holders of the action that runs the place.

use strongroom_access_policy::{AccessRequest, Permit, decide};
use strongroom_model::{Action, AuditEvent, AuditObject, Job, JobId, TenantId};

use crate::snapshot::{Loaded, Snapshot};
use crate::trail::Attempted;
use crate::{TenantCtx, Vault, VaultError, keyspace};

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
            let found = snapshot.load::<Job>(&keyspace::job(ctx.tenant(), job)).await?;
            let Some(job) = found else {
                self.put_on_record(ctx, snapshot, allowed.event).await?;
                return Err(VaultError::NotFound);
            };
            return Ok((snapshot, job, allowed.event));
        }
        let mut snapshot = Snapshot::new(self);
        let who = snapshot.who(ctx).await?;
        let attempted = Attempted { principal: who.principal, action, code, object };
        let found = match snapshot.load::<Job>(&keyspace::job(ctx.tenant(), job)).await {
            // With the tenant's data its jobs are gone.
            Err(VaultError::Erased(_)) => None,
            found => found?,
        };
        let Some(job) = found else {
            return self.refuse_absent(ctx, snapshot, who, attempted).await;
        };
        if job.author() == who.author() {
            return Ok((snapshot, job, attempted.done()));
        }
        let granted = {
            let held = who.held();
            let address = ctx.about().address;
            let request = AccessRequest { address, ..AccessRequest::new(action) };
            decide(&held.facts(), &request, self.now()).map(Permit::spend)
        };
        match granted {
            Ok(granted) => {
                let event = attempted.allowed(&granted, Vec::new());
                Ok((snapshot, job, event))
            }
            Err(_) => self.refuse_absent(ctx, snapshot, who, attempted).await,
        }
    }

    /// Finds a job that the caller has asked for, and the line that says so. What is not there and what
    /// is others' are refused alike.
    pub(crate) async fn own_job<'v>(
        &'v self,
        ctx: &TenantCtx,
        job: JobId,
        code: &'static str,
    ) -> Result<(Snapshot<'v>, Loaded<Job>, AuditEvent), VaultError> {
        let object = AuditObject::Other(JobId::PREFIX, *job.as_bytes());
        let mut snapshot = Snapshot::new(self);
        let who = snapshot.who(ctx).await?;
        let action = oversight(ctx);
        let attempted = Attempted { principal: who.principal, action, code, object };
        let found = match snapshot.load::<Job>(&keyspace::job(ctx.tenant(), job)).await {
            // With the tenant's data its jobs are gone.
            Err(VaultError::Erased(_)) => None,
            found => found?,
        };
        match found.filter(|job| job.author() == who.author()) {
            Some(job) => Ok((snapshot, job, attempted.done())),
            None => self.refuse_absent(ctx, snapshot, who, attempted).await,
        }
    }
}
