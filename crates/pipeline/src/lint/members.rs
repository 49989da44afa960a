//! Members of classes, and of objects whose class can be seen where they are used.

use groovy::ast::{Constant, Expr, ExprKind, Member, Text};
use groovy::span::Span;

use crate::outside::plugin_variable;

/// Class as it is written, whether it is a member of an object of it, the member, and where that stands.
pub(super) type ClassMember = (Text, bool, Text, Span);

/// The member `name` of what an expression is, where that says its class.
pub(super) fn member_of(object: &Expr, name: &Text, span: Span) -> Option<ClassMember> {
    let (class, of_object) = match &*object.kind {
        ExprKind::New { ty, .. } => (ty.name.clone(), true),
        ExprKind::Constant(Constant::Str(_)) | ExprKind::GString(_) => ("String".into(), true),
        ExprKind::List(_) => ("java.util.List".into(), true),
        _ => (class_path(object)?, false),
    };
    Some((class, of_object, name.clone(), span))
}

/// `System`, `java.lang.System`: the class that an expression names; or `manager`, the variable of a plugin.
fn class_path(expr: &Expr) -> Option<Text> {
    let mut parts: Vec<&str> = Vec::new();
    let mut next = expr;
    // No class stands deeper.
    for _ in 0..8 {
        match &*next.kind {
            ExprKind::Property { object, member: Member::Name(name, _), .. } => {
                parts.push(name);
                next = object;
            }
            ExprKind::Name(name) => {
                parts.push(name);
                parts.reverse();
                let is_class = parts.last().is_some_and(|p| p.starts_with(|c: char| c.is_ascii_uppercase()));
                let is_variable = parts.len() == 1 && plugin_variable(name).is_some();
                return (is_class || is_variable).then(|| parts.join(".").into());
            }
            _ => return None,
        }
    }
    None
}
