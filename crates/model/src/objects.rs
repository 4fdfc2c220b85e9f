//! Structs that are read from objects alone: by themselves serde's would be read from arrays too, by
//! the places of their members, and a caller who slips by one place would say something else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What is read from an object, and from nothing else.
pub struct Strict<T>(pub T);

/// Reads a struct from an object.
///
/// # Errors
/// Those of the format, also for an array.
pub fn object<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Strict::deserialize(from).map(|strict| strict.0)
}

/// Reads structs from an array of objects.
///
/// # Errors
/// Those of the format, also for an array in the place of an object.
pub fn objects<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let items = Vec::<Strict<T>>::deserialize(from)?;
    Ok(items.into_iter().map(|strict| strict.0).collect())
}

/// Reads a struct from an object, or nothing from null.
///
/// # Errors
/// Those of the format, also for an array.
pub fn object_if_any<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let found = Option::<Strict<T>>::deserialize(from)?;
    Ok(found.map(|strict| strict.0))
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(StrictVisitor(PhantomData))
    }
}

struct StrictVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for StrictVisitor<T> {
    type Value = Strict<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Strict<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Strict)
    }
}
