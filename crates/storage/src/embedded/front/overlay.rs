//! What is durable in the journal and not yet in the database, in the order of the keys.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::embedded::engine::{Changes, Progress};
use crate::{KeyRange, Row, RowKey};

/// What a row costs in memory beside its key and value.
const ROW_BYTES: usize = 192;

/// Groups that the database does not have, put together: those that it is just being given, and those
/// that came since.
pub(super) struct Overlay {
    newest: Changes,
    /// Bytes in memory of `newest`.
    bytes: usize,
    given: Option<Arc<Changes>>,
    /// How far the groups are durable.
    durable: Progress,
    /// How far the database has them.
    applied: Progress,
    /// Times that what had come was put aside to be given to the database.
    turns: u64,
    next_node: Option<u32>,
}

/// What is known here of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// It stands so; none if it is removed.
    Here(Option<Row>),
    /// Nothing: it stands as the database has it.
    Behind,
}

impl Overlay {
    /// Nothing beyond what the database has.
    pub(super) fn new(applied: Progress) -> Self {
        Self {
            newest: Changes::default(),
            bytes: 0,
            given: None,
            durable: applied,
            applied,
            turns: 0,
            next_node: None,
        }
    }

    /// Adds a group that has become durable.
    pub(super) fn add(&mut self, changes: &Changes, durable: Progress) {
        for (key, row) in &changes.rows {
            self.bytes = self.bytes.saturating_add(bytes_of(key, row.as_ref()));
            if let Some(old) = self.newest.rows.insert(key.clone(), row.clone()) {
                self.bytes = self.bytes.saturating_sub(bytes_of(key, old.as_ref()));
            }
        }
        for line in &changes.lines {
            self.bytes = self.bytes.saturating_add(line.len());
            self.newest.lines.push(line.clone());
        }
        if changes.next_node.is_some() {
            self.newest.next_node = changes.next_node;
            self.next_node = changes.next_node;
        }
        self.newest.progress = Some(durable);
        self.durable = durable;
    }

    /// Bytes in memory of what came since the database was last given something.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the database has everything.
    pub(super) fn is_applied(&self) -> bool {
        self.durable == self.applied
    }

    /// What the database is to be given next: what it was being given and does not have, or all that
    /// has come since.
    pub(super) fn turn(&mut self) -> Option<Arc<Changes>> {
        if self.given.is_none() && !self.is_applied() {
            self.given = Some(Arc::new(std::mem::take(&mut self.newest)));
            self.bytes = 0;
            self.turns = self.turns.saturating_add(1);
        }
        self.given.clone()
    }

    /// Times that what had come was put aside: as long as it does not change, the database cannot get
    /// ahead of what was seen here.
    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    /// The database has what it was given, up to this group.
    pub(super) fn settle(&mut self, applied: Progress) {
        self.given = None;
        self.applied = applied;
    }

    /// How far the database has the groups.
    pub(super) fn applied(&self) -> Progress {
        self.applied
    }

    /// The next node number, if it changed in a group that is here or was.
    pub(super) fn next_node(&self) -> Option<u32> {
        self.next_node
    }

    /// A row, if it is here.
    pub(super) fn find(&self, key: &RowKey) -> Found {
        let newest = self.newest.rows.get(key);
        let row = newest.or_else(|| self.given.as_ref()?.rows.get(key));
        row.map_or(Found::Behind, |row| Found::Here(row.clone()))
    }

    /// What stands here of a range, in its direction, up to its first `limit` rows.
    pub(super) fn scan(&self, range: &KeyRange, limit: usize) -> Vec<(RowKey, Option<Row>)> {
        let end = range.end().map_or(Bound::Unbounded, |end| Bound::Excluded(RowKey::new(end)));
        let bounds = (Bound::Included(RowKey::new(range.start())), end);
        let newest = self.newest.rows.range(bounds.clone());
        let given = self.given.as_ref().map(|given| given.rows.range(bounds));
        let given = given.into_iter().flatten();
        if range.is_descending() {
            first_of(newest.rev(), given.rev(), true, limit)
        } else {
            first_of(newest, given, false, limit)
        }
    }

    /// The lines that the database does not have, after the first `seen` of all, with their numbers.
    pub(super) fn lines(&self, seen: u64) -> Vec<(u64, Bytes)> {
        let given = self.given.iter().flat_map(|given| &given.lines);
        let numbered =
            (self.applied.lines.saturating_add(1)..).zip(given.chain(&self.newest.lines));
        let after = numbered.filter(|(number, _)| *number > seen);
        after.map(|(number, line)| (number, line.clone())).collect()
    }
}

