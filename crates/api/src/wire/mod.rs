//! Client data and secrets on their way: the one place of this room where they leave their types.
//!
//! Everything here is written by hand into a buffer that is wiped; nothing of it can be formatted,
//! logged or serialised elsewhere, because the types it comes in cannot.

mod csv;
mod record;

pub(crate) use csv::write_csv;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strongroom_model::clear_value::write_json_text;
use strongroom_model::{Plaintext, Wiping};

use crate::body::make_room;

/// A token that is shown once, or a text of a person's that is shown as it is.
pub(crate) struct Shown<'a>(pub(crate) &'a Plaintext<String>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose())
    }
}

/// A secret that a caller sent.
pub(crate) struct SentSecret(Plaintext<String>);

impl SentSecret {
    /// The secret in the clear, to be checked by the vault.
    pub(crate) fn text(&self) -> &str {
        self.0.expose()
    }

    /// The secret as it is, to be handed on.
    pub(crate) const fn inner(&self) -> &Plaintext<String> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SentSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Plaintext::new(text)))
    }
}

/// What is written by hand.
pub(crate) trait WriteJson {
    /// Appends it as JSON.
    fn write_json(&self, out: &mut Vec<u8>);
}

/// Room for nearly every item, so that a buffer seldom has to grow while one is written.
const ITEM_CAPACITY: usize = 8 * 1024;
/// What an item of a list is expected to take.
const ITEM_USUAL: usize = 1024;

/// One thing as JSON.
pub(crate) fn write_one(value: &impl WriteJson) -> Wiping<Vec<u8>> {
    let mut out = Wiping::new(Vec::with_capacity(ITEM_CAPACITY));
    value.write_json(&mut out);
    out
}

/// A page of a list as JSON. Only an item longer than the capacity leaves the parts of it that were
/// outgrown.
pub(crate) fn write_list<T: WriteJson>(items: &[T], next: Option<&str>) -> Wiping<Vec<u8>> {
    let room = ITEM_CAPACITY + ITEM_USUAL.saturating_mul(items.len());
    let mut out = Wiping::new(Vec::with_capacity(room));
    out.extend_from_slice(b"{\"data\":[");
    for (place, item) in items.iter().enumerate() {
        make_room(&mut out, ITEM_CAPACITY);
        if place > 0 {
            out.push(b',');
        }
        item.write_json(&mut out);
    }
    make_room(&mut out, ITEM_CAPACITY);
    out.extend_from_slice(b"],\"next\":");
    match next {
        Some(cursor) => write_json_text(cursor, &mut out),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

/// The results of a batch as JSON, each written by hand.
pub(crate) fn write_results<T>(
    items: &[T],
    write: impl Fn(usize, &T, &mut Vec<u8>),
) -> Wiping<Vec<u8>> {
    let room = ITEM_CAPACITY + ITEM_USUAL.saturating_mul(items.len());
    let mut out = Wiping::new(Vec::with_capacity(room));
    out.extend_from_slice(b"{\"results\":[");
    for (place, item) in items.iter().enumerate() {
        make_room(&mut out, ITEM_CAPACITY);
        if place > 0 {
            out.push(b',');
        }
        write(place, item, &mut out);
    }
    make_room(&mut out, ITEM_CAPACITY);
    out.extend_from_slice(b"]}");
    out
}

/// Items as lines of JSON (NDJSON).
pub(crate) fn write_lines<T: WriteJson>(items: &[T]) -> Wiping<Vec<u8>> {
    let room = ITEM_CAPACITY + ITEM_USUAL.saturating_mul(items.len());
    let mut out = Wiping::new(Vec::with_capacity(room));
    for item in items {
        make_room(&mut out, ITEM_CAPACITY);
        item.write_json(&mut out);
        out.push(b'\n');
    }
    out
}

/// Appends `"name":`, after a comma unless it is the first member.
pub(crate) fn write_name(name: &str, first: bool, out: &mut Vec<u8>) {
    if !first {
        out.push(b',');
    }
    write_json_text(name, out);
    out.push(b':');
}
