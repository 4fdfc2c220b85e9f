//! The server itself over HTTP.

mod backups;
pub(crate) mod wire;

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use strongroom_vault::system;

use crate::extract::{Body, Caller};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Api, Routes, routes};
use wire::{Locked, ReceiptKey, Status, Unlocking};

/// Under `/v1`.
pub(crate) fn routes() -> Routes {
    backups::routes()
        .routes(routes!(health))
        .routes(routes!(status))
        .routes(routes!(unlock))
        .routes(routes!(lock))
        .routes(routes!(receipt_key))
}

/// Ask whether the server answers
#[utoipa::path(get, path = "/system/health", operation_id = "health", tag = "system",
    responses((status = 200, description = "It does.", body = String,
        content_type = "text/plain; charset=utf-8")))]
async fn health() -> &'static str {
    "ok\n"
}

/// Show whether the server is locked
#[utoipa::path(get, path = "/system/status", operation_id = "status", tag = "system",
    responses((status = 200, description = "How it stands.", body = Status)))]
async fn status(State(api): State<Arc<Api>>) -> impl IntoResponse {
    Reply::json(&Status::from(system::status(&api.vault)))
}

/// Unlock the server
///
/// One attempt runs at a time.
#[utoipa::path(post, path = "/system/unlock", operation_id = "unlock", tag = "system",
    request_body = Unlocking,
    responses((status = 200, description = "Its keys are loaded.", body = Locked)))]
async fn unlock(
    State(api): State<Arc<Api>>,
    Body(unlocking): Body<Unlocking>,
) -> Result<impl IntoResponse, Problem> {
    let proof = unlocking.proof()?;
    let Ok(_turn) = api.unlocking.try_acquire() else { return Err(Problem::unlocking_already()) };
    api.unlocker.unlock(&api.vault, proof).await?;
    Ok(Reply::json(&Locked { locked: false }))
}

/// Lock the server
///
/// Its keys are dropped when the requests that were let in before have ended.
#[utoipa::path(post, path = "/system/lock", operation_id = "lock", tag = "system",
    responses((status = 200, description = "Its keys are dropped.", body = Locked)))]
async fn lock(caller: Caller) -> Result<impl IntoResponse, Problem> {
    let answer = system::lock(&caller.vault, &caller.ctx).await?;
    Ok(Reply::json(&Locked { locked: true }).lines_of(&answer))
}

/// Show the key with which receipts are verified
#[utoipa::path(get, path = "/system/receipt-key", operation_id = "show_receipt_key",
    tag = "system", responses((status = 200, description = "The key.", body = ReceiptKey)))]
async fn receipt_key(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, Problem> {
    let key = system::receipt_key(&api.vault).await?;
    Ok(Reply::json(&ReceiptKey::from(key)))
}
