//! The border to the host: calls that wait, closures run by the host, exceptions in both directions, several fibers.

use std::collections::VecDeque;

use groovy::machine::{FiberId, Host, HostCall, Machine, MachineLimits, Stepped};
use groovy::span::Span;
use groovy::value::{HostRef, Value};

#[derive(Default)]
struct Steps {
    printed: String,
}

impl Host for Steps {
    fn has_method(&self, receiver: Option<&HostRef>, name: &str) -> bool {
        match receiver {
            Some(r) => r.kind == "docker" && name == "image",
            None => matches!(name, "sh" | "echo" | "dir" | "node" | "fail" | "parallel"),
        }
    }

    fn property(&mut self, receiver: Option<&HostRef>, name: &str) -> Option<Result<Value, Value>> {
        match (receiver, name) {
            (None, "docker") => Some(Ok(Value::host("docker", 1))),
            (None, "env") => Some(Ok(Value::host("env", 2))),
            (Some(r), key) if r.kind == "env" => Some(Ok(Value::str(format!("env {key}")))),
            _ => None,
        }
    }

    fn print(&mut self, text: &str) {
        self.printed.push_str(text);
    }
}

fn machine(source: &str) -> (Machine, FiberId) {
    let parsed = groovy::parse(source);
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    let mut machine = Machine::new(MachineLimits::default());
    let script = machine.load(&parsed.script, "Jenkinsfile").unwrap();
    let fiber = machine.start_script(script);
    (machine, fiber)
}

fn step(machine: &mut Machine, fiber: FiberId) -> Stepped {
    let mut host = Steps::default();
    loop {
        match machine.run(fiber, &mut host) {
            Stepped::Slice => {}
            other => return other,
        }
    }
}

