//! `a ? b : c` and `a ?: b`.

use super::Compiler;
use super::function::{Op, Type};
use crate::ast::{BinaryOp, Constant, Expr, ExprKind, UnaryOp};
use crate::span::Span;

/// How wide a number is that Groovy's compiler knows to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Int,
    Long,
    Float,
    Double,
}

impl Width {
    fn of_constant(constant: &Constant) -> Option<Width> {
        Some(match constant {
            Constant::Int(_) => Width::Int,
            Constant::Long(_) => Width::Long,
            Constant::Float(_) => Width::Float,
            Constant::Double(_) => Width::Double,
            _ => return None,
        })
    }

    fn of_type(ty: &Type) -> Option<Width> {
        let name = match ty {
            Type::Primitive(name) => name,
            Type::Class(name) => &**name,
            _ => return None,
        };
        Some(match name {
            "byte" | "short" | "int" | "java.lang.Byte" | "java.lang.Short" | "java.lang.Integer" => Width::Int,
            "long" | "java.lang.Long" => Width::Long,
            "float" | "java.lang.Float" => Width::Float,
            "double" | "java.lang.Double" => Width::Double,
            _ => return None,
        })
    }

    /// The class of such numbers.
    fn class(self) -> Type {
        let name = match self {
            Width::Int => "java.lang.Integer",
            Width::Long => "java.lang.Long",
            Width::Float => "java.lang.Float",
            Width::Double => "java.lang.Double",
        };
        Type::Class(name.into())
    }
}

fn is_negative(constant: &Constant) -> bool {
    match constant {
        Constant::Int(n) => *n < 0,
        Constant::Long(n) => *n < 0,
        Constant::Float(n) => n.is_sign_negative(),
        Constant::Double(n) => n.is_sign_negative(),
        _ => false,
    }
}

/// The width of what an operator makes of two constants.
fn folded(op: BinaryOp, left: Width, right: Width) -> Option<Width> {
    match op {
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => {
            Some(left.max(right))
        }
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight | BinaryOp::ShiftRightUnsigned => Some(left),
        _ => None,
    }
}

impl Compiler<'_> {
    pub(super) fn ternary(&mut self, cond: &Expr, then: &Expr, otherwise: &Expr, span: Span) {
        let no = self.branch_false(cond);
        self.chosen(then, otherwise);
        let end = self.emit(Op::Jump(0), span);
        self.f().patch_all(no);
        self.chosen(otherwise, then);
        self.f().patch(end);
    }

    pub(super) fn elvis(&mut self, value: &Expr, otherwise: &Expr, span: Span) {
        self.expr(value);
        self.emit(Op::Dup, span);
        let yes = self.emit(Op::JumpTrue(0), span);
        self.emit(Op::Pop, span);
        self.chosen(otherwise, value);
        let end = self.widens(value, otherwise).map(|ty| {
            let end = self.emit(Op::Jump(0), span);
            self.f().patch(yes);
            self.coerce(&ty, span);
            end
        });
        self.f().patch(end.unwrap_or(yes));
    }

    /// An expression that is chosen instead of another.
    fn chosen(&mut self, e: &Expr, other: &Expr) {
        self.expr(e);
        if let Some(ty) = self.widens(e, other) {
            self.coerce(&ty, e.span);
        }
    }

    /// The class of the wider of two numbers, where that is the other one: Groovy makes both of that class.
    fn widens(&mut self, e: &Expr, other: &Expr) -> Option<Type> {
        let (own, other) = (self.width(e)?, self.width(other)?);
        (own < other).then(|| other.class())
    }

    fn width(&mut self, e: &Expr) -> Option<Width> {
        match &*e.kind {
            ExprKind::Constant(constant) => Width::of_constant(constant),
            ExprKind::Unary { op: UnaryOp::Minus | UnaryOp::Plus, operand } => match &*operand.kind {
                ExprKind::Constant(constant) => Width::of_constant(constant),
                _ => None,
            },
            // What is computed of constants is one; one with a sign is computed itself.
            ExprKind::Binary { op, left, right } => match (&*left.kind, &*right.kind) {
                (ExprKind::Constant(left), ExprKind::Constant(right)) if !is_negative(left) && !is_negative(right) => {
                    let (left, right) = (Width::of_constant(left)?, Width::of_constant(right)?);
                    folded(*op, left, right)
                }
                _ => None,
            },
            ExprKind::Name(name) => Width::of_type(&self.variable(name)?.ty),
            ExprKind::Cast { ty, .. } | ExprKind::As { ty, .. } => Width::of_type(&self.scope.names.ty(ty)),
            _ => None,
        }
    }
}
