//! Every limit of a machine stops what runs into it, names itself, and cannot be caught.

use groovy::machine::{LimitKind, MachineLimits, PlainOutcome, run_plain};

fn limits() -> MachineLimits {
    MachineLimits {
        fuel: 3_000_000,
        heap_bytes: 4 << 20,
        string_bytes: 1 << 20,
        call_depth: 1000,
        ..MachineLimits::default()
    }
}

/// Runs a script as it is and inside of a `try`: either way it ends at one of these limits, whose message names its number.
#[track_caller]
pub(super) fn check(source: &str, what: &[LimitKind]) {
    let wrapped =
        format!("try {{\n{source}\n}} catch (Throwable t) {{ println 'caught' }} finally {{ println 'finally' }}");
    // Methods and classes cannot be declared inside a `try`.
    let declares = source.starts_with("def f(") || source.starts_with("class");
    for source in [Some(source.to_string()), (!declares).then_some(wrapped)].into_iter().flatten() {
        let mut printed = String::new();
        match run_plain(&source, "limits", &[], limits(), &mut |text| printed.push_str(text)) {
            PlainOutcome::Limit(limit) => {
                assert!(what.contains(&limit.what), "{source}: {limit:?}");
                assert!(limit.to_string().contains(&limit.limit.to_string()), "{limit}");
            }
            other => panic!("{source}: {other:?}"),
        }
        assert_eq!(printed, "", "a limit cannot be caught");
    }
}

pub(super) const FUEL: &[LimitKind] = &[LimitKind::Fuel];
pub(super) const HEAP: &[LimitKind] = &[LimitKind::Heap];
pub(super) const DEPTH: &[LimitKind] = &[LimitKind::CallDepth];
pub(super) const TEXT: &[LimitKind] = &[LimitKind::StringLength];
pub(super) const DIGITS: &[LimitKind] = &[LimitKind::Digits];
pub(super) const SIZE: &[LimitKind] = &[LimitKind::Heap, LimitKind::StringLength, LimitKind::Fuel];

#[test]
fn endless_loops_use_up_the_fuel() {
    check("while (true) {}", FUEL);
    check("for (;;) { try { throw new Exception('x') } catch (e) {} }", FUEL);
    check("def l = [1]; while (true) { l.each { it } }", FUEL);
    check("(1..Integer.MAX_VALUE).each { }", FUEL);
    check("Integer.MAX_VALUE.times { it }", FUEL);
    check("def s = 'x' * 1000; while (true) { s.contains('y') }", FUEL);
    // Looking through a list has the price of its length.
    let list = "def l = (1..20000).toList(); for (int i = 0; i < 800; i++)";
    for looks in ["l.contains(-1)", "-1 in l", "[a: l].containsValue(l); l.indexOf(-1)", "[1, 2] - l"] {
        check(&format!("{list} {{ {looks} }}"), FUEL);
    }
    check("def c = { it }; def d = c; while (true) { d = d >> c }", SIZE);
}

/// What the library compares counts, however it came to compare it: a loop of that shape must end in the time of any other.
#[test]
fn comparing_uses_up_the_fuel() {
    let long = "def a = 'x' * 100000; def b = ('x' * 50000) + ('x' * 50000); ";
    check(&format!("{long} while (true) {{ a == b }}"), FUEL);
    check(&format!("{long} while (true) {{ a <=> b }}"), FUEL);
    check(&format!("{long} def l = (1..200).collect {{ it % 2 ? a : b }}; while (true) {{ l.sort(false) }}"), FUEL);
    check(&format!("{long} def l = (1..200).collect {{ a }}; while (true) {{ l.indexOf(b + 'y') }}"), FUEL);
    check(&format!("{long} def m = [(a): 1]; while (true) {{ m[b] }}"), FUEL);
    check(&format!("{long} def m = [(a): 1]; while (true) {{ m.containsKey(b) }}"), FUEL);
    let nested = "def row = { (1..100).toList() }; def grid = { def r = row(); (1..100).collect { r } }; ";
    check(&format!("{nested} def x = grid(); def y = grid(); while (true) {{ x == y }}"), FUEL);
}

#[test]
fn endless_recursion_meets_the_depth_limit() {
    check("def f(n) { f(n + 1) }; f(0)", DEPTH);
    check("def c; c = { c() }; c()", DEPTH);
    check("class A { String toString() { \"${this}\" } }; new A().toString()", DEPTH);
    check("class A { boolean equals(o) { this == o } }; new A() == new A()", DEPTH);
    check("class A { def getX() { this.getX() } }; new A().x", DEPTH);
    check("class A { def methodMissing(String n, a) { foo(n) } }; new A().bar()", DEPTH);
    check("class A { A() { new A() } }; new A()", DEPTH);
    check("def m = [:].withDefault { k -> m[k + 1] }; m = [:].withDefault { k -> m[k + 1] }; m[0]", DEPTH);
}

