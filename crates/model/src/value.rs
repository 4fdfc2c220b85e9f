//! How the values of each field type are checked, stored and shown; `docs/formats/values.md` has the bytes.

use std::fmt::Write as _;

use crate::clear_value::Member;
use crate::{
    ClearValue, FieldType, FileDescription, Malformed, Plaintext, RecordId, SubjectId, Timestamp,
    Wiping,
};

/// A text value is cut off here, by refusing it.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// A list has at most so many items.
pub const LIST_ITEMS_MAX: usize = 1000;
/// Digits of a decimal number: what 128 bits hold without loss.
const DECIMAL_DIGITS_MAX: usize = 36;

/// The stored bytes of a value.
pub type StoredValue = Plaintext<Vec<u8>>;

impl FieldType {
    /// Checks a value that a caller sent and gives the bytes to be sealed.
    ///
    /// # Errors
    /// [`Malformed`] if it is not a value of this type; the message never repeats it.
    pub fn store(&self, value: &ClearValue) -> Result<StoredValue, Malformed> {
        let bytes = match self {
            Self::Text | Self::Name | Self::NationalId | Self::TaxId | Self::Credential => {
                text(value)?.as_bytes().to_vec()
            }
            Self::Email => crate::names::email(text(value)?)?.into_bytes(),
            Self::Phone => phone(text(value)?)?.as_bytes().to_vec(),
            Self::Card => card(text(value)?)?,
            Self::Date => date(text(value)?)?.to_be_bytes().to_vec(),
            Self::Timestamp => {
                text(value)?.parse::<Timestamp>()?.as_micros().to_be_bytes().to_vec()
            }
            Self::Number => number(value)?.to_be_bytes().to_vec(),
            Self::Decimal => decimal(value)?.to_vec(),
            Self::Boolean => match value {
                ClearValue::Boolean(value) => vec![u8::from(*value)],
                ClearValue::Null
                | ClearValue::Integer(_)
                | ClearValue::Float(_)
                | ClearValue::Text(_)
                | ClearValue::List(_)
                | ClearValue::Object(_) => return Err(Malformed("expected `true` or `false`")),
            },
            Self::Choice(options) => {
                let name = text(value)?;
                let place = options.iter().position(|option| option.name.as_str() == name);
                let place = place.and_then(|place| u16::try_from(place).ok());
                place.ok_or(Malformed("not one of the field's options"))?.to_be_bytes().to_vec()
            }
            Self::Address => {
                tree(object(value, &["lines", "city", "region", "postal_code", "country"])?)?
            }
            Self::Location => tree(location(value)?)?,
            Self::Reference(_) => text(value)?.parse::<RecordId>()?.as_bytes().to_vec(),
            Self::Subject => text(value)?.parse::<SubjectId>()?.as_bytes().to_vec(),
            Self::List(of) => list(of, value)?,
            Self::Json => tree(value)?,
            Self::File => {
                return Err(Malformed(
                    "a file is sent by itself, to `…/files/` and the field's name",
                ));
            }
        };
        let bytes = Plaintext::new(bytes);
        if bytes.expose().len() > TEXT_BYTES_MAX {
            return Err(Malformed("a value has at most 16 KiB"));
        }
        Ok(bytes)
    }

    /// Gives back the value that these stored bytes are.
    ///
    /// # Errors
    /// [`Malformed`] if they are not the bytes of a value of this type.
    pub fn load(&self, stored: &[u8]) -> Result<ClearValue, Malformed> {
        let wrong = Malformed("stored bytes are not a value of the field's type");
        let as_text = || {
            std::str::from_utf8(stored)
                .map(|text| ClearValue::Text(text.to_owned()))
                .map_err(|_| wrong)
        };
        Ok(match self {
            Self::Text
            | Self::Name
            | Self::NationalId
            | Self::TaxId
            | Self::Credential
            | Self::Email
            | Self::Phone
            | Self::Card => as_text()?,
            Self::Date => {
                let days = i32::from_be_bytes(stored.try_into().map_err(|_| wrong)?);
                let epoch = jiff::civil::Date::constant(1970, 1, 1);
                let date = epoch
                    .checked_add(jiff::Span::new().try_days(days).map_err(|_| wrong)?)
                    .map_err(|_| wrong)?;
                ClearValue::Text(date.to_string())
            }
            Self::Timestamp => {
                let micros = i64::from_be_bytes(stored.try_into().map_err(|_| wrong)?);
                ClearValue::Text(Timestamp::from_micros(micros).to_string())
            }
            Self::Number => show_number(f64::from_be_bytes(stored.try_into().map_err(|_| wrong)?)),
            Self::Decimal => ClearValue::Text(show_decimal(stored.try_into().map_err(|_| wrong)?)),
            Self::Boolean => match stored {
                [0] => ClearValue::Boolean(false),
                [1] => ClearValue::Boolean(true),
                _ => return Err(wrong),
            },
            Self::Choice(options) => {
                let place = u16::from_be_bytes(stored.try_into().map_err(|_| wrong)?);
                let option = options.get(usize::from(place)).ok_or(wrong)?;
                ClearValue::Text(option.name.to_string())
            }
            Self::Reference(_) => ClearValue::Text(
                RecordId::from_bytes(stored.try_into().map_err(|_| wrong)?).to_string(),
            ),
            Self::Subject => ClearValue::Text(
                SubjectId::from_bytes(stored.try_into().map_err(|_| wrong)?).to_string(),
            ),
            Self::List(of) => {
                let mut from = minicbor::Decoder::new(stored);
                let length = from.array().map_err(|_| wrong)?.ok_or(wrong)?;
                let item = |_| of.load(from.bytes().map_err(|_| wrong)?);
                ClearValue::List((0..length).map(item).collect::<Result<_, _>>()?)
            }
            Self::Address | Self::Location | Self::Json => {
                minicbor::decode(stored).map_err(|_| wrong)?
            }
            Self::File => FileDescription::load(stored).map_err(|_| wrong)?.shown(),
        })
    }
}

