//! The engine from outside: order of the log, replay, aborts, limits.

use model::event::Event;
use model::outcome::Outcome;
use model::request::{Failure, FailureKind, Reply, Request};
use pipeline::conformance::Fixture;
use pipeline::engine::{Engine, Output, RunEnd, RunFacts, RunInput};

use crate::engine_world::{Ran, World};

/// Runs a definition on a plain world without a repository.
pub fn run(source: &str) -> Ran {
    World::new(Fixture::default()).run(source).unwrap_or_else(|e| panic!("rejected: {e:?}"))
}

/// Runs steps in a scripted node.
pub fn steps(body: &str) -> Ran {
    run(&format!("node {{\n{body}\n}}"))
}

#[test]
fn the_log_has_jenkins_layout() {
    let ran = run("node('x') { stage('foo') { echo 'hello' } }");
    ran.is(Outcome::Success);
    let workspace = ran.log.lines().find_map(|l| l.strip_prefix("Running on x in ")).unwrap();
    let expected = format!(
        "[Pipeline] Start of Pipeline\n[Pipeline] node\nRunning on x in {workspace}\n[Pipeline] {{\n[Pipeline] stage\n\
         [Pipeline] {{ (foo)\n[Pipeline] echo\nhello\n[Pipeline] }}\n[Pipeline] // stage\n[Pipeline] }}\n\
         [Pipeline] // node\n[Pipeline] End of Pipeline\nFinished: SUCCESS\n"
    );
    assert_eq!(ran.log, expected);
}

#[test]
fn the_same_answers_give_the_same_outputs() {
    let source = "parallel a: { node { sh 'x' }; sleep 1 }, b: { retry(2) { node { sh 'y' } } }\necho env.BUILD_TAG";
    let play = || {
        let facts = RunFacts { job_name: "a/b".to_owned(), build_number: 7, ..RunFacts::default() };
        let input =
            RunInput { source: source.to_owned(), file_name: "Jenkinsfile".to_owned(), facts, ..RunInput::default() };
        let mut engine = Engine::new(input).unwrap();
        let mut all = Vec::new();
        while engine.end().is_none() {
            let outputs = engine.poll();
            for output in &outputs {
                if let Output::Request { id, request } = output {
                    let reply = match **request {
                        Request::Allocate { .. } => Reply::Allocated(Default::default()),
                        Request::Exec { .. } => Reply::Exited { code: 1, stdout: None, limit: None },
                        _ => Reply::Done,
                    };
                    engine.answer(*id, reply);
                }
            }
            all.extend(outputs);
        }
        (all, engine.end().cloned())
    };
    let (first, second) = (play(), play());
    assert_eq!(first, second);
    assert_eq!(first.1.unwrap().outcome, Outcome::Failure);
}

#[test]
fn an_abort_runs_post_and_ends_aborted() {
    let mut world = World::new(Fixture::default());
    world.abort_at_ms = Some(5_000);
    let ran = world
        .run(
            "pipeline { agent any; stages { stage('a') { steps { sleep 60; echo 'never' }; post { aborted { echo 'A1' } } }
             stage('b') { steps { echo 'never' } } }; post { always { sh 'echo cleaning'; echo currentBuild.currentResult }
             failure { echo 'F' } } }",
        )
        .unwrap();
    ran.is(Outcome::Aborted).has("A1").has("cleaning").has("\nABORTED\n").lacks("never").lacks("\nF\n");
    assert!(ran.end.aborted && !ran.end.timed_out);
    assert!(matches!(ran.requests.last(), Some(Request::Release { .. })));
}

#[test]
fn an_abort_reaches_a_script_that_only_computes() {
    let input =
        RunInput { source: "while (true) { }".to_owned(), file_name: "Jenkinsfile".to_owned(), ..RunInput::default() };
    let mut engine = Engine::new(input).unwrap();
    engine.poll();
    assert!(engine.end().is_none() && engine.is_busy());
    engine.abort("Enough");
    for _ in 0..3 {
        engine.poll();
    }
    assert_eq!(engine.outcome(), Some(Outcome::Aborted));
}

#[test]
fn an_abort_reaches_steps_that_never_wait() {
    for source in
        ["retry(1000000000) { error 'x' }", "while (true) { try { echo 'x' } catch (hudson.AbortException e) { } }"]
    {
        let input = RunInput { source: source.to_owned(), file_name: "Jenkinsfile".to_owned(), ..RunInput::default() };
        let mut engine = Engine::new(input).unwrap();
        (0..20).for_each(|_| drop(engine.poll()));
        assert!(engine.end().is_none() && engine.is_busy());
        engine.abort("Enough");
        (0..5).for_each(|_| drop(engine.poll()));
        assert_eq!(engine.outcome(), Some(Outcome::Aborted), "{source}");
    }
}

