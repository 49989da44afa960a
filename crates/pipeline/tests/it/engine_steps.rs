//! Each step by what it says, asks and returns.

use model::git::{Clearing, GitSource, Submodules};
use model::outcome::Outcome;
use model::request::{AgentSpec, Question, Request};
use pipeline::conformance::{Fixture, HeldCredential};
use pipeline::engine::RunFacts;

use crate::engine::{run, steps};
use crate::engine_world::World;

#[test]
fn sh_returns_output_untrimmed_or_a_status_or_fails() {
    steps("echo \"<${sh(script: 'echo out; echo err >&2', returnStdout: true)}>\"")
        .has("<out\n>")
        .has("+ echo out")
        .has("err");
    steps("echo \"s=${sh(script: 'exit 3', returnStatus: true)}\"").is(Outcome::Success).has("s=3");
    steps("sh 'exit 3'").is(Outcome::Failure).has("ERROR: script returned exit code 3");
    steps("try { sh 'exit 3' } catch (hudson.AbortException e) { echo \"c:${e.message}\" }")
        .is(Outcome::Success)
        .has("c:script returned exit code 3");
    steps("sh(script: 'echo seen; exit 1', returnStdout: true)").is(Outcome::Failure).has("\nseen\n");
    steps("echo \"<${sh(script: 'echo x; exit 3', returnStdout: true, returnStatus: true)}>\"")
        .is(Outcome::Success)
        .has("<3>");
}

#[test]
fn sh_stops_at_the_first_error_unless_it_names_its_interpreter() {
    steps("sh '''false\necho on'''").is(Outcome::Failure).lacks("\non\n").has("+ false");
    steps("sh '''#!/bin/sh\nfalse\necho on'''").is(Outcome::Success).has("\non\n").lacks("+ false");
}

#[test]
fn sh_shows_its_label() {
    steps("sh(script: 'true', label: 'the label')").has("[Pipeline] sh (the label)");
}

#[test]
fn sh_without_a_node_says_what_is_missing() {
    run("sh 'x'")
        .is(Outcome::Failure)
        .has("Perhaps you forgot to surround the sh step with a step that provides this, such as: node");
}

#[test]
fn variables_of_blocks_nest_and_path_is_prepended() {
    steps("withEnv(['A=1', 'PATH+X=/x/bin']) { withEnv(['A=2']) { sh 'echo $A $PATH' }; sh 'echo $A' }; echo \"${env.A}\"")
        .has("\n2 /x/bin:/usr/local/bin")
        .has("\n1\n")
        .has("\nnull\n");
    steps("env.B = 'b'; withEnv(['B=c']) { echo env.B }; echo B; sh 'echo \"<$B>\"'")
        .has("\nc\n")
        .has("\nb\n")
        .has("\n<b>\n");
    steps("env.PATH = \"/my:${env.PATH}\"; sh 'echo $PATH'").has("\n/my:/usr/local/bin");
    steps("withEnv(['oops']) { }").is(Outcome::Failure).has("oops");
}

#[test]
fn facts_of_the_run_are_variables() {
    let facts = RunFacts { job_name: "folder/app".to_owned(), build_number: 12, ..RunFacts::default() };
    let fixture = Fixture { facts, ..Fixture::default() };
    let source = "node { echo \"${env.BUILD_TAG} ${JOB_BASE_NAME} ${BUILD_NUMBER} ${env.CI} ${WORKSPACE == pwd()} ${env.NODE_NAME}\" }";
    World::new(fixture).run(source).unwrap().has("jenkins-folder-app-12 app 12 true true here");
}

#[test]
fn folders_and_files() {
    let ran = steps(
        "dir('a/b') { writeFile file: 'f', text: 'text'; echo pwd() }
         echo readFile('a/b/f'); echo \"${fileExists('a/b/f')} ${fileExists 'nope'}\"
         dir('a') { deleteDir() }; echo \"gone ${!fileExists('a')}\"; echo \"tmp ${pwd(tmp: true)}\"; echo \"${isUnix()}\"
         readFile 'missing'",
    );
    ran.is(Outcome::Failure)
        .has("/workspace/test0/a/b\n")
        .has("\ntext\n")
        .has("true false")
        .has("gone true")
        .has("test0@tmp")
        .has("missing");
}

