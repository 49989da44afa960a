//! The first hour of some seeds; that they come out the same; and that what must not be is noticed.

use sim::{Failure, Offence, Options, Tally, simulate};

/// Seeds that each test looks at; `make sim` looks at more, and for longer.
const SEEDS: u64 = 10;

/// Of each seed the first time that things go wrong, until everything has ended.
fn first_of(seeds: std::ops::Range<u64>) -> Tally {
    let all = seeds.map(|seed| simulate(Options::new(seed, 0)).unwrap_or_else(|failure| panic!("{failure}")));
    all.fold(Tally::default(), Tally::and)
}

fn enough(tally: Tally) {
    assert!(tally.runs > 50 && tally.leases > 50 && tally.faults > 20, "{tally:?}");
    println!("{tally:?}");
}

#[test]
fn whatever_goes_wrong_everything_holds() {
    enough(first_of(100..100 + SEEDS));
}

#[test]
fn whatever_else_goes_wrong_everything_holds() {
    enough(first_of(200..200 + SEEDS));
}

#[test]
fn a_seed_comes_out_the_same_each_time() {
    let [one, two] = [0, 1].map(|_| first_of(7..8));
    assert_eq!(one, two);
    assert_ne!(one.digest, first_of(9..10).digest);
}

/// The first seed that notices an offence.
fn noticed(offence: Offence) -> Option<Box<Failure>> {
    (1..40).find_map(|seed| simulate(Options { offence: Some(offence), ..Options::new(seed, 0) }).err())
}

#[test]
fn what_must_not_be_is_noticed() {
    for offence in Offence::ALL {
        let failure = noticed(offence).unwrap_or_else(|| panic!("nobody notices {offence:?}"));
        println!("{offence:?}: seed {}: {}", failure.options.seed, failure.what);
        assert!(failure.to_string().contains("--seed"), "it says how to see it again");
    }
}
