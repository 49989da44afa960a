//! What Groovy's compiler refuses of a text that its grammar accepts, in its own words.

use groovy::span::LineIndex;

/// `line:column: message` of every diagnostic.
#[track_caller]
fn check(input: &str, expect: &[&str]) {
    let index = LineIndex::new(input);
    let parsed = groovy::parse(input);
    let found = parsed.diagnostics.iter().map(|d| {
        let place = index.place(input, d.span.start);
        format!("{}:{}: {}", place.line, place.column, d.message)
    });
    assert_eq!(found.collect::<Vec<_>>(), expect, "{input}");
}

#[test]
fn a_name_is_declared_once_in_a_scope_and_those_around_it() {
    let twice = "The current scope already contains a variable of the name";
    check("def a = 1\nif (a) {\n    def a = 2\n}\n", &[&format!("3:9: {twice} a")]);
    check("def m(x) {\n    list.each { x ->\n    }\n}\n", &[&format!("2:17: {twice} x")]);
    check("pipeline { stages { script {\n    def v = 1\n    def v = 2\n} } }\n", &[&format!("3:9: {twice} v")]);
    check("list.each { list.each { it -> } }\n", &[&format!("1:25: {twice} it")]);
    check("try { a() } catch (e) { try { b() } catch (e) { } }\n", &[&format!("1:37: {twice} e")]);
    check("def x = 1\ndef m(x) { x }\nlist.each { list.each { it } }\n", &[]);
}

#[test]
fn a_member_is_declared_once() {
    let m = "'java.lang.Object m(java.lang.String)'";
    check(
        "def m(String a) { 1 }\ndef m(String b) { 2 }\n",
        &[&format!("2:5: Repetitive method name/signature for method {m} in the script.")],
    );
    check(
        "class C { def m(String a) { 1 }\n def m(java.lang.String b) { 2 } }\n",
        &[&format!("2:6: Repetitive method name/signature for method {m} in class 'C'.")],
    );
    check(
        "def m(a, b = 1) { 1 }\ndef m(a) { 2 }\n",
        &["1:5: The method with default parameters \"java.lang.Object m(java.lang.Object, java.lang.Object)\" \
           defines a method \"java.lang.Object m(java.lang.Object)\" that is already defined."],
    );
    check("class C { def a; def a }\n", &["1:22: The field 'a' is declared multiple times."]);
    check("class C { }\nclass C { }\n", &["2:1: Invalid duplicate class definition of class C"]);
}

#[test]
fn a_class_that_is_not_abstract_leaves_no_method_open() {
    let lacks =
        "Can't have an abstract method in a non-abstract class. The class 'C' must be declared abstract or the method";
    check(
        "interface I { void m(String s) }\nclass C implements I { }\n",
        &[&format!("2:1: {lacks} 'void m(java.lang.String)' must be implemented.")],
    );
    check("class C { abstract m() }\n", &[&format!("1:20: {lacks} 'java.lang.Object m()' must not be abstract.")]);
    // What another file or a transformation may bring is not missed.
    check("interface I { void m() }\nclass C extends Elsewhere implements I { }\n", &[]);
    check("interface I { int compareTo(o) }\n@Sortable class C implements I { int a }\n", &[]);
    check("class C implements Elsewhere { }\n", &[]);
}

#[test]
fn hostile_classes_are_looked_at_for_a_bounded_time() {
    let methods: String = (0..5000).map(|n| format!("def m{n}()\n")).collect();
    let classes: String = (0..20_000).map(|n| format!("class C{n} implements I {{ }}\n")).collect();
    let chain: String = (0..20_000).map(|n| format!("class D{} extends D{n} {{ }}\n", n + 1)).collect();
    let params: Vec<String> = (0..255).map(|n| format!("a{n} = {n}")).collect();
    let defaults: String = (0..500).map(|_| format!("def m({}) {{ }}\n", params.join(","))).collect();
    let start = std::time::Instant::now();
    assert!(groovy::parse(&format!("interface I {{ {methods} }}\n{classes}")).has_errors());
    groovy::parse(&format!("class D0 {{ }}\n{chain}"));
    assert!(groovy::parse(&defaults).has_errors());
    assert!(start.elapsed().as_secs() < 60, "took {:?}", start.elapsed());
}
