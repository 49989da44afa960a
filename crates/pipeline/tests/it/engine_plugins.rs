//! Steps of plugins: those that are recorded, those that are refused, those that do what they can.

use std::collections::BTreeMap;

use groovy::diagnostic::Severity;
use model::event::Event;
use model::outcome::Outcome;
use model::request::Request;
use model::run::BuildCause;
use model::said::Said;
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine::{run, steps};
use crate::engine_world::{Ran, World};

fn recorded(ran: &Ran) -> Vec<(String, Said)> {
    let all = ran.events.iter().filter_map(|event| match event {
        Event::StepRecorded { name, arguments, .. } => Some((name.clone(), arguments.clone())),
        _ => None,
    });
    all.collect()
}

fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Said); N]) -> Said {
    Said::Map(BTreeMap::from(entries.map(|(name, value)| (name.to_owned(), value))))
}

#[test]
fn a_message_is_recorded_and_warned_of_once() {
    let ran = run(
        "slackSend channel: '#ci', message: \"n ${1 + 1}\", color: null, notifyCommitters: true\nslackSend 'again'",
    );
    ran.is(Outcome::Success)
        .has("WARNING: slackSend is recorded, and does nothing else: no message is sent from a run\nhint: instead: ")
        .has("Recorded: slackSend [channel: '#ci', color: null, message: 'n 2', notifyCommitters: true]");
    assert_eq!(ran.log.matches("WARNING").count(), 1, "{}", ran.log);
    let first = map([
        ("channel", text("#ci")),
        ("message", text("n 2")),
        ("color", Said::Nothing),
        ("notifyCommitters", Said::Flag(true)),
    ]);
    let expected = [("slackSend".to_owned(), first), ("slackSend".to_owned(), map([("message", text("again"))]))];
    assert_eq!(recorded(&ran), expected);
}

/// Source: `MailStep` of workflow-basic-steps.
#[test]
fn a_mail_that_could_not_be_sent_is_an_error() {
    let fails = |source: &str, text: &str| {
        run(source).is(Outcome::Failure).has(text).lacks("Recorded: ");
    };
    let lacks = "Email not sent. All mandatory properties must be supplied ('subject', 'body').";
    fails("mail to: 'a@b', body: 'x'", lacks);
    fails("mail to: 'a@b', subject: 'x', body: ' '", lacks);
    let nobody = "Email not sent. No recipients of any kind specified ('to', 'cc', 'bcc').";
    fails("mail subject: 'x', body: 'y', to: ''", nobody);
    run("mail subject: 'x', body: 'y', bcc: 'a@b'").is(Outcome::Success).has("Recorded: mail [");
}

#[test]
fn what_scripts_do_with_an_answer_works() {
    run("def r = slackSend(channel: '#ci', message: 'x')\nr.addReaction('tada')\nslackSend channel: r.threadId, message: 'y'\n\
         echo \"c=${r.channelId} ${r.ts}\"\ncreateSummary('x').appendText('y', false)\n\
         echo \"to=<${emailextrecipients([developers()])}>${slackUserIdsFromCommitters().size()}\"")
    .is(Outcome::Success)
    .has("c=#ci 0.000000")
    .has("channel: '#ci:0.000000'")
    .has("to=<>0");
}

#[test]
fn what_is_recorded_has_bounds_and_no_secrets() {
    let ran = run("def m = [a: 1]\n20.times { m = [m: m] }\n\
         office365ConnectorSend webhookUrl: 'https://x/secret1', message: 'm' * 100000, factDefinitions: [[name: 'n', token: 'secret2']]\n\
         slackSend tokenCredentialId: 'id', token: 'secret3', attachments: m, blocks: (1..1000000), username: (1..5000).toList()");
    ran.is(Outcome::Success).lacks("secret");
    let told = recorded(&ran);
    let json = serde_json::to_string(&told).unwrap();
    assert!(json.len() < 40_000 && !json.contains("secret") && json.contains("\"token\":\"****\""), "{json}");
    assert!(json.contains("\"tokenCredentialId\":\"id\""), "{json}");
    let event = ran.events.iter().find(|event| matches!(event, Event::StepRecorded { .. })).unwrap();
    assert_eq!(&serde_json::from_str::<Event>(&serde_json::to_string(event).unwrap()).unwrap(), event);
    let mut event = event.clone();
    event.each_text(&mut |text| *text = text.replace("office365ConnectorSend", "gone").replace("name", "gone"));
    let json = serde_json::to_string(&event).unwrap();
    assert!(!json.contains("office365") && json.contains("\"gone\":\"n\""), "{json}");
}

