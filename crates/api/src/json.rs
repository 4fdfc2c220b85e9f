//! Reading a body as JSON (RFC 8259) without ever repeating what stands in it.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use strongroom_model::FieldName;
use strongroom_model::objects::Strict;
pub(crate) use strongroom_model::objects::{object as strict, objects as strict_items};
use strongroom_vault::Flaw;

use crate::limits::DEPTH_MAX;
use crate::problem::Problem;

/// Reads a body.
///
/// # Errors
/// 400 `invalid_json` for what is not UTF-8, not JSON, nested too deeply, or of another shape than
/// the route takes; 422 `invalid` for a text that is not the name, id or time it should be.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let place = error.valid_up_to();
        Problem::invalid_json(format!("the body is not UTF-8 after {place} bytes"), Vec::new())
    })?;
    check_depth(body)?;
    serde_json::from_str::<Strict<T>>(text)
        .map(|strict| strict.0)
        .map_err(|error| explain(body, &error))
}

/// Reads a member of a merge patch that may be absent, but not null: what it names cannot be taken
/// away.
pub(crate) fn present<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(from).map(Some)
}

/// Reads an object as a list of its members, and refuses one that has a name twice.
pub(crate) fn members<'de, K, V, D>(from: D) -> Result<Vec<(K, V)>, D::Error>
where
    K: Deserialize<'de> + Ord + Clone,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    from.deserialize_map(MembersVisitor(PhantomData))
}

struct MembersVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord + Clone, V: Deserialize<'de>> Visitor<'de>
    for MembersVisitor<K, V>
{
    type Value = Vec<(K, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(name) = from.next_key::<K>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom(TWICE));
            }
            members.push((name, from.next_value()?));
        }
        Ok(members)
    }
}

/// Refuses what is nested too deeply, before a parser descends into it.
fn check_depth(body: &[u8]) -> Result<(), Problem> {
    let mut depth = 0usize;
    let mut in_text = false;
    let mut escaped = false;
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(Problem::too_deep());
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// What the messages of the JSON library begin with, which may go on with a value; the last part,
/// after `, expected`, is always ours.
const SHAPE: [&str; 7] = [
    "invalid type",
    "invalid value",
    "invalid length",
    "unknown field",
    "unknown variant",
    "missing field",
    "duplicate field",
];

/// What the model says of an object that has a key twice.
const TWICE: &str = "an object has the same key twice";

fn explain(body: &[u8], error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => Problem::invalid_json(
            format!("the body is not JSON: line {line}, column {column}"),
            Vec::new(),
        ),
        Category::Data => {
            let message = error.to_string();
            let message =
                message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
            let place = offset(body, line, column);
            if SHAPE.iter().any(|beginning| message.starts_with(beginning)) {
                misshapen(line, column, pointer(body, place), shape(message))
            } else if message == TWICE {
                misshapen(line, column, pointer(body, place), TWICE.to_owned())
            } else {
                // The model's own words, which never repeat what they are about. They come after
                // the value was read, and after the end of what it is in, where it is the last.
                let ended = place.checked_sub(1).and_then(|before| body.get(before));
                let place = if matches!(ended, Some(b'}' | b']')) { place - 1 } else { place };
                Problem::invalid_at(pointer(body, place), message)
            }
        }
    }
}

fn misshapen(line: usize, column: usize, pointer: String, detail: String) -> Problem {
    let words = format!("line {line}, column {column}: {detail}");
    Problem::invalid_json(words, vec![Flaw { pointer, detail }])
}

/// The part of a message that is ours.
fn shape(message: &str) -> String {
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    let expected = match expected {
        Some(rust) if rust.starts_with("struct ") || rust.starts_with("tuple ") => "an object",
        Some(rust) if rust.starts_with("enum ") => "a name or an object with one member",
        Some(rust) if rust.starts_with("map") => "an object",
        Some(rust) if rust.starts_with("sequence") || rust.starts_with("a sequence") => "an array",
        Some("u8") => "a whole number from 0 to 255",
        Some("u16") => "a whole number from 0 to 65535",
        Some("u32") => "a whole number from 0 to 4294967295",
        Some("u64" | "usize") => "a whole number that is not negative",
        Some("i8" | "i16" | "i32" | "i64") => "a whole number",
        Some("f32" | "f64") => "a number",
        Some(other) => other,
        None => "none",
    };
    if message.starts_with("unknown field") {
        format!("an unknown member; known here: {expected}")
    } else if message.starts_with("unknown variant") {
        format!("not one of the names that are known here: {expected}")
    } else if message.starts_with("missing field") || message.starts_with("duplicate field") {
        // The name in it is of our own struct.
        message.replacen("field", "member", 1)
    } else {
        format!("expected {expected}")
    }
}

/// Where in the body a place is. The library's columns count bytes from 1; 0 is the line's start.
fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let starts = std::iter::once(0)
        .chain(body.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
    starts.clone().nth(line.saturating_sub(1)).unwrap_or(0).saturating_add(column).min(body.len())
}

/// A part of the way into the body.
enum Step {
    /// Into an object, to the member of this name; absent before its first name.
    Member(Option<String>),
    /// Into an array, to the item at this place.
    Item(usize),
}

