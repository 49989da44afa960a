//! One walk over a file that gathers what it defines and what it calls. It keeps its own stack: a file may nest deeper
//! than the native one allows.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use groovy::ast::{
    Annotation, Arg, Block, Class, Closure, Constant, Expr, ExprKind, Import, Local, LocalTarget, MapEntry, MapKey,
    Member, Method, Param, Script, Stmt, StmtKind, StrPart, Text,
};
use groovy::span::Span;

use crate::catalogue::{Catalogue, Kind};
use crate::declarative::model::PostCondition;

use super::calls::{NameCall, Within};
use super::members::{ClassMember, member_of};
use super::names::is_internal;
use super::variables::{Pieces, Variables};
use super::words::{self, DEFINING, HARMLESS_IMPORTS, PLAIN_CLOSURE};
use super::{classes, engine};

/// What the walk gathers.
#[derive(Default)]
pub(super) struct Facts<'a> {
    /// Names that the file defines, wherever.
    pub defined: HashSet<Text>,
    /// Calls to names on nobody (or `this`).
    pub calls: Vec<NameCall<'a>>,
    /// Agent types and conditions in directives.
    pub directives: Vec<(Kind, Text, Span)>,
    /// The file loads code that is not in it.
    pub library: bool,
    /// The file sets the delegate of a closure.
    pub delegates: bool,
    /// Uses of Jenkins' own Java objects: what is named, and where.
    pub internals: Vec<(Text, Span)>,
    /// Members of classes, and of objects whose class can be seen: class, `new` where it is of an object, member, where.
    pub members: Vec<ClassMember>,
    /// Classes that are made an object of.
    pub made: Vec<(Text, Span)>,
    /// What an import calls by another name: that name, and the full one.
    pub imported: HashMap<Text, Text>,
    /// Annotations that do not do all that they do in Groovy, what is said of each, and where.
    pub annotations: Vec<(Text, &'static str, Span)>,
    /// What wants a Docker Engine: the words for it, and where.
    pub engine: Vec<(engine::Use, Span)>,
    /// Calls with blocks that run on a node of their own.
    pub nodes: Vec<engine::NodeBlock>,
    /// What variables are set to.
    pub variables: Variables,
    /// Scripts that a shell is given, and where.
    pub scripts: Vec<(Pieces, Span)>,
    /// What would want a Docker Engine if the variable that it is called on were an image's.
    pub engine_of_image: Vec<(Text, engine::Use, Span)>,
}

fn is_call_of(expr: &Expr, name: &str) -> bool {
    matches!(&*expr.kind, ExprKind::Call { object: None, callee: Member::Name(called, _), .. } if &**called == name)
}

/// Whether a directive's entry is a plugin's, of which not all is known.
fn is_of_plugin(name: &str) -> bool {
    let kinds = [Kind::Trigger, Kind::Property];
    kinds.into_iter().filter_map(|kind| Catalogue::get().find(kind, name)).any(|entry| entry.open)
}

/// Something still to be walked.
#[derive(Clone, Copy)]
enum Node<'a> {
    Expr(&'a Expr),
    Stmt(&'a Stmt),
    /// The content of a directive: names in it are sections, not calls.
    Directive(&'a Block, Section),
}

/// Which directive a block belongs to, as far as it matters for its content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Structure,
    Post,
    When,
    Agent,
    /// `options`, `parameters`: calls with arguments.
    Values,
}

struct Walk<'a> {
    facts: Facts<'a>,
    open: Vec<(Node<'a>, Within)>,
    directives: &'a [Rc<Closure>],
}

/// Walks a file; `directives` are its `pipeline { … }` blocks, `unrolled` the same with one section on each line.
pub(super) fn collect<'a>(script: &'a Script, directives: &'a [Rc<Closure>], unrolled: &'a [Rc<Closure>]) -> Facts<'a> {
    let mut walk = Walk { facts: Facts::default(), open: Vec::new(), directives };
    walk.open.extend(unrolled.iter().map(|c| (Node::Directive(&c.body, Section::Structure), Within::default())));
    script.imports.iter().for_each(|i| walk.import(i));
    script.methods.iter().for_each(|m| walk.method(m));
    for class in &script.classes {
        walk.class(class);
    }
    // A file with `call` is a variable of a library, and its neighbours are variables too.
    walk.facts.library |= script.methods.iter().any(|m| matches!(&*m.name, "call" | "methodMissing" | "invokeMethod"));
    walk.stmts(&script.body, Within::default());
    walk.run();
    walk.facts
}

