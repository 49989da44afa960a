//! Views of lists and maps that hold themselves, or whose whole changes under them; and what looking into sorted sets costs.

use groovy::machine::{MachineLimits, PlainOutcome, run_plain};

#[track_caller]
fn answers(source: &str, fuel: u64, expect: &str) {
    let limits = MachineLimits { fuel, ..MachineLimits::default() };
    match run_plain(source, "views", &[], limits, &mut |_| ()) {
        PlainOutcome::Finished { text, .. } => assert_eq!(text, expect, "{source}"),
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn a_view_may_be_in_what_it_is_a_view_of() {
    for (source, expect) in [
        ("def m = [:]; m.put(m.keySet(), 1); m.z = 2; m.keySet().size()", "2"),
        ("def m = [:]; m.self = m.values(); m.b = 2; m.values().size()", "2"),
        ("def m = [:]; def v = m.values(); m[v] = 3; m.c = 4; v.size()", "2"),
        ("def m = [a: 1]; def e = m.entrySet(); m[e] = 2; m.b = 3; e.size()", "3"),
        ("def l = [1, 2, 3]; def p = l.subList(0, 2); p << p; l.size()", "4"),
        ("def l = [1, 2, 3]; def p = l.subList(1, 3); l.clear(); l.addAll([7, 8]); l << p; l.size()", "3"),
        ("def x = [1]; for (i in 0..<100000) x = [a: x].values(); x = null; 'gone'", "gone"),
        (
            "def l = (0..<3000).toList(), s = l; 2000.times { s = s.subList(0, s.size() - 1) }; s.clear(); l.size()",
            "2000",
        ),
    ] {
        answers(source, 20_000_000, expect);
    }
}

#[test]
fn a_step_in_a_sorted_set_costs_no_more_in_a_large_one() {
    let bits = "def b = new BitSet(); for (int i = 0; i < 5000; i++) b.set(i)
        int n = 0; for (int i = b.nextSetBit(0); i >= 0; i = b.nextSetBit(i + 1)) n++
        n";
    answers(bits, 1_500_000, "5000");
    answers(
        "def t = new TreeSet(0..<20000); def n = 0; for (int i = 0; i < 2000; i++) n += t.floor(i); n",
        1_000_000,
        "1999000",
    );
}

#[test]
fn a_view_that_is_brought_up_to_date_is_paid_for() {
    let source = "def m = [:]; for (i in 0..<20000) m[i] = i; def k = m.keySet()
        for (i in 0..<20000) { m.remove(i); m['x' + i] = i; k.size() }";
    let limits = MachineLimits { fuel: 20_000_000, ..MachineLimits::default() };
    let outcome = run_plain(source, "views", &[], limits, &mut |_| ());
    assert!(matches!(outcome, PlainOutcome::Limit(_)), "{outcome:?}");
}
