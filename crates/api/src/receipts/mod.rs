//! Receipts over HTTP.

mod wire;

use axum::response::IntoResponse;
use strongroom_vault::erasures;

use crate::extract::{ReceiptPath, TenantCaller};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Routes, routes};
use wire::Receipt;

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(show))
}

/// Show a receipt
#[utoipa::path(get, path = "/receipts/{receipt}", operation_id = "show_receipt",
    tag = "receipts",
    responses((status = 200, description = "It was found.", body = Receipt)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    ReceiptPath(receipt): ReceiptPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = erasures::receipt(&caller.vault, &caller.ctx, receipt).await?;
    Ok(Reply::json(&Receipt::from(&answer.value)).lines_of(&answer))
}
