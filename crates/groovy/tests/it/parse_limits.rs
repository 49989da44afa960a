//! Hostile texts: whatever nests or chains without end is refused with a diagnostic, in time, and without touching the
//! end of the native stack, also when the tree is dropped. Test threads have 2 MiB.

use std::time::Instant;

use groovy::limits;
use groovy::machine::{MachineLimits, PlainOutcome, run_plain};

const MANY: usize = 100_000;

#[track_caller]
fn check(text: &str, message: &str) {
    let parsed = groovy::parse(text);
    let found = parsed.diagnostics.iter().any(|d| d.message.contains(message));
    let first = parsed.diagnostics.first().map(|d| &d.message);
    assert!(found, "{}…: expected `{message}`, first is {first:?}", &text[..text.len().min(40)]);
}

#[test]
fn endless_nesting_is_refused() {
    let openings = [
        "(",
        "[",
        "{ -> ",
        "f(",
        "f[",
        "f{ ",
        "[a: ",
        "!",
        "~",
        "-(",
        "if (a) ",
        "while (a) ",
        "for (a in b) ",
        "a = ",
        "a ? b : ",
        "a ?: ",
        "(A) ",
        "a: { ",
        "new A() { def b = ",
        "class A { ",
        "f(a: ",
        "try { ",
        "switch (a) { case 1: ",
        "def f() { ",
        "\"${",
        "\"\"\"${\"${",
        "/${",
        "@A(",
        "x = { a = ",
        "List<",
        "a ** -",
        "2 * - ",
        "a && (",
        "a.(",
        "f a, { ",
        "f b: ",
        "return (",
        "assert (",
        "throw (",
        "x.y { ",
        "static { ",
        "enum A { B { def c = ",
        "interface A { ",
    ];
    for opening in openings {
        let text = opening.repeat(MANY / 10);
        let parsed = groovy::parse(&text);
        assert!(parsed.has_errors(), "{opening} was accepted");
    }
    check(&"(".repeat(MANY), "nested more than");
    check(&"{ -> ".repeat(MANY), "nested more than");
    check(&format!("x = {}1{}", "[".repeat(MANY), "]".repeat(MANY)), "nested more than");
    check(&format!("{}1{}", "f(".repeat(MANY), ")".repeat(MANY)), "nested more than");
    check(&format!("x = {}a", "!".repeat(MANY)), "nested more than");
    check(&"if (a) ".repeat(MANY), "nested more than");
    check(&format!("a{}", " ? b : c".repeat(MANY)), "nested more than");
    check(&"a = ".repeat(MANY), "nested more than");
}

#[test]
fn endless_chains_are_refused() {
    let links = [
        " + b",
        " && b",
        ".b",
        ".b()",
        "?.b",
        "(1)",
        "[1]",
        " ** b",
        " == b",
        "\n.b { c }",
        " * b",
        " << b",
        " b",
        " .. b",
    ];
    for link in links {
        check(&format!("a{}", link.repeat(MANY)), "links");
    }
    check(&format!("if (a) b{}", " else if (c) d".repeat(MANY)), "links");
    check(&format!("\"$a{}\"", ".b".repeat(MANY)), "links");
}

#[test]
fn everything_within_the_limits_is_accepted() {
    let depth = limits::MAX_NESTING as usize / 2 - 5;
    let chain = limits::MAX_TREE_DEPTH as usize - 20;
    let texts = [
        format!("x = {}1{}", "[".repeat(depth), "]".repeat(depth)),
        format!("{}1{}", "f(".repeat(depth / 2), ")".repeat(depth / 2)),
        format!("{} b {}", "f { ".repeat(depth / 2), "}".repeat(depth / 2)),
        format!("x = a{}", " + b".repeat(chain)),
        format!("x = a{}", ".b()".repeat(chain / 2)),
        format!("if (a) b{}", " else if (c) d".repeat(chain / 2)),
    ];
    for text in texts {
        let parsed = groovy::parse(&text);
        assert!(parsed.diagnostics.is_empty(), "{}…: {:?}", &text[..30], parsed.diagnostics[0]);
        // Printing and cloning recurse over the tree as every other consumer does.
        assert!(!groovy::parser::sexpr::script(&groovy::stack::with_room(|| parsed.script.clone())).is_empty());
    }
}

