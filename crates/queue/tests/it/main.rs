//! Pools and the line under random events: whatever happens in whatever order, what was promised holds after each.

mod line;
mod random;
mod world;