#[test]
fn a_loop_around_a_message_is_not_kept_for_ever() {
    let ran = run("2010.times { addBadge(text: 'x') }");
    ran.is(Outcome::Success).has("WARNING: 2000 calls were recorded, further ones are not");
    assert_eq!(recorded(&ran).len(), 2000);
}

#[test]
fn blocks_of_recorded_steps_run() {
    steps(
        "def x = withSonarQubeEnv('sonar') { echo 'in'; 5 }\necho \"x=$x\"\nnodejs(nodeJSInstallationName: 'n') { sh 'echo here' }\n\
         gitlabCommitStatus('build') { echo 'b' }\nthrottle(['a']) { echo 'c' }",
    )
    .is(Outcome::Success)
    .has("[Pipeline] // withSonarQubeEnv\n[Pipeline] echo\nx=5")
    .has("Recorded: withSonarQubeEnv [installationName: 'sonar']")
    .has("\nhere\n");
    let pipeline = "pipeline { agent any\n options { maskPasswords()\n datadog(collectLogs: true, tags: ['a']) }\n stages { stage('a') { steps { withGradle { echo 'g' } } }\n\
         stage('b') { options { gitlabCommitStatus(name: 'b') }\n steps { echo 'b' } } }\n\
         post { always { slackSend channel: '#x', message: 'over' } } }";
    run(pipeline).is(Outcome::Success).has("Recorded: gitlabCommitStatus [name: 'b']").has("message: 'over'");
}

#[test]
fn what_a_script_knows_is_masked() {
    let pairs = "[[var: 'X', password: 'hunter2-of-all'], [var: 'Y', password: ' ']]";
    steps(&format!(
        "def r = wrap([$class: 'MaskPasswordsBuildWrapper', varPasswordPairs: {pairs}]) {{ echo 'it is hunter2-of-all'; 5 }}
         echo \"after hunter2-of-all r=$r ${{env.X}}\"
         maskPasswords(varPasswordPairs: [[password: 'abc']], varMaskRegexes: [[regex: 'x+']]) {{ echo 'more' }}"
    ))
    .is(Outcome::Success)
    .has("it is ****\n")
    .has("after **** r=5 null")
    .has("WARNING: 1 of the passwords are too short to be masked")
    .has("WARNING: maskPasswords does not look for patterns")
    .has("more");
}

#[test]
fn what_decides_something_is_refused() {
    steps("s3Download(file: 'x', bucket: 'y')")
        .is(Outcome::Failure)
        .has("The step ‘s3Download’ does not run here: what it answers or brings here would not be there")
        .has("hint: instead: `sh` with");
    steps("try { s3Download(file: 'x', bucket: 'y') } catch (UnsupportedOperationException e) { echo 'caught' }")
        .has("caught");
    run("node { withDockerServer([uri: 'tcp://x:1']) { echo 'no' } }").is(Outcome::Failure).lacks("no\n");
    run("def q = waitForQualityGate()").is(Outcome::Failure).has("-Dsonar.qualitygate.wait=true");
}

