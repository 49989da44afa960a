//! Unpacks one layer blob again and again and prints what it took: `unpack_bench BLOB OUTPUT [ROUNDS]`.
//!
//! The children are the program `unpack-child` beside the directory of this one. Put blob and output on a tmpfs to see
//! the cost of the conversion alone; `taskset -c 0` shows it on one core.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use image::unpack::{Converter, Expected};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [blob, output, rest @ ..] = args.as_slice() else {
        eprintln!("unpack_bench BLOB OUTPUT [ROUNDS]");
        std::process::exit(2)
    };
    let rounds: usize = rest.first().and_then(|text| text.parse().ok()).unwrap_or(3);
    let child = std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.parent()?.parent()?.join("unpack-child")))
        .unwrap_or_else(|| PathBuf::from("unpack-child"));
    let mut times = vec![];
    for _ in 0..rounds.max(1) {
        let started = Instant::now();
        let blob = File::open(blob).expect("the blob opens");
        let image = File::options().read(true).write(true).create(true).truncate(true).open(output);
        let image = image.expect("the output opens");
        let done = Converter::new(&child, []).to_erofs(blob, &Expected::default(), &image);
        let took = started.elapsed();
        match done {
            Ok(done) => println!("{took:?} {done:?}"),
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(1)
            }
        }
        times.push(took);
    }
    times.sort();
    let median: Duration = times[times.len() / 2];
    println!("median {median:?} of {}", times.len());
}
