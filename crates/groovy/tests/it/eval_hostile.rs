//! Scripts that mean harm: whatever they do ends at a limit that names itself, or in an exception or a value, after bounded work.

use groovy::machine::{MachineLimits, PlainOutcome, run_plain};

use super::eval_limits::{DEPTH, DIGITS, FUEL, HEAP, SIZE, TEXT, check};

/// Runs with the usual memory and less fuel; the script must end by itself or at a limit, and nothing must be rejected.
#[track_caller]
fn ends(source: &str) -> PlainOutcome {
    let limits = MachineLimits { fuel: 20_000_000, ..MachineLimits::default() };
    let outcome = run_plain(source, "hostile", &[], limits, &mut |_| ());
    assert!(!matches!(outcome, PlainOutcome::Rejected(_)), "{source}: {outcome:?}");
    outcome
}

#[track_caller]
fn throws(source: &str, class: &str) {
    match ends(source) {
        PlainOutcome::Threw(thrown) => assert_eq!(thrown.class(), class, "{source}: {}", thrown.message()),
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn recursion_through_what_the_machine_calls_meets_the_depth_limit() {
    let bodies = [
        ("int hashCode() { this.hashCode() }", "new A().hashCode()"),
        ("int compareTo(o) { this <=> o }", "new A() <=> new A()"),
        ("boolean equals(o) { [this] == [o] }", "[new A()] == [new A()]"),
        ("String toString() { [this].toString() }", "[a: new A()].toString()"),
        ("def call(x) { this.call(x) }", "new A()(1)"),
        ("def plus(o) { this + o }", "new A() + 1"),
        ("def getAt(i) { this[i] }", "new A()[0]"),
        ("void setX(v) { this.setX(v) }", "new A().x = 1"),
        ("boolean asBoolean() { !this }", "new A() ? 1 : 2"),
        ("def asType(Class c) { this as String }", "new A() as List"),
        ("def plus(o) { A.super.plus(o) + this }", "new A() + 1"),
        ("def next() { this.next() }", "def a = new A(); a++"),
        ("boolean isCase(o) { o in this }", "1 in new A()"),
        ("Iterator iterator() { for (x in this) { x } }", "for (x in new A()) { }"),
    ];
    for (method, use_it) in bodies {
        let order = if method.contains("compareTo") { "" } else { "int compareTo(o) { 0 }" };
        check(&format!("class A implements Comparable {{ {method}; {order} }}; {use_it}"), DEPTH);
    }
    check("def f = { -> }; f = { [1].each { f() } }; f()", DEPTH);
    check("def f; f = { [2, 1].sort { a, b -> f() } }; f()", DEPTH);
    check("def f; f = { \"${-> f()}\".toString() }; f()", DEPTH);
    check("def f; f = { n -> f.curry(n).call() }; f(1)", DEPTH);
    check("def f; f = { try { f() } finally { f() } }; f()", DEPTH);
    throws("def f; f = { use(String) { f() } }; f()", "java.lang.IllegalStateException");
    check("def f; f = { new ConfigSlurper().parse('a { b = 1 }').each { f() } }; f()", DEPTH);
    check("class A { static x = new A().y; def y = x; A() { new A() } }; new A()", DEPTH);
}

#[test]
fn exceptions_do_not_help() {
    check("while (true) { try { throw new Exception() } finally { continue } }", FUEL);
    check("for (;;) { try { null.foo() } catch (e) { } finally { try { 1 / 0 } catch (f) { } } }", FUEL);
    check("def e = new Exception('x'); while (true) { e = new Exception('y', e) }", SIZE);
    ends("def e = new Exception('a'); e.initCause(e); \"$e ${e.cause.cause.cause}\"");
    ends(
        "def f() { try { return f2() } finally { throw new Exception('b') } }; def f2() { throw new Exception('a') }; f()",
    );
}

#[test]
fn what_contains_itself_ends() {
    for source in [
        "def l = []; l << l; l.toString() + l.inspect() + \"$l\" + l.hashCode()",
        "def l = []; l << l; l == l.clone()",
        "def l = []; def k = []; l << k; k << l; l == k",
        "def l = [1]; l << l; l.flatten()",
        "def l = []; l << l; l.collectNested { it }",
        "def m = [:]; m.m = m; m.hashCode() + m.toString().size()",
        "def m = [:]; def n = [m: m]; m.m = n; m == n",
        "def l = []; l << l; [(l): 1][l]",
        "def l = []; l << l; def k = []; k << k; [(l): 1][k]",
        "def l = []; l << l; l as Set",
        "def l = []; l << l; [l, l].unique()",
        "def l = []; l << l; [l, [l]].sort()",
        "def l = []; l << l; l.sum()",
        "def l = []; l << l; l.join('-')",
        "def l = []; l << l; String.format('%s', l)",
        "def l = []; l << l; l.addAll(l); l.removeAll(l); l",
        "def l = []; l << l; new HashSet(l)",
        "def c; c = { \"${c}\" }; c()",
        "def s = [] as Set; s << s; s << s; s.remove(s); s.toString() + s.hashCode()",
        "def s = new HashSet(); s << s; s << [s]; s.toString() + s.contains(s)",
        "def m = [:]; m[m] = m; m[[m]] = 1; m[[a: m]] = 2; \"${m.size()} ${m[m]} $m\"",
        "def m = new HashMap(); m[m] = 1; m[[m]] = 2; m.each { k, v -> v }; m.toString()",
    ] {
        ends(source);
    }
}

#[test]
fn empty_parts_are_work() {
    let empty = "def s = \"${''}\"; 60.times { s = \"$s$s\" }; ";
    check(&format!("{empty} s.toString()"), SIZE);
    check(&format!("{empty} while (true) s == 'x'"), SIZE);
    check(&format!("{empty} while (true) [(s): 1]"), SIZE);
    check(&format!("{empty} while (true) {{ if (s) 1 }}"), SIZE);
    check("def l = []; 60.times { l = [l, l] }; l.toString()", SIZE);
    check("def l = []; 60.times { l = [l, l] }; l.hashCode(); while (true) l.hashCode()", SIZE);
    check("def l = []; 60.times { l = [l, l] }; l.flatten()", SIZE);
    check("def s = \"a${1}\"; while (true) s = s + s", SIZE);
    check("def l = []; def s = \"a${1}\"; 12.times { s = s + s }; while (true) l << (s + \"b${2}\")", SIZE);
}

#[test]
fn keys_that_hash_alike_are_work() {
    check("def p = (1..40).toList(); def m = [:]; int i = 0; while (true) m[p + i++] = 1", SIZE);
    check("def m = [:]; int i = 0; while (true) m[[a: i++]] = 1", SIZE);
    check("def s = [] as Set; int i = 0; while (true) s << [[[[i++]]]]", SIZE);
    check("def s = new HashSet(); int i = 0; while (true) { s << \"k${i++}\".toString(); s.iterator().next() }", SIZE);
}

#[test]
fn hostile_comparators_end() {
    check("(1..20000).toList().sort { a, b -> 1 }", SIZE);
    check("def l = (1..100).toList(); while (true) l.sort { a, b -> -1 }", FUEL);
    ends("def l = [3, 1, 2]; l.sort { a, b -> l << 1; 0 }");
    ends("def l = [3, 1, 2]; l.sort { a, b -> l.clear(); 0 }");
    throws("[3, 1, 2].sort { a, b -> throw new IOException('x') }", "java.io.IOException");
    let each = "class A implements Comparable { int n; int compareTo(o) { n <=> o.n }; boolean equals(o) { n == o.n }; int hashCode() { n }; String toString() { \"$n\" } }; def l = (1..3000).collect { new A(n: it * 7919 % 3001) }; ";
    for call in ["l.sort().size()", "l.max().n", "l.toString().size()", "l.join(',').size()"] {
        assert!(matches!(ends(&format!("{each} {call}")), PlainOutcome::Finished { .. }), "{call}");
    }
    // Each answer makes the instruction run again: what grows with the square of the items is paid for.
    for call in [
        "l.unique().size()",
        "l == l.collect { new A(n: it.n) }",
        "l.indexOf(new A(n: -1))",
        "(l as Set).size()",
        "l - l",
    ] {
        ends(&format!("{each} {call}"));
    }
}

#[test]
fn expressions_end() {
    throws("def t = 'a' * 40 + '!'; t ==~ /(a|aa)+\\1$/", "java.util.regex.PatternSyntaxException");
    ends("('a' * 100000 + '!') =~ /(a+)+$/ ? 1 : 2");
    ends("('a' * 100000 + '!') ==~ /(a*)*b/");
    ends("('ab' * 20000) =~ /(?:(?:ab)*)*c/ ? 1 : 2");
    check("def t = 'a' * 30 + '!'; while (true) { try { t =~ /(a|aa)+\\1$/ ? 1 : 2 } catch (e) { } }", FUEL);
    check("def t = 'x' * 10000; while (true) t =~ /y+z/ ? 1 : 2", FUEL);
    check("def t = 'x' * 10000; while (true) t.replaceAll(/y/, 'z')", FUEL);
    check("def t = 'x' * 1000; while (true) t.split('')", FUEL);
    throws("('a' * 400000) =~ /(?<=b.*)c/ ? 1 : 2", "java.util.regex.PatternSyntaxException");
    ends("(('a' * 80 + '\\n') * 5000) =~ /(?<=b.*)c/ ? 1 : 2");
    check("def l = (1..20000).toList(); while (true) { [1].containsAll(l) }", FUEL);
    check("def t = 'x' * 2000; while (true) t =~ /(?<=y.{0,900})z/ ? 1 : 2", FUEL);
    throws("'x' =~ ('(' * 2000 + ')' * 2000)", "java.util.regex.PatternSyntaxException");
    throws("'x' =~ '((((a{1,999}){1,999}){1,999}){1,999})'", "java.util.regex.PatternSyntaxException");
    check("def p = ''; while (true) { p = p + 'x'; ('x' =~ p).find() }", SIZE);
}

#[test]
fn sizes_that_are_only_numbers_are_refused() {
    check("String.format('%1000000000s', 'x')", TEXT);
    check("String.format('%.1000000000f', 1.5d)", TEXT);
    check("String.format('%01000000000d', 1)", TEXT);
    check("'x'.center(2000000000)", TEXT);
    check("'x'.padRight(2000000000, 'yy')", TEXT);
    check("\"${'x' * 1000}\" * 2000000", TEXT);
    check("def b = new StringBuilder(); while (true) b << 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", SIZE);
    check("[1, 2] * 2000000000", HEAP);
    check("(0..2147483647).toList()", HEAP);
    check("(0..2147483647) as int[]", HEAP);
    check("(0..2147483647).collect { it }", SIZE);
    check("(1L..9000000000000000000L).each { }", FUEL);
    check("for (i in 0..2147483647) { }", FUEL);
    check("(1..2147483647).step(1)", HEAP);
    check("new int[1000][1000][1000]", HEAP);
    check("new byte[2147483647]", HEAP);
    check("('a'..'z').toList().permutations()", HEAP);
    check("def l = (1..30).toList(); l.subsequences()", HEAP);
    check("def l = []; l[2147483646] = 1", HEAP);
    check("(1..1000000).toList().collate(500000, 1)", HEAP);
    check("([(1..100).toList()] * 10).combinations()", HEAP);
}

#[test]
fn powers_and_scales_are_refused() {
    check("2G ** 100000000", DIGITS);
    check("1.1 ** 1000000", DIGITS);
    check("def n = 1.1; while (true) n = n * n", DIGITS);
    check("def n = 1G; while (true) n = n << 1000", DIGITS);
    check("new BigDecimal('1e-999999999') + 1", DIGITS);
    check("new BigDecimal('1e999999999').setScale(0)", DIGITS);
    check("1.5.setScale(1000000000)", DIGITS);
    check("new BigDecimal('1e-999999999').toPlainString()", DIGITS);
    check("String.format('%.2f', new BigDecimal('1e999999999'))", DIGITS);
    check("def n = 7G ** 30000; while (true) n.toString()", FUEL);
    check("def n = 7G ** 30000; while (true) n * n / n", DIGITS);
    ends("new BigDecimal('1e999999999') <=> new BigDecimal('1e-999999999')");
    ends("new BigDecimal('1e999999999').hashCode() + new BigDecimal('1e-999999999').intValue()");
    ends("[new BigDecimal('1e999999999'), 1e10].toString()");
    ends("new BigDecimal('1e99999999') as double");
    ends("new BigDecimal('1e-99999999') as int");
    ends("'9' * 99999 as BigInteger");
}

/// Interfaces that are reached on very many ways.
#[test]
fn lattices_of_interfaces_are_looked_at_once() {
    let mut source = String::from("interface A0 { }; interface B0 { }\n");
    for n in 1..30 {
        let m = n - 1;
        source += &format!("interface A{n} extends A{m}, B{m} {{ }}; interface B{n} extends A{m}, B{m} {{ }}\n");
    }
    source += "class C implements A29, B29 { }\ndef f(A0 a) { 'a' }; def f(Object b) { 'b' }; def f(Runnable r) { 'r' }\nf(new C()) + (new C() instanceof Cloneable)";
    assert!(matches!(ends(&source), PlainOutcome::Finished { text, .. } if text == "afalse"));
}

#[test]
fn closures_that_hold_everything_end() {
    check("def all = []; while (true) { def x = all.size(); all << { all + x } }", SIZE);
    check("def c = { it }; while (true) c = c.curry()", SIZE);
    check("def c = { Object... a -> a }; while (true) c = c.curry(1)", FUEL);
    check("def c = { 1 }; while (true) { def d = c; c = { d() } }", HEAP);
    check("def c = { x -> x }.memoize(); int i = 0; while (true) c(i++)", SIZE);
    check("def c = { x -> x }.memoizeAtMost(1000000000); int i = 0; while (true) c(i++)", SIZE);
    check("def c; c = { -> c.trampoline() }.trampoline(); c()", FUEL);
    ends("def c = { Object... a -> 1 }; 50000.times { c = c.curry(1) }; c.parameterTypes");
    ends("def c = { it }; 50000.times { c = c.curry() }; c()");
    ends("def c = { 1 }; 3000.times { def d = c; c = { d() } }; c()");
}

#[test]
fn times_beyond_what_there_is_are_exceptions() {
    let parse = "import java.time.*; import java.time.format.DateTimeFormatter; LocalDateTime.parse";
    let format = "DateTimeFormatter.ofPattern('yyyy-MM-dd HH:mm n')";
    throws(&format!("{parse}('2020-01-01 00:00 9999999999', {format})"), "java.time.format.DateTimeParseException");
    throws("import java.time.*; Duration.ofSeconds(Long.MIN_VALUE).abs()", "java.lang.ArithmeticException");
    throws(
        "import java.time.*; LocalDate.of(2020, 1, 1).plus(Period.ofYears(Integer.MAX_VALUE))",
        "java.time.DateTimeException",
    );
    throws("new Date(Integer.MAX_VALUE, 1, 1)", "java.lang.IllegalArgumentException");
    for source in [
        "def f = new java.text.SimpleDateFormat('HH:mm'); f.setLenient(false); f.parse('-5:00')",
        "import java.time.*; Duration.ofSeconds(Long.MIN_VALUE).getSeconds()",
        "import java.time.*; ZoneOffset.ofHoursMinutes(1, Integer.MAX_VALUE)",
        "import java.time.*; LocalDate.of(2020, 1, 1).minus(Period.of(Integer.MIN_VALUE, Integer.MIN_VALUE, Integer.MIN_VALUE))",
        "import java.time.*; Period.of(Integer.MAX_VALUE, Integer.MAX_VALUE, 0).toTotalMonths()",
        "def d = new Date(Long.MIN_VALUE); d.clearTime(); d",
        "new javax.crypto.spec.SecretKeySpec('ab'.bytes, Integer.MAX_VALUE, Integer.MAX_VALUE, 'HmacSHA256')",
        "new javax.crypto.spec.SecretKeySpec('ab'.bytes, Long.MAX_VALUE, Long.MAX_VALUE, 'HmacSHA256')",
    ] {
        ends(source);
    }
}

/// Each object has the one before around it.
#[test]
fn objects_around_objects_end() {
    let class =
        "class N { def next() { new N() { } }; def look() { try { nothing } catch (e) { } } }\ndef n = new N()\n";
    check(&format!("{class}while (true) n = n.next()"), SIZE);
    check(&format!("{class}1000.times {{ n = n.next() }}; while (true) n.look()"), FUEL);
}

/// Every list of parameters that ends in an array is looked at.
#[test]
fn parameters_with_defaults_are_bounded() {
    let many: Vec<String> = (0..250).map(|i| format!("Object[] a{i} = null")).collect();
    let given = vec!["null"; 125].join(", ");
    check(&format!("def f({}) {{ }}\nwhile (true) f({given})", many.join(", ")), FUEL);
    let more = vec!["x = 1"; 256].join(", ");
    let outcome = run_plain(&format!("def f({more}) {{ }}"), "hostile", &[], MachineLimits::default(), &mut |_| ());
    assert!(matches!(outcome, PlainOutcome::Rejected(_)));
}

/// Holding many arguments against many overloads is work, and so is bringing them.
#[test]
fn choosing_among_overloads_is_paid_for() {
    let arrays: Vec<String> = (0..15).map(|at| format!("Object[] a{at} = null")).collect();
    let overload = |of: usize| format!("class T{of} {{ }}\ndef f(T{of} t, {}) {{ }}\n", arrays.join(", "));
    let methods = (0..20).map(overload).collect::<String>() + "def l = [new T0()] + (1..300).toList()\n";
    let items = "def l = (1..20000).toList(); def m = [:]; l.each { m[it] = it }\n";
    for (source, fuel) in [
        (format!("{methods}5.times {{ f(*l) }}"), 300_000),
        (format!("{methods}5.times {{ try {{ f(l) }} catch (e) {{ }} }}"), 300_000),
        (format!("{methods}5.times {{ f((T0) l[0], *l) }}"), 300_000),
        (format!("{items}200.times {{ [*l].size() }}"), 400_000),
        (format!("{items}20.times {{ [*: m].size() }}"), 400_000),
    ] {
        let limits = MachineLimits { fuel, ..MachineLimits::default() };
        match run_plain(&source, "hostile", &[], limits, &mut |_| ()) {
            PlainOutcome::Limit(limit) => assert!(FUEL.contains(&limit.what), "{source}: {limit:?}"),
            other => panic!("{source}: {other:?}"),
        }
    }
    // What everybody writes costs what it did: a few instructions more.
    let ordinary = "def f(String a) { }\ndef f(Integer a) { }\ndef g(a, b = 1) { }\n1000.times { f(1); f('a'); g(1) }";
    let limits = MachineLimits { fuel: 50_000, ..MachineLimits::default() };
    let outcome = run_plain(ordinary, "ordinary", &[], limits, &mut |_| ());
    assert!(matches!(outcome, PlainOutcome::Finished { .. }), "{outcome:?}");
}

#[test]
fn scripts_as_texts_have_the_limits_of_the_script() {
    check("new ConfigSlurper().parse('while (true) { }')", FUEL);
    check("new ConfigSlurper().parse('def f() { f() }\\na = f()')", DEPTH);
    // Their code stays.
    check("while (true) new ConfigSlurper().parse('a = 1')", SIZE);
    check("new ConfigSlurper().parse('a = 1\\n' * 100000)", HEAP);
    let outside = ["'java'.execute()", "new File('x').text", "System.getenv('HOME')", "new URL('http://a.b').text"];
    for reach in outside {
        throws(&format!("new ConfigSlurper().parse(\"a = {reach}\")"), "java.lang.SecurityException");
    }
    throws("new ConfigSlurper().parse(new URL('http://a.b/c.groovy'))", "java.lang.SecurityException");
    throws("new ConfigSlurper().parse(new File('c.groovy').toURI().toURL())", "java.lang.SecurityException");
    let compilation = "org.codehaus.groovy.control.MultipleCompilationErrorsException";
    throws("new ConfigSlurper().parse('{' * 100000)", compilation);
    throws("new ConfigSlurper().parse('a = ' + '(' * 1000)", compilation);
    check("def c = new ConfigObject(); c.a = c; c.flatten()", DEPTH);
    check("def c = new ConfigObject(); c.a = c; c.b = 1; c.prettyPrint()", DEPTH);
    check("def c = new ConfigObject(); c.a = c; c.b = [:]; def d = new ConfigObject(); d.a = d; c.merge(d)", DEPTH);
}

#[test]
fn statics_and_streams_of_bytes_are_paid_for() {
    check("while (true) Arrays.copyOf(new int[1000], 100000)", FUEL);
    check("Arrays.copyOf(new int[1], Integer.MAX_VALUE)", HEAP);
    check("Arrays.copyOfRange(new int[1], 0, Integer.MAX_VALUE)", HEAP);
    check("def l = [0] * 20000; def part = [0] * 10000 + [1]; while (true) Collections.indexOfSubList(l, part)", FUEL);
    check("def o = new ByteArrayOutputStream(); while (true) o << 'abc' * 100", SIZE);
    check("def l = []; l << l; while (true) Objects.hash(l, l)", FUEL);
    check("def c = Comparator.naturalOrder(); while (true) { c = c.reversed() }", SIZE);
    check("def c = Comparator.naturalOrder(); 2000.times { c = c.reversed() }; c.compare(1, 2)", DEPTH);
    check("def s = new TreeSet({ a, b -> b <=> a }); for (int i = 0; ; i++) s << i", FUEL);
    check("def s; s = new TreeSet({ a, b -> s << a; 1 }); for (int i = 0; ; i++) s << i", DEPTH);
    check("def m; m = new TreeMap({ a, b -> m.clear(); 1 }); for (int i = 0; ; i++) m[i] = i", FUEL);
    check("def q = new PriorityQueue({ a, b -> b <=> a }); for (int i = 0; ; i++) q << i", SIZE);
    check("def m = new TreeMap(String.CASE_INSENSITIVE_ORDER); for (int i = 0; ; i++) m['k' + i] = i", SIZE);
    let nested = "def text = '[' * 190 + '1,' * 50000 + '1' + ']' * 190\n";
    check(&format!("{nested} groovy.json.JsonOutput.prettyPrint(text)"), TEXT);
    ends("def v = 1; for (int i = 0; i < 100000; i++) { def m = [:]; m.a = v; v = m.keySet() }; v = null");
    check("[].withDefault { it }[Integer.MAX_VALUE]", SIZE);
    check("def l; l = [].withDefault { l[it + 1] }; l[0]", DEPTH);
    check("def m = [:]; 20000.times { m['k' + it] = it }; while (true) m.replaceAll { k, v -> v }", FUEL);
}

/// Arguments that are out of every range: an exception, as in Java, and no panic.
#[test]
fn odd_arguments_are_exceptions() {
    for (source, expect) in [
        ("new TreeSet([1, 2, 3]).subSet(3, 1)", "IllegalArgumentException"),
        ("new TreeMap([a: 1, b: 2]).subMap('b', 'a')", "IllegalArgumentException"),
        ("new TreeSet([1, 2, 3]).subSet(2, false, 2, false).size()", ""),
        ("Short.parseShort('1', 99)", "NumberFormatException"),
        ("Byte.parseByte('1', 0)", "NumberFormatException"),
        ("Character.compare(2147483648L, 1)", ""),
        ("'abc'.regionMatches(1, 'abc', 0, Long.MAX_VALUE)", ""),
        ("new StringBuilder('a').deleteCharAt(Integer.MAX_VALUE)", ""),
        ("'abc'[Integer.MAX_VALUE]", "StringIndexOutOfBoundsException"),
    ] {
        match run_plain(source, "odd", &[], MachineLimits::default(), &mut |_| ()) {
            PlainOutcome::Threw(thrown) => assert!(thrown.class().ends_with(expect), "{source}: {}", thrown.class()),
            PlainOutcome::Finished { .. } => assert_eq!(expect, "", "{source}"),
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn annotations_that_write_code_write_no_more_than_so_much() {
    let methods: String = (0..2000).map(|n| format!("def m{n}() {{ {n} }}\n")).collect();
    let delegates = |count: usize| -> String {
        (0..count).map(|n| format!("class D{n} {{ @Delegate T t = new T() }}\n")).collect()
    };
    let script = |count: usize| format!("class T {{\n{methods}}}\n{}new D1().m7()", delegates(count));
    let run = |source: &str| run_plain(source, "hostile", &[], MachineLimits::default(), &mut |_| ());
    let is_refused = |source: &str| match run(source) {
        PlainOutcome::Rejected(found) => found[0].message.contains("annotation"),
        other => panic!("{other:?}"),
    };
    let overloads = |of: &str| -> String { (0..3000).map(|n| format!("def m({of}{n} a) {{ 1 }}\n")).collect() };
    let many: String = (0..300).map(|n| format!("@Delegate B b{n}\n")).collect();
    assert!(is_refused(&format!("class B {{ {} }}\nclass A {{ {}{many} }}", overloads("T"), overloads("U"))));
    let defaults: Vec<String> = (0..20_000).map(|n| format!("a{n} = 1")).collect();
    assert!(is_refused(&format!("class A {{ def m({}) {{ 1 }} }}\nclass B {{ @Delegate A a }}", defaults.join(", "))));
    let fields: String = (0..20_000).map(|n| format!("int f{n}\n")).collect();
    let prefix = "p".repeat(100_000);
    assert!(is_refused(&format!("@groovy.transform.builder.Builder(prefix = '{prefix}') class A {{ {fields} }}")));
    assert!(is_refused(&format!("@groovy.transform.builder.Builder class {} {{ {fields} }}", "A".repeat(1000))));
    assert!(matches!(run(&script(2)), PlainOutcome::Finished { text, .. } if text == "7"));
    match run(&script(500)) {
        PlainOutcome::Rejected(found) => {
            assert!(
                found[0].message.contains("annotations of this class and those before it make more than"),
                "{found:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}
