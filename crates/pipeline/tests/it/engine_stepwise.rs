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
