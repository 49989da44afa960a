//! Jenkins' own tests of values: a script, and the Java expression that its result equals.

use std::collections::BTreeSet;
use std::path::PathBuf;

use groovy::machine::{MachineLimits, PlainOutcome, run_plain};
use groovy::value::Value;

/// A Java expression of the table, as far as the table uses them.
#[derive(Debug)]
enum Expected {
    Null,
    Bool(bool),
    Int(i64),
    Long(i64),
    Decimal(String),
    Text(String),
    List(Vec<Expected>),
    Set(Vec<Expected>),
    Map(Vec<(Expected, Expected)>),
    Entry(Box<Expected>, Box<Expected>),
    Class(String),
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
}

fn tokens(text: &str) -> Vec<String> {
    let (mut out, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        if c == '"' {
            let mut token = String::from('"');
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => token.extend(chars.next().map(|e| if e == 'n' { '\n' } else { e })),
                    c => token.push(c),
                }
            }
            out.push(token);
        } else if c.is_alphanumeric() {
            let mut token = String::from(c);
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric()) {
                token.push(c);
            }
            out.push(token);
        } else if !c.is_whitespace() {
            out.push(c.to_string());
        }
    }
    out
}

impl Reader {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        let hit = self.peek() == token;
        self.at += usize::from(hit);
        hit
    }

    fn items(&mut self, close: &str) -> Option<Vec<Expected>> {
        let mut out = Vec::new();
        while !self.eat(close) {
            out.push(self.value()?);
            self.eat(",");
        }
        Some(out)
    }

    fn value(&mut self) -> Option<Expected> {
        let mut left = self.operand()?;
        while matches!(self.peek(), "*" | "/") {
            let op = self.next();
            let right = self.operand()?;
            let (Expected::Int(a), Expected::Int(b)) = (&left, &right) else { return None };
            left = Expected::Int(if op == "*" { a * b } else { a / b });
        }
        Some(left)
    }

    fn operand(&mut self) -> Option<Expected> {
        let token = self.next();
        if let Some(text) = token.strip_prefix('"') {
            return Some(Expected::Text(text.into()));
        }
        if token == "-" {
            return match self.operand()? {
                Expected::Int(n) => Some(Expected::Int(-n)),
                _ => None,
            };
        }
        if token.starts_with(|c: char| c.is_ascii_digit()) {
            return match token.strip_suffix('L') {
                Some(digits) => digits.parse().ok().map(Expected::Long),
                None => token.parse().ok().map(Expected::Int),
            };
        }
        self.word(&token)
    }

    fn word(&mut self, token: &str) -> Option<Expected> {
        match token {
            "true" | "false" => return Some(Expected::Bool(token == "true")),
            "null" => return Some(Expected::Null),
            "new" => return self.new_object(),
            _ => {}
        }
        let mut name = token.to_string();
        while self.eat(".") {
            name = format!("{name}.{}", self.next());
        }
        if let Some(class) = name.strip_suffix(".class") {
            return Some(Expected::Class(class.into()));
        }
        if let Some(constant) = name.strip_prefix("Boolean.") {
            return Some(Expected::Bool(constant == "TRUE"));
        }
        if !self.eat("(") {
            return None;
        }
        let args = self.items(")")?;
        match name.as_str() {
            "asList" | "List.of" | "Arrays.asList" => Some(Expected::List(args)),
            "set" | "Set.of" => Some(Expected::Set(args)),
            "map" | "Map.of" | "Collections.emptyMap" => self.entry_of(pairs(args)),
            "InvokerHelper.createMap" => match args.into_iter().next() {
                Some(Expected::List(items)) => Some(Expected::Map(pairs(items))),
                _ => None,
            },
            "mapEntry" => {
                let (key, value) = pairs(args).pop()?;
                Some(Expected::Entry(Box::new(key), Box::new(value)))
            }
            _ => None,
        }
    }

    /// `map(…)`, or `map(…).entrySet().iterator().next()`.
    fn entry_of(&mut self, mut pairs: Vec<(Expected, Expected)>) -> Option<Expected> {
        let rest = self.tokens[self.at..].join("");
        if rest.starts_with(".entrySet().iterator().next()") {
            self.at += 12;
            let (key, value) = pairs.pop()?;
            return Some(Expected::Entry(Box::new(key), Box::new(value)));
        }
        Some(Expected::Map(pairs))
    }

    fn new_object(&mut self) -> Option<Expected> {
        match self.next().as_str() {
            "BigDecimal" => {
                self.eat("(");
                let text = self.next().trim_start_matches('"').to_string();
                self.eat(")");
                Some(Expected::Decimal(text))
            }
            "IntRange" => {
                self.eat("(");
                match self.items(")")?.as_slice() {
                    [Expected::Bool(inclusive), Expected::Int(a), Expected::Int(b)] => {
                        let end = if *inclusive { *b } else { b - 1 };
                        Some(Expected::List((*a..=end).map(Expected::Int).collect()))
                    }
                    _ => None,
                }
            }
            "Object" => {
                let _ = (self.eat("["), self.eat("]"), self.eat("{"));
                Some(Expected::List(self.items("}")?))
            }
            _ => None,
        }
    }
}

