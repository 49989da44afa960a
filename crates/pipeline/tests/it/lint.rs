//! The linter on small files: one rule, one file.

use groovy::diagnostic::Severity;
use pipeline::definition::{DefinitionKind, Surroundings, analyse};
use pipeline::lint::lint;

use crate::conformance::{table, text};

/// Asserts that the errors of `source` are exactly those, by place, each given as a part of its message.
#[track_caller]
fn check(source: &str, expected: &[&str]) {
    let found: Vec<String> =
        lint(source).into_iter().filter(|d| d.severity == Severity::Error).map(|d| d.message).collect();
    let same = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.contains(e));
    assert!(same, "{source}\nfound {found:#?}\nexpected {expected:#?}");
}

/// The same for a stage's content in an otherwise valid pipeline.
#[track_caller]
fn check_stage(content: &str, expected: &[&str]) {
    check(&format!("pipeline {{\nagent any\nstages {{\nstage('s') {{\n{content}\n}}\n}}\n}}"), expected);
}

/// The same for steps.
#[track_caller]
fn check_steps(content: &str, expected: &[&str]) {
    check_stage(&format!("steps {{\n{content}\n}}"), expected);
}

/// The same for a section of the pipeline.
#[track_caller]
fn check_section(content: &str, expected: &[&str]) {
    check(
        &format!("pipeline {{\nagent any\n{content}\nstages {{ stage('s') {{ steps {{ echo 'x' }} }} }}\n}}"),
        expected,
    );
}

#[test]
fn sections_may_stand_on_one_line() {
    check("pipeline { agent { docker 'maven:3' } stages { stage('Build') { steps { sh 'mvn' } } } }", &[]);
    check("pipeline { agent any stages { stage('a') { steps { sh 'x' } } stage('b') { steps { sh 'y' } } } }", &[]);
    check(
        "pipeline { agent none stages { stage('a') { agent any when { branch 'x' } steps { sh 'x' } post { always { echo 'a' } failure { echo 'b' } } } } }",
        &[],
    );
    check(
        "pipeline { agent any stages { stage('a') { steps { ehco 'x' } } } post { alway { echo 'x' } } }",
        &["unknown step \"ehco\"", "Invalid condition \"alway\""],
    );
    // Code is not taken apart: there it is a chain, as in Groovy.
    check_steps("sh 'a' sh 'b'", &["Expected a symbol"]);
}

#[test]
fn the_form_of_a_definition_is_told() {
    let kind = |source: &str| analyse(source, &Surroundings::default()).kind;
    assert!(matches!(kind("node { sh 'x' }"), DefinitionKind::Scripted));
    assert!(matches!(kind("def x = 1\npipeline { agent any; stages { stage('a') { steps { echo 'x' } } } }"),
        DefinitionKind::Declarative(d) if d.statement == 1));
    assert!(matches!(kind("pipeline { }"), DefinitionKind::Invalid));
    assert!(matches!(kind("node {"), DefinitionKind::Invalid));
}

#[test]
fn unknown_steps_are_errors_with_the_nearest_names() {
    check("node { ehco 'x' }", &["unknown step \"ehco\""]);
    let hints = |source: &str| lint(source).into_iter().filter_map(|d| d.hint).collect::<Vec<_>>();
    assert_eq!(hints("node { ehco 'x' }"), ["did you mean \"echo\"?"]);
    assert_eq!(hints("def helper() {}\nhelpr()"), ["did you mean \"helper\"?"]);
    check_steps("frobnicate 'x'", &["unknown step \"frobnicate\""]);
    check_steps("script { nod('x') { ehco 'y' } }", &["unknown step \"nod\"", "unknown step \"ehco\""]);
    check_stage("when { expression { isMian() } }\nsteps { echo 'x' }", &["unknown step \"isMian\""]);
    check(
        "pipeline { agent { label \"${labl()}\" }\nstages { stage('a') { steps { echo 'x' } } } }",
        &["unknown step \"labl\""],
    );
}

