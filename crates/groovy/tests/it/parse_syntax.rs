//! The shape of the tree for every production: input and expected S-expression.

use groovy::parser::sexpr;

#[track_caller]
fn check(input: &str, expect: &str) {
    let parsed = groovy::parse(input);
    assert!(parsed.diagnostics.is_empty(), "{input}: {:?}", parsed.diagnostics);
    assert_eq!(sexpr::script(&parsed.script), expect, "{input}");
}

#[test]
fn calls_and_commands() {
    check("sh 'x'", r#"(cmd sh "x")"#);
    check("sh script: 'x', returnStdout: true", r#"(cmd sh script: "x" returnStdout: true)"#);
    check("sh(script: 'x', returnStdout: true).trim()", r#"(call (call sh script: "x" returnStdout: true).trim)"#);
    check(r#"echo "x" + y"#, r#"(cmd echo (+ "x" y))"#);
    check("def x = sh script: 'y', returnStdout: true", r#"(local def x = (cmd sh script: "y" returnStdout: true))"#);
    check("def x = a ?: b", "(local def x = (?: a b))");
    check("stage('x')\n{ sh 'y' }", r#"(call stage "x" (closure (cmd sh "y")))"#);
    check("stage('x') { sh 'y' }", r#"(call stage "x" (closure (cmd sh "y")))"#);
    check("stage 'x', { sh 'y' }", r#"(cmd stage "x" (closure (cmd sh "y")))"#);
    check("stage 'x' { y }", "(cmd stage (call x (closure y)))");
    check("a b c d", "(cmd (cmd a b).c d)");
    check("a b c", "(cmd a b).c");
    check("a b c() d e", "(cmd (call (cmd a b).c).d e)");
    check("a(b) c", "(call a b).c");
    check("a.b.c d, e", "(cmd a.b.c d e)");
    check("a.b c: 1", "(cmd a.b c: 1)");
    check("timeout(time: 5, unit: 'M') { x }", r#"(call timeout time: 5 unit: "M" (closure x))"#);
    check("parallel a: { x }, b: { y }, failFast: true", "(cmd parallel a: (closure x) b: (closure y) failFast: true)");
}

#[test]
fn strings_with_values() {
    check(r#"echo "a ${b} $c.d.e f""#, r#"(cmd echo (gstring "a " b " " c.d.e " f"))"#);
    check(r#"echo "${sh script: 'x'}""#, r#"(cmd echo (gstring (cmd sh script: "x")))"#);
    check(r#"echo "${-> a}${b; c}${}""#, "(cmd echo (gstring $(closure [] a) $(closure b c) null))");
    check(r#"echo "a${"b${c}d"}e""#, r#"(cmd echo (gstring "a" (gstring "b" c "d") "e"))"#);
    check("echo \"\"\"a\n${b['c']}\"\"\"", r#"(cmd echo (gstring "a\n" (index b "c")))"#);
    check(r"x = /a\/b${c}d$/", r#"(= x (gstring "a/b" c "d$"))"#);
    check("x = $/a$$b$/c${d}/$", r#"(= x (gstring "a$b/c" d))"#);
    check("'''a\nb'''", r#""a\nb""#);
    check(r"'a\tb\u0041\101'", r#""a\tbAA""#);
}

#[test]
fn lists_and_maps() {
    check("[]", "(list)");
    check("[:]", "(map)");
    check("[1, *a]", "(list 1 *a)");
    check(r#"[a: 1, 'b': 2, 3: 4, (c): 5, "d$e": 6, *: f]"#, r#"(map a: 1 b: 2 3: 4 (c): 5 ((gstring "d" e)): 6 *:f)"#);
    check("[if: 1, class: 2]", "(map if: 1 class: 2)");
    check("f(*a, *: b, c: 1, 2)", "(call f *a *:b c: 1 2)");
}

#[test]
fn paths() {
    check("a[0]", "(index a 0)");
    check("a[0, 1]", "(index a 0 1)");
    check("a[1..-1]", "(index a (.. 1 -1))");
    check("a[-1]", "(index a -1)");
    check("a?.b*.c.@d", "a?.b*.c.@d");
    check("a?.b?.c(1)", "(call a?.b?.c 1)");
    check("a*.b()", "(call a*.b)");
    check("a.&b", "a.&b");
    check("a.'b c'", r#"a."b c""#);
    check(r#"a."b$c"(1)"#, r#"(call a.((gstring "b" c)) 1)"#);
    check("a.(b)", "a.(b)");
    check("a.{ b }", "a.((closure [] b))");
    check("a.class.in.if", "a.class.in.if");
}

#[test]
fn calls_of_values() {
    check("f(1)(2)", "(call-value (call f 1) 2)");
    check("f { a } { b }", "(call f (closure a) (closure b))");
    check("f(1) { a } { b }", "(call f 1 (closure a) (closure b))");
    check("(f(1)) { a }", "(call-value (call f 1) (closure a))");
    check("f{ a }(1)", "(call-value (call f (closure a)) 1)");
    check("(f)()", "(call-value f)");
    check("(a.b)()", "(call-value a.b)");
    check("'f'(1)", "(call f 1)");
    check(r#""f$a"(1)"#, r#"(call ((gstring "f" a)) 1)"#);
    check("this.f()", "(call this.f)");
    check("super.f()", "(call super.f)");
}

#[test]
fn closures() {
    check("x = { a }", "(= x (closure a))");
    check("x = { -> a }", "(= x (closure [] a))");
    check("x = { a, int b = 1, String... c -> a }", "(= x (closure [a, int b = 1, String ...c] a))");
    check("x = { Map<String, List<Integer>> a -> a }", "(= x (closure [Map<String,List<Integer>> a] a))");
}

#[test]
fn operators() {
    check("a + b * c ** d", "(+ a (* b (** c d)))");
    check("-a ** b", "(- (** a b))");
    check("-1", "-1");
    check("- 2147483648", "-2147483648");
    check("+1", "1");
    check("2 * -a", "(* 2 (- a))");
    check("!a && b || c", "(|| (&& (! a) b) c)");
    check("a == b ? c : d", "(? (== a b) c d)");
    check("a ? b : c ? d : e", "(? a b (? c d e))");
    check("a ?: b ?: c", "(?: a (?: b c))");
    check("a < b == c > d", "(== (< a b) (> c d))");
    check("a in b", "(in a b)");
    check("a instanceof B", "(instanceof a B)");
    check("a as B", "(as a B)");
    check("a as List<String>", "(as a List<String>)");
    check("x?.y as Map ?: [:]", "(?: (as x?.y Map) (map))");
    check("a =~ b", "(=~ a b)");
    check("a ==~ b", "(==~ a b)");
    check("a <=> b", "(<=> a b)");
    check("1..2", "(.. 1 2)");
    check("1..<n", "(..< 1 n)");
    check("a << b << c", "(<< (<< a b) c)");
    check("a >>> b", "(>>> a b)");
    check("a & b | c ^ d", "(| (& a b) (^ c d))");
    check("~a", "(~ a)");
    check("a++", "(_++ a)");
    check("++a", "(++_ a)");
    check("a.b--", "(_-- a.b)");
}

#[test]
fn assignments() {
    check("x = y = z", "(= x (= y z))");
    check("x += 1", "(+= x 1)");
    check("x <<= 2", "(<<= x 2)");
    check("x **= 2", "(**= x 2)");
    check("(a, b) = c", "(= (list a b) c)");
    check("a.b = c", "(= a.b c)");
    check("a[0] = c", "(= (index a 0) c)");
}

#[test]
fn casts_and_construction() {
    check("(int) a", "(cast int a)");
    check("(String[]) a", "(cast String[] a)");
    check("(a.B) c", "(cast a.B c)");
    check("(a)(b)", "(cast a b)");
    check("(a) -1", "(- a 1)");
    check("new A()", "(new A)");
    check("new A<B>(1) ", "(new A<B> 1)");
    check("new a.B(c: 1)", "(new a.B c: 1)");
    check("new A() { def b() { 1 } }", "(new A (class extends:A (method def b [] 1)))");
    check("new int[3]", "(new-array int[] 3)");
    check("new A[2][]", "(new-array A[][] 2)");
    check("int[].class", "'int[].class");
    check("String[]", "'String[]");
    check("int.class", "'int.class");
}

#[test]
fn line_breaks() {
    check("a = b\n  .c()\n  ?.d { e }", "(= a (call (call b.c)?.d (closure e)))");
    check("a = b ?\n c :\n d", "(= a (? b c d))");
    check("a\n  ? b\n  : c", "(? a b c)");
}

#[test]
fn declarations() {
    check("def a", "(local def a)");
    check("def a = 1, b", "(local def a = 1 b)");
    check("int a = 1", "(local int a = 1)");
    check("final a = 1", "(local final a = 1)");
    check("String[] a", "(local String[] a)");
    check("List<Map<String, ?>> a = []", "(local List<Map<String,?>> a = (list))");
    check("def (a, b) = c", "(local def (a, b) = c)");
    check("def (int a, b) = c", "(local def (int a, b) = c)");
    check("a.b.C d = e", "(local a.b.C d = e)");
}

#[test]
fn annotations() {
    check("@Field def a = 1", "(local @Field def a = 1)");
    check("@Library('x') _", r#"(local @Library(value="x") _)"#);
    check("@Library(['a', 'b@1']) import x.Y", r#"(import @Library(value=(list "a" "b@1")) x.Y)"#);
    check("@A(b = 1, c = @D) def e", "(local @A(b=1 c=@D) def e)");
}

#[test]
fn imports() {
    check("import a.b.C", "(import a.b.C)");
    check("import a.b.*", "(import a.b *)");
    check("import static a.b.C.d as e", "(import-static a.b.C.d as e)");
    check("import a.b.C as D", "(import a.b.C as D)");
    check("package a.b", "(package a.b)");
}

#[test]
fn methods() {
    check("def f(a, int b = 1, String... c) { a }", "(method def f [a, int b = 1, String ...c] a)");
    check("String f() { }", "(method String f [])");
    check("static <T> List<T> f(T a) throws A, b.C { }", "(method static <T> List<T> f [T a] throws:A throws:b.C)");
    check("private static final def f() { }", "(method private static final def f [])");
    check("def 'a b'() { }", "(method def a b [])");
}

#[test]
fn conditions_and_loops() {
    check("if (a) b", "(if a b)");
    check("if (a) b else c", "(if a b c)");
    check("if (a) { b } else if (c) { d } else { e }", "(if a (do b) (if c (do d) (do e)))");
    check("if (a) b; else c", "(if a b c)");
    check("while (a) { b }", "(while a (do b))");
    check("while (a);", "(while a ())");
    check("for (a in b) { c }", "(for-in a b (do c))");
    check("for (String a : b) c", "(for-in String a b c)");
    check("for (int i = 0; i < 1; i++) { a }", "(for [(local int i = 0); (< i 1); (_++ i)] (do a))");
    check("for (;;) { break }", "(for [; ; ] (do (break)))");
    check(
        "switch (a) { case 1: b; break; case ~/c/: case D: e; default: f }",
        r#"(switch a (case 1 b (break)) (case (~ "c")) (case D e) (default f))"#,
    );
    check(
        "try { a } catch (b) { c } catch (D | e.F g) { h } finally { i }",
        "(try (do a) (catch b c) (catch D|e.F g h) (finally i))",
    );
}

#[test]
fn jumps() {
    check("return", "(return)");
    check("return a", "(return a)");
    check("throw a", "(throw a)");
    check("break a", "(break a)");
    check("continue", "(continue)");
    check("assert a", "(assert a)");
    check("assert a : b", "(assert a b)");
    check("synchronized (a) { b }", "(synchronized a (do b))");
    check("a: b: while (c) break a", "(label a (label b (while c (break a))))");
    check("a: { b }", "(label a (do b))");
}

#[test]
fn types() {
    check("class A { }", "(class A)");
    check(
        "class A<T extends B> extends C<T> implements D, E {\n int a = 1; def b; static c\n A() { super(1); d }\n def e() { }\n static { f }\n { g }\n class H { }\n}",
        "(class A <T> extends:C<T> implements:D implements:E (field int a 1) (field def b) (field static c) (method A [] (call super 1) d) (method def e []) (static-init f) (init g) (class H))",
    );
    check(
        "interface A extends B, C { int d = 1; void e(); }",
        "(interface A extends:B extends:C (field int d 1) (method void e []))",
    );
    check("trait A { def b() { } }", "(trait A (method def b []))");
    check(
        "enum A { B, C(1), D { def e() { } }; def f }",
        "(enum A (constant B) (constant C 1) (constant D (class D (method def e []))) (field def f))",
    );
    check("@interface A { String b() default 'c' }", r#"(@interface A (method String b [] default:"c"))"#);
    check("abstract class A { abstract b() }", "(class abstract A (method abstract b []))");
}

#[test]
fn the_rest() {
    check("f(def a = 1)", "(call f (local def a = 1))");
    check("a;;b\n\n;c", "a\nb\nc");
    check("#!/usr/bin/env groovy\na", "a");
    check("a /* b */ c // d", "(cmd a c)");
    check("a\\\n  .b", "a.b");
}
