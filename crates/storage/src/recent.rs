//! A bounded map that forgets what nobody has asked for lately.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key, at most as many as it has places. When all are taken, a hand goes round the
/// places: what was asked for since the hand last passed is left for another round, the first that
/// was not goes (Corbató 1968, "second chance"). So one pass over many keys does not drive out those
/// that are always asked for.
pub struct Recent<K, V> {
    found: HashMap<K, usize>,
    places: Vec<Place<K, V>>,
    vacant: Vec<usize>,
    hand: usize,
    places_max: usize,
}

struct Place<K, V> {
    kept: Option<(K, V)>,
    asked_for: bool,
}

impl<K: Eq + Hash + Clone, V> Recent<K, V> {
    /// An empty map that keeps at most `places_max` values, and at least one.
    pub fn new(places_max: usize) -> Self {
        Self {
            found: HashMap::new(),
            places: Vec::new(),
            vacant: Vec::new(),
            hand: 0,
            places_max: places_max.max(1),
        }
    }

    /// The value under a key.
    pub fn find(&mut self, key: &K) -> Option<&V> {
        let place = self.places.get_mut(*self.found.get(key)?)?;
        place.asked_for = true;
        place.kept.as_ref().map(|(_, value)| value)
    }

    /// Keeps a value, in place of an earlier one under the key.
    pub fn keep(&mut self, key: K, value: V) {
        self.forget(&key);
        let at = self.free_place();
        if let Some(place) = self.places.get_mut(at) {
            *place = Place { kept: Some((key.clone(), value)), asked_for: false };
            self.found.insert(key, at);
        }
    }

    /// Forgets the value under a key.
    pub fn forget(&mut self, key: &K) {
        if let Some(at) = self.found.remove(key) {
            self.clear(at);
        }
    }

    /// Forgets the values whose keys are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&K) -> bool) {
        let unwanted: Vec<K> = self.found.keys().filter(|key| !wanted(key)).cloned().collect();
        for key in &unwanted {
            self.forget(key);
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn clear(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(at) {
            *place = Place { kept: None, asked_for: false };
            self.vacant.push(at);
        }
    }

    /// A place that holds nothing. The hand goes round at most twice.
    fn free_place(&mut self) -> usize {
        if let Some(at) = self.vacant.pop() {
            return at;
        }
        if self.places.len() < self.places_max {
            self.places.push(Place { kept: None, asked_for: false });
            return self.places.len() - 1;
        }
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.places.len();
            let Some(place) = self.places.get_mut(at) else { return at };
            if std::mem::take(&mut place.asked_for) {
                continue;
            }
            if let Some((key, _)) = place.kept.take() {
                self.found.remove(&key);
            }
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_asked_for_stays_while_others_pass() {
        let mut recent = Recent::new(8);
        recent.keep(0, "always");
        for key in 1..1_000 {
            recent.keep(key, "once");
            assert_eq!(recent.find(&0), Some(&"always"), "gone after {key}");
            assert!(recent.len() <= 8 && recent.places.len() <= 8);
        }
        assert_eq!(recent.find(&1), None);
        assert_eq!(recent.find(&999), Some(&"once"));
    }

    #[test]
    fn there_is_always_room_even_if_everything_was_asked_for() {
        let mut recent = Recent::new(3);
        for key in 0..100 {
            recent.keep(key, key);
            assert_eq!(recent.find(&key), Some(&key));
        }
        assert_eq!(recent.len(), 3);
    }

    #[test]
    fn what_was_forgotten_or_replaced_is_not_found() {
        let mut recent = Recent::new(4);
        for round in 0..50 {
            for key in 0..6 {
                recent.keep(key, round);
            }
            recent.keep(5, round + 1);
            assert_eq!(recent.find(&5), Some(&(round + 1)));
            recent.forget(&5);
            assert_eq!(recent.find(&5), None);
            recent.retain(|key| *key != 4);
            assert_eq!(recent.find(&4), None);
        }
        recent.retain(|_| false);
        assert!(recent.is_empty());
        assert_eq!(recent.vacant.len(), recent.places.len());
    }
}
