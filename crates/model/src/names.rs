//! Names that people choose, parsed once at the door.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::Malformed;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $parse:ident, $pattern:literal) => {
        $(#[$doc])*
        ///
        /// Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                $parse(text).map(|text| Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self, to: &mut minicbor::Encoder<W>, _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                to.str(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(from: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                from.str().map(|text| Self(text.into()))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some($pattern))
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

name!(
    /// A collection's name in paths and files, such as `customers`.
    CollectionName, handle, "^[a-z][a-z0-9_]{0,62}$");
name!(
    /// A field's name, such as `birth_date`.
    FieldName, handle, "^[a-z][a-z0-9_]{0,62}$");
name!(
    /// A blueprint's name in paths and files, such as `clinic`.
    BlueprintName, handle, "^[a-z][a-z0-9_]{0,62}$");
name!(
    /// The name of a permission class within its tenant, such as `clerk`.
    ClassName, handle, "^[a-z][a-z0-9_]{0,62}$");
name!(
    /// A purpose for which data is used, such as `billing`.
    Purpose, handle, "^[a-z][a-z0-9_]{0,62}$");
name!(
    /// What an API key is called in lists; too narrow to describe a person.
    KeyLabel, handle, "^[a-z][a-z0-9_]{0,62}$");
name!(
    /// What the configuration calls a place where backups go, such as `nightly`.
    BackupPlaceName, handle, "^[a-z][a-z0-9_]{0,62}$");
name!(
    /// A line of text for people: a label, a tenant's or a person's name.
    Label, line, "^[^\\u0000-\\u001f]{1,200}$");
name!(
    /// An id that the SaaS product already has for a record, user or subject.
    ExternalId, external_id, "^[^\\u0000-\\u001f]{1,256}$");
name!(
    /// A term of the W3C Data Privacy Vocabulary, such as `pd:EmailAddress`.
    DpvTerm, dpv_term, "^[a-z][a-z0-9-]{0,30}:[A-Za-z0-9-]{1,100}$");
name!(
    /// An e-mail address in its canonical form: trimmed, NFC, lower case.
    Email, email, "^[^@ ]{1,64}@[^@ ]{1,255}$");

fn handle(text: &str) -> Result<String, Malformed> {
    let mut bytes = text.bytes();
    let starts = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
    let goes_on = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if starts && goes_on && text.len() <= 63 {
        Ok(text.to_owned())
    } else {
        Err(Malformed(
            "a name begins with a lower-case letter and has at most 63 of a-z, 0-9 and `_`",
        ))
    }
}

fn line(text: &str) -> Result<String, Malformed> {
    let text: String = text.trim().nfc().collect();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err(Malformed("a label is one line of 1 to 200 characters"));
    }
    Ok(text)
}

fn external_id(text: &str) -> Result<String, Malformed> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err(Malformed("an external id has 1 to 256 bytes and no control characters"));
    }
    Ok(text.to_owned())
}

fn dpv_term(text: &str) -> Result<String, Malformed> {
    let wrong = Malformed("a term of the Data Privacy Vocabulary looks like `pd:EmailAddress`");
    let (prefix, term) = text.split_once(':').ok_or(wrong)?;
    let prefix_fits = prefix.len() <= 31
        && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && prefix.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let term_fits = (1..=100).contains(&term.len())
        && term.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if prefix_fits && term_fits { Ok(text.to_owned()) } else { Err(wrong) }
}

pub(crate) fn email(text: &str) -> Result<String, Malformed> {
    let wrong = Malformed("an e-mail address looks like `name@example.org`");
    // Once more at the end: small letters compose with marks with which their capitals do not.
    let text: String = text.trim().nfc().flat_map(char::to_lowercase).nfc().collect();
    let (local, domain) = text.rsplit_once('@').ok_or(wrong)?;
    let clean = |part: &str| {
        !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@')
    };
    let fits = clean(local) && clean(domain) && local.len() <= 64 && domain.len() <= 255;
    if fits && !domain.starts_with('.') && !domain.ends_with('.') { Ok(text) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrow() {
        for good in ["a", "customers", "birth_date", "x1"] {
            assert!(good.parse::<FieldName>().is_ok(), "{good}");
        }
        for bad in ["", "A", "1a", "_a", "a-b", "a b", "é", &"a".repeat(64)] {
            assert!(bad.parse::<FieldName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_email_is_one_address_however_it_is_written() {
        assert_eq!("  Ada@Example.ORG ".parse::<Email>(), "ada@example.org".parse());
        let composed = "\u{1e96}@example.org".parse::<Email>().unwrap();
        assert_eq!("H\u{331}@example.org".parse::<Email>().unwrap(), composed);
        for bad in ["", "ada", "@example.org", "ada@", "a b@example.org", "ada@.org", "a@b@c"] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
    }
}
