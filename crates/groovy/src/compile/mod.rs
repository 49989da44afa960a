//! Syntax tree → bytecode. Locals become slots here; every other name is looked up when it runs.
//!
//! Start at [`compile_script`]; `stmt` and `expr` walk the tree, `builder` holds the function that is being made.

mod assertion;
mod assign;
mod builder;
mod builders;
mod call;
mod choice;
mod class;
mod data_class;
mod delegate;
mod expand;
mod expr;
mod flow;
mod function;
mod immutable;
mod members;
mod mentions;
mod starred;
mod stmt;
mod types;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use builder::{Builder, Place, Variable};
pub(crate) use class::INHERITS_CONSTRUCTORS;
pub use class::{ClassPlan, FieldPlan};
pub use function::{Capture, Function, FunctionKind, Handler, Op, Parameter, Site, Type};
use mentions::Mentions;
pub use starred::static_members;
pub use types::ClassIndex;
pub(crate) use types::primitive;
use types::{Names, in_package};

use crate::ast::{Block, Expr, ExprKind, Member, Method, Param, Script, StmtKind, Text};
use crate::diagnostic::Diagnostic;
use crate::machine::ScriptId;
use crate::span::Span;
use crate::stack;

/// A compiled script.
#[derive(Debug)]
pub struct Program {
    /// Statements at top level.
    pub body: Rc<Function>,
    /// The script's own class: its methods and `@Field`s.
    pub class: ClassPlan,
    /// Classes it declares, nested ones after those around them.
    pub classes: Vec<ClassPlan>,
}

/// How code is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As Groovy runs it.
    #[default]
    Groovy,
    /// As Jenkins runs the code of a pipeline, step by step, but for what is `@NonCPS`.
    Pipeline,
    /// The part of Groovy's library that is written in Groovy.
    Library,
}

/// Methods that are called where no step can be, so in Jenkins they work as `@NonCPS` alone: they answer what their types say.
const CALLED_BY_THE_LIBRARY: [&str; 8] =
    ["asBoolean", "compare", "compareTo", "equals", "hasNext", "hashCode", "iterator", "toString"];

/// As many parameters as a method of Java may have. Choosing among overloads may look at all of them several times.
const PARAMETERS_MAX: usize = 255;

/// What later compilations in the same script need to know of it.
#[derive(Debug)]
pub struct Scope {
    names: Names,
    script: ScriptId,
    mode: Mode,
}

/// Compiles a script. `class_name` is the name of its class, without its package; `index` the classes of other files that it may name;
/// `mode` says how it is run.
pub fn compile_script(
    script: &Script,
    id: ScriptId,
    class_name: &str,
    index: &Rc<ClassIndex>,
    mode: Mode,
) -> Result<(Program, Scope), Vec<Diagnostic>> {
    let expanded = stack::with_room(|| expand::expand(script)).map_err(|found| vec![found])?;
    let script = expanded.as_ref().unwrap_or(script);
    let scope = Scope { names: Names::of(script, index.clone()), script: id, mode };
    let mut compiler = Compiler::new(&scope);
    let program = stack::with_room(|| compiler.script(script, &in_package(script, class_name)));
    if compiler.diagnostics.is_empty() { Ok((program, scope)) } else { Err(compiler.diagnostics) }
}

/// What keeps a script that could be parsed from being compiled.
pub fn check(script: &Script) -> Vec<Diagnostic> {
    compile_script(script, ScriptId::default(), "WorkflowScript", &Rc::default(), Mode::Pipeline)
        .err()
        .unwrap_or_default()
}

/// Compiles a block or expression of a script as a closure.
pub fn compile_closure(scope: &Scope, code: Code<'_>) -> Result<Rc<Function>, Vec<Diagnostic>> {
    stack::with_room(|| closure(scope, code))
}

fn closure(scope: &Scope, code: Code<'_>) -> Result<Rc<Function>, Vec<Diagnostic>> {
    let mut compiler = Compiler::new(scope);
    let mut mentions = Mentions::default();
    let span = match code {
        Code::Block(block) => {
            mentions.block(block, 1);
            block.span
        }
        Code::Expr(expr) => {
            mentions.expr(expr, 1);
            expr.span
        }
    };
    let mut builder = compiler.builder("_closure".into(), FunctionKind::Closure, 1, Rc::new(mentions));
    builder.span = span;
    compiler.stack.push(builder);
    compiler.implicit_it(span);
    match code {
        Code::Block(block) => compiler.body(&block.stmts, block.span),
        Code::Expr(expr) => {
            compiler.expr(expr);
            compiler.emit_return(expr.span);
        }
    }
    let function = compiler.pop();
    if compiler.diagnostics.is_empty() { Ok(Rc::new(function)) } else { Err(compiler.diagnostics) }
}

/// The constructor that the body of another one calls first, `this` or `super`; else it is the superclass's without arguments.
fn first_constructor(body: &Block) -> Option<&str> {
    let StmtKind::Expr(first) = body.stmts.first().map(|s| &s.kind)? else { return None };
    match &*first.kind {
        ExprKind::Call { object: None, callee: Member::Name(name, _), .. } => {
            Some(&**name).filter(|name| matches!(*name, "this" | "super"))
        }
        _ => None,
    }
}

