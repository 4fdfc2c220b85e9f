//! Tenants over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::tenants;

use crate::extract::{Caller, Page, PageQuery, RepeatHeader, Sent, TenantPath};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{CreatedTenant, NewTenant, Tenant};

/// Under `/v1`.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(create, list)).routes(routes!(show))
}

/// Make a tenant
///
/// The answer has a one-time invitation for the tenant's first owner.
#[utoipa::path(post, path = "/tenants", operation_id = "create_tenant", tag = "tenants",
    params(RepeatHeader), request_body = NewTenant,
    responses((status = 201, description = "It was made.", body = CreatedTenant<'_>)))]
async fn create(caller: Caller, sent: Sent<NewTenant>) -> Result<impl IntoResponse, Problem> {
    let answer = tenants::create(&caller.vault, &caller.ctx, sent.into()).await?;
    let location = format!("/v1/tenants/{}", answer.value.tenant.value.id);
    Ok(Reply::json(&CreatedTenant::from(&answer.value))
        .created()
        .location(location)
        .version(answer.value.tenant.version)
        .lines_of(&answer))
}

/// List tenants
#[utoipa::path(get, path = "/tenants", operation_id = "list_tenants", tag = "tenants",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Tenant>)))]
async fn list(caller: Caller, page: Page) -> Result<impl IntoResponse, Problem> {
    let answer = tenants::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Tenant, _>(&answer, &page))
}

/// Show a tenant
#[utoipa::path(get, path = "/tenants/{tenant}", operation_id = "show_tenant", tag = "tenants",
    responses((status = 200, description = "It was found.", body = Tenant)))]
async fn show(
    caller: Caller,
    TenantPath(tenant): TenantPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = tenants::show(&caller.vault, &caller.ctx, tenant).await?;
    Ok(Reply::one::<Tenant, _>(&answer))
}
