//! What people see: place, message and hint; several errors in one file.

use groovy::span::LineIndex;

/// `line:column: message (hint)` of every diagnostic.
fn diagnostics(input: &str) -> Vec<String> {
    let index = LineIndex::new(input);
    let line = |d: &groovy::diagnostic::Diagnostic| {
        let place = index.place(input, d.span.start);
        let hint = d.hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
        format!("{}:{}: {}{hint}", place.line, place.column, d.message)
    };
    groovy::parse(input).diagnostics.iter().map(line).collect()
}

#[track_caller]
fn check(input: &str, expect: &[&str]) {
    assert_eq!(diagnostics(input), expect, "{input}");
}

#[test]
fn numbers_with_underscores_end_with_a_digit() {
    let check = |input: &str, column: usize, found: &str| {
        let said = diagnostics(input);
        let expect = format!("1:{column}: expecting token in range: '0'..'9', found '{found}'");
        assert_eq!(said.first(), Some(&expect), "{input}");
    };
    check("123_ABC = 'x'", 5, "A");
    check("1_A = 'x'", 3, "A");
    check("x = 1__", 8, "<EOF>");
    check("x = 1_\ny", 7, "\\n");
}

#[test]
fn broken_strings() {
    check(
        "echo 'abc\necho 'def'\n",
        &[
            "1:6: this string is not closed on its line (end it with `'`, or use triple quotes for a text of several lines)",
        ],
    );
    check(
        "echo \"a ${b\"\nc\n",
        &[r#"1:12: this string is not closed on its line (end it with `"`; or the `${` before it lacks its `}`)"#],
    );
    check("x = \"\"\"abc\ndef\n", &[r#"1:5: this string (""") is never closed (end it with `"""`)"#]);
    check("x = \"\"\"${a\n", &["1:9: this `{` is never closed"]);
    check(
        "x = 'a\\d'\n",
        &["1:7: `\\d` is not an escape sequence (write `\\\\` for a backslash, or use a /…/ string)"],
    );
    check(
        "x = \"costs $5\"\n",
        &[
            "1:12: a `$` in a double-quoted string must be followed by a name or `{` (write `\\$` for a plain dollar sign, or use '…')",
        ],
    );
    check(
        "x = \"${a(\n)}\"\n",
        &[
            r#"1:5: this string must end on the line where it starts, also inside its `${…}` (use triple quotes ("""…""") for a text of several lines)"#,
        ],
    );
    check(
        "// c:\\users\n",
        &[
            "1:6: `\\u` must be followed by four hexadecimal digits (Groovy reads `\\u` as a Unicode escape everywhere, also in comments; write `\\\\u` or use `/`)",
        ],
    );
    check("/* a\nb\n", &["1:1: this comment is never closed (end it with `*/`)"]);
}

#[test]
fn common_mistakes() {
    check("if a { b }\n", &["1:4: expected `(`, found `a` (the condition stands in parentheses)"]);
    check(
        "if (a = b) { c }\n",
        &["1:7: `=` cannot stand in a condition (compare with `==`; for an assignment write `((a = b))`)"],
    );
    check(
        "do { a } while (b)\n",
        &[
            "1:1: expected a statement, found `do` (Groovy 2.4 has no `do … while`; use `while (true) { … if (…) break }`)",
        ],
    );
    check(
        "return sh script: 'x'\n",
        &[
            "1:11: expected the end of the statement, found `script` (a call without parentheses must be a statement of its own or stand behind `=`; write `sh(…)`, or add the missing comma)",
        ],
    );
    check(
        "foo(a b)\n",
        &[
            "1:7: expected `,` or `)`, found `b` (a call without parentheses must be a statement of its own or stand behind `=`; write `a(…)`, or add the missing comma)",
        ],
    );
    check("def if = 1\n", &["1:5: expected a name to declare, found `if`"]);
    check("x = a !in b\n", &["1:8: expected an expression, found `in` (write `!(a in b)` or `!(a instanceof B)`)"]);
    check(
        "x = (a) -> b\n",
        &["1:9: expected the end of the statement, found `->` (a function is written `{ x -> … }` in Groovy 2.4)"],
    );
    check(
        "x = a::b\n",
        &[
            "1:6: expected the end of the statement, found `:` (a method is referred to by `object.&method` in Groovy 2.4)",
        ],
    );
    check(
        "x = new int[] { 1 }\n",
        &["1:13: an array needs a size (Groovy 2.4 has no array initializers; write `[a, b] as int[]`)"],
    );
    check("try { a }\n", &["1:1: a `try` needs a `catch` or a `finally`"]);
    check(
        "try (a) { b } finally { c }\n",
        &[
            "1:5: Groovy 2.4 has no `try` with resources (close the resource in `finally`, or use `.withCloseable { … }`)",
        ],
    );
    check("# comment\n", &["1:1: unexpected character `#` (a comment starts with `//`)"]);
    check(
        "{ a }\n",
        &[
            "1:1: a `{ … }` cannot stand alone (a closure needs its arrow (`{ -> … }`), a block a label (`name: { … }`); if it belongs to the call before it, put both on one line)",
        ],
    );
    check("f(x: 1, x: 2)\n", &["1:9: Duplicate named parameter 'x' found."]);
    check(
        "x = [a: 1, b]\n",
        &[
            "1:12: an entry without a key stands in a map (write `key: value`, or `*: map` for the entries of another map)",
        ],
    );
    check(
        "class A { foo() { } }\n",
        &[
            "1:11: expected a field or method, found `foo` (a method needs `def` or a type, a field too; statements stand inside methods)",
        ],
    );
    check(
        "def f() { def g() { } }\n",
        &["1:15: a method cannot be declared inside a block (move `g` to the top level, or write `def g = { … }`)"],
    );
    check(
        "for (int i = 0, j = 1; i < 2; i++) { }\n",
        &["1:15: a `for` loop has one variable only (declare the others before the loop)"],
    );
    check(
        "else { }\n",
        &["1:1: expected a statement, found `else` (an `else` follows the statement or `}` of its `if` directly)"],
    );
    check("a ?= b\n", &["1:4: expected an expression, found `=` (write `a = a ?: b`)"]);
    check("switch (a) { case 1: }\n", &["1:22: a `case` needs a statement (write `break`)"]);
    check("import a.b.\n", &["2:1: expected `*`, found the end of the file"]);
    check(
        "(sh 'x')\n",
        &[
            "1:5: expected `)`, found a string (a call without parentheses must be a statement of its own or stand behind `=`; write `sh(…)`, or add the missing comma)",
        ],
    );
    check("x = a ? b\n", &["2:1: expected `:` of the conditional, found the end of the file"]);
}

#[test]
fn several_errors() {
    check(
        "a b = = c\nd ) e\nf(]\n",
        &[
            "1:7: expected an expression, found `=`",
            "2:3: expected the end of the statement, found `)`",
            "3:3: expected an expression, found `]`",
        ],
    );
    check(
        "pipeline {\n  stage('a') {\n    sh 'x\n    foo(a b)\n  }\n  if c { }\n}\n",
        &[
            "3:8: this string is not closed on its line (end it with `'`, or use triple quotes for a text of several lines)",
            "4:11: expected `,` or `)`, found `b` (a call without parentheses must be a statement of its own or stand behind `=`; write `a(…)`, or add the missing comma)",
            "6:6: expected `(`, found `c` (the condition stands in parentheses)",
        ],
    );
    check(
        "hey-look = 1\n'x' = 2\n\"a$b\" = 3\nf(x) = 4\n",
        &[
            "1:1: (hey - look) is a binary expression, but it should be a variable expression (a variable, property or element stands before `=`)",
            "2:1: [x] is a constant expression, but it should be a variable expression (a variable, property or element stands before `=`)",
            r#"3:1: "a$b" is a GString expression, but it should be a variable expression (a variable, property or element stands before `=`)"#,
            r#"4:1: "f(x)" is a method call expression, but it should be a variable expression (a variable, property or element stands before `=`)"#,
        ],
    );
}

#[test]
fn unclosed_brackets() {
    check(
        "pipeline {\n  agent any\n  stages {\n    stage('a') {\n      steps { sh 'x' }\n    }\n  }\n",
        &["1:10: this `{` is never closed"],
    );
    check(
        "node {\n  stage('a') {\n    sh 'x'\n  stage('b') {\n    sh 'y'\n  }\n}\n",
        &[
            "1:6: this `{` is never closed (the `{` on line 2 is closed by the `}` on line 7, which is indented differently: a `}` is probably missing before it)",
        ],
    );
    check(
        "a {\n  b\n}\n}\nc\n",
        &["4:1: this `}` closes nothing (a `{` before it is missing, or this brace is one too many)"],
    );
    check(
        "foo(a, b\nbar(c)\n",
        &["2:1: expected `,` or `)`, found `bar` (the `(` that is open here stands on line 1)"],
    );
    check("foo(a]\n", &["1:6: expected `,` or `)`, found `]` (the `(` that is open here stands on line 1)"]);
    check("x = [1, 2\ny = 3\n", &["2:1: expected `,` or `]`, found `y` (the `[` that is open here stands on line 1)"]);
    check("a\nf(\n", &["2:2: this `(` is never closed"]);
    check("a\nf(b,\n  c\n", &["2:2: this `(` is never closed"]);
}
