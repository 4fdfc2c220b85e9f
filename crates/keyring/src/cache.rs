//! A map that forgets: bounded in size and in the age of what it keeps.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Longest time for which an opened key stays in memory.
pub(crate) const AGE_MAX: Duration = Duration::from_mins(1);

/// Values with the version of the row they came from, oldest first out.
pub(crate) struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    order: VecDeque<(K, u64)>,
    stamp: u64,
    limit: usize,
}

struct Entry<V> {
    value: V,
    version: u64,
    stored: Duration,
    stamp: u64,
}

impl<K: Eq + Hash + Copy, V: Clone> Cache<K, V> {
    /// An empty map that keeps at most `limit` values.
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), stamp: 0, limit }
    }

    /// The value and its version, unless it is too old.
    pub(crate) fn find(&mut self, key: &K, now: Duration) -> Option<(V, u64)> {
        self.expire(now);
        self.entries.get(key).map(|entry| (entry.value.clone(), entry.version))
    }

    /// Keeps a value; the oldest goes if there are too many.
    pub(crate) fn insert(&mut self, key: K, value: V, version: u64, now: Duration) {
        self.expire(now);
        self.stamp += 1;
        let entry = Entry { value, version, stored: now, stamp: self.stamp };
        self.entries.insert(key, entry);
        self.order.push_back((key, self.stamp));
        while self.entries.len() > self.limit || self.order.len() > 2 * self.limit {
            if !self.drop_oldest() {
                break;
            }
        }
    }

    /// Drops a value.
    pub(crate) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Drops the values whose keys are not wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| wanted(key));
    }

    /// Drops what is too old.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some((key, stamp)) = self.order.front() {
            let fresh = self.entries.get(key).is_some_and(|entry| {
                entry.stamp == *stamp && now.saturating_sub(entry.stored) <= AGE_MAX
            });
            if fresh {
                break;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((key, stamp)) = self.order.pop_front() else { return false };
        if self.entries.get(&key).is_some_and(|entry| entry.stamp == stamp) {
            self.entries.remove(&key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn a_value_is_not_found_after_its_time() {
        let mut cache = Cache::new(4);
        cache.insert(1, "one", 7, NOW);
        assert_eq!(cache.find(&1, NOW + AGE_MAX), Some(("one", 7)));
        assert_eq!(cache.find(&1, NOW + AGE_MAX + Duration::from_nanos(1)), None);
        assert!(cache.entries.is_empty() && cache.order.is_empty());
    }

    #[test]
    fn there_are_never_more_values_than_the_limit() {
        let mut cache = Cache::new(4);
        for round in 0..100u64 {
            cache.insert(round % 7, round, round, NOW);
            assert!(cache.entries.len() <= 4 && cache.order.len() <= 8);
        }
        assert_eq!(cache.find(&(99 % 7), NOW), Some((99, 99)));
        cache.remove(&(99 % 7));
        assert_eq!(cache.find(&(99 % 7), NOW), None);
    }

    #[test]
    fn a_value_that_is_stored_again_counts_its_time_anew() {
        let mut cache = Cache::new(4);
        cache.insert(1, "one", 1, NOW);
        cache.insert(1, "two", 2, NOW + AGE_MAX);
        assert_eq!(cache.find(&1, NOW + AGE_MAX + AGE_MAX), Some(("two", 2)));
    }
}
