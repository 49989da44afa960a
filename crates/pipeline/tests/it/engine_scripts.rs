//! Whole pipelines as people write them.

use model::outcome::Outcome;
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine::run;
use crate::engine_world::World;

#[test]
fn a_scripted_build_with_cleanup_and_a_result_of_its_own() {
    let ran = run(r#"#!groovy
        @NonCPS
        def version(text) {
            def matcher = text =~ /<version>(.+)<\/version>/
            matcher ? matcher[0][1] : null
        }
        def notify(Map extra = [:], String status) {
            echo "notify ${status} ${extra.channel ?: 'none'}"
        }
        node('linux') {
            def pom
            try {
                stage('Checkout')
                {
                    writeFile file: 'pom.xml', text: '<version>1.2</version>'
                    pom = readFile('pom.xml')
                }
                stage('Build') {
                    env.VERSION = version(pom)
                    withEnv(["OPTS=-v ${env.VERSION}", 'PATH+BIN=/opt/bin']) {
                        def out = sh(script: 'echo "built $VERSION with $OPTS"', returnStdout: true).trim()
                        println out
                        assert out.endsWith('-v 1.2')
                    }
                }
                stage('Test') {
                    int status = sh returnStatus: true, script: 'exit 2'
                    if (status != 0) {
                        currentBuild.result = 'UNSTABLE'
                    }
                }
                if (currentBuild.result == null || currentBuild.result == 'SUCCESS') {
                    error 'not reached'
                }
            } catch (err) {
                currentBuild.result = 'FAILURE'
                throw err
            } finally {
                notify(currentBuild.currentResult, channel: '#ci')
                deleteDir()
            }
        }"#);
    ran.is(Outcome::Unstable).has("built 1.2 with -v 1.2").has("notify UNSTABLE #ci").has("[Pipeline] { (Test)");
}

#[test]
fn branches_made_in_a_loop() {
    let ran = run(r#"
        def targets = ['linux', 'mac', 'win']
        def branches = [:]
        for (t in targets) {
            def target = t
            branches["build-${target}"] = {
                node(target) {
                    stage("on ${target}") {
                        sh "echo for-${target} on \$NODE_NAME"
                    }
                }
            }
        }
        branches.failFast = true
        parallel branches
        targets.each { name -> retry(2) { echo "each ${name}" } }
        def sizes = targets.collect { it.size() }.findAll { it > 3 }
        echo "sizes ${sizes} ${targets.collectEntries { [(it): it.length()] }}"
    "#);
    ran.is(Outcome::Success)
        .has("for-linux on linux")
        .has("for-win on win")
        .has("each mac")
        .has("sizes [5] [linux:5, mac:3, win:3]");
}

#[test]
fn a_rethrown_exception_is_the_one_that_was_thrown() {
    let ran = run("node { try { sh 'exit 4' } catch (e) { echo \"saw ${e}\"; throw e } }");
    ran.is(Outcome::Failure)
        .has("saw hudson.AbortException: script returned exit code 4")
        .has("\nERROR: script returned exit code 4\n");
    let ran = run("try { error 'inner' } catch (Exception e) { throw new IllegalStateException('outer', e) }");
    ran.is(Outcome::Failure).has("java.lang.IllegalStateException: outer");
}

#[test]
fn closures_with_delegates_configure() {
    let ran = run(r#"
        def product(Closure body) {
            def config = [:]
            body.resolveStrategy = Closure.DELEGATE_FIRST
            body.delegate = config
            body()
            node(config.label) { echo "tool ${config.tool} at ${env.NODE_NAME}" }
        }
        product {
            label = 'big'
            tool = "maven-${1 + 2}"
        }
    "#);
    ran.is(Outcome::Success).has("tool maven-3 at big");
}

#[test]
fn a_class_calls_steps_through_the_script() {
    let ran = run(r#"
        class Tools implements Serializable {
            def script
            Tools(script) { this.script = script }
            def greet(String who) { script.echo "hello ${who}"; script.env.GREETED = who; this }
        }
        def tools = new Tools(this)
        tools.greet('you').greet('all')
        echo "${env.GREETED} ${steps.sleep(1)}"
    "#);
    ran.is(Outcome::Success).has("hello you").has("hello all").has("all null");
}

#[test]
fn a_declarative_build_as_people_write_it() {
    let facts = RunFacts {
        job_name: "team/app/main".to_owned(),
        build_number: 3,
        previous: Some(Outcome::Failure),
        has_scm: true,
        env: vec![("BRANCH_NAME".to_owned(), "main".to_owned())],
        params: vec![("DEPLOY".to_owned(), "true".to_owned())],
        ..RunFacts::default()
    };
    let source = r#"
        import groovy.transform.Field
        @Field String suffix = 'x'
        def label() { return "v${suffix}" }
        pipeline {
            agent { label 'docker && linux' }
            options {
                timeout(time: 1, unit: 'HOURS')
                buildDiscarder(logRotator(numToKeepStr: '10'))
                disableConcurrentBuilds()
                timestamps()
            }
            parameters {
                booleanParam(name: 'DEPLOY', defaultValue: false, description: 'deploy it')
                choice(name: 'ENV', choices: ['dev', 'prod'], description: '')
            }
            triggers { pollSCM('H/5 * * * *') }
            environment {
                IMAGE = "app:${env.BUILD_NUMBER}"
                SHORT = sh(script: 'echo abc', returnStdout: true).trim()
                TARGET = "${params.ENV}-${SHORT}"
            }
            stages {
                stage('Build') {
                    steps {
                        sh 'echo "image $IMAGE to $TARGET"'
                        script {
                            def names = ['a', 'b']
                            for (int i = 0; i < names.size(); i++) {
                                writeFile file: "out/${names[i]}.txt", text: names[i]
                            }
                            env.LABEL = label()
                        }
                        stash includes: 'out/**', name: 'out'
                    }
                }
                stage('Checks') {
                    parallel {
                        stage('Unit') {
                            steps {
                                retry(2) {
                                    sh '''#!/bin/sh
                                        [ -f tried ] || { touch tried; exit 1; }
                                        echo second time lucky
                                    '''
                                }
                            }
                        }
                        stage('Other node') {
                            agent any
                            options { skipDefaultCheckout() }
                            steps {
                                unstash 'out'
                                sh 'cat out/a.txt out/b.txt; ls'
                            }
                            post { always { echo "was on ${env.NODE_NAME}" } }
                        }
                    }
                }
                stage('Deploy') {
                    when {
                        allOf {
                            branch 'main'
                            expression { params.DEPLOY }
                            not { environment name: 'TARGET', value: 'prod-abc' }
                        }
                    }
                    steps {
                        catchError(buildResult: 'SUCCESS', stageResult: 'UNSTABLE') { sh 'exit 9' }
                        echo "deployed ${LABEL} to ${TARGET} of ${JOB_NAME}"
                        archiveArtifacts artifacts: 'out/*.txt', fingerprint: true
                    }
                    post { unstable { echo 'deploy was shaky' } }
                }
            }
            post {
                fixed { echo 'it works again' }
                regression { echo 'never' }
                cleanup { deleteDir() }
            }
        }"#;
    let ran = World::new(Fixture { facts, ..Fixture::default() }).run(source).unwrap();
    ran.is(Outcome::Success)
        .has("image app:3 to dev-abc")
        .has("second time lucky")
        .has("was on here")
        .has("deployed vx to dev-abc of team/app/main")
        .has("deploy was shaky")
        .has("it works again")
        .lacks("\nnever\n");
    assert_eq!(ran.archived.keys().collect::<Vec<_>>(), ["out/a.txt", "out/b.txt"]);
}

#[test]
fn a_when_that_runs_steps_may_be_interrupted() {
    let ran = run("pipeline { agent none; options { timeout(time: 1, unit: 'SECONDS') }; stages { stage('a') { when { expression { sleep 60; true } }
        steps { echo 'never' } } }; post { always { echo 'post' } } }");
    ran.is(Outcome::Aborted).lacks("\nnever\n").has("\npost\n");
}

#[test]
fn a_post_that_is_interrupted_ends_too() {
    let mut world = World::new(Fixture::default());
    world.abort_at_ms = Some(2_000);
    let ran = world.run("pipeline { agent none; stages { stage('a') { steps { echo 'a' } } }; post { always { sleep 60; echo 'never' }; cleanup { echo 'cleaned' } } }");
    ran.unwrap().is(Outcome::Aborted).has("\ncleaned\n").lacks("\nnever\n");
}

#[test]
fn matcher_and_regex_state_survive_steps() {
    run("def m = ('v1.2.3' =~ /v(\\d+)\\.(\\d+)/)\necho 'between'\necho \"${m[0][1]}-${m[0][2]}\"")
        .is(Outcome::Success)
        .has("\n1-2\n");
}

#[test]
fn code_outside_pipeline_runs_around_it() {
    let ran = run(
        "def list = []\nlist << 'before'\npipeline { agent none; stages { stage('s') { steps { script { list << 'inside' } } } } }\nlist << 'after'\necho list.join(',')",
    );
    ran.is(Outcome::Success).has("before,inside,after");
}

#[test]
fn a_second_pipeline_is_refused() {
    let block = |name: &str| {
        format!("pipeline {{ agent none; stages {{ stage('{name}') {{ steps {{ echo 'in {name}' }} }} }} }}\n")
    };
    let ran = run(&(block("a") + &block("b")));
    ran.is(Outcome::Failure)
        .has("\nin a\n")
        .has("Only one pipeline { ... } block can be executed in a single run.")
        .lacks("\nin b\n");
}

#[test]
fn the_time_goes_on_while_steps_wait() {
    let ran = run("def start = System.currentTimeMillis()\nsleep 5\ndef took = System.currentTimeMillis() - start\n\
                   echo \"took ${took}\"\necho new Date().format('yyyy-MM-dd HH:mm:ss')");
    ran.is(Outcome::Success).has("took 5000").has("1970-01-01 00:00:05");
}

#[test]
fn a_run_that_only_looks_at_the_clock_comes_to_an_end() {
    let ran = run("while (System.currentTimeMillis() < 10) { }");
    ran.is(Outcome::Failure).has("asked for the time 10000 times");
}

#[test]
fn random_names_are_the_same_when_a_run_is_evaluated_again() {
    let id = || {
        let ran = run("echo \"id=${UUID.randomUUID()} ${UUID.randomUUID()}\"");
        ran.log.lines().find(|line| line.contains("id=")).map(str::to_owned)
    };
    let first = id().expect("it is said");
    let ids: Vec<&str> = first.trim_start_matches("id=").split(' ').collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(id(), Some(first.clone()));
}

#[test]
fn what_reaches_outside_is_refused_with_what_to_do_instead() {
    let class = "org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException";
    let refused = [
        ("new File('/etc/passwd').text", "method java.io.File getText: files are on an agent: use the steps readFile"),
        ("'ls'.execute()", "method java.lang.String execute: programs run on an agent: use the step sh"),
        ("Thread.sleep(5)", "java.lang.Thread.sleep: use the steps sleep"),
        (
            "jenkins.model.Jenkins.instance",
            "staticMethod jenkins.model.Jenkins getInstance: there is no Jenkins object",
        ),
    ];
    for (source, words) in refused {
        run(source).is(Outcome::Failure).has(&format!("Scripts not permitted to use {words}"));
        run(&format!("try {{ {source} }} catch (e) {{ echo \"${{e.class.name}}\" }}")).is(Outcome::Success).has(class);
    }
}

#[test]
fn what_runs_in_one_go_may_lock() {
    let take = "{ synchronized (all) { all.collect { it } ; all.remove(0) } }";
    let source =
        |annotation: &str| format!("{annotation} def take(List all) {take}\necho \"took ${{take(['a', 'b'])}}\"");
    for annotation in ["@NonCPS", "@com.cloudbees.groovy.cps.NonCPS"] {
        run(&source(annotation)).is(Outcome::Success).has("took a");
    }
    let found = World::new(Fixture::default()).run(&source("")).map(drop).unwrap_err();
    assert!(found[0].contains("synchronized is not supported outside of @NonCPS"), "{found:?}");
}

#[test]
fn classes_that_jenkins_imports_into_every_script_are_known_by_their_names() {
    run("currentBuild.result = Result.UNSTABLE\necho \"${currentBuild.result}\"").has("\nUNSTABLE\n");
    for source in ["Jenkins.instance", "Jenkins.get()", "new StringParameterDefinition('A', 'b', 'c')"] {
        run(source).is(Outcome::Failure).has("RejectedAccessException").has("Scripts not permitted to use");
    }
}

/// What an object has is called without naming it, also where every name could be a step: what a class takes from Java's, what a closure
/// is given to work on. A step of that name comes first.
#[test]
fn methods_of_objects_are_called_without_a_receiver() {
    run(r#"enum E { A, B; static of(s) { values().find { it.name() == s } }; def low() { name().toLowerCase() + ordinal() } }
        class Failed extends RuntimeException { Failed(m) { super(m) }; String toString() { "d ${getMessage()}" } }
        class M extends HashMap { def g(k) { get(k) } }
        echo "${E.of('B')} ${E.A.low()}"
        try { throw new Failed('boo') } catch (e) { echo e.toString() }
        echo "${[].with { add(1); it }} ${new StringBuilder().with { append('a'); it.toString() }} ${'abc'.with { toUpperCase() }}"
        def m = new M(); m.put('a', 5); echo "m ${m.g('a')}"
        def p = new Properties(); p.load(new StringReader('a=1')); p.setProperty('b', '2'); echo "p ${p.getProperty('a')}${p.b}"
        def c = { echo "in ${size()}"; put('x', 1); sleep 1 }; c.delegate = [q: 1]; c.resolveStrategy = Closure.DELEGATE_FIRST; c()
        echo "c ${c.delegate}"
        try { noSuchThing() } catch (NoSuchMethodError e) { echo 'none' }"#)
    .is(Outcome::Success)
    .has("\nB a0\n")
    .has("\nd boo\n")
    .has("\n[1] a ABC\n")
    .has("\nm 5\n")
    .has("\np 12\n")
    .has("\nin 1\n")
    .has("Sleeping for 1 sec")
    .has("\nc [q:1, x:1]\n")
    .has("\nnone\n");
}

#[test]
fn what_ended_a_step_is_asked_as_in_jenkins() {
    let mut world = World::new(Fixture::default());
    world.decisions = [None].into();
    let ran = world.run(r#"import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException
        import org.jenkinsci.plugins.pipeline.modeldefinition.Utils
        try { input 'no' } catch (e) {
            def user = e.getCauses()[0].getUser()
            echo "by ${user} ${user.getId()} ${user.fullName} ${e.isActualInterruption()} ${e.causes[0].shortDescription}"
        }
        try { timeout(time: 1, unit: 'MILLISECONDS') { sleep 5 } } catch (e) {
            echo "${e.causes[0] instanceof org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution.ExceededTimeout}"
            echo "actual ${e.isActualInterruption()}"
        }
        int n = 0
        try { retry(3) { n++; throw new FlowInterruptedException(hudson.model.Result.ABORTED) } } catch (e) { echo "n=$n" }
        stage('S') { Utils.markStageSkippedForConditional('S'); echo 'marked' }
        node { ansiColor('xterm') { sh 'echo term $TERM' } }"#);
    ran.unwrap()
        .is(Outcome::Success)
        .has("by alice alice alice true Rejected by alice")
        .has("\nactual false\n")
        .has("\nn=1\n")
        .has("\nmarked\n")
        .has("term xterm");
}

/// Source: `hudson.Functions.printStackTrace`.
#[test]
fn what_was_thrown_beside_an_exception_is_told() {
    run("def m = new Exception('normal', new Error('deep'))\nm.addSuppressed(new RuntimeException('beside'))\nthrow m")
        .is(Outcome::Failure)
        .has("java.lang.Error: deep\nAlso:   java.lang.RuntimeException: beside\nCaused: java.lang.Exception: normal\n\tat ");
}

#[test]
fn who_ends_a_run_with_a_result_of_ones_own() {
    let thrown =
        "throw new org.jenkinsci.plugins.workflow.steps.FlowInterruptedException(hudson.model.Result.NOT_BUILT)";
    run(thrown).is(Outcome::NotBuilt);
    run(&format!("try {{ {thrown} }} catch (e) {{ echo \"${{e.result}} ${{e.getCauses()}} ${{e.message}}\" }}"))
        .is(Outcome::Success)
        .has("NOT_BUILT [] null\n");
    // What catches errors takes its result, whatever it says itself.
    for (catch, result, outcome) in [
        ("catchError(message: 'm')", "ABORTED", Outcome::Aborted),
        ("warnError('m')", "ABORTED", Outcome::Aborted),
        ("catchError(message: 'm', buildResult: 'SUCCESS', stageResult: 'SUCCESS')", "NOT_BUILT", Outcome::NotBuilt),
    ] {
        let thrown = thrown.replace("NOT_BUILT", result);
        run(&format!("{catch} {{ {thrown} }}\necho 'after'")).is(outcome).has("ERROR: m").has("\nafter\n");
    }
    let aborts = thrown.replace("NOT_BUILT", "ABORTED");
    let lets_through = "catchError(catchInterruptions: false, message: 'caught')";
    run(&format!("{lets_through} {{ {aborts} }}\necho 'after'"))
        .is(Outcome::Aborted)
        .lacks("ERROR: caught")
        .lacks("\nafter\n");
    // One that is said to be over is an error like others.
    let over = aborts.replace("ABORTED)", "ABORTED, false)");
    run(&format!("{lets_through} {{ {over} }}\necho 'after'"))
        .is(Outcome::Aborted)
        .has("ERROR: caught")
        .has("\nafter\n");
    run(&format!("retry(2) {{ {over} }}")).is(Outcome::Aborted).has("Retrying");
    run("echo \"${hudson.model.Result.fromString('UNSTABLE')} ${Result.fromString('odd')}\"").has("UNSTABLE FAILURE\n");
}

/// `hudson.model.Result` is no text: what compares it with one is false, here as there.
#[test]
fn results_are_constants_of_a_class() {
    let said = |text: &str| run(&format!("import hudson.model.Result\necho \"${{{text}}}\""));
    for (asked, answer) in [
        ("Result.SUCCESS == 'SUCCESS'", "false"),
        ("'SUCCESS' == Result.SUCCESS", "false"),
        ("Result.SUCCESS.toString() == currentBuild.currentResult", "true"),
        ("Result.SUCCESS == Result.fromString('success')", "true"),
        ("Result.fromString('x', Result.ABORTED)", "ABORTED"),
        ("[Result.FAILURE.color, Result.NOT_BUILT.color.toString()]", "[red, notbuilt]"),
        ("Result.FAILURE.isWorseThan(Result.UNSTABLE)", "true"),
        ("Result.FAILURE.isBetterOrEqualTo(Result.UNSTABLE)", "false"),
        ("Result.UNSTABLE.combine(Result.FAILURE)", "FAILURE"),
        ("[(Result.SUCCESS): 'good'][Result.SUCCESS]", "good"),
        ("Result.SUCCESS instanceof Result", "true"),
        ("Result.SUCCESS.class.name", "hudson.model.Result"),
        ("Result.SUCCESS in [Result.FAILURE, Result.SUCCESS]", "true"),
        ("[Result.ABORTED.ordinal, Result.ABORTED.completeBuild]", "[4, false]"),
    ] {
        said(asked).is(Outcome::Success).has(&format!("{answer}\n"));
    }
    run("import hudson.model.Result\nResult r = Result.FAILURE; String s = r; switch (r) { case Result.FAILURE: echo \"is $s\" }")
        .has("is FAILURE\n");
    run("currentBuild.result = hudson.model.Result.UNSTABLE").is(Outcome::Unstable);
    run("currentBuild.result = Result.UNSTABLE; echo \"${currentBuild.resultIsWorseOrEqualTo(Result.UNSTABLE.toString())}\"").has("true\n");
    run("Result.SUCCESS.isWorseThan('FAILURE')").is(Outcome::Failure).has("MissingMethodException");
    run("try { timeout(time: 1, unit: 'SECONDS') { sleep 9 } } catch (e) { echo \"${e.result == Result.ABORTED}\" }")
        .has("true\n");
}

/// Source: `TimeoutStep`, `SleepStep`: the parameter is a `TimeUnit`.
#[test]
fn units_of_time_are_texts_or_constants() {
    let import = "import java.util.concurrent.TimeUnit\n";
    run(&format!("{import}timeout(time: 2, unit: TimeUnit.HOURS) {{ sleep(time: 10, unit: TimeUnit.MILLISECONDS) }}"))
        .is(Outcome::Success)
        .has("Timeout set to expire in 2 hr 0 min");
    run(&format!(
        "{import}pipeline {{ agent any\n options {{ timeout(time: 3, unit: TimeUnit.MINUTES) }}\n stages {{ stage('x') {{ steps {{ echo 'x' }} }} }} }}"
    ))
    .is(Outcome::Success)
    .has("Timeout set to expire in 3 min 0 sec");
}

/// Source: `ModelParser.parse`, which looks for the block in methods `call` of every script.
#[test]
fn a_declarative_block_may_stand_in_the_method_call() {
    let method = "def call(Map c) { pipeline { agent any\n stages { stage('x') { steps { echo \"a ${c.n}\" } } } } }\n";
    run(&format!("{method}call(n: 5)")).is(Outcome::Success).has("a 5\n").has("(x)");
    let written =
        format!("node {{ writeFile file: 'x.groovy', text: '''{method}return this'''; l = load 'x.groovy' }}\nl(n: 6)");
    run(&written).is(Outcome::Success).has("a 6\n");
    let wrong = "def call() { pipeline { agent any\n stages { stage('x') { stops { } } } } }\ncall()";
    let found = World::new(Fixture::default()).run(wrong).err().unwrap();
    assert!(found.iter().any(|d| d.contains("Unknown stage section \"stops\"")), "{found:?}");
}

/// Source: `UnstableStep`, `WarnErrorStep`.
#[test]
fn what_is_unstable_has_a_message() {
    for step in ["unstable ''", "unstable()", "warnError('') { echo 'not this' }", "warnError { echo 'not this' }"] {
        run(step).is(Outcome::Failure).has("A non-empty message is required").lacks("not this\n");
    }
}
