//! Client data in the clear: a value that wipes itself, does not print itself and cannot be copied.

use std::fmt;
use std::io::Write as _;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use zeroize::ZeroizeOnDrop;

use crate::Wipe;

/// Something in the clear that wipes itself when dropped.
///
/// It has no `Debug`, `Display`, `Clone`, `PartialEq` or `Serialize`; what leaves it goes through
/// [`Plaintext::expose`], the one word to search for.
pub struct Plaintext<T: Wipe>(T);

impl<T: Wipe> Plaintext<T> {
    /// Takes a value in.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value in the clear.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value in the clear, to be changed in place.
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Wipe> Drop for Plaintext<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

/// A JSON value in the clear, as a caller sent it or is about to receive it.
pub enum ClearValue {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object; its members in the order in which they came, each name once.
    Object(Vec<Member>),
}

/// One member of an object.
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: ClearValue,
}

impl Drop for ClearValue {
    fn drop(&mut self) {
        match self {
            Self::Boolean(value) => value.wipe(),
            Self::Integer(value) => value.wipe(),
            Self::Float(value) => value.wipe(),
            Self::Text(text) => text.wipe(),
            // What is in lists and objects wipes itself next.
            Self::Null | Self::List(_) | Self::Object(_) => {}
        }
    }
}

impl ZeroizeOnDrop for ClearValue {}

impl Drop for Member {
    fn drop(&mut self) {
        // The value wipes itself next.
        self.name.wipe();
    }
}

impl ZeroizeOnDrop for Member {}

impl ClearValue {
    /// The string in it, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::Float(_)
            | Self::List(_)
            | Self::Object(_) => None,
        }
    }

    /// Whether it is `null`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The member of this name, if it is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|member| member.name == name).map(|member| &member.value)
            }
            Self::Null
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::List(_) => None,
        }
    }

    /// Appends the value as JSON (RFC 8259). This is how client data leaves for a caller.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Boolean(true) => out.extend_from_slice(b"true"),
            Self::Boolean(false) => out.extend_from_slice(b"false"),
            // Writing to memory does not fail.
            Self::Integer(number) => drop(write!(out, "{number}")),
            Self::Float(number) if !number.is_finite() => Self::Null.write_json(out),
            // This form always has a point or an exponent: without one, a large number would be
            // read again as a whole number that 64 bits do not hold.
            Self::Float(number) => drop(write!(out, "{number:?}")),
            Self::Text(text) => write_json_text(text, out),
            Self::List(items) => {
                out.push(b'[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (place, member) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    write_json_text(&member.name, out);
                    out.push(b':');
                    member.value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Appends a string as JSON.
pub fn write_json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// Appends what is shown of something as a JSON string.
pub fn write_json_shown(value: &impl fmt::Display, out: &mut Vec<u8>) {
    struct Escaping<'o>(&'o mut Vec<u8>);

    impl fmt::Write for Escaping<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            write_escaped(text, self.0);
            Ok(())
        }
    }

    out.push(b'"');
    // Writing to memory does not fail.
    let _ = fmt::Write::write_fmt(&mut Escaping(out), format_args!("{value}"));
    out.push(b'"');
}

