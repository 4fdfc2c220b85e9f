//! The provider's job that gives tenants a version of their blueprint: what it needs, and a page of it.

use futures_util::future::join_all;
use strongroom_model::{ApplyBlueprint, Job, JobOutcome, JobState};

use crate::blueprints::{Page, give, page_of_tenants};
use crate::jobs::Errand;
use crate::snapshot::{Snapshot, attempt};
use crate::{Vault, VaultError, keyspace};

/// Items that are worked on at the same time, so that their commits share one sync of the disk.
const AT_ONCE: usize = 16;

impl Snapshot<'_> {
    /// Why the job cannot go on, if it cannot.
    pub(super) async fn missing_for_apply(
        &mut self,
        order: &ApplyBlueprint,
    ) -> Result<Option<&'static str>, VaultError> {
        match self.blueprint_version(order.blueprint, order.version).await {
            Ok(_) => Ok(None),
            Err(VaultError::NotFound) => Ok(Some("blueprint_missing")),
            Err(VaultError::Damaged(_)) => Ok(Some("damaged")),
            Err(error) => Err(error),
        }
    }
}

impl Vault {
    /// Works on the next tenants of the job, and says whether there is more.
    pub(super) async fn apply_page(
        &self,
        errand: &Errand,
        order: &ApplyBlueprint,
        checkpoint: &mut Vec<u8>,
    ) -> Result<bool, VaultError> {
        let page = page_of_tenants(self, order, checkpoint).await?;
        let Some(outcomes) = self.give_to(errand, order, &page).await? else { return Ok(false) };
        if outcomes.iter().any(|it| matches!(it, JobOutcome::Applied | JobOutcome::Kept)) {
            self.admission.drain().await;
        }
        let more = attempt(|| self.check_in(errand, &page, &outcomes)).await?;
        *checkpoint = page.checkpoint;
        Ok(more)
    }

    /// Works on the items of a page; nothing if the job was stopped meanwhile.
    async fn give_to(
        &self,
        errand: &Errand,
        order: &ApplyBlueprint,
        page: &Page,
    ) -> Result<Option<Vec<JobOutcome>>, VaultError> {
        let mut outcomes = Vec::with_capacity(page.tenants.len());
        let mut stopped = false;
        for some in page.tenants.chunks(AT_ONCE) {
            let given = join_all(some.iter().map(|tenant| give(self, errand, order, *tenant)));
            for outcome in given.await {
                match outcome? {
                    Some(outcome) => outcomes.push(outcome),
                    None => stopped = true,
                }
            }
            if stopped {
                attempt(|| self.count_after_stop(errand, &outcomes)).await?;
                return Ok(None);
            }
        }
        Ok(Some(outcomes))
    }

    /// Writes down how far it has come, and whether there is more.
    async fn check_in(
        &self,
        errand: &Errand,
        page: &Page,
        outcomes: &[JobOutcome],
    ) -> Result<bool, VaultError> {
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.ours(errand).await? else {
            attempt(|| self.count_after_stop(errand, outcomes)).await?;
            return Ok(false);
        };
        let mut job = (*found.value).clone();
        for outcome in outcomes {
            job.count(*outcome);
        }
        job.checkpoint.clone_from(&page.checkpoint);
        if page.is_last {
            job.end(JobState::finish, None, self.now())?;
            job.progress.total = job.progress.done;
        } else {
            job.progress.total = job.progress.total.max(job.progress.done);
            job.lease = Some(self.lease(errand));
        }
        self.write_job(snapshot, errand.tenant, found.version, &job).await?;
        Ok(!page.is_last)
    }

    /// Counts what was done between the last checkpoint and the moment in which somebody stopped the
    /// job.
    async fn count_after_stop(
        &self,
        errand: &Errand,
        outcomes: &[JobOutcome],
    ) -> Result<(), VaultError> {
        let key = keyspace::job(errand.tenant, errand.job);
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.load::<Job>(&key).await? else { return Ok(()) };
        if found.state != JobState::Cancelled || outcomes.is_empty() {
            return Ok(());
        }
        let mut job = (*found.value).clone();
        for outcome in outcomes {
            job.count(*outcome);
        }
        self.write_job(snapshot, errand.tenant, found.version, &job).await
    }
}
