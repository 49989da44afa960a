//! The shared libraries that cases assume: what Jenkins' own tests have, in words of ours.

use model::library::{FileContent, Library, LibraryFile};

use super::Case;

/// A library of the world of a case.
#[derive(Clone, Debug)]
pub struct FixtureLibrary {
    /// Its name.
    pub name: &'static str,
    /// Definitions have it without asking.
    pub implicit: bool,
    /// Path and text.
    pub files: &'static [(&'static str, &'static str)],
}

impl FixtureLibrary {
    /// As whoever performs the request answers.
    pub fn found(&self, version: Option<String>) -> Library {
        let files = self.files.iter().map(|(path, text)| LibraryFile {
            path: (*path).to_owned(),
            content: FileContent::Text((*text).to_owned()),
        });
        Library { version, commit: None, files: files.collect() }
    }
}

/// The library of the server.
const GLOBAL: FixtureLibrary = FixtureLibrary {
    name: "global",
    implicit: true,
    files: &[
        (
            "vars/acmeVar.groovy",
            "def hello(name) { echo \"Hello $name\" }
             def foo(x) { this.x = x + '-set' }
             def bar() { x + '-get' }
             def baz() { 'nothing here' }",
        ),
        ("vars/acmeFunc.groovy", "def call(a, b) { echo \"call($a,$b)\" }"),
        ("vars/acmeFuncMap.groovy", "def call(Map m) { echo \"map call(${m.a},${m.b})\" }"),
        ("vars/acmeFuncClosure1.groovy", "def call(a, Closure body) { echo \"closure1($a)\"; body() }"),
        ("vars/acmeFuncClosure2.groovy", "def call(a, b, Closure body) { echo \"closure2($a, $b)\"; body() }"),
        (
            "vars/acmeBody.groovy",
            "def call(body) {
                 def config = [:]
                 body.resolveStrategy = Closure.DELEGATE_FIRST
                 body.delegate = config
                 body()
                 echo \"title was ${config.title}\"
             }",
        ),
        ("vars/returnAThing.groovy", "def call(String of) { of + ' tada' }"),
    ],
};

/// Libraries that a definition asks for by name.
const ASKED_FOR: [FixtureLibrary; 5] = [
    FixtureLibrary {
        name: "echo-utils",
        implicit: false,
        files: &[("vars/myecho.groovy", "def call() { echo 'something special' }")],
    },
    FixtureLibrary { name: "whereFrom", implicit: false, files: WHERE_FROM },
    FixtureLibrary { name: "test", implicit: false, files: WHERE_FROM },
    FixtureLibrary {
        name: "zot-stuff",
        implicit: false,
        files: &[(
            "src/org/foo/Zot.groovy",
            "package org.foo
             class Zot implements Serializable { def steps; Zot(steps) { this.steps = steps } }",
        )],
    },
    FixtureLibrary {
        name: "from-lib",
        implicit: false,
        files: &[(
            "vars/fromLib.groovy",
            "def call() {
                 pipeline {
                     agent any
                     environment { BRANCH_NAME = 'master' }
                     stages {
                         stage('One') { steps { echo 'Hello' } }
                         stage('Two') { when { branch 'other' } steps { echo 'World' } }
                     }
                 }
             }",
        )],
    },
];

const WHERE_FROM: &[(&str, &str)] = &[("vars/whereFrom.groovy", "def call() { echo 'from another library' }")];

/// A step of a test plugin, as a library has steps.
const RHOMBUS: FixtureLibrary = FixtureLibrary {
    name: "test-plugin",
    implicit: true,
    files: &[("vars/rhombus.groovy", "def call(int of, Closure body) { echo \"wrapping in a ${of}-gon\"; body() }")],
};

/// What a case with these needs finds.
pub(super) fn of(case: &Case) -> Vec<FixtureLibrary> {
    let needs = |name: &str| case.needs.iter().any(|need| need == name);
    let mut libraries = Vec::new();
    if needs("global_library") {
        libraries.push(GLOBAL);
    }
    if needs("second_repo") {
        libraries.extend(ASKED_FOR);
    }
    if case.id == "StepsTest#metaStepSyntax" {
        libraries.push(RHOMBUS);
    }
    libraries
}
