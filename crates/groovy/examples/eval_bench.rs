//! Speed of the evaluator: instructions a second for small loops, and the time from text to first result.
//!
//! `eval_bench` prints a table; `eval_bench FILE` runs one script, prints what it prints and the value of its last expression.

use std::time::Instant;

use groovy::machine::{MachineLimits, PlainOutcome, run_plain};

const LOOPS: &[(&str, u64, &str)] = &[
    ("int loop", 2_000_000, "int s = 0; for (int i = 0; i < 2000000; i++) { s += i & 7 }; s"),
    ("while, untyped", 2_000_000, "def i = 0; def s = 0; while (i < 2000000) { s = s + i; i++ }; s"),
    ("binding variables", 1_000_000, "n = 0; while (n < 1000000) { n = n + 1 }; n"),
    ("method calls", 500_000, "def f(x) { x + 1 }; int s = 0; for (int i = 0; i < 500000; i++) { s = f(s) }; s"),
    ("closure calls", 500_000, "def f = { x -> x + 1 }; int s = 0; for (int i = 0; i < 500000; i++) { s = f(s) }; s"),
    ("each", 500_000, "def s = 0; (1..500000).each { s += it }; s"),
    ("list append, sum", 300_000, "def l = []; for (i in 1..300000) l << i; l.sum()"),
    (
        "map put and get",
        200_000,
        "def m = [:]; for (i in 1..200000) { m[i] = i }; def s = 0; for (i in 1..200000) s += m[i]; s",
    ),
    ("string building", 200_000, "def b = new StringBuilder(); for (i in 1..200000) b.append(\"x${i}\"); b.length()"),
    ("string methods", 200_000, "def n = 0; for (i in 1..200000) { n += 'a,b,c'.split(',').length }; n"),
];

fn run(source: &str, print: &mut dyn FnMut(&str)) -> PlainOutcome {
    let limits = MachineLimits { fuel: u64::MAX / 2, ..MachineLimits::default() };
    run_plain(source, &std::env::args().nth(1).unwrap_or("bench.groovy".into()), &[], limits, print)
}

fn main() {
    if let Some(file) = std::env::args().nth(1) {
        let Ok(source) = std::fs::read_to_string(&file) else {
            eprintln!("cannot read {file}");
            return;
        };
        match run(&source, &mut |text| print!("{text}")) {
            PlainOutcome::Finished { text, .. } => println!("=> {text}"),
            other => println!("{other:?}"),
        }
        return;
    }
    println!("{:<20} {:>12} {:>14}", "what", "ms", "rounds/s");
    for (name, rounds, source) in LOOPS {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let start = Instant::now();
                let outcome = run(source, &mut |_| ());
                assert!(matches!(outcome, PlainOutcome::Finished { .. }), "{name}: {outcome:?}");
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name:<20} {:>12.2} {:>14.0}", times[2] * 1e3, *rounds as f64 / times[2]);
    }
    for (name, source) in [("start: 1 + 1", "1 + 1"), ("start: first each", "[1, 2].each { it }")] {
        let start = Instant::now();
        for _ in 0..1000 {
            run(source, &mut |_| ());
        }
        println!("{name:<20} {:>12.4}", start.elapsed().as_secs_f64());
    }
}