#[test]
fn an_endless_loop_ends_at_its_limit_and_says_so() {
    let mut input = RunInput {
        source: "try { while (true) { } } catch (Throwable t) { echo 'caught' }".to_owned(),
        file_name: "Jenkinsfile".to_owned(),
        ..RunInput::default()
    };
    input.limits.fuel = 1_000_000;
    let ran = World::new(Fixture::default()).run_input(input).unwrap();
    ran.is(Outcome::Failure).has("limit").lacks("[Pipeline] echo").lacks("\ncaught\n");
}

#[test]
fn a_sandbox_that_cannot_be_had_is_not_the_authors_fault() {
    let source = "try { node('big') { sh 'x' } } finally { echo 'finally' }";
    let input = RunInput { source: source.to_owned(), file_name: "Jenkinsfile".to_owned(), ..RunInput::default() };
    let mut engine = Engine::new(input).unwrap();
    let mut log = String::new();
    while engine.end().is_none() {
        for output in engine.poll() {
            match output {
                Output::Request { id, .. } => {
                    let hint = Some("add one".to_owned());
                    let failure = Failure { kind: FailureKind::Infrastructure, message: "no host".to_owned(), hint };
                    engine.answer(id, Reply::Failed(failure));
                }
                Output::Event(Event::Log { text, .. }) => log += &(text + "\n"),
                _ => {}
            }
        }
    }
    assert!(log.contains("finally") && log.contains("ERROR: no host") && log.contains("add one"), "{log}");
    let RunEnd { outcome, failure, .. } = engine.end().cloned().unwrap();
    assert_eq!((outcome, failure), (Outcome::Failure, Some(FailureKind::Infrastructure)));
}

#[test]
fn ten_thousand_echoes_take_less_than_a_second() {
    let start = std::time::Instant::now();
    let ran = run("for (int i = 0; i < 10000; i++) { echo \"line ${i}\" }");
    ran.is(Outcome::Success).has("line 9999");
    let limit = if cfg!(debug_assertions) { 10 } else { 1 };
    assert!(start.elapsed().as_secs() < limit, "{:?}", start.elapsed());
}

#[test]
fn blocks_nest_to_their_limit_and_no_further() {
    let nested = |depth: usize| {
        format!("def f(n) {{ if (n > 0) {{ withEnv(['A=b']) {{ f(n - 1) }} }} }}\nf({depth})\necho 'done'")
    };
    run(&nested(400)).is(Outcome::Success).has("done");
    run(&nested(600)).is(Outcome::Failure).has("nested deeper than 500").lacks("done");
}

#[test]
fn an_unknown_step_is_refused_with_the_nearest_names() {
    let ran = World::new(Fixture::default()).run("def s = 'x'\nif (s == 'x') { this.\"ech${'oo'}\"('y') }");
    let ran = ran.unwrap();
    ran.is(Outcome::Failure)
        .has("java.lang.NoSuchMethodError: No such DSL method 'echoo' found among steps [")
        .has("did you mean echo");
}

#[test]
fn an_unknown_step_fails_only_where_it_is_reached() {
    run("if (env.NEVER) { exit 1 }\necho 'done'").is(Outcome::Success).has("done");
    let text = "java.lang.NoSuchMethodError: No such DSL method 'exit' found among steps [";
    run("echo 'begun'\nexit 1\necho 'on'").is(Outcome::Failure).has("begun").has(text).lacks("on\n");
    let stages = "stages { stage('a') { steps { echo 'begun'\nexit 1 } } }";
    run(&format!("pipeline {{ agent any\n{stages} }}")).is(Outcome::Failure).has("begun").has(text);
}

#[test]
fn an_uncaught_exception_shows_its_place() {
    let ran = run("echo 'a'\nthrow new RuntimeException('boom')");
    ran.is(Outcome::Failure).has("java.lang.RuntimeException: boom").has("WorkflowScript:2");
}

#[test]
fn a_limit_in_one_branch_ends_the_others() {
    let mut input = RunInput {
        source: "parallel a: { while (true) { } }, b: { sleep 3600; echo 'never' }".to_owned(),
        file_name: "Jenkinsfile".to_owned(),
        ..RunInput::default()
    };
    input.limits.fuel = 1_000_000;
    World::new(Fixture::default()).run_input(input).unwrap().is(Outcome::Failure).has("limit").lacks("\nnever\n");
}

#[test]
fn a_busy_loop_of_steps_comes_back_from_each_poll() {
    let source = "while (true) { echo 'x' }".to_owned();
    let mut engine =
        Engine::new(RunInput { source, file_name: "Jenkinsfile".to_owned(), ..RunInput::default() }).unwrap();
    assert!(engine.poll().len() < 100_000);
    engine.abort("Enough");
    while engine.end().is_none() {
        engine.poll();
    }
    assert_eq!(engine.outcome(), Some(Outcome::Aborted));
}

#[test]
fn there_is_no_scm_without_a_repository() {
    run("node { checkout scm }").is(Outcome::Failure).has("ERROR: ‘checkout scm’ is only available when using");
}

