//! Blueprints over HTTP: stored in versions, compared, applied.

mod wire;

use axum::response::IntoResponse;
use strongroom_vault::blueprints;

use crate::extract::{
    BlueprintPath, Body, Page, PageQuery, RepeatHeader, Sent, TenantCaller, VersionPath,
};
use crate::jobs::wire::Job;
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{
    Application, Blueprint, BlueprintDiff, BlueprintVersion, NewBlueprint, StoredBlueprint,
    VersionSummary,
};

/// Under the provider.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(list))
        .routes(routes!(put, show))
        .routes(routes!(versions))
        .routes(routes!(show_version))
        .routes(routes!(diff))
        .routes(routes!(apply))
}

/// Store a version of a blueprint
///
/// It becomes the newest one; the same content again is the version that it was, and nothing happens.
/// Tenants get it when it is applied.
#[utoipa::path(put, path = "/blueprints/{blueprint}", operation_id = "put_blueprint",
    tag = "blueprints", request_body = NewBlueprint,
    responses((status = 200, description = "It was there already.", body = StoredBlueprint),
        (status = 201, description = "It is a new version.", body = StoredBlueprint)))]
async fn put(
    TenantCaller(caller): TenantCaller,
    BlueprintPath(name): BlueprintPath,
    Body(content): Body<NewBlueprint>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = content.of(name);
    let answer = blueprints::put(&caller.vault, &caller.ctx, wanted).await?;
    let reply = Reply::json(&StoredBlueprint::from(&answer.value)).lines_of(&answer);
    Ok(if answer.value.new { reply.created() } else { reply })
}

/// List blueprints
#[utoipa::path(get, path = "/blueprints", operation_id = "list_blueprints", tag = "blueprints",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Blueprint>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = blueprints::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Blueprint, _>(&answer, &page))
}

/// Show a blueprint
///
/// With the number of tenants at each of its versions.
#[utoipa::path(get, path = "/blueprints/{blueprint}", operation_id = "show_blueprint",
    tag = "blueprints",
    responses((status = 200, description = "It was found.", body = Blueprint)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    BlueprintPath(name): BlueprintPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = blueprints::show(&caller.vault, &caller.ctx, &name).await?;
    Ok(Reply::json(&Blueprint::from(&answer.value)).lines_of(&answer))
}

/// List the versions of a blueprint
///
/// The first one first, without what they hold.
#[utoipa::path(get, path = "/blueprints/{blueprint}/versions",
    operation_id = "list_blueprint_versions", tag = "blueprints", params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<VersionSummary>)))]
async fn versions(
    TenantCaller(caller): TenantCaller,
    BlueprintPath(name): BlueprintPath,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let wanted = page.wanted.clone();
    let answer = blueprints::versions(&caller.vault, &caller.ctx, &name, wanted).await?;
    Ok(Reply::list::<VersionSummary, _>(&answer, &page))
}

/// Show a version of a blueprint
///
/// What it holds, in the order in which it is kept and with every default filled in.
#[utoipa::path(get, path = "/blueprints/{blueprint}/versions/{version}",
    operation_id = "show_blueprint_version", tag = "blueprints",
    responses((status = 200, description = "It was found.", body = BlueprintVersion)))]
async fn show_version(
    TenantCaller(caller): TenantCaller,
    BlueprintPath(name): BlueprintPath,
    VersionPath(version): VersionPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = blueprints::show_version(&caller.vault, &caller.ctx, &name, version).await?;
    Ok(Reply::json(&BlueprintVersion::from(&answer.value)).lines_of(&answer))
}

/// Compare with the newest version
///
/// Says what storing this would change, or what is wrong with it, and changes nothing.
#[utoipa::path(post, path = "/blueprints/{blueprint}/diff", operation_id = "diff_blueprint",
    tag = "blueprints", request_body = NewBlueprint,
    responses((status = 200, description = "The differences.", body = BlueprintDiff)))]
async fn diff(
    TenantCaller(caller): TenantCaller,
    BlueprintPath(name): BlueprintPath,
    Body(content): Body<NewBlueprint>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = content.of(name);
    let answer = blueprints::compare(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::json(&BlueprintDiff::from(&answer.value)).lines_of(&answer))
}

/// Apply a version of a blueprint
///
/// A job gives it to every tenant that has an earlier version, or to those that are named. What a
/// tenant has edited itself is kept, and named among the job's items.
#[utoipa::path(post, path = "/blueprints/{blueprint}/apply", operation_id = "apply_blueprint",
    tag = "blueprints", params(RepeatHeader), request_body = Application,
    responses((status = 202, description = "A job does it.", body = Job)))]
async fn apply(
    TenantCaller(caller): TenantCaller,
    BlueprintPath(name): BlueprintPath,
    sent: Sent<Application>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = blueprints::ApplyToTenants {
        name,
        version: sent.value.version,
        tenants: sent.value.tenants,
        idempotency: sent.repeat,
    };
    let answer = blueprints::apply(&caller.vault, &caller.ctx, wanted).await?;
    let location = format!("/v1/provider/jobs/{}", answer.value.id);
    Ok(Reply::json(&Job::from(&answer.value)).accepted().location(location).lines_of(&answer))
}
