//! The listener for whoever runs the server: whether it lives, whether it is ready, and what it
//! counts. It has no data and no way to change anything.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use strongroom_vault::{Vault, system};
use tokio::sync::watch;

use crate::connection::Stop;
use crate::metrics::{MEDIA_TYPE, Metrics, StoreCounts};
use crate::problem::Problem;

/// How long the store may take to show that it is there.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// What is looked at.
#[async_trait]
pub(crate) trait Inspected: Send + Sync + 'static {
    /// Whether the keys are not loaded.
    fn locked(&self) -> bool;

    /// Whether the store answers.
    async fn reachable(&self) -> bool;

    /// How much the store has done.
    fn store(&self) -> StoreCounts;
}

#[async_trait]
impl Inspected for Vault {
    fn locked(&self) -> bool {
        system::status(self).locked
    }

    async fn reachable(&self) -> bool {
        match system::reach_store(self).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the store does not answer");
                false
            }
        }
    }

    fn store(&self) -> StoreCounts {
        let work = system::store_work(self);
        StoreCounts {
            commit_groups: work.commit_groups,
            append_groups: work.append_groups,
            syncs: work.syncs,
        }
    }
}

/// What the handlers share.
struct Admin {
    inspected: Arc<dyn Inspected>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<Stop>,
}

/// The routes of the listener.
pub(crate) fn router(
    inspected: Arc<dyn Inspected>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<Stop>,
) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .route("/metrics", get(show_metrics))
        .fallback(async || Problem::not_found())
        .with_state(Arc::new(Admin { inspected, metrics, stopping }))
}

/// It answers, so it lives; a store that is away is no reason to begin anew.
async fn live() -> &'static str {
    "ok\n"
}

/// This listener is opened when the API's has been.
async fn started() -> &'static str {
    "ok\n"
}

async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    let refuse = |why| (StatusCode::SERVICE_UNAVAILABLE, why);
    if *admin.stopping.borrow() != Stop::No {
        return refuse("stopping\n");
    }
    if admin.inspected.locked() {
        return refuse("locked\n");
    }
    match tokio::time::timeout(STORE_PATIENCE, admin.inspected.reachable()).await {
        Ok(true) => (StatusCode::OK, "ok\n"),
        Ok(false) | Err(_) => refuse("the store does not answer\n"),
    }
}

async fn show_metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let text = admin.metrics.text(admin.inspected.locked(), admin.inspected.store());
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], text)
}
