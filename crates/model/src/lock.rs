//! What must not be done at the same time: `lock('staging') { … }`.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Most names of one lock.
pub const MAX_LOCK_NAMES: usize = 100;
/// Most bytes of them.
pub const MAX_LOCK_BYTES: usize = 2 << 10;

/// What is wanted, all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockWish {
    /// What is locked.
    pub names: Vec<String>,
    /// Of those who wait the larger goes first.
    pub priority: i64,
    /// Before those of its priority who wait already.
    pub newest_first: bool,
    /// Where it is not free it is not waited for.
    pub skips: bool,
    /// Milliseconds after which it is waited for no more; `None`: never.
    pub most_ms: Option<u64>,
}

impl LockWish {
    /// More than is taken.
    pub fn is_too_much(&self) -> bool {
        self.names.len() > MAX_LOCK_NAMES || self.names.iter().map(String::len).sum::<usize>() > MAX_LOCK_BYTES
    }
}

/// One who waits for a lock; of two who asked, the later has the larger turn.
#[derive(Clone, Debug)]
pub struct Waiting<T> {
    /// Who.
    pub who: T,
    /// What it wants.
    pub wish: LockWish,
}

/// Who gets what they wait for, given what others have. `waiting` is in the order in which they asked; who waits for several things at once
/// is passed by those who want only what is free.
///
/// Source: `LockableResourcesManager.queueContext` of the lockable-resources plugin, but for a priority of those that go in front of the others.
pub fn pass_on<T: Copy>(held: &BTreeSet<String>, waiting: &[Waiting<T>]) -> Vec<T> {
    let mut order: Vec<(usize, &Waiting<T>)> = waiting.iter().enumerate().collect();
    order.sort_by_key(|(turn, waiting)| {
        let wish = &waiting.wish;
        let (newest, oldest) = if wish.newest_first { (Reverse(*turn + 1), 0) } else { (Reverse(0), *turn) };
        (Reverse(wish.priority), newest, oldest)
    });
    let (mut held, mut have) = (held.clone(), Vec::new());
    for (_, Waiting { who, wish }) in order {
        if wish.names.iter().all(|name| !held.contains(name)) {
            held.extend(wish.names.iter().cloned());
            have.push(*who);
        }
    }
    have
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(who: u32, names: &[&str], change: impl Fn(&mut LockWish)) -> Waiting<u32> {
        let mut wish = LockWish { names: names.iter().map(|name| (*name).to_owned()).collect(), ..LockWish::default() };
        change(&mut wish);
        Waiting { who, wish }
    }

    #[test]
    fn who_asked_first_gets_what_is_free() {
        let plain = |_: &mut LockWish| {};
        let held = BTreeSet::from(["b".to_owned()]);
        let waiting =
            [wants(1, &["a", "b"], plain), wants(2, &["a"], plain), wants(3, &["a"], plain), wants(4, &["c"], plain)];
        assert_eq!(pass_on(&held, &waiting), [2, 4]);
        assert_eq!(pass_on(&BTreeSet::new(), &waiting), [1, 4]);
    }

    #[test]
    fn priority_comes_before_the_newest_and_that_before_the_oldest() {
        let plain = |_: &mut LockWish| {};
        let newest = |wish: &mut LockWish| wish.newest_first = true;
        let mut waiting = vec![
            wants(1, &["a"], plain),
            wants(2, &["a"], newest),
            wants(3, &["a"], |wish| wish.priority = 1),
            wants(4, &["a"], newest),
            wants(5, &["a"], plain),
        ];
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let next = pass_on(&BTreeSet::new(), &waiting);
            assert_eq!(next.len(), 1);
            waiting.retain(|waiting| waiting.who != next[0]);
            order.extend(next);
        }
        assert_eq!(order, [3, 4, 2, 1, 5]);
    }
}
