//! Files: what is known of one beside its bytes, and where its key and its bytes are.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::clear_value::Member;
use crate::{ClearValue, FieldNumber, FileId, Malformed, Plaintext};

/// Most bytes of a file's name.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Most bytes of a file's media type: two names of 63 characters (RFC 6838, 4.2, recommends no more).
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;
/// The media type of a file of which none was said (RFC 2046, 4.5.1).
pub const ANY_MEDIA_TYPE: &str = "application/octet-stream";

/// What is known of a file beside its bytes: the value of a field of type `file`. It is client data,
/// as the bytes are.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct FileDescription {
    /// How many bytes it has.
    #[n(0)]
    pub size: u64,
    /// SHA-256 of its bytes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub sha256: [u8; 32],
    /// What it is said to be.
    #[n(2)]
    pub media_type: MediaType,
    /// What it is called, where that was said.
    #[n(3)]
    pub name: Option<FileName>,
}

/// Where a file's key and its bytes are. Subject, leaf and epoch are those of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct FilePlace {
    /// The field that holds it.
    #[n(0)]
    pub field: FieldNumber,
    /// The file; its bytes lie under this id.
    #[n(1)]
    pub file: FileId,
    /// Its number under the subject's seed.
    #[n(2)]
    pub number: u32,
}

/// A media type as it was said: `type/subtype`, with parameters if any. It is not looked into.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct MediaType(#[cbor(n(0), with = "wiping_text")] Zeroizing<String>);

/// A file's name: text without control characters and without `/` and `\`.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct FileName(#[cbor(n(0), with = "wiping_text")] Zeroizing<String>);

impl FileDescription {
    /// The bytes to be sealed.
    ///
    /// # Errors
    /// [`Malformed`] if it cannot be encoded, which does not happen.
    pub fn store(&self) -> Result<Plaintext<Vec<u8>>, Malformed> {
        let bytes = minicbor::to_vec(self).map_err(|_| Malformed("not a file's description"))?;
        Ok(Plaintext::new(bytes))
    }

    /// Gives back what these stored bytes describe.
    ///
    /// # Errors
    /// [`Malformed`] if they are not a file's description.
    pub fn load(stored: &[u8]) -> Result<Self, Malformed> {
        minicbor::decode(stored).map_err(|_| Malformed("not a file's description"))
    }

    /// The description as a record shows it.
    pub fn shown(&self) -> ClearValue {
        let size = ClearValue::Integer(i64::try_from(self.size).unwrap_or(i64::MAX));
        let text = |text: &str| ClearValue::Text(text.to_owned());
        let mut hash = String::with_capacity(2 * self.sha256.len());
        for byte in self.sha256 {
            // Writing to a string does not fail.
            let _ = write!(hash, "{byte:02x}");
        }
        let name = self.name.as_ref().map_or(ClearValue::Null, |name| text(name.as_str()));
        let members = [
            ("size", size),
            ("type", text(self.media_type.as_str())),
            ("name", name),
            ("sha256", ClearValue::Text(hash)),
        ];
        let member = |(name, value): (&str, ClearValue)| Member { name: name.to_owned(), value };
        ClearValue::Object(members.into_iter().map(member).collect())
    }
}

impl MediaType {
    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for MediaType {
    fn default() -> Self {
        Self(Zeroizing::new(ANY_MEDIA_TYPE.to_owned()))
    }
}

impl std::str::FromStr for MediaType {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_token = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let named = essence.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
        let fits = text.len() <= MEDIA_TYPE_BYTES_MAX
            && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if named && fits {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(Malformed("a media type is `type/subtype`, in at most 127 ASCII characters"))
        }
    }
}

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for FileName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let strange = |c: char| c.is_control() || c == '/' || c == '\\';
        let fits = (1..=FILE_NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(strange);
        if fits && text != "." && text != ".." {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(Malformed(
                "a file's name has 1 to 255 bytes of UTF-8 and no control characters, `/` or `\\`",
            ))
        }
    }
}

/// Text that is wiped when it is dropped, in CBOR.
mod wiping_text {
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{self, Encoder, Write};
    use zeroize::Zeroizing;

    pub(super) fn encode<C, W: Write>(
        text: &Zeroizing<String>,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        to.str(text)?.ok()
    }

    pub(super) fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<Zeroizing<String>, Error> {
        from.str().map(|text| Zeroizing::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_comes_back_and_is_shown_with_its_hash() {
        let description = FileDescription {
            size: 5_000_000_000,
            sha256: [0xab; 32],
            media_type: "image/jpeg".parse().unwrap(),
            name: Some("hôtel.jpg".parse().unwrap()),
        };
        let stored = description.store().unwrap();
        assert!(FileDescription::load(stored.expose()).unwrap() == description);
        assert!(FileDescription::load(&stored.expose()[..20]).is_err());
        let mut json = Vec::new();
        description.shown().write_json(&mut json);
        let expected = format!(
            r#"{{"size":5000000000,"type":"image/jpeg","name":"hôtel.jpg","sha256":"{}"}}"#,
            "ab".repeat(32)
        );
        assert_eq!(String::from_utf8(json).unwrap(), expected);
    }

    #[test]
    fn only_a_type_and_a_subtype_are_a_media_type() {
        for good in ["image/jpeg", "text/plain; charset=utf-8", "application/vnd.a.b+json"] {
            assert_eq!(good.parse::<MediaType>().unwrap().as_str(), good);
        }
        let long = format!("a/{}", "b".repeat(126));
        for wrong in ["", "image", "image/", "/jpeg", "a b/c", "a/b\r\nX: y", "a/é", &long] {
            assert!(wrong.parse::<MediaType>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_s_name_leads_to_no_folder() {
        for good in ["a", "Röntgen 12.png", "..a", &"n".repeat(255)] {
            assert_eq!(good.parse::<FileName>().unwrap().as_str(), good);
        }
        for wrong in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0", &"n".repeat(256)] {
            assert!(wrong.parse::<FileName>().is_err(), "{wrong:?}");
        }
    }
}
