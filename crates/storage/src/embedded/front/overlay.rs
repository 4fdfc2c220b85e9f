//! What is durable at one moment: pieces that the database does not have, in the order of their groups, and
//! behind them the database.

use std::sync::Arc;

use bytes::Bytes;

use super::PIECE_BYTES;
use super::piece::{Found, Piece, Place};
use crate::embedded::engine::{Changes, Frozen, Progress};
use crate::{KeyRange, Row, RowKey};

/// One moment. It stays as it is while groups are added and the database is given others, so that whoever
/// holds it reads that moment and keeps nobody from writing.
#[derive(Clone)]
pub(super) struct Overlay {
    /// The oldest first; groups are added to the last.
    pieces: Vec<Arc<Piece>>,
    /// How far the groups are durable.
    durable: Progress,
    /// How far the database has them.
    applied: Progress,
    next_node: Option<u32>,
    /// The database as it was with the groups up to `applied`, of an engine that can keep it.
    behind: Option<Arc<Frozen>>,
}

impl Overlay {
    /// Nothing beyond what the database has.
    pub(super) fn new(applied: Progress, behind: Option<Arc<Frozen>>) -> Self {
        let pieces = vec![Arc::default()];
        Self { pieces, durable: applied, applied, next_node: None, behind }
    }

    /// Puts a group that has become durable where nobody sees it before it is [shown](Overlay::show).
    pub(super) fn put(&self, changes: &Changes, durable: Progress) {
        if let Some(last) = self.pieces.last() {
            last.add(changes, durable);
        }
    }

    /// Shows a group that was put here. Those who hold an earlier moment do not see it. A piece that is long
    /// enough for a write of the database gets nothing more.
    pub(super) fn show(&mut self, changes: &Changes, durable: Progress) {
        self.next_node = changes.next_node.or(self.next_node);
        self.durable = durable;
        if self.pieces.last().is_some_and(|last| last.bytes() >= PIECE_BYTES) {
            self.begin_piece();
        }
    }

    /// Begins a piece: to those before nothing is added any more.
    fn begin_piece(&mut self) {
        self.pieces.push(Arc::default());
    }

    /// The same if there is one piece alone, with something in it.
    pub(super) fn begin_piece_if_alone(&mut self) {
        if let [alone] = self.pieces.as_slice()
            && alone.first().is_some()
        {
            self.begin_piece();
        }
    }

    /// The oldest piece, if nothing is added to it any more.
    pub(super) fn oldest(&self) -> Option<&Arc<Piece>> {
        self.pieces.first().filter(|_| self.pieces.len() > 1)
    }

    /// The database has the oldest piece, up to this group, and looks like this.
    pub(super) fn settle(&mut self, applied: Progress, behind: Option<Arc<Frozen>>) {
        self.pieces.drain(..1);
        self.applied = applied;
        self.behind = behind;
    }

    /// The same rows are read in another way.
    pub(super) fn renew(&mut self, behind: Option<Arc<Frozen>>) {
        self.behind = behind;
    }

    /// The database as it was, of an engine that can keep it.
    pub(super) fn behind(&self) -> Option<&Arc<Frozen>> {
        self.behind.as_ref()
    }

    /// Bytes in memory that the database does not have.
    pub(super) fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes()).sum()
    }

    /// How far the database has them.
    pub(super) fn applied(&self) -> Progress {
        self.applied
    }

    /// The next node number, if it changed in a group that is here or was.
    pub(super) fn next_node(&self) -> Option<u32> {
        self.next_node
    }

    /// A row, if it is here.
    pub(super) fn find(&self, key: &RowKey) -> Found {
        let place = Place::of(key, self.durable.group);
        let newest_first = self.pieces.iter().rev().map(|piece| piece.find(&place));
        let mut here = newest_first.filter(|found| *found != Found::Behind);
        here.next().unwrap_or(Found::Behind)
    }

    /// What stands here of a range, in its direction, up to its first `limit` rows.
    pub(super) fn scan(&self, range: &KeyRange, limit: usize) -> Vec<(RowKey, Option<Row>)> {
        let newest_first =
            self.pieces.iter().rev().map(|piece| piece.rows(range, self.durable.group));
        let all = newest_first
            .reduce(|newer, older| Box::new(merged(newer, older, range.is_descending())));
        let (mut found, mut rows) = (Vec::new(), 0);
        for (key, row) in all.into_iter().flatten() {
            if rows == limit {
                break;
            }
            rows += usize::from(row.is_some());
            found.push((key, row));
        }
        found
    }

    /// The lines that the database does not have, after the first `seen` of all, with their numbers.
    pub(super) fn lines(&self, seen: u64) -> impl Iterator<Item = (u64, Bytes)> {
        let after = seen.max(self.applied.lines);
        self.pieces.iter().flat_map(move |piece| piece.lines(after, self.durable.lines))
    }
}

