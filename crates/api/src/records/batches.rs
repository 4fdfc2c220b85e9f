//! Batches of records over HTTP: one result for each item.

use axum::response::IntoResponse;
use strongroom_vault::{Answer, records};

use super::batch_wire::{
    BatchChanges, BatchOfNew, BatchRead, BatchReadOutcome, BatchRemoval, BatchWriteOutcome,
    WriteItems, write_read,
};
use crate::extract::{Body, Caller, CollectionPath, RepeatHeader, Sent, TenantCaller};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Routes, routes};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(batch_get))
        .routes(routes!(batch_create))
        .routes(routes!(batch_patch))
        .routes(routes!(batch_delete))
}

/// Read up to 100 records of any collections
///
/// Each in the view that the caller has of it. What is not there and what the caller may not know about
/// have the same result. A batch counts as its items.
#[utoipa::path(post, path = "/records:batchGet", operation_id = "batch_get_records",
    tag = "records", request_body = BatchRead,
    responses((status = 200, description = "What became of each item.", body = BatchReadOutcome<'_>)))]
async fn batch_get(
    TenantCaller(caller): TenantCaller,
    Body(wanted): Body<BatchRead>,
) -> Result<impl IntoResponse, Problem> {
    count(&caller, wanted.count())?;
    let answer = records::batch_get(&caller.vault, &caller.ctx, wanted.of()?).await?;
    let request = caller.ctx.about().request;
    let Answer { value, lines } = answer;
    let body = write_read(value, request);
    Ok(Reply::raw(body).lines_of(&Answer { value: (), lines }))
}

/// Create up to 100 records
///
/// In one commit: those that can be created, or, if `atomic`, all or none. A batch counts as its items.
#[utoipa::path(post, path = "/collections/{collection}/records:batchCreate",
    operation_id = "batch_create_records", tag = "records", params(RepeatHeader),
    request_body = BatchOfNew,
    responses((status = 200, description = "What became of each item.", body = BatchWriteOutcome<'_>)))]
async fn batch_create(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    sent: Sent<BatchOfNew>,
) -> Result<impl IntoResponse, Problem> {
    count(&caller, sent.value.count())?;
    let wanted = sent.value.of(collection, sent.repeat);
    let answer = records::batch_create(&caller.vault, &caller.ctx, wanted).await?;
    Ok(written(&caller, answer))
}

/// Change up to 100 records
///
/// Each against the version that its item names, in one commit: those that can be changed, or, if
/// `atomic`, all or none. A batch counts as its items.
#[utoipa::path(post, path = "/collections/{collection}/records:batchPatch",
    operation_id = "batch_change_records", tag = "records", params(RepeatHeader),
    request_body = BatchChanges,
    responses((status = 200, description = "What became of each item.", body = BatchWriteOutcome<'_>)))]
async fn batch_patch(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    sent: Sent<BatchChanges>,
) -> Result<impl IntoResponse, Problem> {
    count(&caller, sent.value.count())?;
    let wanted = sent.value.of(collection, sent.repeat)?;
    let answer = records::batch_change(&caller.vault, &caller.ctx, wanted).await?;
    Ok(written(&caller, answer))
}

/// Delete up to 100 records
///
/// They are hidden at once, in one commit, and their keys die in the next batch of erasures: those that
/// can be deleted, or, if `atomic`, all or none. A batch counts as its items.
#[utoipa::path(post, path = "/collections/{collection}/records:batchDelete",
    operation_id = "batch_delete_records", tag = "records", params(RepeatHeader),
    request_body = BatchRemoval,
    responses((status = 200, description = "What became of each item.", body = BatchWriteOutcome<'_>)))]
async fn batch_delete(
    TenantCaller(caller): TenantCaller,
    CollectionPath(collection): CollectionPath,
    sent: Sent<BatchRemoval>,
) -> Result<impl IntoResponse, Problem> {
    count(&caller, sent.value.count())?;
    let wanted = sent.value.of(collection, sent.repeat)?;
    let answer = records::batch_delete(&caller.vault, &caller.ctx, wanted).await?;
    Ok(written(&caller, answer))
}

/// Counts a batch as its items, once it is clear that they are not too many for any batch.
fn count(caller: &Caller, items: usize) -> Result<(), Problem> {
    records::check_count(items)?;
    caller.count_items(items)
}

fn written(caller: &Caller, answer: Answer<records::Outcomes<records::Written>>) -> Reply {
    let Answer { value, lines } = answer;
    let items = WriteItems::from(value);
    let outcome = items.outcome(caller.ctx.about().request);
    Reply::json(&outcome).lines_of(&Answer { value: (), lines })
}
