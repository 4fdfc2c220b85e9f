//! Who the caller is, over HTTP.

use axum::response::IntoResponse;
use serde::Serialize;
use strongroom_model::{ActsAs, ClassId, ClassName, Principal, TenantId, Timestamp, UserId};
use strongroom_vault::Whoami;
use utoipa::ToSchema;

use crate::extract::Caller;
use crate::problem::Problem;
use crate::recovery::wire::RecoveryNotice;
use crate::reply::Reply;
use crate::routes::{Routes, routes};

/// Under `/v1`.
pub(crate) fn routes() -> Routes {
    Routes::default().routes(routes!(whoami))
}

/// Ask who the caller is
#[utoipa::path(get, path = "/whoami", operation_id = "whoami", tag = "whoami",
    responses((status = 200, description = "The caller.", body = Myself)))]
async fn whoami(caller: Caller) -> Result<impl IntoResponse, Problem> {
    let whoami = caller.vault.whoami(&caller.ctx).await?;
    Ok(Reply::json(&Myself::from(&whoami)))
}

/// What a caller is told about itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Whoami)]
pub(crate) struct Myself {
    /// Its tenant; the provider's id for its people and backends.
    #[schema(value_type = String)]
    tenant: TenantId,
    /// What it acts as.
    principal: PrincipalShown,
    /// The user, if it is one or acts for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    user: Option<UserId>,
    /// Its permission classes.
    classes: Vec<HeldClass>,
    /// In whose name it acts.
    acts: ActsAs,
    /// When its credential ends; null for one that does not end by itself.
    expires_at: Option<Timestamp>,
    /// That the recovery of an owner of its tenant is under way; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    recovery: Option<RecoveryNotice>,
}

/// A permission class that somebody has.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeldClass {
    #[schema(value_type = String)]
    id: ClassId,
    /// Its name.
    name: ClassName,
}

/// Somebody who acts.
#[derive(Serialize, ToSchema)]
#[schema(as = Principal)]
pub(crate) struct PrincipalShown {
    /// `user`, `api-key`, `backend`, `operator` (any person of the provider), `job` or `anonymous`.
    kind: &'static str,
    /// Its id, or the name of the job; null for `anonymous`.
    id: Option<String>,
}

impl From<Principal> for PrincipalShown {
    fn from(principal: Principal) -> Self {
        let (kind, id) = match principal {
            Principal::User(id) => ("user", Some(id.to_string())),
            Principal::ApiKey(id) => ("api-key", Some(id.to_string())),
            Principal::Operator(id) => ("operator", Some(id.to_string())),
            Principal::Job(name) => ("job", Some(name.to_string())),
            Principal::Anonymous => ("anonymous", None),
            Principal::Backend(id) => ("backend", Some(id.to_string())),
        };
        Self { kind, id }
    }
}

impl From<&Whoami> for Myself {
    fn from(whoami: &Whoami) -> Self {
        let classes = whoami.classes.iter();
        Self {
            tenant: whoami.tenant,
            principal: whoami.principal.into(),
            user: whoami.user,
            classes: classes.map(|(id, name)| HeldClass { id: *id, name: name.clone() }).collect(),
            acts: whoami.acts,
            expires_at: whoami.expires_at,
            recovery: whoami.recovery.map(Into::into),
        }
    }
}
