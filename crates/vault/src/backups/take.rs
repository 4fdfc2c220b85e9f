//! A backup is made part by part: read, written, read back, and written down how far it has come.

use strongroom_keyring::{Half, KeyError, Service};
use strongroom_model::{
    Backup, BackupPlaceName, Job, JobId, JobKind, JobOutcome, JobState, TenantId,
};

use crate::backups::manifest::{self, Manifest};
use crate::backups::part::{self, Digest, PartWriter};
use crate::backups::walk::{self, Place};
use crate::backups::{BackupPlace, PlaceProblem, Places};
use crate::jobs::Errand;
use crate::rows::damaged;
use crate::snapshot::{Snapshot, attempt};
use crate::{Vault, VaultError};

/// The word of a job whose place the configuration does not name any more.
const PLACE_UNKNOWN: &str = "place_unknown";
/// The word of a job whose place gave back other bytes than were written.
const PLACE_UNRELIABLE: &str = "place_unreliable";

/// How far a backup has come: what stands in its job's checkpoint.
#[derive(Debug, Clone, minicbor::Encode, minicbor::Decode)]
struct Come {
    #[n(0)]
    place: Place,
    #[n(1)]
    parts: u32,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    last: Digest,
}

impl Vault {
    /// Says where backups may go; once, before the server works.
    pub fn name_backup_places(&self, places: Places) {
        // A second naming is a mistake that changes nothing.
        let _ = self.backup_places.set(places);
    }

    /// The place of this name.
    pub(crate) fn backup_place(
        &self,
        name: &BackupPlaceName,
    ) -> Option<&std::sync::Arc<dyn BackupPlace>> {
        self.backup_places.get()?.get(name)
    }

    /// Makes the next part of a backup, and says whether there is more to do. Whoever finds the job
    /// stopped leaves nothing of it behind.
    pub(crate) async fn backup_part(&self, errand: &Errand) -> Result<bool, VaultError> {
        attempt(|| self.next_part(errand)).await
    }

    async fn next_part(&self, errand: &Errand) -> Result<bool, VaultError> {
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.ours(errand).await? else {
            self.discard_ended(errand.job).await?;
            return Ok(false);
        };
        let JobKind::Backup(order) = &found.kind else { return Err(damaged()) };
        let Some(at) = self.backup_place(&order.place) else {
            return self.fail_backup(errand, PLACE_UNKNOWN).await;
        };
        let mut job = (*found.value).clone();
        let done = match self.make_part(&**at, order, &mut job).await {
            Ok(done) => done,
            Err(TakeProblem::Vault(error)) => return Err(error),
            Err(TakeProblem::Place(problem)) => {
                tracing::error!(job = %errand.job, %problem, "a backup failed");
                return self.fail_backup(errand, problem.word()).await;
            }
            Err(TakeProblem::Unreliable) => {
                return self.fail_backup(errand, PLACE_UNRELIABLE).await;
            }
        };
        if done {
            job.end(JobState::finish, None, self.now())?;
            job.progress.total = job.progress.done;
        } else {
            job.lease = Some(self.lease(errand));
        }
        self.write_job(snapshot, errand.tenant, found.version, &job).await?;
        Ok(!done)
    }