/// Appends a text in runs between what has to be escaped.
fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((run, escaped, after)) = next_escape(rest) {
        out.extend_from_slice(run);
        match escaped {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// What stands before the first byte that has to be escaped, that byte, and what follows it.
fn next_escape(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let is_plain = |run: &&[u8; RUN]| !run.iter().fold(false, |found, byte| found | escapes(*byte));
    let plain = bytes.as_chunks().0.iter().take_while(is_plain).count() * RUN;
    let place = bytes.iter().skip(plain).position(|byte| escapes(*byte))? + plain;
    let (run, rest) = bytes.split_at_checked(place)?;
    let (escaped, after) = rest.split_first()?;
    Some((run, *escaped, after))
}

/// So many bytes are looked at together, which the compiler does in one step.
const RUN: usize = 32;

const fn escapes(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

impl<'de> serde::Deserialize<'de> for ClearValue {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = ClearValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<ClearValue, E> {
        Ok(ClearValue::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<ClearValue, E> {
        Ok(ClearValue::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<ClearValue, E> {
        Ok(ClearValue::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<ClearValue, E> {
        i64::try_from(value)
            .map(ClearValue::Integer)
            .map_err(|_| E::custom("a number beyond 64 bits"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<ClearValue, E> {
        Ok(ClearValue::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<ClearValue, E> {
        Ok(ClearValue::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<ClearValue, E> {
        Ok(ClearValue::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ClearValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(ClearValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<ClearValue, A::Error> {
        let mut object: Vec<Member> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom("an object has the same key twice"));
            }
            object.push(Member { name, value: members.next_value()? });
        }
        Ok(ClearValue::Object(object))
    }
}

impl<C> minicbor::Encode<C> for ClearValue {
    fn encode<W: minicbor::encode::Write>(
        &self,
        to: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Null => to.null()?.ok(),
            Self::Boolean(value) => to.bool(*value)?.ok(),
            Self::Integer(value) => to.i64(*value)?.ok(),
            Self::Float(value) => to.f64(*value)?.ok(),
            Self::Text(text) => to.str(text)?.ok(),
            Self::List(items) => {
                to.array(items.len() as u64)?;
                items.iter().try_for_each(|item| item.encode(to, context))
            }
            Self::Object(members) => {
                to.map(members.len() as u64)?;
                members.iter().try_for_each(|member| {
                    to.str(&member.name)?;
                    member.value.encode(to, context)
                })
            }
        }
    }
}

/// How deep a stored value may be nested; what callers send is bounded lower, at the door.
const DEPTH_MAX: usize = 64;

impl<'b, C> minicbor::Decode<'b, C> for ClearValue {
    fn decode(
        from: &mut minicbor::Decoder<'b>,
        _: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        decode_at(from, DEPTH_MAX)
    }
}

fn decode_at(
    from: &mut minicbor::Decoder<'_>,
    depth: usize,
) -> Result<ClearValue, minicbor::decode::Error> {
    use minicbor::data::Type;
    let deeper = depth
        .checked_sub(1)
        .ok_or_else(|| minicbor::decode::Error::message("nested too deeply"))?;
    let definite = |length: Option<u64>| {
        length.ok_or_else(|| minicbor::decode::Error::message("indefinite length"))
    };
    Ok(match from.datatype()? {
        Type::Null => {
            from.null()?;
            ClearValue::Null
        }
        Type::Bool => ClearValue::Boolean(from.bool()?),
        Type::F16 | Type::F32 | Type::F64 => ClearValue::Float(from.f64()?),
        Type::String => ClearValue::Text(from.str()?.to_owned()),
        Type::Array => {
            let length = definite(from.array()?)?;
            ClearValue::List(
                (0..length).map(|_| decode_at(from, deeper)).collect::<Result<_, _>>()?,
            )
        }
        Type::Map => {
            let length = definite(from.map()?)?;
            let member =
                |_| Ok(Member { name: from.str()?.to_owned(), value: decode_at(from, deeper)? });
            ClearValue::Object(
                (0..length).map(member).collect::<Result<_, minicbor::decode::Error>>()?,
            )
        }
        _ => ClearValue::Integer(from.i64()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let value: ClearValue = serde_json::from_str(text).unwrap();
        let stored = minicbor::to_vec(&value).unwrap();
        let back: ClearValue = minicbor::decode(&stored).unwrap();
        let mut out = Vec::new();
        back.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_comes_back_as_it_was_sent() {
        for text in [r#"{"a":[1,-2,2.5,true,null,"é\"\\\n\u0001"],"b":{}}"#, "null", "[]", "\"\""]
        {
            assert_eq!(json(text), text);
        }
    }

    #[test]
    fn every_character_is_written_as_another_library_reads_it() {
        for character in (0..0x250).filter_map(char::from_u32).chain(['\u{2028}', '😀']) {
            let long = "a".repeat(2 * RUN - 1);
            for text in [
                format!("{character}"),
                format!("a{character}b{character}{character}"),
                format!("{long}{character}{long}{character}"),
            ] {
                let mut out = Vec::new();
                write_json_text(&text, &mut out);
                let mut shown = Vec::new();
                write_json_shown(&text, &mut shown);
                assert_eq!(shown, out);
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
                assert!(out.iter().all(|byte| *byte >= 0x20), "{text:?}");
            }
        }
    }

    #[test]
    fn a_number_with_a_fraction_or_an_exponent_comes_back_to_the_last_bit() {
        for text in [
            "31.245270191439438",
            "0.30000000000000004",
            "7.2057594037927933e16",
            "1e19",
            "1e300",
            "1.7976931348623157e308",
            "5e-324",
            "-0.0",
            "2.0",
        ] {
            let again: ClearValue = serde_json::from_str(&json(text)).unwrap();
            let ClearValue::Float(again) = again else { panic!("{text} is now a whole number") };
            assert_eq!(again.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        assert!(serde_json::from_str::<ClearValue>(r#"{"a":1,"a":2}"#).is_err());
    }
}
