//! The routes: every noun's, under a tenant or the provider, with the document that describes them.

use std::sync::Arc;

use axum::extract::State;
use axum::handler::Handler;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use strongroom_vault::Vault;
use tokio::sync::Semaphore;
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::limits::Rates;
use crate::places::Places;
use crate::rates::RateLimits;
use crate::table::{Answering, Serve, Table};
use crate::unlocker::Unlocker;
use crate::{
    admissions, api_keys, archives, audit, backends, blueprints, classes, collections, erasures,
    exports, files, imports, invitations, jobs, openapi, receipts, records, recovery, sessions,
    subjects, system, tenants, users, whoami,
};

/// What handlers share.
pub(crate) struct Api {
    /// The vault.
    pub(crate) vault: Arc<Vault>,
    /// What turns a passphrase or key into loaded keys.
    pub(crate) unlocker: Arc<dyn Unlocker>,
    /// One attempt to unlock at a time: hashing a passphrase takes much memory.
    pub(crate) unlocking: Semaphore,
    /// Who makes archives now.
    pub(crate) places: Arc<Places>,
    /// Who sends files now.
    pub(crate) uploads: Arc<Places>,
    /// What counts requests, if they are counted.
    pub(crate) rates: Option<Arc<RateLimits>>,
    /// The OpenAPI document.
    document: Bytes,
}

/// Routes with their description.
#[derive(Default)]
pub(crate) struct Routes {
    /// What is described of them.
    pub(crate) described: OpenApi,
    routes: Vec<Route>,
}

/// One method of one path, and who serves it.
pub(crate) struct Route {
    /// The method.
    pub(crate) method: Method,
    /// The path's template.
    pub(crate) path: String,
    /// The handler.
    pub(crate) serve: Serve,
}

/// Handlers that [`utoipa::path`] describes. Handler and description are registered in one step, so
/// that they cannot drift.
macro_rules! routes {
    ($($handler:ident),+) => {
        $crate::routes::Routes::default()
            $(.with(utoipa_axum::routes!($handler), $handler))+
    };
}
pub(crate) use routes;

impl Routes {
    /// Adds a handler, with what is described of it.
    pub(crate) fn with<T, H>(
        mut self,
        (schemas, paths, _): UtoipaMethodRouter<Arc<Api>>,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Api>, Future = Answering> + Sync,
    {
        let serve: Serve = Arc::new(move |request, api| handler.clone().call(request, api));
        for (path, item) in &paths.paths {
            let route = |method| Route { method, path: path.clone(), serve: serve.clone() };
            self.routes.extend(methods(item).map(route));
        }
        self.described.paths.merge(paths);
        self.described.components.get_or_insert_default().schemas.extend(schemas);
        self
    }

    /// Adds routes.
    pub(crate) fn routes(mut self, others: Self) -> Self {
        self.described.merge(others.described);
        self.routes.extend(others.routes);
        self
    }

    /// Adds routes, with this before their paths.
    fn nest(mut self, prefix: &str, others: Self) -> Self {
        self.described = self.described.nest(prefix, others.described);
        let nested = others.routes.into_iter();
        let nested = nested.map(|route| Route { path: format!("{prefix}{}", route.path), ..route });
        self.routes.extend(nested);
        self
    }
}

fn methods(item: &PathItem) -> impl Iterator<Item = Method> {
    let operations = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    operations.into_iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| method)
}

/// Every route.
pub(crate) fn all() -> Routes {
    let of_both = || {
        Routes::default()
            .routes(users::routes())
            .routes(sessions::routes())
            .routes(api_keys::routes())
            .routes(classes::routes())
            .routes(audit::routes())
            .routes(jobs::routes())
    };
    let of_tenants = of_both()
        .routes(collections::routes())
        .routes(records::routes())
        .routes(files::routes())
        .routes(archives::routes())
        .routes(subjects::routes())
        .routes(erasures::routes())
        .routes(receipts::routes())
        .routes(admissions::routes())
        .routes(recovery::routes())
        .routes(imports::routes())
        .routes(exports::routes())
        .routes(users::routes_of_tenants());
    let of_provider = of_both()
        .routes(backends::routes())
        .routes(blueprints::routes())
        .routes(jobs::routes_of_provider());
    let version_1 = Routes::default()
        .routes(system::routes())
        .routes(invitations::routes())
        .routes(whoami::routes())
        .routes(tenants::routes())
        .nest("/tenants/{tenant}", of_tenants)
        .nest("/provider", of_provider);
    routes!(show_document).nest("/v1", version_1)
}

/// The table of routes over a vault.
pub(crate) fn table(
    vault: Arc<Vault>,
    unlocker: Arc<dyn Unlocker>,
    rates: Option<Rates>,
) -> Arc<Table> {
    let Routes { described, routes } = all();
    let document = openapi::finish(described);
    let gates = openapi::gates_of(&document);
    // A document of text and numbers can always be written.
    let document = serde_json::to_vec(&document).map(Bytes::from).unwrap_or_default();
    let rates = rates.map(|rates| Arc::new(RateLimits::new(rates)));
    let unlocking = Semaphore::new(1);
    let (places, uploads) = (Arc::default(), Arc::default());
    let api = Arc::new(Api { vault, unlocker, unlocking, places, uploads, rates, document });
    Arc::new(Table::new(routes, gates, api))
}

/// Describe the API
///
/// This document (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", operation_id = "describe_api", tag = "system",
    responses((status = 200, description = "The document.", body = serde_json::Value)))]
async fn show_document(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.document.clone())
}
