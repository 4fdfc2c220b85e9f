//! Collections over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::collections;

use crate::extract::{
    Body, CollectionPath, IfMatch, IfMatchHeader, Page, PageQuery, RepeatHeader, Sent, TenantCaller,
};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{Collection, CollectionPatch, NewCollection};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(create, list)).routes(routes!(show, change))
}

/// Declare a collection
#[utoipa::path(post, path = "/collections", operation_id = "create_collection",
    tag = "collections", params(RepeatHeader), request_body = NewCollection,
    responses((status = 201, description = "It was declared.", body = Collection)))]
async fn create(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewCollection>,
) -> Result<impl IntoResponse, Problem> {
    let answer = collections::create(&caller.vault, &caller.ctx, sent.into()).await?;
    Ok(Reply::one::<Collection, _>(&answer).created())
}

/// List collections
#[utoipa::path(get, path = "/collections", operation_id = "list_collections",
    tag = "collections", params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Collection>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = collections::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Collection, _>(&answer, &page))
}

/// Show a collection
#[utoipa::path(get, path = "/collections/{collection}", operation_id = "show_collection",
    tag = "collections",
    responses((status = 200, description = "It was found.", body = Collection)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    CollectionPath(name): CollectionPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = collections::show(&caller.vault, &caller.ctx, &name).await?;
    Ok(Reply::one::<Collection, _>(&answer))
}

/// Change a collection
///
/// Fields are added, relabelled, retired or masked otherwise; a type never changes.
#[utoipa::path(patch, path = "/collections/{collection}", operation_id = "change_collection",
    tag = "collections", params(IfMatchHeader), request_body = CollectionPatch,
    responses((status = 200, description = "It was changed.", body = Collection)))]
async fn change(
    TenantCaller(caller): TenantCaller,
    CollectionPath(name): CollectionPath,
    IfMatch(expected): IfMatch,
    Body(patch): Body<CollectionPatch>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = patch.of(name, expected);
    let answer = collections::change(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::one::<Collection, _>(&answer))
}
