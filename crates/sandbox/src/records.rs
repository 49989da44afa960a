//! What a driver remembers of its sandboxes: all that live, and of those that have ended the latest, so that whoever asks again how one
//! ended is answered. A driver lives as long as its agent, and makes sandboxes all the time.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// So many that have ended are remembered.
pub const MOST_ENDED: usize = 4096;

/// Records by the ids of sandboxes.
#[derive(Debug)]
pub struct Records<K, T> {
    all: HashMap<K, T>,
    /// The latest last.
    ended: VecDeque<K>,
}

impl<K, T> Default for Records<K, T> {
    fn default() -> Self {
        Records { all: HashMap::new(), ended: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash, T> Records<K, T> {
    /// One that lives.
    pub fn insert(&mut self, id: K, record: T) {
        self.all.insert(id, record);
    }

    /// `None`: it was never there, or ended before many others.
    pub fn get(&self, id: K) -> Option<&T> {
        self.all.get(&id)
    }

    /// As [`get`](Records::get).
    pub fn get_mut(&mut self, id: K) -> Option<&mut T> {
        self.all.get_mut(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.all.iter()
    }

    /// All of them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.all.values_mut()
    }

    /// Forgets one that never lived.
    pub fn remove(&mut self, id: K) {
        self.all.remove(&id);
    }

    /// It has ended; said once of each. Of too many, that which ended first is forgotten.
    pub fn ended(&mut self, id: K) {
        self.ended.push_back(id);
        if self.ended.len() > MOST_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_live_and_the_latest_that_ended_are_remembered() {
        let mut records = Records::default();
        let count = MOST_ENDED + 3;
        for id in 0..count {
            records.insert(id, id);
        }
        // All but the first, which lives on.
        (1..count).for_each(|id| records.ended(id));
        let known: Vec<_> = (0..6).map(|id| records.get(id).copied()).collect();
        assert_eq!(known, [Some(0), None, None, Some(3), Some(4), Some(5)]);
        assert_eq!(records.all.len(), MOST_ENDED + 1);
    }
}
