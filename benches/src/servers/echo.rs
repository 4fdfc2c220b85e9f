//! The measure of everything: parse a customer, write it again.

use axum::routing::post;
use axum::{Json, Router};

use crate::customer::Customer;

/// One route.
pub(super) fn router() -> Router {
    Router::new().route("/echo", post(echo))
}

async fn echo(Json(customer): Json<Customer>) -> Json<Customer> {
    Json(customer)
}
