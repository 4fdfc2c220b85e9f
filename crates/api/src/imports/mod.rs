//! Imports as jobs over HTTP: asked for, sent in parts, started; their rejects.

mod part;
mod wire;

use axum::response::IntoResponse;
use strongroom_vault::{Answer, imports};

use crate::extract::{
    Body, JobPath, MustRepeatHeader, Page, PageQuery, PartPath, PartQuery, PartRead, Sent,
    TenantCaller,
};
use crate::jobs::wire::Job;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Routes, routes};
use wire::{NewImportJob, StartImport, UploadedPart};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(begin))
        .routes(routes!(upload))
        .routes(routes!(start))
        .routes(routes!(rejects))
}

/// Import a file
///
/// Gives a job that waits for the parts of a CSV or NDJSON file. `docs/import.md` has the members of a
/// mapping.
#[utoipa::path(post, path = "/imports", operation_id = "begin_import", tag = "jobs",
    params(MustRepeatHeader), request_body = NewImportJob,
    responses((status = 202, description = "The job waits for parts.", body = Job)))]
async fn begin(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewImportJob>,
) -> Result<impl IntoResponse, Problem> {
    let idempotency = sent.must_repeat()?;
    let wanted = sent.value.of(idempotency)?;
    let answer = imports::begin(&caller.vault, &caller.ctx, wanted).await?;
    let location = format!("/v1/tenants/{}/jobs/{}", caller.ctx.tenant(), answer.value.id);
    Ok(Reply::json(&Job::from(&answer.value)).accepted().location(location).lines_of(&answer))
}

/// Send a part of a file
///
/// Parts have numbers from 1 and come in any order; the same part again changes nothing. A file is cut
/// between rows, and each part of a CSV file begins with the line of names. What cannot be read is
/// among the job's rejects.
#[utoipa::path(put, path = "/jobs/{job}/parts/{part}", operation_id = "upload_import_part",
    tag = "jobs", params(PartQuery),
    request_body(content((String = "text/csv"), (String = "application/x-ndjson"))),
    responses((status = 200, description = "It is there.", body = UploadedPart)))]
async fn upload(
    TenantCaller(caller): TenantCaller,
    JobPath(job): JobPath,
    PartPath(number): PartPath,
    part: PartRead,
) -> Result<impl IntoResponse, Problem> {
    let sent =
        imports::PartSent { job, part: number, first_line: part.first_line, body: &part.bytes };
    let (vault, ctx) = (&caller.vault, &caller.ctx);
    let answer = match imports::prepare(vault, ctx, &sent).await? {
        imports::Prepared::Known(answer) => answer,
        imports::Prepared::Needed(mapping) => {
            let read = part::read(&mapping, &part)?;
            imports::upload(vault, ctx, &sent, read.rows, read.rejected).await?
        }
    };
    Ok(Reply::json(&UploadedPart::from(&answer.value)).lines_of(&answer))
}

/// Start an import whose parts are there
#[utoipa::path(post, path = "/jobs/{job}/start", operation_id = "start_import", tag = "jobs",
    request_body = StartImport,
    responses((status = 200, description = "It is started.", body = Job)))]
async fn start(
    TenantCaller(caller): TenantCaller,
    JobPath(job): JobPath,
    Body(wanted): Body<StartImport>,
) -> Result<impl IntoResponse, Problem> {
    let answer = imports::start(&caller.vault, &caller.ctx, job, wanted.parts).await?;
    Ok(Reply::json(&Job::from(&answer.value)).lines_of(&answer))
}

/// List the rejects of an import
///
/// As NDJSON, one row of the file a line, in the order of the file: where it is and why it became no
/// record, never what it holds. At most 100,000 are kept.
#[utoipa::path(get, path = "/jobs/{job}/rejects", operation_id = "list_import_rejects",
    tag = "jobs", params(PageQuery),
    responses((status = 200, description = "A page of them.",
        content((String = "application/x-ndjson")))))]
async fn rejects(
    TenantCaller(caller): TenantCaller,
    JobPath(job): JobPath,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let Answer { value, lines } =
        imports::rejects(&caller.vault, &caller.ctx, job, page.wanted.clone()).await?;
    let bytes = wire::write_rejects(&value.items);
    Ok(Reply::lines(&Answer { value, lines }, &page, bytes))
}
