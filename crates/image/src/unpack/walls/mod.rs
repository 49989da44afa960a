//! The walls around a child: raised by itself, before it reads a byte.

mod calls;
mod rise;

pub(super) use rise::{Enclosure, landlock, raise, set_limits};