/// On one's own machine; a server's run that was to bring something somewhere and has not is no success.
#[test]
fn what_brings_something_elsewhere_is_recorded_or_refused() {
    let script =
        "node { s3Upload(file: 'x', bucket: 'y'); step([$class: 'S3BucketPublisher', profileName: 'p']); echo 'on' }";
    let facts = RunFacts { records_deliveries: true, ..Fixture::default().facts };
    let ran = World::new(Fixture { facts, ..Fixture::default() }).run(script).unwrap();
    ran.is(Outcome::Success)
        .has("WARNING: s3Upload is recorded, and does nothing else: nothing is brought elsewhere by it")
        .has("Recorded: s3Upload [bucket: 'y', file: 'x']")
        .has("\non\n");
    assert_eq!(recorded(&ran).len(), 2);
    run(script)
        .is(Outcome::Failure)
        .has("The step ‘s3Upload’ does not run here: nothing is brought elsewhere by it")
        .has("`projects put … --record-deliveries` has it recorded")
        .lacks("\non\n");
}

#[test]
fn classes_stand_for_steps() {
    steps("writeFile file: 'x.xml', text: '<testcase/>'; step([$class: 'hudson.tasks.junit.JUnitResultArchiver', testResults: 'x.xml'])")
        .is(Outcome::Success)
        .has("Recording test results");
    let ran = steps(
        "step([$class: 'Mailer', recipients: 'a@b', notifyEveryUnstableBuild: true])\n\
         step([$class: 'GitHubSetCommitStatusBuilder'])\nstep([$class: 'hudson.plugins.jira.JiraIssueUpdater', issueSelector: [$class: 'X']])\n\
         wrap([$class: 'Xvfb', screen: '1x1']) { sh 'echo inner' }\nwrap([$class: 'BuildUser']) { echo \"u=${env.BUILD_USER}\" }\n\
         wrap([$class: 'TimestamperBuildWrapper']) { wrap([$class: 'AnsiColorBuildWrapper', colorMapName: 'xterm']) { echo 'col' } }",
    );
    ran.is(Outcome::Success).has("\ninner\n").has("u=null").has("\ncol\n");
    // The step that stands for a class shows as the one that was called.
    ran.has("[Pipeline] timestamps\n[Pipeline] {\n[Pipeline] ansiColor\n[Pipeline] {\n[Pipeline] echo\ncol")
        .lacks("[Pipeline] mail");
    ran.lacks("Unknown parameter");
    let names: Vec<_> = recorded(&ran).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["mail", "githubNotify", "jiraComment", "xvfb"]);
    assert!(ran.events.contains(&Event::TimestampsSwitched { on: true }));
    steps("step([$class: 'Ant'])").is(Outcome::Failure).has("The step ‘ant’ does not run here");
    steps("step([$class: 'a.Nobody'])").is(Outcome::Failure).has("step([$class: 'a.Nobody']) is not supported yet");
    steps("step([$class: 'step'])").is(Outcome::Failure).has("is not supported yet");
}

#[test]
fn html_reports_are_kept_below_their_name() {
    let write = "writeFile file: 'out/a/index.html', text: 'hi'";
    let ran = steps(&format!(
        "{write}; publishHTML([reportDir: 'out', reportFiles: 'a/index.html', reportName: 'My Report'])"
    ));
    ran.is(Outcome::Success).has("[htmlpublisher] Archiving HTML reports...").has(" to My_20Report");
    assert_eq!(ran.archived, BTreeMap::from([("My_20Report/a/index.html".to_owned(), "hi".to_owned())]));
    let ran = steps(&format!("{write}; publishHTML target: [reportDir: 'out/', reportFiles: 'x', reportName: '../x']"));
    assert!(ran.archived.contains_key("_2e_2e_2fx/a/index.html"), "{:?}", ran.archived);
    let missing =
        "publishHTML(target: [allowMissing: false, reportDir: 'no', reportFiles: 'x', reportName: 'R']); echo 'on'";
    steps(missing).is(Outcome::Failure).has("ERROR: Specified HTML directory '").has("\non\n");
    steps(&missing.replace("false", "true")).is(Outcome::Success);
}

