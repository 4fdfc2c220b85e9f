//! Sums over rows: what every change of the store adds to and takes from, so that a row that is
//! missing, or older than it was, is found (`docs/formats/integrity.md`).
//!
//! The store adds and subtracts where commits are ordered, in the transaction of the change itself;
//! what is added for a row, and what proves a sum, needs a key and comes from above.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use strongroom_model::TenantId;

use crate::keyspace::{self, RowKind};
use crate::{Row, RowKey, StoreError};

/// The first byte of a sum's row.
const FORMAT: u8 = 1;
/// Bytes of a sum without its tag: format, rows, and two numbers of 256 bits.
const CONTENT_BYTES: usize = 1 + 8 + 32 + 32;
const DAMAGED: StoreError = StoreError::Damaged("a sum over rows");
const NO_KEY: StoreError = StoreError::Unavailable("it is not unlocked yet");

/// What a sum needs a key for.
pub trait Summing: Send + Sync {
    /// What this row, as it stands, adds to a sum: a number of 256 bits that nobody without the key
    /// can know. It must not block.
    fn part(&self, key: &RowKey, standing: Standing) -> [u8; 32];

    /// What proves that the sum in this row was written by whoever has the key.
    fn tag(&self, key: &RowKey, version: u64, content: &[u8]) -> [u8; 32];
}

/// A number of 256 bits, big endian; additions wrap around.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Total([u8; 32]);

impl Total {
    /// The number with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Adds a part.
    pub fn add(&mut self, part: &[u8; 32]) {
        let mut carry = 0;
        for (to, from) in self.0.iter_mut().zip(part).rev() {
            let sum = u16::from(*to) + u16::from(*from) + carry;
            *to = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
    }

    /// Takes a part away.
    pub fn subtract(&mut self, part: &[u8; 32]) {
        let mut borrow = 0;
        for (to, from) in self.0.iter_mut().zip(part).rev() {
            let rest = 256 + u16::from(*to) - u16::from(*from) - borrow;
            *to = rest.to_le_bytes()[0];
            borrow = 1 - (rest >> 8);
        }
    }
}

/// A sum as it stands in its row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// How many rows it is over.
    pub rows: u64,
    /// What they add up to.
    pub total: Total,
    /// What the sums over policies add up to; zero but in the sum over the whole store.
    pub policies: Total,
}

impl Sum {
    /// Counts a row.
    pub fn add(&mut self, summing: &dyn Summing, key: &RowKey, standing: Standing) {
        self.rows = self.rows.saturating_add(1);
        self.total.add(&summing.part(key, standing));
    }

    /// Counts a row no more.
    fn remove(&mut self, summing: &dyn Summing, key: &RowKey, standing: Standing) {
        self.rows = self.rows.saturating_sub(1);
        self.total.subtract(&summing.part(key, standing));
    }

    fn change(
        &mut self,
        summing: &dyn Summing,
        key: &RowKey,
        before: Option<Standing>,
        after: Option<Standing>,
    ) {
        if let Some(before) = before {
            self.remove(summing, key, before);
        }
        if let Some(after) = after {
            self.add(summing, key, after);
        }
    }

    /// The value of its row.
    pub fn to_value(&self, summing: &dyn Summing, key: &RowKey, version: u64) -> Bytes {
        let mut value = Vec::with_capacity(CONTENT_BYTES + 32);
        value.push(FORMAT);
        value.extend_from_slice(&self.rows.to_be_bytes());
        value.extend_from_slice(&self.total.0);
        value.extend_from_slice(&self.policies.0);
        let tag = summing.tag(key, version, &value);
        value.extend_from_slice(&tag);
        value.into()
    }

