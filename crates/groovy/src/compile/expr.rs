//! Expressions: each leaves one value on the stack.

use std::rc::Rc;

use num_bigint::BigInt;

use super::Compiler;
use super::builder::Place;
use super::function::{FunctionKind, Op, Site};
use crate::ast::{
    Access, BinaryOp, Closure, Constant, Expr, ExprKind, LocalTarget, MapEntry, MapKey, Member, Stmt, StmtKind,
    StrPart, Text, UnaryOp,
};
use crate::machine::accessor;
use crate::span::Span;
use crate::value::{Decimal, Str, Value};

impl Compiler<'_> {
    pub(super) fn expr(&mut self, e: &Expr) {
        let span = e.span;
        match &*e.kind {
            ExprKind::Constant(k) => self.constant(k, span),
            ExprKind::GString(parts) => self.gstring(parts, span),
            ExprKind::List(items) => self.list(items, span),
            ExprKind::Map(entries) => self.map(entries, span),
            ExprKind::Range { from, to, inclusive } => {
                self.expr(from);
                self.expr(to);
                self.emit(Op::Range(*inclusive), span);
            }
            ExprKind::Name(name) => self.load_name(name, span),
            ExprKind::Property { .. } | ExprKind::Index { .. } | ExprKind::Call { .. } | ExprKind::CallValue { .. } => {
                self.chain(e);
            }
            ExprKind::MethodPointer { object, member } => {
                self.expr(object);
                self.member_name(member);
                self.emit(Op::MethodPointer, span);
            }
            ExprKind::Closure(c) => self.closure(c, span),
            ExprKind::Binary { .. } => self.binary_chain(e),
            ExprKind::Unary { op, operand } => self.unary(*op, operand, span),
            ExprKind::IncDec { target, increment, prefix } => {
                self.inc_dec(target, *increment, *prefix, true, span);
                self.record(if *prefix { span.start } else { target.span.end }, span);
            }
            ExprKind::Assign { target, op, value } => self.assign(target, *op, value, true, span),
            _ => self.other(e, span),
        }
    }

    fn other(&mut self, e: &Expr, span: Span) {
        match &*e.kind {
            ExprKind::New { ty, args, body } => {
                self.new_object(ty, args, body.as_ref(), span);
                self.record(span.start, span);
            }
            ExprKind::NewArray { ty, sizes, init } => self.new_array(ty, sizes, init.as_deref(), span),
            ExprKind::Ternary { cond, then, otherwise } => self.ternary(cond, then, otherwise, span),
            ExprKind::Elvis { value, otherwise } => self.elvis(value, otherwise, span),
            ExprKind::As { value, ty } => self.typed(value, ty, Op::As, span),
            ExprKind::Cast { value, ty } => self.typed(value, ty, Op::Cast, span),
            ExprKind::InstanceOf { value, ty } => {
                self.typed(value, ty, Op::InstanceOf, span);
                self.record_between(value.span.end, span.end, "instanceof", span);
            }
            ExprKind::TypeLiteral(ty) => {
                let ty = self.scope.names.ty(ty);
                let name = super::class::type_class_name(&ty);
                let name = self.f().name(&name);
                self.emit(Op::ClassRef(name), span);
            }
            ExprKind::Declaration(local) => {
                let stmt = Stmt { labels: Vec::new(), kind: StmtKind::Local((**local).clone()), span };
                self.stmt(&stmt);
                match &local.target {
                    LocalTarget::Names(names) if names.len() == 1 => self.load_name(&names[0].name, span),
                    _ => {
                        self.emit(Op::Null, span);
                    }
                }
            }
            _ => {
                self.emit(Op::Broken, span);
            }
        }
    }

    fn typed(&mut self, value: &Expr, ty: &crate::ast::TypeRef, op: fn(u32) -> Op, span: Span) {
        self.expr(value);
        let ty = self.scope.names.ty(ty);
        let number = self.f().ty(ty);
        self.emit(op(number), span);
    }

    fn constant(&mut self, k: &Constant, span: Span) {
        let op = match k {
            Constant::Null => Op::Null,
            Constant::Bool(true) => Op::True,
            Constant::Bool(false) => Op::False,
            Constant::Int(n) => Op::Int(*n),
            Constant::Str(text) => Op::Const(self.f().text(text)),
            other => {
                let Some(value) = constant_value(other) else {
                    return self.error(span, "this number is out of range");
                };
                Op::Const(self.f().constant(value))
            }
        };
        self.emit(op, span);
    }

    fn gstring(&mut self, parts: &[StrPart], span: Span) {
        let mut texts = vec![String::new()];
        for part in parts {
            match part {
                StrPart::Text(t) => {
                    if let Some(last) = texts.last_mut() {
                        last.push_str(t);
                    }
                    continue;
                }
                StrPart::Expr(e) => self.expr(e),
                StrPart::Closure(c) => {
                    self.closure(c, span);
                    if c.params.is_none() {
                        let site = Site::plain("call", 0);
                        let site = self.f().site(site);
                        self.emit(Op::CallValue(site), span);
                    }
                }
            }
            texts.push(String::new());
        }
        let texts = texts.into_iter().map(Str::from).collect();
        let number = self.f().gstring(texts);
        self.emit(Op::GString(number), span);
    }

    fn map(&mut self, entries: &[MapEntry], span: Span) {
        self.emit(Op::Map(0), span);
        for entry in entries {
            match entry {
                MapEntry::Pair(key, value) => {
                    self.map_key(key);
                    self.expr(value);
                    self.emit(Op::MapPut, value.span);
                }
                MapEntry::Spread(map) => {
                    self.expr(map);
                    self.emit(Op::MapPutAll, map.span);
                }
            }
        }
    }

    pub(super) fn map_key(&mut self, key: &MapKey) {
        match key {
            MapKey::Constant(k, span) => self.constant(k, *span),
            MapKey::Dynamic(e) => self.expr(e),
        }
    }

    /// Reads a name: a local, a class, or whatever it is when it runs.
    pub(super) fn load_name(&mut self, name: &Text, span: Span) {
        match &**name {
            "this" | "super" => {
                self.emit(Op::This, span);
                return;
            }
            _ => {}
        }
        if let Some(variable) = self.variable(name) {
            let op = match variable.place {
                Place::Slot(n) => Op::Load(n),
                Place::Shared(n) => Op::LoadShared(n),
                Place::Captured(n) => Op::LoadCaptured(n),
            };
            self.emit(op, span);
            self.record(span.start, span);
            return;
        }
        if self.is_own_static(name) {
            let number = self.f().name(name);
            self.emit(Op::Static(number), span);
            self.record(span.start, span);
            return;
        }
        if name.starts_with(|c: char| c.is_ascii_uppercase())
            && let Some(full) = self.scope.names.class(name)
        {
            let number = self.f().name(&full);
            self.emit(Op::ClassRef(number), span);
            return;
        }
        if let Some((class, member)) = self.scope.names.static_import(name, self.class.as_ref()) {
            let (class, member) = (self.f().name(&class), self.f().name(&member));
            self.emit(Op::ClassRef(class), span);
            self.emit(Op::Prop(member), span);
            return;
        }
        let number = self.f().name(name);
        self.emit(Op::Name(number), span);
        self.record(span.start, span);
    }

    /// Whether a name that is no variable is a static field of the class whose method is compiled. There it is the field itself; in closures
    /// it is a property, and in what Jenkins runs step by step one of the object, whose class may have another: but for its own accessors,
    /// which would never end.
    pub(super) fn is_own_static(&self, name: &str) -> bool {
        self.statics.contains(name)
            && self.stack.last().is_some_and(|function| match function.kind {
                FunctionKind::Closure => false,
                FunctionKind::Method { is_static: false } if function.stepwise => {
                    ["get", "is", "set"].iter().any(|prefix| *function.name == *accessor(prefix, name))
                }
                _ => true,
            })
    }

    /// The same of `this.name`.
    pub(super) fn static_of_this<'e>(&self, e: &'e Expr) -> Option<(&'e Text, Span)> {
        let ExprKind::Property { object, member: Member::Name(name, at), access: Access::Dot, .. } = &*e.kind else {
            return None;
        };
        let is_this = matches!(&*object.kind, ExprKind::Name(n) if &**n == "this");
        Some((name, *at)).filter(|(name, _)| is_this && self.is_own_static(name))
    }

    pub(super) fn member_name(&mut self, member: &Member) {
        match member {
            Member::Name(name, span) => {
                let number = self.f().text(name);
                self.emit(Op::Const(number), *span);
            }
            Member::Dynamic(e) => self.expr(e),
        }
    }

    pub(super) fn closure(&mut self, closure: &Closure, span: Span) {
        self.closures += 1;
        let name = self.closure_name();
        let (level, mentions) = (self.f().level + 1, self.f().mentions.clone());
        let mut builder = self.builder(name, FunctionKind::Closure, level, mentions);
        builder.span = span;
        builder.around = self.around().filter(|_| builder.stepwise);
        self.stack.push(builder);
        match &closure.params {
            Some(params) => self.params(params),
            None => self.implicit_it(span),
        }
        self.body(&closure.body.stmts, closure.body.span);
        let function = self.pop();
        let number = self.f().function(function);
        self.emit(Op::Closure(number), span);
    }

    /// The method that a closure stands in.
    fn around(&mut self) -> Option<Text> {
        let function = self.f();
        match (function.kind, &function.class) {
            (FunctionKind::Closure, _) => function.around.clone(),
            (_, Some(class)) => Some(format!("{class}.{}", function.name).into()),
            (_, None) => Some(function.name.clone()),
        }
    }

    /// The class name that Groovy gives a closure; the numbers differ.
    fn closure_name(&mut self) -> Text {
        let number = self.closures;
        let class = self.class.clone().unwrap_or_else(|| self.script_class.clone());
        let around = self.f();
        let name = match around.kind {
            FunctionKind::Closure => format!("{}$_closure{number}", around.name),
            _ => format!("{class}$_{}_closure{number}", around.name),
        };
        // Names inside names would make the text of deep nests grow with the square of the depth.
        if name.len() > 200 { format!("{class}$_closure{number}").into() } else { name.into() }
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr, span: Span) {
        self.expr(operand);
        let op = match op {
            UnaryOp::Not => Op::Not,
            UnaryOp::Minus => Op::Minus,
            UnaryOp::Plus => Op::Plus,
            UnaryOp::BitNot => Op::BitNot,
        };
        self.emit(op, span);
        self.record(span.start, span);
    }

    /// `a + b + c …`: the left side is followed in a loop, so that a long chain needs no deep stack.
    fn binary_chain(&mut self, e: &Expr) {
        let mut chain = Vec::new();
        let mut next = e;
        while let ExprKind::Binary { op, left, right } = &*next.kind {
            if matches!(op, BinaryOp::And | BinaryOp::Or) {
                break;
            }
            chain.push((*op, right, left.span.end, next.span));
            next = left;
        }
        match &*next.kind {
            ExprKind::Binary { op, left, right } => self.logical(*op == BinaryOp::And, left, right, next.span),
            _ => self.expr(next),
        }
        for (op, right, left_end, span) in chain.into_iter().rev() {
            self.expr(right);
            match op {
                BinaryOp::In => {
                    self.emit(Op::Case, span);
                }
                BinaryOp::NotIn => {
                    self.emit(Op::Case, span);
                    self.emit(Op::Not, span);
                }
                op => {
                    self.emit(Op::Binary(op), span);
                }
            }
            self.record_between(left_end, right.span.start, super::assertion::sign(op), span);
        }
    }

    fn logical(&mut self, and: bool, left: &Expr, right: &Expr, span: Span) {
        self.expr(left);
        let short = self.emit(if and { Op::JumpFalse(0) } else { Op::JumpTrue(0) }, span);
        self.expr(right);
        self.emit(Op::Truth, span);
        let end = self.emit(Op::Jump(0), span);
        self.f().patch(short);
        self.emit(if and { Op::False } else { Op::True }, span);
        self.f().patch(end);
        self.record_between(left.span.end, right.span.start, if and { "&&" } else { "||" }, span);
    }

    /// `a.b(c)[d].e`: the receivers are followed in a loop.
    fn chain(&mut self, e: &Expr) {
        let mut links: Vec<&Expr> = Vec::new();
        let mut next = e;
        let root = loop {
            if let Some(class) = self.class_of_path(next) {
                let number = self.f().name(&class);
                self.emit(Op::ClassRef(number), next.span);
                break None;
            }
            if let Some((name, at)) = self.static_of_this(next) {
                let number = self.f().name(name);
                self.emit(Op::Static(number), span_of(at, next.span));
                self.record(at.start, next.span);
                break None;
            }
            match &*next.kind {
                ExprKind::Property { object, .. } | ExprKind::Index { object, .. } => {
                    links.push(next);
                    next = object;
                }
                ExprKind::CallValue { callee, .. } => {
                    links.push(next);
                    next = callee;
                }
                ExprKind::Call { object: Some(object), .. }
                    if !is_super(object) && trait_of_super(object).is_none() =>
                {
                    links.push(next);
                    next = object;
                }
                _ => break Some(next),
            }
        };
        match root {
            Some(Expr { kind, span }) if matches!(**kind, ExprKind::Call { .. }) => {
                self.rootless_call(kind, *span);
                self.record(span.start, *span);
            }
            Some(other) => self.expr(other),
            None => {}
        }
        for link in links.into_iter().rev() {
            self.link(link);
            match &*link.kind {
                ExprKind::Property { member: Member::Name(_, at), .. }
                | ExprKind::Call { callee: Member::Name(_, at), .. } => self.record(at.start, link.span),
                ExprKind::Index { object, .. } => self.record_between(object.span.end, link.span.end, "[", link.span),
                ExprKind::CallValue { callee, .. } => self.record(callee.span.start, link.span),
                _ => {}
            }
        }
    }

    fn class_of_path(&mut self, e: &Expr) -> Option<Text> {
        let ExprKind::Property { .. } = &*e.kind else { return None };
        let class = self.scope.names.class_path(e)?;
        let head = class.split('.').next().unwrap_or_default().to_string();
        if self.variable(&head).is_some() { None } else { Some(class) }
    }

    /// One member access, index or call on the value that is on the stack.
    fn link(&mut self, e: &Expr) {
        let span = e.span;
        match &*e.kind {
            ExprKind::Property { member, access: Access::Spread, attribute, .. } if !self.f().stepwise => {
                self.spread_property(member, *attribute, span);
            }
            // In Jenkins' engine `*.` is `?.`: a list makes one of it all the same.
            ExprKind::Property { object, member, access, attribute } => {
                let safe = (*access != Access::Dot).then(|| self.emit(Op::JumpNull(0), span));
                match member {
                    Member::Name(name, at) => {
                        let number = self.f().name(name);
                        let op = match (*attribute, is_super(object)) {
                            (true, _) => Op::Attr(number),
                            (_, true) => Op::SuperProp(number),
                            _ => Op::Prop(number),
                        };
                        self.emit(op, span_of(*at, span));
                    }
                    Member::Dynamic(name) => {
                        self.expr(name);
                        self.emit(Op::PropDynamic, span);
                    }
                }
                if let Some(at) = safe {
                    self.f().patch(at);
                }
            }
            ExprKind::Index { index, .. } => {
                self.index_value(index, span);
                self.emit(Op::Index, span);
            }
            ExprKind::CallValue { args, .. } => {
                let site = self.arguments("call".into(), args, span);
                let site = self.f().site(site);
                self.emit(Op::CallValue(site), span);
            }
            ExprKind::Call { callee, access, args, .. } => self.call_on(callee, *access, args, span),
            _ => {}
        }
    }
}

