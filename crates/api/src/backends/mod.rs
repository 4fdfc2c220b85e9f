//! Backends over HTTP: the provider's own view of them.

mod wire;

use axum::response::IntoResponse;
use strongroom_vault::backends;

use crate::extract::{BackendPath, Page, PageQuery, RepeatHeader, Sent, TenantCaller};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{Backend, BackendRotation, CreatedBackend, NewBackend};

/// Under the provider.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(create, list))
        .routes(routes!(show, revoke))
        .routes(routes!(rotate))
}

/// Make a backend
///
/// One credential for all tenants that will admit it; none does yet. Its token is in the answer and
/// never shown again.
#[utoipa::path(post, path = "/backends", operation_id = "create_backend", tag = "backends",
    params(RepeatHeader), request_body = NewBackend,
    responses((status = 201, description = "It was made.", body = CreatedBackend<'_>)))]
async fn create(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewBackend>,
) -> Result<impl IntoResponse, Problem> {
    let answer = backends::create(&caller.vault, &caller.ctx, sent.into()).await?;
    Ok(Reply::json(&CreatedBackend::from(&answer.value))
        .created()
        .version(answer.value.backend.version)
        .lines_of(&answer))
}

/// List backends
///
/// Of the tenants that admit a backend only their number is shown.
#[utoipa::path(get, path = "/backends", operation_id = "list_backends", tag = "backends",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Backend>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = backends::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Backend, _>(&answer, &page))
}

/// Show a backend
#[utoipa::path(get, path = "/backends/{backend}", operation_id = "show_backend",
    tag = "backends", responses((status = 200, description = "It was found.", body = Backend)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    BackendPath(backend): BackendPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = backends::show(&caller.vault, &caller.ctx, backend).await?;
    Ok(Reply::one::<Backend, _>(&answer))
}

/// Give a backend a new secret
///
/// The old one ends after the overlap, or at once. It is answered when no request that was let in
/// before can use a secret that has ended.
#[utoipa::path(post, path = "/backends/{backend}/rotation", operation_id = "rotate_backend",
    tag = "backends", params(RepeatHeader), request_body = BackendRotation,
    responses((status = 201, description = "It has a new secret.", body = CreatedBackend<'_>)))]
async fn rotate(
    TenantCaller(caller): TenantCaller,
    BackendPath(backend): BackendPath,
    sent: Sent<BackendRotation>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = backends::RotateBackend {
        backend,
        overlap_seconds: sent.value.overlap_seconds,
        idempotency: sent.repeat,
    };
    let answer = backends::rotate(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::json(&CreatedBackend::from(&answer.value))
        .created()
        .version(answer.value.backend.version)
        .lines_of(&answer))
}

/// Revoke a backend
///
/// At every tenant, and for good. It is answered when no request that was let in before can use it.
#[utoipa::path(delete, path = "/backends/{backend}", operation_id = "revoke_backend",
    tag = "backends", responses((status = 204, description = "It is revoked.")))]
async fn revoke(
    TenantCaller(caller): TenantCaller,
    BackendPath(backend): BackendPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = backends::revoke(&caller.vault, &caller.ctx, backend).await?;
    Ok(Reply::empty().lines_of(&answer))
}
