//! Declarative pipelines: order of the layers, `when`, `post`, options, agents.

use model::event::Event;
use model::outcome::Outcome;
use model::request::{AgentSpec, DockerSpec, Request};
use model::run::BuildCause;
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine::run;
use crate::engine_world::{Ran, World};

fn stages(stages: &str) -> Ran {
    run(&format!("pipeline {{\nagent none\nstages {{\n{stages}\n}}\n}}"))
}

fn with_facts(facts: RunFacts, source: &str) -> Ran {
    World::new(Fixture { facts, ..Fixture::default() }).run(source).unwrap_or_else(|e| panic!("rejected: {e:?}"))
}

fn agents(ran: &Ran) -> Vec<AgentSpec> {
    let allocated = ran.requests.iter().filter_map(|r| match r {
        Request::Allocate { agent, .. } => Some(agent.clone()),
        _ => None,
    });
    allocated.collect()
}

#[test]
fn layers_of_a_pipeline_are_in_jenkins_order() {
    let ran = run("pipeline { agent any; environment { A = 'a' }; options { timeout(5); retry(2) }
        stages { stage('s') { steps { echo A } } }; post { always { echo 'p' } } }");
    ran.is(Outcome::Success);
    let marks: Vec<&str> = ran.log.lines().filter_map(|l| l.strip_prefix("[Pipeline] ")).collect();
    let expected = [
        "Start of Pipeline",
        "node",
        "{",
        "withEnv",
        "{",
        "timeout",
        "{",
        "retry",
        "{",
        "stage",
        "{ (s)",
        "echo",
        "}",
        "// stage",
        "stage",
        "{ (Declarative: Post Actions)",
        "echo",
        "}",
        "// stage",
        "}",
        "// retry",
        "}",
        "// timeout",
        "}",
        "// withEnv",
        "}",
        "// node",
        "End of Pipeline",
    ];
    assert_eq!(marks, expected);
}

