//! A public library that others have written, with the tests that they publish for it: all must pass here, as they are.
//!
//! The library is `jenkins-infra/pipeline-library`, in the folder that `COFFERDAM_PIPELINE_LIBRARY` names
//! (`scripts/pipeline-library.sh` brings it). What its tests are written against is in `data/yardstick`: our own, small.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use groovy::ast;
use groovy::machine::{FiberId, Host, HostCall, LibraryFile, Machine, MachineLimits, ScriptId, Stepped};
use groovy::value::{HostRef, Value};

/// Tests that cannot apply here, with the reason: `Class.name  # why`. It may only get shorter.
const EXPECTED_FAILURES: &str = include_str!("data/yardstick/expected-failures.txt");

#[test]
fn the_tests_of_a_public_library_pass() {
    let folder = std::env::var_os("COFFERDAM_PIPELINE_LIBRARY").map(PathBuf::from).filter(|f| f.join("vars").is_dir());
    let Some(folder) = folder else {
        println!("skipped: COFFERDAM_PIPELINE_LIBRARY names no folder of jenkins-infra/pipeline-library");
        return;
    };
    let sources = Sources::read(&folder);
    let cases = sources.cases();
    let expected: BTreeSet<&str> = EXPECTED_FAILURES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_whitespace().next().unwrap_or(line))
        .collect();
    let mut unexpected = Vec::new();
    for case in &cases {
        let outcome = Bench::new(&sources).run(case);
        println!("{} {}", case.title, outcome.as_ref().err().map_or("passed", |_| "FAILED"));
        match (&outcome, expected.contains(&*case.title)) {
            (Err(why), false) => unexpected.push(format!("{}: {why}", case.title)),
            (Ok(()), true) => unexpected.push(format!("{}: passes, though it was not expected to", case.title)),
            _ => {}
        }
    }
    assert!(unexpected.is_empty(), "{} of {}:\n{}", unexpected.len(), cases.len(), unexpected.join("\n"));
    assert!(cases.len() > 100, "{} tests were found", cases.len());
}

#[test]
fn files_of_public_libraries_compile() {
    let Some(folders) = std::env::var_os("COFFERDAM_LIBRARIES") else {
        println!("skipped: COFFERDAM_LIBRARIES names no folders of shared libraries");
        return;
    };
    let (mut count, mut wrong) = (0, Vec::new());
    for folder in std::env::split_paths(&folders) {
        let mut sources = Vec::new();
        for path in ["src", "vars"].iter().flat_map(|part| groovy_files(&folder.join(part))) {
            count += 1;
            match Source::read(&path) {
                Ok(source) => sources.push(source),
                Err(why) => wrong.push(why),
            }
        }
        let is_global = |source: &Source| source.path.starts_with(folder.join("vars"));
        let files: Vec<LibraryFile<'_>> = sources
            .iter()
            .map(|source| LibraryFile {
                script: &source.script,
                class: &source.class,
                global: is_global(source).then_some(&source.class),
            })
            .collect();
        let loaded = Machine::new(MachineLimits::default()).load_library(&files);
        for (result, source) in loaded.into_iter().zip(&sources) {
            wrong.extend(result.err().map(|found| format!("{}: {found:?}", source.path.display())));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A file, read and parsed.
struct Source {
    path: PathBuf,
    class: String,
    script: ast::Script,
}

impl Source {
    fn read(path: &Path) -> Result<Source, String> {
        let text = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let parsed = groovy::parse(&String::from_utf8_lossy(&text));
        if parsed.has_errors() {
            return Err(format!("{}: {:?}", path.display(), parsed.diagnostics));
        }
        let class = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Source { path: path.to_owned(), class, script: parsed.script })
    }
}

/// What there is to load.
struct Sources {
    folder: PathBuf,
    /// The library's classes, its tests, and what stands in for their framework.
    classes: Vec<Source>,
    /// The library's variables.
    variables: Vec<Source>,
}

/// A test.
struct Case {
    /// `Class.method`
    title: String,
    /// What runs it.
    script: String,
}

impl Sources {
    fn read(folder: &Path) -> Sources {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/yardstick");
        let files: Vec<PathBuf> = ["src", "test/groovy"]
            .iter()
            .flat_map(|part| groovy_files(&folder.join(part)))
            .chain(groovy_files(&ours))
            .collect();
        Sources {
            folder: folder.to_owned(),
            classes: files.iter().map(|path| Source::read(path).unwrap()).collect(),
            variables: groovy_files(&folder.join("vars")).iter().map(|path| Source::read(path).unwrap()).collect(),
        }
    }

    /// All tests, with what is to run before each.
    fn cases(&self) -> Vec<Case> {
        let classes: BTreeMap<&str, (&ast::Class, &ast::Script)> = self
            .classes
            .iter()
            .flat_map(|source| {
                source.script.classes.iter().map(move |class| (&*class.name, (&**class, &source.script)))
            })
            .collect();
        let mut cases = Vec::new();
        for (class, script) in classes.values() {
            let mut lineage = vec![*class];
            while let Some((parent, _)) =
                lineage.last().and_then(|c| c.extends.first()).and_then(|p| classes.get(&*p.name))
            {
                lineage.push(parent);
            }
            let methods = |annotation: &'static str| {
                let all = lineage.iter().flat_map(|c| &c.methods);
                all.filter(move |m| annotated(&m.modifiers, annotation)).map(|m| &*m.name).collect::<Vec<&str>>()
            };
            let rules = lineage.iter().flat_map(|c| &c.fields).filter(|f| annotated(&f.modifiers, "Rule"));
            let rules: Vec<&str> = rules.map(|f| &*f.name).collect();
            let (before, ignored) = (methods("Before"), methods("Ignore"));
            let name = match &script.package {
                Some((package, _)) => format!("{package}.{}", class.name),
                None => class.name.to_string(),
            };
            let list =
                |names: &[&str]| format!("[{}]", names.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", "));
            for test in methods("Test").into_iter().filter(|test| !ignored.contains(test)) {
                let (before, rules) = (list(&before), list(&rules));
                cases.push(Case {
                    title: format!("{}.{test}", class.name),
                    script: format!("yardstick.Runner.run(new {name}(), {before}, '{test}', {rules})"),
                });
            }
        }
        cases
    }
}

