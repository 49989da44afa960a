//! Shared libraries: how definitions come by them, and what is in them.

use model::library::LibraryPlace;
use model::outcome::Outcome;
use model::request::{AgentSpec, Request};
use pipeline::conformance::{Fixture, FixtureLibrary};

use crate::engine_world::{Ran, World};

const TOOLS: FixtureLibrary = FixtureLibrary {
    name: "tools",
    implicit: false,
    files: &[
        (
            "vars/buildIt.groovy",
            "import org.acme.Version
             def call(Map config = [:]) {
                 node(config.label ?: 'linux') {
                     stage('Build') {
                         sh \"echo building ${new Version(this).next(config.from ?: 1)}\"
                         writeFile file: 'settings.xml', text: libraryResource('org/acme/settings.xml')
                         echo readFile('settings.xml')
                     }
                 }
             }
             def twice(Closure body) { body(); body() }",
        ),
        (
            "src/org/acme/Version.groovy",
            "package org.acme
             class Version implements Serializable {
                 private final def script
                 Version(script) { this.script = script }
                 String next(int from) { script.echo \"from ${from}\"; return \"v${from + 1}\" }
                 static String zero() { 'v0' }
                 static void tell() { System.out.println('told by the library') }
                 static void refuse() { [1].each { throw new IllegalStateException('refused') } }
             }",
        ),
        ("resources/org/acme/settings.xml", "<settings/>"),
        ("vars/broken.groovy", "def call( {"),
        (
            "vars/standard.groovy",
            "def call(Map config) {
                 def greeting = 'hello'
                 if (config.fancy) {
                     pipeline {
                         agent { label config.label }
                         environment { NAME = \"${greeting} ${config.name}\" }
                         stages {
                             stage('Say') {
                                 when { expression { config.name != 'nobody' } }
                                 steps { sh 'true || docker ps'\n sh 'echo said $NAME' }
                             }
                         }
                         post { always { echo \"over ${greeting}\" } }
                     }
                 }
             }",
        ),
        (
            "vars/wrong.groovy",
            "def call() {\n    pipeline {\n        agent any\n        stages { stage('x') { steps { def y = 1 } } }\n    }\n}",
        ),
    ],
};

fn run_with(implicit: bool, source: &str) -> Ran {
    let mut fixture = Fixture { libraries: vec![FixtureLibrary { implicit, ..TOOLS }], ..Fixture::default() };
    if implicit {
        fixture.facts.libraries = vec!["tools@3".to_owned()];
    }
    World::new(fixture).run(source).unwrap()
}

fn run(source: &str) -> Ran {
    run_with(false, source)
}

/// What was asked for of libraries.
fn wishes(ran: &Ran) -> Vec<(String, Option<String>, LibraryPlace)> {
    let library = |request: &Request| match request {
        Request::Library(wish) => Some((wish.name.clone(), wish.version.clone(), wish.place.clone())),
        _ => None,
    };
    ran.requests.iter().filter_map(library).collect()
}

#[test]
fn a_definition_asks_for_a_library_and_uses_all_of_it() {
    let ran = run("@Library('tools@1.2') _\nbuildIt label: 'big', from: 6\nbuildIt.twice { echo 'again' }");
    ran.is(Outcome::Success)
        .has("Loading library tools@1.2\n")
        .has("from 6")
        .has("building v7")
        .has("<settings/>")
        .has("again\n[Pipeline] echo\nagain");
    assert_eq!(wishes(&ran), [("tools".to_owned(), Some("1.2".to_owned()), LibraryPlace::Configured)]);
    for asks in ["@Library(['tools']) _", "@Library('tools')\nimport org.acme.Version"] {
        run(&format!("{asks}\necho org.acme.Version.zero()")).is(Outcome::Success).has("\nv0\n");
    }
    run("@Library('tools') import org.acme.*\necho Version.zero()").is(Outcome::Success).has("\nv0\n");
}

#[test]
fn a_library_may_be_there_for_all_and_one_that_is_asked_for_goes_before_it() {
    let ran = run_with(true, "buildIt()");
    ran.is(Outcome::Success).has("Loading library tools@3").has("building v2");
    let ran = run_with(true, "@Library('tools@4') _\nbuildIt()");
    ran.is(Outcome::Success).has("Loading library tools@4").lacks("tools@3");
    assert_eq!(wishes(&ran).len(), 1);
}

#[test]
fn a_script_may_ask_while_it_runs_and_use_the_packages() {
    let ran = run(
        "def lib = library('tools@2').org.acme\necho lib.Version.zero()\necho lib.Version.new(this).next(1)\nlibrary 'tools@5'\nbuildIt()",
    );
    ran.is(Outcome::Success).has("\nv0\n").has("\nv2\n").has("Only using first definition of library tools");
    let ran = run(
        "library identifier: 'tools@main', retriever: modernSCM([$class: 'GitSCMSource', remote: 'https://example.org/tools.git'])\nbuildIt()",
    );
    ran.is(Outcome::Success);
    let LibraryPlace::Git(source, folder) = &wishes(&ran)[0].2 else { panic!("{:?}", wishes(&ran)) };
    assert_eq!((source.url.as_str(), folder.as_str()), ("https://example.org/tools.git", ""));
    let forge = "library identifier: 'tools@main', retriever: modernSCM(scm: github(repoOwner: 'acme', repository: 'ci'), libraryPath: 'lib/')";
    let ran = run(forge);
    let LibraryPlace::Git(source, folder) = &wishes(&ran)[0].2 else { panic!("{:?}", wishes(&ran)) };
    assert_eq!((source.url.as_str(), folder.as_str()), ("https://github.com/acme/ci.git", "lib/"));
    run("library identifier: 'tools', retriever: modernSCM([$class: 'GitSCMSource', remote: 'https://example.org/a'])")
        .is(Outcome::Failure)
        .has("No version specified for library tools");
    run("library identifier: 'tools@1', retriever: http(url: 'x')").is(Outcome::Failure).has("retriever");
}

#[test]
fn what_is_not_there_or_does_not_compile_is_said_where_it_is_used() {
    run("@Library('other') _\necho 'x'")
        .is(Outcome::Failure)
        .has("Could not find any definition of libraries [other]")
        .lacks("Start of Pipeline");
    run("@Library('tools') _\necho 'on'\nbroken()")
        .is(Outcome::Failure)
        .has("WARNING: vars/broken.groovy of library tools does not compile")
        .has("\non\n")
        .has("MultipleCompilationErrorsException: startup failed:\nvars/broken.groovy: 1: ");
    run("@Library('tools') _\nlibraryResource 'none.txt'")
        .is(Outcome::Failure)
        .has("No such library resource none.txt could be found.");
    // What goes wrong in a library is said with its place there.
    run("@Library('tools') _\nbuildIt(from: 'text')").is(Outcome::Failure).has("tools/vars/buildIt.groovy");
}

#[test]
fn a_variable_of_a_library_may_be_a_declarative_pipeline() {
    let ran = run("@Library('tools') _\nstandard(fancy: true, name: 'you', label: 'big')");
    ran.is(Outcome::Success).has("[Pipeline] { (Say)").has("said hello you").has("over hello");
    let wanted = ran.requests.iter().find_map(|request| match request {
        Request::Allocate { agent, engine, .. } => Some((agent.clone(), engine.clone())),
        _ => None,
    });
    // What it needs is seen in the library's text.
    assert_eq!(wanted, Some((AgentSpec::Label("big".to_owned()), Some("`docker ps`".to_owned()))));
    run("@Library('tools') _\nstandard(fancy: true, name: 'nobody', label: 'big')")
        .is(Outcome::Success)
        .has("Stage \"Say\" skipped due to when conditional");
    run("@Library('tools') _\nwrong()").is(Outcome::Failure).has("Expected a step @ line 4");
}

#[test]
fn a_declarative_pipeline_may_ask_in_a_section_of_its_own() {
    let ran =
        run("pipeline { agent none\n libraries { lib('tools@9') }\n stages { stage('a') { steps { buildIt() } } } }");
    ran.is(Outcome::Success).has("Loading library tools@9").has("building v2");
}

#[test]
fn classes_within_classes_are_imported() {
    const NESTED: FixtureLibrary = FixtureLibrary {
        name: "acme",
        implicit: false,
        files: &[
            (
                "src/org/acme/Log.groovy",
                "package org.acme
                 import static org.acme.Log.Level.DEBUG
                 class Log {
                     static least() { DEBUG }
                     enum Level { DEBUG, INFO }
                     static class Line { def text; static of(text) { new Line(text: text) } }
                 }",
            ),
            (
                "src/org/acme/Use.groovy",
                "package org.acme
                 import org.acme.Log.Level as L
                 import static org.acme.Log.Line.of
                 class Use { static all() { [L.INFO, of('one').text, Log.Level.valueOf('DEBUG')] } }",
            ),
        ],
    };
    let source = "@Library('acme')
        import org.acme.*
        import org.acme.Log.Level
        import org.acme.Log.Line
        import static org.acme.Log.Level.*
        Level level = INFO
        def say(Line line) { line.text }
        echo \"${Log.least()} ${Use.all()} ${Level.values()} $level ${say(new Line(text: 't'))}\"";
    World::new(Fixture { libraries: vec![NESTED], ..Fixture::default() })
        .run(source)
        .unwrap()
        .is(Outcome::Success)
        .has("DEBUG [INFO, one, DEBUG] [DEBUG, INFO] INFO t");
}

/// Source: `GlobalVariable.byName`, the order of the addresses of a class loader, and `ResourceStep`.
#[test]
fn of_two_libraries_with_the_same_file_the_first_counts() {
    const FIRST: FixtureLibrary = FixtureLibrary {
        name: "acme",
        implicit: false,
        files: &[
            ("vars/hello.groovy", "def call() { echo \"acme ${org.acme.Word.text()}\" }"),
            ("src/org/acme/Word.groovy", "package org.acme\nclass Word { static text() { 'first' } }"),
            ("resources/both.txt", "1"),
            ("resources/own.txt", "\u{400}"),
        ],
    };
    const SECOND: FixtureLibrary = FixtureLibrary {
        name: "emm",
        implicit: false,
        files: &[
            ("vars/hello.groovy", "def call() { echo 'emm' }"),
            ("vars/more.groovy", "def call() { echo \"more ${org.acme.Word.text()}\" }"),
            ("src/org/acme/Word.groovy", "package org.acme\nclass Word { static text() { 'second' } }"),
            ("resources/both.txt", "2"),
        ],
    };
    let run = |source: &str| {
        World::new(Fixture { libraries: vec![FIRST, SECOND], ..Fixture::default() }).run(source).unwrap()
    };
    for asks in ["@Library(['acme', 'emm']) _", "library 'acme'\nhello()\nlibrary 'emm'"] {
        run(&format!("{asks}\nhello()\nmore()"))
            .is(Outcome::Success)
            .has("acme first")
            .has("more first")
            .lacks("\nemm\n")
            .has("WARNING: vars/hello.groovy of library emm is not used: that of library acme comes first");
    }
    run("@Library(['emm', 'acme']) _\nhello()").is(Outcome::Success).has("\nemm\n");
    run("@Library(['acme', 'emm']) _\nlibraryResource 'both.txt'")
        .is(Outcome::Failure)
        .has("Library resource both.txt ambiguous among libraries [acme, emm]");
    run("@Library('acme') _\necho \"${libraryResource('own.txt')} ${libraryResource(resource: 'own.txt', encoding: 'ISO-8859-1')}\"")
        .is(Outcome::Success)
        .has("\u{400} \u{d0}\u{80}\n");
    run("@Library('acme') _\nlibraryResource resource: 'own.txt', encoding: 'nosuch'")
        .has("UnsupportedCharsetException: nosuch");
}

#[test]
fn a_library_is_outside_of_the_sandbox() {
    run("library 'tools@3'\norg.acme.Version.tell()\necho 'after'").is(Outcome::Success).has("\nafter\n");
}

#[test]
fn a_closure_of_a_library_is_a_part_of_its_method() {
    run("library 'tools@3'\norg.acme.Version.refuse()")
        .is(Outcome::Failure)
        .has("org.acme.Version.refuse(")
        .lacks("closure");
}
