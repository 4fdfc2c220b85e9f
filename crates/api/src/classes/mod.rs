//! Permission classes over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::classes;

use crate::extract::{
    Body, ClassPath, IfMatch, IfMatchHeader, Page, PageQuery, RepeatHeader, Sent, TenantCaller,
};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{Class, ClassReplacement, ClassTemplate, NewClass};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(create, list))
        .routes(routes!(show, replace, remove))
        .routes(routes!(templates))
}

/// Make a permission class
///
/// From a template, or from terms of its own, none wider than the caller's own classes.
#[utoipa::path(post, path = "/classes", operation_id = "create_class", tag = "classes",
    params(RepeatHeader), request_body = NewClass,
    responses((status = 201, description = "It was made.", body = Class)))]
async fn create(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewClass>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = sent.value.wanted(sent.repeat)?;
    let answer = classes::create(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::one::<Class, _>(&answer).created())
}

/// List permission classes
#[utoipa::path(get, path = "/classes", operation_id = "list_classes", tag = "classes",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Class>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = classes::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Class, _>(&answer, &page))
}

/// Show a permission class
#[utoipa::path(get, path = "/classes/{class}", operation_id = "show_class", tag = "classes",
    responses((status = 200, description = "It was found.", body = Class)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    ClassPath(name): ClassPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = classes::show(&caller.vault, &caller.ctx, &name).await?;
    Ok(Reply::one::<Class, _>(&answer))
}

/// Replace what a permission class allows
///
/// It is answered when no request that was let in before can use what was taken away.
#[utoipa::path(put, path = "/classes/{class}", operation_id = "replace_class", tag = "classes",
    params(IfMatchHeader), request_body = ClassReplacement,
    responses((status = 200, description = "It was replaced.", body = Class)))]
async fn replace(
    TenantCaller(caller): TenantCaller,
    ClassPath(name): ClassPath,
    IfMatch(expected): IfMatch,
    Body(replacement): Body<ClassReplacement>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = replacement.of(name, expected);
    let answer = classes::replace(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::one::<Class, _>(&answer))
}

/// Remove a permission class that nobody has
#[utoipa::path(delete, path = "/classes/{class}", operation_id = "remove_class", tag = "classes",
    params(IfMatchHeader), responses((status = 204, description = "It is gone.")))]
async fn remove(
    TenantCaller(caller): TenantCaller,
    ClassPath(name): ClassPath,
    IfMatch(expected): IfMatch,
) -> Result<impl IntoResponse, Problem> {
    let answer = classes::remove(&caller.vault, &caller.ctx, &name, expected).await?;
    Ok(Reply::empty().lines_of(&answer))
}

/// List the templates of permission classes
///
/// They are part of the server: one set for tenants, one for the provider.
#[utoipa::path(get, path = "/class-templates", operation_id = "list_class_templates",
    tag = "classes",
    responses((status = 200, description = "All of them.", body = ListOf<ClassTemplate>)))]
async fn templates(TenantCaller(caller): TenantCaller) -> impl IntoResponse {
    let templates =
        if caller.ctx.is_provider() { classes::PROVIDER_TEMPLATES } else { classes::TEMPLATES };
    Reply::json(&ListOf::whole(templates.iter().map(ClassTemplate::from)))
}