#[test]
fn the_variables_of_the_script_are_seen_in_the_stages() {
    let ran =
        run("def who = 'me'\ndef greet(x) { \"hi ${x}\" }\npipeline { agent none; environment { W = \"${who}!\" }
        stages { stage('s') { when { expression { who == 'me' } }; steps { echo greet(who); script { who = 'you' } } }
        stage('t') { steps { echo \"${who} ${W}\" } } } }\necho \"after ${who}\"");
    ran.is(Outcome::Success).has("hi me").has("you me!").has("after you");
}

#[test]
fn environment_resolves_in_any_order() {
    let ran = stages(
        "stage('s') { environment { C = \"${B}c\"; B = \"${env.A}b\"; A = 'a'; P = \"${P ?: 'p'}\"; E = '' }
        steps { echo \"${A} ${B} ${C} ${P} ${env.E}\" } }",
    );
    ran.is(Outcome::Success).has("a ab abc p null");
}

#[test]
fn a_stage_allocates_before_it_is_asked_whether_it_runs() {
    let ran = stages(
        "stage('a') { agent any; when { expression { false } }; steps { echo 'never' } }
        stage('b') { agent any; when { beforeAgent true; expression { false } }; steps { echo 'never' } }",
    );
    ran.is(Outcome::Success)
        .has("Stage \"a\" skipped due to when conditional")
        .has("Stage \"b\" skipped")
        .lacks("never");
    assert_eq!(agents(&ran).len(), 1);
}

#[test]
fn a_failed_stage_skips_the_later_ones_and_theirs() {
    let ran = stages(
        "stage('a') { steps { error 'no' } }; stage('b') { stages { stage('c') { steps { echo 'never' } } }; post { always { echo 'never' } } }",
    );
    ran.is(Outcome::Failure)
        .has("{ (b)\nStage \"b\" skipped due to earlier failure(s)")
        .has("{ (c)\nStage \"b\" skipped due to earlier failure(s)")
        .lacks("never");
}

#[test]
fn post_runs_on_the_agent_and_in_order() {
    let ran = run("pipeline { agent any; stages { stage('a') { steps { sh 'exit 1' }; post { cleanup { echo '6' }; failure { echo '5' }
        unsuccessful { echo '4' }; changed { echo '3' }; always { sh 'echo on agent' } } } }; post { cleanup { sh 'echo root' } } }");
    ran.is(Outcome::Failure).has("Post stage");
    let order: Vec<&str> = ran.log.lines().filter(|l| ["on agent", "3", "4", "5", "6", "root"].contains(l)).collect();
    assert_eq!(order, ["on agent", "3", "4", "5", "6", "root"]);
}

#[test]
fn post_outside_when_the_agent_fails() {
    let ran = run(
        "pipeline { agent { label \"${[][0].x}\" }; stages { stage('a') { steps { echo 'never' } } }; post { failure { echo 'told' } } }",
    );
    ran.is(Outcome::Failure).has("told").lacks("\nnever\n");
}

#[test]
fn an_error_in_post_does_not_stop_the_other_conditions() {
    let ran = stages(
        "stage('a') { steps { echo 'x' }; post { always { error 'first' }; success { echo 'never' }; failure { echo 'F' }; cleanup { echo 'C' } } }",
    );
    ran.is(Outcome::Failure)
        .has("Error when executing always post condition:")
        .has("\nF\n")
        .has("\nC\n")
        .lacks("\nnever\n")
        .has("ERROR: first");
}

#[test]
fn a_retried_pipeline_can_still_succeed() {
    let ran = run("int n = 0\npipeline { agent none; options { retry(2) }; stages { stage('a') { steps { script { n++; if (n == 1) { error 'once' } } } } }
        post { always { echo \"p${n} ${currentBuild.currentResult}\" } } }");
    ran.is(Outcome::Success).has("p1 FAILURE").has("p2 SUCCESS");
}

#[test]
fn stage_options_wrap_the_stage() {
    let ran = stages(
        "stage('a') { options { timeout(time: 1, unit: 'SECONDS') }; steps { sleep 100 }; post { aborted { echo 'late' } } }",
    );
    ran.is(Outcome::Aborted).has("late");
    assert!(ran.end.timed_out);
}

#[test]
fn timestamps_are_asked_for() {
    let ran = run("pipeline { agent none; options { timestamps() }; stages { stage('a') { steps { echo 'x' } } } }");
    assert!(ran.events.contains(&Event::TimestampsSwitched { on: true }));
}

#[test]
fn docker_agents_in_both_forms() {
    let ran = run("pipeline { agent { docker 'maven:3' }; stages { stage('Build') { steps { sh 'true' } } } }");
    let plain = DockerSpec { image: "maven:3".to_owned(), ..DockerSpec::default() };
    assert_eq!(agents(&ran), [AgentSpec::Docker(plain)]);
    let ran = run("def tag = '8'\npipeline { agent any; stages { stage('b') { agent { docker { image \"jdk:${tag}\"; args '-v a:b'; reuseNode true; alwaysPull true
        registryUrl 'https://r'; label 'big' } }; steps { sh 'true' } } } }");
    let AgentSpec::Docker(docker) = &agents(&ran)[1] else { panic!() };
    assert_eq!((docker.image.as_str(), docker.args.as_str(), docker.always_pull), ("jdk:8", "-v a:b", true));
    assert_eq!((docker.registry_url.as_deref(), docker.label.as_deref()), (Some("https://r"), Some("big")));
    assert!(docker.workspace_of.is_some());
}

#[test]
fn a_container_has_the_path_of_its_image() {
    let ran = run(
        "pipeline { agent any; environment { PATH = \"/outer:${PATH}\" }; stages { stage('b') { agent { docker 'x' }
        steps { sh 'echo p=$PATH' } }; stage('c') { steps { sh 'echo p=$PATH' } } } }",
    );
    ran.has("\np=/usr/local/bin").has("\np=/outer:/usr/local/bin");
}

#[test]
fn each_stage_gets_a_new_container_where_asked() {
    let ran = run(
        "pipeline { agent { docker 'x' }; options { newContainerPerStage() }; stages { stage('a') { steps { sh 'true' } }; stage('b') { steps { sh 'true' } } } }",
    );
    assert_eq!(agents(&ran).len(), 3);
    run("pipeline { agent none; options { newContainerPerStage() }; stages { stage('a') { agent any; stages { stage('b') { steps { sh 'echo inside' } } } } } }")
        .is(Outcome::Success)
        .has("\ninside\n");
}