#[test]
fn a_folder_is_for_the_block_only() {
    steps("dir('x') { sh 'pwd' }; sh 'pwd'").has("/test0/x\n").has("/test0\n");
    steps("ws('other') { echo WORKSPACE }").has("Running in").has("/other\n");
}

#[test]
fn retry_tries_again_and_gives_up() {
    let ran = run("int n = 0\nretry(3) { n++; echo \"try ${n}\"; if (n < 3) { error 'no' } }\necho 'good'");
    ran.is(Outcome::Success).has("ERROR: no\nRetrying").has("try 3").has("good");
    run("retry(2) { error 'always' }").is(Outcome::Failure).has("ERROR: always");
    run("retry(0) { echo 'once'; error 'no' }").is(Outcome::Failure).has("once").lacks("Retrying");
}

#[test]
fn timeouts_interrupt_what_waits() {
    let ran = run("timeout(time: 5, unit: 'SECONDS') { sleep 60; echo 'never' }");
    ran.is(Outcome::Aborted)
        .has("Timeout set to expire in 5 sec")
        .has("Cancelling nested steps due to timeout")
        .lacks("never");
    assert!(ran.end.timed_out);
    run("timeout(5) { echo 'quick' }").is(Outcome::Success).has("Timeout set to expire in 5 min 0 sec");
    run("try { timeout(1) { sleep 3600 } } catch (e) { echo \"c: ${e.class.name}\" }")
        .is(Outcome::Success)
        .has("c: org.jenkinsci.plugins.workflow.steps.FlowInterruptedException");
    run("retry(2) { timeout(1) { sleep 3600 } }").is(Outcome::Aborted).has("Retrying");
}

#[test]
fn a_body_that_ignores_its_timeout_is_ended_all_the_same() {
    let ran = run("timeout(1) { while (true) { try { sleep 3600 } catch (e) { echo 'ignored' } } }");
    ran.is(Outcome::Aborted).has("ignored").has("terminating with extreme prejudice");
}

#[test]
fn an_inner_timeout_does_not_end_the_outer_one() {
    let ran = run("timeout(10) { try { timeout(1) { sleep 3600 } } catch (e) { echo 'inner' }; sleep 60; echo 'on' }");
    ran.is(Outcome::Success).has("inner").has("\non\n");
}

#[test]
fn activity_keeps_a_timeout_from_firing() {
    let ran = run(
        "timeout(time: 10, unit: 'SECONDS', activity: true) { for (int i = 0; i < 5; i++) { sleep 8; echo 'tick' } }",
    );
    ran.is(Outcome::Success).has("after 10 sec without activity");
    run("timeout(time: 10, unit: 'SECONDS', activity: true) { sleep 100 }").is(Outcome::Aborted);
}

#[test]
fn errors_that_are_caught_by_steps() {
    let ran =
        run("catchError(buildResult: 'UNSTABLE', stageResult: 'FAILURE', message: 'hm') { error 'bad' }\necho 'on'");
    ran.is(Outcome::Unstable).has("ERROR: hm\nERROR: bad\nSetting overall build result to UNSTABLE\n").has("\non\n");
    run("catchError { error 'bad' }\necho 'on'").is(Outcome::Failure).has("\non\n");
    run("warnError('careful') { error 'bad' }").is(Outcome::Unstable).has("careful");
    run("unstable 'so so'\necho 'on'").is(Outcome::Unstable).has("WARNING: so so").has("\non\n");
    run("catchError(buildResult: 'WORSE') { }").is(Outcome::Failure).has("WORSE");
    // A timeout that has ended its own block is an error like others; one around it is not.
    run("catchError(catchInterruptions: false) { timeout(1) { sleep 3600 } }\necho 'on'")
        .is(Outcome::Aborted)
        .has("Setting overall build result to ABORTED\n")
        .has("\non\n");
    run("timeout(1) { catchError(catchInterruptions: false) { sleep 3600 } }\necho 'never'")
        .is(Outcome::Aborted)
        .lacks("never");
    let ran = run("catchError { error 'a' }; catchError { error 'b' }; warnError('c') { error 'd' }");
    ran.is(Outcome::Failure).lacks("Setting overall build result to UNSTABLE").lacks("Setting stage result");
    assert_eq!(ran.log.matches("Setting overall build result").count(), 1, "{}", ran.log);
}