fn text(value: &ClearValue) -> Result<&str, Malformed> {
    let text = value.as_text().ok_or(Malformed("expected a string"))?;
    if text.len() > TEXT_BYTES_MAX {
        Err(Malformed("a value has at most 16 KiB"))
    } else {
        Ok(text)
    }
}

fn phone(text: &str) -> Result<&str, Malformed> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let known = text.bytes().all(|b| b.is_ascii_digit() || b" +-()./x".contains(&b));
    if known && (3..=20).contains(&digits) && text.len() <= 40 {
        Ok(text)
    } else {
        Err(Malformed("a telephone number has 3 to 20 digits and none but ` +-()./x` beside them"))
    }
}

/// A card number: its digits, which must pass the Luhn check (ISO/IEC 7812-1, annex B).
fn card(text: &str) -> Result<Vec<u8>, Malformed> {
    let wrong = Malformed("not a card number: 12 to 19 digits that pass the Luhn check");
    let digits: Wiping<Vec<u8>> =
        Wiping::new(text.bytes().filter(|b| *b != b' ' && *b != b'-').collect());
    if !(12..=19).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 {
                digit
            } else if digit > 4 {
                2 * digit - 9
            } else {
                2 * digit
            }
        })
        .sum();
    if sum.is_multiple_of(10) { Ok(digits.to_vec()) } else { Err(wrong) }
}

/// Days since 1970-01-01.
fn date(text: &str) -> Result<i32, Malformed> {
    let wrong = Malformed("not a day of the form 2026-01-31");
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| {
            if place == 4 || place == 7 { byte == b'-' } else { byte.is_ascii_digit() }
        });
    if !shaped {
        return Err(wrong);
    }
    let date: jiff::civil::Date = text.parse().map_err(|_| wrong)?;
    let days = date.since(jiff::civil::Date::constant(1970, 1, 1)).map_err(|_| wrong)?.get_days();
    Ok(days)
}

fn number(value: &ClearValue) -> Result<f64, Malformed> {
    /// Whole numbers up to here have a 64-bit floating-point number of their own.
    const EXACT_MAX: i64 = 1 << 53;
    match value {
        #[expect(clippy::cast_precision_loss, reason = "checked to be within what is exact")]
        ClearValue::Integer(whole) if (-EXACT_MAX..=EXACT_MAX).contains(whole) => Ok(*whole as f64),
        // Minus zero becomes zero, which it is shown as.
        ClearValue::Float(number) if number.is_finite() => Ok(*number + 0.0),
        ClearValue::Integer(_)
        | ClearValue::Float(_)
        | ClearValue::Null
        | ClearValue::Boolean(_)
        | ClearValue::Text(_)
        | ClearValue::List(_)
        | ClearValue::Object(_) => Err(Malformed(
            "expected a number that 64 bits hold exactly; use the type `decimal` for others",
        )),
    }
}

fn show_number(number: f64) -> ClearValue {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        ClearValue::Integer(number as i64)
    } else {
        ClearValue::Float(number)
    }
}

