//! Some hours of some seeds; that they come out the same; and that what must not be is noticed.

use sim::{Failure, Offence, Options, Tally, simulate};

/// Seeds that each test looks at; `make sim` looks at more.
const SEEDS: u64 = 8;

fn hours(seeds: std::ops::Range<u64>, hours: u64) -> Tally {
    let all = seeds.map(|seed| simulate(Options::new(seed, hours)).unwrap_or_else(|failure| panic!("{failure}")));
    all.fold(Tally::default(), Tally::and)
}

fn enough(tally: Tally) {
    assert!(tally.runs > 50 && tally.leases > 50 && tally.faults > 20, "{tally:?}");
    println!("{tally:?}");
}

#[test]
fn hours_of_the_first_seeds() {
    enough(hours(100..100 + SEEDS, 1));
}

#[test]
fn hours_of_other_seeds() {
    enough(hours(200..200 + SEEDS, 1));
}

#[test]
fn a_seed_comes_out_the_same_each_time() {
    let [one, two] = [0, 1].map(|_| hours(7..8, 1));
    assert_eq!(one, two);
    assert_ne!(one.digest, hours(8..9, 1).digest);
}

/// The first seed that notices an offence.
fn noticed(offence: Offence) -> Option<Box<Failure>> {
    (1..40).find_map(|seed| simulate(Options { offence: Some(offence), ..Options::new(seed, 1) }).err())
}

#[test]
fn what_must_not_be_is_noticed() {
    for offence in Offence::ALL {
        let failure = noticed(offence).unwrap_or_else(|| panic!("nobody notices {offence:?}"));
        println!("{offence:?}: seed {}: {}", failure.options.seed, failure.what);
        assert!(failure.to_string().contains("--seed"), "it says how to see it again");
    }
}