#[test]
fn branches_all_end_and_the_first_error_counts() {
    let ran = run("def r = parallel(a: { sleep 2; 'A' }, b: { sleep 1; 'B' })\necho \"${r}\"");
    ran.is(Outcome::Success).has("{ (Branch: a)").has("{ (Branch: b)");
    let ran =
        run("parallel a: { sleep 1; error 'first' }, b: { sleep 2; error 'second' }, c: { sleep 3; echo 'c ends' }");
    ran.is(Outcome::Failure).has("c ends").has("Failed in branch a").has("ERROR: first\n");
    assert!(ran.log.trim_end().ends_with("ERROR: first\nFinished: FAILURE"), "{}", ran.log);
}

#[test]
fn fail_fast_interrupts_the_other_branches() {
    let ran = run(
        "parallel a: { sleep 1; error 'boom' }, b: { try { sleep 60 } finally { echo 'cleaned' } ; echo 'never' }, failFast: true",
    );
    ran.is(Outcome::Failure).has("cleaned").has("Failed in branch b").lacks("never").has("ERROR: boom");
    let slept = ran.requests.iter().filter(|r| matches!(r, Request::Sleep { .. })).count();
    assert_eq!(slept, 2);
}

#[test]
fn branches_share_variables_and_take_turns() {
    run("def n = 0\nparallel((1..20).collectEntries { i -> [\"b${i}\".toString(), { for (int k = 0; k < 10; k++) { n++; sleep 1 } }] })\necho \"n=${n}\"")
        .is(Outcome::Success)
        .has("n=200");
}

#[test]
fn wait_until_asks_again() {
    run("int n = 0\nwaitUntil { n++; n == 3 }\necho \"n=${n}\"")
        .is(Outcome::Success)
        .has("Will try again after 0.25 sec")
        .has("n=3");
    run("waitUntil { 'yes' }").is(Outcome::Failure);
}

#[test]
fn stages_of_both_forms() {
    run("stage('a') { echo STAGE_NAME }\nstage 'b'\necho 'in b'")
        .is(Outcome::Success)
        .has("[Pipeline] { (a)\n")
        .has("\na\n")
        .has("deprecated\nEntering stage b\nProceeding\n");
}

#[test]
fn git_and_checkout_name_a_repository() {
    let source = |ran: &crate::engine_world::Ran| {
        let found = ran.requests.iter().find_map(|r| match r {
            Request::Checkout { source, dir, .. } => Some((source.clone().map(|source| *source), dir.clone())),
            _ => None,
        });
        found.unwrap()
    };
    let git = |url: &str, reference: Option<&str>| {
        Some(GitSource { url: url.to_owned(), reference: reference.map(str::to_owned), ..GitSource::default() })
    };
    let ran = steps("git url: 'https://x/y.git', branch: 'dev'");
    assert_eq!(source(&ran).0, git("https://x/y.git", Some("dev")));
    let ran = steps("git 'https://x/y.git'");
    assert_eq!(source(&ran).0, git("https://x/y.git", None));
    let ran = steps(
        "checkout([$class: 'GitSCM', branches: [[name: '*/main']], userRemoteConfigs: [[url: 'https://x/z.git']],
         extensions: [[$class: 'RelativeTargetDirectory', relativeTargetDir: 'sub'], [$class: 'LocalBranch'], cleanBeforeCheckout(), submodule()]])",
    );
    let (found, dir) = source(&ran);
    let here = GitSource {
        local_branch: Some("**".to_owned()),
        submodules: Some(Submodules::default()),
        clearing: Clearing::Untracked,
        ..git("https://x/z.git", Some("main")).unwrap()
    };
    assert_eq!(found, Some(here));
    assert!(dir.ends_with("/test0/sub"), "{dir}");
}