    /// Makes one part, and the manifest after the last one.
    async fn make_part(
        &self,
        at: &dyn BackupPlace,
        order: &Backup,
        job: &mut Job,
    ) -> Result<bool, TakeProblem> {
        let service = self.keyring.service(TenantId::PROVIDER, Half::Data, Service::Rows).await?;
        let install = self.keyring.install();
        // A crash may come between the last step at the place and the job's row.
        match at.read(&order.name, manifest::FILE).await {
            Ok(bytes) => {
                return match Manifest::read(&bytes, install, &service) {
                    Ok(whole) => {
                        job.progress.done = whole.rows;
                        Ok(true)
                    }
                    Err(_) => Err(TakeProblem::Unreliable),
                };
            }
            Err(PlaceProblem::Missing(_)) => {}
            Err(problem) => return Err(problem.into()),
        }
        let mut come = match job.checkpoint.as_slice() {
            [] => {
                self.discard_all_ended(at).await?;
                at.begin(&order.name).await?;
                let last = part::first_digest(install, job.id.as_bytes());
                Come { place: Place::default(), parts: 0, last }
            }
            bytes => minicbor::decode(bytes).map_err(|_| damaged())?,
        };
        let mut writer = PartWriter::new(come.parts + 1, come.last);
        while !writer.is_full() && !come.place.ended {
            let (rows, place) =
                walk::next(&*self.store, come.place).await.map_err(VaultError::from)?;
            for (key, row) in &rows {
                writer.add(key, row);
            }
            come.place = place;
        }
        let rows = u64::from(writer.rows());
        let bytes = writer.finish();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        come.parts += 1;
        come.last = part::digest(&bytes);
        let file = part::file_name(come.parts);
        at.write(&order.name, &file, bytes).await?;
        let again = kept(at.read_unfinished(&order.name, &file).await)?;
        if part::digest(&again) != come.last {
            return Err(TakeProblem::Unreliable);
        }
        drop(again);
        job.count_many(JobOutcome::Applied, rows);
        if let JobKind::Backup(order) = &mut job.kind {
            order.bytes = order.bytes.saturating_add(length);
        }
        job.checkpoint = minicbor::to_vec(&come)
            .map_err(|_| VaultError::Internal("a checkpoint that cannot be encoded".into()))?;
        if come.place.ended {
            let whole = Manifest {
                install,
                backup: *job.id.as_bytes(),
                number: self.keyring.number(),
                began: job.started_at.unwrap_or(job.asked_at),
                ended: self.now(),
                parts: come.parts,
                rows: job.progress.done,
                bytes: order.bytes.saturating_add(length),
                last: come.last,
            };
            let written = whole.write(&service);
            at.finish(&order.name, written.clone()).await?;
            if kept(at.read(&order.name, manifest::FILE).await)? != written {
                return Err(TakeProblem::Unreliable);
            }
        }
        Ok(come.place.ended)
    }

    async fn fail_backup(&self, errand: &Errand, word: &'static str) -> Result<bool, VaultError> {
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.ours(errand).await? else { return Ok(false) };
        let mut job = (*found.value).clone();
        job.end(JobState::fail, Some(word), self.now())?;
        self.write_job(snapshot, errand.tenant, found.version, &job).await?;
        self.discard_ended(errand.job).await?;
        Ok(false)
    }

    /// Removes what a backup has left whose job has ended. One that another worker has may go on.
    async fn discard_ended(&self, id: JobId) -> Result<(), VaultError> {
        let Some(job) = Snapshot::new(self).job(TenantId::PROVIDER, id).await? else {
            return Ok(());
        };
        if let (true, JobKind::Backup(order)) = (job.state.has_ended(), &job.kind)
            && let Some(at) = self.backup_place(&order.place)
            && let Err(problem) = at.discard(&order.name).await
        {
            tracing::warn!(job = %id, %problem, "an unfinished backup was not removed");
        }
        Ok(())
    }

    /// Removes what backups have left at a place whose jobs have ended. Those of other installations,
    /// and those that wait to go on, stay.
    async fn discard_all_ended(&self, at: &dyn BackupPlace) -> Result<(), TakeProblem> {
        for name in at.unfinished().await? {
            let job = name.rsplit_once('-').and_then(|(_, job)| job.parse().ok());
            if let Some(job) = job {
                self.discard_ended(job).await?;
            }
        }
        Ok(())
    }
}

/// What was just written and is read again: a place that does not have it loses things.
fn kept(read: Result<Vec<u8>, PlaceProblem>) -> Result<Vec<u8>, TakeProblem> {
    match read {
        Err(PlaceProblem::Missing(_)) => Err(TakeProblem::Unreliable),
        read => Ok(read?),
    }
}

enum TakeProblem {
    Vault(VaultError),
    Place(PlaceProblem),
    Unreliable,
}

impl From<VaultError> for TakeProblem {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<KeyError> for TakeProblem {
    fn from(error: KeyError) -> Self {
        Self::Vault(error.into())
    }
}

impl From<PlaceProblem> for TakeProblem {
    fn from(problem: PlaceProblem) -> Self {
        Self::Place(problem)
    }
}
