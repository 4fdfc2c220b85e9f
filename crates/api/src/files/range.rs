//! Which part of a file is asked for (RFC 9110, 13.1.5 and 14).

use std::ops::Range;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, header};

use crate::extract::headers::once;
use crate::problem::Problem;

/// What of a file is asked for.
pub(super) struct Asked {
    /// Whether only what is known of it is wanted, and none of its bytes.
    pub(super) is_head: bool,
    range: Option<Span>,
    /// The tag of the file of which the range is wanted: of another one, all of it.
    of: Option<String>,
}

/// What of a file is served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// The range begins after its end.
    Nothing,
}

/// One range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// From here to the end, or to this last byte.
    From(u64, Option<u64>),
    /// So many bytes before the end.
    Last(u64),
}

impl Asked {
    /// What of a file of this size and tag is served.
    pub(super) fn serve(&self, size: u64, tag: &str) -> Served {
        let is_it = self.of.as_ref().is_none_or(|of| of == tag);
        let Some(span) = self.range.filter(|_| is_it && !self.is_head) else {
            return Served::Whole;
        };
        let range = match span {
            Span::From(first, last) => {
                first..last.map_or(size, |last| last.saturating_add(1)).min(size)
            }
            Span::Last(most) => size.saturating_sub(most)..size,
        };
        if range.is_empty() { Served::Nothing } else { Served::Part(range) }
    }
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self {
            is_head: parts.method == Method::HEAD,
            range: once(&parts.headers, "Range")?.and_then(span),
            of: once(&parts.headers, header::IF_RANGE.as_str())?.map(str::to_owned),
        })
    }
}

/// A range that can be read. One of another unit, several, and what is none are passed over, as the RFC
/// has it: the whole file is served then.
fn span(text: &str) -> Option<Span> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number beyond 64 bits is beyond every file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first, last) {
        ("", last) => number(last).map(Span::Last),
        (first, "") => number(first).map(|first| Span::From(first, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Span::From(first, Some(last)))
        }
    }
}

/// As the OpenAPI document shows them.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its shape is used")]
pub(super) struct RangeHeaders {
    /// One range of bytes; what is none is passed over.
    #[param(rename = "Range", required = false, example = "bytes=1048576-")]
    range: String,
    /// The `ETag` of the file of which the range is wanted. If another file is there now, all of it is
    /// served.
    #[param(rename = "If-Range", required = false)]
    if_range: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(text: &str, size: u64) -> Served {
        Asked { is_head: false, range: span(text), of: None }.serve(size, "\"t\"")
    }

    #[test]
    fn a_range_is_served_as_far_as_the_file_goes() {
        for (text, size, expected) in [
            ("bytes=0-0", 10, Served::Part(0..1)),
            ("bytes=2-5", 10, Served::Part(2..6)),
            ("bytes=2-", 10, Served::Part(2..10)),
            ("bytes=2-99", 10, Served::Part(2..10)),
            ("bytes=-3", 10, Served::Part(7..10)),
            ("bytes=-30", 10, Served::Part(0..10)),
            ("Bytes= 9-9 ", 10, Served::Part(9..10)),
            ("bytes=10-", 10, Served::Nothing),
            ("bytes=10-12", 10, Served::Nothing),
            ("bytes=-0", 10, Served::Nothing),
            ("bytes=0-", 0, Served::Nothing),
            ("bytes=0-18446744073709551615", 10, Served::Part(0..10)),
            ("bytes=99999999999999999999-", 10, Served::Nothing),
        ] {
            assert_eq!(served(text, size), expected, "{text}");
        }
        for passed_over in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=+1-",
            "bytes=a-b",
        ] {
            assert_eq!(served(passed_over, 10), Served::Whole, "{passed_over}");
        }
    }

    #[test]
    fn a_range_of_another_file_or_without_its_bytes_is_the_whole() {
        let ask = |is_head, of: &str| {
            let asked = Asked { is_head, range: span("bytes=1-2"), of: Some(of.to_owned()) };
            asked.serve(10, "\"t\"")
        };
        assert_eq!(ask(false, "\"t\""), Served::Part(1..3));
        assert_eq!(ask(false, "\"u\""), Served::Whole);
        assert_eq!(ask(false, "W/\"t\""), Served::Whole);
        assert_eq!(ask(true, "\"t\""), Served::Whole);
    }
}