#[test]
fn strings_end_at_their_limit() {
    check("def s = 'x'; while (true) { s += s }", TEXT);
    check("'x' * 2000000000", TEXT);
    check("def s = 'ab' * 100000; s.replace('a', s)", TEXT);
    check("def s = 'ab' * 100000; s.replaceAll('a', s)", TEXT);
    check("'x'.padLeft(2000000000)", TEXT);
    check("String.format('%2000000000d', 1)", TEXT);
    check("def b = new StringBuilder('x'); while (true) { b.append(b.toString()) }", TEXT);
    check("def l = ['xxxxxxxxxxxxxxxx']; 30.times { l = [l, l] }; l.toString()", TEXT);
    check("def s = 'x'; while (true) { s = \"${s}${s}\".toString() }", TEXT);
    check("def s = 'x'; while (true) { s = \"$s$s\" }; println s", SIZE);
}

#[test]
fn growing_data_ends_at_the_heap_limit() {
    check("def l = []; while (true) l << 1", HEAP);
    check("def l = [1]; while (true) l = l + l", HEAP);
    check("def l = [1]; while (true) l.addAll(l)", HEAP);
    check("(1..1000000000).toList()", HEAP);
    check("[0] * 1000000000", HEAP);
    check("new int[2000000000]", HEAP);
    check("new int[50000][50000]", HEAP);
    check("def l = []; l[2000000000] = 1", HEAP);
    check("def m = [:]; int i = 0; while (true) { m[i++] = i }", HEAP);
    check("def s = [] as Set; int i = 0; while (true) { s << i++ }", HEAP);
    check("def m = [:]; int i = 0; while (true) { m[\"key ${i++}\".toString()] = 'some value ' + i }", HEAP);
    check("def l = null; while (true) { l = [l] }", HEAP);
    check("def l = null; while (true) { def k = l; l = { k } }", HEAP);
    check("while (true) { def a = []; a << a }", HEAP);
    check("(1..20).toList().permutations()", HEAP);
    check("(1..60).toList().subsequences()", HEAP);
    check("[(1..1000).toList()] .with { l -> [l[0], l[0], l[0], l[0]].combinations() }", HEAP);
}

#[test]
fn numbers_end_at_their_limit() {
    check("2G ** 1000000000", DIGITS);
    check("def n = 3G; while (true) n = n * n", DIGITS);
    check("1e1000000000 + 1", DIGITS);
    check("1G << 2000000000", DIGITS);
    check("new BigDecimal('1e999999999').toBigInteger()", DIGITS);
}

#[test]
fn the_native_stack_is_never_used_up() {
    let deep = "def l = []; 200000.times { l = [l] }; ";
    for source in [
        format!("{deep} l.flatten()"),
        format!("{deep} l == l.clone()"),
        format!("{deep} l.hashCode(); 1"),
        format!("{deep} def k = []; 200000.times {{ k = [k] }}; k == l"),
        "def c = { it }; def d = c; 100000.times { d = d >> c }; d(1)".to_string(),
        "def m = [:]; m.self = m; m.toString()".to_string(),
        "def a = {}; def b = {}; a.delegate = b; b.delegate = a; a.resolveStrategy = 1; b.resolveStrategy = 1; try { a.foo } catch (e) { 1 }".to_string(),
    ] {
        let limits = MachineLimits { fuel: 300_000_000, ..MachineLimits::default() };
        let outcome = run_plain(&source, "deep", &[], limits, &mut |_| ());
        assert!(!matches!(outcome, PlainOutcome::Rejected(_)), "{source}: {outcome:?}");
    }
}

#[test]
fn a_run_is_the_same_each_time() {
    let source = "def m = [:]; 100.times { m[\"k${it * 7919 % 100}\".toString()] = it }; m.keySet().join(',') + ([3, 1, 2] as HashSet)";
    let once = |_| match run_plain(source, "same", &[], MachineLimits::default(), &mut |_| ()) {
        PlainOutcome::Finished { text, .. } => text,
        other => panic!("{other:?}"),
    };
    let all: Vec<String> = (0..5).map(once).collect();
    assert!(all.iter().all(|t| *t == all[0]));
}