#[test]
fn what_the_file_or_groovy_defines_is_known() {
    check("def f(x) { x }\nnode { f(1); println f(2) }", &[]);
    check("def f = { it }\nf(1)\ng = { it }\ng(2)\n[1].each { h -> h() }", &[]);
    check("class A { def run() { anything() } }\nnew A().run()", &[]);
    check("import static a.b.C.helper\nhelper()", &[]);
    check("for (s in steps) { s() }\ntry { echo 'x' } catch (e) { error(\"${e}\") }", &[]);
    check("def withX(body) { body() }\nwithX { ehco 'x' }", &["unknown step \"ehco\""]);
    // The closure may run with the methods of another object.
    check("def config = [:]\nconfig.with { anything() }", &[]);
    check("def build(body) { body.delegate = this; body() }\nbuild { anything() }", &[]);
}

#[test]
fn a_library_makes_unknown_names_a_warning() {
    for source in [
        "@Library('lib') _\nmyStep 'x'",
        "library 'lib'\nmyStep 'x'",
        "def call() { myStep 'x' }",
        "pipeline {\nagent any\nlibraries { lib('a@b') }\nstages { stage('a') { steps { myStep 'x' } } }\n}",
    ] {
        let found = lint(source);
        assert!(found.iter().all(|d| d.severity == Severity::Warning), "{source} {found:?}");
        assert!(found.iter().any(|d| d.message.contains("\"myStep\"")), "{source} {found:?}");
    }
    let surroundings = Surroundings { library_names: vec!["myStep".into()], ..Surroundings::default() };
    assert!(analyse("myStep 'x'", &surroundings).diagnostics.is_empty());
    let surroundings = Surroundings { unknown_library: true, ..Surroundings::default() };
    assert_eq!(analyse("myStep 'x'", &surroundings).errors().count(), 0);
}

#[test]
fn steps_that_are_not_what_they_are_in_jenkins_are_a_warning() {
    let found = lint("node { slackSend message: 'a'; jobDsl 'x'; s3Upload 'x'; nodeNames(); publishHTML 'x' }");
    let messages: Vec<_> = found.iter().map(|d| (d.severity, d.message.as_str())).collect();
    let rules: Vec<_> = found.iter().filter_map(|d| d.rule).collect();
    assert_eq!(rules, ["recorded-step", "unsupported-step", "recorded-step", "unsupported-step"]);
    let recorded = "the step \"slackSend\" is recorded, and does nothing else: no message is sent from a run";
    let refused = "the step \"jobDsl\" does not run here: a run makes no projects";
    let delivered = "the step \"s3Upload\" is recorded on one's own machine, and refused at a server: nothing is brought elsewhere by it";
    let later = "the step \"nodeNames\" does not run here: a place is asked for with `agent` or `node`";
    assert_eq!(messages, [recorded, refused, delivered, later].map(|text| (Severity::Warning, text)));
    let found_of = |source: &str| lint(source).into_iter().map(|d| d.message).collect::<Vec<_>>();
    assert_eq!(found_of("node { step([$class: 'a.S3BucketPublisher', x: 1]) }"), [delivered]);
    assert_eq!(found_of("node { step([$class: 'JUnitResultArchiver', testResults: 'x']) }"), [""; 0]);
    assert!(found[0].hint.as_deref().is_some_and(|hint| hint.contains("curl")), "{found:?}");
}

#[test]
fn jenkins_own_objects_are_a_warning() {
    let messages = |source: &str| lint(source).into_iter().map(|d| (d.severity, d.message)).collect::<Vec<_>>();
    for source in ["import hudson.model.User\necho 'x'", "echo Jenkins.instance.url", "echo currentBuild.rawBuild.log"]
    {
        let found = messages(source);
        assert!(
            matches!(&found[..], [(Severity::Warning, text)] if text.contains("Jenkins' own objects")),
            "{found:?}"
        );
    }
    assert!(messages("import com.cloudbees.groovy.cps.NonCPS\n@NonCPS def f() { 1 }\nf()").is_empty());
}

