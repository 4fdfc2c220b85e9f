//! Recovery of a lost owner over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::{recovery, tenants};

use crate::extract::{AboutTenant, IfMatch, IfMatchHeader, RepeatHeader, Sent};
use crate::problem::Problem;
use crate::reply::{Reply, SecretShown};
use crate::routes::{Routes, routes};
use wire::{NewRecovery, Recovery, RecoveryRedemption, RedeemedRecovery};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(start, show, stop))
        .routes(routes!(approve))
        .routes(routes!(redeem))
        .routes(routes!(invite_owner))
}

/// Ask for the recovery of a tenant's owner
///
/// For an operator who has signed in, not for keys. Nothing happens before another operator has
/// approved it; everybody of the tenant is told.
#[utoipa::path(post, path = "/recovery", operation_id = "start_recovery", tag = "recovery",
    params(RepeatHeader), request_body = NewRecovery,
    responses((status = 201, description = "It was asked for.", body = Recovery)))]
async fn start(about: AboutTenant, sent: Sent<NewRecovery>) -> Result<impl IntoResponse, Problem> {
    let AboutTenant { caller, tenant } = about;
    let wanted =
        recovery::StartRecovery { tenant, reason: sent.value.reason, idempotency: sent.repeat };
    let answer = recovery::start(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::one::<Recovery, _>(&answer).created())
}

/// Show the last recovery of a tenant's owner
///
/// For operators, and for those of the tenant who may manage users.
#[utoipa::path(get, path = "/recovery", operation_id = "show_recovery", tag = "recovery",
    responses((status = 200, description = "There is one.", body = Recovery)))]
async fn show(about: AboutTenant) -> Result<impl IntoResponse, Problem> {
    let AboutTenant { caller, tenant } = about;
    let answer = recovery::show(&caller.vault, &caller.ctx, tenant).await?;
    Ok(Reply::one::<Recovery, _>(&answer))
}

/// Stop the recovery of a tenant's owner
///
/// For those of the tenant who may manage users, and for operators; until the new owner has come in. One who
/// was invited is removed.
#[utoipa::path(delete, path = "/recovery", operation_id = "stop_recovery", tag = "recovery",
    responses((status = 204, description = "It is stopped.")))]
async fn stop(about: AboutTenant) -> Result<impl IntoResponse, Problem> {
    let AboutTenant { caller, tenant } = about;
    let answer = recovery::stop(&caller.vault, &caller.ctx, tenant).await?;
    Ok(Reply::empty().lines_of(&answer))
}

/// Approve the recovery of a tenant's owner
///
/// For an operator other than the one who asked for it, who has signed in. The 72 hours begin.
#[utoipa::path(post, path = "/recovery/approval", operation_id = "approve_recovery",
    tag = "recovery", params(IfMatchHeader),
    responses((status = 200, description = "It is approved.", body = Recovery)))]
async fn approve(
    about: AboutTenant,
    IfMatch(expected): IfMatch,
) -> Result<impl IntoResponse, Problem> {
    let AboutTenant { caller, tenant } = about;
    let answer = recovery::approve(&caller.vault, &caller.ctx, tenant, expected).await?;
    Ok(Reply::one::<Recovery, _>(&answer))
}

/// Invite the new owner
///
/// For one of the two operators, when the 72 hours are over. The answer has the one invitation; those
/// who are owners keep what they have.
#[utoipa::path(post, path = "/recovery/redemption", operation_id = "redeem_recovery",
    tag = "recovery", params(RepeatHeader), request_body = RecoveryRedemption,
    responses((status = 201, description = "They are invited.", body = RedeemedRecovery<'_>)))]
async fn redeem(
    about: AboutTenant,
    sent: Sent<RecoveryRedemption>,
) -> Result<impl IntoResponse, Problem> {
    let AboutTenant { caller, tenant } = about;
    let wanted = recovery::RedeemRecovery {
        tenant,
        owner: sent.value.owner.into(),
        idempotency: sent.repeat,
    };
    let answer = recovery::redeem(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::json(&RedeemedRecovery::from(&answer.value))
        .created()
        .version(answer.value.recovery.version)
        .lines_of(&answer))
}

/// Invite the first owner of a tenant again
///
/// For operators, where nobody has come in yet. The invitation that was made before ends.
#[utoipa::path(post, path = "/owner-invitation", operation_id = "invite_owner_again",
    tag = "tenants",
    responses((status = 201, description = "They are invited.", body = SecretShown<'_>)))]
async fn invite_owner(about: AboutTenant) -> Result<impl IntoResponse, Problem> {
    let AboutTenant { caller, tenant } = about;
    let answer = tenants::invite_owner(&caller.vault, &caller.ctx, tenant).await?;
    Ok(Reply::json(&SecretShown::from(&answer.value)).created().lines_of(&answer))
}
