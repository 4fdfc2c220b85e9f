//! Sessions over HTTP.

use axum::response::IntoResponse;
use strongroom_vault::sessions;

use crate::extract::TenantCaller;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Routes, routes};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(end_current))
}

/// End the session of the caller
#[utoipa::path(delete, path = "/sessions/current", operation_id = "end_session", tag = "sessions",
    responses((status = 204, description = "It has ended.")))]
async fn end_current(TenantCaller(caller): TenantCaller) -> Result<impl IntoResponse, Problem> {
    let answer = sessions::end_current(&caller.vault, &caller.ctx).await?;
    Ok(Reply::empty().lines_of(&answer))
}