#[test]
fn checkout_scm_returns_what_it_found_and_sets_nothing() {
    let facts = RunFacts { has_scm: true, ..RunFacts::default() };
    let files = vec![("f.txt".to_owned(), "from the repository".to_owned())];
    let source = "node { def v = checkout scm; echo \"c=${v.GIT_COMMIT} e=${env.GIT_COMMIT}\"; sh 'cat f.txt' }";
    let ran = World::new(Fixture { facts, files, ..Fixture::default() }).run(source).unwrap();
    ran.is(Outcome::Success).has("c=0123456789 e=null").has("from the repository");
}

#[test]
fn arguments_are_checked() {
    run("echo 1").is(Outcome::Failure).has("java.lang.ClassCastException").has("java.lang.Integer");
    run("timeout(unit: 'SECONDS') { }").is(Outcome::Failure).has("Missing required parameter: \"time\"");
    run("timeout(time: 1, unit: 'WEEKS') { }").is(Outcome::Failure).has("WEEKS");
    run("echo 'a', 'b'").is(Outcome::Failure).has("Expected named arguments but got");
    run("dir('x')").is(Outcome::Failure);
    run("timeout(1)").is(Outcome::Failure).has("timeout step must be called with a body");
}

#[test]
fn the_build_says_what_it_is() {
    let ran = run("echo \"${currentBuild.result} ${currentBuild.currentResult} ${currentBuild.number}\"
        currentBuild.displayName = 'mine'; currentBuild.description = 'd'
        currentBuild.result = 'UNSTABLE'; currentBuild.result = 'SUCCESS'
        echo \"${currentBuild.result} ${currentBuild.displayName} ${currentBuild.resultIsWorseOrEqualTo('UNSTABLE')}\"
        echo \"${currentBuild.getNumber()} ${currentBuild.previousBuild} ${currentBuild.getBuildCauses('x')}\"");
    ran.is(Outcome::Unstable).has("null SUCCESS 1").has("UNSTABLE mine true").has("1 null []");
}

#[test]
fn images_share_the_workspace_of_their_node() {
    let login = HeldCredential::UsernamePassword {
        username: "u".into(),
        password: "pass-word".into(),
        is_username_secret: false,
    };
    let world = World::new(Fixture { credentials: vec![("id".to_owned(), login)], ..Fixture::default() });
    let ran = world
        .run(
            "node { docker.withRegistry('https://r', 'id') { docker.image('maven:3').inside('-e A=b') { sh 'pwd' } } }",
        )
        .unwrap();
    ran.is(Outcome::Success);
    let docker = ran.requests.iter().find_map(|r| match r {
        Request::Allocate { agent: AgentSpec::Docker(d), .. } => Some(d.clone()),
        _ => None,
    });
    let docker = docker.unwrap();
    assert_eq!((docker.image.as_str(), docker.args.as_str()), ("maven:3", "-e A=b"));
    assert_eq!(
        (docker.registry_url.as_deref(), docker.registry_credentials.as_deref()),
        (Some("https://r"), Some("id"))
    );
    assert!(docker.workspace_of.is_some());
    run("def i = docker.image('a/b:1'); docker.withRegistry('https://r:5000/v2/') { echo \"<${i.imageName()} ${i.id}>\" }")
        .has("<r:5000/a/b:1 a/b:1>");
}

