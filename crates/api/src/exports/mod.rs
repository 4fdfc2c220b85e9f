//! Exports as jobs over HTTP: asked for, and taken in parts.

mod wire;

use axum::response::IntoResponse;
use strongroom_model::ExportFormat;
use strongroom_vault::exports;

use crate::extract::{JobPath, MustRepeatHeader, PartPath, Sent, TenantCaller};
use crate::jobs::wire::Job;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Routes, routes};
use crate::wire::{write_csv, write_lines};
use wire::NewExportJob;

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(begin)).routes(routes!(take))
}

/// Export a collection
///
/// Gives a job whose parts the caller takes one after the other. Nothing of the records is kept for it.
#[utoipa::path(post, path = "/exports", operation_id = "begin_export", tag = "jobs",
    params(MustRepeatHeader), request_body = NewExportJob,
    responses((status = 202, description = "The job waits for its parts to be taken.",
        body = Job)))]
async fn begin(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewExportJob>,
) -> Result<impl IntoResponse, Problem> {
    let idempotency = sent.must_repeat()?;
    let wanted = sent.value.of(idempotency);
    let answer = exports::begin(&caller.vault, &caller.ctx, wanted).await?;
    let location = format!("/v1/tenants/{}/jobs/{}", caller.ctx.tenant(), answer.value.id);
    Ok(Reply::json(&Job::from(&answer.value)).accepted().location(location).lines_of(&answer))
}

/// Take a part of an export
///
/// Parts have numbers from 1 and are taken in their order by whoever asked for the export, with the same
/// credential; the last one that was taken may be taken again. Follow `Link`, or `Strongroom-Next` with
/// the number of the next part; the part without them is the last and ends the job. Each is decided on
/// and put on record by itself, and none is made of a job that was stopped.
#[utoipa::path(get, path = "/jobs/{job}/parts/{part}", operation_id = "take_export_part",
    tag = "jobs",
    responses((status = 200, description = "The part.",
        content((String = "application/x-ndjson"), (String = "text/csv")))))]
async fn take(
    TenantCaller(caller): TenantCaller,
    JobPath(job): JobPath,
    PartPath(number): PartPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = exports::take(&caller.vault, &caller.ctx, job, number).await?;
    let part = &answer.value;
    let (bytes, media_type) = match part.format {
        ExportFormat::Ndjson => (write_lines(&part.page.records.items), "application/x-ndjson"),
        ExportFormat::Csv => {
            let with_names = part.number == 1;
            (write_csv(&part.page, with_names), "text/csv; charset=utf-8; header=present")
        }
    };
    let of_next = |next: u32| {
        let tenant = caller.ctx.tenant();
        (format!("/v1/tenants/{tenant}/jobs/{job}/parts/{next}"), next.to_string())
    };
    Ok(Reply::part(&answer, part.next.map(of_next), bytes, media_type))
}
