//! Steps that are none of the built-in ones.

use model::added_step::{AddedKind, AddedParameter, AddedStep, StepCode, StepOutput};
use model::outcome::Outcome;
use model::request::{AgentSpec, Request};
use pipeline::conformance::Fixture;
use pipeline::definition::{Surroundings, analyse};
use pipeline::engine::{RunFacts, RunInput};

use crate::engine_world::{Ran, World};

fn groovy(name: &str, text: &str) -> AddedStep {
    let message = AddedParameter {
        name: "message".into(),
        kind: AddedKind::String,
        is_required: true,
        description: String::new(),
    };
    let times = AddedParameter {
        name: "times".into(),
        kind: AddedKind::Integer,
        is_required: false,
        description: String::new(),
    };
    AddedStep {
        name: name.into(),
        description: String::new(),
        parameters: vec![message, times],
        is_block: false,
        code: StepCode::Groovy(text.into()),
    }
}

fn program(name: &str, text: &str, image: Option<&str>, output: StepOutput) -> AddedStep {
    let code = StepCode::Program { text: text.into(), image: image.map(str::to_owned), output };
    let any =
        AddedParameter { name: "value".into(), kind: AddedKind::Any, is_required: false, description: String::new() };
    AddedStep { code, parameters: vec![any], ..groovy(name, "") }
}

fn run_with(steps: &[AddedStep], source: &str) -> Result<Ran, Vec<String>> {
    let facts = RunFacts { steps: steps.to_vec(), ..RunFacts::default() };
    let source = source.to_owned();
    World::new(Fixture::default()).run_input(RunInput { source, facts, file_name: "J".into(), ..RunInput::default() })
}

#[test]
fn a_script_is_called_with_a_map_and_a_block() {
    let tell =
        groovy("tell", "def call(Map args) { (args.times ?: 1).times { echo \"<${args.message}>\" }; args.size() }");
    let guard = AddedStep {
        is_block: true,
        ..groovy(
            "guarded",
            "import groovy.transform.Field\n@Field int calls = 0\ndef call(Map args, Closure body) { calls++; echo 'before'; try { return body() } finally { echo \"after $calls\" } }",
        )
    };
    let source = "node {\ntell 'a'\ndef n = tell(message: 'b', times: 2)\ndef v = guarded('x') { sh 'echo inner'; 7 }\nguarded('y') { }\necho \"n=$n v=$v\"\n}";
    let ran = run_with(&[tell.clone(), guard], source).unwrap();
    ran.is(Outcome::Success)
        .has("[Pipeline] tell\n[Pipeline] echo\n<a>")
        .has("n=2 v=7")
        .has("after 1")
        .has("after 2")
        .has("[Pipeline] // guarded");
    let fails = |source: &str, words: &str| {
        run_with(std::slice::from_ref(&tell), source).unwrap().is(Outcome::Failure).has(words);
    };
    fails("tell()", "Missing required parameter: \"message\"");
    fails("tell message: 'x', times: 'many'", "tell.times expects class long but received class java.lang.String");
    let ran = run_with(std::slice::from_ref(&tell), "tell message: 'x', other: 1").unwrap();
    ran.has("WARNING: Unknown parameter(s) found for step 'tell': other");
    let ran = run_with(&[groovy("broken", "def call( {")], "broken 'x'").unwrap();
    ran.is(Outcome::Failure).has("broken: ");
    let ran = run_with(&[groovy("again", "def call(Map a) { again a }")], "again 'x'").unwrap();
    ran.is(Outcome::Failure).has("nested deeper than");
}