/// What [`compile_closure`] compiles.
#[derive(Clone, Copy, Debug)]
pub enum Code<'a> {
    /// Statements.
    Block(&'a Block),
    /// One expression: its value is the closure's.
    Expr(&'a Expr),
}

struct Compiler<'s> {
    /// In a method that Jenkins runs in one go (`@NonCPS`).
    whole: bool,
    scope: &'s Scope,
    /// Functions being compiled, outermost first.
    stack: Vec<Builder>,
    diagnostics: Vec<Diagnostic>,
    closures: u32,
    /// How many classes without a name each class has around it.
    anonymous: HashMap<Text, u32>,
    /// Classes met on the way (anonymous ones too).
    classes: Vec<ClassPlan>,
    /// Class whose methods are compiled.
    class: Option<Text>,
    /// Static fields that it declares.
    statics: Rc<HashSet<Text>>,
    /// Class of the script.
    script_class: Text,
    /// Where the class stands whose annotation made the method that is compiled.
    generated: Option<Span>,
    /// The assertion whose condition is compiled.
    recording: Option<assertion::Recording>,
}

impl<'s> Compiler<'s> {
    fn new(scope: &'s Scope) -> Self {
        Compiler {
            whole: false,
            scope,
            stack: Vec::new(),
            diagnostics: Vec::new(),
            closures: 0,
            anonymous: HashMap::new(),
            classes: Vec::new(),
            class: None,
            statics: Rc::default(),
            script_class: "script".into(),
            generated: None,
            recording: None,
        }
    }

    fn builder(&self, name: Text, kind: FunctionKind, level: u32, mentions: Rc<Mentions>) -> Builder {
        let mut builder = Builder::new(name, kind, self.scope.script, level, mentions);
        builder.library = self.scope.mode == Mode::Library || self.generated.is_some();
        builder.stepwise = self.scope.mode == Mode::Pipeline
            && !self.whole
            && self.generated.is_none()
            && !matches!(kind, FunctionKind::Constructor | FunctionKind::Init)
            && self.stack.last().is_none_or(|around| around.stepwise);
        builder.class = self.class.clone();
        builder
    }

    /// The function being compiled.
    fn f(&mut self) -> &mut Builder {
        // A builder is on the stack whenever code is compiled: each entry pushes one first.
        self.stack.last_mut().expect("a function is being compiled")
    }

    fn emit(&mut self, op: Op, span: Span) -> usize {
        let span = self.generated.unwrap_or(span);
        self.f().emit(op, span)
    }

