//! Where Jenkins' engine, which runs pipelines step by step, is not Groovy.
//!
//! Source: `CpsTransformer.visitMethod` and `visitReturnStatement`, `CpsCallable.assignArguments`, `ForInLoopBlock`, `LocalVariableBlock` of
//! workflow-cps, whose engine was asked all of this.

use model::outcome::Outcome;

use crate::engine::run;

/// What a script says.
fn says(source: &str, words: &str) {
    run(source).is(Outcome::Success).has(words);
}

#[test]
fn results_of_methods_are_what_was_returned() {
    says("int count() { return '7' }\necho \"${count()} ${count().class.simpleName}\"", "7 String");
    says("int minutes(long ms) { ms / 60000 }\necho \"${minutes(90000)}\"", "1.5");
    says("boolean isX() { null }\necho \"${isX()}\"", "null");
    says("void f() { 'value' }\necho \"${f()}\"", "value");
    says("Map conf() { 'text' }\nint n() { null }\necho \"${conf()} ${n()}\"", "text null");
    says("class A implements Serializable { int n = 2; int twice() { n * 2.5 } }\necho \"${new A().twice()}\"", "5.0");
    // What runs in one go is Groovy, and so is what the library calls.
    says("@NonCPS int count() { return 7.9 }\necho \"<${count()}>\"", "<7>");
    says("@NonCPS int n() { [1].collect { int i -> i }.size() + 0.5 }\necho \"<${n()}>\"", "<1>");
    says("class A { String toString() { \"a${1}\" } }\necho \"${new A().toString().class.simpleName}\"", "String");
}

#[test]
fn objects_can_be_kept() {
    says("class A { }\necho \"${new A() instanceof Serializable}\"", "true");
    says("class A implements Serializable { }\necho \"${A.interfaces*.simpleName.count('Serializable')}\"", "1");
}

#[test]
fn closures_take_what_they_are_given() {
    says("[1].each { String s -> echo \"<$s>\" }", "<1>");
    says("[a: true].each { String k, String v -> echo \"$k=$v\" }", "a=true");
    says("def c = { a, b -> echo \"$a/$b\" }\nc(1)\nc(1, 2, 3)", "1/null\n[Pipeline] echo\n1/2\n");
    // What it sets them to is cast.
    says("def m = ['a-x': 7]\n['a'].each { String s -> s = \"${s}-x\"; echo \"<${m.get(s)}>\" }", "<7>");
    says("echo \"<${{ int x -> x = x / 2; x }(5)}>\"", "<2>");
    says("def body = { -> echo 'ran' }\nbody([a: 1])", "ran");
    says("def c = { a, b = 5 -> echo \"$a/$b\" }\nc(1)\nc(1, 2)", "1/5\n[Pipeline] echo\n1/2\n");
    says("def c = { Object... all -> echo \"<${all.size()}>\" }\nc(1, 2, 3)", "<3>");
    run("@NonCPS def f() { [1].each { String s -> } }\nf()").is(Outcome::Failure).has("MissingMethodException");
}

#[test]
fn loops_and_variables_cast_no_null_and_no_item() {
    says("for (File f : [[path: 'x']]) { echo f.path }", "x");
    says("def cfg = [:]\nint n = cfg.retries\nboolean b = cfg.deploy\necho \"$n $b ${n ?: 3}\"", "null null 3");
    says("int n\nboolean b\necho \"$n $b\"", "0 false");
    says("int n = 7.9\nString s = \"g${1}\"\necho \"$n ${s.class.simpleName}\"", "7 String");
    run("int n = 'many'\necho 'x'").is(Outcome::Failure).has("GroovyCastException");
    says("echo \"${(int) null} ${null as int}\"", "null null");
    run("@NonCPS def f() { int n = null }\nf()").is(Outcome::Failure).has("GroovyCastException");
    run("class A { int n = null }\nnew A()").is(Outcome::Failure).has("GroovyCastException");
}