/// Two sequences of different keys each as one, in the same order; of two items with the same key only
/// that of the first sequence is in it.
pub(super) fn merged<V>(
    first: impl Iterator<Item = (RowKey, V)>,
    second: impl Iterator<Item = (RowKey, V)>,
    descending: bool,
) -> impl Iterator<Item = (RowKey, V)> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || {
        let order = match (first.peek(), second.peek()) {
            (Some((ours, _)), Some((theirs, _))) => {
                let order = ours.cmp(theirs);
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

    fn expected(rows: &[(&str, Option<u64>)]) -> Vec<(String, Option<u64>)> {
        rows.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect()
    }

    fn add(overlay: &mut Overlay, changes: &Changes, durable: Progress) {
        overlay.put(changes, durable);
        overlay.show(changes, durable);
    }

    /// Two pieces, of which the second changes rows of the first.
    fn overlay() -> Overlay {
        let mut overlay = Overlay::new(Progress { group: 4, lines: 10 }, None);
        let first = group(&[("a", Some(1)), ("b", Some(1)), ("d", None)], &["eleven"]);
        add(&mut overlay, &first, Progress { group: 5, lines: 11 });
        overlay.begin_piece();
        let second = group(&[("b", None), ("c", Some(7)), ("d", Some(2))], &["twelve"]);
        add(&mut overlay, &second, Progress { group: 6, lines: 12 });
        overlay
    }

    #[test]
    fn what_came_last_hides_what_came_before_and_the_database() {
        let overlay = overlay();
        let all = KeyRange::prefix(&[]);
        let mut rows = expected(&[("a", Some(1)), ("b", None), ("c", Some(7)), ("d", Some(2))]);
        assert_eq!(names(&overlay.scan(&all, 10)), rows);
        assert_eq!(names(&overlay.scan(&all, 2)), rows[..3]);
        rows.reverse();
        assert_eq!(names(&overlay.scan(&all.descending(), 10)), rows);
        assert_eq!(overlay.find(&RowKey::new("b")), Found::Here(None));
        assert_eq!(overlay.find(&RowKey::new("e")), Found::Behind);
        assert_eq!(overlay.lines(0).count(), 2);
        let last: Vec<_> = overlay.lines(11).collect();
        assert_eq!(last, [(12, Bytes::from_static(b"twelve"))]);
    }

    #[test]
    fn whoever_holds_a_moment_sees_nothing_of_what_comes_later() {
        let mut overlay = overlay();
        let before = overlay.clone();
        let later = group(&[("a", None), ("c", Some(8)), ("e", Some(1))], &["thirteen"]);
        add(&mut overlay, &later, Progress { group: 7, lines: 13 });
        overlay.begin_piece();
        overlay.settle(Progress { group: 5, lines: 11 }, None);
        let all = KeyRange::prefix(&[]);
        let rows = expected(&[("a", Some(1)), ("b", None), ("c", Some(7)), ("d", Some(2))]);
        assert_eq!(names(&before.scan(&all, 10)), rows);
        let mut backwards = names(&before.scan(&all.descending(), 10));
        backwards.reverse();
        assert_eq!(backwards, rows);
        assert_eq!(before.find(&RowKey::new("c")), Found::Here(Some(row(7))));
        assert_eq!(before.find(&RowKey::new("e")), Found::Behind);
        assert_eq!(before.lines(0).count(), 2);
        assert_eq!(overlay.find(&RowKey::new("a")), Found::Here(None));
        assert_eq!(overlay.find(&RowKey::new("c")), Found::Here(Some(row(8))));
    }

    #[test]
    fn what_the_database_has_is_not_here_any_more_and_a_piece_is_given_in_one_write() {
        let mut overlay = overlay();
        let given = overlay.oldest().unwrap().changes();
        assert_eq!(given.progress, Some(Progress { group: 5, lines: 11 }));
        assert_eq!((given.rows.len(), given.lines.len()), (3, 1));
        overlay.settle(Progress { group: 5, lines: 11 }, None);
        assert_eq!(overlay.find(&RowKey::new("a")), Found::Behind);
        assert!(overlay.oldest().is_none());
        let later = group(&[("c", None)], &[]);
        add(&mut overlay, &later, Progress { group: 7, lines: 12 });
        overlay.begin_piece();
        let given = overlay.oldest().unwrap().changes();
        assert_eq!(given.rows.get(&RowKey::new("c")), Some(&None));
        assert_eq!(given.progress, Some(overlay.durable));
        overlay.settle(overlay.durable, None);
        assert!(
            overlay.scan(&KeyRange::prefix(&[]), 10).is_empty()
                && overlay.lines(0).next().is_none()
        );
        assert_eq!((overlay.applied(), overlay.bytes()), (overlay.durable, 0));
    }
}
