//! `make bench`: the numbers of the README, every contender of a table in the same interleaved run.
//!
//! Prints tables for people and writes `target/bench/NAME.jsonl` (`what`, `unit`, `n`, `median`, `p90`, `ratio_to`, `ratio`, where
//! `ratio` is this median divided by that of `ratio_to`). A contender that this machine lacks is named as skipped. Needs root
//! for the rows that compare containers. `cargo bench -p cli --bench numbers -- starts herd` runs only those.

mod buildbot;
mod drivers;
mod emulation;
mod herd;
mod hooks;
mod ingest;
mod kernels;
mod language;
mod large_log;
mod listing;
mod many;
mod measure;
mod memory;
mod peers;
mod pulls;
mod runs;
mod scheduling;
mod server;
mod starts;
mod stock;

use std::path::PathBuf;

use measure::Table;

/// Measures one table with a scratch folder.
type Benchmark = fn(&std::path::Path) -> Table;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let scratch = tempfile::Builder::new().prefix("cofferdam-bench.").tempdir().expect("a folder for the benchmark");
    let out = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    std::fs::create_dir_all(&out).expect("target/bench");
    let all: [(&str, Benchmark); 17] = [
        ("language", language::measure),
        ("starts", starts::measure),
        ("herd", herd::measure),
        ("kernels", kernels::measure),
        ("kernels-many", many::measure),
        ("kernels-emulation", emulation::measure),
        ("runs", runs::measure),
        ("server", server::measure),
        ("hooks", hooks::measure),
        ("buildbot", buildbot::measure),
        ("ingest", ingest::measure),
        ("scheduling", scheduling::measure),
        ("listing", listing::measure),
        ("large-log", large_log::measure),
        ("pulls", pulls::measure),
        ("unpacking", pulls::measure_unpacking),
        ("memory", memory::measure),
    ];
    for (name, measure) in all {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            let table = measure(scratch.path());
            table.print();
            table.write(&out.join(format!("{name}.jsonl")));
        }
    }
}