impl<'a> Walk<'a> {
    fn run(&mut self) {
        while let Some((node, within)) = self.open.pop() {
            match node {
                Node::Stmt(stmt) => self.stmt(stmt, within),
                Node::Expr(expr) => self.expr(expr, within),
                Node::Directive(block, section) => self.directive_block(block, section),
            }
        }
    }

    fn define(&mut self, name: &Text) {
        self.facts.defined.insert(name.clone());
    }

    fn stmts(&mut self, stmts: &'a [Stmt], within: Within) {
        self.open.extend(stmts.iter().map(|s| (Node::Stmt(s), within)));
    }

    fn exprs(&mut self, exprs: impl IntoIterator<Item = &'a Expr>, within: Within) {
        self.open.extend(exprs.into_iter().map(|e| (Node::Expr(e), within)));
    }

    fn import(&mut self, import: &Import) {
        self.annotations(&import.annotations);
        if is_internal(&import.path) && !HARMLESS_IMPORTS.contains(&&*import.path) {
            self.facts.internals.push((import.path.clone(), import.span));
        }
        let name = import.alias.clone().unwrap_or_else(|| import.path.rsplit('.').next().unwrap_or_default().into());
        self.define(&name);
        if import.star {
            // Any class may be one of that package.
            self.facts.imported.insert("*".into(), import.path.clone());
        } else {
            self.facts.imported.insert(name, import.path.clone());
        }
        if import.is_static && import.star {
            let members = groovy::compile::static_members(&import.path);
            members.iter().for_each(|member| self.define(&(*member).into()));
            // Or methods of a class that is not in the file.
            self.facts.library |= members.is_empty();
        }
    }

    fn annotations(&mut self, annotations: &[Annotation]) {
        self.facts.library |= annotations.iter().any(|a| matches!(&*a.name, "Library" | "Grab" | "BaseScript"));
        let lacks = |a: &Annotation| words::lack_of(&a.name).map(|lack| (a.name.clone(), lack, a.span));
        self.facts.annotations.extend(annotations.iter().filter_map(lacks));
    }

    /// Methods of a class call what only its objects have: they are not looked at.
    fn class(&mut self, class: &Class) {
        self.annotations(&class.modifiers.annotations);
        self.define(&class.name);
        class.methods.iter().for_each(|m| self.annotations(&m.modifiers.annotations));
        for field in &class.fields {
            self.annotations(&field.modifiers.annotations);
            let delegate =
                field.modifiers.annotations.iter().find(|a| matches!(&*a.name, "Delegate" | "groovy.lang.Delegate"));
            let lack = field.ty.as_ref().and_then(|ty| words::lack_of_delegate(&ty.name));
            self.facts.annotations.extend(delegate.zip(lack).map(|(a, lack)| (a.name.clone(), lack, a.span)));
        }
        class.classes.iter().for_each(|c| self.class(c));
    }

    fn method(&mut self, method: &'a Method) {
        self.annotations(&method.modifiers.annotations);
        self.define(&method.name);
        self.params(&method.params, Within::default());
        self.stmts(method.body.as_ref().map_or(&[], |b| &b.stmts), Within::default());
    }

    fn params(&mut self, params: &'a [Param], within: Within) {
        for param in params {
            self.define(&param.name);
            self.exprs(&param.default, within);
        }
    }

