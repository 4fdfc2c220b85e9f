//! The sender of parts: only the credential that asked for an import, as long as it may import.

use strongroom_model::{Action, AuditEvent, AuditObject, Job, JobId, JobKind};

use crate::records::{Intent, may};
use crate::rows::damaged;
use crate::snapshot::{Loaded, Snapshot};
use crate::{TenantCtx, Vault, VaultError};

impl Vault {
    /// Finds an import that the caller has asked for and may still ask for now, for the purpose that they
    /// named then, and the line that says so: the rows become records by the rights of whoever asked, so
    /// nobody else adds rows.
    pub(super) async fn own_import<'v>(
        &'v self,
        ctx: &TenantCtx,
        job: JobId,
        code: &'static str,
    ) -> Result<(Snapshot<'v>, Loaded<Job>, AuditEvent), VaultError> {
        let is_import = |kind: &JobKind| matches!(kind, JobKind::Import(_));
        let (snapshot, found) = self.asked_job(ctx, job, (Action::Create, code), is_import).await?;
        let (JobKind::Import(import), Some(asker)) = (&found.kind, &found.asker) else {
            return Err(damaged());
        };
        let ctx = ctx.stating(asker.purpose.clone());
        let intent = Intent::to_create(&import.collection, code);
        let (snapshot, allowed) = may(&ctx, snapshot, &intent).await?;
        let object = AuditObject::Other(JobId::PREFIX, *job.as_bytes());
        Ok((snapshot, found, AuditEvent { object, ..allowed.event }))
    }
}