#[test]
fn what_fails_in_the_run_is_a_warning_before() {
    let messages = |source: &str| lint(source).into_iter().map(|d| (d.severity, d.message)).collect::<Vec<_>>();
    for (source, text) in [
        ("def c = new java.util.zip.CRC32()", "the class \"java.util.zip.CRC32\" is not there"),
        ("import java.util.zip.CRC32 as C\nnew C()", "the class \"C\" is not there"),
        ("echo \"${new Foo(1)}\"", "the class \"Foo\" is not there"),
        ("node { containerLog 'x' }", "\"containerLog\" does not run here"),
        ("nodeNames()", "\"nodeNames\" does not run here"),
        ("@groovy.lang.Newify(B) class A { int a }\nnew A(a: 1)", "@groovy.lang.Newify has no effect yet"),
        ("class A { @Delegate List a }\nnew A()", "@Delegate does not make its object a list to all others yet"),
        ("@Mixin(B) class A { int a = 1 }\nnew A()", "@Mixin has no effect yet"),
    ] {
        let found = messages(source);
        assert!(matches!(&found[..], [(Severity::Warning, found)] if found.contains(text)), "{source}: {found:?}");
    }
    for source in [
        "new Date(); new ArrayList(); new groovy.json.JsonSlurper(); new IllegalStateException('x')",
        "import java.util.zip.*\nnew CRC32()",
        "@Library('x') _\nnew org.acme.Thing()",
        "class Thing { @Override String toString() { '' } }\nnew Thing()",
        "@Immutable class A { List a }\nnew A([1])",
        "@groovy.transform.Canonical class A { int a; @Lazy int b = 1; @Delegate Date c }\nnew A(1)",
        "enum E { A { int f() { 1 } } }\nnew int[3]; new String[2]",
        "node { withCredentials([zip(credentialsId: 'x', variable: 'X')]) { echo X } }",
        "node { environment { A = credentials('a') } }\ndef environment(c) { }",
        "pipeline { agent any\n environment { A = credentials('a') }\n stages { stage('x') { steps { echo A } } } }",
    ] {
        assert!(messages(source).is_empty(), "{source}: {:?}", messages(source));
    }
}

#[test]
fn a_step_may_be_called_on_steps() {
    let errors = |source: &str| lint(source).into_iter().filter(|d| d.severity == Severity::Error).count();
    assert_eq!(errors("node { steps.ehco('x') }"), 1);
    assert_eq!(errors("node { steps.echo('x'); steps.sh 'true' }"), 0);
    assert_eq!(errors("def steps = [:]\nsteps.put('a', { })\nsteps.forEachIndexed { }\nparallel steps"), 0);
}

#[test]
fn names_that_a_script_defines_while_it_runs_are_not_errors() {
    for source in ["binding.setVariable('f', { 1 })\nf()", "String.metaClass.x = { 1 }\nf()", "evaluate('x')\nf()"] {
        assert!(lint(source).iter().all(|d| d.severity == Severity::Warning), "{source}");
    }
}

#[test]
fn only_steps_stand_among_steps() {
    check_steps("def x = 1\nif (true) { echo 'a' }\nx = 2\n1 + 2", &["Expected a step"; 4]);
    check_steps("docker.build('x')", &["Method calls on objects not allowed outside \"script\" blocks."]);
    check_steps("f()()", &["unknown step \"f\"", "Expected a symbol"]);
    check_steps("script 'x'", &["Script step without a block"]);
    check_steps("", &["No steps specified for branch"]);
    check_steps("properties([])", &["Invalid step \"properties\" used"]);
    check_steps("dir('x') { stage('y') { echo 'z' } }", &["Invalid step \"stage\" used"]);
    check_steps("node { echo 'x' }", &["Missing required parameter: \"label\""]);
    check_stage("steps 'x'", &["Expected a block for steps"]);
}

