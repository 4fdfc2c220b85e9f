//! Whoever asked for an import sends a part of the file. What was read of it waits under the job's key;
//! the same part sent again changes nothing.

use strongroom_crypto::hash;
use strongroom_model::{Job, JobId, JobKind, JobOutcome, JobPart, JobReject, JobState};
use strongroom_storage::Batch;

use crate::imports::spool::{self, FileRow, MappingRow, Spool};
use crate::rows::{OwnerLeaf, damaged};
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Flaw, TenantCtx, Vault, VaultError, keyspace};

/// Most parts of a file.
pub const PARTS_MAX: u32 = 100_000;
/// Most rows of a part, those included that cannot be read.
pub const PART_ROWS_MAX: usize = 10_000;
/// Most rows of a file.
pub const ROWS_MAX: u64 = 20_000_000;
/// Most rejects that are kept of a job; further ones are counted.
pub(super) const REJECTS_MAX: u64 = 100_000;
/// Most flaws that are kept of a row.
const FLAWS_MAX: usize = 20;

/// A part as it was sent.
pub struct PartSent<'b> {
    /// The job.
    pub job: JobId,
    /// Its number, from 1.
    pub part: u32,
    /// The line of the file on which its first row begins.
    pub first_line: u64,
    /// Its bytes.
    pub body: &'b [u8],
}

/// Whether a part has to be read.
pub enum Prepared {
    /// It is there already.
    Known(Answer<Uploaded>),
    /// It is not; this is how its rows become records.
    Needed(Vec<u8>),
}

/// What is there of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// Its number.
    pub part: u32,
    /// Its rows, those included that cannot be read.
    pub rows: u64,
    /// Those that cannot be read.
    pub rejected: u64,
}

/// Looks whether a part has to be read.
///
/// # Errors
/// [`VaultError::NotFound`] for whoever has not asked for the job; `part_differs` if another part of
/// this number is there; `wrong_state` for a job that does not wait for parts.
pub async fn prepare(
    vault: &Vault,
    ctx: &TenantCtx,
    sent: &PartSent<'_>,
) -> Result<Prepared, VaultError> {
    check_number(sent)?;
    attempt(|| async {
        let (mut snapshot, job, event) = vault.own_import(ctx, sent.job, "import.upload").await?;
        let waits = job.state == JobState::Uploading;
        if let Some(uploaded) = snapshot.uploaded(ctx, sent).await? {
            let committed = vault.put_on_record(ctx, snapshot, event).await?;
            let lines = committed.places().to_vec();
            return Ok(Prepared::Known(Answer { value: uploaded, lines }));
        }
        if !waits {
            return Err(not_waiting(&job));
        }
        let at = keyspace::job_mapping(ctx.tenant(), sent.job);
        let row = vault.store.get_many(std::slice::from_ref(&at)).await?.pop().flatten();
        let row = row.ok_or_else(damaged)?;
        let (mapping, _) = vault.open_row::<MappingRow>(&at, &row).await?;
        Ok(Prepared::Needed(mapping.mapping))
    })
    .await
}

