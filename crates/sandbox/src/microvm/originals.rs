//! Machines to copy, by shape: as many as are kept at all, those that were asked for last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::kept;
use super::machine::Shape;
use super::saved::Saved;
use super::template::Template;

/// That there is nothing to copy of a shape counts for so long.
const NONE_COUNTS: Duration = Duration::from_secs(10 * 60);
/// So many copies in a row may fail; then machines of their shape boot each for a while, for what they are copied from is no good.
const MOST_FAILED: u32 = 3;

/// A machine to copy.
pub(super) enum Original {
    /// QEMU's.
    Template(Template),
    /// Of a monitor that is asked.
    Saved(Saved),
}

/// Empty until somebody has made it; `None`: it could not be made.
pub(super) type Cell = Arc<OnceCell<Option<Original>>>;

/// Those of a driver.
#[derive(Default)]
pub(super) struct Originals(BTreeMap<Shape, Slot>);

struct Slot {
    cell: Cell,
    asked_for: Instant,
    /// When it was known that there is none; that is tried again later.
    none_since: Instant,
    /// Copies that have failed since the last that has not.
    failed: u32,
}

impl Originals {
    /// The one of this shape.
    pub(super) fn of(&mut self, shape: Shape) -> Cell {
        let now = Instant::now();
        let is_over = |slot: &Slot| matches!(slot.cell.get(), Some(None)) && slot.none_since.elapsed() > NONE_COUNTS;
        if self.0.get(&shape).is_some_and(is_over) {
            self.0.remove(&shape);
        }
        if !self.0.contains_key(&shape)
            && self.0.len() >= kept::MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, slot)| slot.asked_for).map(|(shape, _)| *shape)
        {
            self.0.remove(&oldest);
        }
        let new = || Slot { cell: Arc::default(), asked_for: now, none_since: now, failed: 0 };
        let slot = self.0.entry(shape).or_insert_with(new);
        slot.asked_for = now;
        Arc::clone(&slot.cell)
    }

    /// A copy is there.
    pub(super) fn copied(&mut self, shape: Shape) {
        if let Some(slot) = self.0.get_mut(&shape) {
            slot.failed = 0;
        }
    }

    /// A copy has failed: a host that is busy for a while fails some. Whether it is one too many, and there is none to copy any more.
    pub(super) fn failed(&mut self, shape: Shape) -> bool {
        let Some(slot) = self.0.get_mut(&shape) else { return false };
        slot.failed += 1;
        let is_given_up = slot.failed >= MOST_FAILED;
        if is_given_up {
            (slot.cell, slot.none_since, slot.failed) = (Arc::new(OnceCell::new_with(Some(None))), Instant::now(), 0);
        }
        is_given_up
    }
}

#[cfg(test)]
mod tests {
    use model::limits::Limits;

    use super::super::Acceleration;
    use super::*;

    fn shape(mebibytes: u64) -> Shape {
        Shape::new(Acceleration::Tcg, &Limits::default(), mebibytes << 20, false)
    }

    #[test]
    fn as_many_machines_to_copy_are_held_as_are_kept() {
        let mut originals = Originals::default();
        let first = originals.of(shape(1));
        for number in 2..=kept::MOST as u64 {
            originals.of(shape(number));
        }
        assert!(Arc::ptr_eq(&first, &originals.of(shape(1))), "asked for again");
        originals.of(shape(100));
        assert!(Arc::ptr_eq(&first, &originals.of(shape(1))));
        assert!(originals.0.len() == kept::MOST && !originals.0.contains_key(&shape(2)), "asked for least lately");
    }

    #[test]
    fn what_is_no_good_is_tried_again_later() {
        let mut originals = Originals::default();
        let first = originals.of(shape(1));
        assert!(!originals.failed(shape(1)) && !originals.failed(shape(1)));
        originals.copied(shape(1));
        assert!(!originals.failed(shape(1)) && !originals.failed(shape(1)));
        assert!(Arc::ptr_eq(&first, &originals.of(shape(1))));
        assert!(originals.failed(shape(1)), "three in a row");
        assert!(matches!(originals.of(shape(1)).get(), Some(None)));
        let Some(past) = Instant::now().checked_sub(NONE_COUNTS + Duration::from_secs(1)) else { return };
        originals.0.get_mut(&shape(1)).unwrap().none_since = past;
        assert!(originals.of(shape(1)).get().is_none());
    }
}
