//! Expressions: templates whose `{…}` stand for further expressions, by the kind of value they give.

use super::Random;

/// What the expressions may use.
pub const PREAMBLE: &str = "\
def i = 3, j = -2, big = 9000000000L, dec = 2.50, dbl = 1.5d, txt = 'hello', nil = null
def nums = [3, 1, 2], words = ['b', 'a', 'cc'], conf = [x: 1, y: 'two', z: null], gs = \"v${i}\"
";

/// What a placeholder is expanded from: its name, what ends it, and what may go deeper.
struct Kind {
    name: &'static str,
    leaves: &'static [&'static str],
    templates: &'static [&'static str],
}

// One template a line would hide what belongs together.
#[rustfmt::skip]
const KINDS: &[Kind] = &[
    Kind {
        name: "a",
        leaves: &[
            "{n}", "{t}", "{l}", "{m}", "{b}", "null", "nil", "gs",
        ],
        templates: &[
            "{n}", "{n}", "{t}", "{t}", "{l}", "{l}", "{m}", "{b}", "{x}",
        ],
    },
    // Whole numbers that are small.
    Kind { name: "i", leaves: &[
            "0", "1", "2", "3", "5", "-1", "-2", "i", "j",
        ], templates: &[] },
    Kind {
        name: "n",
        leaves: &[
            "0", "1", "-1", "7", "10", "3", "i", "j", "2147483647", "-2147483648", "100", "big", "5L", "-3L",
            "9223372036854775807L", "12G", "-7G", "123456789012345678901234567890G", "dec", "1.5", "0.1", "-2.75", "100.00",
            "1e3", "3.14159", "dbl", "2.0d", "-0.5d",
        ],
        templates: &[
            "{n} + {n}", "{n} - {n}", "{n} * {n}", "{n} / {n}", "{n} % {n}", "-({n})", "{n}.abs()", "{n}.intdiv({n})",
            "{i} ** {i}", "{n} ** 2", "{i} << {i}", "{i} >> {i}", "{i} >>> 1", "{i} & {i}", "{i} | {i}", "{i} ^ {i}", "~({i})",
            "{n} as int", "{n} as long", "{n} as double", "{n} as BigDecimal", "{n} as BigInteger",
            "(int) {n}", "(long) {n}", "{n}.toInteger()", "{n}.toLong()", "{n}.toDouble()", "{n}.toBigDecimal()",
            "{n} <=> {n}", "{t}.length()", "{l}.size()", "{nl}.sum()", "{nl}.max()", "{nl}.min()", "{b} ? {n} : {n}",
            "{n}.compareTo({n})", "{n}.hashCode()", "{t}.hashCode()",
            "{l}.hashCode()", "{l}.indexOf({a})", "{l}.count {f}", "{t}.indexOf({t})", "{t}.count({t})",
            "{n}.next()", "{n}.previous()", "{n}.intValue()",
            "{n}.toString().toBigDecimal()", "({n} as BigDecimal).setScale(2, BigDecimal.ROUND_HALF_UP)",
            "({n} as double).round(2)", "{l}.findIndexOf {f}", "Math.max({i}, {i})", "Math.abs({i})",
            "Integer.toString({i}, 2)",
        ],
    },
    Kind {
        name: "t",
        leaves: &[
            "'a'", "'abc'", "'b'", "''", "'hello world'", "'a,b,,c'", "'42'", "'3.5'", "'x1y22'", "' pad '", "txt", "gs",
            "'a.b.c'", "'Ab'", "'line1\\nline2\\n'", "'é€'",
        ],
        templates: &[
            "{t} + {a}", "{n} + {t}", "{t} - {t}", "{t} * {i}", "\"<${{a}}>\"", "\"${{a}}-${{a}}\"", "{t}[{i}]",
            "{t}[{i}..{i}]", "{t}[{i}..<{i}]", "{t}.substring({i})", "{t}.substring({i}, {i})", "{t}.toUpperCase()",
            "{t}.capitalize()", "{t}.trim()", "{t}.reverse()", "{t}.replace({t}, {t})", "{t}.replaceAll({re}, {t})",
            "{t}.replaceFirst({re}, {t})", "{t}.replaceAll({re}) {f}", "{t}.padLeft({i})", "{t}.padLeft(7, '*')",
            "{t}.padRight(6, '-')", "{t}.center(9)", "{t}.take({i})", "{t}.drop({i})", "{l}.join({t})", "{l}.toString()",
            "{m}.toString()", "{a}.inspect()", "{a}.toString()", "String.valueOf({a})", "{t} ?: {t}", "{b} ? {t} : {t}",
            "{t}.toString()", "{tl}.max()", "{tl}.sum()", "{t}.concat({t})", "{t}.minus({t})",
            "{t}.tr('a-c', 'x-z')", "{t}.getAt({i})", "{a}.getClass().name", "{a}.class.simpleName",
            "String.format('%s|%5s|%-4s|', {a}, {t}, {t})", "String.format('%d', {n})", "String.format('%05d', {i})",
            "sprintf('%s %s', {a}, {a})", "{t}.stripIndent()",
            "{t}.stripMargin()", "{t}.uncapitalize()", "{tl}*.toUpperCase().join('')", "{t}.toList().sort().join('')",
            "{t}.collect {f}.join('')", "{tl}.join(',')", "{t}.tokenize(',')[0]", "{t}.split(',')[0]",
        ],
    },
    // Regular expressions.
    Kind {
        name: "re",
        leaves: &[
            "/[a-z]/", "/\\d+/", "/(\\w)(\\w)/", "/l+/", "/^h/", "/\\./", "/,/", "/(?i)A/", "/\\s/", "/x|y/",
        ],
        templates: &[],
    },
    Kind {
        name: "l",
        leaves: &[
            "[]", "[1, 2, 3]", "['a', 'b']", "nums", "words", "[1, 'a', null]", "[[1, 2], [3]]", "(1..4)", "('a'..'c')",
            "[1, 1L, 1.0]", "[null]",
        ],
        templates: &[
            "[{a}, {a}]", "[{n}, {n}, {n}]", "[*{l}, {a}]", "{nl}", "{tl}", "{l} + {a}", "{l} + {l}", "{l} - {a}", "{l} - {l}",
            "{l} * {i}", "{l} << {a}", "{l}.reverse()", "{l}.unique()", "{l}.unique(false)", "{l}.flatten()",
            "{l}.collect {f}", "{l}.findAll {f}", "{l}.each {f}", "{l}.take({i})", "{l}.drop({i})", "{l}.tail()", "{l}.init()",
            "{l}.sort(false) {f}", "{l}.collate(2)", "{l}.indexed().collect { k, v -> [k, v] }",
            "{l}.plus({a})", "{l}.minus({a})", "{l}.intersect({l})", "{l}[{i}..{i}]", "{l}[{i}..<{i}]", "{l}[{i}, {i}]",
            "{l}.collectMany { [it, it] }", "{l}.findResults {f}", "{l}.grep {f}", "{l}.grep({a})", "{l}.takeWhile {f}",
            "{l}.dropWhile {f}", "{l} ?: {l}", "{l} as List", "({l} as Set).toList()", "{l}.toSet().size()",
            "{b} ? {l} : {l}", "[{l}, {l}].transpose()",
            "{l}*.toString()", "{l}*.getClass()*.simpleName", "{t}.toList()", "{t}.split({t}).toList()",
            "{t}.split({re}) as List", "{t}.tokenize({t})", "{t}.findAll({re})", "{t}.readLines()", "{t}.collect {f}",
            "{m}.keySet().toList()", "{m}.values().toList()", "{m}.collect { k, v -> [k, v] }", "{m}.collect { it.key }",
            "{l}.subList(0, 1)", "{l}.asImmutable()", "({i}..{i}).toList()", "({i}..<{i}).toList()",
            "({i}..{i}).step(2)", "{l}.swap(0, 1)", "{l}.split {f}", "{l}.head()", "{l}.partition {f}",
            "{l}.groupBy {f}.values().toList()", "{nl}.sort()", "{tl}.sort()", "{l}.sort(false)", "{nl}.toSorted { -it }",
            "{nl}.sort(false) { a, b -> b <=> a }", "{l}.findIndexValues {f}", "{l}.eachWithIndex { v, k -> v }",
            "{l}.reverseEach {f}", "{l}.toArray().toList()", "{l}.multiply({i})",

        ],
    },
    // Lists of numbers, lists of strings.
    Kind {
        name: "nl",
        leaves: &[
            "nums", "[1, 2, 3]", "[5, 3, 9, 1]", "[1, 2.5, 3L]", "[-1, 0, 1]", "[2.0, 1.00, 3]", "(1..5)", "[10G, 2, 3.5d]",
        ],
        templates: &[
            "[{n}, {n}]", "{nl}.collect { it * 2 }", "{nl}.findAll { it > 1 }", "{nl} + {n}", "{nl} - {n}", "{nl}.reverse()",
            "{nl}.take(2)", "{tl}*.size()", "{nl}.collect {h}",
        ],
    },
    Kind {
        name: "tl",
        leaves: &[
            "words", "['a', 'b', 'c']", "['x', 'yy', 'zzz']", "['b', 'A', 'a', 'B']", "['10', '9', '1']", "['']",
        ],
        templates: &[
            "[{t}, {t}]", "{tl}*.reverse()", "{tl} + {t}", "{tl}.collect { it + it }", "{tl}.findAll { it.size() > 1 }",
            "{t}.tokenize()", "{tl}.sort(false) { it.size() }",
        ],
    },
    Kind {
        name: "m",
        leaves: &[
            "[:]", "[a: 1]", "[a: 1, b: 2, c: 3]", "conf", "[1: 'x', 2: 'y']", "[b: [c: 2]]", "[true: 1]",
        ],
        templates: &[
            "[a: {a}, b: {a}]", "[({a}): {a}]", "[(gs): {a}]", "{m} + {m}", "{m} - {m}", "{m} << [k: {a}]",
            "{m}.findAll { k, v -> v }", "{m}.findAll { it.value == {a} }", "{m}.collectEntries { k, v -> [v, k] }",
            "{m}.collectEntries { [it.key, {a}] }", "{l}.collectEntries { [it, {a}] }", "{l}.groupBy {f}", "{l}.countBy {f}",
            "{m}.sort { it.value.toString() }", "{m}.sort { a, b -> b.key.toString() <=> a.key.toString() }",
            "{m}.each { k, v -> v }", "{m}.subMap(['a', 'b'])", "{m}.take(1)", "{m}.drop(1)", "{m}.groupBy { it.value }",
            "{m} ?: {m}", "{b} ? {m} : {m}", "{l}.withIndex().collectEntries { v, k -> [k, v] }",
            "{m}.plus({m})", "[*: {m}, z: {a}]", "{tl}.collectEntries { [it, it.size()] }", "{m}.withDefault { {a} }",
            "{m}.inject([:]) { r, k, v -> r[k] = v; r }", "{m}.asImmutable()",
            "new TreeMap([b: {a}, a: {a}])", "new HashMap({m})",
        ],
    },
    Kind {
        name: "b",
        leaves: &["true", "false"],
        templates: &[
            "{a} == {a}", "{a} != {a}", "{n} < {n}", "{n} >= {n}", "{n} == {n}", "{t} == {t}", "{t} < {t}",
            "!{a}", "{b} && {a}", "{b} || {a}", "{b} ^ {b}", "{a} in {l}", "{a} in {m}", "{n} in {i}..{i}",
            "{a} instanceof Number", "{a} instanceof CharSequence", "{a} instanceof List", "{a} instanceof Map",
            "{a} instanceof Comparable", "{l}.contains({a})", "{l} == {l}", "{m} == {m}", "{l}.any {f}", "{l}.every {f}",
            "{t}.contains({t})", "{t}.startsWith({t})", "{t}.isNumber()", "{t}.isInteger()", "{t}.toBoolean()", "{t} ==~ {re}",
            "({t} =~ {re}) as boolean", "({t} =~ {re}).find()", "{m}.containsKey({a})", "{m}.containsValue({a})",
            "{a}.equals({a})", "{a} as boolean", "{a} ? true : false", "{l}.isEmpty()", "{l}.empty", "{m}.any { k, v -> v }",
            "{m}.every { it.value }", "{l}.containsAll({l})", "{t}.matches({re})", "{a}.asBoolean()",
            "{a}.is(null)", "{t} <=> {t} == 0", "{n}.equals({n})", "{t}.equalsIgnoreCase({t})", "{l}.equals({l})",
            "{a} == null", "nil == {a}",
        ],
    },
    // Other things: parts of collections, conversions, calls.
    Kind {
        name: "x",
        leaves: &["{n}"],
        templates: &[
            "{nl}.inject {g}", "{nl}.inject({n}) {g}", "{n} as String", "{l}[{i}]", "{m}.a", "{m}['a']", "{m}[{a}]", "{m}.get('a')", "{m}.get('q', {a})", "{l}.first()", "{l}.last()",
            "{l}.find {f}", "{l}.max()", "{l}.min()", "{l}.max {f}", "{l}.min {f}", "{l}.sum()",
            "{l}.get({i})", "{l}.findResult {f}", "{m}.find { k, v -> v }",
            "{m}.find { it.value }?.key", "{m}.max { it.value.toString() }?.key", "{a} ?: {a}", "{a}?.toString()", "nil?.foo",
            "nil?.foo()", "{a}.with {f}", "{t} as int", "{t}.toInteger()", "{t}.toDouble()",
            "{a} as String", "{l} as Set", "{n} as char", "({t} =~ {re})[0]",
            "({t} =~ {re}).collect { it }", "({t} =~ {re}).size()", "[{a}, {a}].with { a, b -> a }", "({f}).call({a})",
            "({f})({a})", "({f} >> {f})({a})",
            "({f} << {f})({a})", "{a}.foo", "{a}.foo({a})", "{t}.&length", "[{f}, {f}]*.call({a})", "{nl}.size",
            "{a}.size()", "{a} * {i}", "{l}.pop()", "{l}.remove({i})",
            "{m}.remove('a')", "{m}.put('k', {a})", "{l}.add({a})", "(1..3).inject {g}", "{i}.upto(4) {f}", "{i}.times {f}",
            "{t} =~ {re} ? {a} : {a}", "{m}.x?.y", "{m}*.key", "{m}*.value", "{m}.entrySet().collect { it.key }", "({g}).curry({n})({n})", "({g}).rcurry({t})({t})", "{l} + {l}",
            "{m}.inject(0) { r, k, v -> \"$r$k\" }", "{m}.collectMany { k, v -> [k, v] }", "{m}.findResult { k, v -> v }",
            "{m}.eachWithIndex { k, v, n -> n }", "{t}.each {f}", "{t}.eachWithIndex { c, k -> c }",
            "{l}.join()", "Arrays.asList({a}, {a})", "{l}.iterator().next()", "{l}.listIterator().toList()",
            "new ArrayList({l})", "new StringBuilder({t}).append({a}).reverse().toString()", "'x'.with { [it, {a}] }",
            "{l}.toSet()", "{l} as HashSet",
        ],
    },
    // Closures of one value, of a number, of two.
    Kind {
        name: "f",
        leaves: &[
            "{ it }", "{ it.toString() }", "{ \"<$it>\" }", "{ [it] }", "{ null }", "{ it == 1 }", "{ !it }",
            "{ it instanceof Number }", "{ x -> x }", "{ it ?: 0 }", "{ it.size() }", "{ -> 5 }", "{ it.hashCode() % 2 }",
        ],
        templates: &[
            "{ it == {a} }", "{ {a} }", "{ it in {l} }",
            "{ \"$it\" + {t} }",
        ],
    },
    Kind {
        name: "h",
        leaves: &[
            "{ it + 1 }", "{ -it }", "{ it % 2 }", "{ it / 2 }", "{ it * 1.5 }",
        ],
        templates: &["{ it + {n} }", "{ it * {i} }"],
    },
    Kind {
        name: "g",
        leaves: &[
            "{ a, b -> a }", "{ a, b -> b }", "{ a, b -> a + b }", "{ a, b -> [a, b] }", "{ a, b -> \"$a$b\" }",
            "{ a, b -> a ?: b }",
        ],
        templates: &[],
    },
];

