//! Which names are used inside closures, and how deep. A local variable whose name a closure below it mentions is shared
//! with that closure; all others live in plain slots.

use std::collections::HashMap;

use crate::ast::{
    Arg, Block, Class, Closure, Expr, ExprKind, Local, LocalTarget, MapEntry, MapKey, Member, Param, Stmt, StmtKind,
    StrPart, Text,
};

/// Deepest closure level at which each name is mentioned (0: outside of closures).
#[derive(Debug, Default)]
pub(super) struct Mentions {
    deepest: HashMap<Text, u32>,
    /// The declarations with `@Field`, wherever they stand.
    fields: Vec<Local>,
}

/// Whether a declaration is one of a field of the script.
pub(super) fn is_field(local: &Local) -> bool {
    local.modifiers.annotations.iter().any(|a| matches!(&*a.name, "Field" | "groovy.transform.Field"))
}

impl Mentions {
    /// Whether a variable declared at closure level `level` is mentioned below it.
    pub(super) fn shares(&self, name: &str, level: u32) -> bool {
        self.deepest.get(name).is_some_and(|d| *d > level)
    }

    /// The declarations with `@Field` that were met.
    pub(super) fn fields(&self) -> &[Local] {
        &self.fields
    }

    /// All names that are mentioned, in order.
    pub(super) fn names(&self) -> Vec<Text> {
        let mut names: Vec<Text> = self.deepest.keys().cloned().collect();
        names.sort();
        names
    }

    /// The members of a class that stands within code.
    pub(super) fn class(&mut self, class: &Class, level: u32) {
        class.fields.iter().for_each(|f| self.optional(f.init.as_ref(), level));
        class.instance_init.iter().for_each(|b| self.block(b, level));
        for method in &class.methods {
            self.params(&method.params, level);
            method.body.iter().for_each(|b| self.block(b, level));
        }
    }

    pub(super) fn params(&mut self, params: &[Param], level: u32) {
        for p in params {
            self.optional(p.default.as_ref(), level);
        }
    }

    pub(super) fn block(&mut self, block: &Block, level: u32) {
        self.stmts(&block.stmts, level);
    }

    pub(super) fn stmts(&mut self, stmts: &[Stmt], level: u32) {
        for s in stmts {
            self.stmt(s, level);
        }
    }

    fn optional(&mut self, e: Option<&Expr>, level: u32) {
        if let Some(e) = e {
            self.expr(e, level);
        }
    }

    fn stmt(&mut self, stmt: &Stmt, level: u32) {
        match &stmt.kind {
            StmtKind::Expr(e) | StmtKind::Throw(e) => self.expr(e, level),
            StmtKind::Local(l) => self.local(l, level),
            StmtKind::If { cond, then, otherwise } => {
                self.expr(cond, level);
                self.stmt(then, level);
                // A chain of `else if` is as long as the text: follow it in a loop.
                let mut next = otherwise.as_deref();
                while let Some(s) = next {
                    if let StmtKind::If { cond, then, otherwise } = &s.kind {
                        self.expr(cond, level);
                        self.stmt(then, level);
                        next = otherwise.as_deref();
                    } else {
                        self.stmt(s, level);
                        next = None;
                    }
                }
            }
            StmtKind::While { cond, body } => {
                self.expr(cond, level);
                self.stmt(body, level);
            }
            StmtKind::ForIn { iterable, body, .. } => {
                self.expr(iterable, level);
                self.stmt(body, level);
            }
            StmtKind::ForClassic { init, cond, step, body } => {
                self.stmts(init, level);
                self.optional(cond.as_ref(), level);
                step.iter().for_each(|e| self.expr(e, level));
                self.stmt(body, level);
            }
            StmtKind::Switch { subject, cases } => {
                self.expr(subject, level);
                for case in cases {
                    self.optional(case.test.as_ref(), level);
                    self.stmts(&case.body, level);
                }
            }
            StmtKind::Try { body, catches, finally } => {
                self.block(body, level);
                catches.iter().for_each(|c| self.block(&c.body, level));
                finally.iter().for_each(|f| self.block(f, level));
            }
            StmtKind::Return(e) => self.optional(e.as_ref(), level),
            StmtKind::Assert { cond, message, .. } => {
                self.expr(cond, level);
                self.optional(message.as_ref(), level);
            }
            StmtKind::Synchronized { lock, body } => {
                self.expr(lock, level);
                self.block(body, level);
            }
            StmtKind::Block(b) => self.block(b, level),
            StmtKind::Break(_) | StmtKind::Continue(_) | StmtKind::Empty => {}
        }
    }