    /// The sum in a row.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] unless whoever has the key wrote it, for this place and version.
    pub fn of_row(summing: &dyn Summing, key: &RowKey, row: &Row) -> Result<Self, StoreError> {
        let (content, tag) = row.value.split_at_checked(CONTENT_BYTES).ok_or(DAMAGED)?;
        // Whoever could measure this comparison would have the store's disk and could not try often.
        if tag != summing.tag(key, row.version, content) {
            return Err(DAMAGED);
        }
        let (format, rest) = content.split_first().ok_or(DAMAGED)?;
        let (rows, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let (total, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let policies = rest.first_chunk().ok_or(DAMAGED)?;
        if *format != FORMAT {
            return Err(DAMAGED);
        }
        let (total, policies) = (Total(*total), Total(*policies));
        Ok(Self { rows: u64::from_be_bytes(*rows), total, policies })
    }
}

/// What counts of a row: its version and, where rights rest on it, the mark of its value. After a restore
/// a row may have had two values in one version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The row's version.
    pub version: u64,
    /// The last bytes of a value that rights rest on: the tag of its seal.
    pub mark: Option<[u8; 16]>,
}

impl Standing {
    /// What counts of a row that stands under this key.
    pub fn of(key: &RowKey, version: u64, value: &[u8]) -> Self {
        let mark = is_policy(key).then(|| value.last_chunk().copied().unwrap_or_default());
        Self { version, mark }
    }

    /// What counts of a row that no rights rest on.
    pub const fn unmarked(version: u64) -> Self {
        Self { version, mark: None }
    }
}

/// A row before and after a change; none where there is no row.
#[derive(Clone, Copy)]
pub(crate) struct Change<'v> {
    /// The version that it had.
    pub(crate) before: Option<u64>,
    /// The version and the value that it will have.
    pub(crate) after: Option<(u64, &'v [u8])>,
}

/// Whether a store keeps sums, and with which key.
#[derive(Default)]
pub struct Sums(RwLock<Keeping>);

#[derive(Clone, Default)]
enum Keeping {
    /// Nobody has asked for sums.
    #[default]
    Not,
    /// What is summed is not written before the key is there.
    Later,
    Since(Arc<dyn Summing>),
}

impl Sums {
    /// From now on nothing that is summed is written, until [`Sums::keep`].
    pub fn keep_later(&self) {
        let mut keeping = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*keeping, Keeping::Not) {
            *keeping = Keeping::Later;
        }
    }

    /// From now on every change is summed. The sums that stand in the store must be over what stands
    /// there.
    pub fn keep(&self, summing: Arc<dyn Summing>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Keeping::Since(summing);
    }

    /// Until [`Sums::keep`] changes are not summed: the sums are taken anew afterwards.
    pub fn leave(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Keeping::Not;
    }

    /// Begins with a group that may change these rows.
    pub(crate) fn begin<'k>(&self, changed: impl Iterator<Item = &'k RowKey>) -> Summation {
        let keeping = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut keys = BTreeSet::new();
        if let Keeping::Since(_) = keeping {
            for key in changed {
                let Some((tenant, kind)) = place(key).filter(|(_, kind)| kind.is_summed()) else {
                    continue;
                };
                if keys.is_empty() {
                    keys.insert(keyspace::store_sum());
                }
                if kind.is_policy() {
                    keys.insert(keyspace::policy_sum(tenant));
                    keys.insert(key.clone());
                }
            }
        }
        Summation { keeping, keys: keys.into_iter().collect() }
    }
}

/// What a group of changes makes of the sums.
pub(crate) struct Summation {
    keeping: Keeping,
    /// The rows of the sums that may change, and those of policies that do; they have to be read.
    pub(crate) keys: Vec<RowKey>,
}

impl Summation {
    /// Whether there is nothing to be done.
    pub(crate) fn is_needless(&self) -> bool {
        matches!(self.keeping, Keeping::Not)
    }

