//! The body of a request as a typed value, and the key by which the request is recognised again.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use strongroom_model::Wiping;
use strongroom_tables::Format as TableFormat;
use strongroom_vault::Idempotency;

use super::headers::idempotency_key;
use super::query::first_line;
use crate::limits::{BODY_BYTES_MAX, PART_BYTES_MAX};
use crate::problem::Problem;
use crate::{body, json};

/// What can be the body of a request.
pub(crate) trait FromBody: DeserializeOwned {
    /// Most bytes that it may have.
    const BYTES_MAX: usize = BODY_BYTES_MAX;
}

/// A body that was read.
pub(crate) struct Body<T>(pub(crate) T);

/// A body that was read, and the key with which it was sent.
pub(crate) struct Sent<T> {
    /// The body.
    pub(crate) value: T,
    /// The key, bound to the method, the path and the bytes of the body.
    pub(crate) repeat: Option<Idempotency>,
}

impl<T> Sent<T> {
    /// The key, where a route does not go without.
    ///
    /// # Errors
    /// 400 if there is none.
    pub(crate) fn must_repeat(&self) -> Result<Idempotency, Problem> {
        self.repeat.clone().ok_or_else(Problem::idempotency_key_required)
    }
}

impl<T: FromBody, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Sent::from_request(request, state).await.map(|sent| Self(sent.value))
    }
}

impl<T: FromBody, S: Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, stream) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::not_json());
        }
        if is_packed(&parts.headers) {
            return Err(Problem::packed());
        }
        let key = idempotency_key(&parts.headers)?;
        let bytes = body::read(&parts.headers, stream, T::BYTES_MAX).await?;
        let route = format!("{} {}", parts.method, parts.uri.path());
        let repeat = key.map(|key| Idempotency::new(key, &route, &bytes));
        Ok(Self { value: json::parse(&bytes)?, repeat })
    }
}

/// A part of a file, as it was sent.
pub(crate) struct PartRead {
    /// What it is said to be.
    pub(crate) format: TableFormat,
    /// The line of the file on which its first row begins.
    pub(crate) first_line: u64,
    /// Its bytes.
    pub(crate) bytes: Wiping<Vec<u8>>,
}

impl<S: Sync> FromRequest<S> for PartRead {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, stream) = request.into_parts();
        let format = match media_type(&parts.headers).as_deref() {
            Some("text/csv") => TableFormat::Csv,
            Some("application/x-ndjson") => TableFormat::Ndjson,
            Some(_) | None => return Err(Problem::no_table()),
        };
        if is_packed(&parts.headers) {
            return Err(Problem::packed());
        }
        let usual = match format {
            TableFormat::Csv => 2,
            TableFormat::Ndjson => 1,
        };
        let first_line = first_line(&parts)?.unwrap_or(usual);
        let bytes = body::read(&parts.headers, stream, PART_BYTES_MAX).await?;
        Ok(Self { format, first_line, bytes })
    }
}

/// The type of the body, without its parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Whether the body is declared as packed. Nothing is unpacked here: a small body could become a
/// large one.
pub(crate) fn is_packed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the body is declared as JSON: `application/json`, `application/merge-patch+json` or
/// another type with the suffix, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(media_type) = media_type(headers) else { return false };
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}