#[test]
fn reports_are_kept_and_what_is_asked_of_them_recorded() {
    let files = "['a/checkstyle-result.xml', 'b/spot.xml', 'c/jacoco.exec', 'd/clover.xml', 'docs/i.html'].each { writeFile file: it, text: it }";
    let ran = steps(&format!(
        "{files}\nrecordIssues(tools: [checkStyle(), spotBugs(pattern: 'b/*.xml'), java()], qualityGates: [[threshold: 1]])\n\
         jacoco()\ncheckstyle pattern: 'none'\nstep([$class: 'CloverPublisher', cloverReportDir: 'd', cloverReportFileName: 'clover.xml'])\n\
         publishCoverage adapters: [cobertura('**/no.xml')]; cobertura([coberturaReportFile: 'none2']); cobertura coberturaReportFile: 'none3'\njavadoc javadocDir: 'docs'",
    ));
    ran.is(Outcome::Success)
        .has("WARNING: recordIssues is recorded, and does nothing else: its files are kept")
        .has("Kept 1 report file(s) that match ‘b/*.xml’")
        .has("No report files match ‘none’")
        .has("No report files match ‘**/no.xml’")
        .has("‘none2’")
        .has("‘none3’")
        .has("qualityGates: [[threshold: 1]]");
    let kept: Vec<_> = ran.archived.keys().map(String::as_str).collect();
    assert_eq!(kept, ["b/spot.xml", "c/jacoco.exec", "d/clover.xml", "javadoc/i.html"]);
}

#[test]
fn xunit_reads_what_is_junits_and_applies_its_thresholds() {
    let tests = "writeFile file: 'j.xml', text: '<testcase/><testcase><failure/></testcase>'; writeFile file: 'n.xml', text: 'n'";
    let ran = steps(&format!("{tests}; xunit([JUnit(pattern: 'j.xml'), NUnit3(pattern: 'n.xml')])"));
    ran.is(Outcome::Success).has("xunit is recorded");
    assert!(ran.archived.contains_key("n.xml") && ran.requests.iter().any(|r| matches!(r, Request::TestReport { .. })));
    let with = |threshold: &str| {
        let old = "[$class: 'JUnitType', pattern: 'j.xml']";
        steps(&format!("{tests}; step([$class: 'XUnitBuilder', tools: [{old}], thresholds: [{threshold}]])"))
    };
    with("[$class: 'FailedThreshold', unstableThreshold: '0']").is(Outcome::Unstable);
    with("failed(failureThreshold: '0', unstableThreshold: '0'), skipped(unstableThreshold: '0')").is(Outcome::Failure);
    with("failed(failureThreshold: '1', unstableThreshold: '')").is(Outcome::Success);
    steps("xunit([JUnit(pattern: 'none.xml')])").is(Outcome::Failure).has("No test report file(s) were found");
}

#[test]
fn maven_is_told_its_files_and_its_tests_are_read() {
    let ran = steps(
        "withMaven(maven: 'M3', mavenOpts: '-Xmx1g', mavenSettingsFilePath: 'ci/s.xml', mavenLocalRepo: '.repo') {\n\
         writeFile file: 'm/target/surefire-reports/x.xml', text: '<testcase><failure/></testcase>'\n\
         sh 'echo \"o=$MAVEN_OPTS a=$MAVEN_ARGS\"' }",
    );
    let workspace = ran.log.lines().find_map(|line| line.strip_prefix("Running on here in ")).unwrap();
    ran.is(Outcome::Unstable)
        .has(&format!("o=-Xmx1g -Dmaven.repo.local={workspace}/.repo a=--settings {workspace}/ci/s.xml"))
        .has("[withMaven] Recorded the results of 1 test(s) from 1 file(s)");
    steps("withMaven(options: [junitPublisher(disabled: true)]) { writeFile file: 'target/surefire-reports/x.xml', text: '<testcase><failure/></testcase>' }")
        .is(Outcome::Success);
    steps("withMaven(mavenSettingsFilePath: 'a b') { }").is(Outcome::Failure).has("has a space in it");
    steps("withMaven { error 'E' }").is(Outcome::Failure).has("ERROR: E");
}

