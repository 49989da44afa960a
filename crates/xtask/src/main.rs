//! Chores of this repository: `cargo xtask tidy` (rules that no compiler checks) and `cargo xtask bench` (the table of numbers).
//! Never shipped, never linked by another crate. Start reading at `tidy`.

mod bench;
mod crate_table;
mod tidy;

use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("tidy") => tidy::run(&root),
        Some("bench") => bench::run(&root, &args.collect::<Vec<_>>()),
        _ => anyhow::bail!("usage: xtask tidy | xtask bench [NAME...]"),
    }
}
