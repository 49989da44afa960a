//! Parser, linter, evaluator: in this process, and as whole processes where a person waits for one.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use groovy::machine::{Machine, MachineLimits, Stepped};
use pipeline::engine::{Engine, Output, RunInput};

use super::measure::{Contender, Table, milliseconds};
use super::peers;

/// A stage as large real definitions have them, repeated until the text is long enough to be timed.
const STAGE: &str = r#"
        stage('Build NUMBER') {
            when { expression { return params.TARGETS?.contains("linux-${env.ARCH}") } }
            environment { VERSION = "${env.BUILD_NUMBER}-NUMBER" }
            steps {
                echo "building ${env.VERSION} on ${env.NODE_NAME}"
                sh '''
                    set -eu
                    for target in linux darwin; do make "$target" OUT=build/$target; done
                '''
                script {
                    def results = [:]
                    ['unit', 'integration'].eachWithIndex { name, index ->
                        results[name] = [index: index, label: "${name}-${index}".toUpperCase()]
                    }
                    if (results.size() > 1 && !(results.unit?.label ==~ /X.*/)) { archiveArtifacts artifacts: "build/**", allowEmptyArchive: true }
                }
            }
            post { always { echo 'done' } failure { echo "failed: ${currentBuild.currentResult}" } }
        }
"#;

fn large_definition(stages: usize) -> String {
    let body: String = (0..stages).map(|n| STAGE.replace("NUMBER", &n.to_string())).collect();
    format!(
        "pipeline {{\n    agent any\n    parameters {{ string(name: 'TARGETS', defaultValue: '') }}\n    stages {{{body}    }}\n}}\n"
    )
}

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("Language (this process; whole processes where it says so)");
    let text = large_definition(600);
    let mib = text.len() as f64 / (1 << 20) as f64;
    table.push("parse", "MB/s", rates(20, mib * 1.048_576, || assert!(groovy::parse(&text).diagnostics.is_empty())));
    let small = large_definition(60);
    let small_mb = small.len() as f64 / 1e6;
    table.push("parse and validate (lint)", "MB/s", rates(20, small_mb, || drop(pipeline::lint::lint(&small))));
    table.push("evaluator: loop with arithmetic, a call and a list", "M/s", rates(10, 3.0, || operations(500_000)));
    table.push(
        "10,000 echo steps",
        "ms",
        (0..10).map(|_| lines_of(&ECHOES.replace("COUNT", "10000"), 10_000)).collect(),
    );
    table.push(
        "1,000 parallel branches of an echo each",
        "ms",
        (0..10).map(|_| lines_of(&BRANCHES.replace("COUNT", "1000"), 1000)).collect(),
    );

    let work = scratch.join("work.groovy");
    std::fs::write(&work, format!("println({{ {} }}())\n", operations_of(500_000).replace('\n', "; ")))
        .expect("a script");
    let script = scratch.join("hello.groovy");
    std::fs::write(&script, "println 'hello'\n").expect("a script");
    let definition = scratch.join("Jenkinsfile");
    std::fs::write(&definition, large_definition(30)).expect("a definition");
    let cofferdam = env!("CARGO_BIN_EXE_cofferdam");
    let mut processes = Table::new("");
    processes.interleave(
        8,
        vec![
            Contender::new("cofferdam lint, 30 stages, whole process", || {
                peers::run(Command::new(cofferdam).arg("lint").arg(&definition))
            }),
            Contender::new("cofferdam groovy hello, whole process", || {
                peers::run(Command::new(cofferdam).arg("groovy").arg(&script))
            }),
            Contender::new("groovy hello (Groovy 2.4 launcher), whole process", || {
                peers::run(Command::new("groovy").arg(&script).env("JAVA_HOME", java_home()))
            }),
            Contender::new("cofferdam groovy, 1,500,000 operations, whole process", || {
                peers::run(Command::new(cofferdam).arg("groovy").arg(&work))
            }),
            Contender::new("groovy, 1,500,000 operations (Groovy 2.4 launcher), whole process", || {
                peers::run(Command::new("groovy").arg(&work).env("JAVA_HOME", java_home()))
            }),
        ],
    );
    table.rows.append(&mut processes.rows);
    table.notes.append(&mut processes.notes);
    table
}

fn java_home() -> std::path::PathBuf {
    let java = std::fs::canonicalize("/usr/bin/java").unwrap_or_default();
    java.ancestors().nth(2).unwrap_or(Path::new("/usr")).to_owned()
}

fn rates(rounds: usize, amount: f64, mut work: impl FnMut()) -> Vec<f64> {
    work();
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        work();
        samples.push(amount / started.elapsed().as_secs_f64());
    }
    samples
}

/// Three operations a turn: an addition, a method call, an element of a list.
fn operations_of(turns: u32) -> String {
    format!(
        "def twice = {{ x -> x + x }}\ndef list = [1, 2, 3]\nint sum = 0\nfor (int i = 0; i < {turns}; i++) {{ sum = sum + list[i % 3]; twice(i) }}\nsum"
    )
}

fn operations(turns: u32) {
    let script = operations_of(turns);
    let parsed = groovy::parse(&script);
    let mut machine = Machine::new(MachineLimits::default());
    let id = machine.load(&parsed.script, "bench").expect("a valid script");
    let fiber = machine.start_script(id);
    loop {
        match machine.run(fiber, &mut NoHost) {
            Stepped::Slice => {}
            Stepped::Finished(_) => return,
            other => panic!("the script ended with {other:?}"),
        }
    }
}

const ECHOES: &str = "for (int i = 0; i < COUNT; i++) { echo \"line $i\" }\n";
const BRANCHES: &str = "def branches = [:]\nfor (int i = 0; i < COUNT; i++) { int n = i; branches[\"b$n\"] = { echo \"line $n\" } }\nparallel branches\n";

/// Milliseconds of a run that writes at least so many lines.
fn lines_of(source: &str, count: usize) -> f64 {
    let started = Instant::now();
    let mut engine =
        Engine::new(RunInput { source: source.to_owned(), file_name: "Jenkinsfile".to_owned(), ..RunInput::default() })
            .expect("a valid script");
    let mut lines = 0;
    while engine.end().is_none() {
        lines += engine
            .poll()
            .iter()
            .filter(|o| {
                matches!(o, Output::Event(model::event::Event::Log { source: model::event::LogSource::Step, .. }))
            })
            .count();
    }
    assert!(lines >= count, "{lines} lines");
    milliseconds(started.elapsed())
}

struct NoHost;

impl groovy::machine::Host for NoHost {
    fn has_method(&self, _: Option<&groovy::value::HostRef>, _: &str) -> bool {
        false
    }
    fn property(
        &mut self,
        _: Option<&groovy::value::HostRef>,
        _: &str,
    ) -> Option<Result<groovy::value::Value, groovy::value::Value>> {
        None
    }
    fn set_property(
        &mut self,
        _: Option<&groovy::value::HostRef>,
        _: &str,
        _: &groovy::value::Value,
    ) -> Option<Result<(), groovy::value::Value>> {
        None
    }
    fn construct(
        &mut self,
        _: &str,
        _: &[groovy::value::Value],
    ) -> Option<Result<groovy::value::Value, groovy::value::Value>> {
        None
    }
    fn print(&mut self, _: &str) {}
}
