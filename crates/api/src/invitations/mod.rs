//! Invitations over HTTP.

pub(crate) mod wire;

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use strongroom_vault::invitations;

use crate::extract::Body;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Api, Routes, routes};
use wire::{Redeemed, Redemption};

/// Under `/v1`.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(redeem))
}

/// Redeem an invitation
///
/// It can be redeemed once; its user is then signed in.
#[utoipa::path(post, path = "/invitations/redeem", operation_id = "redeem_invitation",
    tag = "invitations", request_body = Redemption,
    responses((status = 201, description = "The user is signed in.", body = Redeemed<'_>)))]
async fn redeem(
    State(api): State<Arc<Api>>,
    Body(redemption): Body<Redemption>,
) -> Result<impl IntoResponse, Problem> {
    let answer = invitations::redeem(&api.vault, redemption.token()).await?;
    Ok(Reply::json(&Redeemed::from(&answer.value)).created().lines_of(&answer))
}
