//! Rules that Groovy checks on the tree right after parsing.

use super::Parser;
use super::sexpr::symbol;
use crate::ast::{Constant, Expr, ExprKind, Member, Modifiers, Param};
use crate::span::Span;

impl Parser<'_> {
    /// What stands before `=` must be something that holds a value. The messages are Groovy's own.
    pub(super) fn check_target(&mut self, target: &Expr) {
        let text = self.source_text(target.span);
        let what = match &*target.kind {
            ExprKind::Name(_)
            | ExprKind::Property { .. }
            | ExprKind::Index { .. }
            | ExprKind::Assign { .. }
            | ExprKind::Declaration(_)
            | ExprKind::TypeLiteral(_)
            | ExprKind::Error => return,
            ExprKind::Constant(constant) => format!("[{}] is a constant expression", constant_text(constant)),
            ExprKind::Binary { .. } => format!("{} is a binary expression", operand_text(target)),
            ExprKind::GString(_) => format!("{text} is a GString expression"),
            ExprKind::Call { .. } | ExprKind::CallValue { .. } => format!("\"{text}\" is a method call expression"),
            ExprKind::Map(_) => format!("'{text}' is a map expression"),
            ExprKind::List(_) => {
                let hint = "several variables are assigned to with parentheses: `(a, b) = …`";
                let message = format!("{text} is a list expression, but it should be a variable expression");
                return self.report(target.span, message, Some(hint.into()));
            }
            _ => format!("`{text}` is an operation"),
        };
        let message = format!("{what}, but it should be a variable expression");
        self.report(target.span, message, Some("a variable, property or element stands before `=`".into()));
    }

    /// The text of a node, shortened.
    fn source_text(&self, span: Span) -> String {
        let text = self.source.get(span.start as usize..span.end as usize).unwrap_or("");
        match text.char_indices().nth(60) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text.to_owned(),
        }
    }

    /// What stands before `(` must be callable; `value` says that it is an expression of any kind.
    pub(super) fn check_callee(&mut self, callee: &Expr, value: bool) {
        let (name, span) = match &*callee.kind {
            ExprKind::TypeLiteral(ty) if value && ty.dimensions == 0 && &*ty.name != "void" => {
                let message = format!("the type `{}` cannot be called", ty.name);
                return self.report(ty.span, message, None);
            }
            _ if value => return,
            ExprKind::Name(name) | ExprKind::Constant(Constant::Str(name)) => (name, callee.span),
            ExprKind::Property { member: Member::Name(name, span), .. } => (name, *span),
            _ => return,
        };
        if matches!(&**name, "this" | "super") {
            let message = format!("`{name}(…)` must be the first statement of a constructor");
            self.report(span, message, None);
        }
    }

    /// No word twice, and at most one of `private`, `protected` and `public`.
    pub(super) fn check_modifiers(&mut self, modifiers: &Modifiers, span: Span) {
        let is_access = |w: &str| matches!(w, "private" | "protected" | "public");
        for (index, word) in modifiers.words.iter().enumerate() {
            let before = &modifiers.words[..index];
            if before.contains(word) {
                self.report(span, format!("`{word}` is written twice"), None);
            } else if &**word == "threadsafe" {
                self.report(span, "`threadsafe` is reserved", None);
            } else if is_access(word) && before.iter().any(|w| is_access(w)) {
                self.report(span, format!("`{word}` contradicts the word before it"), None);
            }
        }
    }

    /// Some words make no sense on some declarations.
    pub(super) fn check_no_modifier(&mut self, modifiers: &Modifiers, refused: &[&str], what: &str, span: Span) {
        for word in &modifiers.words {
            if refused.contains(&&**word) {
                self.report(span, format!("{what} cannot be `{word}`"), None);
            }
        }
    }

    /// Only the last parameter takes any number of values (Groovy looks at the first one only).
    pub(super) fn check_params(&mut self, params: &[Param]) {
        if let [first, _, ..] = params
            && first.varargs
        {
            let message = format!("`{}` takes any number of values, so it must be the last parameter", first.name);
            self.report(first.span, message, None);
        }
    }
}

/// An operand as Groovy prints it in messages.
fn operand_text(expr: &Expr) -> String {
    match &*expr.kind {
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Constant(constant) => constant_text(constant),
        ExprKind::Binary { op, left, right } => {
            format!("({} {} {})", operand_text(left), symbol(*op), operand_text(right))
        }
        ExprKind::Property { object, member: Member::Name(name, _), .. } => format!("{}.{name}", operand_text(object)),
        _ => "…".to_owned(),
    }
}

fn constant_text(constant: &Constant) -> String {
    match constant {
        Constant::Null => "null".to_owned(),
        Constant::Bool(value) => value.to_string(),
        Constant::Int(value) => value.to_string(),
        Constant::Long(value) => value.to_string(),
        Constant::Float(value) => value.to_string(),
        Constant::Double(value) => value.to_string(),
        Constant::BigInt(text) | Constant::Decimal(text) | Constant::Str(text) => text.to_string(),
    }
}