#[test]
fn a_program_runs_in_the_sandbox_and_prints_what_is_returned() {
    let count = program(
        "count",
        "#!/bin/sh\necho \"{\\\"said\\\": $COFFERDAM_ARGUMENTS, \\\"n\\\": [1, 2.5, null]}\"",
        None,
        StepOutput::Json,
    );
    let word = program("word", "echo \"w $ARG_value\"", Some("alpine"), StepOutput::Text);
    let log = program("logged", "echo \"l $ARG_value\"; false", None, StepOutput::Log);
    let ran = run_with(
        &[count, word, log],
        "node { def r = count(value: [a: 'ü', b: [true]]); echo \"r=${r.said.value.a} ${r.said.value.b[0]} ${r.n}\"\n\
         echo \"<${word(7)}>\"\ntry { logged 'z' } catch (hudson.AbortException e) { echo e.message } }",
    )
    .unwrap();
    ran.is(Outcome::Success)
        .has("r=ü true [1, 2.5, null]")
        .has("<w 7>")
        .has("\nl z\n")
        .has("the program of the step returned exit code 1");
    let images = ran.requests.iter().filter(
        |request| matches!(request, Request::Allocate { agent: AgentSpec::Docker(docker), .. } if docker.image == "alpine"),
    );
    assert_eq!(images.count(), 1);
    let shares = ran.requests.iter().find_map(|request| match request {
        Request::Allocate { shares, .. } => shares.clone(),
        _ => None,
    });
    assert_eq!(shares.as_deref(), Some("`word`"), "two machines share no workspace");
    // The only parameter, which nobody must give.
    let alone = [program("p", "cat", None, StepOutput::Text)];
    run_with(&alone, "pipeline { agent any; stages { stage('a') { steps { p 'q' } } } }").unwrap().is(Outcome::Success);
    let none = [program("p", "echo no", None, StepOutput::Json)];
    run_with(&none, "p()").unwrap().is(Outcome::Failure).has("such as: node");
    run_with(&none, "node { p() }").unwrap().is(Outcome::Failure).has("what the step prints is no JSON");
    run_with(&none, "node { p(value: { 1 }) }").unwrap().is(Outcome::Failure).has("which no program can be handed");
    run_with(&none, "node { p('x' * 200000) }").unwrap().is(Outcome::Failure).has("longer than 100 KiB");
}

#[test]
fn they_are_known_like_those_that_are_built_in() {
    let tell = groovy("tellTeam", "def call(Map args) { echo \"told ${args.message}\" }");
    let surroundings = Surroundings::with_steps(std::slice::from_ref(&tell)).unwrap();
    let found = |source: &str| analyse(source, &surroundings).diagnostics;
    assert_eq!(found("tellTeam 'x'"), []);
    let missing = found("node { tellTeam() }");
    assert_eq!(missing[0].message, "Missing required parameter: \"message\"");
    let near = found("tellTaem 'x'");
    assert!(near[0].hint.as_deref().is_some_and(|hint| hint.contains("\"tellTeam\"")), "{near:?}");
    let declarative =
        |step: &str| format!("pipeline {{ agent any\n stages {{ stage('a') {{ steps {{ {step} }} }} }} }}");
    assert_eq!(found(&declarative("tellTeam 'x'")), []);
    let wrong = found(&declarative("tellTeam times: 'x'"));
    assert!(wrong.iter().any(|finding| finding.message.contains("message")), "{wrong:?}");
    run_with(std::slice::from_ref(&tell), &declarative("tellTeam 'x'")).unwrap().is(Outcome::Success).has("told x");
    run_with(&[tell], "tellTaem 'x'").unwrap().is(Outcome::Failure).has("did you mean tellTeam?");
}

#[test]
fn a_built_in_step_that_runs_keeps_its_name_and_others_may_be_replaced() {
    let refused = run_with(&[groovy("sh", "def call(Map args) { }")], "echo 'x'").map(drop).unwrap_err();
    assert_eq!(refused, ["step sh is built in: one that is added needs another name"]);
    let slack = groovy("slackSend", "def call(Map args) { echo \"sent ${args.message}\" }");
    let http = groovy("jobDsl", "def call(Map args) { [status: 200] }");
    let ran = run_with(&[slack, http], "slackSend message: 'x'; echo \"s=${jobDsl('u').status}\"").unwrap();
    ran.is(Outcome::Success).has("sent x").has("s=200").lacks("recorded");
}
