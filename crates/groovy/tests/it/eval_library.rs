//! Several files in one machine: classes that know one another, scripts that all others know by a name.

use groovy::ast;
use groovy::machine::{Host, LibraryFile, Machine, MachineLimits, Stepped};

/// Files of a library (path, text) and a script; what the script gives, or the message of what it throws.
fn eval(files: &[(&str, &str)], script: &str) -> String {
    let mut machine = Machine::new(MachineLimits::default());
    let parsed: Vec<(&str, ast::Script)> = files.iter().map(|(path, text)| (*path, parse(text))).collect();
    let own = parse(script);
    let id = machine.load(&own, "Jenkinsfile").unwrap();
    let library: Vec<LibraryFile<'_>> = parsed
        .iter()
        .map(|(path, script)| {
            let class = path.rsplit('/').next().and_then(|file| file.strip_suffix(".groovy")).unwrap();
            LibraryFile { script, class, global: path.starts_with("vars/").then_some(class) }
        })
        .collect();
    for (result, (path, _)) in machine.load_library(&library).into_iter().zip(files) {
        result.unwrap_or_else(|found| panic!("{path}: {found:?}"));
    }
    machine.load_again(id, &own, "Jenkinsfile").unwrap();
    machine.binding_set("library", machine.packages());
    let fiber = machine.start_script(id);
    loop {
        match machine.run(fiber, &mut Alone) {
            Stepped::Slice => {}
            Stepped::Finished(value) => return value.to_text(),
            Stepped::Threw(thrown) => return format!("{}: {}", thrown.class(), thrown.message()),
            other => panic!("{other:?}"),
        }
    }
}

fn parse(text: &str) -> ast::Script {
    let parsed = groovy::parse(text);
    assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
    parsed.script
}

/// A host that has nothing.
struct Alone;

impl Host for Alone {
    fn print(&mut self, _: &str) {}
}

