//! Room on the native stack for what walks a syntax tree recursively.

/// Enough for a walk over a tree of [`crate::limits::MAX_TREE_DEPTH`]: 5 KB a level in a debug build.
const ROOM: usize = 32 << 20;
const SEGMENT: usize = 64 << 20;

/// Runs `f` where it has room to recurse over any tree that [`crate::parse`] returns. Everything that reads, compiles,
/// checks or prints one does so in here; calls within each other cost nothing. Pages that are not touched take no memory.
pub fn with_room<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(ROOM, SEGMENT, f)
}