/// The sizes are those that Groovy 2.4.21 still runs (see `limits`).
#[test]
fn what_groovy_runs_without_a_stack_overflow_runs() {
    let texts = [
        format!("def a = 1; assert 1000 == {}", vec!["a"; 1000].join(" + ")),
        format!("assert 1000 == ({}).length()", vec!["'a'"; 1000].join(" + ")),
        format!("assert 'x' == 'x'{}", ".toString()".repeat(600)),
        format!("def a = 5; if (a == 0) {{}}{} else {{ return 1 }}; assert false", " else if (a == 9) {}".repeat(1000)),
        format!("def x = {}1{}", "[".repeat(200), "]".repeat(200)),
        format!("def f(x) {{ x }}; assert 1 == {}1{}", "f(".repeat(200), ")".repeat(200)),
        format!("{}assert true{}", "if (true) {".repeat(600), "}".repeat(600)),
        format!("{}assert true{}", "({ ".repeat(150), " }())".repeat(150)),
    ];
    for text in texts {
        let ended = run_plain(&text, "deep", &[], MachineLimits::default(), &mut |_| {});
        assert!(matches!(ended, PlainOutcome::Finished { .. }), "{}…: {ended:?}", &text[..30]);
    }
}

#[test]
fn long_flat_texts_take_linear_time() {
    let start = Instant::now();
    for (text, accepted) in [
        (format!("x = [{}]", "1, ".repeat(MANY)), true),
        (format!("x = [{}]", "a: 1, ".repeat(MANY)), true),
        ("a\n".repeat(MANY), true),
        ("a: ".repeat(MANY) + "b", true),
        ("@A ".repeat(MANY) + "def b", true),
        (format!("def {} = c", "final ".repeat(MANY)), false),
        (format!("\"{}\"", "$a ".repeat(MANY)), true),
        (format!("x = '{}'", "\\n".repeat(MANY)), true),
        ("a < ".repeat(MANY), false),
        ("A<".repeat(MANY), false),
        ("A ".repeat(MANY), false),
        (")".repeat(MANY), false),
        ("}".repeat(MANY), false),
        ("\"".repeat(MANY), false),
        ("\\u0061".repeat(MANY), true),
        ("'\n".repeat(MANY), false),
        (format!("f({})", "x: 1, ".repeat(MANY)), false),
    ] {
        assert_eq!(!groovy::parse(&text).has_errors(), accepted, "{}…", &text[..text.len().min(30)]);
    }
    // Generous: a debug build on a busy machine. Quadratic behaviour would take minutes.
    assert!(start.elapsed().as_secs() < 60, "took {:?}", start.elapsed());
}

/// Each of the brackets around the place where a limit is passed ends there, too.
#[test]
fn what_nests_too_deep_takes_linear_time() {
    let start = Instant::now();
    let closings = [
        ("try {", "} finally { print \"\" }"),
        ("try {", "} catch (e) { print \"\" } finally { }"),
        ("if (a) {\n", "} else { b }\n"),
        ("f { ", "} { b }\n"),
        ("class A { def m() {", "} }\n"),
        ("switch (a) { case 1: ", "; default: b }\n"),
        ("f([a: ", "])\n"),
        ("{\n", "}"),
    ];
    for (open, close) in closings {
        let text = open.repeat(MANY / 10) + "b" + &close.repeat(MANY / 10);
        assert!(groovy::parse(&text).has_errors(), "{open}");
    }
    // The hint for a bracket that is never closed looks at all the others.
    for text in ["{\n".repeat(MANY) + &"}".repeat(MANY - 1), "f { ->\n".repeat(700) + &" {\n}\n".repeat(MANY)] {
        assert!(groovy::parse(&text).has_errors());
    }
    assert!(start.elapsed().as_secs() < 60, "took {:?}", start.elapsed());
}

#[test]
fn too_large_texts_are_refused() {
    check(&" ".repeat(limits::MAX_SOURCE_BYTES + 1), "bytes");
    assert!(!groovy::parse(&" ".repeat(limits::MAX_SOURCE_BYTES)).has_errors());
}

#[test]
fn the_number_of_diagnostics_is_bounded() {
    let parsed = groovy::parse(&"a b = = c\n".repeat(10_000));
    assert_eq!(parsed.diagnostics.len(), limits::MAX_DIAGNOSTICS);
}