/// Any expression.
pub fn any(random: &mut Random, depth: u32) -> String {
    expand(random, "a", depth)
}

/// An expression of a kind (`n`, `t`, `l`, `m`, `b` …).
pub fn expand(random: &mut Random, kind: &str, depth: u32) -> String {
    let kind = KINDS.iter().find(|k| k.name == kind).expect("a placeholder names a kind");
    let deeper = depth > 0 && !kind.templates.is_empty() && !random.one_in(4);
    let template = if deeper { random.pick(kind.templates) } else { random.pick(kind.leaves) };
    let text = fill(random, template, depth.saturating_sub(1));
    let closed = template.starts_with('{') && kind.name.len() == 1 && "fgh".contains(kind.name)
        || template.ends_with('}') && template.len() <= 4;
    if deeper && !closed { format!("({text})") } else { text }
}

fn fill(random: &mut Random, template: &str, depth: u32) -> String {
    let (mut out, mut rest) = (String::new(), template);
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let name = rest[1..].split('}').next().unwrap_or_default();
        if !name.is_empty() && name.len() <= 2 && KINDS.iter().any(|k| k.name == name) {
            out.push_str(&expand(random, name, depth));
            rest = &rest[name.len() + 2..];
        } else {
            out.push('{');
            rest = &rest[1..];
        }
    }
    out + rest
}