/// A decimal number in 17 bytes: its digits as an i128, then how many of them stand after the point.
fn decimal(value: &ClearValue) -> Result<[u8; 17], Malformed> {
    let wrong =
        Malformed("expected a decimal number of at most 36 digits, as a string such as \"12.50\"");
    let owned;
    let text = match value {
        ClearValue::Text(text) => text.as_str(),
        ClearValue::Integer(whole) => {
            owned = Wiping::new(whole.to_string());
            owned.as_str()
        }
        ClearValue::Float(_)
        | ClearValue::Null
        | ClearValue::Boolean(_)
        | ClearValue::List(_)
        | ClearValue::Object(_) => {
            return Err(wrong);
        }
    };
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let pointed = digits.contains('.');
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if whole.is_empty()
        || pointed == fraction.is_empty()
        || !all_digits
        || whole.len() + fraction.len() > DECIMAL_DIGITS_MAX
    {
        return Err(wrong);
    }
    let digits = whole.bytes().chain(fraction.bytes());
    let magnitude = digits.fold(0i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    let mut bytes = [0; 17];
    let signed = if negative { -magnitude } else { magnitude };
    bytes[..16].copy_from_slice(&signed.to_be_bytes());
    bytes[16] = u8::try_from(fraction.len()).map_err(|_| wrong)?;
    Ok(bytes)
}

/// Most characters of a decimal number: its digits, a zero before the point, point and sign. The places
/// after the point are kept in a byte.
const DECIMAL_LENGTH_MAX: usize = u8::MAX as usize + 3;

fn show_decimal(stored: [u8; 17]) -> String {
    let mut digits = [0; 16];
    digits.copy_from_slice(&stored[..16]);
    let value = i128::from_be_bytes(digits);
    let places = usize::from(stored[16]);
    // Sized once, so that no part of it is left where it has grown out of.
    let mut text = String::with_capacity(DECIMAL_LENGTH_MAX);
    // Writing to a string does not fail.
    let _ = write!(text, "{:0>1$}", value.unsigned_abs(), places + 1);
    if places > 0 {
        text.insert(text.len() - places, '.');
    }
    if value < 0 {
        text.insert(0, '-');
    }
    text
}

/// An object with no members but these, whose values are strings or lists of strings.
fn object<'v>(value: &'v ClearValue, known: &[&str]) -> Result<&'v ClearValue, Malformed> {
    let wrong = Malformed(
        "expected an object of the members that the field's type has, with strings in them",
    );
    let ClearValue::Object(members) = value else { return Err(wrong) };
    let fits = |member: &Member| {
        let value_fits = match &member.value {
            ClearValue::Text(_) => true,
            ClearValue::List(items) => {
                member.name == "lines" && items.iter().all(|item| item.as_text().is_some())
            }
            ClearValue::Null
            | ClearValue::Boolean(_)
            | ClearValue::Integer(_)
            | ClearValue::Float(_)
            | ClearValue::Object(_) => false,
        };
        known.contains(&member.name.as_str()) && value_fits
    };
    if !members.is_empty() && members.iter().all(fits) { Ok(value) } else { Err(wrong) }
}

fn location(value: &ClearValue) -> Result<&ClearValue, Malformed> {
    let wrong =
        Malformed("expected an object of `latitude`, `longitude` and, if known, `captured_at`");
    let ClearValue::Object(members) = value else { return Err(wrong) };
    let degrees = |name: &str, most: f64| {
        value
            .member(name)
            .and_then(|value| number(value).ok())
            .is_some_and(|number| number.abs() <= most)
    };
    let known = members.iter().all(|member| match member.name.as_str() {
        "latitude" | "longitude" => true,
        "captured_at" => {
            member.value.as_text().is_some_and(|text| text.parse::<Timestamp>().is_ok())
        }
        _ => false,
    });
    if known && degrees("latitude", 90.0) && degrees("longitude", 180.0) {
        Ok(value)
    } else {
        Err(wrong)
    }
}

fn list(of: &FieldType, value: &ClearValue) -> Result<Vec<u8>, Malformed> {
    let ClearValue::List(items) = value else { return Err(Malformed("expected an array")) };
    if items.len() > LIST_ITEMS_MAX {
        return Err(Malformed("an array has at most 1000 items"));
    }
    let mut to = minicbor::Encoder::new(Vec::new());
    let full = |_| Malformed("a value has at most 16 KiB");
    to.array(items.len() as u64).map_err(full)?;
    for item in items {
        to.bytes(of.store(item)?.expose()).map_err(full)?;
    }
    Ok(to.into_writer())
}

