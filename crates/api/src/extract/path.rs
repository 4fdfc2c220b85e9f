//! Names and ids in paths: what is none names nothing, so the answer is that of absence.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use strongroom_model::{
    BackendId, BlueprintName, ClassName, CollectionName, ErasureId, FieldName, JobId, KeyId,
    ReceiptId, RecordId, SubjectId, TenantId, UserId,
};

use super::headers::percent_decoded;
use crate::door::Notes;
use crate::problem::Problem;

macro_rules! path {
    ($(#[$doc:meta])* $name:ident, $parameter:literal, $of:ty) => {
        $(#[$doc])*
        pub(crate) struct $name(pub(crate) $of);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                parameter(parts, $parameter)?.map(Self).ok_or_else(Problem::not_found)
            }
        }
    };
}

path!(/** The tenant in the path. */ TenantPath, "tenant", TenantId);
path!(/** The user in the path. */ UserPath, "user", UserId);
path!(/** The API key in the path. */ ApiKeyPath, "key", KeyId);
path!(/** The backend in the path. */ BackendPath, "backend", BackendId);
path!(/** The blueprint in the path, by its name. */ BlueprintPath, "blueprint", BlueprintName);
path!(/** The number of a version in the path. */ VersionPath, "version", u32);
path!(/** The job in the path. */ JobPath, "job", JobId);
path!(/** The number of a part in the path. */ PartPath, "part", u32);
path!(/** The permission class in the path, by its name. */ ClassPath, "class", ClassName);
path!(/** The collection in the path, by its name. */ CollectionPath, "collection", CollectionName);
path!(/** The record in the path. */ RecordPath, "record", RecordId);
path!(/** The field in the path, by its name. */ FieldPath, "field", FieldName);
path!(/** The subject in the path. */ SubjectPath, "subject", SubjectId);
path!(/** The erasure in the path. */ ErasurePath, "erasure", ErasureId);
path!(/** The receipt in the path. */ ReceiptPath, "receipt", ReceiptId);

/// A parameter of the path; `None` if the path has no such parameter.
///
/// # Errors
/// 404 if it is not what it should be.
pub(crate) fn parameter<T: FromStr>(parts: &Parts, name: &str) -> Result<Option<T>, Problem> {
    let Some(notes) = parts.extensions.get::<Arc<Notes>>() else { return Ok(None) };
    in_path(notes, parts.uri.path(), name)
}

/// The same, where the notes are not yet with the request.
///
/// # Errors
/// As for [`parameter`].
pub(crate) fn in_path<T: FromStr>(
    notes: &Notes,
    path: &str,
    name: &str,
) -> Result<Option<T>, Problem> {
    let Some(template) = notes.route.get() else { return Ok(None) };
    // The path has matched the template, so they have the same number of segments.
    let segments = template.split('/').zip(path.split('/'));
    let is_named = |place: &str| {
        place.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|n| n == name)
    };
    let found = segments.into_iter().find(|(place, _)| is_named(place));
    found.map(|(_, text)| parse(text).ok_or_else(Problem::not_found)).transpose()
}

/// What stands in a segment, which may be percent-encoded; nothing for what is not UTF-8.
fn parse<T: FromStr>(text: &str) -> Option<T> {
    if text.contains('%') {
        percent_decoded(text)?.expose().parse().ok()
    } else {
        text.parse().ok()
    }
}
