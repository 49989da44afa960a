//! Rules that Groovy checks on the tree right after parsing.

use super::Parser;
use crate::ast::{BinaryOp, Constant, Expr, ExprKind, Member, Modifiers, Param};
use crate::span::Span;

impl Parser<'_> {
    /// What stands before `=` must be something that holds a value.
    pub(super) fn check_target(&mut self, target: &Expr) {
        let what = match &*target.kind {
            ExprKind::Name(_)
            | ExprKind::Property { .. }
            | ExprKind::Index { .. }
            | ExprKind::Assign { .. }
            | ExprKind::Declaration(_)
            | ExprKind::TypeLiteral(_)
            | ExprKind::Error => return,
            ExprKind::Constant(_) => "a constant",
            ExprKind::GString(_) => "a string",
            ExprKind::Call { .. } | ExprKind::CallValue { .. } => "a call",
            ExprKind::Map(_) => "a map",
            ExprKind::List(_) => {
                let hint = "several variables are assigned to with parentheses: `(a, b) = …`";
                return self.report(target.span, "a list cannot be assigned to", Some(hint.into()));
            }
            ExprKind::Binary { op: BinaryOp::Eq, .. } => "a comparison",
            _ => "the result of an operation",
        };
        let message = format!("{what} cannot be assigned to");
        self.report(target.span, message, Some("a variable, property or element stands before `=`".into()));
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