/// The JSON pointer (RFC 6901) to what ends at this place or, between two values, to what they are
/// in. The body is known to be JSON up to there. Member names that are no names of ours end it.
fn pointer(body: &[u8], place: usize) -> String {
    let mut way: Vec<Step> = Vec::new();
    let mut begun = None;
    let mut escaped = false;
    let mut names_next = false;
    for (at, byte) in body.iter().enumerate().take(place) {
        if let Some(from) = begun {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    begun = None;
                    if names_next && let Some(Step::Member(name)) = way.last_mut() {
                        *name = body
                            .get(from + 1..at)
                            .map(|name| String::from_utf8_lossy(name).into_owned());
                        names_next = false;
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => begun = Some(at),
            b'{' => {
                way.push(Step::Member(None));
                names_next = true;
            }
            b'[' => way.push(Step::Item(0)),
            b'}' | b']' => {
                way.pop();
            }
            b',' => match way.last_mut() {
                Some(Step::Item(item)) => *item += 1,
                Some(Step::Member(_)) => names_next = true,
                None => {}
            },
            _ => {}
        }
    }
    let mut pointer = String::new();
    for step in way {
        match step {
            Step::Item(item) => {
                pointer.push('/');
                pointer.push_str(&item.to_string());
            }
            Step::Member(Some(name)) if name.parse::<FieldName>().is_ok() => {
                pointer.push('/');
                pointer.push_str(&name);
            }
            Step::Member(_) => break,
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use strongroom_model::{ClearValue, Email};

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Sample {
        name: String,
        #[serde(default)]
        email: Option<Email>,
        #[serde(default)]
        parts: Vec<Part>,
        #[serde(default)]
        labels: Vec<FieldName>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Part {
        number: u32,
    }

    fn refusal(body: &str) -> String {
        let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
        format!("{problem:?}")
    }

    #[test]
    fn a_refusal_says_where_and_what_was_expected() {
        for (body, code, words) in [
            ("{\"name\":", "invalid_json", "not JSON: line 1, column 8"),
            ("{\"name\":\"a\"} x", "invalid_json", "not JSON"),
            ("[\"a\"]", "invalid_json", "expected an object"),
            ("{}", "invalid_json", "missing member `name`"),
            ("{\"name\":1}", "invalid_json", "pointer: \"/name\", detail: \"expected a string\""),
            ("{\"name\":\"a\",\"name\":\"b\"}", "invalid_json", "duplicate member `name`"),
            ("{\"name\":\"a\",\"more\":1}", "invalid_json", "pointer: \"/more\""),
            (
                "{\"name\":\"a\",\"parts\":[{\"number\":1},{\"number\":true}]}",
                "invalid_json",
                "pointer: \"/parts/1/number\"",
            ),
            (
                "{\"name\":\"a\",\"parts\":[{\"number\":-1}]}",
                "invalid_json",
                "expected a whole number from 0 to",
            ),
            (
                "{\"name\":\"a\",\n \"email\":\"nobody\"}",
                "code: \"invalid\"",
                "pointer: \"/email\"",
            ),
            ("{\"name\":\"a\",\"parts\":[{\"number\":1},{}]}", "invalid_json", "\"/parts/1\""),
            ("{\"email\":\"nobody\",\"name\":\"a\"}", "code: \"invalid\"", "pointer: \"/email\""),
            ("{\"name\":\"a\",\"labels\":[\"a\",\"A b\"]}", "code: \"invalid\"", "\"/labels/1\""),
        ] {
            let refusal = refusal(body);
            assert!(refusal.contains(code) && refusal.contains(words), "{body}: {refusal}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_what_was_sent() {
        for body in [
            r#"{"name":{"Ada":1}}"#,
            r#"{"name":"a","Ada":1}"#,
            r#"{"name":"a","Ada, expected Ada":1}"#,
            r#"{"name":"a","email":"Ada, expected Ada"}"#,
            r#"{"name":"a","parts":["Ada, expected Ada"]}"#,
            r#"{"name":"a","parts":"Ada at line Ada"}"#,
            r#"{"name":"a","parts":[{"Ada":1}]}"#,
            "{\"name\":\"a\" \"Ada\"}",
        ] {
            let refusal = refusal(body);
            assert!(!refusal.contains("Ada"), "{body}: {refusal}");
        }
    }

    #[test]
    fn thirty_two_levels_are_read_and_thirty_three_are_not() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(parse::<ClearValue>(nested(32).as_bytes()).is_ok());
        assert!(parse::<ClearValue>(nested(33).as_bytes()).is_err());
        let quoted = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(100));
        assert!(parse::<ClearValue>(quoted.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_utf_8_is_not_read() {
        assert!(parse::<ClearValue>(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse::<ClearValue>(b"{\"a\":\"\\ud800\"}").is_err());
        assert!(parse::<ClearValue>(b"\xef\xbb\xbf{}").is_err());
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
        for body in [r#"{"a":1,"a":2}"#, r#"{"a":[{"b":1,"b":1}]}"#, r#"{"a":1,"\u0061":2}"#] {
            let problem = parse::<ClearValue>(body.as_bytes()).err().unwrap();
            assert_eq!(problem.code(), "invalid_json", "{body}");
        }
    }
}
