//! Archives over HTTP: collections of a tenant as one sealed stream that is never kept.

mod job;
mod stream;
pub(crate) mod wire;

use std::sync::Arc;

use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use strongroom_vault::archives::{self, ArchiveWriter, BeginArchive};

use crate::extract::{Body, TenantCaller};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Api, Routes, routes};
use wire::NewArchive;

/// An age file has no media type of its own.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(archive))
}

/// Take collections out as an archive for some recipients
///
/// One stream, sealed with age for the recipients alone while it is made: `docs/formats/archive.md`. Each
/// page of records is decided on and put on record by itself, as for an export, before anything of it
/// leaves. Where a page is refused, or the server stops, the body breaks off; what broke off does not
/// have its end and is recognised by whoever opens it. While it is made it is among the tenant's jobs,
/// where others see how far it is and stop it. A server makes 16 archives at a time, 4 for one tenant.
#[utoipa::path(post, path = "/records:archive", operation_id = "archive_records", tag = "records",
    request_body = NewArchive,
    responses((status = 200, description = "The archive.",
        content((String = "application/octet-stream")))))]
async fn archive(
    TenantCaller(caller): TenantCaller,
    State(api): State<Arc<Api>>,
    Body(wanted): Body<NewArchive>,
) -> Result<Response, Problem> {
    let (collections, recipients) = wanted.parse()?;
    let place = api.places.take(caller.ctx.tenant()).ok_or_else(Problem::archiving_already)?;
    let writer = ArchiveWriter::begin(&caller.vault, &recipients)?;
    let wanted = BeginArchive { collections };
    let answer = archives::begin(&caller.vault, &caller.ctx, wanted).await?;
    let mut response = Reply::empty().lines_of(&answer).into_response();
    let body = stream::of(caller, place, writer, &answer.value)?;
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    *response.body_mut() = Stream::from_stream(body);
    Ok(response)
}
