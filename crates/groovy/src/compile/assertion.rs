//! `assert`: the values of the parts of its condition are recorded on the way, so that a failure can show them.
//!
//! Groovy draws each value below the place of the text that it is of. Where that is, is decided here: names and unary operators where
//! they begin, members at their name, binary operators at the operator, brackets of an index at the bracket.

use std::fmt::Write as _;

use super::Compiler;
use super::function::Op;
use crate::ast::{Access, Arg, BinaryOp, Constant, Expr, ExprKind, MapEntry, MapKey, Member, StrPart, Text, UnaryOp};
use crate::span::Span;

/// Longest text of a description; the rest is cut.
const TEXT_MAX: usize = 4096;

/// Where the values of the assertion that is being compiled go.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    /// Local with the list of columns and values.
    slot: u16,
    /// As written.
    text: Text,
    /// Where the text begins in the source.
    start: u32,
    /// Functions on the stack: what closures inside compute is not shown.
    level: usize,
}

impl Recording {
    /// Column of a place in the text that is shown, counted from 1; `None`: outside.
    fn column(&self, at: u32) -> Option<u16> {
        let before = self.text.get(..at.checked_sub(self.start)? as usize)?;
        u16::try_from(shown(before, false).chars().count() + 1).ok()
    }
}

/// The text on one line: lines are joined by a blank.
fn shown(text: &str, whole: bool) -> String {
    let mut lines = text.split('\n');
    let mut out = lines.next().unwrap_or_default().trim_end_matches('\r').to_string();
    for line in lines {
        out.truncate(out.trim_end().len());
        out.push(' ');
        out.push_str(line.trim_start());
    }
    if whole { out.trim_end().to_string() } else { out }
}

impl Compiler<'_> {
    pub(super) fn assert(&mut self, cond: &Expr, message: Option<&Expr>, text: &Text, span: Span) {
        if self.f().stepwise {
            return self.assert_in_words(cond, message, text, span);
        }
        if let Some(message) = message {
            return self.assert_with_message(cond, message, span);
        }
        let mark = self.f().open_scope();
        let slot = self.f().slot();
        self.emit(Op::List(0), span);
        self.emit(Op::Store(slot), span);
        let level = self.stack.len();
        let outer = self.recording.replace(Recording { slot, text: text.clone(), start: span.start, level });
        self.expr(cond);
        self.recording = outer;
        let ok = self.emit(Op::JumpTrue(0), span);
        let line = self.f().text(&shown(text, true).into());
        self.emit(Op::Const(line), span);
        self.emit(Op::Load(slot), span);
        self.emit(Op::AssertFail(0), span);
        self.f().patch(ok);
        self.f().close_scope(mark);
    }

    /// With a message of its own it says the condition in words, and the values of its variables.
    fn assert_with_message(&mut self, cond: &Expr, message: &Expr, span: Span) {
        self.expr(cond);
        let ok = self.emit(Op::JumpTrue(0), span);
        self.expr(message);
        let mut words = String::new();
        describe(cond, &mut words);
        let words = self.f().text(&words.as_str().into());
        self.emit(Op::Const(words), span);
        let mut names = Vec::new();
        variables(cond, &mut names);
        self.emit(Op::List(0), span);
        for (name, at) in names {
            let text = self.f().text(&name);
            self.emit(Op::Const(text), at);
            self.emit(Op::ListAdd, at);
            self.load_name(&name, at);
            self.emit(Op::ListAdd, at);
        }
        self.emit(Op::AssertFail(1), span);
        self.f().patch(ok);
    }

    /// In Jenkins' engine it says what is written, and no values.
    ///
    /// Source: `AssertBlock`.
    fn assert_in_words(&mut self, cond: &Expr, message: Option<&Expr>, text: &Text, span: Span) {
        self.expr(cond);
        let ok = self.emit(Op::JumpTrue(0), span);
        match message {
            Some(message) => self.expr(message),
            None => drop(self.emit(Op::Null, span)),
        }
        let mut words = shown(text, true);
        if words.is_empty() {
            words.push_str("assert ");
            describe(cond, &mut words);
        }
        let words = self.f().text(&words.as_str().into());
        self.emit(Op::Const(words), span);
        self.emit(Op::List(0), span);
        self.emit(Op::AssertFail(1), span);
        self.f().patch(ok);
    }

    /// The value on the stack is that of what stands at a place of the source.
    pub(super) fn record(&mut self, at: u32, span: Span) {
        let level = self.stack.len();
        let Some(recording) = self.recording.as_ref().filter(|r| r.level == level) else { return };
        let slot = recording.slot;
        if let Some(column) = recording.column(at) {
            self.emit(Op::Record { slot, column }, span);
        }
    }

    /// The same for a sign between two places.
    pub(super) fn record_between(&mut self, from: u32, to: u32, sign: &str, span: Span) {
        let Some(recording) = &self.recording else { return };
        let start = recording.start;
        let (Some(a), Some(b)) = (from.checked_sub(start), to.checked_sub(start)) else { return };
        let between = recording.text.get(a as usize..b as usize);
        if let Some(at) = between.and_then(|t| t.find(sign)) {
            self.record(from + at as u32, span);
        }
    }
}