    fn local(&mut self, local: &'a Local, within: Within) {
        self.annotations(&local.modifiers.annotations);
        match &local.target {
            LocalTarget::Names(names) => {
                for name in names {
                    self.define(&name.name);
                    name.init.iter().for_each(|value| self.facts.variables.set(&name.name, value));
                    self.exprs(&name.init, within);
                }
            }
            LocalTarget::Tuple { names, init } => {
                names.iter().for_each(|(_, name, _)| self.define(name));
                self.exprs([init], within);
            }
        }
    }

    fn stmt(&mut self, stmt: &'a Stmt, within: Within) {
        match &stmt.kind {
            StmtKind::Expr(expr) | StmtKind::Throw(expr) => self.exprs([expr], within),
            StmtKind::Local(local) => self.local(local, within),
            StmtKind::If { cond, then, otherwise } => {
                self.exprs([cond], within);
                self.open.push((Node::Stmt(then), within));
                self.open.extend(otherwise.iter().map(|s| (Node::Stmt(s), within)));
            }
            StmtKind::While { cond, body } => {
                self.exprs([cond], within);
                self.open.push((Node::Stmt(body), within));
            }
            StmtKind::ForIn { name, iterable, body, .. } => {
                self.define(name);
                self.exprs([iterable], within);
                self.open.push((Node::Stmt(body), within));
            }
            StmtKind::ForClassic { init, cond, step, body } => {
                self.stmts(init, within);
                self.exprs(cond, within);
                self.exprs(step, within);
                self.open.push((Node::Stmt(body), within));
            }
            StmtKind::Switch { subject, cases } => {
                self.exprs([subject], within);
                for case in cases {
                    self.exprs(&case.test, within);
                    self.stmts(&case.body, within);
                }
            }
            StmtKind::Try { body, catches, finally } => {
                self.stmts(&body.stmts, within);
                for catch in catches {
                    self.define(&catch.name);
                    self.stmts(&catch.body.stmts, within);
                }
                self.stmts(finally.as_ref().map_or(&[], |b| &b.stmts), within);
            }
            StmtKind::Return(value) => self.exprs(value, within),
            StmtKind::Assert { cond, message, .. } => {
                self.exprs([cond], within);
                self.exprs(message, within);
            }
            StmtKind::Synchronized { lock, body } => {
                self.exprs([lock], within);
                self.stmts(&body.stmts, within);
            }
            StmtKind::Block(block) => self.stmts(&block.stmts, within),
            StmtKind::Break(_) | StmtKind::Continue(_) | StmtKind::Empty => {}
        }
    }

    fn args(&mut self, args: &'a [Arg], within: Within) {
        for arg in args {
            match arg {
                Arg::Named(MapKey::Dynamic(key), value) => self.exprs([key, value], within),
                Arg::Positional(e) | Arg::Named(_, e) | Arg::Spread(e) | Arg::SpreadMap(e) => {
                    self.exprs([e], within);
                }
            }
        }
    }

    fn closure(&mut self, closure: &'a Closure, within: Within) {
        self.params(closure.params.as_deref().unwrap_or_default(), within);
        self.stmts(&closure.body.stmts, within);
    }

    fn expr(&mut self, expr: &'a Expr, within: Within) {
        match &*expr.kind {
            ExprKind::Constant(_) | ExprKind::Name(_) | ExprKind::TypeLiteral(_) | ExprKind::Error => {}
            ExprKind::Annotation(_) => {}
            ExprKind::GString(parts) => {
                for part in parts {
                    match part {
                        StrPart::Text(_) => {}
                        StrPart::Expr(expr) => self.exprs([expr], within),
                        StrPart::Closure(closure) => self.closure(closure, within),
                    }
                }
            }
            ExprKind::List(args) => self.args(args, within),
            ExprKind::Map(entries) => {
                for entry in entries {
                    match entry {
                        MapEntry::Pair(MapKey::Dynamic(key), value) => self.exprs([key, value], within),
                        MapEntry::Pair(_, value) | MapEntry::Spread(value) => self.exprs([value], within),
                    }
                }
            }
            ExprKind::Call { object, callee, args, .. } => self.call(object.as_ref(), callee, args, within),
            ExprKind::Closure(closure) => self.closure(closure, Within { in_closure: true, ..within }),
            ExprKind::Declaration(local) => self.local(local, within),
            ExprKind::Assign { target, value, .. } => {
                self.assigned(target);
                self.facts.variables.assign(target, value);
                self.exprs([target, value], within);
            }
            _ => self.parts(expr, within),
        }
    }

