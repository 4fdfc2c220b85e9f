//! Why a bucket did not do what was asked, sorted by what its owner does about it.

use std::error::Error;

use object_store::client::HttpError;

/// Longest code of an error that is looked at; S3's own are shorter.
const CODE_LENGTH_MAX: usize = 64;

/// What went wrong. Of what a server answers only the code of its error is kept.
#[derive(Debug, thiserror::Error)]
pub enum BucketProblem {
    /// There is no such object.
    #[error("the object is not there")]
    Missing,
    /// There is no such bucket.
    #[error("there is no such bucket: make it, or name another one")]
    NoBucket,
    /// The access key is not known, or its secret is another one, or it has ended.
    #[error("the credentials are refused (`{0}`): look at the credentials file, and at the clock")]
    Credentials(String),
    /// Whoever the access key belongs to may not do this.
    #[error(
        "the credentials may not do this (`{0}`): let them read, write, list and remove objects"
    )]
    Forbidden(String),
    /// The storage has no room for more.
    #[error("there is no room in the bucket (`{0}`)")]
    Full(String),
    /// Nobody answers in time, or somebody who is not trusted.
    #[error("the bucket's server does not answer: {0}; look at the endpoint and at the network")]
    Unreachable(String),
    /// An object, or a list of them, is longer than was asked for.
    #[error("the object is longer than what was written")]
    TooLong,
    /// It cannot be asked at all.
    #[error("the bucket cannot be asked: {0}")]
    Setup(String),
    /// Anything else.
    #[error("the bucket's server refuses (`{0}`)")]
    Refused(String),
}

impl From<object_store::Error> for BucketProblem {
    fn from(error: object_store::Error) -> Self {
        if let Some(error) = transport(&error) {
            return Self::Unreachable(deepest(error));
        }
        // The library hands on the answer's body as text.
        let text = error.to_string();
        let code = code(&text);
        match (code, &error) {
            (Some("NoSuchKey"), _) | (None, object_store::Error::NotFound { .. }) => Self::Missing,
            (Some("NoSuchBucket"), _) => Self::NoBucket,
            (Some(code), _) if CREDENTIALS.contains(&code) => Self::Credentials(code.to_owned()),
            (Some(code), _) if FULL.contains(&code) => Self::Full(code.to_owned()),
            (code, object_store::Error::Unauthenticated { .. }) => {
                Self::Credentials(code.unwrap_or("401").to_owned())
            }
            (code, object_store::Error::PermissionDenied { .. }) => {
                Self::Forbidden(code.unwrap_or("403").to_owned())
            }
            (Some(code), _) => Self::Refused(code.to_owned()),
            (None, _) => Self::Refused("no code".to_owned()),
        }
    }
}

/// Codes of servers that do not believe the credentials.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const CREDENTIALS: [&str; 9] = [
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];

/// Codes of servers that have no room: AWS has none, others have.
const FULL: [&str; 4] =
    ["InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"];

/// What the network or TLS says, if it is them.
fn transport(error: &object_store::Error) -> Option<&HttpError> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost reason, which is the system's or the TLS library's.
fn deepest(error: &HttpError) -> String {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// The code in an answer's body: `<Code>NoSuchKey</Code>`. It is a word.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_word && (1..=CODE_LENGTH_MAX).contains(&code.len())).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_only_a_word_is_kept() {
        assert_eq!(code("403: <Error><Code>AccessDenied</Code><Key>x</Key>"), Some("AccessDenied"));
        let long = format!("<Code>{}</Code>", "A".repeat(CODE_LENGTH_MAX + 1));
        for text in ["", "AccessDenied", "<Code></Code>", "<Code>a\nb</Code>", "<Code>a", &long] {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