/// An operator as written.
pub(super) fn sign(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Mod => "%",
        BinaryOp::Pow => "**",
        BinaryOp::ShiftLeft => "<<",
        BinaryOp::ShiftRight => ">>",
        BinaryOp::ShiftRightUnsigned => ">>>",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitOr => "|",
        BinaryOp::BitXor => "^",
        BinaryOp::And => "&&",
        BinaryOp::Or => "||",
        BinaryOp::Eq => "==",
        BinaryOp::NotEq => "!=",
        BinaryOp::Identical => "===",
        BinaryOp::NotIdentical => "!==",
        BinaryOp::Less => "<",
        BinaryOp::LessEq => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterEq => ">=",
        BinaryOp::Compare => "<=>",
        BinaryOp::Find => "=~",
        BinaryOp::Match => "==~",
        BinaryOp::In => "in",
        BinaryOp::NotIn => "!in",
    }
}

/// The variables that are operands of the condition's operators.
fn variables(e: &Expr, out: &mut Vec<(Text, Span)>) {
    let mut work = vec![e];
    while let Some(e) = work.pop() {
        match &*e.kind {
            ExprKind::Binary { left, right, .. } => work.extend([right, left]),
            ExprKind::InstanceOf { value, .. } => work.push(value),
            ExprKind::Unary { op: UnaryOp::Not, operand } => work.push(operand),
            ExprKind::Name(name) if !matches!(&**name, "this" | "super") && !is_class_name(name) => {
                out.push((name.clone(), e.span));
            }
            _ => {}
        }
    }
}

