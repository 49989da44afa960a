//! Pools under random events: whatever happens in whatever order, what was promised holds after each.

mod random;
mod world;
