//! Where keys belong in maps that sort them.

use std::cmp::Ordering;

use indexmap::IndexMap;

use super::{Compared, Key, Value, compare_plain};

/// How a map that sorts its keys does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the keys compare.
    #[default]
    Natural,
    /// The other way round.
    Reverse,
    /// Texts, whose case does not count.
    CaseInsensitive,
}

impl Order {
    fn compare(self, held: &Value, key: &Value) -> Compared {
        match key {
            // A GString is compared as text with whatever is there.
            Value::GString(_) => Compared::Order(held.to_text().cmp(&key.to_text())),
            _ if self == Order::CaseInsensitive => {
                Compared::Order(held.to_text().to_lowercase().cmp(&key.to_text().to_lowercase()))
            }
            _ => match compare_plain(held, key) {
                Compared::Order(order) if self == Order::Reverse => Compared::Order(order.reverse()),
                compared => compared,
            },
        }
    }

    /// The position of the key that compares as equal, or the one where a new key goes. Behind what only the script can compare: a
    /// copy of what is sorted is sorted.
    pub(super) fn place(self, entries: &IndexMap<Key, Value>, key: &Value) -> Result<usize, usize> {
        let (mut low, mut high) = (0, entries.len());
        while low < high {
            let middle = (low + high) / 2;
            let Some((held, _)) = entries.get_index(middle) else { break };
            match self.compare(&held.0, key) {
                Compared::Order(Ordering::Equal) => return Ok(middle),
                Compared::Order(Ordering::Greater) => high = middle,
                Compared::Order(Ordering::Less) | Compared::Unknown => low = middle + 1,
            }
        }
        Err(low)
    }
}
