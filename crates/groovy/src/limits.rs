//! Limits of the front end. A text beyond one of them is rejected with a diagnostic that names the limit.

/// Largest source text in bytes. The largest Jenkinsfile of the public sets has 100 KB; 4 MiB bounds the memory of one
/// parse to a few hundred MiB.
pub const MAX_SOURCE_BYTES: usize = 4 << 20;

/// How deep brackets, blocks, unary operators and other forms that the parser enters recursively may nest. Bounds the
/// native stack (see [`crate::stack`]). Brackets and blocks count twice. Groovy 2.4.21 itself ends with a
/// `StackOverflowError` between 200 and 300 lists or calls inside each other, and between 600 and 1200 blocks.
pub const MAX_NESTING: u32 = 1600;

/// How high the syntax tree may grow, counting nesting and the links of chains (`a + b + c`, `a.b().c()`, `else if`).
/// Bounds the native stack of everything that walks a tree recursively (see [`crate::stack`]: up to 5 KB a level) or drops
/// it. Groovy 2.4.21 itself ends with a `StackOverflowError` between 1000 and 1500 sums, 600 and 1000 calls, 1000 and 2000
/// `else if`; the longest chain in 8254 public files has fewer than 60 links.
pub const MAX_TREE_DEPTH: u32 = 2400;

/// Longest full name of a class, in bytes: package and the classes around it are in the name of each. The names of a text are held at
/// once, so that a longer one would multiply the text.
pub const MAX_CLASS_NAME_BYTES: usize = 1000;

/// After this many errors the parser gives up on a text.
pub const MAX_DIAGNOSTICS: usize = 40;

/// Steps that the parser may take for each token. A correct text needs fewer than 10; what needs more is an attack or a
/// defect of the parser, and ends with a diagnostic instead of a hang.
pub const FUEL_PER_TOKEN: u64 = 64;