#[test]
fn arguments_of_steps_are_checked() {
    check_steps("sh()", &["Missing required parameter: \"script\""]);
    check_steps("sh 'a', 'b'", &["Arguments to \"sh\" must be explicitly named."]);
    check_steps("sh 'a', returnStdout: true", &["Arguments to \"sh\" must be explicitly named."]);
    check_steps(
        "sh script: 'a', returnStdot: true",
        &["Invalid parameter \"returnStdot\", did you mean \"returnStdout\"?"],
    );
    check_steps("sleep '5'", &["Expecting \"int\" but got \"5\" of type class java.lang.String instead"]);
    check_steps("sleep 5\nsleep time: 5, unit: 'SECONDS'", &[]);
    check_steps(
        "timeout(time: 1, unit: 'MINUTE') { echo 'x' }",
        &["Expecting \"class java.util.concurrent.TimeUnit\" for parameter \"unit\" but got \"MINUTE\""],
    );
    check_steps("withEnv('A=b') { echo 'x' }", &["Expecting \"interface java.util.List\" but got \"A=b\""]);
    check_steps(
        "echo 4",
        &["Expecting \"class java.lang.String\" but got \"4\" of type class java.lang.Integer instead"],
    );
    check_steps("echo ${x}", &["${x} cannot be used as a value directly. Did you mean \"${x}\"? (add quotes)"]);
    check_steps("sleep 99999999999999999999", &["BigIntegers cannot be used as constants"]);
    check_steps("cleanWs 'x'", &["Step does not take a single required parameter"]);
    check_steps("checkout scm\ncheckout([$class: 'GitSCM'])\ncheckout 'x'", &["Expecting \"class hudson.scm.SCM\""]);
    check_steps("writeFile file: 'a', text: 'b'\nstep([$class: 'X'])\nwrap([$class: 'Y']) { echo 'a' }", &[]);
}

#[test]
fn parallel_is_allowed_alone_in_steps() {
    check_steps("parallel(a: { echo 'x' }, b: { echo 'y' }, failFast: true)", &[]);
    check_steps("parallel(a: { }, b: 'x')", &["No steps specified for branch", "Expected closure or failFast"]);
    check_steps("echo 'x'\nparallel(a: { echo 'x' })", &["Invalid step \"parallel\" used"]);
    check_stage(
        "parallel { stage('p') { steps { parallel(a: { echo 'x' }, b: { echo 'y' }) } } }",
        &["\"matrix\" or \"parallel\" cannot be nested"],
    );
    check_stage(
        "failFast 'yes'\nparallel { stage('p') { steps { echo 'x' } } }",
        &["Expected a boolean with failFast"],
    );
}

#[test]
fn agents_are_checked() {
    check_stage(
        "agent { docker { args '-v' } }\nsteps { echo 'x' }",
        &["Missing required parameter for agent type \"docker\": image"],
    );
    check_stage("agent { dockr 'x' }\nsteps { echo 'x' }", &["Invalid agent type \"dockr\" specified"]);
    check_stage("agent { any }\nsteps { echo 'x' }", &["No agent type specified", "Expected an agent"]);
    check_stage("agent { label }\nsteps { echo 'x' }", &["No agent type specified", "Expected an agent"]);
    check_stage(
        "agent 'x'\nsteps { echo 'x' }",
        &["Only \"agent none\", \"agent any\" or \"agent {...}\" are allowed."],
    );
    check_stage(
        "agent { docker { image 'x', 'y' } }\nsteps { echo 'x' }",
        &["Missing required parameter", "Too many arguments for map key \"image\""],
    );
    check_stage("agent { label { label 'x'\nretries 2 } }\nsteps { echo 'x' }", &[]);
    check_stage("agent { dockerfile true }\nsteps { echo 'x' }", &[]);
}

