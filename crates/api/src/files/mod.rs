//! Files over HTTP: sent and taken in one stream each, never whole in memory.

mod range;
mod sent;
mod stream;
mod wire;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use strongroom_vault::{Answer, files};

use crate::body;
use crate::extract::{CollectionPath, FieldPath, IfMatch, IfMatchHeader, RecordPath, TenantCaller};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Api, Routes, routes};
use range::{Asked, RangeHeaders, Served};
use sent::{FileNameHeader, FileSent};
use wire::FileShown;

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(put, get, remove))
}

/// Write a file
///
/// Any bytes of any size up to the server's bound, 5 GiB unless its settings say otherwise. They are sealed
/// as they come. The record has the file when all of it has come: until then it has the one before, if there
/// was one, and after that the old one is dead. It is a change of the record, which gets its next version. A
/// server takes 16 files at a time, 4 from one tenant, and each within a day.
#[utoipa::path(put, path = "/collections/{collection}/records/{record}/files/{field}",
    operation_id = "write_file", tag = "records", params(IfMatchHeader, FileNameHeader),
    request_body(content((String = "application/octet-stream"))),
    responses(
        (status = 200, description = "It has taken the place of another one.", body = FileShown<'_>),
        (status = 201, description = "It is there.", body = FileShown<'_>)))]
async fn put(
    State(api): State<Arc<Api>>,
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    RecordPath(record): RecordPath,
    FieldPath(field): FieldPath,
    IfMatch(expected): IfMatch,
    sent: FileSent,
) -> Result<impl IntoResponse, Problem> {
    let FileSent { media_type, name, length, waits, mut body } = sent;
    let (vault, ctx) = (&caller.vault, &caller.ctx);
    let most = vault.largest_file();
    let named = files::NamedFile { collection, record, field };
    let wanted = files::PutFile { named, expected, media_type, name };
    let begun = async {
        if length.is_some_and(|length| length > most) {
            return Err(Problem::file_too_large(most));
        }
        let place = api.uploads.take(ctx.tenant()).ok_or_else(Problem::uploading_already)?;
        Ok((place, files::put(vault, ctx, wanted).await?))
    };
    let (_place, mut upload) = match begun.await {
        Ok(begun) => begun,
        Err(problem) => {
            // Whoever waits for our consent has not begun to send.
            if !waits {
                body::discard(body, body::DISCARDED_MAX).await;
            }
            return Err(problem);
        }
    };
    loop {
        let problem = match body::next(&mut body).await {
            Ok(None) => break,
            Ok(Some(data)) => {
                let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
                if size > most.saturating_sub(upload.size()) {
                    Problem::file_too_large(most)
                } else {
                    match upload.write(&data).await {
                        Ok(()) => continue,
                        Err(error) => error.into(),
                    }
                }
            }
            Err(problem) => problem,
        };
        upload.give_up(vault, ctx).await;
        body::discard(body, body::DISCARDED_MAX).await;
        return Err(problem);
    }
    let answer = upload.finish(vault, ctx).await?;
    let written = &answer.value;
    let reply = Reply::json(&FileShown::from(&written.description));
    let reply = reply.version(written.version).lines_of(&answer);
    Ok(if written.replaced { reply } else { reply.created() })
}

/// Read a file
///
/// Whole, or one range of it (RFC 9110, 14): what broke off is taken up again with `Range`, and with
/// `If-Range` and the `ETag` of the first answer only if it is still the same file. Asking for a file by
/// itself reveals it, where the caller's class may reveal it.
#[utoipa::path(get, path = "/collections/{collection}/records/{record}/files/{field}",
    operation_id = "read_file", tag = "records", params(RangeHeaders),
    responses(
        (status = 200, description = "The file.", content((String = "application/octet-stream"))),
        (status = 206, description = "The range of it.",
            content((String = "application/octet-stream")))))]
async fn get(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    RecordPath(record): RecordPath,
    FieldPath(field): FieldPath,
    asked: Asked,
) -> Result<Response, Problem> {
    let wanted = files::NamedFile { collection, record, field };
    let Answer { value: found, lines } = files::get(&caller.vault, &caller.ctx, wanted).await?;
    let size = found.description.size;
    let etag = format!("\"{}\"", found.file);
    let served = asked.serve(size, &etag);
    let (status, range) = match &served {
        Served::Whole => (StatusCode::OK, 0..size),
        Served::Part(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        Served::Nothing => return Err(Problem::range_not_satisfiable(size, &lines)),
    };
    let answer = Answer { value: (), lines };
    let mut response = Reply::empty().lines_of(&answer).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let length = range.end - range.start;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let mut text = |name, text: String| {
        // What cannot stand in a header was refused when it was written.
        if let Ok(text) = HeaderValue::try_from(text) {
            headers.insert(name, text);
        }
    };
    text(header::ETAG, etag);
    text(header::CONTENT_TYPE, found.description.media_type.as_str().to_owned());
    text(header::CONTENT_DISPOSITION, wire::disposition(found.description.name.as_ref()));
    if let Served::Part(range) = &served {
        let last = range.end.saturating_sub(1);
        text(header::CONTENT_RANGE, format!("bytes {}-{last}/{size}", range.start));
    }
    if !asked.is_head {
        let reader = found.read(&caller.vault, range).await?;
        *response.body_mut() = stream::of(caller, reader);
    }
    Ok(response)
}

/// Remove a file
///
/// It cannot be read any more; its key dies in the next batch, and its bytes are removed after that. It is a
/// change of the record, which gets its next version.
#[utoipa::path(delete, path = "/collections/{collection}/records/{record}/files/{field}",
    operation_id = "remove_file", tag = "records", params(IfMatchHeader),
    responses((status = 204, description = "It is gone.")))]
async fn remove(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    RecordPath(record): RecordPath,
    FieldPath(field): FieldPath,
    IfMatch(expected): IfMatch,
) -> Result<impl IntoResponse, Problem> {
    let named = files::NamedFile { collection, record, field };
    let wanted = files::RemoveFile { named, expected };
    let answer = files::remove(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::empty().version(answer.value).lines_of(&answer))
}