    /// The expressions that only hold others.
    fn parts(&mut self, expr: &'a Expr, within: Within) {
        match &*expr.kind {
            ExprKind::Range { from: a, to: b, .. }
            | ExprKind::Binary { left: a, right: b, .. }
            | ExprKind::Elvis { value: a, otherwise: b } => self.exprs([a, b], within),
            ExprKind::Property { object, member, .. } | ExprKind::MethodPointer { object, member } => {
                self.internal(object, member);
                self.exprs([object], within);
                self.member(member, within);
            }
            ExprKind::Index { object, index } => {
                self.exprs([object], within);
                self.args(index, within);
            }
            ExprKind::CallValue { callee, args } => {
                self.exprs([callee], within);
                self.args(args, within);
            }
            ExprKind::New { ty, args, .. } => {
                self.facts.made.push((ty.name.clone(), ty.span));
                self.args(args, Within::FOREIGN);
            }
            ExprKind::NewArray { sizes, init, .. } => {
                self.exprs(sizes, within);
                self.exprs(init.iter().flatten(), within);
            }
            ExprKind::Unary { operand: e, .. }
            | ExprKind::IncDec { target: e, .. }
            | ExprKind::As { value: e, .. }
            | ExprKind::Cast { value: e, .. }
            | ExprKind::InstanceOf { value: e, .. } => self.exprs([e], within),
            ExprKind::Ternary { cond, then, otherwise } => self.exprs([cond, then, otherwise], within),
            _ => {}
        }
    }

    /// Notes `Jenkins.instance`, `currentBuild.rawBuild`, `x.metaClass`.
    fn internal(&mut self, object: &Expr, member: &Member) {
        let Member::Name(name, span) = member else { return };
        self.facts.library |= &**name == "metaClass";
        self.facts.members.extend(member_of(object, name, *span));
        let of_jenkins = super::names::singleton(object).map(|class| format!("{class}.{name}").into());
        if of_jenkins.is_some() || matches!(&**name, "rawBuild" | "getRawBuild") {
            self.facts.internals.push((of_jenkins.unwrap_or_else(|| name.clone()), *span));
        }
    }

    fn member(&mut self, member: &'a Member, within: Within) {
        if let Member::Dynamic(expr) = member {
            self.exprs([expr], within);
        }
    }

    /// An assignment to a name defines it: without `def` it is a variable of the whole script.
    fn assigned(&mut self, target: &Expr) {
        match &*target.kind {
            ExprKind::Name(name) => self.define(name),
            ExprKind::List(items) => {
                for item in items {
                    if let Arg::Positional(expr) = item
                        && let ExprKind::Name(name) = &*expr.kind
                    {
                        self.define(name);
                    }
                }
            }
            // `this.x = …`, `binding.x = …`, `closure.delegate.x = …`
            ExprKind::Property { member: Member::Name(name, _), .. } => {
                self.facts.delegates |= matches!(&**name, "delegate" | "resolveStrategy");
                self.define(name);
            }
            _ => {}
        }
    }

