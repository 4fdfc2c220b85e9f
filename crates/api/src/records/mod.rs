//! Records over HTTP.

pub(crate) mod batch_wire;
mod batches;
mod export;
pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::{Answer, records};

use crate::extract::{
    Body, CollectionPath, IfMatch, IfMatchHeader, MustRepeatHeader, Page, PageQuery, Projection,
    ProjectionQuery, RecordPath, RepeatHeader, Sent, TenantCaller,
};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{ImportOutcome, NewImport, NewRecord, Record, RecordLookup, RecordPatch};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(create, list))
        .routes(routes!(read, change, delete))
        .routes(routes!(upsert))
        .routes(routes!(look_up))
        .routes(routes!(import))
        .routes(batches::routes())
        .routes(export::routes())
}

/// Create a record
#[utoipa::path(post, path = "/collections/{collection}/records", operation_id = "create_record",
    tag = "records", params(RepeatHeader), request_body = NewRecord,
    responses((status = 201, description = "It was created.", body = Record)))]
async fn create(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    sent: Sent<NewRecord>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = NewRecord::create(sent, collection);
    let answer = records::create(&caller.vault, &caller.ctx, &wanted).await?;
    Ok(Reply::record(&answer, &answer.value).created().location(caller.location(&answer.value)))
}

/// List records
#[utoipa::path(get, path = "/collections/{collection}/records", operation_id = "list_records",
    tag = "records", params(PageQuery, ProjectionQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Record>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    Projection(wanted): Projection,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let wanted = records::ListRecords { collection, wanted, page: page.wanted.clone() };
    let answer = records::list(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::list_by_hand(&answer, &page))
}

/// Read a record
#[utoipa::path(get, path = "/collections/{collection}/records/{record}",
    operation_id = "read_record", tag = "records", params(ProjectionQuery),
    responses((status = 200, description = "It was found.", body = Record)))]
async fn read(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    RecordPath(record): RecordPath,
    Projection(wanted): Projection,
) -> Result<impl IntoResponse, Problem> {
    let wanted = records::ReadRecord { collection, record, wanted };
    let answer = records::read(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::record(&answer, &answer.value))
}

/// Change a record
///
/// A merge patch: fields that are null are taken away, fields that are absent stay.
#[utoipa::path(patch, path = "/collections/{collection}/records/{record}",
    operation_id = "change_record", tag = "records", params(IfMatchHeader),
    request_body = RecordPatch,
    responses((status = 200, description = "It was changed.", body = Record)))]
async fn change(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    RecordPath(record): RecordPath,
    IfMatch(expected): IfMatch,
    Body(patch): Body<RecordPatch>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = patch.of(collection, record, expected);
    let answer = records::change(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::record(&answer, &answer.value))
}

/// Delete a record
///
/// It is hidden at once, and its key dies in the next batch.
#[utoipa::path(delete, path = "/collections/{collection}/records/{record}",
    operation_id = "delete_record", tag = "records", params(IfMatchHeader),
    responses((status = 204, description = "It is hidden.")))]
async fn delete(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    RecordPath(record): RecordPath,
    IfMatch(expected): IfMatch,
) -> Result<impl IntoResponse, Problem> {
    let wanted = records::DeleteRecord { collection, record, expected };
    let answer = records::delete(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::empty().lines_of(&answer))
}

/// Create a record, or change the one that has its external id
#[utoipa::path(put, path = "/collections/{collection}/records:upsert",
    operation_id = "upsert_record", tag = "records", request_body = NewRecord,
    responses(
        (status = 200, description = "It was there and has been changed.", body = Record),
        (status = 201, description = "It was created.", body = Record)))]
async fn upsert(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    sent: Sent<NewRecord>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = NewRecord::create(sent, collection);
    let answer = records::upsert(&caller.vault, &caller.ctx, wanted).await?;
    Ok(match &answer.value {
        records::Upserted::Created(made) => {
            Reply::record(&answer, made).created().location(caller.location(made))
        }
        records::Upserted::Changed(changed) => Reply::record(&answer, changed),
    })
}

/// Read the record with an external id
///
/// The id travels in the body, because it can be personal data.
#[utoipa::path(post, path = "/collections/{collection}/records:lookup",
    operation_id = "look_up_record", tag = "records", params(ProjectionQuery),
    request_body = RecordLookup,
    responses((status = 200, description = "It was found.", body = Record)))]
async fn look_up(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    Projection(wanted): Projection,
    Body(lookup): Body<RecordLookup>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = lookup.of(collection, wanted);
    let answer = records::look_up(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::record(&answer, &answer.value))
}

/// Import records
///
/// Those that can be created are, in one commit. A record whose external id is there already is
/// left as it is.
#[utoipa::path(post, path = "/collections/{collection}/records:import",
    operation_id = "import_records", tag = "records", params(MustRepeatHeader),
    request_body = NewImport,
    responses((status = 200, description = "What became of each item.", body = ImportOutcome)))]
async fn import(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    sent: Sent<NewImport>,
) -> Result<impl IntoResponse, Problem> {
    let idempotency = sent.must_repeat()?;
    caller.count_items(sent.value.count())?;
    let wanted = sent.value.of(collection, idempotency)?;
    let Answer { value, lines } = records::import(&caller.vault, &caller.ctx, wanted).await?;
    let answer = Answer { value: ImportOutcome::from(value), lines };
    Ok(Reply::json(&answer.value).lines_of(&answer))
}
