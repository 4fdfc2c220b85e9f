//! A batch: what one commit expects, changes and puts on record, all of it or nothing.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::{Line, RowKey, StoreError};

/// Longest key in bytes; the keys of [`crate::keyspace`] have at most 50.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value in bytes: a request's body is no longer, and a sealed record a little.
pub const VALUE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest sealed line in bytes; one that touches 1,000 records takes about a tenth of it.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Most preconditions, puts and deletes of one batch together: an erasure batch of 4,096 targets
/// re-keys a path of a few nodes for each.
pub const BATCH_ROWS_MAX: usize = 65_536;
/// Most lines of one batch or append.
pub const BATCH_LINES_MAX: usize = 4_096;
/// Most bytes of keys and values in one batch.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A fact that a decision or a change rests on, or a precondition of a commit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expect {
    /// The row exists with this version.
    Version(RowKey, u64),
    /// There is no such row.
    Absent(RowKey),
}

impl Expect {
    /// The row it is about.
    pub fn key(&self) -> &RowKey {
        match self {
            Self::Version(key, _) | Self::Absent(key) => key,
        }
    }

    /// Whether a row whose version is `stored` (none if there is no row) is as expected.
    pub(crate) fn holds(&self, stored: Option<u64>) -> bool {
        match self {
            Self::Version(_, version) => stored == Some(*version),
            Self::Absent(_) => stored.is_none(),
        }
    }
}

/// A row as it will stand.
#[derive(Clone)]
pub(crate) struct Put {
    pub(crate) key: RowKey,
    pub(crate) version: u64,
    pub(crate) value: Bytes,
}

/// What one commit expects, changes and puts on record. A key is put or deleted at most once.
#[derive(Default)]
pub struct Batch {
    pub(crate) expects: Vec<Expect>,
    pub(crate) puts: Vec<Put>,
    pub(crate) deletes: Vec<RowKey>,
    pub(crate) lines: Vec<Box<dyn Line>>,
}

impl Batch {
    /// A batch that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The commit is a [`StoreError::Conflict`] unless this holds where commits are ordered.
    pub fn expect(&mut self, fact: Expect) -> &mut Self {
        self.expects.push(fact);
        self
    }

    /// Expects the row with this version. See [`Batch::expect`].
    pub fn expect_version(&mut self, key: RowKey, version: u64) -> &mut Self {
        self.expect(Expect::Version(key, version))
    }

    /// Expects that there is no such row. See [`Batch::expect`].
    pub fn expect_absent(&mut self, key: RowKey) -> &mut Self {
        self.expect(Expect::Absent(key))
    }

    /// Writes a row with its new version, which must be greater than the stored one. Without a
    /// precondition on the row a version that is not greater is a [`StoreError::Conflict`].
    pub fn put(&mut self, key: RowKey, version: u64, value: impl Into<Bytes>) -> &mut Self {
        self.puts.push(Put { key, version, value: value.into() });
        self
    }

    /// Removes a row; one that does not exist stays so. A row that comes again may begin with any
    /// version, so that rows whose versions are facts have keys that are not used again.
    pub fn delete(&mut self, key: RowKey) -> &mut Self {
        self.deletes.push(key);
        self
    }

    /// Puts a line on record with the change, in the same commit.
    pub fn line(&mut self, line: Box<dyn Line>) -> &mut Self {
        self.lines.push(line);
        self
    }

    /// The rows that it writes, with their new versions, for whoever keeps a record of them.
    pub fn writes(&self) -> impl Iterator<Item = (&RowKey, u64, &[u8])> {
        self.puts.iter().map(|put| (&put.key, put.version, put.value.as_ref()))
    }

    /// Whether it expects, changes and records nothing.
    pub fn is_empty(&self) -> bool {
        self.expects.is_empty()
            && self.puts.is_empty()
            && self.deletes.is_empty()
            && self.lines.is_empty()
    }

    /// Whether the store is the same after it.
    pub(crate) fn is_read_only(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty() && self.lines.is_empty()
    }

    /// The rows that it changes.
    pub(crate) fn changed_keys(&self) -> impl Iterator<Item = &RowKey> {
        self.puts.iter().map(|put| &put.key).chain(&self.deletes)
    }

    /// Bytes of keys and values, for the bounds of a batch and of a group of batches.
    pub(crate) fn size(&self) -> usize {
        let puts = self.puts.iter().map(|put| put.key.as_bytes().len() + put.value.len());
        let deletes = self.deletes.iter().map(|key| key.as_bytes().len());
        let expects = self.expects.iter().map(|fact| fact.key().as_bytes().len());
        puts.chain(deletes).chain(expects).fold(0, usize::saturating_add)
    }

    /// Refuses what no engine has to look at.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a bound is passed, a key changes twice, or a version does not grow;
    /// [`StoreError::Conflict`] if its preconditions contradict each other.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let rows = self.expects.len() + self.puts.len() + self.deletes.len();
        refuse_if(rows > BATCH_ROWS_MAX, "the batch has too many rows")?;
        refuse_if(self.size() > BATCH_BYTES_MAX, "the batch has too many bytes")?;
        refuse_if(self.lines.len() > BATCH_LINES_MAX, "the batch has too many lines")?;
        check_keys(self.expects.iter().map(Expect::key))?;
        check_keys(self.changed_keys())?;
        let mut changed = HashSet::with_capacity(self.puts.len() + self.deletes.len());
        for key in self.changed_keys() {
            refuse_if(!changed.insert(key), "the batch changes a row twice")?;
        }
        for put in &self.puts {
            refuse_if(put.value.len() > VALUE_BYTES_MAX, "a value is too long")?;
            refuse_if(put.version == 0, "versions count from 1")?;
        }
        self.check_versions()
    }

    /// Preconditions that contradict each other were read at different times: read again they need not.
    /// One that a put contradicts could never be met by running again.
    fn check_versions(&self) -> Result<(), StoreError> {
        let mut expected: HashMap<&RowKey, Option<u64>> = HashMap::new();
        for fact in &self.expects {
            let (key, version) = match fact {
                Expect::Version(key, version) => (key, Some(*version)),
                Expect::Absent(key) => (key, None),
            };
            if expected.insert(key, version).is_some_and(|before| before != version) {
                return Err(StoreError::Conflict);
            }
        }
        self.puts.iter().try_for_each(|put| {
            let before = expected.get(&put.key).copied().flatten();
            let shrinks = before.is_some_and(|version| put.version <= version);
            refuse_if(shrinks, "a put does not raise the version that the batch expects")
        })
    }
}

/// Refuses an append that no engine has to look at.
///
/// # Errors
/// [`StoreError::Refused`] if it has no line or a bound is passed.
pub(crate) fn check_append(lines: &[Box<dyn Line>], facts: &[Expect]) -> Result<(), StoreError> {
    refuse_if(lines.is_empty(), "an append has at least one line")?;
    refuse_if(lines.len() > BATCH_LINES_MAX, "the append has too many lines")?;
    refuse_if(facts.len() > BATCH_ROWS_MAX, "the append has too many facts")?;
    check_keys(facts.iter().map(Expect::key))
}

fn check_keys<'a>(mut keys: impl Iterator<Item = &'a RowKey>) -> Result<(), StoreError> {
    keys.try_for_each(|key| {
        let length = key.as_bytes().len();
        refuse_if(length == 0 || length > KEY_BYTES_MAX, "a key is empty or too long")
    })
}

pub(crate) fn refuse_if(wrong: bool, why: &'static str) -> Result<(), StoreError> {
    if wrong { Err(StoreError::Refused(why)) } else { Ok(()) }
}