const TOOL: (&str, &str) = (
    "src/org/acme/Tool.groovy",
    "package org.acme
     class Tool extends Base implements Serializable {
         static final String KIND = 'saw'
         static int twice(int n) { n * 2 }
         Tool(String name) { super(name) }
         String toString() { \"${KIND} ${name} ${Helper.help()}\" }
         static class Part { def size = 3 }
     }",
);
const BASE: (&str, &str) = (
    "src/org/acme/Base.groovy",
    "package org.acme\nclass Base { String name; Base(String name) { this.name = name } }",
);
const HELPER: (&str, &str) =
    ("src/org/acme/Helper.groovy", "package org.acme\nclass Helper { static help() { 'helps' } }");
const ZOT: (&str, &str) = (
    "src/org/acme/Zot.groovy",
    "package org.acme\ndef greet(who) { count = (binding.hasVariable('count') ? count : 0) + 1; \"hello $who $count\" }\nreturn this",
);

#[test]
fn classes_of_a_library_know_one_another_and_are_known_by_import() {
    let files = [TOOL, BASE, HELPER, ZOT];
    for (script, expected) in [
        ("import org.acme.Tool\nnew Tool('x').toString()", "saw x helps"),
        ("import org.acme.*\nnew Tool('x').toString()", "saw x helps"),
        ("import org.acme.Tool as T\nnew T('x').toString()", "saw x helps"),
        ("new org.acme.Tool('x').toString()", "saw x helps"),
        ("import static org.acme.Tool.twice\ntwice(4)", "8"),
        ("import static org.acme.Tool.*\n[twice(4), KIND].toString()", "[8, saw]"),
        ("import static org.acme.Helper.help as h\nh()", "helps"),
        ("import org.acme.Tool\nnew Tool.Part().size", "3"),
        (
            "import org.acme.Tool\nclass Mine extends Tool { Mine() { super('own') } }\nnew Mine().toString()",
            "saw own helps",
        ),
        ("import org.acme.Tool\nTool.name", "org.acme.Tool"),
        // A class inside of a superclass is known in the classes below.
        (
            "import org.acme.Tool\nclass Mine extends Tool { Mine() { super('own') }; def part() { [Part.name, new Part().size] } }\nnew Mine().part().toString()",
            "[org.acme.Tool$Part, 3]",
        ),
        (
            "@NonCPS\ndef both(x) { synchronized (x) { x << 1 }; synchronized (x) { x << 2 } }\nboth([]).toString()",
            "[1, 2]",
        ),
        ("import org.acme.Zot\ndef z = new Zot()\nz.greet('a') + ', ' + z.greet('b')", "hello a 1, hello b 2"),
        // Those of `library 'x'`, which comes when the script is compiled already.
        ("library.org.acme.Tool.new('y').toString()", "saw y helps"),
        ("library.org.acme.Tool.twice(2)", "4"),
        ("library.org.acme.Zot.new().greet('c')", "hello c 1"),
    ] {
        assert_eq!(eval(&files, script), expected, "{script}");
    }
    let missing = eval(&files, "new org.acme.Nothing()");
    assert!(missing.contains("unable to resolve class org.acme.Nothing"), "{missing}");
}

#[test]
fn variables_of_a_library_are_scripts_of_their_own() {
    let files = [
        (
            "vars/say.groovy",
            "def call(String what = 'nothing') { \"said $what\" }\ndef loud(what) { call(what.toUpperCase()) }",
        ),
        (
            "vars/counter.groovy",
            "import groovy.transform.Field\n@Field int count = 10\ndef next() { count++; count }\ndef remember() { seen = 'x' }\ndef recall() { seen }",
        ),
        (
            "vars/build.groovy",
            "def call(Map config) { say(config.name) }\ndef call(Closure body) {\n def inside = [:]\n body.resolveStrategy = Closure.DELEGATE_FIRST; body.delegate = inside; body()\n \"${say(inside.name)}\" }",
        ),
        (
            "vars/constants.groovy",
            "class constants implements Serializable { static final A = 1; String b = 'two'; def twice() { b + b } }",
        ),
        HELPER,
        ("vars/many.groovy", "def call(a, b = null, Object... c) { \"$a $b $c\" }"),
        ("vars/helped.groovy", "import org.acme.Helper\ndef call() { Helper.help() }"),
    ];
    for (script, expected) in [
        ("say()", "said nothing"),
        ("say 'x'", "said x"),
        ("say.loud('x')", "said X"),
        ("this.say('x')", "said x"),
        ("def later = { say(it) }\nlater('x')", "said x"),
        ("counter.next(); counter.next()", "12"),
        ("counter.count", "10"),
        ("build(name: 'x')", "said x"),
        ("build { name = 'y' }", "said y"),
        ("helped()", "helps"),
        ("[many(1), many(1, 2), many(1, 2, 3)].toString()", "[1 null [], 1 2 [], 1 2 [3]]"),
        // A file that is nothing but a class is an object of it, one for all.
        ("constants.b + constants.A", "two1"),
        ("def x = 4; [x, 'a'.size() + constants.A].toString()", "[4, 2]"),
        ("constants.b = 'three'; constants.twice()", "threethree"),
        ("counter.remember(); counter.recall()", "x"),
        // Names of a library's script are no names of the definition's, and the other way round.
        ("counter.remember(); binding.hasVariable('seen')", "false"),
        ("seen = 1; counter.remember(); seen", "1"),
        ("binding.setVariable('seen', 2); [seen, getBinding().getVariable('seen')].toString()", "[2, 2]"),
        (
            "binding.getVariable('none')",
            "groovy.lang.MissingPropertyException: No such property: none for class: groovy.lang.Binding",
        ),
        // What the definition declares itself goes first.
        ("def say(x) { 'own ' + x }\nsay('x')", "own x"),
        ("def say = { 'closure ' + it }\nsay('x')", "closure x"),
    ] {
        assert_eq!(eval(&files, script), expected, "{script}");
    }
    let missing = eval(&files, "say(1, 2, 3)");
    assert!(missing.starts_with("groovy.lang.MissingMethodException: No signature of method: say.call()"), "{missing}");
}
