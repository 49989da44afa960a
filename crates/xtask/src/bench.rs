//! `cargo xtask bench`: the numbers of the README, measured in one interleaved run.

use std::path::Path;

/// Runs the named benchmarks (all without a name).
pub fn run(_root: &Path, _names: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("no benchmark yet")
}