fn pairs(args: Vec<Expected>) -> Vec<(Expected, Expected)> {
    let mut args = args.into_iter();
    let mut out = Vec::new();
    while let (Some(key), Some(value)) = (args.next(), args.next()) {
        out.push((key, value));
    }
    out
}

fn parse(text: &str) -> Option<Expected> {
    let mut reader = Reader { tokens: tokens(text), at: 0 };
    let value = reader.value()?;
    (reader.at == reader.tokens.len()).then_some(value)
}

fn fits(expected: &Expected, value: &Value) -> bool {
    let all = |items: &[Expected], values: &[Value]| {
        items.len() == values.len() && items.iter().zip(values).all(|(e, v)| fits(e, v))
    };
    match (expected, value) {
        (Expected::Null, Value::Null) => true,
        (Expected::Bool(b), Value::Bool(v)) => b == v,
        (Expected::Int(n), Value::Int(v)) => *n == i64::from(*v),
        (Expected::Long(n), Value::Long(v)) => n == v,
        (Expected::Decimal(text), Value::Decimal(_)) => *text == value.to_text(),
        (Expected::Text(text), Value::Str(v)) => **text == **v,
        (Expected::List(items), Value::List(_) | Value::Range(_)) => all(items, &value.items().unwrap()),
        (Expected::Set(items), Value::Set(s)) => {
            items.len() == s.len() && items.iter().all(|e| s.keys().iter().any(|k| fits(e, k)))
        }
        (Expected::Map(pairs), Value::Map(m)) => {
            let has = |k: &Expected, v: &Expected| m.entries().iter().any(|(a, b)| fits(k, &a.0) && fits(v, b));
            pairs.len() == m.len() && pairs.iter().all(|(k, v)| has(k, v))
        }
        (Expected::Entry(k, v), Value::Entry(e)) => fits(k, &e.key) && fits(v, &e.value.borrow()),
        (Expected::Class(name), Value::Class(c)) => c.simple_name() == *name,
        _ => false,
    }
}

fn passes(script: &str, expected: &str) -> Result<(), String> {
    let Some(wanted) = parse(expected) else { return Err(format!("cannot read the expectation {expected}")) };
    match run_plain(script, "Jenkinsfile", &[], MachineLimits::default(), &mut |_| ()) {
        PlainOutcome::Finished { value, .. } if fits(&wanted, &value) => Ok(()),
        other => Err(format!("expected {expected}, got {other:?}")),
    }
}

#[test]
fn values_of_the_conformance_table() {
    let directory = std::env::var_os("COFFERDAM_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    );
    let Ok(table) = std::fs::read_to_string(directory.join("groovy-values.jsonl")) else {
        println!("skipped: not found: groovy-values.jsonl");
        return;
    };
    let listed: BTreeSet<&str> = include_str!("values-expected-failures.txt")
        .lines()
        .filter(|l| !l.starts_with("# "))
        .filter_map(|l| l.split(" # ").next())
        .map(str::trim)
        .collect();
    let (mut passed, mut wrong) = (0, Vec::new());
    for line in table.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let (id, script) = (case["id"].as_str().unwrap(), case["script"].as_str().unwrap());
        match (passes(script, case["expected"].as_str().unwrap()), listed.contains(id)) {
            (Ok(()), false) => passed += 1,
            (Err(_), true) => {}
            (Ok(()), true) => wrong.push(format!("{id}: passes; take it off the list")),
            (Err(why), false) => wrong.push(format!("{id}: {why}\n{script}")),
        }
    }
    println!("{passed} passed, {} listed", listed.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
