//! Rows: a key that is compared bytewise, a version that only grows, and sealed bytes.

use std::fmt;

use bytes::Bytes;
use strongroom_model::TenantId;

use crate::keyspace::RowKind;

/// A row's key, compared bytewise; made by the functions of [`crate::keyspace`]. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(Bytes);

impl RowKey {
    /// The key with these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Keys hold random ids and numbers only, so they may be seen.
impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
    fn a_key_shows_as_hexadecimal() {
        assert_eq!(format!("{:?}", RowKey::new(vec![0, 171])), "00ab");
    }
}
