//! What annotations add is bounded in code and in work, whoever wrote the script; and so is what classes without them take.

use groovy::machine::{MachineLimits, PlainOutcome, run_plain};

/// A script is refused with a message that has these words.
#[track_caller]
fn refused(source: &str, words: &str) {
    match run_plain(source, "annotations", &[], MachineLimits::default(), &mut |_| ()) {
        PlainOutcome::Rejected(found) => {
            assert!(found.iter().any(|d| d.message.contains(words)), "{:?}", found.first());
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn runs(source: &str) {
    let outcome = run_plain(source, "annotations", &[], MachineLimits::default(), &mut |_| ());
    assert!(matches!(outcome, PlainOutcome::Finished { .. }), "{outcome:?}");
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

const STEPS: &str = "takes more than 2000000 steps";
const CODE: &str = "make more than 512 KiB of code";

#[test]
fn properties_that_a_class_has_itself_are_paid_for() {
    let properties = many(2000, |i| format!("def p{i}\n"));
    let delegates = many(2000, |i| format!("@Delegate B b{i}\n"));
    refused(&format!("class B {{ {properties} }}\nclass A {{ {delegates} {properties} }}"), STEPS);
}

#[test]
fn interfaces_of_delegates_are_paid_for() {
    let names: Vec<String> = (0..10_000).map(|i| format!("I{i}")).collect();
    let interfaces = many(10_000, |i| format!("interface I{i} {{}}\n"));
    let delegates = many(300, |i| format!("@Delegate B b{i}\n"));
    refused(&format!("class B implements {} {{}}\n{interfaces} class A {{ {delegates} }}", names.join(",")), STEPS);
}

#[test]
fn comparing_overloads_is_paid_for() {
    let params = many(200, |i| format!("a{i}, "));
    let own = many(200, |i| format!("def m({params}U{i} z) {{ 1 }}\n"));
    let delegates = many(100, |i| format!("@Delegate B b{i}\n"));
    refused(&format!("class B {{ def m({params}T z) {{ 1 }} }}\nclass A {{ {own} {delegates} }}"), STEPS);
}

#[test]
fn options_are_read_once() {
    let fields = many(20_000, |i| format!("def f{i}\n"));
    let excluded = "x".repeat(500_000);
    refused(&format!("@groovy.transform.EqualsAndHashCode(excludes='{excluded}') class A {{ {fields} }}"), CODE);
    // Thirty thousand delegates of one class, among as many classes.
    let classes = many(20_000, |i| format!("class C{i} {{}}\n"));
    let delegates = many(20_000, |i| format!("@Delegate B b{i}\n"));
    runs(&format!(
        "class B {{ def m() {{ 1 }} }}\n{classes} class A {{ {delegates} }}\nassert new A(b0: new B()).m() == 1"
    ));
}

#[test]
fn many_classes_take_no_longer_for_each() {
    let classes = many(60_000, |i| format!("class C{i} {{}}\n"));
    runs(&format!("{classes}assert new C59999()"));
    runs(&format!("class A {{ {classes} }}\nassert new A.C59999()"));
    let children = many(30_000, |i| format!("class C{i} extends C{} {{}}\n", i + 1));
    runs(&format!("{children}class C30000 {{}}"));
}

#[test]
fn inherited_fields_and_long_names_have_limits() {
    let children = many(2000, |i| format!("class C{i} extends C{} {{ def f{i} }}\n", i + 1));
    refused(&children, "more than 500000 fields");
    let name = "A".repeat(1001);
    for long in [format!("class {name} {{}}"), format!("package {name}\nclass A {{}}")] {
        refused(&long, "more than 1000 bytes");
    }
    let half = "A".repeat(600);
    refused(&format!("class {half} {{ interface {half} {{}} }}"), "more than 1000 bytes");
    runs(&format!("class {half} {{}}\nclass B{half} {{}}"));
}
