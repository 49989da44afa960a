//! What a script says, and what it gives the run to keep, is bounded in memory.

use model::event::Event;
use model::limits::{MAX_LOG_LINE_BYTES, MAX_TURN_BYTES};
use model::outcome::Outcome;
use pipeline::conformance::Fixture;
use pipeline::engine::{Engine, Output, RunInput};

use crate::engine::run;
use crate::engine_ran::Ran;
use crate::engine_world::World;

fn input(source: &str) -> RunInput {
    RunInput { source: source.to_owned(), file_name: "Jenkinsfile".to_owned(), ..RunInput::default() }
}

/// Runs it with room for so many MiB of values.
fn with_heap(mib: usize, source: &str) -> Ran {
    let mut input = input(source);
    input.limits.heap_bytes = mib << 20;
    World::new(Fixture::default()).run_input(input).unwrap()
}

/// Bytes of a log of so many lines, and the most outputs of one turn.
fn check_turns(source: &str, bytes: usize, lines: usize) {
    let mut engine = Engine::new(input(source)).unwrap();
    let (mut all, mut count) = (0, 0);
    loop {
        let outputs = engine.poll();
        let texts = outputs.iter().filter_map(|output| match output {
            Output::Event(Event::Log { text, .. }) => Some(text.len()),
            _ => None,
        });
        let turn: usize = texts.clone().sum();
        assert!(turn <= MAX_TURN_BYTES + MAX_LOG_LINE_BYTES, "{turn} bytes in a turn of {source}");
        assert!(outputs.len() <= MAX_TURN_BYTES / 64, "{} outputs in a turn of {source}", outputs.len());
        (all, count) = (all + turn, count + texts.filter(|length| *length != 10).count());
        if let Some(end) = engine.end() {
            assert!(!engine.is_busy());
            assert_eq!(end.outcome, Outcome::Success, "{source}");
            break;
        }
        assert!(engine.is_busy(), "{source}");
    }
    assert!(all >= bytes && count >= lines, "{all} bytes, {count} lines of {source}");
}

#[test]
fn a_turn_ends_where_much_was_said() {
    let text = "def s = ('y' * 9999 + '\\n') * 100\n";
    check_turns(&format!("{text}for (int i = 0; i < 40; i++) {{ echo s }}"), 39_000_000, 4000);
    check_turns(&format!("{text}for (int i = 0; i < 40; i++) {{ println s }}"), 39_000_000, 4000);
    let branches = (0..40).map(|n| format!("b{n}: {{ echo s }}")).collect::<Vec<_>>().join(", ");
    check_turns(&format!("{text}parallel {branches}"), 39_000_000, 4000);
    check_turns("echo '\\n' * 500_000", 0, 500_000);
}

#[test]
fn a_line_of_a_script_is_no_longer_than_others() {
    let ran = run("echo 'x' * 70_000 + 'end'\nerror 'y' * 70_000");
    ran.is(Outcome::Failure).has("xx … [4467 bytes cut: a line has at most 64 KiB]").lacks("end");
    assert!(ran.end.message.is_some_and(|message| message.len() < MAX_LOG_LINE_BYTES + 100));
    run(&format!("echo 'x' * {MAX_LOG_LINE_BYTES}")).is(Outcome::Success).lacks("bytes cut");
}

#[test]
fn what_is_said_without_an_end_of_the_turn_counts_as_memory() {
    let ran = with_heap(16, "@groovy.transform.Field def s = 'y' * 60_000\ndef f() { println s; f() }\nf()");
    ran.is(Outcome::Failure).has("memory limit of 16777216 bytes");
}

#[test]
fn variables_of_the_run_have_a_limit_that_names_itself() {
    let limit = "the variables of env grew beyond their limit of 16 MiB: A16 was not set";
    for set in ["env[\"A${i}\"] = s", "env.put(\"A${i}\", s)"] {
        let ran = run(&format!("def s = 'x' * 1_000_000\nfor (int i = 0; ; i++) {{ {set} }}"));
        ran.is(Outcome::Failure).has(limit);
    }
    // What takes the place of another takes no more room.
    run("def s = 'x' * 1_000_000\nfor (int i = 0; i < 100; i++) { env[\"A${i % 4}\"] = s }\necho 'done'")
        .is(Outcome::Success)
        .has("done");
    let source = "pipeline { agent any; stages { stage('a') { steps { script { for (int i = 0; ; i++) { env[\"A$i\"] = 'x' * \
                  1_000_000 } } } } }; post { always { echo \"kept ${env.A3.size()}\" } } }";
    run(source).is(Outcome::Failure).has(limit).has("kept 1000000");
}

