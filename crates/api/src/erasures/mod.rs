//! Erasures over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::erasures;

use crate::extract::{ErasurePath, Page, PageQuery, RepeatHeader, Sent, TenantCaller};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{Erasure, ErasureRequest, Preview};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(request, list)).routes(routes!(show))
}

/// Erase a record, a person, a collection or the tenant's data
///
/// Access is closed at once; then the keys are destroyed. `Idempotency-Key` is required unless it
/// is a dry run.
#[utoipa::path(post, path = "/erasures", operation_id = "request_erasure", tag = "erasures",
    params(RepeatHeader), request_body = ErasureRequest,
    responses(
        (status = 200, description = "A dry run: what would be erased.", body = Preview),
        (status = 201, description = "It is asked for; `state` says how far it is.",
            body = Erasure)))]
async fn request(
    TenantCaller(caller): TenantCaller,
    sent: Sent<ErasureRequest>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = ErasureRequest::wanted(sent)?;
    let answer = erasures::request(&caller.vault, &caller.ctx, wanted).await?;
    Ok(match &answer.value {
        erasures::Requested::Preview(preview) => Reply::json(&Preview::from(preview)),
        erasures::Requested::Erasure(view) => {
            let tenant = caller.ctx.tenant();
            let location = format!("/v1/tenants/{tenant}/erasures/{}", view.erasure.id);
            Reply::json(&Erasure::from(view)).created().location(location)
        }
    }
    .lines_of(&answer))
}

/// List erasures
#[utoipa::path(get, path = "/erasures", operation_id = "list_erasures", tag = "erasures",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Erasure>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = erasures::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Erasure, _>(&answer, &page))
}

/// Show an erasure
#[utoipa::path(get, path = "/erasures/{erasure}", operation_id = "show_erasure",
    tag = "erasures",
    responses((status = 200, description = "It was found.", body = Erasure)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    ErasurePath(erasure): ErasurePath,
) -> Result<impl IntoResponse, Problem> {
    let answer = erasures::show(&caller.vault, &caller.ctx, erasure).await?;
    Ok(Reply::json(&Erasure::from(&answer.value)).lines_of(&answer))
}
