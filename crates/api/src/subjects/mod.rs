//! Subjects over HTTP.

pub(crate) mod wire;

use axum::response::IntoResponse;
use strongroom_vault::subjects;

use crate::extract::{Body, Page, PageQuery, RepeatHeader, Sent, SubjectPath, TenantCaller};
use crate::problem::Problem;
use crate::reply::{ListOf, Reply};
use crate::routes::{Routes, routes};
use wire::{NewSubject, Subject, SubjectLookup, SubjectRecord};

/// Under a tenant.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .routes(routes!(create))
        .routes(routes!(show))
        .routes(routes!(records))
        .routes(routes!(look_up))
        .routes(routes!(upsert))
}

/// Show the subject with an external id
///
/// The id travels in the body, because it can be personal data.
#[utoipa::path(post, path = "/subjects:lookup", operation_id = "look_up_subject",
    tag = "subjects", request_body = SubjectLookup,
    responses((status = 200, description = "It was found.", body = Subject)))]
async fn look_up(
    TenantCaller(caller): TenantCaller,
    Body(named): Body<SubjectLookup>,
) -> Result<impl IntoResponse, Problem> {
    let answer = subjects::look_up(&caller.vault, &caller.ctx, &named.external_id).await?;
    Ok(Reply::one::<Subject, _>(&answer))
}

/// Make the subject of an external id, or show the one who has it
#[utoipa::path(put, path = "/subjects:upsert", operation_id = "upsert_subject",
    tag = "subjects", request_body = SubjectLookup,
    responses(
        (status = 200, description = "It was there.", body = Subject),
        (status = 201, description = "It was made.", body = Subject)))]
async fn upsert(
    TenantCaller(caller): TenantCaller,
    Body(named): Body<SubjectLookup>,
) -> Result<impl IntoResponse, Problem> {
    let answer = subjects::upsert(&caller.vault, &caller.ctx, named.external_id).await?;
    Ok(match &answer.value {
        subjects::UpsertedSubject::Created(subject) => Reply::json(&Subject::from(subject))
            .created()
            .version(subject.version)
            .lines_of(&answer),
        subjects::UpsertedSubject::Found(subject) => {
            Reply::json(&Subject::from(subject)).version(subject.version).lines_of(&answer)
        }
    })
}

/// Make a subject before there is a record about them
#[utoipa::path(post, path = "/subjects", operation_id = "create_subject", tag = "subjects",
    params(RepeatHeader), request_body = NewSubject,
    responses((status = 201, description = "It was made.", body = Subject)))]
async fn create(
    TenantCaller(caller): TenantCaller,
    sent: Sent<NewSubject>,
) -> Result<impl IntoResponse, Problem> {
    let answer = subjects::create(&caller.vault, &caller.ctx, sent.into()).await?;
    Ok(Reply::one::<Subject, _>(&answer).created())
}

/// Show a subject
#[utoipa::path(get, path = "/subjects/{subject}", operation_id = "show_subject",
    tag = "subjects",
    responses((status = 200, description = "It was found.", body = Subject)))]
async fn show(
    TenantCaller(caller): TenantCaller,
    SubjectPath(subject): SubjectPath,
) -> Result<impl IntoResponse, Problem> {
    let answer = subjects::show(&caller.vault, &caller.ctx, subject).await?;
    Ok(Reply::one::<Subject, _>(&answer))
}

/// List where the records of a subject are
#[utoipa::path(get, path = "/subjects/{subject}/records", operation_id = "list_subject_records",
    tag = "subjects", params(PageQuery),
    responses((status = 200, description = "A page of them.", body = ListOf<SubjectRecord>)))]
async fn records(
    TenantCaller(caller): TenantCaller,
    SubjectPath(subject): SubjectPath,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let wanted = page.wanted.clone();
    let answer = subjects::records(&caller.vault, &caller.ctx, subject, wanted).await?;
    Ok(Reply::list::<SubjectRecord, _>(&answer, &page))
}