    fn local(&mut self, local: &Local, level: u32) {
        if is_field(local) {
            self.fields.push(local.clone());
        }
        match &local.target {
            LocalTarget::Names(names) => names.iter().for_each(|d| self.optional(d.init.as_ref(), level)),
            LocalTarget::Tuple { init, .. } => self.expr(init, level),
        }
    }

    fn args(&mut self, args: &[Arg], level: u32) {
        for arg in args {
            match arg {
                Arg::Positional(e) | Arg::Spread(e) | Arg::SpreadMap(e) => self.expr(e, level),
                Arg::Named(key, e) => {
                    self.key(key, level);
                    self.expr(e, level);
                }
            }
        }
    }

    fn key(&mut self, key: &MapKey, level: u32) {
        if let MapKey::Dynamic(e) = key {
            self.expr(e, level);
        }
    }

    fn member(&mut self, member: &Member, level: u32) {
        if let Member::Dynamic(e) = member {
            self.expr(e, level);
        }
    }

    fn closure(&mut self, closure: &Closure, level: u32) {
        if let Some(params) = &closure.params {
            self.params(params, level + 1);
        }
        self.block(&closure.body, level + 1);
    }

    pub(super) fn expr(&mut self, expr: &Expr, level: u32) {
        // Chains (`a + b + c`, `a.b().c()`) are as high as the text is long: their left sides are followed in a loop.
        let mut next = Some(expr);
        while let Some(e) = next {
            next = self.one(e, level);
        }
    }

    /// Looks at one expression; answers the operand that is left to look at.
    fn one<'e>(&mut self, expr: &'e Expr, level: u32) -> Option<&'e Expr> {
        match &*expr.kind {
            ExprKind::Name(name) => {
                let deepest = self.deepest.entry(name.clone()).or_insert(level);
                *deepest = level.max(*deepest);
            }
            ExprKind::Binary { left, right, .. } => {
                self.expr(right, level);
                return Some(left);
            }
            ExprKind::Property { object, member, .. } | ExprKind::MethodPointer { object, member } => {
                self.member(member, level);
                return Some(object);
            }
            ExprKind::Index { object, index } => {
                self.args(index, level);
                return Some(object);
            }
            ExprKind::Call { object, callee, args, .. } => {
                match (object, callee) {
                    // A call of a closure in a variable.
                    (None, Member::Name(name, _)) => {
                        let deepest = self.deepest.entry(name.clone()).or_insert(level);
                        *deepest = level.max(*deepest);
                    }
                    _ => self.member(callee, level),
                }
                self.args(args, level);
                return object.as_ref();
            }
            ExprKind::CallValue { callee, args } => {
                self.args(args, level);
                return Some(callee);
            }
            ExprKind::Closure(c) => self.closure(c, level),
            _ => self.rest(expr, level),
        }
        None
    }

    fn rest(&mut self, expr: &Expr, level: u32) {
        match &*expr.kind {
            ExprKind::GString(parts) => {
                for part in parts {
                    match part {
                        StrPart::Expr(e) => self.expr(e, level),
                        StrPart::Closure(c) => self.closure(c, level),
                        StrPart::Text(_) => {}
                    }
                }
            }
            ExprKind::List(items) => self.args(items, level),
            ExprKind::Map(entries) => {
                for entry in entries {
                    match entry {
                        MapEntry::Pair(key, e) => {
                            self.key(key, level);
                            self.expr(e, level);
                        }
                        MapEntry::Spread(e) => self.expr(e, level),
                    }
                }
            }
            ExprKind::Range { from: a, to: b, .. }
            | ExprKind::Assign { target: a, value: b, .. }
            | ExprKind::Elvis { value: a, otherwise: b } => {
                self.expr(a, level);
                self.expr(b, level);
            }
            ExprKind::Ternary { cond, then, otherwise } => {
                self.expr(cond, level);
                self.expr(then, level);
                self.expr(otherwise, level);
            }
            ExprKind::New { args, body, .. } => {
                self.args(args, level);
                // It shares what it uses, as a closure does.
                body.iter().for_each(|class| self.class(class, level + 1));
            }
            ExprKind::NewArray { sizes, init, .. } => {
                sizes.iter().for_each(|e| self.expr(e, level));
                init.iter().flatten().for_each(|e| self.expr(e, level));
            }
            ExprKind::Unary { operand: e, .. }
            | ExprKind::IncDec { target: e, .. }
            | ExprKind::As { value: e, .. }
            | ExprKind::Cast { value: e, .. }
            | ExprKind::InstanceOf { value: e, .. } => self.expr(e, level),
            ExprKind::Declaration(local) => self.local(local, level),
            _ => {}
        }
    }
}
