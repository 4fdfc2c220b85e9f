//! From the parts of a request to typed values: what cannot be read is refused here, once.

mod body;
pub(crate) mod caller;
pub(crate) mod headers;
mod path;
mod query;

pub(crate) use body::{Body, FromBody, PartRead, Sent, is_packed};
pub(crate) use caller::{AboutTenant, Caller, TenantCaller};
pub(crate) use headers::{
    IF_MATCH, IfMatch, IfMatchHeader, MustRepeatHeader, PURPOSE, REASON, RepeatHeader, USER, etag,
};
pub(crate) use path::{
    ApiKeyPath, BackendPath, BlueprintPath, ClassPath, CollectionPath, ErasurePath, FieldPath,
    JobPath, PartPath, ReceiptPath, RecordPath, SubjectPath, TenantPath, UserPath, VersionPath,
};
pub(crate) use query::{
    Format, FormatQuery, Page, PageQuery, PartQuery, Projection, ProjectionQuery,
};
