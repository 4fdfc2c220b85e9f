//! Headers that say something about the request.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use strongroom_model::{NamedUser, Plaintext, Purpose};
use strongroom_vault::Expected;

use crate::limits::{IDEMPOTENCY_KEY_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MIN, REASON_BYTES_MAX};
use crate::problem::Problem;

/// States the purpose for which data is used.
pub(crate) const PURPOSE: &str = "Strongroom-Purpose";
/// States why, for the log's personal part.
pub(crate) const REASON: &str = "Strongroom-Reason";

/// Names a request that may be repeated.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Names the version that a change is made against.
pub(crate) const IF_MATCH: &str = "If-Match";

/// Names the user for whom somebody acts.
pub(crate) const USER: &str = "Strongroom-User";

/// The user for whom a request is to be made: `usr_…`, or `ext:` and the product's own id for them,
/// percent-encoded.
pub(crate) fn user(headers: &HeaderMap) -> Result<Option<NamedUser>, Problem> {
    let Some(text) = once(headers, USER)? else { return Ok(None) };
    let named = match text.strip_prefix("ext:") {
        Some(id) => {
            percent_decoded(id).and_then(|id| id.expose().parse().ok()).map(NamedUser::External)
        }
        None => text.parse().ok().map(NamedUser::Id),
    };
    named.map(Some).ok_or_else(|| {
        Problem::invalid_header(USER, "it is `usr_…`, or `ext:` and a percent-encoded external id")
    })
}

/// The text of a header that may stand once.
pub(crate) fn once<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid_header(name, "it may stand once"));
    }
    value.to_str().map(Some).map_err(|_| Problem::invalid_header(name, "it is not plain ASCII"))
}

/// The purpose that a request states.
pub(crate) fn purpose(headers: &HeaderMap) -> Result<Option<Purpose>, Problem> {
    let Some(text) = once(headers, PURPOSE)? else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|error: strongroom_model::Malformed| Problem::invalid_header(PURPOSE, error.0))
}

/// The reason that a request states: percent-encoded UTF-8.
pub(crate) fn reason(headers: &HeaderMap) -> Result<Option<Plaintext<String>>, Problem> {
    let Some(text) = once(headers, REASON)? else { return Ok(None) };
    let wrong = || {
        Problem::invalid_header(
            REASON,
            "it is percent-encoded UTF-8 of at most 512 bytes, without control characters",
        )
    };
    let reason = percent_decoded(text).ok_or_else(wrong)?;
    let fits = {
        let reason = reason.expose();
        (1..=REASON_BYTES_MAX).contains(&reason.len()) && !reason.chars().any(char::is_control)
    };
    if fits { Ok(Some(reason)) } else { Err(wrong()) }
}

/// What was percent-encoded (RFC 3986, 2.1); nothing for what is broken or no UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<Plaintext<String>> {
    let mut decoded = Plaintext::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        };
        decoded.expose_mut().push(byte);
    }
    std::str::from_utf8(decoded.expose()).ok().map(|text| Plaintext::new(text.to_owned()))
}

/// The key of a request that may be repeated.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = once(headers, IDEMPOTENCY_KEY)? else { return Ok(None) };
    let length_fits =
        (IDEMPOTENCY_KEY_LENGTH_MIN..=IDEMPOTENCY_KEY_LENGTH_MAX).contains(&key.len());
    let letters_fit = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if length_fits && letters_fit {
        Ok(Some(key))
    } else {
        Err(Problem::invalid_header(
            IDEMPOTENCY_KEY,
            "it has 22 to 255 random characters of A-Z, a-z, 0-9, `-` and `_`",
        ))
    }
}

/// The version that a change is made against, as `If-Match` names it.
pub(crate) struct IfMatch(pub(crate) Expected);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wrong = || Problem::invalid_header(IF_MATCH, "it is `*` or one ETag such as `\"v3\"`");
        Ok(Self(match once(&parts.headers, IF_MATCH)? {
            None => Expected::Missing,
            Some("*") => Expected::Any,
            Some(tag) => {
                let version = tag
                    .strip_prefix("\"v")
                    .and_then(|tag| tag.strip_suffix('"'))
                    .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
                Expected::Version(version.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?)
            }
        }))
    }
}

