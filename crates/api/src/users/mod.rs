//! Users over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::users;

use crate::extract::{
    Body, IfMatch, IfMatchHeader, Page, PageQuery, RepeatHeader, Sent, TenantCaller, UserPath,
};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply, SecretShown};
use crate::routes::{Routes, routes};
use wire::{InvitedUser, NewUser, User, UserLookup, UserPatch, UserUpsert};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(invite, list))
        .routes(routes!(show, change))
        .routes(routes!(invite_again))
}

/// Under a tenant alone: people of the provider are not looked after by its products.
pub(crate) fn routes_of_tenants() -> Routes {
    Routes::default().routes(routes!(upsert)).routes(routes!(look_up))
}

/// Show the user with an external id
///
/// The id travels in the body, because it can be personal data.
#[utoipa::path(post, path = "/users:lookup", operation_id = "look_up_user", tag = "users",
    request_body = UserLookup,
    responses((status = 200, description = "They were found.", body = User)))]
async fn look_up(
    TenantCaller(caller): TenantCaller,
    Body(named): Body<UserLookup>,
) -> Result<impl IntoResponse, Problem> {
    let answer = users::look_up(&caller.vault, &caller.ctx, &named.external_id).await?;
    Ok(Reply::one::<User, _>(&answer))
}

/// Create the user of an external id, or give the one who has it a name and classes
///
/// One who is created is active at once and looked after by a backend. Where a user stands stays: nobody
/// who is suspended comes back by it.
#[utoipa::path(put, path = "/users:upsert", operation_id = "upsert_user", tag = "users",
    request_body = UserUpsert,
    responses(
        (status = 200, description = "They were there and have been changed.", body = User),
        (status = 201, description = "They were created.", body = User)))]
async fn upsert(
    TenantCaller(caller): TenantCaller,
    Body(sent): Body<UserUpsert>,
) -> Result<impl IntoResponse, Problem> {
    let answer = users::upsert(&caller.vault, &caller.ctx, sent.into()).await?;
    Ok(match &answer.value {
        users::UpsertedUser::Created(user) => {
            Reply::json(&User::from(user)).created().version(user.version).lines_of(&answer)
        }
        users::UpsertedUser::Changed(user) => {
            Reply::json(&User::from(user)).version(user.version).lines_of(&answer)
        }
    })
}

/// Invite a user
///
/// The answer has a one-time invitation for the user, unless a backend looks after them.
#[utoipa::path(post, path = "/users", operation_id = "create_user", tag = "users",
    params(RepeatHeader), request_body = NewUser,
    responses((status = 201, description = "They were invited.", body = InvitedUser<'_>)))]
async fn invite(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewUser>,
) -> Result<impl IntoResponse, Problem> {
    let answer = users::invite(&caller.vault, &caller.ctx, sent.into()).await?;
    Ok(Reply::json(&InvitedUser::from(&answer.value))
        .created()
        .version(answer.value.user.version)
        .lines_of(&answer))
}

/// List users
#[utoipa::path(get, path = "/users", operation_id = "list_users", tag = "users",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<User>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = users::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<User, _>(&answer, &page))
}

/// Show a user
#[utoipa::path(get, path = "/users/{user}", operation_id = "show_user", tag = "users",
    responses((status = 200, description = "They were found.", body = User)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    UserPath(user): UserPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = users::show(&caller.vault, &caller.ctx, user).await?;
    Ok(Reply::one::<User, _>(&answer))
}

/// Change a user
///
/// What takes rights away is answered when no request that was let in before can use them.
#[utoipa::path(patch, path = "/users/{user}", operation_id = "change_user", tag = "users",
    params(IfMatchHeader), request_body = UserPatch,
    responses((status = 200, description = "They were changed.", body = User)))]
async fn change(
    TenantCaller(caller): TenantCaller,
    UserPath(user): UserPath,
    IfMatch(expected): IfMatch,
    Body(patch): Body<UserPatch>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = patch.of(user, expected);
    let answer = users::change(&caller.vault, &caller.ctx, wanted).await?;
    Ok(Reply::one::<User, _>(&answer))
}

/// Invite a user again
///
/// For one who has lost their session, or never came.
#[utoipa::path(post, path = "/users/{user}/invitation", operation_id = "invite_user_again",
    tag = "users",
    responses((status = 201, description = "They were invited.", body = SecretShown<'_>)))]
async fn invite_again(
    TenantCaller(caller): TenantCaller,
    UserPath(user): UserPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = users::invite_again(&caller.vault, &caller.ctx, user).await?;
    Ok(Reply::json(&SecretShown::from(&answer.value)).created().lines_of(&answer))
}