    /// What becomes of the rows of the sums when a group of changes is made; none for one that is
    /// removed. `stored` has those of its `keys` that are there.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a sum was not written by whoever has the key;
    /// [`StoreError::Unavailable`] as long as the key is not there.
    pub(crate) fn fold<'k>(
        &self,
        changes: impl Iterator<Item = (&'k RowKey, Change<'k>)>,
        stored: &HashMap<RowKey, Row>,
    ) -> Result<Vec<(RowKey, Option<Row>)>, StoreError> {
        let summing = match &self.keeping {
            Keeping::Not => return Ok(Vec::new()),
            Keeping::Later => {
                let mut kinds = changes.filter_map(|(key, _)| place(key));
                return if kinds.any(|(_, kind)| kind.is_summed()) {
                    Err(NO_KEY)
                } else {
                    Ok(Vec::new())
                };
            }
            Keeping::Since(summing) => &**summing,
        };
        let store_key = keyspace::store_sum();
        let mut store: Option<Held> = None;
        let mut policies: BTreeMap<RowKey, Held> = BTreeMap::new();
        for (key, change) in changes {
            let Some((tenant, kind)) = place(key).filter(|(_, kind)| kind.is_summed()) else {
                continue;
            };
            let store = match &mut store {
                Some(store) => store,
                none => none.insert(Held::read(summing, &store_key, stored)?),
            };
            let before = match stored.get(key).filter(|_| kind.is_policy()) {
                Some(row) => Some(Standing::of(key, row.version, &row.value)),
                None => change.before.map(Standing::unmarked),
            };
            let after = change.after.map(|(version, value)| Standing::of(key, version, value));
            store.sum.change(summing, key, before, after);
            if kind.is_policy() {
                let at = keyspace::policy_sum(tenant);
                let held = match policies.remove(&at) {
                    Some(held) => held,
                    None => Held::read(summing, &at, stored)?,
                };
                policies.entry(at).or_insert(held).sum.change(summing, key, before, after);
            }
        }
        let Some(mut store) = store else { return Ok(Vec::new()) };
        let mut rows = Vec::with_capacity(policies.len() + 1);
        for (key, held) in policies {
            let before = (held.version > 0).then_some(held.version);
            let after = (held.sum.rows > 0).then_some(held.version.saturating_add(1));
            let (was, is) = (before.map(Standing::unmarked), after.map(Standing::unmarked));
            store.sum.change(summing, &key, was, is);
            if let Some(was) = was {
                store.sum.policies.subtract(&summing.part(&key, was));
            }
            if let Some(is) = is {
                store.sum.policies.add(&summing.part(&key, is));
            }
            let row = after
                .map(|version| Row { version, value: held.sum.to_value(summing, &key, version) });
            rows.push((key, row));
        }
        let version = store.version.saturating_add(1);
        let value = store.sum.to_value(summing, &store_key, version);
        rows.push((store_key, Some(Row { version, value })));
        Ok(rows)
    }
}

/// A sum and the version of its row; 0 if there is none.
struct Held {
    version: u64,
    sum: Sum,
}

impl Held {
    fn read(
        summing: &dyn Summing,
        key: &RowKey,
        stored: &HashMap<RowKey, Row>,
    ) -> Result<Self, StoreError> {
        let Some(row) = stored.get(key) else {
            return Ok(Self { version: 0, sum: Sum::default() });
        };
        Ok(Self { version: row.version, sum: Sum::of_row(summing, key, row)? })
    }
}

fn is_policy(key: &RowKey) -> bool {
    place(key).is_some_and(|(_, kind)| kind.is_policy())
}

/// The tenant and the kind of a row; none for keys that are not of [`crate::keyspace`].
fn place(key: &RowKey) -> Option<(TenantId, RowKind)> {
    let (tenant, rest) = key.as_bytes().split_first_chunk::<16>()?;
    let kind = RowKind::from_number(*rest.first()?)?;
    Some((TenantId::from_bytes(*tenant), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_taken_away_again_leaves_nothing() {
        let parts = [[0xFF; 32], [1; 32], [0x80; 32], [0; 32]];
        let mut total = Total::default();
        for part in &parts {
            total.add(part);
        }
        assert_ne!(total, Total::default());
        for part in parts.iter().rev() {
            total.subtract(part);
        }
        assert_eq!(total, Total::default());
        let mut one = [0; 32];
        one[31] = 1;
        total.subtract(&one);
        assert_eq!(total.to_bytes(), [0xFF; 32]);
        total.add(&one);
        assert_eq!(total, Total::default());
    }
}
