//! Answers: what a use case found or made, as status, headers and bytes.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use strongroom_model::Wiping;
use strongroom_vault::records::{ExportPage, RecordView};
use strongroom_vault::{Answer, LinePlaced, Listed, Versioned};

use crate::extract::{Page, etag};
use crate::wire::{Shown, WriteJson};

/// The header that carries the log's promise: where the lines of this request stand.
pub(crate) const AUDIT_HEADER: HeaderName = HeaderName::from_static("strongroom-audit");

/// The header with the cursor of the next page, where a body has no room for it.
pub(crate) const NEXT_HEADER: HeaderName = HeaderName::from_static("strongroom-next");

/// So many headers an answer has, those included that the door adds.
const HEADERS_USUAL: usize = 12;

/// An answer in the making.
pub(crate) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Option<Wiping<Vec<u8>>>,
    media_type: &'static str,
}

const JSON: &str = "application/json";

impl Reply {
    /// An answer without a body.
    pub(crate) const fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: None, media_type: JSON }
    }

    /// An answer that says this.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::raw(Wiping::new(to_json(value)))
    }

    /// An answer of JSON that was written by hand. It is wiped when it has been handed to the HTTP
    /// library, whose own buffers are not ours to wipe.
    pub(crate) const fn raw(json: Wiping<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Some(json), media_type: JSON }
    }

    /// One thing that was found or made, with its version as ETag and where its lines stand.
    pub(crate) fn one<'a, W, T>(answer: &'a Answer<Versioned<T>>) -> Self
    where
        W: Serialize + From<&'a Versioned<T>>,
    {
        Self::json(&W::from(&answer.value)).version(answer.value.version).lines_of(answer)
    }

    /// A page of a list.
    pub(crate) fn list<'a, W, T>(answer: &'a Answer<Listed<T>>, page: &Page) -> Self
    where
        W: Serialize + From<&'a T>,
    {
        let data: Vec<W> = answer.value.items.iter().map(W::from).collect();
        let next = answer.value.next.as_deref();
        Self::json(&ListOf { data, next: next.map(str::to_owned) })
            .next(page, next)
            .lines_of(answer)
    }

    /// A page of a list whose items are written by hand.
    pub(crate) fn list_by_hand<T: WriteJson>(answer: &Answer<Listed<T>>, page: &Page) -> Self {
        let next = answer.value.next.as_deref();
        Self::raw(crate::wire::write_list(&answer.value.items, next))
            .next(page, next)
            .lines_of(answer)
    }

    /// A page of an export.
    pub(crate) fn export(
        answer: &Answer<ExportPage>,
        page: &Page,
        bytes: Wiping<Vec<u8>>,
        media_type: &'static str,
    ) -> Self {
        let next = answer.value.records.next.as_deref();
        let mut reply = Self { media_type, ..Self::raw(bytes) }.next(page, next).lines_of(answer);
        reply.headers.extend(next.map(|next| (NEXT_HEADER, next.to_owned())));
        reply
    }

    /// A part of an export, with the path and the number of the next one.
    pub(crate) fn part<T>(
        answer: &Answer<T>,
        next: Option<(String, String)>,
        bytes: Wiping<Vec<u8>>,
        media_type: &'static str,
    ) -> Self {
        let mut reply = Self { media_type, ..Self::raw(bytes) }.lines_of(answer);
        if let Some((path, number)) = next {
            reply.headers.push((header::LINK, format!("<{path}>; rel=\"next\"")));
            reply.headers.push((NEXT_HEADER, number));
        }
        reply
    }

    /// A page of a list, one item a line.
    pub(crate) fn lines<T>(
        answer: &Answer<Listed<T>>,
        page: &Page,
        bytes: Wiping<Vec<u8>>,
    ) -> Self {
        let next = answer.value.next.as_deref();
        let media_type = "application/x-ndjson";
        let mut reply = Self { media_type, ..Self::raw(bytes) }.next(page, next).lines_of(answer);
        reply.headers.extend(next.map(|next| (NEXT_HEADER, next.to_owned())));
        reply
    }

    /// A record as its caller sees it.
    pub(crate) fn record<T>(answer: &Answer<T>, record: &RecordView) -> Self {
        Self::raw(crate::wire::write_one(record)).version(record.version).lines_of(answer)
    }

    /// Something was made.
    pub(crate) const fn created(mut self) -> Self {
        self.status = StatusCode::CREATED;
        self
    }

    /// Something was asked for that takes its time.
    pub(crate) const fn accepted(mut self) -> Self {
        self.status = StatusCode::ACCEPTED;
        self
    }

    /// Where what was made can be found.
    pub(crate) fn location(mut self, location: String) -> Self {
        self.headers.push((header::LOCATION, location));
        self
    }

    /// The version of what is answered.
    pub(crate) fn version(mut self, version: u64) -> Self {
        self.headers.push((header::ETAG, etag(version)));
        self
    }

    /// Where the lines of this request stand in the audit log.
    pub(crate) fn lines_of<T>(mut self, answer: &Answer<T>) -> Self {
        if !answer.lines.is_empty() {
            self.headers.push((AUDIT_HEADER, promises(&answer.lines)));
        }
        self
    }

    /// Where the next page is.
    fn next(mut self, page: &Page, cursor: Option<&str>) -> Self {
        if let Some(cursor) = cursor {
            self.headers
                .push((header::LINK, format!("<{}>; rel=\"next\"", page.followed_by(cursor))));
        }
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        *headers = HeaderMap::with_capacity(HEADERS_USUAL);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        if let Some(body) = self.body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
            *response.body_mut() = Body::from(Bytes::from_owner(body));
        }
        response
    }
}

/// A page of a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ListOf<T> {
    /// The items of the page.
    data: Vec<T>,
    /// The cursor of the next page, or null if this is the last.
    next: Option<String>,
}

impl<T> ListOf<T> {
    /// A list that has one page.
    pub(crate) fn whole(items: impl IntoIterator<Item = T>) -> Self {
        Self { data: items.into_iter().collect(), next: None }
    }
}

/// What is answered is always text, numbers and lists of them, which can be written.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The log's promises as the header says them.
pub(crate) fn promises(lines: &[LinePlaced]) -> String {
    let mut promises = String::with_capacity(lines.len() * PROMISE_LENGTH);
    for (place, line) in lines.iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        // Writing to a string does not fail.
        let _ = write!(promises, "{comma}{}.{}.", line.node, line.n);
        write_hexadecimal(&line.tag, &mut promises);
    }
    promises
}

/// What one promise usually takes: two numbers, a tag, and what stands between them.
const PROMISE_LENGTH: usize = 64;

/// Bytes in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    write_hexadecimal(bytes, &mut text);
    text
}

fn write_hexadecimal(bytes: &[u8], text: &mut String) {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

/// A secret that is shown once, with its end.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SecretShown<'a> {
    /// The token. It is shown this once and not kept.
    #[schema(value_type = String)]
    token: Shown<'a>,
    /// When it ends.
    expires_at: strongroom_model::Timestamp,
}

impl<'a> From<&'a strongroom_vault::Secret> for SecretShown<'a> {
    fn from(secret: &'a strongroom_vault::Secret) -> Self {
        Self { token: Shown(&secret.token), expires_at: secret.expires_at }
    }
}
