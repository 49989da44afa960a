//! Assignments and `++`. With `keep` the value stays on the stack, else nothing does.

use super::Compiler;
use super::builder::Place;
use super::function::{Op, Type};
use crate::ast::{Access, Arg, BinaryOp, Expr, ExprKind, Member, Text};
use crate::span::Span;

impl Compiler<'_> {
    pub(super) fn assign(&mut self, target: &Expr, op: Option<BinaryOp>, value: &Expr, keep: bool, span: Span) {
        match &*target.kind {
            ExprKind::Name(name) => {
                if let Some(op) = op {
                    self.load_name(name, target.span);
                    self.expr(value);
                    self.emit(Op::Binary(op), span);
                } else {
                    self.expr(value);
                }
                self.store_name(target, keep, span);
            }
            _ if let Some((name, at)) = self.static_of_this(target) => {
                let number = self.f().name(name);
                if let Some(op) = op {
                    self.emit(Op::Static(number), at);
                    self.expr(value);
                    self.emit(Op::Binary(op), span);
                } else {
                    self.expr(value);
                }
                self.store_static(name, keep, at);
            }
            ExprKind::Property { object, member: Member::Name(name, _), access: Access::Spread, attribute }
                if op.is_none() =>
            {
                self.assign_spread(object, name, *attribute, value, keep, span);
            }
            ExprKind::Property { object, member, access, attribute } => {
                self.assign_property(object, member, *access, *attribute, (op, value), keep, span);
            }
            ExprKind::Index { object, index } => self.assign_index(object, index, op, value, keep, span),
            ExprKind::List(targets) => self.assign_tuple(targets, value, keep, span),
            // `foo() = x` and other things that cannot be assigned: the front end has its message for most of them.
            _ => self.error(target.span, "this cannot be assigned to"),
        }
    }

    /// Stores the value on the stack into a name.
    fn store_name(&mut self, target: &Expr, keep: bool, span: Span) {
        let ExprKind::Name(name) = &*target.kind else { return };
        match self.variable(name) {
            Some(variable) => {
                // What a closure assigns is converted on its way in, and may be null; the value of the assignment is what was given.
                if matches!(variable.place, Place::Captured(_)) && variable.ty != Type::Any {
                    if keep {
                        self.emit(Op::Dup, span);
                    }
                    let null = self.emit(Op::JumpNull(0), span);
                    self.coerce(&variable.ty, span);
                    self.f().patch(null);
                } else {
                    self.coerce(&variable.ty, span);
                    if keep {
                        self.emit(Op::Dup, span);
                    }
                }
                self.store_place(variable.place, span);
            }
            None if self.is_own_static(name) => self.store_static(name, keep, target.span),
            None => {
                if keep {
                    self.emit(Op::Dup, span);
                }
                let number = self.f().name(name);
                self.emit(Op::SetName(number), target.span);
            }
        }
    }

    /// Stores the value on the stack into a static field of the class.
    fn store_static(&mut self, name: &Text, keep: bool, span: Span) {
        if keep {
            self.emit(Op::Dup, span);
        }
        let number = self.f().name(name);
        self.emit(Op::SetStatic(number), span);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one property access")]
    fn assign_property(
        &mut self,
        object: &Expr,
        member: &Member,
        access: Access,
        attribute: bool,
        (op, value): (Option<BinaryOp>, &Expr),
        keep: bool,
        span: Span,
    ) {
        self.expr(object);
        let safe = (access == Access::Safe).then(|| self.emit(Op::JumpNull(0), span));
        match member {
            Member::Name(name, _) => {
                let number = self.f().name(name);
                let (get, set) = match (attribute, super::expr::is_super(object)) {
                    (true, _) => (Op::Attr(number), Op::SetAttr(number)),
                    (_, true) => (Op::SuperProp(number), Op::SetSuperProp(number)),
                    _ => (Op::Prop(number), Op::SetProp(number)),
                };
                if let Some(op) = op {
                    self.emit(Op::Dup, span);
                    self.emit(get, span);
                    self.expr(value);
                    self.emit(Op::Binary(op), span);
                } else {
                    self.expr(value);
                }
                if keep || safe.is_some() {
                    self.emit(Op::Tuck, span);
                }
                self.emit(set, target_span(member, span));
            }
            Member::Dynamic(name) => {
                self.expr(name);
                if let Some(op) = op {
                    self.emit(Op::DupPair, span);
                    self.emit(Op::PropDynamic, span);
                    self.expr(value);
                    self.emit(Op::Binary(op), span);
                } else {
                    self.expr(value);
                }
                if keep || safe.is_some() {
                    self.emit(Op::TuckUnderPair, span);
                }
                self.emit(Op::SetPropDynamic, span);
            }
        }
        if let Some(at) = safe {
            self.f().patch(at);
            if !keep {
                self.emit(Op::Pop, span);
            }
        }
    }

    /// `list*.name = value`: sets it of each item that is not null.
    fn assign_spread(&mut self, object: &Expr, name: &Text, attribute: bool, value: &Expr, keep: bool, span: Span) {
        let mark = self.f().open_scope();
        let slot = self.f().slot();
        self.expr(value);
        self.emit(Op::Store(slot), span);
        self.expr(object);
        let number = self.f().name(name);
        self.spread(span, |c| {
            c.emit(Op::Dup, span);
            c.emit(Op::Load(slot), span);
            c.emit(if attribute { Op::SetAttr(number) } else { Op::SetProp(number) }, span);
        });
        self.emit(Op::Pop, span);
        if keep {
            self.emit(Op::Load(slot), span);
        }
        self.f().close_scope(mark);
    }

    fn assign_index(
        &mut self,
        object: &Expr,
        index: &[Arg],
        op: Option<BinaryOp>,
        value: &Expr,
        keep: bool,
        span: Span,
    ) {
        self.expr(object);
        self.index_value(index, span);
        if let Some(op) = op {
            self.emit(Op::DupPair, span);
            self.emit(Op::Index, span);
            self.expr(value);
            self.emit(Op::Binary(op), span);
        } else {
            self.expr(value);
        }
        if keep {
            self.emit(Op::TuckUnderPair, span);
        }
        self.emit(Op::SetIndex, span);
    }

    fn assign_tuple(&mut self, targets: &[Arg], value: &Expr, keep: bool, span: Span) {
        self.expr(value);
        for (i, target) in targets.iter().enumerate() {
            let Arg::Positional(target) = target else { continue };
            self.emit(Op::Dup, span);
            self.emit(Op::Int(i as i32), span);
            self.emit(Op::Index, span);
            if let ExprKind::Name(_) = &*target.kind {
                self.store_name(target, false, span);
            } else {
                self.error(target.span, "only variables can stand in a multiple assignment");
            }
        }
        if !keep {
            self.emit(Op::Pop, span);
        }
    }

    pub(super) fn inc_dec(&mut self, target: &Expr, increment: bool, prefix: bool, keep: bool, span: Span) {
        let step = if increment { Op::Next } else { Op::Previous };
        match &*target.kind {
            ExprKind::Name(name) => {
                let variable = self.variable(name);
                if let Some(v) = &variable
                    && let Place::Slot(slot) = v.place
                    && matches!(v.ty, Type::Any | Type::Primitive("int"))
                {
                    let op = Op::IncLocal { slot, by: if increment { 1 } else { -1 } };
                    if keep && !prefix {
                        self.emit(Op::Load(slot), span);
                    }
                    self.emit(op, span);
                    if keep && prefix {
                        self.emit(Op::Load(slot), span);
                    }
                    return;
                }
                self.load_name(name, target.span);
                if keep && !prefix {
                    self.emit(Op::Dup, span);
                }
                self.emit(step, span);
                self.store_name(target, keep && prefix, span);
            }
            _ if let Some((name, at)) = self.static_of_this(target) => {
                let number = self.f().name(name);
                self.emit(Op::Static(number), at);
                if keep && !prefix {
                    self.emit(Op::Dup, span);
                }
                self.emit(step, span);
                self.store_static(name, keep && prefix, at);
            }
            ExprKind::Property { object, member: Member::Name(name, _), attribute, .. } => {
                let number = self.f().name(name);
                self.expr(object);
                self.emit(Op::Dup, span);
                self.emit(if *attribute { Op::Attr(number) } else { Op::Prop(number) }, span);
                if keep && !prefix {
                    self.emit(Op::Tuck, span);
                }
                self.emit(step, span);
                if keep && prefix {
                    self.emit(Op::Tuck, span);
                }
                self.emit(if *attribute { Op::SetAttr(number) } else { Op::SetProp(number) }, span);
            }
            ExprKind::Index { object, index } => {
                self.expr(object);
                self.index_value(index, span);
                self.emit(Op::DupPair, span);
                self.emit(Op::Index, span);
                if keep && !prefix {
                    self.emit(Op::TuckUnderPair, span);
                }
                self.emit(step, span);
                if keep && prefix {
                    self.emit(Op::TuckUnderPair, span);
                }
                self.emit(Op::SetIndex, span);
            }
            // `5++` and `f()++` are legal where the value is a number; nothing is stored.
            _ => {
                self.expr(target);
                if keep && !prefix {
                    self.emit(Op::Dup, span);
                }
                self.emit(step, span);
                if !keep || !prefix {
                    self.emit(Op::Pop, span);
                }
            }
        }
    }
}

fn target_span(member: &Member, whole: Span) -> Span {
    match member {
        Member::Name(_, span) if span.end > 0 => *span,
        _ => whole,
    }
}
