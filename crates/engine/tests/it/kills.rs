//! A run whose engine is lost at any word goes on with the same requests.

use engine::Session;
use wire::engine::{Journal, Said, Word};

use crate::keeper::{Keeper, Ran, Random, begin};
use crate::pipelines::{declarative, scripted};

fn sorted(ran: &Ran) -> Vec<String> {
    // Ids and folders are given out in the order in which things happen, which answers decide.
    let mut all: Vec<_> = ran.requests.iter().map(|request| what(&format!("{request:?}"))).collect();
    all.sort();
    all
}

/// Without numbers of jobs and steps.
fn what(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Everything that an engine says again when it is given the whole journal at once.
fn replayed(source: &str, journal: &Journal) -> Vec<String> {
    let (session, _) = Session::begin(begin(source));
    let mut session = session.unwrap();
    for word in Journal::restored(begin(source), journal.entries().to_vec(), journal.heard().0, 0).restart() {
        if let Word::Input { at, input } = word {
            session.give(at, input);
        }
    }
    let mut said = Vec::new();
    while !session.is_over() {
        for word in session.turn() {
            match word {
                Said::Request { id, request } => said.push(format!("{id} {request:?}")),
                Said::Cancel { id } => said.push(format!("cancel {id}")),
                Said::Event(event) => said.push(format!("{event:?}")),
                Said::Diverged { reason } => panic!("{reason}"),
                Said::Waits if said.len() >= journal.heard().0 as usize => return said,
                _ => {}
            }
        }
    }
    said
}

fn check(source: &str, seed: u64, is_steady: bool, abort_at: Option<u64>) -> u64 {
    let keeper = || Keeper::new(source, seed).aborting_at(abort_at);
    let whole = keeper().run(|_| false);
    let words = whole.journal.heard().0;
    assert_eq!(replayed(source, &whole.journal), whole.acted, "{source}");
    for at in 0..=words {
        let mut was_lost = false;
        let ran = keeper().run(|heard| heard == at && !std::mem::replace(&mut was_lost, true));
        assert_eq!(replayed(source, &ran.journal), ran.acted, "lost at {at} of\n{source}");
        if is_steady {
            assert_eq!(ran.end, whole.end, "lost at {at} of\n{source}");
            assert_eq!(sorted(&ran), sorted(&whole), "lost at {at} of\n{source}");
        }
    }
    // Again and again, at any place.
    let mut random = Random(seed);
    let mut losses = 0;
    let ran = keeper().run(|_| {
        let is_lost = losses < 40 && random.below(9) == 0;
        losses += u32::from(is_lost);
        is_lost
    });
    assert_eq!(replayed(source, &ran.journal), ran.acted, "lost {losses} times in\n{source}");
    words
}

#[test]
fn an_engine_may_be_lost_at_any_word_of_random_scripts() {
    let (mut words, mut requests) = (0, 0);
    for seed in 0..24 {
        let source = scripted(&mut Random(seed), true);
        words += check(&source, seed, true, None);
        requests += source.matches("sh ").count();
    }
    println!("lost at each of {words} words");
    assert!(words > 800 && requests > 10, "the scripts are too small: {words} words");
}

#[test]
fn and_of_scripts_whose_branches_end_each_other() {
    for seed in 0..14 {
        check(&scripted(&mut Random(1000 + seed), false), seed, false, None);
    }
}

#[test]
fn and_of_declarative_pipelines() {
    for seed in 0..10 {
        check(&declarative(&mut Random(seed)), seed, true, None);
    }
}

#[test]
fn and_of_runs_that_are_aborted() {
    for seed in 0..10 {
        check(&scripted(&mut Random(seed), false), seed, false, Some(5 + seed));
    }
}

/// A journal of one definition is none for another.
#[test]
fn another_engine_is_found_out() {
    let ran = Keeper::new("node { sh 'a'; sh 'b' }", 1).run(|_| false);
    let (heard, digest) = ran.journal.heard();
    let mut journal =
        Journal::restored(begin("node { sh 'a'; sh 'c' }"), ran.journal.entries().to_vec(), heard, digest);
    let mut words = journal.restart();
    let Word::Begin(begin) = words.remove(0) else { panic!() };
    let (session, said) = Session::begin(*begin);
    let mut session = session.unwrap();
    journal.hear(said).unwrap();
    let mut error = None;
    while error.is_none() && !session.is_over() {
        for word in words.drain(..) {
            let Word::Input { at, input } = word else { panic!() };
            session.give(at, input);
        }
        for said in session.turn() {
            match journal.hear(said) {
                Ok((_, more)) => words.extend(more),
                Err(found) => error = error.or(Some(found.to_string())),
            }
        }
    }
    assert!(error.is_some_and(|error| error.contains("does not do again")), "nobody noticed");
}

#[test]
fn an_engine_that_says_more_than_a_turn_takes_is_replaced_like_others() {
    let source = "def s = ('x' * 60000 + '\\n') * 100\n\
                  node { parallel a: { echo s; sh 'make 1'; echo s }, b: { echo s; sh 'make 2' } }\n";
    let keeper = || Keeper::new(source, 7);
    let whole = keeper().run(|_| false);
    let words = whole.journal.heard().0;
    assert!(words > 300);
    for at in [1, words / 3, words / 2, words - 1] {
        let mut was_lost = false;
        let ran = keeper().run(|heard| heard == at && !std::mem::replace(&mut was_lost, true));
        assert_eq!(replayed(source, &ran.journal), ran.acted, "lost at {at}");
        assert_eq!((ran.end.clone(), sorted(&ran)), (whole.end.clone(), sorted(&whole)), "lost at {at}");
    }
}
