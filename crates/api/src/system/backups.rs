//! Backups over HTTP: asked for here, watched as jobs of the provider.

use axum::response::IntoResponse;
use serde::Deserialize;
use strongroom_model::BackupPlaceName;
use strongroom_vault::backups;
use utoipa::ToSchema;

use crate::extract::{Caller, FromBody, RepeatHeader, Sent};
use crate::jobs::wire::Job;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::{Routes, routes};

/// Under `/v1`.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(begin))
}

/// Where a backup is to go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBackup {
    /// The place, as the server's configuration calls it.
    #[schema(example = "nightly")]
    place: BackupPlaceName,
}

impl FromBody for NewBackup {}

/// Make a backup
///
/// A job copies the sealed rows of the store to a place that the server's configuration names, while
/// others work. Keys are never copied.
#[utoipa::path(post, path = "/system/backups", operation_id = "begin_backup", tag = "system",
    params(RepeatHeader), request_body = NewBackup,
    responses((status = 202, description = "A job does it.", body = Job)))]
async fn begin(caller: Caller, sent: Sent<NewBackup>) -> Result<impl IntoResponse, Problem> {
    let wanted = backups::BeginBackup { place: sent.value.place, idempotency: sent.repeat };
    let answer = backups::begin(&caller.vault, &caller.ctx, wanted).await?;
    let location = format!("/v1/provider/jobs/{}", answer.value.id);
    Ok(Reply::json(&Job::from(&answer.value)).accepted().location(location).lines_of(&answer))
}