#[test]
fn conditions_are_checked() {
    let when = |content: &str| format!("when {{\n{content}\n}}\nsteps {{ echo 'x' }}");
    check_stage(&when(""), &["Empty when closure"]);
    check_stage(&when("beforeAgent 'x'\nbranch 'y'"), &["Expected a boolean with beforeAgent"]);
    check_stage(
        &when("not { branch 'a'\nbranch 'b' }"),
        &["Nested when condition \"not\" requires exactly 1 child condition(s)."],
    );
    check_stage(
        &when("anyOf('x') { branch 'a' }"),
        &["No additional arguments are allowed for children when condition \"anyOf\"."],
    );
    check_stage(
        &when("branch { branch 'a' }"),
        &["No children when conditions are allowed for when condition \"branch\"."],
    );
    check_stage(&when("environment name: 'A'"), &["Missing required parameter: \"value\""]);
    check_stage(
        &when("changelog '(abc'"),
        &["\"(abc\" is not a valid regular expression. Unclosed group near index 4"],
    );
    let user = "{\"user_id\" : 24}";
    let said = format!("\"{user}\" is not a valid regular expression. Illegal repetition\n{user}");
    check_stage(&when(&format!("changelog '{user}'")), &[&said]);
    check_stage(
        &when("changelog()"),
        &["Missing required parameter: \"pattern\"", "Changelog is missing required parameter \"pattern\"."],
    );
    check_stage(&when("expression 'x'"), &["When step without a block"]);
    check_stage(&when("if (x) { }"), &["Empty when closure", "Expected a when condition"]);
    check_stage(
        &when(
            "allOf { changeRequest target: 'main', comparator: 'GLOB'\ntriggeredBy cause: 'UserIdCause', detail: 'x' }",
        ),
        &[],
    );
}

#[test]
fn environment_is_checked() {
    check_section(
        "environment { A = 'x'\nB = \"${A}\"\nC = credentials('id')\nD = 'a' + \"b\"\nE = f('x')\ndef F = 'y' }\n",
        &["unknown step \"f\""],
    );
    check_section("environment { A = [1] }", &["No variables specified", "must either be single quoted"]);
    check_section("environment { A = 'x' - 'y'\nB = 'x' }", &["can only be joined together with ‘+’s"]);
    check_section("environment { A = 'x' + y }", &["must be single or double quoted"]);
    check_section("environment { class_ = 'x'\nA = 'x'\nA = 'y' }", &["Duplicate environment variable name: \"A\""]);
    check_section("environment { A = credentials(x) }", &["Internal function call parameters must be strings."]);
    check_section(
        "environment { echo('x') }",
        &["Expected name=value pairs", "No variables specified", "is not a valid environment expression"],
    );
}

#[test]
fn options_are_checked_by_place() {
    check_section(
        "options { buildDiscarder(logRotator(numToKeepStr: '3'))\ntimeout(time: 1, unit: 'HOURS')\ntimestamps()\nskipDefaultCheckout()\nretry(3)\ndisableConcurrentBuilds() }",
        &[],
    );
    check_section("options { timeout(1) { echo 'x' } }", &["Options definitions cannot have blocks"]);
    check_section("options { [a: 1] }", &["Options cannot be defined as maps"]);
    check_section("options { timeout }", &["Expected an option"]);
    check_section(
        "options { buildDiscarder(logRotator(numToKeep: '3')) }",
        &["Invalid parameter \"numToKeep\", did you mean \"numToKeepStr\"?"],
    );
    check_section(
        "options { buildDiscarder(node('x')) }",
        &["Invalid step \"node\" used - not allowed in this context"],
    );
    check_section("options { quietPeriod('x') }", &["Expecting \"int\" but got \"x\""]);
    check_section("options { sh 'x' }", &["Invalid option type \"sh\""]);
    check_stage(
        "options { disableConcurrentBuilds() }\nsteps { echo 'x' }",
        &["Invalid option type \"disableConcurrentBuilds\""],
    );
}