    fn call(&mut self, object: Option<&'a Expr>, callee: &'a Member, args: &'a [Arg], within: Within) {
        let on_self = object.is_none_or(|o| matches!(&*o.kind, ExprKind::Name(n) if &**n == "this"));
        let Member::Name(name, span) = callee else {
            self.exprs(object, within);
            self.member(callee, within);
            self.args(args, Within::FOREIGN);
            return;
        };
        self.facts.library |= DEFINING.contains(&&**name);
        self.facts.engine.extend(engine::wish(object, name, args).map(|wish| (wish, *span)));
        self.facts.scripts.extend(engine::script(object, name, args).map(|script| (Pieces::of(script), *span)));
        if let Some(variable) = object.and_then(|object| engine::of_variable(object, name)) {
            let wish = engine::Use::Engine(format!("`docker.image(…).{name}`"));
            self.facts.engine_of_image.push((variable.clone(), wish, *span));
        }
        self.facts.nodes.extend(engine::node(object, name, *span, args));
        let of_steps = object.is_some_and(|o| matches!(&*o.kind, ExprKind::Name(n) if &**n == "steps"));
        if of_steps {
            self.facts.calls.push(NameCall { of_steps, ..NameCall::new(name.clone(), *span, args, within) });
        }
        if let (false, Some(object)) = (on_self, object) {
            self.internal(object, callee);
            self.exprs([object], within);
            let plain = PLAIN_CLOSURE.contains(&&**name);
            self.args(args, if plain { within } else { Within::FOREIGN });
            return;
        }
        if &**name == "pipeline"
            && let [Arg::Positional(body)] = args
            && let ExprKind::Closure(closure) = &*body.kind
            && self.directives.iter().any(|d| Rc::ptr_eq(d, closure))
        {
            // Walked in its own form.
            return;
        }
        self.facts.library |= matches!(&**name, "library" | "load" | "libraryResource");
        // `${x}` without quotes reads as a call of `$`; the rules of directives have their own words for it.
        if &**name == "$" {
            return;
        }
        self.facts.calls.extend(classes::call(name, args, *span, within));
        let index = self.facts.calls.len();
        let of_credential = args.iter().any(
            |arg| matches!(arg, Arg::Named(MapKey::Constant(Constant::Str(key), _), _) if &**key == "credentialsId"),
        );
        self.facts.calls.push(NameCall { of_credential, ..NameCall::new(name.clone(), *span, args, within) });
        let plain = PLAIN_CLOSURE.contains(&&**name);
        self.args(args, if plain { within } else { Within { call: Some(index), ..within } });
    }

    fn directive_block(&mut self, block: &'a Block, section: Section) {
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Expr(expr) => match &*expr.kind {
                    ExprKind::Assign { value, .. } if is_call_of(value, "credentials") => {}
                    ExprKind::Call { object: None, callee: Member::Name(name, span), args, .. } => {
                        self.directive(name, *span, args, section);
                    }
                    ExprKind::Assign { target, value, .. } => {
                        self.facts.variables.assign(target, value);
                        self.exprs([value], Within::default());
                    }
                    _ => {}
                },
                StmtKind::Local(local) => self.local(local, Within::default()),
                _ => {}
            }
        }
    }

    fn directive(&mut self, name: &'a Text, span: Span, args: &'a [Arg], section: Section) {
        if section == Section::Agent {
            self.facts.directives.push((Kind::Agent, name.clone(), span));
        }
        if section == Section::When {
            self.facts.directives.push((Kind::When, name.clone(), span));
        }
        self.facts.library |= &**name == "libraries";
        for arg in args {
            let value = match arg {
                Arg::Positional(value) | Arg::Named(_, value) | Arg::Spread(value) | Arg::SpreadMap(value) => value,
            };
            let ExprKind::Closure(closure) = &*value.kind else {
                let described = section == Section::Values && is_of_plugin(name);
                self.exprs([value], Within { described, ..Within::default() });
                continue;
            };
            let inner = match (section, &**name) {
                (_, "steps" | "script" | "expression") => None,
                (Section::Post, word) if PostCondition::from_name(word).is_some() => None,
                (Section::When, _) | (_, "when") => Some(Section::When),
                (_, "post") => Some(Section::Post),
                (Section::Structure, "agent") => Some(Section::Agent),
                (Section::Agent | Section::Values, _) | (_, "options" | "parameters" | "triggers" | "tools") => {
                    Some(Section::Values)
                }
                (_, _) => Some(Section::Structure),
            };
            match inner {
                None => self.closure(closure, Within::default()),
                Some(inner) => self.open.push((Node::Directive(&closure.body, inner), Within::default())),
            }
        }
    }
}
