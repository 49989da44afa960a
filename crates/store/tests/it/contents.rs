//! What many runs are told, libraries and steps: kept once, and told whole.

use std::io::{BufRead as _, BufReader};

use model::added_step::StepFile;
use model::ids::RequestId;
use model::library::{FileContent, Library, LibraryFile};
use model::outcome::Outcome;
use model::pod::PodDefinition;
use model::request::Reply;
use model::run::RunFacts;
use store::{Old, Run, Store};
use wire::agent::Definition;
use wire::engine::{Input, Word};

use crate::cases::{create, end, put};

/// The answer to a request for a library that has this.
pub fn library(id: u64, commit: &str, text: &str) -> Input {
    let file = |path: &str, content| LibraryFile { path: path.to_owned(), content };
    let files = vec![
        file("resources/x.bin", FileContent::Base64("/wA=".to_owned())),
        file("vars/greet.groovy", FileContent::Text(text.to_owned())),
    ];
    let library = Library { version: Some("main".to_owned()), commit: Some(commit.to_owned()), files };
    Input::Answer { id: RequestId(id), reply: Reply::Library(library) }
}

async fn told(store: &Store, run: &Run) -> Vec<Input> {
    let journal = store.journal(run, "echo 1", "Jenkinsfile").await.unwrap();
    journal.entries().iter().map(|entry| entry.input.clone()).collect()
}

/// How many contents there are, and how many bytes the inputs have in their rows.
async fn kept(store: &Store) -> (usize, usize) {
    let mut written = Vec::new();
    store.backup(&mut written).await.unwrap();
    let lines = BufReader::new(zstd::Decoder::new(written.as_slice()).unwrap()).lines().map(Result::unwrap);
    lines.fold((0, 0), |(contents, bytes), line| match &line {
        line if line.starts_with("{\"contents\"") => (contents + 1, bytes),
        line if line.starts_with("{\"inputs\"") => (contents, bytes + line.len()),
        _ => (contents, bytes),
    })
}

async fn forget(store: &Store, run: &Run) {
    store.finish_run(run.id, &end(Outcome::Success), 100).await.unwrap();
    let old = Old { before: Some(101), beyond: None };
    assert_eq!(store.forget_runs(run.project, old, 9, 500).await.unwrap(), 1);
}

pub async fn a_library_is_kept_once(store: Store, other: Store) {
    put(&store, "app").await;
    let text = "def call() { echo 'ä \u{0}' }\n".repeat(10_000);
    let mut runs = Vec::new();
    for _ in 0..8 {
        runs.push(create(&store, "app").await);
    }
    // What differs in its version alone is the same, as is what one run is told twice.
    let inputs = [library(1, "c1", &text), library(2, "c2", &text), Input::Abort { reason: "x".into() }];
    let tasks = runs.iter().map(|run| {
        let (store, run, inputs) = (store.clone(), run.id, inputs.clone());
        tokio::spawn(async move {
            for (seq, input) in inputs.iter().enumerate() {
                store.add_input(run, seq, input).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    store.add_input(runs[0].id, 3, &library(4, "c3", "another")).await.unwrap();
    for run in &runs[1..] {
        assert!(told(&store, run).await == inputs);
    }
    assert_eq!(told(&store, &runs[0]).await[3], library(4, "c3", "another"));
    let (contents, bytes) = kept(&store).await;
    assert!(contents == 2 && bytes < text.len() / 10, "{contents} contents, {bytes} bytes of inputs");
    // One that came too late names nothing.
    assert!(store.add_input(runs[1].id, 0, &library(1, "c1", "late")).await.is_err());
    assert_eq!(kept(&store).await.0, 2);
    let mut written = Vec::new();
    store.backup(&mut written).await.unwrap();
    other.restore(written.as_slice()).await.unwrap();
    for store in [&store, &other] {
        forget(store, &runs[0]).await;
        assert_eq!(kept(store).await.0, 1, "nobody else was told that");
        for run in &runs[1..7] {
            forget(store, run).await;
        }
        assert!(told(store, &runs[7]).await == inputs, "the last that was told");
        forget(store, &runs[7]).await;
        assert_eq!(kept(store).await, (0, 0));
    }
}

/// One run is forgotten while another is told the same.
pub async fn what_goes_comes_again(store: Store) {
    put(&store, "app").await;
    let input = library(1, "c1", "def call() {}");
    for _ in 0..20 {
        let (old, new) = (create(&store, "app").await, create(&store, "app").await);
        store.add_input(old.id, 0, &input).await.unwrap();
        let forgets = tokio::spawn({
            let (store, old) = (store.clone(), old.clone());
            async move { forget(&store, &old).await }
        });
        store.add_input(new.id, 0, &input).await.unwrap();
        forgets.await.unwrap();
        assert!(told(&store, &new).await == std::slice::from_ref(&input));
        forget(&store, &new).await;
        assert_eq!(kept(&store).await.0, 0);
    }
}

pub async fn the_steps_of_a_project_are_kept_once(store: Store) {
    put(&store, "app").await;
    let steps = vec![StepFile { name: "tell.toml".into(), text: "groovy = 'x'\u{0}".into() }];
    let found = Definition { text: "tell()".into(), steps: steps.clone(), ..Definition::default() };
    let pods = vec![PodDefinition { name: "maven".into(), yaml: "spec: {}".into() }];
    let (one, other) = (create(&store, "app").await, create(&store, "app").await);
    for run in [&one, &other] {
        let facts = RunFacts { pods: pods.clone(), ..run.facts.clone() };
        for _ in 0..2 {
            store.set_definition(run.id, &found, Some(&facts), 30).await.unwrap();
        }
        // Not in each row of a list.
        assert_eq!(store.run(run.id).await.unwrap().unwrap().facts.pods, []);
    }
    assert_eq!(kept(&store).await.0, 1);
    forget(&store, &one).await;
    let words = store.journal(&other, "tell()", "Jenkinsfile").await.unwrap().restart();
    assert!(
        matches!(&words[..], [Word::Begin(begin)] if begin.facts.step_files == steps && begin.facts.pods == pods),
        "{words:?}"
    );
    forget(&store, &other).await;
    assert_eq!(kept(&store).await.0, 0);
}