#[test]
fn fields_are_properties_in_methods_of_their_own_class() {
    // `this.x` is the field only beside a setter, `x` alone only beside a getter.
    let tag = "class V { String q; String getQ() { q ?: 'GA' }\ndef tag() { this.q }\ndef bare() { q } }\n";
    says(&format!("{tag}echo \"<${{new V().tag()}} ${{new V().bare()}} ${{new V().q}}>\""), "<GA null GA>");
    let level = "class L { String level; void setLevel(String l) { this.level = l.toUpperCase() }\n\
                 def low() { level = 'low'; level }\ndef low2() { this.level = 'low2'; this.level }\n\
                 def both() { level = 'a'; level += 'b'; level } }\n";
    says(&format!("{level}def l = new L()\necho \"<${{l.low()}} ${{l.low2()}} ${{l.both()}}>\""), "<LOW low2 AB>");
    let private = "class P { private v = 1; def getV() { 'gv' }\ndef m() { v }\ndef m2() { this.v } }\n";
    says(&format!("{private}echo \"<${{new P().m()}} ${{new P().m2()}}>\""), "<1 gv>");
    // In one go it is Groovy's.
    let whole = "class W { String q = 'f'; String getQ() { 'g' }\n@NonCPS def m() { this.q } }\n";
    says(&format!("{whole}echo \"<${{new W().m()}}>\""), "<f>");
    // What has no accessor is what it was, as is a parameter of the same name.
    says(
        "class N { def n = 1; N up(n) { this.n = n; this }\ndef m() { n++; n } }\necho \"<${new N().up(5).m()}>\"",
        "<6>",
    );
}

#[test]
fn fields_of_classes_above_and_below_are_properties_too() {
    let below =
        "class A { String n = 'a'; def m() { n }\ndef m2() { this.n } }\nclass B extends A { String getN() { 'b' } }\n";
    says(&format!("{below}echo \"<${{new B().m()}} ${{new B().m2()}} ${{new A().m()}}>\""), "<b b a>");
    let setter = "class A { def n; def m() { n = 1; n } }\nclass B extends A { void setN(v) { super.n = v + 1 } }\n";
    says(&format!("{setter}echo \"<${{new B().m()}} ${{new A().m()}}>\""), "<2 1>");
    let above = "class A { protected String n = 'a'; String getN() { \"get-$n\" } }\n\
                 class B extends A { def m() { n }\ndef m2() { this.n } }\n";
    says(&format!("{above}echo \"<${{new B().m()}} ${{new B().m2()}}>\""), "<a get-a>");
}

#[test]
fn accessors_reach_the_field_that_they_are_for() {
    // What Jenkins would never come back from.
    let lazy = "class C { def conf; def getConf() { if (this.conf == null) this.conf = 'made'; this.conf } }\n";
    says(&format!("{lazy}echo \"<${{new C().conf}}>\""), "<made>");
    let lazy = "class C { def conf; def getConf() { if (conf == null) conf = 'made'; return conf } }\n";
    says(&format!("{lazy}echo \"<${{new C().conf}}>\""), "<made>");
    let setter = "class C { int n; void setN(int v) { n = v * 2 } }\ndef c = new C()\nc.n = 4\n";
    says(&format!("{setter}echo \"<${{c.n}}>\""), "<8>");
}