/// Runs to the end; each call answers `<name>:<arguments>`, `fail` throws, `dir` and `node` run their body.
fn log(source: &str) -> Vec<String> {
    let (mut machine, main) = machine(source);
    let mut log = Vec::new();
    // Waiting fibers, innermost last: the body of a block step ends before the step does.
    let mut fibers = vec![main];
    while let Some(fiber) = fibers.last().copied() {
        match step(&mut machine, fiber) {
            Stepped::Call(call) => {
                log.push(show(&call));
                match (&*call.name, call.args.last()) {
                    ("dir" | "node", Some(body @ Value::Closure(_))) => {
                        fibers.push(machine.start_call(body.clone(), Vec::new()));
                    }
                    ("fail", _) => {
                        let e = machine.throwable("hudson.AbortException", "failed", Span::default());
                        machine.resume(fiber, Err(e));
                    }
                    _ => machine.resume(fiber, Ok(Value::str(format!("did {}", call.name)))),
                }
            }
            Stepped::Finished(value) => {
                fibers.pop();
                match fibers.last() {
                    Some(outer) => machine.resume(*outer, Ok(value)),
                    None => log.push(format!("= {value}")),
                }
            }
            Stepped::Threw(thrown) => {
                fibers.pop();
                match fibers.last() {
                    Some(outer) => machine.resume(*outer, Err(thrown.value)),
                    None => log.push(format!("! {}: {}", thrown.class(), thrown.message())),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    log
}

fn show(call: &HostCall) -> String {
    let receiver = call.receiver.as_ref().map_or(String::new(), |r| format!("{}.", r.kind));
    let named = call.named.as_ref().map_or(String::new(), |n| format!("{n} "));
    let args: Vec<String> = call.args.iter().filter(|a| !matches!(a, Value::Closure(_))).map(Value::to_text).collect();
    format!("{receiver}{}({named}{})", call.name, args.join(", "))
}

#[track_caller]
fn check(source: &str, expect: &[&str]) {
    assert_eq!(log(source), expect, "{source}");
}

#[test]
fn calls_wait_for_their_answer() {
    check(
        "def x = sh(script: 'ls', returnStdout: true); echo x",
        &["sh([script:ls, returnStdout:true] )", "echo(did sh)", "= did echo"],
    );
    check("echo \"a${1 + 1}\"", &["echo(a2)", "= did echo"]);
    check("docker.image('maven:3')", &["docker.image(maven:3)", "= did image"]);
    check("this.sh 'x'", &["sh(x)", "= did sh"]);
    check("env.PATH + \"${env.HOME}\"", &["= env PATHenv HOME"]);
}

#[test]
fn calls_wait_inside_closures_of_the_library() {
    check("['a', 'b'].each { sh it }", &["sh(a)", "sh(b)", "= [a, b]"]);
    check("[1, 2].collect { sh \"$it\" }.join(';')", &["sh(1)", "sh(2)", "= did sh;did sh"]);
    check(
        "[b: 2, a: 1].sort { sh it.key; it.value }.each { k, v -> echo k }",
        &["sh(a)", "sh(b)", "echo(a)", "echo(b)", "= [a:1, b:2]"],
    );
    check("def m = [:].withDefault { sh it }; m.x + m.x", &["sh(x)", "= did shdid sh"]);
    check("2.times { echo \"$it\" }", &["echo(0)", "echo(1)", "= null"]);
    check("'a1b2'.replaceAll(/\\d/) { sh it }", &["sh(1)", "sh(2)", "= adid shbdid sh"]);
    check(
        "class A { def s; String toString() { s.sh('in toString') } }; \"<${new A(s: this)}>\".toString()",
        &["sh(in toString)", "= <did sh>"],
    );
    check("switch (1) { case { sh 'test' }: 'yes'; break }", &["sh(test)", "= yes"]);
    check("def f = { sh it } >> { echo it }; f('x')", &["sh(x)", "echo(did sh)", "= did echo"]);
    check("class L { def script; def build() { script.sh 'b' } }; new L(script: this).build()", &["sh(b)", "= did sh"]);
    check(
        "def body = { name = 'n'; sh name }; def c = [:]; body.delegate = c; body.resolveStrategy = Closure.DELEGATE_FIRST; body(); c",
        &["sh(n)", "= [name:n]"],
    );
}

#[test]
fn bodies_run_in_fibers_of_their_own() {
    check("def n = 0; node { dir('x') { n++; sh 'a'; n++ } }; n", &["node()", "dir(x)", "sh(a)", "= 2"]);
    check("node { return 5 }", &["node()", "= 5"]);
}

#[test]
fn exceptions_cross_the_border_both_ways() {
    check("fail 'x'", &["fail(x)", "! hudson.AbortException: failed"]);
    check("try { fail() } catch (IOException e) { echo e.message }", &["fail()", "echo(failed)", "= did echo"]);
    check("try { node { throw new IllegalStateException('in') } } catch (e) { e.message }", &["node()", "= in"]);
    check(
        "try { node { fail() } } finally { echo 'end' }",
        &["node()", "fail()", "echo(end)", "! hudson.AbortException: failed"],
    );
    check(
        "nope 1",
        &[
            "! groovy.lang.MissingMethodException: No signature of method: WorkflowScript.nope() is applicable for argument types: (java.lang.Integer) values: [1]",
        ],
    );
}

#[test]
fn an_interrupt_is_thrown_where_the_fiber_waits() {
    let (mut machine, fiber) = machine("try { sh 'sleep' } catch (InterruptedException e) { 'stopped: ' + e.message }");
    assert!(matches!(step(&mut machine, fiber), Stepped::Call(_)));
    assert!(matches!(machine.run(fiber, &mut Steps::default()), Stepped::Slice), "it still waits");
    let class = "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException";
    let exception = machine.throwable(class, "timeout", Span::default());
    machine.interrupt(fiber, exception);
    match step(&mut machine, fiber) {
        Stepped::Finished(value) => assert_eq!(value.to_text(), "stopped: timeout"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fibers_take_turns_and_share_variables() {
    let (mut machine, main) = machine("def n = 0; def f = { for (i in 1..200000) n++; n }; parallel(a: f, b: f); n");
    let Stepped::Call(call) = step(&mut machine, main) else { panic!() };
    let branches = call.named.unwrap();
    let mut queue: VecDeque<FiberId> =
        ["a", "b"].iter().map(|k| machine.start_call(branches.get(k).unwrap(), Vec::new())).collect();
    let (mut slices, mut host) = (0, Steps::default());
    while let Some(fiber) = queue.pop_front() {
        match machine.run(fiber, &mut host) {
            Stepped::Slice => {
                slices += 1;
                queue.push_back(fiber);
            }
            Stepped::Finished(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(slices > 4, "a long loop is cut into slices");
    machine.resume(main, Ok(Value::Null));
    match step(&mut machine, main) {
        Stepped::Finished(value) => assert_eq!(value.to_text(), "400000"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn closures_are_made_from_parts_of_the_tree() {
    let parsed = groovy::parse("x = 3\ndef twice(n) { n * 2 }\nfoo { twice(x) + it }\n");
    let mut machine = Machine::new(MachineLimits::default());
    let script = machine.load(&parsed.script, "Jenkinsfile").unwrap();
    machine.binding_set("x", Value::Int(5));
    let groovy::ast::StmtKind::Expr(call) = &parsed.script.body[1].kind else { panic!() };
    let groovy::ast::ExprKind::Call { args, .. } = &*call.kind else { panic!() };
    let groovy::ast::Arg::Positional(closure) = &args[0] else { panic!() };
    let groovy::ast::ExprKind::Closure(closure) = &*closure.kind else { panic!() };
    let body = machine.closure_of(script, &closure.body).unwrap();
    let fiber = machine.start_call(body, vec![Value::Int(1)]);
    match step(&mut machine, fiber) {
        Stepped::Finished(value) => assert_eq!(value.to_text(), "11"),
        other => panic!("{other:?}"),
    }
    let fiber = machine.start_method(machine.script_object(script), "twice", vec![Value::Int(4)]);
    assert!(matches!(step(&mut machine, fiber), Stepped::Finished(Value::Int(8))));
}

#[test]
fn a_discarded_fiber_gives_its_memory_back() {
    let (mut machine, fiber) = machine("def l = (1..100000).toList(); sh 'x'; l");
    let before = machine.heap_used();
    assert!(matches!(step(&mut machine, fiber), Stepped::Call(_)));
    assert!(machine.heap_used() > before + 1_000_000);
    machine.discard(fiber);
    assert!(machine.heap_used() < before + 100_000);
}

#[test]
fn a_thrown_exception_says_where() {
    let source = "def f() {\n  throw new Exception('x')\n}\n[1].each {\n  f()\n}\n";
    let (mut machine, fiber) = machine(source);
    let Stepped::Threw(thrown) = step(&mut machine, fiber) else { panic!() };
    let lines: Vec<u32> =
        thrown.trace.iter().map(|l| groovy::span::LineIndex::new(source).place(source, l.span.start).line).collect();
    assert_eq!(lines, [2, 5, 4]);
    assert_eq!(groovy::span::LineIndex::new(source).place(source, thrown.span.start).line, 2);
}

/// Whoever wants to end a script can do so between two slices, however heavy its calls are.
#[test]
fn heavy_calls_do_not_make_a_slice_long() {
    for body in ["s.replace('a', 'bb')", "l == k", "a * a", "s.split('a')"] {
        let source = format!(
            "def s = 'a' * 50000; def l = (1..100000).toList(); def k = (1..100000).toList(); def a = 3G ** 20000; \
             for (i in 0..100000000) {{ {body} }}"
        );
        let (mut machine, fiber) = machine(&source);
        let began = machine.fuel();
        let slices = (0..5).take_while(|_| matches!(machine.run(fiber, &mut Steps::default()), Stepped::Slice)).count();
        assert_eq!(slices, 5, "{body}");
        // Each slice is about as long as any: one call may be heavy, but not a second one after it.
        let spent = began - machine.fuel();
        let slice = u64::from(MachineLimits::default().slice);
        assert!(spent < 5 * 3 * slice + 3_000_000, "{body}: {spent}");
    }
}

/// A host with a clock and a source of random numbers.
#[derive(Default)]
struct Timed {
    steps: Steps,
    seeds: u64,
}

impl Host for Timed {
    fn has_method(&self, receiver: Option<&HostRef>, name: &str) -> bool {
        receiver.is_some_and(|r| r.kind == "clock") && name == "now"
    }

    fn clock(&self) -> Option<HostRef> {
        Some(HostRef { kind: "clock", id: 0, text: None })
    }

    fn random_seed(&mut self) -> Option<u64> {
        self.seeds += 1;
        Some(self.seeds)
    }

    fn print(&mut self, text: &str) {
        self.steps.printed.push_str(text);
    }
}

/// What a script prints where each question for the time is answered with the next second.
fn timed(source: &str) -> String {
    let (mut machine, fiber) = machine(source);
    let mut host = Timed::default();
    let mut now = 0;
    loop {
        match machine.run(fiber, &mut host) {
            Stepped::Call(call) => {
                assert_eq!((call.receiver.map(|r| r.kind), &*call.name), (Some("clock"), "now"));
                now += 1000;
                machine.resume(fiber, Ok(Value::Long(now)));
            }
            Stepped::Slice => {}
            Stepped::Finished(_) => return host.steps.printed,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_time_is_asked_of_the_host_once_for_each_time_that_the_script_asks() {
    let printed = timed(
        "println System.currentTimeMillis()\nprintln new Date()\nprintln new Date().time - new Date(500).time\n\
         println([1, 2].collect { new Date().getTime() })\nprintln java.time.Instant.now()\n\
         println Calendar.instance.get(Calendar.SECOND)\n",
    );
    let expected = "1000\nThu Jan 01 00:00:02 UTC 1970\n2500\n[4000, 5000]\n1970-01-01T00:00:06Z\n7\n";
    assert_eq!(printed, expected);
}

#[test]
fn durations_are_counted_from_the_time_of_the_host() {
    let use_it = |lines: &str| timed(&format!("import groovy.time.TimeCategory\nuse(TimeCategory) {{\n{lines}\n}}"));
    // Days end at midnight, hours where they are.
    let printed = use_it("println 3.hours.ago.time\nprintln 3.days.ago.time\nprintln 1.month.from.now.time");
    assert_eq!(printed, "-10799000\n-259200000\n2678400000\n");
    let printed =
        use_it("println 2.hours.from.now.time\nprintln 2.hours.from.today.time\nprintln 1.day.from.today.time");
    assert_eq!(printed, "7201000\n7200000\n86400000\n");
}

#[test]
fn random_numbers_follow_from_what_the_host_gives() {
    let source = "println UUID.randomUUID()\nprintln UUID.randomUUID().version()\nprintln new Random().nextInt(100)\n\
                  println Math.random()\ndef l = [1, 2, 3, 4, 5]\nCollections.shuffle(l)\nprintln l\n";
    let printed = timed(source);
    assert_eq!(printed, timed(source), "the same again");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((lines.len(), lines[1]), (5, "4"));
    assert_eq!((lines[0].len(), &lines[0][14..15]), (36, "4"));
}

#[test]
fn without_a_clock_the_time_is_refused() {
    let (mut machine, fiber) = machine("new Date()");
    let Stepped::Threw(thrown) = step(&mut machine, fiber) else { panic!("it has no clock") };
    assert_eq!(thrown.class(), "java.lang.SecurityException");
    assert_eq!(thrown.message(), "new java.util.Date reaches outside of the script");
}

#[test]
fn what_reaches_outside_is_refused_by_its_name() {
    let refused = [
        ("System.getenv('HOME')", "java.lang.System.getenv"),
        ("'ls'.execute()", "method java.lang.String execute"),
        ("\"l${1}s\".execute()", "method java.lang.String execute"),
        ("['ls', '-l'].execute().text", "method java.util.ArrayList execute"),
        ("new ProcessBuilder('ls')", "new java.lang.ProcessBuilder"),
        ("Runtime.runtime.exec('ls')", "java.lang.Runtime.getRuntime"),
        ("new File('/etc/passwd').text", "method java.io.File getText"),
        ("new File('/tmp').listFiles()", "method java.io.File listFiles"),
        ("new File('x').absolutePath", "java.io.File.getAbsolutePath of a relative path"),
        ("java.nio.file.Files.exists(null)", "java.nio.file.Files.exists"),
        ("new URL('http://x/').text", "method java.net.URL getText"),
        ("'http://x/'.toURL().openConnection()", "method java.net.URL openConnection"),
        ("Thread.sleep(5)", "java.lang.Thread.sleep"),
        ("Thread.start { }", "java.lang.Thread.start"),
        ("Eval.me('1')", "groovy.util.Eval.me"),
        ("new GroovyShell().evaluate('1')", "new groovy.lang.GroovyShell"),
        ("Class.forName('java.lang.Runtime')", "java.lang.Class.forName"),
        ("'x'.class.classLoader", "java.lang.String.class.getClassLoader"),
        ("String.metaClass.foo = { 1 }", "java.lang.String.class.getMetaClass"),
        ("new Socket('x', 1)", "new java.net.Socket"),
        ("System.exit(1)", "java.lang.System.exit"),
    ];
    for (source, what) in refused {
        let (mut machine, fiber) = machine(source);
        match step(&mut machine, fiber) {
            Stepped::Threw(thrown) => {
                assert_eq!(thrown.message(), format!("{what} reaches outside of the script"), "{source}");
            }
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn a_delegate_that_takes_every_name_comes_before_the_host() {
    // `echo` is a step of the host, and here a name of the document.
    let source = "def b = new groovy.json.JsonBuilder()\nb { echo 'x'; inner { sh 1 } }\necho b.toString()";
    assert_eq!(log(source), vec![r#"echo({"echo":"x","inner":{"sh":1}})"#, "= did echo"]);
}

/// A host that takes some calls of scripts' objects before their own methods.
struct Taker;

impl Host for Taker {
    fn takes(&self, target: &Value, name: &str) -> bool {
        match &*target.type_name() {
            "WorkflowScript" => name != "println",
            "Tool" => name == "cut",
            _ => false,
        }
    }

    fn print(&mut self, _: &str) {}
}

#[test]
fn a_host_takes_calls_before_the_methods_of_their_objects_and_can_make_them() {
    let source = "class Tool { def cut(x) { 'cut ' + x }; def both(x) { cut(x) + ' ' + whole(x) }; def whole(x) { 'whole ' + x } }
        def own(Map named, x) { \"own ${named.a} $x\" }
        def later = { -> own(a: 1, 2) }
        [own(a: 0, 'x'), later(), new Tool().both('y'), [3].collect { nothing(it) }]";
    let (mut machine, main) = machine(source);
    let (mut fibers, mut seen) = (vec![main], Vec::new());
    let value = loop {
        match machine.run(*fibers.last().unwrap(), &mut Taker) {
            Stepped::Slice => {}
            Stepped::Call(call) => {
                let target = call.target.unwrap();
                let args = Value::list(call.args.clone());
                seen.push(format!("{}.{}{}", target.type_name(), call.name, args.to_text()));
                match &*call.name {
                    "nothing" => machine.resume(*fibers.last().unwrap(), Ok(Value::str("of the host"))),
                    name => fibers.push(machine.start_method(target, name, call.args)),
                }
            }
            Stepped::Finished(value) => {
                fibers.pop();
                match fibers.last() {
                    Some(waiting) => machine.resume(*waiting, Ok(value)),
                    None => break value,
                }
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(value.to_text(), "[own 0 x, own 1 2, cut y whole y, [of the host]]");
    assert_eq!(
        seen,
        ["WorkflowScript.own[[a:0], x]", "WorkflowScript.own[[a:1], 2]", "Tool.cut[y]", "WorkflowScript.nothing[3]"]
    );
}

/// A host that has a method of every name.
struct Greedy;

impl Host for Greedy {
    fn has_method(&self, receiver: Option<&HostRef>, _: &str) -> bool {
        receiver.is_none()
    }

    fn print(&mut self, _: &str) {}
}

#[test]
fn what_the_library_calls_is_not_the_hosts() {
    let calls = [
        ("def p = new Properties(); p.setProperty('a', 'b'); p.a", "b"),
        (
            "new ConfigSlurper('x').parse('a.b = 1; c { node { d = 2 } }; environments { x { e = 3 } }').toMapString()",
            "[a:[b:1], c:[node:[d:2]], e:3]",
        ),
        (
            "def w = new StringWriter(); new groovy.xml.MarkupBuilder(w).a { node { sh('x') } }; w.toString().replaceAll(/\\s+/, '')",
            "<a><node><sh>x</sh></node></a>",
        ),
        ("new groovy.xml.StreamingMarkupBuilder().bind { a { node('x') } }.toString()", "<a><node>x</node></a>"),
        ("use(groovy.time.TimeCategory) { 1.day + 2.hours }.toString()", "1 days, 2 hours"),
        ("[1, 2, 3].sort(false, Comparator.reverseOrder().thenComparing { it }).toString()", "[3, 2, 1]"),
        ("def o = new ByteArrayOutputStream(); o.println('x'); o.toString()", "x\n"),
    ];
    for (source, expected) in calls {
        let (mut machine, fiber) = machine(source);
        let found = loop {
            match machine.run(fiber, &mut Greedy) {
                Stepped::Finished(value) => break value.to_text(),
                Stepped::Slice => {}
                other => panic!("{source}: {other:?}"),
            }
        };
        assert_eq!(found, expected, "{source}");
    }
}
