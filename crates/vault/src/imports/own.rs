//! The sender of parts: only the credential that asked for an import, as long as it may import.

use strongroom_access_policy::may_feed;
use strongroom_model::{Action, Asker, AuditEvent, AuditObject, Job, JobId, JobKind};

use crate::records::may_import;
use crate::snapshot::{Loaded, Snapshot};
use crate::trail::Attempted;
use crate::{TenantCtx, Vault, VaultError};

impl Vault {
    /// Finds an import that the caller has asked for and may still ask for now, for the purpose that they
    /// named then, and the line that says so. What is not there and what is others' are refused alike:
    /// the rows become records by the rights of whoever asked, so nobody else adds rows.
    pub(super) async fn own_import<'v>(
        &'v self,
        ctx: &TenantCtx,
        job: JobId,
        code: &'static str,
    ) -> Result<(Snapshot<'v>, Loaded<Job>, AuditEvent), VaultError> {
        let object = AuditObject::Other(JobId::PREFIX, *job.as_bytes());
        let mut snapshot = Snapshot::new(self);
        let who = snapshot.who(ctx).await?;
        let found = snapshot.job(ctx.tenant(), job).await?;
        let own = found.as_ref().and_then(|job| import_of(job, &ctx.as_asker()));
        let (Some(found), Some((collection, asker))) = (&found, own) else {
            let attempted =
                Attempted { principal: who.principal, action: Action::Create, code, object };
            return self.refuse_absent(ctx, snapshot, who, attempted).await;
        };
        let ctx = ctx.stating(asker.purpose.clone());
        let (snapshot, allowed) = may_import(&ctx, snapshot, collection, code).await?;
        Ok((snapshot, found.clone(), AuditEvent { object, ..allowed.event }))
    }
}

/// The collection of an import that takes what this caller sends, and who asked for it.
fn import_of<'j>(
    job: &'j Job,
    sender: &Asker,
) -> Option<(&'j strongroom_model::CollectionName, &'j Asker)> {
    let JobKind::Import(import) = &job.kind else { return None };
    let asker = job.asker.as_ref()?;
    may_feed(sender, asker).then_some((&import.collection, asker))
}
