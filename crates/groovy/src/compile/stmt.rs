//! Statements. In tail position (the end of a script, method or closure) the last value is returned, as Groovy does
//! through `if`, `try` and `switch`.

use super::Compiler;
use super::builder::{Control, Place};
use super::function::{FunctionKind, Op, Type};
use crate::ast::{Block, Declarator, Expr, ExprKind, Local, LocalTarget, Stmt, StmtKind, Text};
use crate::span::Span;
use crate::value::Value;

impl Compiler<'_> {
    /// Statements of a function, with its return.
    pub(super) fn body(&mut self, stmts: &[Stmt], span: Span) {
        self.tail_stmts(stmts, span);
    }

    pub(super) fn tail_stmts(&mut self, stmts: &[Stmt], span: Span) {
        let mark = self.f().open_scope();
        if let Some((last, before)) = stmts.split_last() {
            for stmt in before {
                self.stmt(stmt);
            }
            self.tail(last);
        } else {
            self.return_null(span);
        }
        self.f().close_scope(mark);
    }

    fn return_null(&mut self, span: Span) {
        self.emit(Op::Null, span);
        self.emit_return(span);
    }

    /// The last statement of a function.
    pub(super) fn tail(&mut self, stmt: &Stmt) {
        let span = stmt.span;
        match &stmt.kind {
            StmtKind::Expr(e) => {
                self.expr(e);
                self.emit_return(e.span);
            }
            StmtKind::If { cond, then, otherwise } => self.if_chain(cond, then, otherwise.as_deref(), true, span),
            StmtKind::Block(b) => self.tail_stmts(&b.stmts, b.span),
            StmtKind::Synchronized { lock, body } if self.whole => {
                self.effect(lock);
                self.tail_stmts(&body.stmts, body.span);
            }
            StmtKind::Try { body, catches, finally } => self.try_statement(body, catches, finally.as_ref(), true, span),
            StmtKind::Switch { subject, cases } if stmt.labels.is_empty() => {
                self.switch(subject, cases, &[], true, span)
            }
            StmtKind::Local(Local { target: LocalTarget::Names(names), .. }) if names.len() == 1 => {
                self.stmt(stmt);
                if self.variable(&names[0].name).is_some() {
                    self.load_name(&names[0].name, span);
                    self.emit_return(span);
                } else {
                    self.return_null(span);
                }
            }
            _ => {
                self.stmt(stmt);
                self.return_null(span);
            }
        }
    }

    pub(super) fn block(&mut self, block: &Block) {
        let mark = self.f().open_scope();
        for stmt in &block.stmts {
            self.stmt(stmt);
        }
        self.f().close_scope(mark);
    }

    /// A statement whose value nobody needs.
    pub(super) fn stmt(&mut self, stmt: &Stmt) {
        let span = stmt.span;
        let is_loop = matches!(
            stmt.kind,
            StmtKind::While { .. } | StmtKind::ForIn { .. } | StmtKind::ForClassic { .. } | StmtKind::Switch { .. }
        );
        if stmt.labels.is_empty() || is_loop {
            return self.stmt_kind(stmt, span);
        }
        self.f().control.push(Control::Labelled { labels: stmt.labels.clone(), breaks: Vec::new() });
        self.stmt_kind(stmt, span);
        if let Some(Control::Labelled { breaks, .. }) = self.f().control.pop() {
            self.f().patch_all(breaks);
        }
    }

    fn stmt_kind(&mut self, stmt: &Stmt, span: Span) {
        match &stmt.kind {
            StmtKind::Expr(e) => self.effect(e),
            StmtKind::Local(local) => self.local(local, span),
            StmtKind::If { cond, then, otherwise } => self.if_chain(cond, then, otherwise.as_deref(), false, span),
            StmtKind::While { cond, body } => self.while_loop(cond, body, &stmt.labels, span),
            StmtKind::ForIn { ty, name, iterable, body, .. } => {
                let ty = ty.as_ref().map_or(Type::Any, |t| self.scope.names.ty(t));
                self.for_in(ty, name, iterable, body, &stmt.labels, span);
            }
            StmtKind::ForClassic { init, cond, step, body } => {
                self.for_classic(init, cond.as_ref(), step, body, &stmt.labels, span);
            }
            StmtKind::Switch { subject, cases } => self.switch(subject, cases, &stmt.labels, false, span),
            StmtKind::Try { body, catches, finally } => {
                self.try_statement(body, catches, finally.as_ref(), false, span)
            }
            StmtKind::Return(value) => {
                match value {
                    Some(e) => self.expr(e),
                    None => {
                        self.emit(Op::Null, span);
                    }
                }
                self.emit_return(span);
            }
            StmtKind::Break(label) => self.break_to(label.as_ref(), span),
            StmtKind::Continue(label) => self.continue_to(label.as_ref(), span),
            StmtKind::Throw(e) => {
                self.expr(e);
                self.emit(Op::Throw, span);
            }
            StmtKind::Assert { cond, message, text } => self.assert(cond, message.as_ref(), text, span),
            // There is one thread: nothing waits for a lock.
            StmtKind::Synchronized { lock, body } if self.whole => {
                self.effect(lock);
                self.block(body);
            }
            StmtKind::Synchronized { .. } => {
                self.error(span, "synchronized is not supported outside of @NonCPS methods: there is only one thread");
            }
            StmtKind::Block(b) => self.block(b),
            StmtKind::Empty => {}
        }
    }

    /// An expression whose value nobody needs.
    pub(super) fn effect(&mut self, e: &Expr) {
        match &*e.kind {
            ExprKind::Assign { target, op, value } => {
                self.assign(target, *op, value, false, e.span);
            }
            ExprKind::IncDec { target, increment, prefix } => {
                self.inc_dec(target, *increment, *prefix, false, e.span);
            }
            _ => {
                self.expr(e);
                self.emit(Op::Pop, e.span);
            }
        }
    }

    fn if_chain(&mut self, cond: &Expr, then: &Stmt, otherwise: Option<&Stmt>, tail: bool, span: Span) {
        let (mut cond, mut then, mut otherwise) = (cond, then, otherwise);
        let mut ends = Vec::new();
        loop {
            let no = self.branch_false(cond);
            self.branch_body(then, tail);
            if !tail && otherwise.is_some() {
                ends.push(self.emit(Op::Jump(0), span));
            }
            self.f().patch_all(no);
            match otherwise {
                None if tail => return self.return_null(span),
                None => break,
                Some(Stmt { kind: StmtKind::If { cond: c, then: t, otherwise: o }, labels, .. })
                    if labels.is_empty() =>
                {
                    (cond, then, otherwise) = (c, t, o.as_deref());
                }
                Some(other) => {
                    self.branch_body(other, tail);
                    break;
                }
            }
        }
        self.f().patch_all(ends);
    }

    fn branch_body(&mut self, body: &Stmt, tail: bool) {
        let mark = self.f().open_scope();
        if tail {
            self.tail(body)
        } else {
            self.stmt(body)
        }
        self.f().close_scope(mark);
    }

    fn local(&mut self, local: &Local, span: Span) {
        if super::mentions::is_field(local) {
            // A field of the script: set when the script object was made.
            if matches!(self.stack[0].kind, FunctionKind::Method { .. } | FunctionKind::Constructor) {
                self.error(span, "Annotation @Field can only be used within a Script body.");
            }
            return;
        }
        let ty = local.ty.as_ref().map_or(Type::Any, |t| self.scope.names.ty(t));
        match &local.target {
            LocalTarget::Names(names) => {
                for d in names {
                    self.declarator(d, &ty);
                }
            }
            LocalTarget::Tuple { names, init } => {
                self.expr(init);
                for (i, (ty, name, at)) in names.iter().enumerate() {
                    self.emit(Op::Dup, *at);
                    self.emit(Op::Int(i as i32), *at);
                    self.emit(Op::Index, *at);
                    let ty = ty.as_ref().map_or(Type::Any, |t| self.scope.names.ty(t));
                    self.declare_with_value(name, ty, *at);
                }
                self.emit(Op::Pop, span);
            }
        }
    }

    fn declarator(&mut self, d: &Declarator, ty: &Type) {
        match &d.init {
            Some(init) => self.expr(init),
            None => self.default_value(ty, d.span),
        }
        self.declare_with_value(&d.name, ty.clone(), d.span);
    }

    /// What a variable of a type holds before it is set.
    pub(super) fn default_value(&mut self, ty: &Type, span: Span) {
        let op = match ty {
            Type::Primitive("boolean") => Op::False,
            Type::Primitive("byte") => Op::Const(self.f().constant(Value::Byte(0))),
            Type::Primitive("short") => Op::Const(self.f().constant(Value::Short(0))),
            Type::Primitive("long") => Op::Const(self.f().constant(Value::Long(0))),
            Type::Primitive("float") => Op::Const(self.f().constant(Value::Float(0.0))),
            Type::Primitive("double") => Op::Const(self.f().constant(Value::Double(0.0))),
            Type::Primitive("char") => Op::Const(self.f().constant(Value::Char(0))),
            Type::Primitive(_) => Op::Int(0),
            _ => Op::Null,
        };
        self.emit(op, span);
    }

    /// Declares a variable whose value is on the stack.
    pub(super) fn declare_with_value(&mut self, name: &Text, ty: Type, span: Span) {
        self.coerce(&ty, span);
        let place = self.f().declare(name, ty, span);
        self.store_place(place, span);
    }

    pub(super) fn coerce(&mut self, ty: &Type, span: Span) {
        if *ty != Type::Any {
            let number = self.f().ty(ty.clone());
            self.emit(Op::Coerce(number), span);
        }
    }

    pub(super) fn store_place(&mut self, place: Place, span: Span) {
        let op = match place {
            Place::Slot(n) => Op::Store(n),
            Place::Shared(n) => Op::StoreShared(n),
            Place::Captured(n) => Op::StoreCaptured(n),
        };
        self.emit(op, span);
    }
}
