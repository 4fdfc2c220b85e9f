//! Queries: which page of a list, and which fields of a record.

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use strongroom_model::FieldName;
use strongroom_vault::records;

use crate::limits::{CURSOR_LENGTH_MAX, PAGE_DEFAULT, PAGE_MAX};
use crate::problem::Problem;

/// Which page of a list is wanted.
pub(crate) struct Page {
    /// As the vault takes it.
    pub(crate) wanted: strongroom_vault::Page,
    /// The path and query of the request.
    uri: Uri,
}

impl Page {
    /// Where the next page is: the same request with this cursor.
    pub(crate) fn followed_by(&self, cursor: &str) -> String {
        let kept = self.uri.query().unwrap_or_default().split('&');
        let names_cursor = |member: &str| member.split('=').next() == Some("cursor");
        let kept = kept.filter(|member| !member.is_empty() && !names_cursor(member));
        let mut next = format!("{}?", self.uri.path());
        for member in kept {
            next.push_str(member);
            next.push('&');
        }
        next.push_str("cursor=");
        next.push_str(cursor);
        next
    }
}

/// Which fields of records are wanted, and which of them in the clear.
pub(crate) struct Projection(pub(crate) records::Wanted);

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a line of names.
    Csv,
}

// Members that are not of the route are refused before (`gates.rs`).

/// Which page of a list.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Most items of the page: 1 to 1000, 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 100, required = false)]
    limit: Option<String>,
    /// Where the previous page ended: its `next`. It leads on for 24 hours.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Which fields of records.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProjectionQuery {
    /// The names of the fields that are wanted, with commas between them; absent: all that the
    /// caller may see. What is not asked for is not decrypted.
    #[param(
        nullable = false,
        example = "name,phone",
        pattern = "^[a-z][a-z0-9_]{0,62}(,[a-z][a-z0-9_]{0,62})*$"
    )]
    fields: Option<String>,
    /// The names of revealable fields that are to come in the clear, which is recorded as such.
    #[param(
        nullable = false,
        example = "phone",
        pattern = "^[a-z][a-z0-9_]{0,62}(,[a-z][a-z0-9_]{0,62})*$"
    )]
    reveal: Option<String>,
}

/// How an export is written.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormatQuery {
    /// `ndjson`, one JSON object a line, or `csv`; `ndjson` if absent.
    #[param(nullable = false, pattern = "^(ndjson|csv)$")]
    format: Option<String>,
}

/// Where in its file a part begins.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartQuery {
    /// The line of the file on which the first row of the part begins, so that rejects have the lines
    /// of the file; if absent, they are counted from the beginning of the part.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1_099_511_627_776u64, nullable = false, required = false)]
    first_line: Option<String>,
}

/// The line on which the first row of a part begins, if the request says it.
///
/// # Errors
/// 400 for what is no number of a line.
pub(super) fn first_line(parts: &Parts) -> Result<Option<u64>, Problem> {
    let query: PartQuery = read(parts)?;
    let Some(text) = query.first_line else { return Ok(None) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let line = text.parse().ok().filter(|line| digits && (1..=LINES_MAX).contains(line));
    let wrong = || Problem::invalid_query("`first_line` is a whole number from 1");
    line.map(Some).ok_or_else(wrong)
}

/// The greatest number of a line; the document has it too.
const LINES_MAX: u64 = 1 << 40;

impl<S: Sync> FromRequestParts<S> for Format {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query: FormatQuery = read(parts)?;
        match query.format.as_deref() {
            None | Some("ndjson") => Ok(Self::Ndjson),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(Problem::invalid_query("`format` is `ndjson` or `csv`")),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query: PageQuery = read(parts)?;
        let cursor = query.cursor.filter(|cursor| !cursor.is_empty());
        if cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_LENGTH_MAX) {
            return Err(Problem::invalid_at(
                "/cursor",
                "not a cursor of this list, or an expired one",
            ));
        }
        let limit = query.limit.as_deref().map_or(Ok(PAGE_DEFAULT), limit)?;
        Ok(Self { wanted: strongroom_vault::Page { limit, cursor }, uri: parts.uri.clone() })
    }
}

impl<S: Sync> FromRequestParts<S> for Projection {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query: ProjectionQuery = read(parts)?;
        Ok(Self(records::Wanted {
            fields: query.fields.map(|names| names_of("fields", &names)).transpose()?,
            reveal: query.reveal.map_or(Ok(Vec::new()), |names| names_of("reveal", &names))?,
        }))
    }
}

fn read<T: serde::de::DeserializeOwned>(parts: &Parts) -> Result<T, Problem> {
    // The rejection may repeat what was sent.
    Query::try_from_uri(&parts.uri)
        .map(|Query(query)| query)
        .map_err(|_| Problem::invalid_query("a member of the query cannot be read or stands twice"))
}

fn limit(text: &str) -> Result<usize, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.bytes().all(|byte| byte == b'0') {
        return Err(Problem::invalid_query("`limit` is a whole number from 1"));
    }
    match text.parse() {
        Ok(limit) if limit <= PAGE_MAX => Ok(limit),
        Ok(_) | Err(_) => Err(Problem::limit_too_large()),
    }
}

fn names_of(member: &'static str, names: &str) -> Result<Vec<FieldName>, Problem> {
    let parsed: Result<Vec<FieldName>, _> = names.split(',').map(str::parse).collect();
    parsed.map_err(|_| {
        Problem::invalid_query(format!(
            "`{member}` is a list of field names, with commas between them"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_the_cap_is_an_error_and_not_cut() {
        assert_eq!(limit("1000").unwrap(), 1000);
        assert_eq!(limit("1001").unwrap_err().code(), "limit_too_large");
        assert_eq!(limit("99999999999999999999999").unwrap_err().code(), "limit_too_large");
        for wrong in ["", "0", "00", "-1", "+1", "1.0", "ten"] {
            assert_eq!(limit(wrong).unwrap_err().code(), "invalid_query", "{wrong}");
        }
    }

    #[test]
    fn the_way_to_the_next_page_names_its_cursor_once() {
        for (query, next) in [
            ("", "cursor=n"),
            ("limit=1&cursor=m&fields=a", "limit=1&fields=a&cursor=n"),
            ("cursor", "cursor=n"),
            ("cursors=m", "cursors=m&cursor=n"),
        ] {
            let uri = format!("/v1/list?{query}").parse().unwrap();
            let page = Page { wanted: strongroom_vault::Page::default(), uri };
            assert_eq!(page.followed_by("n"), format!("/v1/list?{next}"));
        }
    }
}