fn tree(value: &ClearValue) -> Result<Vec<u8>, Malformed> {
    minicbor::to_vec(value).map_err(|_| Malformed("a value has at most 16 KiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &FieldType, json: &str) -> Result<String, Malformed> {
        let value: ClearValue = serde_json::from_str(json).unwrap();
        let stored = kind.store(&value)?;
        let mut out = Vec::new();
        kind.load(stored.expose())?.write_json(&mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_stored_comes_back_in_canonical_form() {
        let choice = FieldType::Choice(vec![
            crate::ChoiceOption { name: "red".parse().unwrap(), label: "Red".parse().unwrap() },
            crate::ChoiceOption { name: "blue".parse().unwrap(), label: "Blue".parse().unwrap() },
        ]);
        for (kind, sent, shown) in [
            (FieldType::Text, r#""żółć""#, r#""żółć""#),
            (FieldType::Email, r#"" Ada@Example.org ""#, r#""ada@example.org""#),
            (FieldType::Phone, r#""+49 (30) 901-820""#, r#""+49 (30) 901-820""#),
            (FieldType::Date, r#""1815-12-10""#, r#""1815-12-10""#),
            (FieldType::Date, r#""9999-12-31""#, r#""9999-12-31""#),
            (FieldType::Timestamp, r#""2026-01-31T10:30:00+01:00""#, r#""2026-01-31T09:30:00Z""#),
            (FieldType::Number, "12", "12"),
            (FieldType::Number, "-0.5", "-0.5"),
            (FieldType::Number, "-0.0", "0"),
            (FieldType::Number, "1e19", "1e19"),
            (FieldType::Decimal, r#""-0.05""#, r#""-0.05""#),
            (FieldType::Decimal, r#""12.50""#, r#""12.50""#),
            (FieldType::Decimal, "7", r#""7""#),
            (FieldType::Boolean, "true", "true"),
            (FieldType::Card, r#""4111 1111 1111 1111""#, r#""4111111111111111""#),
            (choice, r#""blue""#, r#""blue""#),
            (
                FieldType::Address,
                r#"{"lines":["Unter den Linden 1"],"country":"DE"}"#,
                r#"{"lines":["Unter den Linden 1"],"country":"DE"}"#,
            ),
            (
                FieldType::Location,
                r#"{"latitude":52.5,"longitude":13}"#,
                r#"{"latitude":52.5,"longitude":13}"#,
            ),
            (FieldType::List(Box::new(FieldType::Date)), r#"["2026-01-31"]"#, r#"["2026-01-31"]"#),
            (FieldType::Json, r#"{"a":[1,{"b":null}]}"#, r#"{"a":[1,{"b":null}]}"#),
        ] {
            assert_eq!(check(&kind, sent).as_deref(), Ok(shown), "{kind:?}");
        }
    }

    #[test]
    fn what_is_no_value_of_the_type_is_refused() {
        for (kind, sent) in [
            (FieldType::Text, "1"),
            (FieldType::Email, r#""ada""#),
            (FieldType::Phone, r#""12""#),
            (FieldType::Phone, r#""call me""#),
            (FieldType::Date, r#""2026-02-30""#),
            (FieldType::Date, r#""2026-1-1""#),
            (FieldType::Timestamp, r#""2026-01-31""#),
            (FieldType::Number, r#""1""#),
            (FieldType::Number, "9007199254740993"),
            (FieldType::Decimal, r#""1.""#),
            (FieldType::Decimal, r#"".5""#),
            (FieldType::Decimal, r#""1e3""#),
            (FieldType::Decimal, r#""1234567890123456789012345678901234567""#),
            (FieldType::Boolean, "1"),
            (FieldType::Card, r#""4111 1111 1111 1112""#),
            (FieldType::Address, r#"{"planet":"Earth"}"#),
            (FieldType::Address, "{}"),
            (FieldType::Location, r#"{"latitude":91,"longitude":0}"#),
            (FieldType::List(Box::new(FieldType::Date)), r#"["x"]"#),
            (
                FieldType::Reference("orders".parse().unwrap()),
                r#""sub_00000000000000000000000000""#,
            ),
        ] {
            assert!(check(&kind, sent).is_err(), "{kind:?} {sent}");
        }
    }

    #[test]
    fn lengths_of_dates_numbers_booleans_and_choices_say_nothing() {
        let length = |kind: &FieldType, json: &str| {
            let value: ClearValue = serde_json::from_str(json).unwrap();
            kind.store(&value).unwrap().expose().len()
        };
        assert_eq!(
            length(&FieldType::Date, r#""0001-01-01""#),
            length(&FieldType::Date, r#""2026-01-31""#)
        );
        assert_eq!(
            length(&FieldType::Decimal, r#""1""#),
            length(&FieldType::Decimal, r#""-123456.789""#)
        );
        assert_eq!(length(&FieldType::Number, "1"), length(&FieldType::Number, "-1.5e300"));
        assert_eq!(length(&FieldType::Boolean, "true"), length(&FieldType::Boolean, "false"));
    }
}
