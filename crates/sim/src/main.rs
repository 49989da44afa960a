//! `sim`: many seeds, or one of them once more.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use sim::{Options, Tally, simulate};

/// Simulates a server and its agents, and says what did not hold.
#[derive(Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Simulated hours of each.
    #[arg(long, default_value_t = 10)]
    hours: u64,
    /// Seeds at the same time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Print everything that happens.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (next, done) = (AtomicU64::new(0), Mutex::new((Tally::default(), 0_u64)));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= args.seeds {
                        return;
                    }
                    let options = Options { prints: args.trace, ..Options::new(args.seed + index, args.hours) };
                    let simulated = simulate(options);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    match simulated {
                        Ok(tally) => done.0 = done.0.and(tally),
                        Err(failure) => {
                            eprintln!("{failure}\n");
                            done.1 += 1;
                        }
                    }
                }
            });
        }
    });
    let (tally, failures) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = began.elapsed().as_secs_f64();
    let hours = tally.ms as f64 / 3_600_000.0;
    println!(
        "{} seeds, {failures} of them failed: {hours:.0} hours in {seconds:.1} s ({:.0} a second); {} events ({:.0} a second), {} runs with \
         {} leases, {} servers killed, {} faults; digest {:016x}",
        args.seeds,
        hours / seconds,
        tally.events,
        tally.events as f64 / seconds,
        tally.runs,
        tally.leases,
        tally.kills,
        tally.faults,
        tally.digest,
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