/// As the OpenAPI document shows it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct IfMatchHeader {
    /// The version that the change is made against: its ETag, or `*` for whichever is there. Without
    /// it 428, with another version 412.
    #[param(rename = "If-Match", example = "\"v3\"", required = false)]
    if_match: String,
}

/// As the OpenAPI document shows it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct RepeatHeader {
    /// A random key. The same key with the same body within 24 hours is carried out once; with
    /// another body it is 422.
    #[param(
        rename = "Idempotency-Key",
        min_length = 22,
        max_length = 255,
        pattern = "^[A-Za-z0-9_-]+$",
        required = false
    )]
    idempotency_key: String,
}

/// The same, on routes that do not go without it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct MustRepeatHeader {
    /// A random key. The same key with the same body within 24 hours is carried out once; with
    /// another body it is 422.
    #[param(
        rename = "Idempotency-Key",
        min_length = 22,
        max_length = 255,
        pattern = "^[A-Za-z0-9_-]+$"
    )]
    idempotency_key: String,
}

/// The ETag of a version.
pub(crate) fn etag(version: u64) -> String {
    format!("\"v{version}\"")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};

    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap());
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_reason_is_decoded_and_a_broken_one_is_refused() {
        let read = |text: &str| reason(&headers("strongroom-reason", &[text]));
        assert_eq!(read("Ticket%20%C3%A9").unwrap().unwrap().expose(), "Ticket é");
        for wrong in ["", "%", "%4", "%zz", "%ff", "%0a", "é", &"a".repeat(513)] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_user_is_named_by_one_id_of_theirs_or_not_at_all() {
        let read = |values: &[&str]| user(&headers("strongroom-user", values));
        let id = "usr_01h455vb4pex5vsknk084sn02q";
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[id]).unwrap() == Some(NamedUser::Id(id.parse().unwrap())));
        let external = NamedUser::External("né 47:11".parse().unwrap());
        assert!(read(&["ext:n%C3%A9%2047:11"]).unwrap() == Some(external));
        let long = format!("ext:{}", "a".repeat(257));
        for wrong in ["", "ext:", "ext:%", "ext:%ff", "ext:%0a", "EXT:1", "4711", &long, " ext:1"] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
        assert!(read(&[id, id]).is_err());
        assert!(read(&[&format!("{id}, {id}")]).is_err());
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        let read = |text: &str| idempotency_key(&headers("idempotency-key", &[text])).is_ok();
        assert!(read("AAAAAAAAAAAAAAAAAAAAA-_9"));
        assert!(!read("short"));
        assert!(!read("AAAAAAAAAAAAAAAAAAAAA A"));
        assert!(!read(&"A".repeat(256)));
    }

    #[test]
    fn a_header_that_stands_twice_is_refused() {
        assert!(purpose(&headers("strongroom-purpose", &["billing", "billing"])).is_err());
        assert!(purpose(&headers("strongroom-purpose", &["Billing"])).is_err());
        assert!(purpose(&headers("strongroom-purpose", &["billing"])).unwrap().is_some());
    }

    #[tokio::test]
    async fn only_one_strong_etag_or_a_star_is_a_version() {
        for (text, good) in [
            ("*", true),
            ("\"v3\"", true),
            ("\"v18446744073709551615\"", true),
            ("\"v18446744073709551616\"", false),
            ("W/\"v3\"", false),
            ("v3", false),
            ("\"v+3\"", false),
            ("\"v\"", false),
            ("\"v3\", \"v4\"", false),
        ] {
            let request = Request::builder().header("if-match", text).body(()).unwrap();
            let read = IfMatch::from_request_parts(&mut request.into_parts().0, &()).await;
            assert_eq!(read.is_ok(), good, "{text}");
        }
    }
}