fn span_of(name: Span, whole: Span) -> Span {
    if name.start == 0 && name.end == 0 { whole } else { name }
}

pub(super) fn is_super(e: &Expr) -> bool {
    matches!(&*e.kind, ExprKind::Name(n) if &**n == "super")
}

/// `T` of `T.super`.
pub(super) fn trait_of_super(e: &Expr) -> Option<&Text> {
    match &*e.kind {
        ExprKind::Property { object, member: Member::Name(member, _), attribute: false, .. }
            if &**member == "super" =>
        {
            match &*object.kind {
                ExprKind::Name(name) if name.starts_with(char::is_uppercase) => Some(name),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The value of a literal; `None` where it is out of range.
pub(super) fn constant_value(k: &Constant) -> Option<Value> {
    Some(match k {
        Constant::Null => Value::Null,
        Constant::Bool(b) => Value::Bool(*b),
        Constant::Int(n) => Value::Int(*n),
        Constant::Long(n) => Value::Long(*n),
        Constant::BigInt(text) => {
            if text.len() as u64 > crate::value::decimal::DIGITS_MAX {
                return None;
            }
            Value::BigInt(Rc::new(BigInt::parse_bytes(text.as_bytes(), 10)?))
        }
        Constant::Decimal(text) => Value::decimal(Decimal::parse(text)?),
        Constant::Float(n) => Value::Float(*n),
        Constant::Double(n) => Value::Double(*n),
        Constant::Str(text) => Value::str(&**text),
    })
}