#[test]
fn parameters_triggers_tools_and_input_are_checked() {
    check_section(
        "parameters { string(name: 'A', defaultValue: 'x')\nchoice(name: 'B', choices: ['a', 'b'])\npassword(name: 'C', defaultValue: 'x') }",
        &[],
    );
    check_section("parameters { booleanParam(name: 4) }", &["for parameter \"name\" but got \"4\""]);
    check_section("parameters { string('x', name: 'A') }", &["Cannot mix named and unnamed arguments"]);
    check_section("triggers { cron() }", &["\"cron\" should have 1 arguments but has 0 arguments instead."]);
    check_section("triggers { cron({ 'x' }) }", &["Triggers definitions cannot have blocks"]);
    check_section("tools { maven 'a', 'b' }", &["Too many arguments for tool \"maven\""]);
    check_section("tools { maven() }", &["No argument for tool \"maven\""]);
    check_stage("input { message 'x'\nok 'a', 'b' }\nsteps { echo 'x' }", &["Too many arguments for field \"ok\""]);
    check_stage("input { ok 'a' }\nsteps { echo 'x' }", &["No message specified for input"]);
    check_stage("input 'x'\nsteps { echo 'x' }", &["Expected a block for input", "No message specified for input"]);
}

#[test]
fn a_matrix_is_checked() {
    let matrix =
        |content: &str| format!("matrix {{\n{content}\nstages {{ stage('m') {{ steps {{ echo 'x' }} }} }}\n}}");
    check_stage(
        &matrix(
            "axes { axis { name 'A'\nvalues 'x', 'y' } }\nexcludes { exclude { axis { name 'A'\nnotValues 'x' } } }",
        ),
        &[],
    );
    check_stage(
        &matrix("axes { axis { name 'A'\nvalues f('x') } }"),
        &["unknown step \"f\"", "Expected string literal but got f('x')"],
    );
    check_stage(&matrix("axes { axis { name 'A'\nvalues() } }"), &["Missing required section \"values\""]);
    check_stage(
        &matrix("axes { axis { name 'A'\nvalue 'x' } }"),
        &["Missing required section \"values\"", "Undefined section \"value\""],
    );
    check_stage(&matrix(""), &["Missing required section \"axes\""]);
    let many: Vec<String> = (0..5)
        .map(|i| {
            format!(
                "axis {{ name 'A{i}'\nvalues {} }}",
                (0..10).map(|v| format!("'{v}'")).collect::<Vec<_>>().join(", ")
            )
        })
        .collect();
    check_stage(&matrix(&format!("axes {{\n{}\n}}", many.join("\n"))), &["The matrix has more than 4096 cells"]);
}

#[test]
fn old_and_misplaced_sections_are_named() {
    check_section("wrappers { }", &["The 'wrappers' section has been removed"]);
    check_section("postBuild { }", &["The ‘postBuild’ section has been renamed"]);
    check_section("node { }", &["Undefined section \"node\""]);
    check_section("foo", &["Not a valid section definition: \"foo\""]);
    check_stage("sh 'x'", &["Expected one of \"steps\"", "Unknown stage section \"sh\""]);
    check(
        "timeout(5) { pipeline { agent any } }",
        &["pipeline block must be at the top-level, not within another block."],
    );
}