#[test]
fn the_checkout_comes_with_the_agent() {
    let facts = RunFacts { has_scm: true, ..RunFacts::default() };
    let count = |ran: &Ran| ran.requests.iter().filter(|r| matches!(r, Request::Checkout { .. })).count();
    let stage = "stages { stage('a') { steps { echo \"c=${env.GIT_COMMIT}\" } }; stage('b') { agent any; steps { echo 'x' } } }";
    let ran = with_facts(facts.clone(), &format!("pipeline {{ agent any; {stage} }}"));
    ran.is(Outcome::Success).has("{ (Declarative: Checkout SCM)").has("c=0123456789");
    assert_eq!(count(&ran), 2);
    let ran =
        with_facts(facts.clone(), &format!("pipeline {{ agent any; options {{ skipDefaultCheckout() }}; {stage} }}"));
    ran.lacks("Checkout SCM");
    assert_eq!(count(&ran), 0);
    let ran = with_facts(
        facts,
        "pipeline { agent any; options { checkoutToSubdirectory('sub') }; stages { stage('a') { steps { echo 'x' } } } }",
    );
    let dir = ran.requests.iter().find_map(|r| match r {
        Request::Checkout { dir, .. } => Some(dir.clone()),
        _ => None,
    });
    assert!(dir.unwrap().ends_with("/sub"));
}

#[test]
fn conditions_of_when() {
    let holds = |env: &[(&str, &str)], condition: &str| {
        let env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let source = format!(
            "pipeline {{ agent none; stages {{ stage('a') {{ when {{ {condition} }}; steps {{ echo 'yes, it holds' }} }} }} }}"
        );
        with_facts(RunFacts { env, ..RunFacts::default() }, &source).is(Outcome::Success).log.contains("yes, it holds")
    };
    assert!(holds(&[("BRANCH_NAME", "release/1.2/x")], "branch 'release/**'"));
    assert!(!holds(&[("BRANCH_NAME", "release/1.2/x")], "branch 'release/*'"));
    assert!(holds(&[("BRANCH_NAME", "v12")], "branch pattern: 'v\\\\d+', comparator: 'REGEXP'"));
    assert!(!holds(&[("BRANCH_NAME", "v12a")], "branch pattern: 'v\\\\d+', comparator: 'REGEXP'"));
    assert!(!holds(&[], "branch 'main'"));
    assert!(holds(&[("TAG_NAME", "v1")], "buildingTag()"));
    assert!(!holds(&[], "buildingTag()"));
    assert!(holds(&[("TAG_NAME", "release-3")], "tag 'release-*'"));
    assert!(holds(&[("X", "y")], "environment name: 'X', value: 'y'"));
    assert!(!holds(&[("X", "Y")], "environment name: 'X', value: 'y'"));
    assert!(holds(&[("X", "Y")], "environment name: 'X', value: 'y', ignoreCase: true"));
    assert!(holds(&[], "equals expected: 1, actual: currentBuild.number"));
    assert!(!holds(&[], "equals expected: '1', actual: currentBuild.number"));
    assert!(holds(&[], "expression { 'false' }"));
    assert!(!holds(&[], "expression { return null }"));
    assert!(holds(&[], "not { expression { false } }"));
    assert!(holds(&[], "anyOf { expression { false }; expression { true } }"));
    assert!(!holds(&[], "allOf { expression { true }; expression { false } }"));
    assert!(holds(&[("CHANGE_ID", "12"), ("CHANGE_TARGET", "main")], "changeRequest target: 'main'"));
    assert!(!holds(&[("CHANGE_ID", "12"), ("CHANGE_TARGET", "dev")], "changeRequest target: 'main'"));
    assert!(!holds(&[], "changeRequest()"));
    assert!(!holds(&[], "isRestartedRun()"));
    assert!(!holds(&[], "changeset '**/*.js'"));
}

#[test]
fn conditions_stop_at_the_first_that_says_no() {
    stages("stage('a') { when { expression { false }; expression { echo 'asked'; true } }; steps { echo 'x' } }")
        .lacks("asked");
}

