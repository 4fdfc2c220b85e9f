//! Whoever asked for an export takes a part of it: the next one, or the last one again.

use strongroom_model::{
    Action, Export, ExportFormat, ExportPart, Field, FieldNumber, Job, JobId, JobKind, JobState,
    RecordId, Timestamp,
};
use strongroom_storage::Batch;

use crate::exports::begin::names;
use crate::records::{
    Decided, EXPORT, ExportPage, Exported, Sought, Stretch, Wanted, columns, decide_page,
};
use crate::rows::damaged;
use crate::snapshot::attempt;
use crate::{Answer, Listed, TenantCtx, Vault, VaultError};

/// For so many seconds after the end of an export its last part may be taken again: a day.
const AGAIN_SECONDS: i64 = 24 * 60 * 60;

/// A part of an export.
pub struct TakenPart {
    /// How it is written.
    pub format: ExportFormat,
    /// Its number.
    pub number: u32,
    /// The number of the part that comes next; none for the last.
    pub next: Option<u32>,
    /// What is in it.
    pub page: ExportPage,
}

/// Takes a part: it is made now, with the rights that the asker has now and for the purpose for which
/// they asked, and is on record, with a touch for each record, before anything of it leaves. The same
/// commit counts it in the job, so none is made of a job that has been stopped. The part that was taken
/// last may be taken again, with the same records as far as they are still there and may be seen; the
/// last one ends the job.
///
/// # Errors
/// [`VaultError::NotFound`] for whoever has not asked for the job, and for a collection that is gone;
/// [`VaultError::Refused`] for whoever may not export it any more; `part_out_of_order`, and
/// `wrong_state` for a job that was stopped.
pub async fn take(
    vault: &Vault,
    ctx: &TenantCtx,
    job: JobId,
    part: u32,
) -> Result<Answer<TakenPart>, VaultError> {
    let answer = attempt(|| once(vault, ctx, job, part)).await?;
    if answer.value.next.is_none() {
        // It leaves the queue soon.
        vault.work_soon.notify_one();
    }
    Ok(answer)
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    id: JobId,
    part: u32,
) -> Result<Answer<TakenPart>, VaultError> {
    // What is known.
    let is_export = |kind: &JobKind| matches!(kind, JobKind::Export(_));
    let (mut snapshot, found) =
        vault.asked_job(ctx, id, (Action::Export, "export.part"), is_export).await?;
    let (JobKind::Export(export), Some(asker)) = (&found.kind, &found.asker) else {
        return Err(damaged());
    };
    let (after, until) = reach(&found, export, part, vault.now())?;
    let ctx = &ctx.stating(asker.purpose.clone()).through(id);
    let collection = snapshot.collection(ctx.tenant(), &export.collection).await?;
    let named = |numbers: &[FieldNumber], of: fn(&Field) -> bool| {
        collection.as_ref().map(|collection| names(collection, numbers, of)).unwrap_or_default()
    };
    // What has been retired meanwhile is not shown any more; its column stays, and is empty.
    let living: fn(&Field) -> bool = |field| !field.retired;
    let fields = export.fields.as_deref();
    let wanted = Wanted {
        fields: fields.map(|numbers| named(numbers, living)),
        reveal: named(&export.reveal, living),
    };

    // The decision.
    let sought = Sought {
        collection: &export.collection,
        wanted: &wanted,
        limit: usize::from(export.part_records),
        stretch: Stretch::Between { number: export.number, after, until },
        action: Action::Export,
        code: EXPORT,
    };
    let Decided { mut snapshot, event, contents } =
        decide_page(vault, ctx, snapshot, &sought).await?;
    let taken = ExportPart {
        number: part,
        after,
        until: contents.last.or(until).unwrap_or(after),
        records: contents.len() as u64,
        is_last: if until.is_some() { export.part.is_last } else { contents.ended },
    };
    if found.state.has_ended() && !contents.ended {
        return Err(out_of_order("what may be taken out has changed: ask for another export"));
    }

    // The record of it.
    let mut job = (*found.value).clone();
    move_on(&mut job, taken, until.is_some(), vault.now())?;
    let mut batch = Batch::new();
    snapshot.put_job(&mut batch, ctx.tenant(), found.version, &job).await?;
    snapshot.expect_in(&mut batch);
    batch.line(vault.line(ctx.tenant(), Some(ctx), event).await?);
    let committed = vault.store.commit(batch).await?;

    // The effect.
    let columns =
        fields.map_or_else(|| columns(&contents.collection), |numbers| named(numbers, |_| true));
    let items = contents.disclose(&committed, Exported::of)?;
    let page = ExportPage { columns, records: Listed { items, next: None } };
    let value = TakenPart { format: export.format, number: part, next: taken.next(), page };
    Ok(Answer { value, lines: committed.places().to_vec() })
}

/// Where a part lies, if it may be taken.
fn reach(
    job: &Job,
    export: &Export,
    part: u32,
    now: Timestamp,
) -> Result<(RecordId, Option<RecordId>), VaultError> {
    let is_open = match job.state {
        JobState::Queued | JobState::Running => true,
        JobState::Done => job.ended_at.is_some_and(|ended| now < ended.plus_seconds(AGAIN_SECONDS)),
        JobState::Uploading | JobState::Cancelled | JobState::Failed => false,
    };
    if !is_open {
        return Err(strongroom_model::WrongState(job.state.name()).into());
    }
    let last = &export.part;
    last.reach(part).ok_or_else(|| match (last.next(), last.number) {
        (Some(next), 0) => out_of_order(format!("the first part has the number {next}")),
        (Some(next), again) => {
            out_of_order(format!("part {next} comes next, and part {again} may be taken again"))
        }
        (None, again) => out_of_order(format!("part {again} was the last")),
    })
}

fn out_of_order(detail: impl Into<String>) -> VaultError {
    VaultError::wrong_state("part_out_of_order", detail)
}

/// Counts a part that is taken. One that is taken again counts as it is now.
fn move_on(
    job: &mut Job,
    taken: ExportPart,
    is_again: bool,
    now: Timestamp,
) -> Result<(), VaultError> {
    let JobKind::Export(export) = &mut job.kind else { return Err(damaged()) };
    if is_again {
        job.progress.done = job.progress.done.saturating_sub(export.part.records);
    } else {
        export.moved_at = Some(now);
    }
    job.progress.done = job.progress.done.saturating_add(taken.records);
    export.part = taken;
    if job.state == JobState::Queued {
        job.state = job.state.begin()?;
        job.started_at = Some(now);
    }
    if taken.is_last {
        job.progress.total = job.progress.done;
        if !job.state.has_ended() {
            job.end(JobState::finish, None, now)?;
        }
    }
    Ok(())
}