#[test]
fn what_a_step_is_given_has_a_limit_that_names_itself() {
    let limit = "is given is longer than 128 MiB in all";
    for source in [
        "def s = 'A=' + 'x' * 1_000_000\ntry { withEnv([s] * 200) { echo 'in' } } catch (Throwable t) { echo 'caught' }",
        "def s = 'x' * 1_000_000\nproperties([parameters((1..200).collect { string(name: \"p$it\", defaultValue: s) })])",
    ] {
        run(source).is(Outcome::Failure).has(limit).lacks("\nin\n").lacks("\ncaught\n");
    }
}

#[test]
fn what_the_run_keeps_counts_as_memory() {
    let limit = "memory limit of 33554432 bytes";
    for source in [
        "for (int i = 0; ; i++) { docker.image('x' * 1_000_000 + i) }",
        "def f(n) { withEnv([\"A$n=\" + 'x' * 1_000_000]) { f(n + 1) } }\nf(0)",
        "while (true) { currentBuild.description = 'x' * 1_000_000 + (currentBuild.description ?: '') }",
    ] {
        with_heap(32, source).is(Outcome::Failure).has(limit);
    }
    with_heap(32, "for (int i = 0; i < 200; i++) { currentBuild.description = 'x' * 1_000_000 }").is(Outcome::Success);
}

/// What a text is that objects of the script put together, their methods know, also within what a step is given.
#[test]
fn texts_of_objects_are_known_everywhere() {
    let source = "class Img implements Serializable { String n; String toString() { \"${n}:1\" } }
        enum K { A; String toString() { 'kay' } }
        node {
            def img = new Img(n: 'app')
            withEnv([\"IMAGE=${img}\"]) { echo \"env $IMAGE\" }
            env.TEXT = \"text ${img}\"
            env.OBJECT = img
            env.LIST = \"${[img]} ${[a: K.A]}\"
            echo \"$TEXT, $OBJECT, $LIST\"
            currentBuild.displayName = \"#1 ${img}\"
            currentBuild.description = \"${K.A}\"
            echo \"$currentBuild.displayName $currentBuild.description\"
            echo writeJSON(returnText: true, json: [v: \"${img}\", l: [\"${K.A}\"]])
            catchError(message: \"told ${img}\") { error \"failed ${K.A}\" }
            sh script: \"echo ${img}\"
        }";
    let ran = World::new(Fixture::default()).run(source).unwrap();
    ran.has("env app:1")
        .has("text app:1, app:1, [app:1] [a:kay]")
        .has("#1 app:1 kay")
        .has("{\"v\":\"app:1\",\"l\":[\"kay\"]}")
        .has("told app:1")
        .has("failed kay");
}

#[test]
fn texts_of_objects_are_known_in_directives() {
    let source = "class V implements Serializable { String toString() { 'v1' } }
        def v = new V()
        def next() { new V() }
        pipeline {
            agent { label \"of-${v}\" }
            environment { TEXT = \"text ${v}\"; OBJECT = next(); LIST = \"${[v]}\" }
            parameters { string(name: 'P', defaultValue: \"default ${v}\") }
            stages {
                stage('A') {
                    when { environment name: 'TEXT', value: \"text ${v}\" }
                    environment { INNER = \"in $OBJECT\" }
                    steps { echo \"$TEXT, $OBJECT, $LIST, $INNER, $params.P\" }
                }
            }
        }";
    World::new(Fixture::default()).run(source).unwrap().has("text v1, v1, [v1], in v1, default v1");
    let source =
        "class V { String toString() { 'v1' } }\nparallel([\"b ${new V()}\": { echo 'in it' }, failFast: true])";
    World::new(Fixture::default()).run(source).unwrap().has("in it").has("b v1");
}
