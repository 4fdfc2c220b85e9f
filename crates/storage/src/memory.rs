//! The engine without a disk: the reference that the others are compared with.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::batch::{Put, check_append, refuse_if};
use crate::chain::Chain;
use crate::line::AppendPosition;
use crate::store::{KEYS_MAX, PAGE_MAX};
use crate::sums::Change;
use crate::{
    BATCH_BYTES_MAX, Batch, Committed, Description, Expect, KeyRange, Line, LinePosition,
    LineRange, Row, RowKey, Store, StoreError, Sums,
};

/// A store that lives with its process. "Durable" means: for as long as this value.
pub struct MemoryStore {
    state: Mutex<State>,
    sums: Sums,
}

struct State {
    rows: BTreeMap<RowKey, Row>,
    commits: Lane,
    appends: Lane,
    next_node: u32,
}

/// The lines of commits or of appends, and how many groups they came in.
struct Lane {
    chain: Chain,
    lines: Vec<Bytes>,
    groups: u64,
}

impl Lane {
    fn new(node: u32) -> Self {
        Self { chain: Chain::new(node), lines: Vec::new(), groups: 0 }
    }

    fn record(&mut self, lines: &[Box<dyn Line>]) -> Result<Committed, StoreError> {
        let sealed = self.chain.seal(lines, BATCH_BYTES_MAX)?;
        self.lines.extend(sealed.lines);
        self.groups += 1;
        Ok(Committed::new(sealed.places))
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let (commits, appends) = (Lane::new(1), Lane::new(2));
        let state = State { rows: BTreeMap::new(), commits, appends, next_node: 3 };
        Self { state: Mutex::new(state), sums: Sums::default() }
    }

    /// The same rows and lines as after a new start: with new node numbers.
    pub fn reopened(self) -> Self {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.commits.chain = Chain::new(state.next_node);
        state.appends.chain = Chain::new(state.next_node + 1);
        state.next_node += 2;
        Self { state: Mutex::new(state), sums: Sums::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn version(&self, key: &RowKey) -> Option<u64> {
        self.rows.get(key).map(|row| row.version)
    }

    /// What a batch does to rows.
    fn changes<'b>(&self, batch: &'b Batch) -> impl Iterator<Item = (&'b RowKey, Change<'b>)> {
        let puts = batch.puts.iter().map(|put| (&put.key, Some((put.version, &*put.value))));
        let deletes = batch.deletes.iter().map(|key| (key, None));
        puts.chain(deletes).map(|(key, after)| (key, Change { before: self.version(key), after }))
    }

    fn stored(&self, keys: &[RowKey]) -> HashMap<RowKey, Row> {
        let rows = keys.iter().map(|key| Some((key.clone(), self.rows.get(key)?.clone())));
        rows.flatten().collect()
    }

    fn hold(&self, facts: &[Expect]) -> Result<(), StoreError> {
        if facts.iter().all(|fact| fact.holds(self.version(fact.key()))) {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        refuse_if(keys.len() > KEYS_MAX, "too many keys at once")?;
        let state = self.state();
        Ok(keys.iter().map(|key| state.rows.get(key).cloned()).collect())
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        refuse_if(limit > PAGE_MAX, "the page is too long")?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let end = range.end().map_or(Bound::Unbounded, |end| Bound::Excluded(RowKey::new(end)));
        let start = Bound::Included(RowKey::new(range.start()));
        let state = self.state();
        let rows = state.rows.range((start, end)).map(|(key, row)| (key.clone(), row.clone()));
        Ok(if range.is_descending() {
            rows.rev().take(limit).collect()
        } else {
            rows.take(limit).collect()
        })
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        batch.check()?;
        let mut state = self.state();
        state.hold(&batch.expects)?;
        let grows = |put: &Put| state.version(&put.key).is_none_or(|stored| put.version > stored);
        if !batch.puts.iter().all(grows) {
            return Err(StoreError::Conflict);
        }
        let summation = self.sums.begin(batch.changed_keys());
        let sums = summation.fold(state.changes(&batch), &state.stored(&summation.keys))?;
        let committed = state.commits.record(&batch.lines)?;
        for put in batch.puts {
            state.rows.insert(put.key, Row { version: put.version, value: put.value });
        }
        for key in &batch.deletes {
            state.rows.remove(key);
        }
        for (key, row) in sums {
            match row {
                Some(row) => state.rows.insert(key, row),
                None => state.rows.remove(&key),
            };
        }
        Ok(committed)
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        check_append(&lines, &facts)?;
        let mut state = self.state();
        state.hold(&facts)?;
        state.appends.record(&lines)
    }

    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
        refuse_if(range.limit > PAGE_MAX, "the page is too long")?;
        let state = self.state();
        let mut position = range.after;
        let mut found = Vec::new();
        let seen = usize::try_from(position.commits).unwrap_or(usize::MAX);
        for line in state.commits.lines.iter().skip(seen) {
            if found.len() == range.limit {
                return Ok(found);
            }
            position.commits += 1;
            if range.wants(line) {
                found.push((position, line.clone()));
            }
        }
        let seen = usize::try_from(position.appends.index).unwrap_or(usize::MAX);
        for line in state.appends.lines.iter().skip(seen) {
            if found.len() == range.limit {
                return Ok(found);
            }
            let index = position.appends.index.saturating_add(1);
            position.appends = AppendPosition { index, ..position.appends };
            if range.wants(line) {
                found.push((position, line.clone()));
            }
        }
        Ok(found)
    }

    fn sums(&self) -> &Sums {
        &self.sums
    }

    fn describe(&self) -> Description {
        let state = self.state();
        Description {
            engine: "memory",
            commit_groups: state.commits.groups,
            append_groups: state.appends.groups,
            syncs: 0,
        }
    }
}
