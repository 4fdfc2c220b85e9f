//! The router: every noun's routes, under a tenant or the provider, with the document that
//! describes them.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use strongroom_vault::Vault;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gates::{self, Gates};
use crate::limits::Rates;
use crate::problem::Problem;
use crate::rates::RateLimits;
use crate::unlocker::Unlocker;
use crate::{
    api_keys, audit, classes, collections, erasures, invitations, openapi, receipts, records,
    sessions, subjects, system, tenants, users, whoami,
};

/// What handlers share.
pub(crate) struct Api {
    /// The vault.
    pub(crate) vault: Arc<Vault>,
    /// What turns a passphrase or key into loaded keys.
    pub(crate) unlocker: Arc<dyn Unlocker>,
    /// One attempt to unlock at a time: hashing a passphrase takes much memory.
    pub(crate) unlocking: Semaphore,
    /// What counts requests, if they are counted.
    pub(crate) rates: Option<Arc<RateLimits>>,
    /// What each route demands.
    pub(crate) gates: Gates,
    /// The OpenAPI document.
    document: Bytes,
}

/// Routes with their description.
pub(crate) type Routes = OpenApiRouter<Arc<Api>>;

/// Every route. Handler and description are registered in one step, so that they cannot drift.
pub(crate) fn all() -> Routes {
    let of_both = || {
        Routes::default()
            .merge(users::routes())
            .merge(sessions::routes())
            .merge(api_keys::routes())
            .merge(classes::routes())
            .merge(audit::routes())
    };
    let of_tenants = of_both()
        .merge(collections::routes())
        .merge(records::routes())
        .merge(subjects::routes())
        .merge(erasures::routes())
        .merge(receipts::routes());
    let version_1 = Routes::default()
        .merge(system::routes())
        .merge(invitations::routes())
        .merge(whoami::routes())
        .merge(tenants::routes())
        .nest("/tenants/{tenant}", of_tenants)
        .nest("/provider", of_both());
    Routes::default().routes(routes!(show_document)).nest("/v1", version_1)
}

/// The router over a vault.
pub(crate) fn router(
    vault: Arc<Vault>,
    unlocker: Arc<dyn Unlocker>,
    rates: Option<Rates>,
) -> Router {
    let (router, described) = all().split_for_parts();
    let document = openapi::finish(described);
    let gates = openapi::gates_of(&document);
    // A document of text and numbers can always be written.
    let document = serde_json::to_vec(&document).map(Bytes::from).unwrap_or_default();
    let rates = rates.map(|rates| Arc::new(RateLimits::new(rates)));
    let unlocking = Semaphore::new(1);
    let api = Arc::new(Api { vault, unlocker, unlocking, rates, gates, document });
    router
        .route_layer(axum::middleware::from_fn_with_state(api.clone(), gates::pass))
        .fallback(nothing)
        .with_state(api)
}

async fn nothing() -> Problem {
    Problem::not_found()
}

/// Describe the API
///
/// This document (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", operation_id = "describe_api", tag = "system",
    responses((status = 200, description = "The document.", body = serde_json::Value)))]
async fn show_document(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.document.clone())
}