#[test]
fn a_switch_has_the_value_of_its_default_alone() {
    let pick = "def pick(e) { switch (e) { case 'prod': 'p'; break; case 'qa': 'q'; break; default: 'd' } }\n";
    says(&format!("{pick}echo \"<${{pick('prod')}} ${{pick('qa')}} ${{pick('x')}}>\""), "<null null d>");
    let last = "def c = { switch (it) { case 1: 'a'; case 2: 'b' } }\n";
    says(&format!("{last}echo \"<${{c(1)}} ${{c(2)}} ${{c(3)}}>\""), "<null null null>");
    says("def f(y) { switch (y) { default: 'd'; break } }\necho \"<${f(1)}>\"", "<null>");
    says("def f(y) { switch (y) { case 1: return 'a'; default: return 'd' } }\necho \"<${f(1)} ${f(2)}>\"", "<a d>");
    says("@NonCPS def f(y) { switch (y) { case 1: 'a'; break; default: 'd' } }\necho \"<${f(1)} ${f(2)}>\"", "<a d>");
    // Nor does a case fall into it.
    let fall =
        "def said = []\nswitch (1) { case 1: said << 'one'; case 2: said << 'two'; default: said << 'default' }\n";
    says(&format!("{fall}switch (3) {{ default: said << 'd'; case 1: said << 'x' }}\necho \"$said\""), "[one, two, d]");
}

#[test]
fn a_spread_property_is_one_of_the_list() {
    says("echo \"<${[[n: 1], null]*.n} ${[[n: null], [n: 3]]*.n} ${null*.n}>\"", "<[1] [null, 3] null>");
    says(
        "echo \"<${[a: 1]*.key} ${['a']*.class.simpleName} ${[[n: [1, 2]], [n: [3]]]*.n}>\"",
        "<null ArrayList [[1, 2], [3]]>",
    );
    says("@NonCPS def f() { \"${[[n: 1], null]*.n} ${[a: 1]*.key}\" }\necho \"<${f()}>\"", "<[1, null] [a]>");
}

#[test]
fn an_assertion_says_what_is_written() {
    let fails = |assertion: &str, words: &str| {
        let source = format!(
            "def n = 1\ntry {{\n{assertion}\n}} catch (AssertionError e) {{ echo \"${{e.class.simpleName}} <${{e.message}}>\" }}"
        );
        says(&source, words);
    };
    fails("assert n == 2", "PowerAssertionError <assert n == 2>");
    fails("assert n == 2 : \"n is $n\"", "AssertionError <n is 1. Expression: assert n == 2 : \"n is $n\">");
    fails("assert n == 2, 'words'", "AssertionError <words. Expression: assert n == 2, 'words'>");
    fails("assert n == 2 : ''", "PowerAssertionError <assert n == 2 : ''>");
    fails("  assert [1,\n    2].contains(7)  &&\n  true", "PowerAssertionError <assert [1, 2].contains(7)  && true>");
}

#[test]
fn static_fields_are_those_of_the_object() {
    says("class T { static int i; static put(v) { i = v; i } }\necho \"<${T.put(5.5)}>\"", "<5>");
    says("class T { static String s }\nT.s = 5\necho T.s.class.simpleName", "String");
    says("def a = new int[1]\na[0] = 5.5\necho \"<${a[0]}>\"", "<5>");
    // Of a class below where that has its own; a static method has those of its class.
    let above = "abstract class S { static String TOOL = 'none'; def run() { \"${TOOL} ${this.TOOL}\" }; static of() { TOOL } }\n";
    says(
        &format!(
            "{above}class M extends S {{ static String TOOL = 'maven' }}\necho \"<${{new M().run()}} ${{M.of()}}>\""
        ),
        "<maven maven none>",
    );
    says(
        &format!("{above}class M extends S {{ String getTOOL() {{ 'own' }} }}\necho \"<${{new M().run()}}>\""),
        "<own own>",
    );
    // What Groovy writes itself is Groovy, and a method has the fields of its class.
    says("class T { static int i }\nT.setI(5 as byte)\necho T.getI().class.simpleName", "Integer");
    says("class A { static x; def getX() { if (x == null) { x = 5 }; x } }\necho \"<${new A().x} ${A.x}>\"", "<5 5>");
    says("class L { static boolean on; static up() { setOn(true); isOn() } }\necho \"<${L.up()}>\"", "<true>");
    says("node { @groovy.transform.Field def kept = 7 }\ndef f() { kept }\necho \"<${f()}>\"", "<7>");
    says("def c = { }\nc.X = 1\necho \"<${X} ${c.X}>\"", "<1 1>");
}
