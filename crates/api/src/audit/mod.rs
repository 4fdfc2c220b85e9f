//! The audit log over HTTP.

mod wire;

use axum::response::IntoResponse;
use strongroom_vault::audit;

use crate::extract::{Page, PageQuery, TenantCaller};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::AuditEntry;

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(list))
}

/// List lines of the audit log
///
/// First those of changes, then those of reads, each in the order in which they were written.
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", tag = "audit",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<AuditEntry<'_>>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = audit::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<AuditEntry<'_>, _>(&answer, &page))
}