#[test]
fn images_bring_a_node_where_there_is_none() {
    for source in [
        "docker.image('x').inside { sh 'echo in-$PWD' }",
        "docker.withTool('default') { docker.image('x').inside { sh 'echo in-$PWD' } }",
        "node { withDockerContainer('x') { dir('sub') { sh 'echo in-$PWD' } } }",
        "pipeline { agent none; stages { stage('s') { steps { script { docker.image('x').inside { sh 'echo in-$PWD' } } } } } }",
    ] {
        let ran = run(source);
        ran.is(Outcome::Success).has("in-/").has("[Pipeline] withDockerContainer");
        let agents: Vec<_> = ran.requests.iter().filter(|r| matches!(r, Request::Allocate { .. })).collect();
        assert!(
            matches!(&agents[..], [
                Request::Allocate { job, agent: AgentSpec::Any, .. },
                Request::Allocate { agent: AgentSpec::Docker(docker), .. },
            ] if docker.image == "x" && docker.workspace_of == Some(*job)),
            "{agents:?}"
        );
    }
    run("withDockerContainer('x') { }").is(Outcome::Failure).has("such as: node");
}

#[test]
fn a_workspace_is_cleaned_from_wherever_it_is_asked() {
    let ran = steps(
        "writeFile file: 'a', text: 'x'; dir('b') { writeFile file: 'c', text: 'x'; cleanWs() }; echo \"left ${fileExists('a')}\"",
    );
    ran.is(Outcome::Success).has("left false").has("[WS-CLEANUP] done");
    let files = "['x/a.o', 'x/a.c', 'y.o'].each { writeFile file: it, text: '' }";
    let left = "echo \"left ${findFiles(glob: '**')*.path} ${fileExists('x')}\"";
    let clean = |args: &str| steps(&format!("{files}; cleanWs {args}; {left}"));
    clean("patterns: [[pattern: '**/*.o', type: 'INCLUDE']]").has("left [x/a.c] true");
    clean("deleteDirs: true, patterns: [[pattern: 'x', type: 'INCLUDE']]").has("left [y.o] false");
    clean("patterns: [[pattern: 'y.*', type: 'EXCLUDE']]").has("left [y.o] true");
    clean("cleanWhenSuccess: false, notFailBuild: true").has("left [] false");
    steps(&format!("{files}; unstable 'u'; cleanWs cleanWhenUnstable: false; {left}"))
        .has("[WS-CLEANUP] Skipped based on build state UNSTABLE")
        .has("left [x/a.c, x/a.o, y.o] true");
    steps("cleanWs deleteDirs: true, notFailBuild: true").is(Outcome::Success);
}

#[test]
fn declarative_files_of_the_workspace_are_validated() {
    let ran = steps(
        "writeFile file: 'bad', text: 'pipeline { agent any }'
         writeFile file: 'code', text: 'echo 1'
         echo \"${validateDeclarativePipeline('bad')} ${validateDeclarativePipeline('code')} ${validateDeclarativePipeline('none')}\"",
    );
    ran.is(Outcome::Success)
        .has("false false false")
        .has("Error(s) validating Declarative Pipeline file 'bad' - org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\n")
        .has("WorkflowScript: 1: Missing required section \"stages\" @ line 1, column 1.\n")
        .has("'code' does not contain the 'pipeline' step.")
        .has("'none' does not exist.");
}

#[test]
fn properties_give_parameters_their_defaults() {
    let facts = RunFacts { params: vec![("B".to_owned(), "true".to_owned())], ..RunFacts::default() };
    let source =
        "properties([buildDiscarder(logRotator(numToKeepStr: '5')), parameters([string(name: 'A', defaultValue: 'x'),
        booleanParam(name: 'B', defaultValue: false), choice(name: 'C', choices: ['one', 'two'])])])
        echo \"${params.A} ${params.B == true} ${params.C} ${A} ${env.B}\"";
    World::new(Fixture { facts, ..Fixture::default() })
        .run(source)
        .unwrap()
        .is(Outcome::Success)
        .has("x true one x true");
}

#[test]
fn what_cannot_run_yet_is_named() {
    let fails = |source: &str, text: &str| {
        match World::new(Fixture::default()).run(source) {
            Ok(ran) => drop(ran.is(Outcome::Failure).has(text)),
            Err(messages) => assert!(messages.join("\n").contains(text), "{messages:?}"),
        };
    };
    fails("input 'go on?'", "there is nobody to answer it here");
    fails("node { containerLog 'x' }", "The step ‘containerLog’ does not run here");
    fails("nodeNames()", "The step ‘nodeNames’ does not run here");
    fails("node { bat 'dir' }", "Batch scripts can only be run on Windows nodes");
}

