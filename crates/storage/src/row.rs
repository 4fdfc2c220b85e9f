//! Rows: a key that is compared bytewise, a version that only grows, and sealed bytes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use strongroom_model::TenantId;

use crate::keyspace::RowKind;

/// Longest key that is kept in place, without memory of its own; those of [`crate::keyspace`] are.
const IN_PLACE_MAX: usize = 54;

/// A row's key, compared bytewise; made by the functions of [`crate::keyspace`]. Cheap to clone.
#[derive(Clone)]
pub struct RowKey(Kept);

#[derive(Clone)]
enum Kept {
    InPlace { length: u8, bytes: [u8; IN_PLACE_MAX] },
    Apart(Bytes),
}

impl RowKey {
    /// The key with these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self::of_parts([bytes.as_ref()])
    }

    /// The key whose bytes are these parts, one after the other.
    pub(crate) fn of_parts<'p>(parts: impl IntoIterator<Item = &'p [u8], IntoIter: Clone>) -> Self {
        let parts = parts.into_iter();
        let mut bytes = [0; IN_PLACE_MAX];
        let mut length = 0;
        for part in parts.clone() {
            match bytes.get_mut(length..length + part.len()) {
                Some(room) => room.copy_from_slice(part),
                None => return Self(Kept::Apart(parts.flatten().copied().collect())),
            }
            length += part.len();
        }
        Self(Kept::InPlace { length: u8::try_from(length).unwrap_or(0), bytes })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::InPlace { length, bytes } => {
                bytes.get(..usize::from(*length)).unwrap_or_default()
            }
            Kept::Apart(bytes) => bytes,
        }
    }
}

impl PartialEq for RowKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for RowKey {}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RowKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for RowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// Keys hold random ids and numbers only, so they may be seen.
impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What stands under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Counts the changes of the row from 1; it never goes down while the row exists.
    pub version: u64,
    /// The sealed bytes, without the version.
    pub value: Bytes,
}

/// A range of keys and the direction in which it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRange {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
    descending: bool,
}

impl KeyRange {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { start: prefix.to_vec(), end: successor(prefix), descending: false }
    }

    /// All rows of one kind of one tenant.
    pub fn prefix_of(tenant: TenantId, kind: RowKind) -> Self {
        let mut prefix = tenant.as_bytes().to_vec();
        prefix.push(kind.number());
        Self::prefix(&prefix)
    }

    /// The keys that begin with `prefix` and come after `key`: the next page of an ascending scan.
    pub fn after(key: &RowKey, prefix: &[u8]) -> Self {
        let mut next = key.as_bytes().to_vec();
        next.push(0);
        let whole = Self::prefix(prefix);
        Self { start: next.max(whole.start), ..whole }
    }

    /// What is left of an ascending range after `key`: the next page of a scan.
    pub fn continued(self, key: &RowKey) -> Self {
        let mut next = key.as_bytes().to_vec();
        next.push(0);
        Self { start: next.max(self.start), ..self }
    }

    /// The keys that begin with `prefix` and come before `key`, read backwards: the next page of a
    /// descending scan.
    pub fn before(key: &RowKey, prefix: &[u8]) -> Self {
        let whole = Self::prefix(prefix);
        let end = match whole.end {
            Some(end) if end.as_slice() < key.as_bytes() => end,
            Some(_) | None => key.as_bytes().to_vec(),
        };
        Self { end: Some(end), descending: true, ..whole }
    }

    /// The keys from `start` up to, not including, `end`.
    pub fn between(start: &RowKey, end: &RowKey) -> Self {
        Self {
            start: start.as_bytes().to_vec(),
            end: Some(end.as_bytes().to_vec()),
            descending: false,
        }
    }

    /// The same keys, the greatest first.
    pub fn descending(self) -> Self {
        Self { descending: true, ..self }
    }

    /// The first key of the range.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first key after the range; none if it goes on to the end.
    pub fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// Whether the greatest key comes first.
    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// Whether no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The first key after all that begin with `prefix`; none if there is no such key.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix.get(..=last)?.to_vec();
    if let Some(byte) = next.last_mut() {
        *byte += 1;
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(successor(&[255]), None);
        assert_eq!(successor(&[]), None);
    }

    #[test]
    fn a_page_after_a_key_outside_the_prefix_stays_inside_the_prefix() {
        let page = KeyRange::after(&RowKey::new(vec![0]), &[5]);
        assert_eq!((page.start(), page.end()), (&[5][..], Some(&[6][..])));
        assert!(KeyRange::after(&RowKey::new(vec![9]), &[5]).is_empty());
        assert!(KeyRange::before(&RowKey::new(vec![4]), &[5]).is_empty());
        assert_eq!(KeyRange::before(&RowKey::new(vec![9]), &[5]).end(), Some(&[6][..]));
    }

    #[test]
    fn a_key_is_its_bytes_whether_it_is_kept_in_place_or_apart() {
        for length in [0, 1, 50, IN_PLACE_MAX, IN_PLACE_MAX + 1, 256] {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            let key = RowKey::new(&bytes);
            assert_eq!(key.as_bytes(), bytes);
            let (first, rest) = bytes.split_at(length / 3);
            assert_eq!(RowKey::of_parts([first, rest]), key);
            assert!(RowKey::new([&bytes[..], &[0]].concat()) > key);
        }
    }

    #[test]
    fn a_key_shows_as_hexadecimal() {
        assert_eq!(format!("{:?}", RowKey::new(vec![0, 171])), "00ab");
    }
}
