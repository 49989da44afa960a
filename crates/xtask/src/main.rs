//! Chores of this repository: `cargo run -p xtask -- tidy` checks the rules that no compiler checks, `matrix` prints what each driver
//! did in the conformance suite, `skips` what tests could not do, and whether they may.
//! Never shipped, never linked by another crate. Start reading at `tidy`.

mod crate_table;
mod matrix;
mod skips;
mod tidy;

use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => tidy::run(&root),
        Some("matrix") => matrix::run(&root, &std::env::args().skip(2).collect::<Vec<_>>()),
        Some("skips") => skips::run(&root, std::env::args().nth(2).as_deref()),
        _ => anyhow::bail!("usage: xtask tidy | matrix [DRIVER…] | skips [LIST]"),
    }
}