    fn pop(&mut self) -> Function {
        let builder = self.stack.pop().expect("a function is being compiled");
        if builder.too_large {
            self.diagnostics.push(Diagnostic::error(builder.span, "this block has too many variables"));
        }
        builder.finish()
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span, message));
        self.emit(Op::Broken, span);
    }

    /// Where a name lives, from the function being compiled; closures capture it on the way.
    fn variable(&mut self, name: &str) -> Option<Variable> {
        let top = self.stack.len() - 1;
        self.variable_at(name, top)
    }

    fn variable_at(&mut self, name: &str, at: usize) -> Option<Variable> {
        // Outward to the function that declares it, then back in, capturing.
        let mut from = at;
        let mut found = loop {
            let builder = &self.stack[from];
            if let Some(v) = builder.local(name).or_else(|| builder.captured(name)) {
                break v;
            }
            if builder.kind != FunctionKind::Closure || from == 0 {
                return None;
            }
            from -= 1;
        };
        for level in from + 1..=at {
            let capture = match found.place {
                Place::Shared(n) => Capture::Shared(n),
                Place::Captured(n) => Capture::Captured(n),
                // The scan of mentions saw no closure use it: it cannot be this name.
                Place::Slot(_) => return None,
            };
            let builder = &mut self.stack[level];
            found.place = Place::Captured(builder.captures.len() as u16);
            builder.captures.push((found.clone(), capture));
        }
        Some(found)
    }

    fn script(&mut self, script: &Script, class_name: &str) -> Program {
        self.script_class = class_name.into();
        let mut mentions = Mentions::default();
        mentions.stmts(&script.body, 0);
        let mentions = Rc::new(mentions);
        let class = self.script_class(script, class_name, &mentions);
        for class in &script.classes {
            self.class_declaration(class, None);
        }
        let builder = self.builder("run".into(), FunctionKind::Script, 0, mentions);
        self.stack.push(builder);
        let end = script.body.last().map(|s| s.span).unwrap_or_default();
        self.body(&script.body, end);
        let body = Rc::new(self.pop());
        Program { body, class, classes: std::mem::take(&mut self.classes) }
    }

    /// Compiles a method or constructor.
    fn method(&mut self, method: &Method, is_constructor: bool) -> Function {
        let is_static = method.modifiers.words.iter().any(|w| &**w == "static");
        let is_generated = method.modifiers.words.iter().any(|w| &**w == expand::GENERATED);
        self.generated = is_generated.then_some(method.span);
        let kind = if is_constructor { FunctionKind::Constructor } else { FunctionKind::Method { is_static } };
        let mut mentions = Mentions::default();
        mentions.params(&method.params, 0);
        if let Some(body) = &method.body {
            mentions.block(body, 0);
        }
        let is_whole = method.modifiers.annotations.iter().any(|a| a.name.rsplit('.').next() == Some("NonCPS"));
        let around = self.whole;
        self.whole = around || is_whole;
        let mut builder = self.builder(method.name.clone(), kind, 0, Rc::new(mentions));
        builder.stepwise &= !CALLED_BY_THE_LIBRARY.contains(&&*method.name);
        builder.span = method.name_span;
        builder.is_private = method.modifiers.words.iter().any(|w| &**w == "private");
        let void = method.return_type.as_ref().is_some_and(|t| &*t.name == "void" && t.dimensions == 0);
        if let Some(ty) = &method.return_type {
            builder.returns = self.scope.names.ty(ty);
        }
        self.stack.push(builder);
        self.params(&method.params);
        match &method.body {
            Some(body) if void && !self.f().stepwise || is_constructor => {
                let done = if is_constructor { self.begin_constructor(body) } else { 0 };
                for stmt in &body.stmts[done..] {
                    self.stmt(stmt);
                }
                self.emit(Op::Null, body.span);
                self.emit(Op::Return, body.span);
            }
            Some(body) => self.body(&body.stmts, body.span),
            None => {
                let name = self.f().name(&method.name);
                self.f().is_abstract = true;
                self.emit(Op::RecordName(name), method.span);
            }
        }
        self.whole = around;
        self.generated = None;
        self.pop()
    }

    /// The constructor of the superclass, and then the initialisers; or else another constructor of the class, which does both. Answers
    /// how many statements of the body that was.
    fn begin_constructor(&mut self, body: &Block) -> usize {
        let first = first_constructor(body);
        match &body.stmts[..] {
            [call, ..] if first.is_some() => self.stmt(call),
            _ => {
                self.emit(Op::This, body.span);
                let site = self.f().site(Site::plain("super", 0));
                self.emit(Op::CallConstructor { site, is_super: true }, body.span);
                self.emit(Op::Pop, body.span);
            }
        }
        if first != Some("this") {
            self.emit(Op::Initialise, body.span);
        }
        usize::from(first.is_some())
    }

    /// Declares parameters; the arguments are in the first slots when the function starts.
    fn params(&mut self, params: &[Param]) {
        if let Some(more) = params.get(PARAMETERS_MAX) {
            return self.error(more.span, format!("more than {PARAMETERS_MAX} parameters"));
        }
        for p in params {
            let mut ty = self.declared(p);
            if !matches!(ty, Type::Array(_)) && self.takes_anything() {
                ty = Type::Any;
            }
            let has_default = p.default.is_some();
            let f = self.f();
            f.params.push(Parameter { name: p.name.clone(), ty, has_default });
            f.slot();
        }
        let last_is_array = params.last().is_some_and(|p| p.varargs || p.ty.as_ref().is_some_and(|t| t.dimensions > 0));
        self.f().varargs = last_is_array;
        for (i, p) in params.iter().enumerate() {
            self.param(i as u16, p);
        }
    }

    fn declared(&self, p: &Param) -> Type {
        let ty = p.ty.as_ref().map_or(Type::Any, |t| self.scope.names.ty(t));
        if p.varargs { Type::Array(Box::new(ty)) } else { ty }
    }

    /// In Jenkins' engine a closure does not look at what it is given.
    fn takes_anything(&mut self) -> bool {
        self.f().kind == FunctionKind::Closure && self.f().stepwise
    }

    fn param(&mut self, slot: u16, p: &Param) {
        if let Some(default) = &p.default {
            let given = self.emit(Op::IfGiven { param: slot, target: 0 }, p.span);
            self.expr(default);
            self.emit(Op::Store(slot), p.span);
            self.f().patch(given);
        }
        let ty = self.declared(p);
        if ty != Type::Any && self.f().params[slot as usize].ty != Type::Any {
            let number = self.f().ty(ty.clone());
            self.emit(Op::Load(slot), p.span);
            self.emit(Op::Coerce(number), p.span);
            self.emit(Op::Store(slot), p.span);
        }
        let f = self.f();
        if f.mentions.shares(&p.name, f.level) {
            let place = f.declare(&p.name, ty, p.span);
            self.emit(Op::Load(slot), p.span);
            self.store_place(place, p.span);
        } else {
            f.bind(&p.name, ty, Place::Slot(slot));
        }
    }

    fn implicit_it(&mut self, span: Span) {
        let it: Text = "it".into();
        let f = self.f();
        f.params.push(Parameter { name: it.clone(), ty: Type::Any, has_default: true });
        f.implicit_it = true;
        let slot = f.slot();
        if f.mentions.shares(&it, f.level) {
            let place = f.declare(&it, Type::Any, span);
            self.emit(Op::Load(slot), span);
            self.store_place(place, span);
        } else {
            f.bind(&it, Type::Any, Place::Slot(slot));
        }
    }
}
