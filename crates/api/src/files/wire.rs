//! What is known of a file, as the API says it.

use serde::Serialize;
use strongroom_model::{FileDescription, FileName};
use utoipa::ToSchema;

use crate::reply::hexadecimal;

/// What is known of a file beside its bytes.
#[derive(Serialize, ToSchema)]
pub(crate) struct FileShown<'a> {
    /// How many bytes it has.
    size: u64,
    /// What it is said to be: its `Content-Type`.
    r#type: &'a str,
    /// What it is called, where that was said.
    name: Option<&'a str>,
    /// SHA-256 of its bytes, in hexadecimal.
    sha256: String,
}

impl<'a> From<&'a FileDescription> for FileShown<'a> {
    fn from(description: &'a FileDescription) -> Self {
        Self {
            size: description.size,
            r#type: description.media_type.as_str(),
            name: description.name.as_ref().map(FileName::as_str),
            sha256: hexadecimal(&description.sha256),
        }
    }
}

/// `Content-Disposition`: always an attachment, so that no browser shows what somebody has uploaded as a page
/// of this server; with the file's name as RFC 8187 writes it, if it has one.
pub(super) fn disposition(name: Option<&FileName>) -> String {
    let mut text = "attachment".to_owned();
    let Some(name) = name else { return text };
    text.push_str("; filename*=UTF-8''");
    for byte in name.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hexadecimal(&[byte]).to_ascii_uppercase());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_a_header_as_it_is_or_percent_encoded() {
        assert_eq!(disposition(None), "attachment");
        for (name, shown) in
            [("a-b_1.png", "a-b_1.png"), ("a \"b\".é", "a%20%22b%22.%C3%A9"), ("%;'", "%25%3B%27")]
        {
            let name: FileName = name.parse().unwrap();
            assert_eq!(disposition(Some(&name)), format!("attachment; filename*=UTF-8''{shown}"));
        }
    }
}
