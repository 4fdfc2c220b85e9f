//! API keys over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::api_keys;

use crate::extract::{ApiKeyPath, Page, PageQuery, RepeatHeader, Sent, TenantCaller};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{ApiKey, CreatedApiKey, NewApiKey};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(create, list)).routes(routes!(show, revoke))
}

/// Make an API key
///
/// Its token is in the answer and never shown again.
#[utoipa::path(post, path = "/api-keys", operation_id = "create_api_key", tag = "api-keys",
    params(RepeatHeader), request_body = NewApiKey,
    responses((status = 201, description = "It was made.", body = CreatedApiKey<'_>)))]
async fn create(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewApiKey>,
) -> Result<impl IntoResponse, Problem> {
    let answer = api_keys::create(&caller.vault, &caller.ctx, sent.into()).await?;
    Ok(Reply::json(&CreatedApiKey::from(&answer.value))
        .created()
        .version(answer.value.key.version)
        .lines_of(&answer))
}

/// List API keys
#[utoipa::path(get, path = "/api-keys", operation_id = "list_api_keys", tag = "api-keys",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<ApiKey>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = api_keys::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<ApiKey, _>(&answer, &page))
}

/// Show an API key
#[utoipa::path(get, path = "/api-keys/{key}", operation_id = "show_api_key", tag = "api-keys",
    responses((status = 200, description = "It was found.", body = ApiKey)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    ApiKeyPath(key): ApiKeyPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = api_keys::show(&caller.vault, &caller.ctx, key).await?;
    Ok(Reply::one::<ApiKey, _>(&answer))
}

/// Revoke an API key
///
/// It is answered when no request that was let in before can use the key.
#[utoipa::path(delete, path = "/api-keys/{key}", operation_id = "revoke_api_key",
    tag = "api-keys", responses((status = 204, description = "It is revoked.")))]
async fn revoke(
    TenantCaller(caller): TenantCaller,
    ApiKeyPath(key): ApiKeyPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = api_keys::revoke(&caller.vault, &caller.ctx, key).await?;
    Ok(Reply::empty().lines_of(&answer))
}
