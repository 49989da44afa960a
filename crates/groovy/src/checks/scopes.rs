//! A name is declared once in a scope and those around it, up to the class.
//!
//! Source: `VariableScopeVisitor` of Groovy 2.4.

use std::collections::HashMap;
use std::rc::Rc;

use super::Findings;
use crate::ast::{
    Arg, Block, Class, Closure, Expr, ExprKind, Local, LocalTarget, MapEntry, MapKey, Member, Method, Param, Script,
    Stmt, StmtKind, StrPart, Text,
};
use crate::span::Span;

/// Checks a script; answers its classes without names.
pub(super) fn check<'s>(script: &'s Script, findings: &mut Findings) -> Vec<&'s Class> {
    let mut scopes = Scopes { findings, open: Vec::new(), visible: HashMap::new(), anonymous: Vec::new() };
    scopes.inside(|s| script.body.iter().for_each(|stmt| s.stmt(stmt)));
    script.methods.iter().for_each(|m| scopes.method(m));
    script.classes.iter().for_each(|c| scopes.class(c));
    scopes.anonymous
}

struct Scopes<'f, 's> {
    findings: &'f mut Findings,
    /// Names that each scope declares, innermost last.
    open: Vec<Vec<Text>>,
    /// How many of the scopes that can be seen declare each name.
    visible: HashMap<Text, u32>,
    anonymous: Vec<&'s Class>,
}

