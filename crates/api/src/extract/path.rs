//! Names and ids in paths: what is none names nothing, so the answer is that of absence.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use strongroom_model::{
    ClassName, CollectionName, ErasureId, KeyId, ReceiptId, RecordId, SubjectId, TenantId, UserId,
};

use crate::problem::Problem;

macro_rules! path {
    ($(#[$doc:meta])* $name:ident, $parameter:literal, $of:ty) => {
        $(#[$doc])*
        pub(crate) struct $name(pub(crate) $of);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                parameter(parts, state, $parameter).await?.map(Self).ok_or_else(Problem::not_found)
            }
        }
    };
}

path!(/** The tenant in the path. */ TenantPath, "tenant", TenantId);
path!(/** The user in the path. */ UserPath, "user", UserId);
path!(/** The API key in the path. */ ApiKeyPath, "key", KeyId);
path!(/** The permission class in the path, by its name. */ ClassPath, "class", ClassName);
path!(/** The collection in the path, by its name. */ CollectionPath, "collection", CollectionName);
path!(/** The record in the path. */ RecordPath, "record", RecordId);
path!(/** The subject in the path. */ SubjectPath, "subject", SubjectId);
path!(/** The erasure in the path. */ ErasurePath, "erasure", ErasureId);
path!(/** The receipt in the path. */ ReceiptPath, "receipt", ReceiptId);

/// A parameter of the path; `None` if the path has no such parameter.
///
/// # Errors
/// 404 if it is not what it should be.
pub(crate) async fn parameter<T: FromStr, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<Option<T>, Problem> {
    // A path that is not UTF-8 names nothing; one without parameters has none.
    let Ok(parameters) = RawPathParams::from_request_parts(parts, state).await else {
        return if parts
            .extensions
            .get::<axum::extract::MatchedPath>()
            .is_some_and(|path| path.as_str().contains('{'))
        {
            Err(Problem::not_found())
        } else {
            Ok(None)
        };
    };
    let found = parameters.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| text.parse().map_err(|_| Problem::not_found())).transpose()
}