#[test]
fn test_reports_make_a_run_unstable() {
    let reports = "writeFile file: 'a/TEST-1.xml', text: '<testcase/><testcase><failure/></testcase>'";
    let ran = steps(&format!(
        "{reports}; def all = junit 'a/*.xml'; echo \"${{all.failCount}} of ${{all.totalCount}}, ${{all.passCount}}\"
         echo currentBuild.result"
    ));
    ran.is(Outcome::Unstable).has("Recording test results").has("1 of 2, 1").has("UNSTABLE");
    steps(&format!("{reports}; step([$class: 'JUnitResultArchiver', testResults: 'a/*.xml'])")).is(Outcome::Unstable);
    steps(&format!("{reports}; junit testResults: 'a/*.xml', skipMarkingBuildUnstable: true")).is(Outcome::Success);
    steps("junit 'none/*.xml'").is(Outcome::Failure).has("No test report files were found. Configuration error?");
    let allowed = "junit testResults: 'none/*.xml', allowEmptyResults: true";
    steps(allowed)
        .is(Outcome::Success)
        .has("No test report files were found. Configuration error?\nNone of the test reports contained any result");
    let empty = "writeFile file: 'e.xml', text: '<testsuite/>'; junit 'e.xml'";
    steps(empty).is(Outcome::Failure).has("None of the test reports contained any result");
}

#[test]
fn a_loaded_script_has_methods() {
    let ran = steps(
        "writeFile file: 'lib.groovy', text: 'def hi(x) { echo \"hi \" + x; 7 }\\nreturn this'
         def lib = load 'lib.groovy'; echo \"r=${lib.hi('you')}\"
         writeFile file: 'bad.groovy', text: 'def x = ('; load 'bad.groovy'",
    );
    ran.is(Outcome::Failure)
        .has("[Pipeline] { (lib.groovy)")
        .has("hi you")
        .has("r=7")
        .has("MultipleCompilationErrorsException");
}

#[test]
fn jenkins_internals_are_refused_by_name() {
    run("currentBuild.rawBuild").is(Outcome::Failure).has("Scripts not permitted to use method org.jenkinsci");
}

#[test]
fn thousands_of_branches_take_no_longer_each() {
    let start = std::time::Instant::now();
    run("def b = [:]\nfor (int i = 0; i < 3000; i++) { def n = i; b[\"branch ${n}\"] = { echo \"at ${n}\" } }\nparallel b")
        .is(Outcome::Success)
        .has("\nat 2999\n");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    run("def b = [:]\nfor (int i = 0; i < 10001; i++) { b['b' + i] = { } }\nparallel b")
        .is(Outcome::Failure)
        .has("the run has 10001 branches at once; the limit is 10000");
    // Branches of branches count too, and those that have ended do not.
    let nested =
        "def nest(n) { if (n > 0) parallel((1..30).collectEntries { [\"b$it\".toString(), { nest(n - 1) }] }) }\n";
    run(&format!("{nested}nest(2)\nnest(2)\necho 'through'")).is(Outcome::Success).has("through");
    run(&format!("{nested}nest(4)")).is(Outcome::Failure).has("branches at once; the limit is 10000");
}

/// Jenkins tries again after a `timeout` inside of the body, and never when the timeout that is around has come.
#[test]
fn retry_does_not_try_again_when_a_timeout_around_it_has_come() {
    steps("retry(2) { timeout(1) { sleep 100 } }").is(Outcome::Aborted).has("Retrying");
    steps("timeout(1) { retry(3) { sleep 100 } }").is(Outcome::Aborted).lacks("Retrying");
}

#[test]
fn catch_error_can_leave_the_result_as_it_is() {
    steps("catchError(buildResult: null, stageResult: 'UNSTABLE') { error 'no' }")
        .is(Outcome::Success)
        .has("ERROR: no");
}

