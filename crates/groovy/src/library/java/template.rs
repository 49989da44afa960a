//! Templates of text (`groovy.text`): the text becomes a closure that writes to `out`.

use std::rc::Rc;

use crate::ast::Block;
use crate::compile::{Code, Mode, compile_closure, compile_script};
use crate::diagnostic::Severity;
use crate::library::Answer;
use crate::machine::{Ctx, Fault, ScriptId};
use crate::span::Span;
use crate::value::{Closure, ClosureCode, Value};

/// Bytes of a template that are read for the price of an instruction.
const BYTES_AT_ONCE: usize = 4;

/// What a script prints that is the template itself (`SimpleTemplateEngine`).
const PRINTS: &[(&str, &str)] = &[
    ("print", "def print = { x -> out << x }\n"),
    ("println", "def println = { x = '' -> out << x << '\\n' }\n"),
    ("printf", "def printf = { format, Object... all -> out << sprintf(format, *all) }\n"),
];

/// The code of a template. `plain`: a backslash is a backslash (`StreamingTemplateEngine`). `prints`: what it prints is its text.
fn code_of(text: &str, plain: bool, prints: bool) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    for (_, code) in PRINTS.iter().filter(|(name, _)| prints && is_called(text, name)) {
        out.push_str(code);
    }
    let mut rest = text;
    let mut open = false;
    // Text stands in triple quotes, so that `$x` and `${x}` are the language's own.
    let start = |out: &mut String, open: &mut bool| {
        if !*open {
            out.push_str("out << \"\"\"");
            *open = true;
        }
    };
    let end = |out: &mut String, open: &mut bool| {
        if *open {
            out.push_str("\"\"\"\n");
            *open = false;
        }
    };
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("<%") {
            let close = after.find("%>").unwrap_or(after.len());
            let (inner, next) = (&after[..close], after.get(close + 2..).unwrap_or(""));
            match inner.strip_prefix('=') {
                Some(expression) => {
                    start(&mut out, &mut open);
                    out.push_str(&format!("${{{expression}}}"));
                }
                None => {
                    end(&mut out, &mut open);
                    out.push_str(inner);
                    out.push('\n');
                }
            }
            rest = next;
            continue;
        }
        start(&mut out, &mut open);
        if rest.starts_with("${") {
            let size = expression_size(rest);
            out.push_str(&rest[..size]);
            rest = &rest[size..];
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        match c {
            '"' => out.push_str("\\\""),
            '\\' if plain && !rest.starts_with("\\$") => out.push_str("\\\\"),
            // A dollar sign that begins no name is text.
            '$' if !rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '_') => out.push_str("\\$"),
            '\\' => {
                out.push('\\');
                let next = rest[1..].chars().next();
                out.extend(next);
                rest = &rest[1 + next.map_or(0, char::len_utf8)..];
                continue;
            }
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    end(&mut out, &mut open);
    out
}

/// Whether a name is called somewhere, and nowhere declared: a variable of that name is itself.
fn is_called(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let mut called = false;
    for (at, _) in text.match_indices(name) {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        if before.ends_with(is_word) || after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        if before.trim_end().ends_with("def") {
            return false;
        }
        let argument = after.trim_start_matches(' ');
        let starts = |c: char| c.is_alphanumeric() || matches!(c, '"' | '\'' | '$' | '[');
        let spaced = argument.len() < after.len() && argument.starts_with(starts) && !argument.starts_with("in ");
        called |= argument.starts_with('(') || spaced;
    }
    called
}

/// Length of `${…}`, with what is nested in it.
fn expression_size(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

pub(super) fn statics(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let ("$closure", [text, plain, prints]) = (name, args) else { return Ok(None) };
    let text = ctx.text(text)?;
    ctx.pay(text.len() / BYTES_AT_ONCE)?;
    let code = code_of(&text, plain.truth(), prints.truth());
    let parsed = crate::parser::parse(&code);
    let failed = |ctx: &Ctx<'_>, message: &str| -> Fault {
        ctx.fail("groovy.lang.GroovyRuntimeException", format!("Failed to parse template script (your template may contain an error or be trying to use expressions not currently supported): {message}"))
    };
    if let Some(error) = parsed.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        return Err(failed(ctx, &error.message));
    }
    let compiled = compile_script(&parsed.script, ScriptId::default(), "template", &Rc::default(), Mode::Library);
    let (_, scope) = compiled.map_err(|errors| failed(ctx, errors.first().map_or("", |e| &e.message)))?;
    let block = Block { stmts: parsed.script.body, span: Span::default() };
    let function = compile_closure(&scope, Code::Block(&block));
    let function = function.map_err(|errors| failed(ctx, errors.first().map_or("", |e| &e.message)))?;
    let closure = Closure::new(ClosureCode::Function(function), Vec::new(), Value::Null, Value::Null);
    Ok(Some(Value::Closure(Rc::new(closure))))
}
