//! Calls, constructors, lists of arguments, and the loops behind `*.`.

use std::rc::Rc;

use super::Compiler;
use super::builder::Place;
use super::function::{Capture, FunctionKind, Op, Site, Type};
use crate::ast::{Access, Arg, Class, Expr, ExprKind, MapKey, Member, Text, TypeRef};
use crate::span::Span;

/// What is wrong with `[[a: 1] [b: 2]]`, in Groovy's words.
const MAP_ENTRY_AS_INDEX: &str = "You tried to use a map entry for an index operation, this is not allowed. \
    Maybe something should be set in parentheses or a comma is missing?";

impl Compiler<'_> {
    /// Puts the arguments on the stack.
    pub(super) fn arguments(&mut self, name: Text, args: &[Arg], span: Span) -> Site {
        let named = args.iter().any(|a| matches!(a, Arg::Named(..) | Arg::SpreadMap(_)));
        if args.iter().any(|a| matches!(a, Arg::Spread(_))) {
            self.emit(Op::List(0), span);
            if named {
                self.named_map(args, span);
                self.emit(Op::ListAdd, span);
            }
            self.list_items(args);
            return Site { named, spread: true, ..Site::plain(&name, 1) };
        }
        let (mut count, mut casts) = (0u16, Vec::new());
        if named {
            self.named_map(args, span);
            count += 1;
        }
        for arg in args {
            if let Arg::Positional(e) = arg {
                if let ExprKind::Cast { ty, .. } = &*e.kind {
                    casts.push((count, self.scope.names.ty(ty)));
                }
                self.expr(e);
                count = count.saturating_add(1);
            }
        }
        if count > 4_000 {
            self.error(span, "too many arguments");
        }
        Site { named, casts, ..Site::plain(&name, count) }
    }

    fn named_map(&mut self, args: &[Arg], span: Span) {
        self.emit(Op::Map(0), span);
        for arg in args {
            match arg {
                Arg::Named(key, value) => {
                    self.map_key(key);
                    self.expr(value);
                    self.emit(Op::MapPut, value.span);
                }
                Arg::SpreadMap(map) => {
                    self.expr(map);
                    self.emit(Op::MapPutAll, map.span);
                }
                _ => {}
            }
        }
    }

    fn list_items(&mut self, args: &[Arg]) {
        for arg in args {
            match arg {
                Arg::Positional(e) => {
                    self.expr(e);
                    self.emit(Op::ListAdd, e.span);
                }
                Arg::Spread(e) => {
                    self.expr(e);
                    self.emit(Op::ListAddAll, e.span);
                }
                _ => {}
            }
        }
    }

    pub(super) fn list(&mut self, items: &[Arg], span: Span) {
        let plain = items.iter().all(|a| matches!(a, Arg::Positional(_)));
        if plain && items.len() <= 64 {
            for arg in items {
                if let Arg::Positional(e) = arg {
                    self.expr(e);
                }
            }
            self.emit(Op::List(items.len() as u32), span);
            return;
        }
        self.emit(Op::List(0), span);
        self.list_items(items);
    }

    /// The value between the brackets of `a[…]`: several become a list.
    pub(super) fn index_value(&mut self, index: &[Arg], span: Span) {
        match index {
            [Arg::Positional(e)] => self.expr(e),
            many => {
                let entry = many.iter().find_map(|arg| match arg {
                    Arg::Named(MapKey::Constant(_, key), _) => Some(*key),
                    Arg::Named(_, value) | Arg::SpreadMap(value) => Some(value.span),
                    Arg::Positional(_) | Arg::Spread(_) => None,
                });
                match entry {
                    Some(at) => self.error(at, MAP_ENTRY_AS_INDEX),
                    None => self.list(many, span),
                }
            }
        }
    }

    /// A call without receiver, on `super`, or of a constructor.
    pub(super) fn rootless_call(&mut self, kind: &ExprKind, span: Span) {
        let ExprKind::Call { object, callee, args, .. } = kind else { return };
        if let Some(object) = object {
            return self.super_call(super::expr::trait_of_super(object), callee, args, span);
        }
        match callee {
            Member::Name(name, at) => self.name_call(name, *at, args, span),
            Member::Dynamic(name) => {
                self.emit(Op::Null, span);
                self.expr(name);
                let site = self.arguments("".into(), args, span);
                let site = self.f().site(Site { dynamic: true, ..site });
                self.emit(Op::CallName(site), span);
            }
        }
    }

    fn super_call(&mut self, of: Option<&Text>, callee: &Member, args: &[Arg], span: Span) {
        self.emit(Op::This, span);
        let site = match callee {
            Member::Name(name, _) => self.arguments(name.clone(), args, span),
            Member::Dynamic(name) => {
                self.expr(name);
                Site { dynamic: true, ..self.arguments("".into(), args, span) }
            }
        };
        let site = self.f().site(site);
        let op = match of {
            Some(name) => {
                let class = self.scope.names.class(name).unwrap_or_else(|| name.clone());
                Op::CallTraitSuper { site, name: self.f().name(&class) }
            }
            None => Op::CallSuper(site),
        };
        self.emit(op, span);
    }

    fn name_call(&mut self, name: &Text, at: Span, args: &[Arg], span: Span) {
        if self.f().kind == FunctionKind::Constructor && matches!(&**name, "this" | "super") {
            self.emit(Op::This, span);
            let site = self.arguments(name.clone(), args, span);
            let site = self.f().site(site);
            self.emit(Op::CallConstructor { site, is_super: &**name == "super" }, span);
            return;
        }
        if self.variable(name).is_some() {
            self.load_name(name, at);
            let site = self.arguments("call".into(), args, span);
            let site = self.f().site(site);
            self.emit(Op::CallValue(site), span);
            return;
        }
        let in_closure = self.f().kind == FunctionKind::Closure;
        let imported = self.scope.names.static_import_of_call(name, args, self.class.as_ref(), in_closure);
        if let Some((class, member)) = imported {
            let number = self.f().name(&class);
            self.emit(Op::ClassRef(number), at);
            let site = self.arguments(member, args, span);
            let site = self.f().site(site);
            self.emit(Op::Call(site), span);
            return;
        }
        self.emit(Op::Null, span);
        let site = self.arguments(name.clone(), args, span);
        let site = self.f().site(site);
        self.emit(Op::CallName(site), span);
    }

    /// `.name(args)` on the value on the stack.
    pub(super) fn call_on(&mut self, callee: &Member, access: Access, args: &[Arg], span: Span) {
        if access == Access::Spread {
            return self.spread_call(callee, args, span);
        }
        let safe = (access == Access::Safe).then(|| self.emit(Op::JumpNull(0), span));
        self.plain_call(callee, args, span);
        if let Some(at) = safe {
            self.f().patch(at);
        }
    }

    fn plain_call(&mut self, callee: &Member, args: &[Arg], span: Span) {
        let site = match callee {
            Member::Name(name, _) => self.arguments(name.clone(), args, span),
            Member::Dynamic(name) => {
                self.expr(name);
                let site = self.arguments("".into(), args, span);
                Site { dynamic: true, ..site }
            }
        };
        let site = self.f().site(site);
        self.emit(Op::Call(site), span);
    }

    /// `list*.name(args)`: calls it on each item that is not null.
    fn spread_call(&mut self, callee: &Member, args: &[Arg], span: Span) {
        self.spread(span, |c| c.plain_call(callee, args, span));
    }

    pub(super) fn spread_property(&mut self, member: &Member, attribute: bool, span: Span) {
        self.spread(span, |c| match member {
            Member::Name(name, _) => {
                let number = c.f().name(name);
                c.emit(if attribute { Op::Attr(number) } else { Op::Prop(number) }, span);
            }
            Member::Dynamic(name) => {
                c.expr(name);
                c.emit(Op::PropDynamic, span);
            }
        });
    }

    /// Replaces the collection on the stack by the list of what `each` makes of its items. The result list waits in a
    /// slot: an exception leaves nothing on the stack.
    pub(super) fn spread(&mut self, span: Span, each: impl FnOnce(&mut Self)) {
        let whole = self.emit(Op::JumpNull(0), span);
        let mark = self.f().open_scope();
        self.emit(Op::Iterate, span);
        let (iter, out) = (self.f().slot(), self.f().slot());
        self.emit(Op::Store(iter), span);
        self.emit(Op::List(0), span);
        self.emit(Op::Store(out), span);
        let again = self.f().here();
        let next = self.emit(Op::IterNext { slot: iter, end: 0 }, span);
        let null = self.emit(Op::JumpNull(0), span);
        each(self);
        self.f().patch(null);
        self.emit(Op::Load(out), span);
        self.emit(Op::Swap, span);
        self.emit(Op::ListAdd, span);
        self.emit(Op::Pop, span);
        self.emit(Op::Jump(again as u32), span);
        self.f().patch(next);
        self.emit(Op::Load(out), span);
        self.f().close_scope(mark);
        self.f().patch(whole);
    }

    pub(super) fn new_object(&mut self, ty: &TypeRef, args: &[Arg], body: Option<&Rc<Class>>, span: Span) {
        let (class, used) = match body {
            Some(body) => self.anonymous_class(ty, body),
            None => match self.scope.names.ty(ty) {
                Type::Class(name) => (name, Vec::new()),
                Type::Any => ("java.lang.Object".into(), Vec::new()),
                _ => (ty.name.clone(), Vec::new()),
            },
        };
        self.emit(Op::Null, span);
        let mut site = self.arguments(class, args, span);
        for name in used {
            let from = match self.variable(&name).map(|v| v.place) {
                Some(Place::Shared(n)) => Capture::Shared(n),
                Some(Place::Captured(n)) => Capture::Captured(n),
                // The scan of mentions makes every variable that a class uses a shared one.
                Some(Place::Slot(_)) | None => continue,
            };
            site.shares.push((name, from));
        }
        let site = self.f().site(site);
        self.emit(Op::New(site), span);
    }

    pub(super) fn new_array(&mut self, ty: &TypeRef, sizes: &[Expr], init: Option<&[Expr]>, span: Span) {
        // Whether the parser counted the written brackets into the type or not: the element type has none of them.
        let mut element = self.scope.names.ty(ty);
        while let Type::Array(inner) = element {
            element = *inner;
        }
        if let Some(items) = init {
            let args: Vec<Arg> = items.iter().cloned().map(Arg::Positional).collect();
            self.list(&args, span);
            let dimensions = ty.dimensions.max(1);
            let ty = (0..dimensions).fold(element, |t, _| Type::Array(Box::new(t)));
            let number = self.f().ty(ty);
            self.emit(Op::Cast(number), span);
            return;
        }
        for size in sizes {
            self.expr(size);
        }
        let number = self.f().ty(element);
        self.emit(Op::NewArray { ty: number, sizes: sizes.len() as u32 }, span);
    }
}