#[test]
fn a_limit_of_the_evaluator_names_its_place_and_post_runs() {
    run("def f(n) { f(n + 1) }\npipeline { agent none\nstages { stage('S') { steps { script { f(1) } } post { always { echo 'STAGE POST' } } } }\n\
        post { failure { echo 'PIPELINE POST' } } }")
        .is(Outcome::Failure)
        .has("limit of")
        .has("(WorkflowScript:1)")
        .has("STAGE POST")
        .has("PIPELINE POST");
}

/// Source: `InputStep` of pipeline-input-step: what comes back is nothing, a value or a map, and a no ends the run.
#[test]
fn people_are_asked() {
    let said = |said: Option<&[(&str, &str)]>, source: &str| {
        let mut world = World::new(Fixture::default());
        let values = |values: &[(&str, &str)]| values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        world.decisions.push_back(said.map(values));
        world.run(source).unwrap_or_else(|e| panic!("rejected: {e:?}"))
    };
    let ran = said(Some(&[]), "def x = input 'Deploy?'; echo \"and then ${x}\"");
    ran.is(Outcome::Success).has("Deploy?").has("Proceed or Abort").has("Approved by alice").has("and then null");
    let one = "def x = input message: 'Where?', ok: 'Go', parameters: [choice(name: 'ENV', choices: ['dev', 'prod'], description: 'a place')]
        echo \"to ${x}\"";
    said(Some(&[("ENV", "prod")]), one).is(Outcome::Success).has("Input requested").has("to prod");
    said(Some(&[]), one).is(Outcome::Success).has("to dev");
    said(Some(&[("ENV", "mars")]), one).is(Outcome::Failure).has("has no choice `mars`");
    let several = "def x = input message: '?', submitterParameter: 'WHO', parameters: [booleanParam(name: 'SURE', defaultValue: true), string(name: 'V')]
        echo \"${x.WHO} ${x.SURE == true} ${x.V}\"";
    said(Some(&[("V", "1.2")]), several).is(Outcome::Success).has("alice true 1.2");
    said(Some(&[]), "def x = input message: '?', submitterParameter: 'WHO'; echo \"by ${x}\"").has("by alice");
    // A no is an interruption, which a script may catch and see through.
    let ran = said(None, "try { input 'Deploy?' } finally { echo 'at last' }\necho 'not this'");
    ran.is(Outcome::Aborted).has("Rejected by alice").has("at last").lacks("not this");
    let caught = "try { input 'Deploy?' } catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) { echo \"caught ${e.causes[0].shortDescription}\" }";
    said(None, caught).is(Outcome::Success).has("caught Rejected by alice");
    let stage = "pipeline { agent none
        stages { stage('Deploy') {
            input { message 'Where?'\n ok 'Go'\n submitter 'alice,bob'\n submitterParameter 'WHO'\n parameters { string(name: 'ENV', defaultValue: 'dev', description: '') } }
            steps { echo \"${ENV} by ${WHO}\" } } } }";
    said(Some(&[("ENV", "prod")]), stage).is(Outcome::Success).has("prod by alice");
    said(None, stage).is(Outcome::Aborted).lacks("dev by alice");
    let ran = said(Some(&[]), stage);
    let asked = ran.requests.iter().find_map(|request| match request {
        Request::Input(question) => Some(question.clone()),
        _ => None,
    });
    let Question { id, ok, submitters, parameters, .. } = asked.unwrap();
    assert_eq!((id.as_str(), ok.as_str(), submitters), ("", "Go", vec!["alice".to_owned(), "bob".to_owned()]));
    assert_eq!((parameters.len(), parameters[0].default.as_str()), (1, "dev"));
    // Nobody is asked again: neither who said no, nor who is not there.
    said(None, "retry(3) { input 'Deploy?' }").is(Outcome::Aborted).lacks("Retrying");
    run("retry(3) { input 'go on?' }").is(Outcome::Failure).has("there is nobody to answer it here").lacks("Retrying");
}
