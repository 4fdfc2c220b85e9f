//! A worker takes a job up, goes through its items page by page, and can be stopped anywhere: another
//! one goes on where the last checkpoint is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use strongroom_model::{
    ApplyBlueprint, Job, JobId, JobKind, JobOutcome, JobState, Lease, TenantId,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange, RowKey};

use crate::blueprints::{Page, give, page_of_tenants, total};
use crate::jobs::{Errand, JOBS_MAX};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Vault, VaultError, keyspace};

/// For so many seconds nobody else takes up a job after a checkpoint.
const LEASE_SECONDS: i64 = 10;
/// The same, for whoever waits for it.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// Items that are worked on at the same time, so that their commits share one sync of the disk.
const AT_ONCE: usize = 16;
/// Jobs that have ended are kept for so many seconds: 30 days.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;

impl Vault {
    /// Works on jobs until none is left that could be taken up.
    ///
    /// # Errors
    /// [`VaultError::Locked`], [`VaultError::Unavailable`]: it goes on at the next call.
    pub(crate) async fn run_jobs(&self) -> Result<(), VaultError> {
        let _one_at_a_time = self.working.lock().await;
        let worker = self.worker()?;
        while let Some(job) = self.next_job(worker).await? {
            self.run_job(Errand { job, worker }).await?;
        }
        Ok(())
    }

    /// Who works on jobs here: random, and another one at each start.
    fn worker(&self) -> Result<[u8; 16], VaultError> {
        if let Some(worker) = self.worker.get() {
            return Ok(*worker);
        }
        let mut worker = [0; 16];
        self.rng.fill(&mut worker)?;
        Ok(*self.worker.get_or_init(|| worker))
    }

    /// The first job that this worker may take up. Those that ended long ago go.
    async fn next_job(&self, worker: [u8; 16]) -> Result<Option<JobId>, VaultError> {
        let range = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::Job);
        let keys: Vec<RowKey> =
            self.store.scan(&range, JOBS_MAX).await?.into_iter().map(|(key, _)| key).collect();
        let jobs = Snapshot::new(self).load_many::<Job>(&keys).await?;
        let now = self.now();
        let mut waits = false;
        for job in jobs.iter().flatten() {
            if job.is_free_for(worker, now) {
                return Ok(Some(job.id));
            }
            waits |= !job.state.has_ended();
            if job.ended_at.is_some_and(|ended| ended.plus_seconds(KEPT_SECONDS) < now) {
                self.forget_job(job.id).await?;
            }
        }
        self.jobs_wait.store(waits, Ordering::Relaxed);
        Ok(None)
    }

    async fn forget_job(&self, job: JobId) -> Result<(), VaultError> {
        let items = keyspace::job_items_prefix(TenantId::PROVIDER, job);
        self.clear_rows(KeyRange::prefix(items.as_bytes()), |_| true).await?;
        // The job's own row goes last: as long as it is there, its items are looked for again.
        let mut batch = Batch::new();
        batch.delete(keyspace::job(TenantId::PROVIDER, job));
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }

    async fn run_job(&self, errand: Errand) -> Result<(), VaultError> {
        let Some(job) = attempt(|| self.take_up(&errand)).await? else { return Ok(()) };
        let JobKind::ApplyBlueprint(order) = &job.kind;
        let mut checkpoint = job.checkpoint.clone();
        loop {
            // An erasure that was asked for meanwhile does not wait for the end of a job.
            while self.carry_out_erasures().await? > 0 {}
            let page = page_of_tenants(self, order, &checkpoint).await?;
            let Some(outcomes) = self.work_on(&errand, order, &page).await? else {
                return Ok(());
            };
            if outcomes.iter().any(|it| matches!(it, JobOutcome::Applied | JobOutcome::Kept)) {
                self.admission.drain().await;
            }
            if !attempt(|| self.check_in(&errand, &page, &outcomes)).await? {
                return Ok(());
            }
            checkpoint = page.checkpoint;
        }
    }

    /// Takes the job up; nothing if somebody else has it, or it has ended.
    async fn take_up(&self, errand: &Errand) -> Result<Option<Job>, VaultError> {
        let key = keyspace::job(TenantId::PROVIDER, errand.job);
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.load::<Job>(&key).await? else { return Ok(None) };
        let now = self.now();
        if !found.is_free_for(errand.worker, now) {
            return Ok(None);
        }
        let mut job = (*found.value).clone();
        if job.state == JobState::Queued {
            let JobKind::ApplyBlueprint(order) = &job.kind;
            job.progress.total = total(self, order).await?;
            job.state = job.state.begin()?;
            job.started_at = Some(now);
        }
        let JobKind::ApplyBlueprint(order) = &job.kind;
        let missing = match snapshot.blueprint_version(order.blueprint, order.version).await {
            Ok(_) => None,
            Err(VaultError::NotFound) => Some("blueprint_missing"),
            Err(VaultError::Damaged(_)) => Some("damaged"),
            Err(error) => return Err(error),
        };
        if let Some(problem) = missing {
            job.state = job.state.fail()?;
            job.problem = Some(problem.to_owned());
            job.ended_at = Some(now);
            job.lease = None;
        } else {
            job.lease = Some(self.lease(errand));
        }
        self.put_job(snapshot, key, found.version, &job).await?;
        Ok(missing.is_none().then_some(job))
    }

    /// Works on the items of a page; nothing if the job was stopped meanwhile.
    async fn work_on(
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
        let key = keyspace::job(TenantId::PROVIDER, errand.job);
        let mut snapshot = Snapshot::new(self);
        if !snapshot.still_ours(errand).await? {
            attempt(|| self.count_after_stop(errand, outcomes)).await?;
            return Ok(false);
        }
        let found = snapshot.load::<Job>(&key).await?.ok_or(VaultError::NotFound)?;
        let mut job = (*found.value).clone();
        for outcome in outcomes {
            job.count(*outcome);
        }
        job.checkpoint.clone_from(&page.checkpoint);
        if page.is_last {
            job.state = job.state.finish()?;
            job.progress.total = job.progress.done;
            job.ended_at = Some(self.now());
            job.lease = None;
        } else {
            job.progress.total = job.progress.total.max(job.progress.done);
            job.lease = Some(self.lease(errand));
        }
        self.put_job(snapshot, key, found.version, &job).await?;
        Ok(!page.is_last)
    }

    /// Counts what was done between the last checkpoint and the moment in which somebody stopped the
    /// job.
    async fn count_after_stop(
        &self,
        errand: &Errand,
        outcomes: &[JobOutcome],
    ) -> Result<(), VaultError> {
        let key = keyspace::job(TenantId::PROVIDER, errand.job);
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.load::<Job>(&key).await? else { return Ok(()) };
        if found.state != JobState::Cancelled || outcomes.is_empty() {
            return Ok(());
        }
        let mut job = (*found.value).clone();
        for outcome in outcomes {
            job.count(*outcome);
        }
        self.put_job(snapshot, key, found.version, &job).await
    }

    fn lease(&self, errand: &Errand) -> Lease {
        Lease { worker: errand.worker, until: self.now().plus_seconds(LEASE_SECONDS) }
    }

    async fn put_job(
        &self,
        snapshot: Snapshot<'_>,
        key: RowKey,
        version: u64,
        job: &Job,
    ) -> Result<(), VaultError> {
        let mut batch = snapshot.into_batch();
        let value = self.seal_row(&key, OwnerLeaf::NOBODY, version + 1, job).await?;
        batch.put(key, version + 1, value);
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }
}