#[test]
fn parameters_are_typed_and_checked() {
    let source = "pipeline { agent none; parameters { string(name: 'S', defaultValue: 'd'); booleanParam(name: 'B', defaultValue: true)
        choice(name: 'C', choices: ['x', 'y']); text(name: 'T', defaultValue: 'long'); password(name: 'P', defaultValue: 'p') }
        stages { stage('a') { steps { echo \"${params.S} ${params.B ? 'on' : 'off'} ${params.C} ${T} ${env.S}\" } } } }";
    let given = |params: &[(&str, &str)]| {
        let params = params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        with_facts(RunFacts { params, ..RunFacts::default() }, source)
    };
    given(&[]).is(Outcome::Success).has("d on x long d");
    given(&[("S", "s"), ("B", "false"), ("C", "y")]).is(Outcome::Success).has("s off y long s");
    given(&[("C", "z")]).is(Outcome::Failure).has("has no choice ‘z’");
    given(&[("B", "maybe")]).is(Outcome::Failure).has("‘maybe’");
}

#[test]
fn a_matrix_runs_its_cells() {
    let ran = stages(
        "stage('m') { matrix { axes { axis { name 'OS'; values 'linux', 'mac' }; axis { name 'B'; values 'x', 'y' } };
        excludes { exclude { axis { name 'OS'; values 'mac' }; axis { name 'B'; values 'y' } } }
        when { expression { env.OS == 'linux' } }; stages { stage('t') { steps { echo \"run ${OS}-${B}\" } } } } }",
    );
    ran.is(Outcome::Success)
        .has("{ (Branch: Matrix - OS = 'linux', B = 'y')")
        .has("run linux-x")
        .has("run linux-y")
        .lacks("run mac");
    ran.has("Stage \"Matrix - OS = 'mac', B = 'x'\" skipped due to when conditional").lacks("OS = 'mac', B = 'y'");
}

#[test]
fn a_siblings_error_is_not_this_stages_error() {
    let ran = stages("stage('p') { parallel { stage('bad') { steps { error 'no' } }; stage('good') { steps { sleep 5 }; post { success { echo 'G' }; failure { echo 'never' } } } }
        post { failure { echo 'P' } } }");
    ran.is(Outcome::Failure).has("\nG\n").has("\nP\n").lacks("never");
}

#[test]
fn always_fail_fast() {
    let ran = run("pipeline { agent none; options { parallelsAlwaysFailFast() }; stages { stage('p') { parallel {
        stage('bad') { steps { sleep 1; error 'no' } }; stage('slow') { steps { sleep 60; echo 'never' } } } } } }");
    ran.is(Outcome::Failure).lacks("never").has("Failed in branch slow");
}

#[test]
fn what_a_pipeline_needs_and_this_cannot_is_named() {
    let fails = |source: &str, text: &str| match World::new(Fixture::default()).run(source) {
        Ok(ran) => drop(ran.is(Outcome::Failure).has(text)),
        Err(messages) => assert!(messages.join("\n").contains(text), "{messages:?}"),
    };
    let body = "stages { stage('a') { steps { echo 'x' } } }";
    fails(
        &format!("pipeline {{ agent any; environment {{ K = credentials('id') }}; {body} }}"),
        "Could not find credentials entry with ID 'id'",
    );
    fails(
        "pipeline { agent none; stages { stage('a') { input { message 'go?' }; steps { echo 'x' } } } }",
        "nobody to answer",
    );
    fails("pipeline { agent none; stages { stage('a') { steps { sh 'x' } } } }", "‘agent none’ was specified");
}

/// Source: `executePostBuild` of `ModelInterpreter.groovy`: what failed before is thrown behind the stage.
#[test]
fn the_stage_of_a_pipelines_post_fails_for_nothing_that_was_before() {
    let outcome = |stages: &str, post: &str| {
        let ran = run(&format!("pipeline {{ agent none; stages {{ {stages} }}; post {{ {post} }} }}"));
        ran.is(Outcome::Failure);
        let number = ran.events.iter().find_map(|event| match event {
            Event::StageStarted { stage, name, .. } if name == "Declarative: Post Actions" => Some(*stage),
            _ => None,
        });
        let ended = ran.events.iter().find_map(|event| match event {
            Event::StageFinished { stage, outcome, .. } if Some(*stage) == number => Some(*outcome),
            _ => None,
        });
        ended.expect("the stage ended")
    };
    let (fails, runs) = ("stage('a') { steps { error 'no' } }", "stage('a') { steps { echo 'x' } }");
    assert_eq!(outcome(fails, "always { echo 'done' }"), Outcome::Success);
    assert_eq!(outcome(runs, "always { error 'late' }"), Outcome::Success);
}

#[test]
fn a_step_without_a_node_is_told_why() {
    let ran =
        run("pipeline { agent any; environment { K = credentials('id') }; stages { stage('a') { steps { echo 'x' } } }
        post { always { sh 'true' } } }");
    ran.is(Outcome::Failure).has("Required context class hudson.FilePath is missing").lacks("‘agent none’");
}

#[test]
fn tools_are_ignored_with_a_word() {
    let ran = run("pipeline { agent any; tools { maven 'M3' }; stages { stage('a') { steps { echo 'on' } } } }");
    ran.is(Outcome::Success).has("{ (Declarative: Tool Install)").has("tools { maven ‘M3’ } is ignored").has("\non\n");
}

#[test]
fn events_tell_the_tree() {
    let ran = stages(
        "stage('p') { parallel { stage('a') { steps { echo 'x' } }; stage('b') { when { expression { false } }; steps { echo 'y' } } } }",
    );
    let mut names = Vec::new();
    for event in &ran.events {
        match event {
            Event::StageStarted { name, branch, parent, .. } => {
                names.push(format!("{name}{}{}", if *branch { "*" } else { "" }, parent.map_or(0, |p| p.0)))
            }
            Event::StageSkipped { stage, .. } => names.push(format!("skip {}", stage.0)),
            _ => {}
        }
    }
    assert_eq!(names, ["p0", "a*1", "b*1", "a2", "b3", "skip 5"]);
    let ended = ran.events.iter().filter(|e| matches!(e, Event::StageFinished { .. })).count();
    assert_eq!(ended, 5);
}

/// Source: pipeline-model-definition, *Restart from Stage*.
#[test]
fn a_restarted_run_skips_what_comes_before() {
    let source = "pipeline { agent any
        stages {
            stage('Build') { steps { echo 'built' } }
            stage('Test') { parallel { stage('a') { steps { echo 'tested a' } } stage('b') { steps { echo 'tested b' } } } }
            stage('Deploy') { when { isRestartedRun() }
                stages { stage('to') { steps { echo 'deployed' } } } }
        }
        post { success { echo 'well' } } }";
    let from = |stage: &str| {
        let facts = RunFacts { restart_from: Some(stage.to_owned()), ..RunFacts::default() };
        with_facts(facts, source)
    };
    let ran = from("Deploy");
    ran.is(Outcome::Success).has("deployed").has("well").lacks("built").lacks("tested");
    for name in ["Build", "Test", "a", "b"] {
        ran.has(&format!("Stage \"{name}\" skipped due to this build restarting at stage \"Deploy\""));
    }
    let ran = from("Test");
    ran.is(Outcome::Success).has("tested a").has("tested b").has("deployed").lacks("built");
    let ran = run(source);
    ran.is(Outcome::Success).has("built").lacks("deployed");
    // Only those at the top, as in Jenkins.
    for name in ["a", "to", "Release"] {
        let ran = from(name);
        ran.is(Outcome::Failure).lacks("built").lacks("tested");
        ran.has(&format!(
            "There is no stage \"{name}\" to restart from; those of the pipeline are \"Build\", \"Test\", \"Deploy\""
        ));
    }
    let facts = || RunFacts { restart_from: Some("Build".to_owned()), ..RunFacts::default() };
    let forbids = source.replace("agent any", "agent any\noptions { disableRestartFromStage() }");
    with_facts(facts(), &forbids).is(Outcome::Failure).has("disableRestartFromStage").lacks("built");
    with_facts(facts(), "stage('Build') { echo 'built' }")
        .is(Outcome::Failure)
        .has("Only a declarative")
        .lacks("built");
}

/// A stage with steps has its `post` around these alone; one with branches around all that it is.
#[test]
fn post_of_a_stage_runs_where_jenkins_runs_it() {
    let stage = |directives: &str| {
        run(&format!(
            "pipeline {{ agent none\n stages {{ stage('a') {{ {directives}\n post {{ always {{ echo 'of the stage' }} }} }} }}
             post {{ always {{ echo 'of the pipeline' }} }} }}"
        ))
    };
    for directives in [
        "when { expression { error 'in when' } }\n steps { echo 'x' }",
        "environment { BAD = \"${nosuch()}\" }\n steps { echo 'x' }",
        "environment { BAD = \"${nosuch()}\" }\n stages { stage('b') { steps { echo 'x' } } }",
    ] {
        stage(directives).is(Outcome::Failure).lacks("of the stage").has("of the pipeline");
    }
    stage("steps { error 'x' }").is(Outcome::Failure).has("of the stage");
    stage("when { expression { error 'in when' } }\n parallel { stage('b') { steps { echo 'x' } } }")
        .is(Outcome::Failure)
        .has("of the stage");
    let ran = run("pipeline { agent any\n stages { stage('a') { environment { X = 'of the stage' }
        options { retry(2) }
        parallel { stage('b') { steps { error 'x' } } }
        post { always { echo \"post ${env.X}\" } } } } }");
    ran.is(Outcome::Failure).has("post null\n");
    assert_eq!(ran.log.matches("post null").count(), 1, "after the last attempt, and once: {}", ran.log);
}

#[test]
fn a_step_that_needs_a_node_where_there_is_none_fails_in_one_line() {
    let ran = stages("stage('a') { steps { sh 'x' } }");
    ran.is(Outcome::Failure)
        .has("ERROR: Attempted to execute a step that requires a node context while ‘agent none’ was specified.");
    let caught = stages("stage('a') { steps { script { try { sh 'x' } catch (e) { echo \"${e.class.name}\" } } } }");
    caught.is(Outcome::Success).has("MissingContextVariableException");
}

#[test]
fn conditions_that_read_their_argument_otherwise() {
    let ran = |when: &str, env: &str, causes: &[(&str, Option<&str>)]| {
        let causes = causes.iter().map(|(class, user)| BuildCause {
            class: (*class).to_owned(),
            description: String::new(),
            user: user.map(str::to_owned),
        });
        let facts = RunFacts { causes: causes.collect(), ..RunFacts::default() };
        let source = format!(
            "pipeline {{ agent none\n environment {{ {env} }}\n stages {{ stage('a') {{ when {{ {when} }}\n steps {{ echo 'it ran' }} }} }} }}"
        );
        World::new(Fixture { facts, ..Fixture::default() })
            .run(&source)
            .unwrap()
            .is(Outcome::Success)
            .log
            .contains("it ran")
    };
    // An empty pattern is any tag, a decimal a number.
    for (when, env, runs) in [
        ("tag ''", "TAG_NAME = 'v1'", true),
        ("tag pattern: '', comparator: 'REGEXP'", "TAG_NAME = 'v1'", true),
        ("tag ''", "X = '1'", false),
        ("equals expected: 2.0, actual: 2", "X = '1'", true),
        ("equals expected: 1.5f, actual: 1e3", "X = '1'", false),
        ("equals expected: 10G, actual: 10", "X = '1'", true),
    ] {
        assert_eq!(ran(when, env, &[]), runs, "{when}");
    }
    let timer = [("hudson.triggers.TimerTrigger$TimerTriggerCause", None)];
    let user = [("hudson.model.Cause$UserIdCause", Some("jane"))];
    for (when, causes, runs) in [
        ("triggeredBy 'Timer'", &timer, true),
        ("triggeredBy 'timertrigger'", &timer, true),
        ("triggeredBy '.*Trigger'", &timer, true),
        ("triggeredBy cause: 'TimerTrigger', detail: 'x'", &timer, true),
        ("triggeredBy 'Cause'", &timer, false),
        ("triggeredBy 'hudson.triggers.TimerTrigger$TimerTriggerCause'", &timer, false),
        ("triggeredBy cause: 'UserIdCause', detail: 'jane'", &user, true),
        ("triggeredBy cause: 'UserIdCause', detail: 'joe'", &user, false),
        ("triggeredBy cause: 'UserId', detail: 'joe'", &user, true),
    ] {
        assert_eq!(ran(when, "X = '1'", causes), runs, "{when}");
    }
}