/// Both sequences as one, in the same order; where they have the same key the first one counts.
fn first_of<'o>(
    newest: impl Iterator<Item = (&'o RowKey, &'o Option<Row>)>,
    given: impl Iterator<Item = (&'o RowKey, &'o Option<Row>)>,
    descending: bool,
    limit: usize,
) -> Vec<(RowKey, Option<Row>)> {
    let mut found = Vec::new();
    let mut rows = 0;
    for (key, row) in merged(newest, given, |key| *key, descending) {
        if rows == limit {
            break;
        }
        rows += usize::from(row.is_some());
        found.push((key.clone(), row.clone()));
    }
    found
}

/// Two sequences of different keys each as one, in the same order; of two items with the same key only
/// that of the first sequence is in it.
pub(super) fn merged<K, V>(
    first: impl Iterator<Item = (K, V)>,
    second: impl Iterator<Item = (K, V)>,
    key: impl Fn(&K) -> &RowKey,
    descending: bool,
) -> impl Iterator<Item = (K, V)> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || {
        let order = match (first.peek(), second.peek()) {
            (Some((ours, _)), Some((theirs, _))) => {
                let order = key(ours).cmp(key(theirs));
                if descending { order.reverse() } else { order }
            }
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_) | None, None) => std::cmp::Ordering::Less,
        };
        match order {
            std::cmp::Ordering::Less => first.next(),
            std::cmp::Ordering::Greater => second.next(),
            std::cmp::Ordering::Equal => {
                second.next();
                first.next()
            }
        }
    })
}

fn bytes_of(key: &RowKey, row: Option<&Row>) -> usize {
    key.as_bytes().len().saturating_add(row.map_or(0, |row| row.value.len())) + ROW_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: u64) -> Row {
        Row { version, value: Bytes::from_static(b"value") }
    }

    fn group(rows: &[(&str, Option<u64>)], lines: &[&'static str]) -> Changes {
        let rows = rows.iter().map(|(key, version)| (RowKey::new(key), version.map(row)));
        let lines = lines.iter().map(|line| Bytes::from_static(line.as_bytes()));
        Changes { rows: rows.collect(), lines: lines.collect(), ..Changes::default() }
    }

    fn names(found: &[(RowKey, Option<Row>)]) -> Vec<(String, Option<u64>)> {
        let name = |key: &RowKey| String::from_utf8_lossy(key.as_bytes()).into_owned();
        found.iter().map(|(key, row)| (name(key), row.as_ref().map(|row| row.version))).collect()
    }

    fn overlay() -> Overlay {
        let mut overlay = Overlay::new(Progress { group: 4, lines: 10 });
        let first = group(&[("a", Some(1)), ("b", Some(1)), ("d", None)], &["eleven"]);
        overlay.add(&first, Progress { group: 5, lines: 11 });
        overlay.turn().unwrap();
        let second = group(&[("b", None), ("c", Some(7)), ("d", Some(2))], &["twelve"]);
        overlay.add(&second, Progress { group: 6, lines: 12 });
        overlay
    }

    #[test]
    fn what_came_last_hides_what_the_database_is_being_given() {
        let overlay = overlay();
        let all = KeyRange::prefix(&[]);
        let expected = [("a", Some(1)), ("b", None), ("c", Some(7)), ("d", Some(2))];
        let mut expected = expected.map(|(name, version)| (name.to_owned(), version)).to_vec();
        assert_eq!(names(&overlay.scan(&all, 10)), expected);
        assert_eq!(names(&overlay.scan(&all, 2)), expected[..3]);
        expected.reverse();
        assert_eq!(names(&overlay.scan(&all.descending(), 10)), expected);
        assert_eq!(overlay.find(&RowKey::new("b")), Found::Here(None));
        assert_eq!(overlay.find(&RowKey::new("e")), Found::Behind);
        assert_eq!(overlay.lines(0).len(), 2);
        assert_eq!(overlay.lines(11), [(12, Bytes::from_static(b"twelve"))]);
    }

    #[test]
    fn what_the_database_has_is_not_here_any_more_and_what_failed_is_given_again() {
        let mut overlay = overlay();
        let again = overlay.turn().unwrap();
        assert_eq!((again.progress.unwrap().group, overlay.turns()), (5, 1));
        overlay.settle(Progress { group: 5, lines: 11 });
        assert_eq!(overlay.find(&RowKey::new("a")), Found::Behind);
        let next = overlay.turn().unwrap();
        assert_eq!((next.progress.unwrap().group, overlay.turns(), overlay.bytes()), (6, 2, 0));
        overlay.settle(Progress { group: 6, lines: 12 });
        assert!(overlay.is_applied() && overlay.turn().is_none());
        assert!(overlay.scan(&KeyRange::prefix(&[]), 10).is_empty() && overlay.lines(0).is_empty());
    }

    #[test]
    fn what_is_written_over_does_not_count_twice() {
        let mut overlay = Overlay::new(Progress::default());
        let change = group(&[("a", Some(1))], &[]);
        overlay.add(&change, Progress { group: 1, lines: 0 });
        let once = overlay.bytes();
        overlay.add(&change, Progress { group: 2, lines: 0 });
        assert_eq!(overlay.bytes(), once);
    }
}