/// Small deterministic generator: the same texts in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// Cuts, doubles and mixes pieces of texts at character borders.
fn mutate(texts: &[String], random: &mut Random) -> String {
    const PIECES: [&str; 14] =
        ["{", "}", "(", ")", "'", "\"", "${", "\n", ":", ",", "[", "pipeline {", "stage('é') {", "= "];
    let mut chars: Vec<char> = texts[random.below(texts.len())].chars().collect();
    for _ in 0..=random.below(6) {
        let at = random.below(chars.len() + 1);
        let end = (at + random.below(40)).min(chars.len());
        match random.below(4) {
            0 => drop(chars.drain(at..end)),
            1 => {
                let piece: Vec<char> = chars[at..end].to_vec();
                chars.splice(at..at, piece);
            }
            2 => drop(chars.splice(at..at, PIECES[random.below(PIECES.len())].chars())),
            _ => {
                let other: Vec<char> = texts[random.below(texts.len())].chars().collect();
                let from = random.below(other.len() + 1);
                let to = (from + random.below(60)).min(other.len());
                chars.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn no_text_makes_the_linter_panic() {
    let mut texts: Vec<String> = ["declarative-valid.jsonl", "declarative-invalid.jsonl"]
        .iter()
        .flat_map(|name| table(name).unwrap_or_default())
        .map(|case| text(&case, "script").rsplit("*/").next().unwrap_or_default().to_owned())
        .collect();
    texts.push("pipeline { agent { docker 'maven:3' } stages { stage('Build') { steps { sh 'mvn' } } } }".to_owned());
    texts.push(
        "@Library('x') _\nnode('a') { stage('b') { sh \"echo ${params.X}\"; parallel a: { echo 'x' } } }".to_owned(),
    );
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..3000 {
        let source = mutate(&texts, &mut random);
        for diagnostic in lint(&source) {
            let span = diagnostic.span;
            assert!(span.start <= span.end && span.end as usize <= source.len(), "{source}\n{diagnostic:?}");
        }
    }
}

#[test]
fn a_huge_file_takes_time_in_proportion() {
    let stages: String = (0..4_000).map(|i| format!("stage('s{i}') {{ steps {{ echo 'x' }} }}\n")).collect();
    check(&format!("pipeline {{\nagent any\nstages {{\n{stages}}}\n}}"), &[]);
    let entries: String = (0..8_000).map(|i| format!("V{i} = 'x'\n")).collect();
    check_section(&format!("environment {{\n{entries}}}"), &[]);
    // Errors are collected, but not without end.
    let options: String = (0..8_000).map(|i| format!("option{i}()\n")).collect();
    let found = lint(&format!("pipeline {{\nagent any\noptions {{\n{options}}}\n}}"));
    assert!((100..2000).contains(&found.len()), "{}", found.len());
    let calls: String = (0..8_000).map(|i| format!("ecko{i}()\n")).collect();
    let found = lint(&format!("{calls}{}", calls.replace("ecko", "def helper").replace("()", "() {}")));
    assert!((100..2000).contains(&found.len()), "{}", found.len());
}

#[test]
fn what_the_run_would_refuse_is_warned_of_with_what_to_do() {
    let warned = |source: &str| -> Vec<String> {
        let found = lint(source).into_iter().filter(|d| d.message.contains("refused to scripts"));
        found.map(|d| format!("{}: {}", d.message, d.hint.unwrap_or_default())).collect()
    };
    let cases = [
        ("def x = new File('a').text", "File.text is refused to scripts: files are on an agent"),
        ("def s = new Socket('x', 1)", "new Socket is refused to scripts: the network"),
        ("import java.nio.file.Files\nFiles.exists(x)", "Files.exists is refused to scripts: files are on an agent"),
        ("java.lang.Runtime.getRuntime()", "java.lang.Runtime.getRuntime is refused to scripts: programs"),
    ];
    for (source, words) in cases {
        let found = warned(source);
        assert!(found.len() == 1 && found[0].starts_with(words), "{source}: {found:?}");
    }
    let fine = "new File('a').name\nSystem.currentTimeMillis()\nclass Thread2 {}\nnew Date().format('yyyy')\nnew URL('http://x').host";
    assert_eq!(warned(fine), Vec::<String>::new());
    assert_eq!(warned("class Socket { Socket(a) {} }\nnew Socket(1)"), Vec::<String>::new(), "the file's own class");
}