fn is_class_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// An expression in Groovy's words (`Expression.getText()`), which are not always those of the source.
fn describe(e: &Expr, out: &mut String) {
    if out.len() > TEXT_MAX {
        return;
    }
    match &*e.kind {
        ExprKind::Constant(k) => constant(k, out),
        ExprKind::Name(name) => out.push_str(name),
        ExprKind::GString(parts) => parts.iter().for_each(|p| match p {
            StrPart::Text(t) => out.push_str(t),
            StrPart::Expr(e) => {
                out.push('$');
                describe(e, out);
            }
            StrPart::Closure(_) => out.push_str("${ -> ... }"),
        }),
        ExprKind::Binary { op, left, right } => {
            out.push('(');
            describe(left, out);
            let _ = write!(out, " {} ", sign(*op));
            describe(right, out);
            out.push(')');
        }
        ExprKind::InstanceOf { value, ty } => {
            out.push('(');
            describe(value, out);
            let name = crate::value::default_import(&ty.name).unwrap_or(&ty.name);
            let _ = write!(out, " instanceof {name})");
        }
        // Groovy leaves these signs out.
        ExprKind::Unary { operand, .. } => describe(operand, out),
        ExprKind::Property { object, member, access, .. } => {
            describe(object, out);
            dot(*access, out);
            name_of(member, out);
        }
        ExprKind::Index { object, index } => {
            describe(object, out);
            out.push('[');
            arguments(index, out);
            out.push(']');
        }
        ExprKind::Call { object, callee, access, args, .. } => {
            match object {
                Some(object) => describe(object, out),
                None => out.push_str("this"),
            }
            dot(*access, out);
            name_of(callee, out);
            out.push('(');
            arguments(args, out);
            out.push(')');
        }
        ExprKind::CallValue { callee, args } => {
            describe(callee, out);
            out.push_str(".call(");
            arguments(args, out);
            out.push(')');
        }
        ExprKind::List(items) => {
            out.push('[');
            arguments(items, out);
            out.push(']');
        }
        ExprKind::Map(entries) => map(entries, out),
        ExprKind::Closure(_) => out.push_str("{ -> ... }"),
        ExprKind::Ternary { cond, then, otherwise } => {
            out.push('(');
            describe(cond, out);
            out.push_str(") ? ");
            describe(then, out);
            out.push_str(" : ");
            describe(otherwise, out);
        }
        ExprKind::Elvis { value, otherwise } => {
            out.push('(');
            describe(value, out);
            out.push_str(") ? ");
            describe(value, out);
            out.push_str(" : ");
            describe(otherwise, out);
        }
        ExprKind::Range { from, to, inclusive } => {
            out.push('(');
            describe(from, out);
            out.push_str(if *inclusive { ".." } else { "..<" });
            describe(to, out);
            out.push(')');
        }
        ExprKind::New { ty, args, .. } => {
            let _ = write!(out, "new {}(", crate::value::default_import(&ty.name).unwrap_or(&ty.name));
            arguments(args, out);
            out.push(')');
        }
        ExprKind::As { value, ty } => {
            describe(value, out);
            let _ = write!(out, " as {}", ty.name);
        }
        ExprKind::Cast { value, ty } => {
            let _ = write!(out, "({}) ", ty.name);
            describe(value, out);
        }
        _ => out.push_str("..."),
    }
}

fn constant(k: &Constant, out: &mut String) {
    match k {
        Constant::Str(text) => out.push_str(text),
        other => {
            let value = super::expr::constant_value(other);
            out.push_str(&value.map_or_else(|| "...".into(), |v| v.to_text()));
        }
    }
}

fn dot(access: Access, out: &mut String) {
    out.push_str(match access {
        Access::Safe => "?.",
        Access::Spread => "*.",
        Access::Dot => ".",
    });
}

fn name_of(member: &Member, out: &mut String) {
    match member {
        Member::Name(name, _) => out.push_str(name),
        Member::Dynamic(e) => describe(e, out),
    }
}

fn arguments(args: &[Arg], out: &mut String) {
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        match arg {
            Arg::Positional(e) => describe(e, out),
            Arg::Spread(e) => {
                out.push('*');
                describe(e, out);
            }
            Arg::SpreadMap(e) => {
                out.push_str("*:");
                describe(e, out);
            }
            Arg::Named(key, e) => {
                key_of(key, out);
                out.push_str(": ");
                describe(e, out);
            }
        }
    }
}

fn key_of(key: &MapKey, out: &mut String) {
    match key {
        MapKey::Constant(k, _) => constant(k, out),
        MapKey::Dynamic(e) => describe(e, out),
    }
}

fn map(entries: &[MapEntry], out: &mut String) {
    if entries.is_empty() {
        return out.push_str("[:]");
    }
    out.push('[');
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        match entry {
            MapEntry::Pair(key, e) => {
                key_of(key, out);
                out.push(':');
                describe(e, out);
            }
            MapEntry::Spread(e) => {
                out.push_str("*:");
                describe(e, out);
            }
        }
    }
    out.push(']');
}