fn annotated(modifiers: &ast::Modifiers, name: &str) -> bool {
    modifiers.annotations.iter().any(|annotation| &*annotation.name == name)
}

/// The Groovy files below a folder, sorted.
fn groovy_files(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        // A library may be without one of the folders.
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "groovy") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A machine with everything loaded, and what stands between the library's scripts and their steps.
struct Bench<'a> {
    sources: &'a Sources,
    machine: Machine,
    scripts: BTreeMap<String, ScriptId>,
    binding: ScriptId,
    stage: Stage,
}

/// How a call goes on.
enum Answer {
    Now(Result<Value, Value>),
    /// With what this fiber comes to.
    Of(FiberId),
}

impl Bench<'_> {
    fn new(sources: &Sources) -> Bench<'_> {
        let mut machine = Machine::new(MachineLimits::default());
        let files: Vec<LibraryFile<'_>> = sources
            .classes
            .iter()
            .map(|source| LibraryFile { script: &source.script, class: &source.class, global: None })
            .collect();
        for (result, source) in machine.load_library(&files).into_iter().zip(&sources.classes) {
            result.unwrap_or_else(|found| panic!("{}: {found:?}", source.path.display()));
        }
        let binding = machine.load(&groovy::parse("").script, "Binding.groovy").unwrap();
        let mut scripts = BTreeMap::new();
        for source in &sources.variables {
            let loaded = machine.load(&source.script, &format!("{}.groovy", source.class));
            let id = loaded.unwrap_or_else(|found| panic!("{}: {found:?}", source.path.display()));
            scripts.insert(source.class.clone(), id);
        }
        let stage = Stage { scripts: scripts.keys().cloned().collect(), ..Stage::default() };
        Bench { sources, machine, scripts, binding, stage }
    }

    fn run(mut self, case: &Case) -> Result<(), String> {
        let script = groovy::parse(&case.script).script;
        let script = self.machine.load(&script, "Case.groovy").map_err(|found| format!("{found:?}"))?;
        self.run_script(script).map(drop)
    }

    fn run_script(&mut self, script: ScriptId) -> Result<Value, String> {
        let mut fibers = vec![self.machine.start_script(script)];
        loop {
            let fiber = *fibers.last().expect("one is there until the last is over");
            let result = match self.machine.run(fiber, &mut self.stage) {
                Stepped::Slice => continue,
                Stepped::Call(call) => {
                    match self.answer(call) {
                        Answer::Now(result) => self.machine.resume(fiber, result),
                        Answer::Of(next) => fibers.push(next),
                    }
                    continue;
                }
                Stepped::Finished(value) => Ok(value),
                Stepped::Threw(thrown) if fibers.len() == 1 => {
                    let (class, message, trace) = (thrown.class(), thrown.message(), &thrown.trace);
                    let trace: Vec<String> = trace.iter().take(4).map(|line| line.function.to_string()).collect();
                    return Err(format!("{class}: {message} ({})", trace.join(" < ")));
                }
                Stepped::Threw(thrown) => Err(thrown.value),
                Stepped::Limit(limit) => return Err(format!("{limit:?}")),
            };
            fibers.pop();
            match (fibers.last(), result) {
                (Some(waiting), result) => self.machine.resume(*waiting, result),
                (None, result) => return result.map_err(|exception| exception.to_text()),
            }
        }
    }

    fn answer(&mut self, call: HostCall) -> Answer {
        let mut args = call.args.into_iter();
        if let Some(target) = call.target {
            let by = self.stage.stubs.get(&target.type_name()).unwrap_or(&self.stage.helper).clone();
            let args = vec![target, Value::str(&*call.name), Value::list(args.collect())];
            return Answer::Of(self.machine.start_method(by, "taken", args));
        }
        let mut next = || args.next().unwrap_or_default();
        Answer::Now(match &*call.name {
            "yardstickHelper" => {
                self.stage.helper = next();
                Ok(Value::Null)
            }
            "yardstickBinding" => Ok(self.machine.script_object(self.binding)),
            "yardstickProceed" => {
                let (target, name, args) = (next(), next().to_text(), next());
                let args = args.items().unwrap_or_default();
                return Answer::Of(self.machine.start_method(target, &name, args));
            }
            "yardstickStub" => {
                let (class, stub) = (next().to_text(), next());
                if stub.is_null() {
                    self.stage.stubs.remove(&class);
                } else {
                    self.stage.stubs.insert(class, stub);
                }
                Ok(Value::Null)
            }
            "yardstickLoad" => {
                let path = next().to_text();
                let name = path.strip_prefix("vars/").and_then(|file| file.strip_suffix(".groovy"));
                match name.and_then(|name| self.scripts.get(name).copied()) {
                    // Its fields are set; there is nothing else outside of its methods.
                    Some(id) => match self.run_script(id) {
                        Ok(_) => Ok(self.machine.script_object(id)),
                        Err(why) => Err(self.machine.throwable("java.lang.RuntimeException", &why, call.span)),
                    },
                    None => Err(self.machine.throwable("java.io.FileNotFoundException", &path, call.span)),
                }
            }
            "yardstickResource" => {
                let path = next().to_text();
                match std::fs::read_to_string(self.sources.folder.join("resources").join(&path)) {
                    Ok(text) => Ok(Value::str(text)),
                    Err(_) => Err(self.machine.throwable("java.io.FileNotFoundException", &path, call.span)),
                }
            }
            "getHost" => {
                let url =
                    call.receiver.and_then(|url| self.stage.urls.get(url.id as usize).cloned()).unwrap_or_default();
                let host = url.split("://").nth(1).unwrap_or_default();
                Ok(Value::str(host.split(['/', ':']).next().unwrap_or_default()))
            }
            other => panic!("{other} is no call of ours"),
        })
    }
}

/// What is outside of the machine.
#[derive(Default)]
struct Stage {
    /// Classes of the library's scripts.
    scripts: BTreeSet<String>,
    /// Class → what answers for its objects.
    stubs: BTreeMap<String, Value>,
    /// What answers for the scripts.
    helper: Value,
    urls: Vec<String>,
}

impl Host for Stage {
    fn has_method(&self, receiver: Option<&HostRef>, name: &str) -> bool {
        match receiver {
            Some(host) => host.kind == "java.net.URL" && name == "getHost",
            None => name.starts_with("yardstick"),
        }
    }

    fn construct(&mut self, class: &str, args: &[Value]) -> Option<Result<Value, Value>> {
        if class != "java.net.URL" {
            return None;
        }
        self.urls.push(args.first().map(Value::to_text).unwrap_or_default());
        Some(Ok(Value::host("java.net.URL", self.urls.len() as u64 - 1)))
    }

    fn takes(&self, target: &Value, _: &str) -> bool {
        match target {
            Value::Object(_) | Value::Host(_) => {
                let class = target.type_name();
                self.scripts.contains(&class) || self.stubs.contains_key(&class)
            }
            _ => false,
        }
    }

    fn print(&mut self, _: &str) {}
}
