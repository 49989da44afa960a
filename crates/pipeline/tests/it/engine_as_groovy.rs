//! A script does in a run what it does by itself: names that a run has beside Groovy's take nothing from it. The scripts are those that
//! `groovy/tests/it/differential` holds against the real Groovy.

use groovy::machine::{Host, Machine, MachineLimits, Stepped};
use groovy::value::Value;
use pipeline::conformance::Fixture;

use crate::engine_world::World;

/// Calls an expression and prints what comes of it.
const SHOW: &str = "def showing = { number, code ->
    try {
        def found = code()
        println \"$number ${found == null ? '' : found.getClass().name} $found\"
    } catch (Throwable thrown) {
        println \"$number threw ${thrown.getClass().name} ${thrown.message}\"
    }
}\n";

/// The scripts, by name.
fn scripts() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../groovy/tests/it/differential/cases");
    let mut all = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = format!("\n{}", std::fs::read_to_string(&path).unwrap());
        for case in text.split("\n--- ").skip(1) {
            let (name, body) = case.split_once('\n').unwrap_or((case, ""));
            let (mut script, mut shown) = (String::new(), String::new());
            for line in body.lines() {
                match line.strip_prefix("> ") {
                    Some(expression) => shown += &format!("showing({}) {{ -> {expression} }}\n", shown.lines().count()),
                    None => script += &format!("{line}\n"),
                }
            }
            let file = path.file_stem().unwrap().to_string_lossy();
            all.push((format!("{file}: {name}"), format!("{script}{SHOW}{shown}")));
        }
    }
    all.sort();
    all
}

#[derive(Default)]
struct Console(String);

impl Host for Console {
    fn print(&mut self, text: &str) {
        // A run's log has lines.
        self.0 += text.strip_suffix('\n').unwrap_or(text);
        self.0.push('\n');
    }
}

/// What it prints by itself; `None`: it is no script that Groovy reads.
fn by_itself(source: &str) -> Option<String> {
    let parsed = groovy::parse(source);
    let mut machine = Machine::new(MachineLimits::default()).as_pipeline();
    let script = machine.load(&parsed.script, "WorkflowScript").ok().filter(|_| !parsed.has_errors())?;
    let fiber = machine.start_script(script);
    let mut console = Console::default();
    loop {
        match machine.run(fiber, &mut console) {
            Stepped::Finished(_) => return Some(console.0),
            // A run says in its own way how it ended.
            Stepped::Threw(_) | Stepped::Limit(_) => return Some(console.0),
            Stepped::Slice => {}
            Stepped::Call(_) => machine.resume(fiber, Ok(Value::Null)),
        }
    }
}

#[test]
fn scripts_do_in_a_run_what_they_do_by_themselves() {
    let all = scripts();
    assert!(all.len() > 100, "the files were read");
    let mut odd = Vec::new();
    for (name, source) in all {
        let Some(expected) = by_itself(&source) else { continue };
        let ran = match World::new(Fixture::default()).run(&source) {
            Ok(ran) => ran,
            Err(found) => {
                odd.push(format!("{name}: {found:?}"));
                continue;
            }
        };
        // Its `build('x')` fits none of its own, and is the step then.
        let is_left = |line: &&str| {
            name == "pipelines: configuration maps" && (line.starts_with("6 threw") || line.starts_with("Scheduling"))
        };
        let said = expected.lines().filter(|line| !is_left(line));
        let here = ran.log.lines().filter(|line| !line.starts_with("[Pipeline]") && !is_left(line));
        for (line, here) in said.zip(here) {
            let is_no_step = here.contains("threw java.lang.NoSuchMethodError No such DSL method")
                && line.contains("No signature of method: WorkflowScript.");
            if line != here && !is_no_step {
                odd.push(format!("{name}\n    by itself: {line}\n    in a run:  {here}"));
            }
        }
    }
    assert!(odd.is_empty(), "{}\n{}", odd.len(), odd.join("\n"));
}