#[test]
fn files_are_made_moved_and_deleted() {
    steps(
        "fileOperations([folderCreateOperation('d'), fileCreateOperation(fileName: 'd/a', fileContent: 'x y'), \
         fileRenameOperation(source: 'd/a', destination: 'd/$(echo b)'), folderCopyOperation(sourceFolderPath: 'd', destinationFolderPath: 'e'), \
         fileCopyOperation(includes: 'e/$(echo b)', targetLocation: 'f', flattenFiles: true), \
         fileDeleteOperation(includes: 'e/$(echo b)', excludes: ''), folderDeleteOperation('d')])\n\
         sh 'find . -type f; find . -type d'",
    )
    .is(Outcome::Success)
    .has("\n./f/$(echo b)\n")
    .has("\n./e\n")
    .lacks("\n./d\n")
    .lacks("./e/$(echo b)");
    steps("fileOperations([fileZipOperation('x')])")
        .is(Outcome::Failure)
        .has("fileOperations: fileZip is not supported yet");
    steps("fileOperations([fileDeleteOperation(includes: '**')])").is(Outcome::Failure).has("with a pattern");
}

#[test]
fn a_run_says_what_it_is_called_and_who_has_started_it() {
    let cause = BuildCause { user: Some("alice".to_owned()), ..BuildCause::default() };
    let facts = RunFacts { build_number: 7, causes: vec![cause], ..RunFacts::default() };
    let fixture = Fixture { facts, ..Fixture::default() };
    let source = "buildName '#${BUILD_NUMBER} ${nothing}'; buildDescription 'for all'\nwithBuildUser { echo \"by $BUILD_USER\" }\n\
         withAWS(region: 'eu-central-1') { node { sh 'echo r=$AWS_DEFAULT_REGION' } }\nwithAWS(role: 'x') { }";
    let ran = World::new(fixture).run(source).unwrap();
    ran.is(Outcome::Failure).has("by alice").has("r=eu-central-1").has("withAWS(role: …) does not run here");
    let described =
        Event::RunDescribed { name: Some("#7 ${nothing}".to_owned()), description: Some("for all".to_owned()) };
    assert!(ran.events.contains(&described));
}

#[test]
fn variables_of_plugins_are_refused_with_what_to_do_instead() {
    for (source, instead) in [
        ("def server = Artifactory.server 'x'", "The variable ‘Artifactory’ is that of a plugin of Jenkins"),
        ("manager.addShortText('x')", "currentBuild.description"),
        ("openshift.withCluster { echo 'x' }", "sh 'oc …'"),
        ("def helper = fileLoader.fromGit('a', 'b')", "`checkout` and `load`"),
    ] {
        steps(source).is(Outcome::Failure).has("java.lang.UnsupportedOperationException").has(instead);
    }
    steps("def manager = [name: 'x']\necho manager.name").is(Outcome::Success);
}

/// Tools and values have some of these names, too.
#[test]
fn no_step_that_is_refused_is_passed_over_in_silence() {
    for step in [
        "dependencyCheck additionalArguments: '--scan .'",
        "svn 'https://x/y'",
        "svn url: 'https://x/y'",
        "gradle 'build'",
        "ant()",
        "terraform()",
    ] {
        let name = step.split([' ', '(']).next().unwrap();
        run(&format!("node {{ {step}\necho 'went on' }}"))
            .is(Outcome::Failure)
            .has(&format!("The step ‘{name}’ does not run here"))
            .lacks("went on");
    }
}

/// Values that only the forms of a plugin use, as its snippets write them.
#[test]
fn what_plugins_write_within_arguments_is_known() {
    steps(
        "cache(maxCacheSize: 250, caches: [arbitraryFileCache(path: 'node_modules')]) { echo 'cached' }
         xunit([QtTest(pattern: 'none/*.xml', skipNoTestFiles: true), Valgrind(pattern: 'none/*.xml', skipNoTestFiles: true)])
         echo \"${cifsPublisherDesc(configName: 'c', transfers: [cifsTransfer(sourceFiles: '*')]).configName}\"
         echo \"${[checkoutOption(30), userIdentity(name: 'a', email: 'b'), authorInChangelog(), changelogToBranch(changelogBase(compareRemote: 'origin', compareTarget: 'main'))].size()}\"",
    )
    .is(Outcome::Success)
    .has("cached\n")
    .has("\nc\n")
    .has("\n4\n");
}