impl<'s> Scopes<'_, 's> {
    fn inside(&mut self, f: impl FnOnce(&mut Self)) {
        self.open.push(Vec::new());
        f(self);
        for name in self.open.pop().unwrap_or_default() {
            if let Some(count) = self.visible.get_mut(&name) {
                *count -= 1;
            }
        }
    }

    /// Nothing of what is around can be seen.
    fn apart(&mut self, f: impl FnOnce(&mut Self)) {
        let around = std::mem::take(&mut self.visible);
        self.inside(f);
        self.visible = around;
    }

    fn declare(&mut self, name: &Text, span: Span) {
        if self.visible.get(name).is_some_and(|count| *count > 0) {
            self.findings.report(span, format!("The current scope already contains a variable of the name {name}"));
        }
        self.put(name.clone());
    }

    fn put(&mut self, name: Text) {
        *self.visible.entry(name.clone()).or_default() += 1;
        if let Some(scope) = self.open.last_mut() {
            scope.push(name);
        }
    }

    fn class(&mut self, class: &'s Class) {
        for field in &class.fields {
            self.apart(|s| s.optional(field.init.as_ref()));
        }
        for constant in &class.constants {
            self.apart(|s| s.args(&constant.args));
            constant.body.iter().for_each(|body| self.class(body));
        }
        for block in class.static_init.iter().chain(&class.instance_init) {
            self.apart(|s| s.block(block));
        }
        class.methods.iter().for_each(|m| self.method(m));
        class.classes.iter().for_each(|inner| self.class(inner));
    }

    fn method(&mut self, method: &'s Method) {
        self.apart(|s| {
            s.params(&method.params);
            method.body.iter().for_each(|b| s.block(b));
        });
    }

    /// What a class without a name declares is declared where it stands.
    fn anonymous(&mut self, class: &'s Rc<Class>) {
        self.anonymous.push(class);
        self.inside(|s| {
            for method in &class.methods {
                s.inside(|s| {
                    s.params(&method.params);
                    method.body.iter().for_each(|b| s.block(b));
                });
            }
            class.fields.iter().for_each(|field| s.optional(field.init.as_ref()));
            class.instance_init.iter().for_each(|b| s.block(b));
        });
    }

    fn params(&mut self, params: &'s [Param]) {
        for p in params {
            self.optional(p.default.as_ref());
            self.declare(&p.name, p.span);
        }
    }

    fn block(&mut self, block: &'s Block) {
        self.inside(|s| block.stmts.iter().for_each(|stmt| s.stmt(stmt)));
    }

    fn optional(&mut self, e: Option<&'s Expr>) {
        if let Some(e) = e {
            self.expr(e);
        }
    }

    fn branch(&mut self, stmt: &'s Stmt) {
        self.inside(|s| s.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &'s Stmt) {
        match &stmt.kind {
            StmtKind::Expr(e) | StmtKind::Throw(e) => self.expr(e),
            StmtKind::Local(l) => self.local(l),
            StmtKind::If { cond, then, otherwise } => {
                self.expr(cond);
                self.branch(then);
                // A chain of `else if` is as long as the text: follow it in a loop.
                let mut next = otherwise.as_deref();
                while let Some(s) = next {
                    next = None;
                    if let StmtKind::If { cond, then, otherwise } = &s.kind {
                        self.expr(cond);
                        self.branch(then);
                        next = otherwise.as_deref();
                    } else {
                        self.branch(s);
                    }
                }
            }
            StmtKind::While { cond, body } => {
                self.expr(cond);
                self.stmt(body);
            }
            StmtKind::ForIn { name, iterable, body, .. } => self.inside(|s| {
                s.declare(name, stmt.span);
                s.expr(iterable);
                s.stmt(body);
            }),
            StmtKind::ForClassic { init, cond, step, body } => self.inside(|s| {
                init.iter().for_each(|stmt| s.stmt(stmt));
                s.optional(cond.as_ref());
                step.iter().for_each(|e| s.expr(e));
                s.stmt(body);
            }),
            StmtKind::Switch { subject, cases } => {
                self.expr(subject);
                for case in cases {
                    self.optional(case.test.as_ref());
                    self.inside(|s| case.body.iter().for_each(|stmt| s.stmt(stmt)));
                }
            }
            StmtKind::Try { body, catches, finally } => {
                self.block(body);
                for catch in catches {
                    self.inside(|s| {
                        s.declare(&catch.name, catch.span);
                        s.block(&catch.body);
                    });
                }
                finally.iter().for_each(|f| self.block(f));
            }
            StmtKind::Return(e) => self.optional(e.as_ref()),
            StmtKind::Assert { cond, message, .. } => {
                self.expr(cond);
                self.optional(message.as_ref());
            }
            StmtKind::Synchronized { lock, body } => {
                self.expr(lock);
                self.block(body);
            }
            StmtKind::Block(b) => self.block(b),
            StmtKind::Break(_) | StmtKind::Continue(_) | StmtKind::Empty => {}
        }
    }

    fn local(&mut self, local: &'s Local) {
        match &local.target {
            LocalTarget::Names(names) => {
                for d in names {
                    self.optional(d.init.as_ref());
                    self.declare(&d.name, d.span);
                }
            }
            LocalTarget::Tuple { names, init } => {
                self.expr(init);
                names.iter().for_each(|(_, name, span)| self.declare(name, *span));
            }
        }
    }

    fn closure(&mut self, closure: &'s Closure) {
        self.inside(|s| {
            match &closure.params {
                Some(params) => s.params(params),
                // Nobody wrote it, so it hides another one; what is declared inside may not be called so.
                None => s.put("it".into()),
            }
            s.block(&closure.body);
        });
    }

    fn args(&mut self, args: &'s [Arg]) {
        for arg in args {
            match arg {
                Arg::Positional(e) | Arg::Spread(e) | Arg::SpreadMap(e) => self.expr(e),
                Arg::Named(key, e) => {
                    self.key(key);
                    self.expr(e);
                }
            }
        }
    }

    fn key(&mut self, key: &'s MapKey) {
        if let MapKey::Dynamic(e) = key {
            self.expr(e);
        }
    }

    fn member(&mut self, member: &'s Member) {
        if let Member::Dynamic(e) = member {
            self.expr(e);
        }
    }

    fn expr(&mut self, expr: &'s Expr) {
        match &*expr.kind {
            ExprKind::Binary { left: a, right: b, .. }
            | ExprKind::Range { from: a, to: b, .. }
            | ExprKind::Assign { target: a, value: b, .. }
            | ExprKind::Elvis { value: a, otherwise: b } => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Property { object, member, .. } | ExprKind::MethodPointer { object, member } => {
                self.expr(object);
                self.member(member);
            }
            ExprKind::Index { object, index } => {
                self.expr(object);
                self.args(index);
            }
            ExprKind::Call { object, callee, args, .. } => {
                self.optional(object.as_ref());
                self.member(callee);
                self.args(args);
            }
            ExprKind::CallValue { callee, args } => {
                self.expr(callee);
                self.args(args);
            }
            ExprKind::Closure(c) => self.closure(c),
            ExprKind::Ternary { cond, then, otherwise } => {
                self.expr(cond);
                self.expr(then);
                self.expr(otherwise);
            }
            ExprKind::Unary { operand: e, .. }
            | ExprKind::IncDec { target: e, .. }
            | ExprKind::As { value: e, .. }
            | ExprKind::Cast { value: e, .. }
            | ExprKind::InstanceOf { value: e, .. } => self.expr(e),
            ExprKind::Declaration(local) => self.local(local),
            _ => self.literal(expr),
        }
    }

    fn literal(&mut self, expr: &'s Expr) {
        match &*expr.kind {
            ExprKind::GString(parts) => {
                for part in parts {
                    match part {
                        StrPart::Expr(e) => self.expr(e),
                        StrPart::Closure(c) if c.params.is_none() => self.block(&c.body),
                        StrPart::Closure(c) => self.closure(c),
                        StrPart::Text(_) => {}
                    }
                }
            }
            ExprKind::List(items) => self.args(items),
            ExprKind::Map(entries) => {
                for entry in entries {
                    match entry {
                        MapEntry::Pair(key, e) => {
                            self.key(key);
                            self.expr(e);
                        }
                        MapEntry::Spread(e) => self.expr(e),
                    }
                }
            }
            ExprKind::New { args, body, .. } => {
                self.args(args);
                body.iter().for_each(|class| self.anonymous(class));
            }
            ExprKind::NewArray { sizes, init, .. } => {
                sizes.iter().for_each(|e| self.expr(e));
                init.iter().flatten().for_each(|e| self.expr(e));
            }
            _ => {}
        }
    }
}
