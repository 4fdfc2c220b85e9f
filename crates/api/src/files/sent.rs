//! A file as it is sent: its headers, and its body as a stream.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use strongroom_model::{FileName, MediaType};

use crate::body::{LongBody, declared_length};
use crate::extract::headers::{once, percent_decoded};
use crate::extract::is_packed;
use crate::problem::Problem;

/// Says what a file is called.
const FILE_NAME: &str = "Strongroom-File-Name";

/// A file that is sent.
pub(super) struct FileSent {
    pub(super) media_type: MediaType,
    pub(super) name: Option<FileName>,
    /// How many bytes it has, if that is said.
    pub(super) length: Option<u64>,
    /// Whether the client waits for our consent before it sends them.
    pub(super) waits: bool,
    pub(super) body: Body,
}

impl<S: Sync> FromRequest<S> for FileSent {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let headers = &parts.headers;
        if is_packed(headers) {
            return Err(Problem::packed());
        }
        let media_type = media_type(headers)?;
        let name = file_name(headers)?;
        if let Some(long) = parts.extensions.get::<LongBody>() {
            long.allow();
        }
        let length = declared_length(headers);
        let waits = headers.contains_key(header::EXPECT);
        Ok(Self { media_type, name, length, waits, body })
    }
}

/// The media type, as it is kept.
fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let Some(text) = once(headers, "Content-Type")? else { return Ok(MediaType::default()) };
    text.parse().map_err(|_| {
        let detail = "it is `type/subtype`, in at most 127 ASCII characters";
        Problem::invalid_header("Content-Type", detail)
    })
}

/// The name, which is percent-encoded UTF-8.
fn file_name(headers: &HeaderMap) -> Result<Option<FileName>, Problem> {
    let Some(text) = once(headers, FILE_NAME)? else { return Ok(None) };
    let name = percent_decoded(text).and_then(|name| name.expose().parse().ok());
    name.map(Some).ok_or_else(|| {
        Problem::invalid_header(
            FILE_NAME,
            "it is percent-encoded UTF-8 of at most 255 bytes, without control characters, `/` and `\\`",
        )
    })
}

/// As the OpenAPI document shows it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its shape is used")]
pub(super) struct FileNameHeader {
    /// What the file is called: percent-encoded UTF-8 of at most 255 bytes, without control characters,
    /// `/` and `\`. It is sealed with the file.
    #[param(
        rename = "Strongroom-File-Name",
        required = false,
        example = "X-ray%2012.png",
        pattern = "^([!-$&-.0-\\[\\]-~]|%2[0-9A-Ea-e]|%[346][0-9A-Fa-f]|%5[0-9ABDEFabdef]|%7[0-9A-Ea-e]){3,200}$"
    )]
    strongroom_file_name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(name, text.parse().unwrap());
        headers
    }

    #[test]
    fn a_name_is_decoded_and_a_path_is_refused() {
        let read = |text: &str| file_name(&headers("strongroom-file-name", text));
        assert!(file_name(&HeaderMap::new()).unwrap().is_none());
        assert_eq!(read("R%C3%B6ntgen%2012.png").unwrap().unwrap().as_str(), "Röntgen 12.png");
        for wrong in ["", "..", "a%2fb", "a/b", "%5c", "%0a", "%ff", "%", &"a".repeat(256)] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_type_that_is_none_is_refused() {
        let read = |text: &str| media_type(&headers("content-type", text));
        let none = media_type(&HeaderMap::new()).unwrap();
        assert_eq!(none.as_str(), "application/octet-stream");
        assert_eq!(read("image/png").unwrap().as_str(), "image/png");
        for wrong in ["", "png", "a/b/c d"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
