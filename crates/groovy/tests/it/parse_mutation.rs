//! Random mutations of real text, the same in every run: the front end never panics, always ends, and its spans lie
//! inside the text. The fuzz target under `fuzz/` checks the same without end.

use groovy::ast::{Script, Stmt};
use groovy::parser::sexpr;
use groovy::span::Span;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

const WORDS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "'''",
    "\"\"\"",
    "/",
    "$/",
    "/$",
    "${",
    "$",
    "\\",
    "\n",
    "\r\n",
    "\\u0041",
    "\\u",
    "->",
    ".",
    "?.",
    "*.",
    ".&",
    ".@",
    ":",
    "?",
    "?:",
    ",",
    ";",
    "=",
    "==",
    "<",
    ">",
    ">>>",
    "<<=",
    "..",
    "..<",
    "*",
    "**",
    "!",
    "~",
    "-",
    "++",
    "@",
    "@A(",
    "as ",
    "in ",
    "new ",
    "def ",
    "if ",
    "else ",
    "for (",
    "while ",
    "switch (",
    "case ",
    "default:",
    "try ",
    "catch (",
    "class A ",
    "enum ",
    "interface ",
    "return ",
    "import ",
    "package ",
    "static ",
    "final ",
    "int ",
    "String ",
    "List<",
    "a",
    "B",
    "0x",
    "1e",
    "1.5g",
    "9_9",
    "ä",
    "→",
    "\u{feff}",
    "\u{a0}",
    "\0",
    "//",
    "/*",
    "*/",
    "#!",
    "label: ",
    "this",
    "super(",
];

const SEEDS: &[&str] = &[
    include_str!("data/verdicts.txt"),
    "pipeline {\n  agent any\n  stages {\n    stage('a')\n    {\n      steps { sh script: \"x ${y ?: 'z'}\", label: 'b' }\n    }\n  }\n}\n",
    "@Library('a') _\ndef f(Map m = [:], Closure c = null) { m.each { k, v -> echo \"$k=${v}\" }; c?.call() }\n",
    "class A<T> extends B implements C { A() { super(1) } static { } int x = 1, y; enum D { E, F(1) { } ; def g } }\n",
];

fn check_span(span: Span, text: &str, what: &str) {
    let (start, end) = (span.start as usize, span.end as usize);
    assert!(start <= end && end <= text.len(), "{what}: {span:?} of {} bytes", text.len());
    assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{what}: {span:?} cuts a character");
}

fn check_stmt(stmt: &Stmt, text: &str) {
    check_span(stmt.span, text, "statement");
    if let groovy::ast::StmtKind::Expr(e) = &stmt.kind {
        check_span(e.span, text, "expression");
        assert!(stmt.span.start <= e.span.start && e.span.end <= stmt.span.end, "an expression outside its statement");
    }
}

fn check_script(script: &Script, text: &str) {
    script.body.iter().for_each(|s| check_stmt(s, text));
    script.imports.iter().for_each(|i| check_span(i.span, text, "import"));
    script.classes.iter().for_each(|c| check_span(c.span, text, "class"));
    for method in &script.methods {
        check_span(method.span, text, "method");
        check_span(method.name_span, text, "name");
        method.body.iter().flat_map(|b| &b.stmts).for_each(|s| check_stmt(s, text));
    }
}

fn check(text: &str) {
    let parsed = groovy::parse(text);
    for diagnostic in &parsed.diagnostics {
        check_span(diagnostic.span, text, &diagnostic.message);
        assert!(!diagnostic.message.is_empty());
    }
    check_script(&parsed.script, text);
    let printed = sexpr::script(&parsed.script);
    assert!(parsed.has_errors() || !printed.contains("<error>"), "an error without a diagnostic: {text:?}");
}

/// A piece of a seed, at most 600 bytes, at character boundaries.
fn piece(random: &mut Random) -> String {
    let seed = SEEDS[random.below(SEEDS.len())];
    let mut start = random.below(seed.len());
    while !seed.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = (start + 1 + random.below(600)).min(seed.len());
    while !seed.is_char_boundary(end) {
        end += 1;
    }
    seed[start..end].to_owned()
}

fn mutate(text: &mut String, random: &mut Random) {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    match random.below(4) {
        0 => {
            drop(text.drain(at..(at + random.below(8)..=text.len()).find(|e| text.is_char_boundary(*e)).unwrap_or(at)))
        }
        1 => text.truncate(at),
        _ => text.insert_str(at, WORDS[random.below(WORDS.len())]),
    }
}

#[test]
fn mutated_texts() {
    let mut random = Random(2024);
    for _ in 0..3_000 {
        let mut text = piece(&mut random);
        for _ in 0..random.below(12) {
            mutate(&mut text, &mut random);
        }
        check(&text);
    }
}

#[test]
fn random_words() {
    let mut random = Random(77);
    for _ in 0..3_000 {
        let words = random.below(40);
        let text: String = (0..words).map(|_| WORDS[random.below(WORDS.len())]).collect();
        check(&text);
    }
}

#[test]
fn every_prefix_of_a_text() {
    for seed in &SEEDS[1..] {
        for end in (0..=seed.len()).filter(|e| seed.is_char_boundary(*e)) {
            check(&seed[..end]);
        }
    }
}

#[test]
fn invalid_utf8_made_valid() {
    let mut random = Random(5);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
        check(&String::from_utf8_lossy(&bytes));
    }
}