/// Keeps what was read of a part: rows, and the lines of those that cannot be read, with why.
///
/// # Errors
/// As for [`prepare`]; [`VaultError::Invalid`] for too many rows.
pub async fn upload(
    vault: &Vault,
    ctx: &TenantCtx,
    sent: &PartSent<'_>,
    rows: Vec<FileRow>,
    mut rejected: Vec<(u64, Vec<Flaw>)>,
) -> Result<Answer<Uploaded>, VaultError> {
    check_number(sent)?;
    if rows.len() + rejected.len() > PART_ROWS_MAX {
        return Err(VaultError::invalid("", "a part has at most 10000 rows"));
    }
    let mut written = Vec::with_capacity(rows.len());
    for row in rows {
        match spool::write(&row) {
            Ok(row) => written.push(row),
            Err(VaultError::Invalid(flaws)) => rejected.push((row.line, flaws)),
            Err(error) => return Err(error),
        }
    }
    attempt(|| async {
        let (mut snapshot, found, event) = vault.own_import(ctx, sent.job, "import.upload").await?;
        if let Some(uploaded) = snapshot.uploaded(ctx, sent).await? {
            let committed = vault.put_on_record(ctx, snapshot, event).await?;
            return Ok(Answer { value: uploaded, lines: committed.places().to_vec() });
        }
        if found.state != JobState::Uploading {
            return Err(not_waiting(&found));
        }
        let tenant = ctx.tenant();
        let mut job = (*found.value).clone();
        let slot = job.slot.ok_or_else(damaged)?;
        let uploaded = Uploaded {
            part: sent.part,
            rows: (written.len() + rejected.len()) as u64,
            rejected: rejected.len() as u64,
        };
        job.progress.total = job.progress.total.saturating_add(uploaded.rows);
        if job.progress.total > ROWS_MAX {
            return Err(VaultError::invalid("", "a file has at most 20000000 rows"));
        }
        let mut batch = Batch::new();
        let spool = Spool { tenant, job: job.id, slot };
        for (page, rows) in (0u32..).zip(spool::pages(&written)) {
            spool.put(vault, &mut batch, (0, sent.part, page), rows).await?;
        }
        for (line, flaws) in &rejected {
            reject(vault, &mut batch, &mut job, ctx, (sent.part, *line), flaws).await?;
        }
        let JobKind::Import(import) = &mut job.kind else { return Err(damaged()) };
        import.parts = import.parts.saturating_add(1);
        import.last_part = import.last_part.max(sent.part);
        let part =
            JobPart { digest: digest(sent), rows: uploaded.rows, rejected: uploaded.rejected };
        let at = keyspace::job_part(tenant, job.id, sent.part);
        let value = vault.seal_row(&at, OwnerLeaf::job(job.id, slot), 1, &part).await?;
        batch.put(at, 1, value);
        snapshot.put_job(&mut batch, tenant, found.version, &job).await?;
        snapshot.expect_in(&mut batch);
        batch.line(vault.line(tenant, Some(ctx), event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: uploaded, lines: committed.places().to_vec() })
    })
    .await
}

/// Counts a row that became no record, and says why.
pub(super) async fn reject(
    vault: &Vault,
    batch: &mut Batch,
    job: &mut Job,
    ctx: &TenantCtx,
    (part, line): (u32, u64),
    flaws: &[Flaw],
) -> Result<(), VaultError> {
    job.count(JobOutcome::Rejected);
    let JobKind::Import(import) = &mut job.kind else { return Err(damaged()) };
    if import.rejects >= REJECTS_MAX {
        return Ok(());
    }
    import.rejects += 1;
    let flaws = flaws.iter().take(FLAWS_MAX);
    let flaws = flaws.map(|flaw| (flaw.pointer.clone(), flaw.detail.clone())).collect();
    let at = keyspace::job_reject(ctx.tenant(), job.id, part, line);
    let value = vault.seal_row(&at, OwnerLeaf::NOBODY, 1, &JobReject { part, line, flaws }).await?;
    batch.put(at, 1, value);
    Ok(())
}

impl Snapshot<'_> {
    /// What is there of a part.
    ///
    /// # Errors
    /// `part_differs` if another part of its number is there.
    async fn uploaded(
        &mut self,
        ctx: &TenantCtx,
        sent: &PartSent<'_>,
    ) -> Result<Option<Uploaded>, VaultError> {
        let at = keyspace::job_part(ctx.tenant(), sent.job, sent.part);
        let Some(part) = self.load::<JobPart>(&at).await? else { return Ok(None) };
        if part.digest != digest(sent) {
            return Err(VaultError::wrong_state(
                "part_differs",
                "another part of this number has been sent before",
            ));
        }
        let JobPart { rows, rejected, .. } = *part.value;
        Ok(Some(Uploaded { part: sent.part, rows, rejected }))
    }
}

fn digest(sent: &PartSent<'_>) -> [u8; 32] {
    hash::sha256(&[b"sr1/part\0", &sent.first_line.to_be_bytes(), sent.body])
}

fn check_number(sent: &PartSent<'_>) -> Result<(), VaultError> {
    if (1..=PARTS_MAX).contains(&sent.part) {
        return Ok(());
    }
    Err(VaultError::invalid("/part", "parts have numbers from 1 to 100000"))
}

fn not_waiting(job: &Job) -> VaultError {
    strongroom_model::WrongState(job.state.name()).into()
}
