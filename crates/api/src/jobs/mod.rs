//! Jobs over HTTP: watched, and stopped.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::jobs;

use crate::extract::{JobPath, Page, PageQuery, TenantCaller};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{Job, JobItem};

/// Under a tenant or the provider.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(list)).routes(routes!(show)).routes(routes!(cancel))
}

/// Under the provider alone.
pub(crate) fn routes_of_provider() -> Routes {
    Routes::default().routes(routes!(items))
}

/// List jobs
///
/// Operators see the provider's. In a tenant, holders of `manage_settings` see all of them, and
/// everybody else those that they have asked for; a page of these may have fewer than the limit, and
/// others after it.
#[utoipa::path(get, path = "/jobs", operation_id = "list_jobs", tag = "jobs", params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<Job>)))]
async fn list(
    TenantCaller(caller): TenantCaller,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = jobs::list(&caller.vault, &caller.ctx, page.wanted.clone()).await?;
    Ok(Reply::list::<Job, _>(&answer, &page))
}

/// Show a job
#[utoipa::path(get, path = "/jobs/{job}", operation_id = "show_job", tag = "jobs",
    responses((status = 200, description = "It was found.", body = Job)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    JobPath(job): JobPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = jobs::show(&caller.vault, &caller.ctx, job).await?;
    Ok(Reply::json(&Job::from(&answer.value)).lines_of(&answer))
}

/// List the items of a job
///
/// What became of each tenant; those that had nothing to do are left out.
#[utoipa::path(get, path = "/jobs/{job}/items", operation_id = "list_job_items", tag = "jobs",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<JobItem>)))]
async fn items(
    TenantCaller(caller): TenantCaller,
    JobPath(job): JobPath,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let answer = jobs::items(&caller.vault, &caller.ctx, job, page.wanted.clone()).await?;
    Ok(Reply::list::<JobItem, _>(&answer, &page))
}

/// Stop a job
///
/// What it has done stays. Once it is answered nothing more is done.
#[utoipa::path(post, path = "/jobs/{job}/cancel", operation_id = "cancel_job", tag = "jobs",
    responses((status = 200, description = "It is stopped.", body = Job)))]
async fn cancel(
    TenantCaller(caller): TenantCaller,
    JobPath(job): JobPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = jobs::cancel(&caller.vault, &caller.ctx, job).await?;
    Ok(Reply::json(&Job::from(&answer.value)).lines_of(&answer))
}