/// Jenkins holds what a file calls against a plugin's step only where that plugin is.
#[test]
fn own_names_go_before_steps_that_do_not_run_here() {
    let own = |method: &str, call: &str| {
        let source = format!("{method}\npipeline {{ agent any; stages {{ stage('a') {{ steps {{ {call} }} }} }} }}");
        run(&source).is(Outcome::Success).has("own");
        let errors = pipeline::lint::lint(&source).into_iter().filter(|d| d.severity == Severity::Error);
        assert_eq!(errors.map(|d| d.message).collect::<Vec<_>>(), Vec::<String>::new(), "{source}");
    };
    own("def deploy() { echo 'own' }", "deploy()");
    own("def deploy(a, b) { echo 'own' }", "deploy('prod', '1.0')");
    own("def gradle(a, b) { echo 'own' }", "gradle('clean', 'build')");
    own("def checkpoint() { echo 'own' }", "checkpoint()");
    let of_library = "@Library('acme') _\npipeline { agent any; stages { stage('a') { steps { deploy() } } } }";
    let found = pipeline::lint::lint(of_library);
    assert!(found.iter().all(|d| d.severity != Severity::Error), "{found:?}");
    // Nobody has it, so it is the plugin's.
    let source = "pipeline { agent any; stages { stage('a') { steps { deploy() } } } }";
    assert!(pipeline::lint::lint(source).iter().any(|d| d.message == "Missing required parameter: \"adapters\""));
}

#[test]
fn values_that_share_the_names_of_steps_are_values() {
    let stage = |step: &str| format!("pipeline {{ agent any; stages {{ stage('a') {{ steps {{ {step} }} }} }} }}");
    for step in [
        "recordIssues(tools: [cmake(), gcc(pattern: 'x')])",
        "recordIssues tool: cmake(pattern: 'x', name: 'y')",
        "publishCoverage adapters: [coberturaReportAdapter(path: 'x.xml')]",
    ] {
        run(&stage(step)).is(Outcome::Success);
    }
    for step in [
        "deploy adapters: [tomcat9(credentialsId: 'c', url: 'http://x')], contextPath: '/', war: '*.war'",
        "step([$class: 'DeployPublisher', adapters: [[$class: 'Tomcat8xAdapter', url: 'http://x']], war: '*.war'])",
    ] {
        run(&stage(step)).is(Outcome::Failure).has("nothing is brought elsewhere by it");
    }
    run("properties([pipelineTriggers([githubPullRequests(events: [Open(), close()], repoProviders: [githubPlugin()])])])")
        .is(Outcome::Success);
    run("properties([parameters([activeChoiceHtml(name: 'A', choiceType: 'ET_FORMATTED_HTML')])])")
        .is(Outcome::Success);
    // A symbol is no step.
    let source = stage("always { echo 'x' }");
    assert!(pipeline::lint::lint(&source).iter().any(|d| d.rule == Some("unknown-step")));
    run("always { echo 'x' }").is(Outcome::Failure).has("No such DSL method 'always'");
    run("node { cmake installation: 'x' }").is(Outcome::Failure).has("does not run here");
}

/// Source: the README of folder-properties, and `FolderPropertiesStep`, which wants no machine.
#[test]
fn what_wraps_a_block_without_a_machine_is_an_option() {
    let ran = run(
        "pipeline { agent any\n options { withFolderProperties() }\n stages { stage('x') { steps { echo 'in it' } } } }",
    );
    ran.is(Outcome::Success).has("in it\n").has("withFolderProperties is recorded");
}
