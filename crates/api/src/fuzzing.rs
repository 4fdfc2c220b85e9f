//! Doors to this room's readers for the fuzz targets: bytes in, what was read or the problem out.
//!
//! Nothing else uses them. They call what a request passes, in the order in which it does.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::extract::FromRequestParts;
/// The path and query of a request.
pub use axum::http::Uri;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::BodyExt;
use strongroom_model::{ClearValue, FieldName, Purpose, RequestId};
use strongroom_vault::Expected;

use crate::edge::{HostName, Network, caller_address, is_for};
use crate::extract::caller::bearer_token;
use crate::extract::{FromBody, IfMatch, Page, Projection, headers as readers};
use crate::json;
use crate::problem::Problem;

/// A refusal, as its caller would be answered.
#[derive(Debug)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The stable word.
    pub code: &'static str,
    /// The problem document.
    pub document: Vec<u8>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let code = problem.code();
        let answer = problem.render(RequestId::from_bytes([0; 16]));
        let status = answer.status().as_u16();
        let body = at_once(answer.into_body().collect()).and_then(Result::ok);
        let document = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Self { status, code, document }
    }
}

/// Reads a body as any JSON object.
///
/// # Errors
/// As a request with this body would be refused.
pub fn json(body: &[u8]) -> Result<ClearValue, Refused> {
    json::parse(body).map_err(Into::into)
}

macro_rules! bodies {
    ($($name:literal: $of:ty,)*) => {
        /// What bodies there are, by name.
        pub const BODIES: &[&str] = &[$($name),*];

        /// Reads a body of the kind of this name.
        ///
        /// # Errors
        /// As a request with this body would be refused; `None` if there is no such kind.
        pub fn body(name: &str, bytes: &[u8]) -> Option<Result<(), Refused>> {
            match name {
                $($name => Some(read::<$of>(bytes)),)*
                _ => None,
            }
        }
    };
}

bodies! {
    "api_key": crate::api_keys::wire::NewApiKey,
    "class": crate::classes::wire::NewClass,
    "class_replacement": crate::classes::wire::ClassReplacement,
    "collection": crate::collections::wire::NewCollection,
    "collection_patch": crate::collections::wire::CollectionPatch,
    "erasure": crate::erasures::wire::ErasureRequest,
    "import": crate::records::wire::NewImport,
    "lookup": crate::records::wire::RecordLookup,
    "record": crate::records::wire::NewRecord,
    "record_patch": crate::records::wire::RecordPatch,
    "redemption": crate::invitations::wire::Redemption,
    "subject": crate::subjects::wire::NewSubject,
    "tenant": crate::tenants::wire::NewTenant,
    "unlocking": crate::system::wire::Unlocking,
    "user": crate::users::wire::NewUser,
    "user_patch": crate::users::wire::UserPatch,
    "batch_read": crate::records::batch_wire::BatchRead,
    "batch_of_new": crate::records::batch_wire::BatchOfNew,
    "batch_changes": crate::records::batch_wire::BatchChanges,
    "batch_removal": crate::records::batch_wire::BatchRemoval,
    "archive": crate::archives::wire::NewArchive,
}

fn read<T: FromBody>(bytes: &[u8]) -> Result<(), Refused> {
    json::parse::<T>(bytes).map(drop).map_err(Into::into)
}

/// What a query says of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRead {
    /// Most items.
    pub limit: usize,
    /// Where the previous page ended.
    pub cursor: Option<String>,
    /// Where the page after it is, if its cursor is `next`.
    pub followed: String,
}

/// Reads which page of a list is wanted.
///
/// # Errors
/// As a request for this URI would be refused.
pub fn page(uri: &Uri, next: &str) -> Result<PageRead, Refused> {
    let page: Page = extract(uri, HeaderMap::new())?;
    let followed = page.followed_by(next);
    Ok(PageRead { limit: page.wanted.limit, cursor: page.wanted.cursor, followed })
}

/// Reads which fields are wanted: those of `fields`, and those of `reveal`.
///
/// # Errors
/// As a request for this URI would be refused.
pub fn projection(uri: &Uri) -> Result<(Option<Vec<FieldName>>, Vec<FieldName>), Refused> {
    let Projection(wanted) = extract(uri, HeaderMap::new())?;
    Ok((wanted.fields, wanted.reveal))
}

/// What the headers of a request say.
#[derive(Debug)]
pub struct HeadersRead {
    /// The bearer token, not looked at.
    pub token: Result<String, Refused>,
    /// The purpose.
    pub purpose: Result<Option<Purpose>, Refused>,
    /// The reason, in the clear.
    pub reason: Result<Option<String>, Refused>,
    /// The idempotency key.
    pub idempotency_key: Result<Option<String>, Refused>,
    /// The version that a change is made against.
    pub expected: Result<Expected, Refused>,
    /// The caller's address, behind the proxies.
    pub address: IpAddr,
    /// Whether the request is for one of the hosts.
    pub is_for: bool,
}

/// Reads headers, those that HTTP itself would not take left out.
pub fn headers<'h>(
    lines: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    peer: IpAddr,
    proxies: &[Network],
    hosts: &[HostName],
) -> HeadersRead {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let uri = Uri::from_static("/v1/whoami");
    let expected = extract(&uri, headers.clone()).map(|IfMatch(expected)| expected);
    HeadersRead {
        token: bearer_token(&headers).map(ToOwned::to_owned).map_err(Into::into),
        purpose: readers::purpose(&headers).map_err(Into::into),
        reason: readers::reason(&headers)
            .map(|reason| reason.map(|reason| reason.expose().clone()))
            .map_err(Into::into),
        idempotency_key: readers::idempotency_key(&headers)
            .map(|key| key.map(ToOwned::to_owned))
            .map_err(Into::into),
        expected,
        address: caller_address(peer, proxies, &headers),
        is_for: is_for(hosts, &uri, &headers),
    }
}

fn extract<T>(uri: &Uri, headers: HeaderMap) -> Result<T, Refused>
where
    T: FromRequestParts<(), Rejection = Problem>,
{
    let mut parts = parts(uri);
    parts.headers = headers;
    let extracted = at_once(T::from_request_parts(&mut parts, &()));
    extracted.unwrap_or_else(|| Err(Problem::stopping())).map_err(Into::into)
}

fn parts(uri: &Uri) -> Parts {
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    request.into_parts().0
}

/// What does not wait for anything is there when it is asked for the first time.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