#[test]
fn a_sandbox_that_comes_after_the_abort_is_given_back() {
    let source = "node { echo 'never' }".to_owned();
    let mut engine =
        Engine::new(RunInput { source, file_name: "Jenkinsfile".to_owned(), ..RunInput::default() }).unwrap();
    let wanted = engine.poll().into_iter().find_map(|o| match o {
        Output::Request { id, .. } => Some(id),
        _ => None,
    });
    engine.abort("Enough");
    let id = wanted.unwrap();
    assert!(engine.poll().contains(&Output::Cancel { id }));
    assert!(engine.answer(id, Reply::Allocated(Default::default())));
    let released = engine.poll().into_iter().find_map(|o| match o {
        Output::Request { id, request } if matches!(*request, Request::Release { .. }) => Some(id),
        _ => None,
    });
    assert!(engine.answer(released.unwrap(), Reply::Done) && !engine.answer(id, Reply::Done));
    engine.poll();
    assert_eq!(engine.outcome(), Some(Outcome::Aborted));
}

/// The order of `ParallelStep.ResultHandler.ThrowableComparator`.
#[test]
fn of_branches_that_fail_differently_the_error_that_says_most_is_thrown() {
    let (slow, fails) = ("timeout(time: 1, unit: 'SECONDS') { sleep 9 }", "sleep 2; error 'B'");
    run(&format!("parallel a: {{ {slow} }}, b: {{ {fails} }}")).is(Outcome::Failure).has("ERROR: B\n");
    run("parallel a: { error 'A' }, b: { sleep 1; throw new RuntimeException('B') }")
        .is(Outcome::Failure)
        .has("java.lang.RuntimeException: B\n")
        .has_once("Also:   hudson.AbortException: A\n");
    run("parallel a: { error 'A' }, b: { sleep 1; error 'B' }").has_once("Also:   hudson.AbortException: B\n");
    // Among equals the first; with failFast the one that ended the others.
    run("parallel a: { sleep 1; error 'A' }, b: { error 'B' }").is(Outcome::Failure).has("ERROR: B\n");
    run(&format!("parallel a: {{ {slow} }}, b: {{ {fails} }}, failFast: true")).is(Outcome::Aborted);
    let declarative = format!(
        "pipeline {{ agent any\n stages {{ stage('all') {{ parallel {{ stage('a') {{ steps {{ {slow} }} }}; stage('b') {{ steps {{ sleep 2\nerror 'B' }} }} }} }} }}
         post {{ failure {{ echo 'it failed' }}\n aborted {{ echo 'it was ended' }} }} }}"
    );
    run(&declarative).is(Outcome::Failure).has("it failed\n");
}

#[test]
fn the_error_that_is_thrown_has_the_others() {
    let beside = "catch (e) { echo \"${e.message}: ${e.suppressed*.message}, ${e.suppressed.collect { it.class.simpleName }}\" }";
    let three = "a: { error 'A' }, b: { parallel(c: { error 'C' }, d: { error 'D' }) }";
    run(&format!("try {{ parallel({three}, e: {{ throw new IOException('E') }}) }} {beside}"))
        .is(Outcome::Success)
        .has("E: [A, C], [AbortException, AbortException]\n");
    run(&format!("try {{ parallel({three}) }} {beside}")).has("A: [C], [AbortException]\n");
    run(&format!("try {{ parallel({three}) }} catch (e) {{ echo e.suppressed[0].suppressed[0].message }}")).has("D\n");
    // One object that two branches throw is not beside itself.
    run(&format!("def x = new Exception('x'); try {{ parallel(a: {{ throw x }}, b: {{ throw x }}) }} {beside}"))
        .has("x: [], []\n");
    run("parallel(a: { error 'A' }, b: { error 'B' })").is(Outcome::Failure);
}

#[test]
fn branches_are_no_block() {
    run("parallel { echo 'x' }")
        .is(Outcome::Failure)
        .has("Expected named arguments but got [WorkflowScript$_run_closure");
}

/// Source: `hudson.Functions.printStackTrace`, `RetryStepExecution`.
#[test]
fn what_an_error_was_thrown_for_is_in_the_log() {
    let wraps = "try { try { throw new IOException('root') } catch (e) { throw new RuntimeException('between', e) } } catch (e) { throw new Exception('deploy failed', e) }";
    run(wraps).is(Outcome::Failure).has(
        "java.io.IOException: root\nCaused: java.lang.RuntimeException: between\nCaused: java.lang.Exception: deploy failed\n",
    );
    run(&format!("int n = 0; retry(2) {{ if (n++ == 0) {{ {wraps} }} }}"))
        .is(Outcome::Success)
        .has("ERROR: Execution failed\njava.io.IOException: root\nCaused: ")
        .has("Retrying\n");
    // One that is its own cause ends somewhere.
    let round = "def a = new Exception('a'); def b = new Exception('b', a); a.initCause(b); throw b";
    let ran = run(round);
    assert_eq!(ran.is(Outcome::Failure).log.matches("Caused: ").count(), 20, "{}", ran.log);
}
