//! Admissions over HTTP: a tenant's own view of the backends that it lets in.

mod wire;

use axum::response::IntoResponse;
use strongroom_vault::admissions;

use crate::extract::{BackendPath, Body, IfMatch, IfMatchHeader, Page, PageQuery, TenantCaller};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{Admission, AdmissionBounds};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(list)).routes(routes!(show, admit, revoke))
}

/// List the backends that the tenant admits
///
/// Also those whose admission has ended or been revoked.
#[utoipa::path(get, path = "/backends", operation_id = "list_admissions", tag = "admissions",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Admission>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = admissions::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Admission, _>(&answer, &page))
}

/// Show how far the tenant admits a backend
#[utoipa::path(get, path = "/backends/{backend}", operation_id = "show_admission",
    tag = "admissions",
    responses((status = 200, description = "It was found.", body = Admission)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    BackendPath(backend): BackendPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = admissions::show(&caller.vault, &caller.ctx, backend).await?;
    Ok(Reply::one::<Admission, _>(&answer))
}

/// Admit a backend, or change how far it may go
///
/// What takes rights away is answered when no request that was let in before can use them. A first
/// admission needs no `If-Match`, a change does.
#[utoipa::path(put, path = "/backends/{backend}", operation_id = "put_admission",
    tag = "admissions", params(IfMatchHeader), request_body = AdmissionBounds,
    responses((status = 200, description = "It is admitted.", body = Admission)))]
async fn admit(
    TenantCaller(caller): TenantCaller,
    BackendPath(backend): BackendPath,
    IfMatch(expected): IfMatch,
    Body(bounds): Body<AdmissionBounds>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = admissions::AdmitBackend { backend, expected, bounds: bounds.into() };
    let answer = admissions::admit(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::one::<Admission, _>(&answer))
}

/// Revoke the admission of a backend
///
/// It is answered when no request that was let in before can go on; the next one finds nothing.
#[utoipa::path(delete, path = "/backends/{backend}", operation_id = "revoke_admission",
    tag = "admissions", responses((status = 204, description = "It is revoked.")))]
async fn revoke(
    TenantCaller(caller): TenantCaller,
    BackendPath(backend): BackendPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = admissions::revoke(&caller.vault, &caller.ctx, backend).await?;
    Ok(Reply::empty().lines_of(&answer))
}
