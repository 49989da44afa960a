//! The Groovy parts of a declarative pipeline (bodies of steps, values, arguments) must see the variables of the script
//! around them. So the closure after `pipeline` is replaced, before the script is compiled, by a list of closures, one
//! for each part; the interpreter finds each by its place in the source.

use std::collections::HashMap;
use std::rc::Rc;

use groovy::ast::{Arg, Block, Closure, Expr, ExprKind, Script, Stmt, StmtKind};
use groovy::span::Span;

use super::translated::translated;
use crate::declarative::model::{
    Agent, AgentField, AgentValue, Call, Condition, ConditionKind, Directives, Environment, EnvironmentValue, Pipeline,
    Post, Stage, StageContent, Tool,
};

/// What kind of part: a body and a value may start and end at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Value,
    Body,
    Arguments,
}

/// All parts of one pipeline.
#[derive(Debug, Default)]
pub(crate) struct Closures {
    index: HashMap<(Part, Span), usize>,
    parts: Vec<Expr>,
}

impl Closures {
    /// The number of the closure that gives the value of an expression.
    pub(crate) fn value(&self, expr: &Expr) -> Option<usize> {
        self.index.get(&(Part::Value, expr.span)).copied()
    }

    /// The number of the closure for a body.
    pub(crate) fn body(&self, closure: &Closure) -> Option<usize> {
        self.index.get(&(Part::Body, closure.body.span)).copied()
    }

    /// The number of the closure that gives the arguments of a call, as a list of the named ones (a map) and the others
    /// (a list).
    pub(crate) fn arguments(&self, call: &Call) -> Option<usize> {
        self.index.get(&(Part::Arguments, call.span)).copied()
    }

    /// Takes all parts of a pipeline.
    pub(crate) fn collect(&mut self, pipeline: &Pipeline) {
        self.agent(&pipeline.agent);
        self.environment(pipeline.environment.as_ref());
        self.post(pipeline.post.as_ref());
        self.tools(&pipeline.tools);
        pipeline.options.iter().for_each(|o| self.call(&o.call));
        pipeline.parameters.iter().for_each(|p| self.call(p));
        pipeline.triggers.iter().for_each(|t| self.call(t));
        pipeline.libraries.iter().for_each(|l| self.expr(l));
        pipeline.stages.iter().for_each(|s| self.stage(s));
    }

    fn stage(&mut self, stage: &Stage) {
        self.directives(&stage.directives);
        match &stage.content {
            StageContent::Steps(steps) => self.closure(&steps.body),
            StageContent::Stages(stages) | StageContent::Parallel(stages) => stages.iter().for_each(|s| self.stage(s)),
            StageContent::Matrix(matrix) => {
                self.directives(&matrix.directives);
                matrix.stages.iter().for_each(|s| self.stage(s));
            }
        }
    }

    fn directives(&mut self, directives: &Directives) {
        directives.agent.iter().for_each(|a| self.agent(a));
        self.environment(directives.environment.as_ref());
        self.tools(&directives.tools);
        directives.options.iter().for_each(|o| self.call(&o.call));
        if let Some(input) = &directives.input {
            let fields = [&input.id, &input.ok, &input.submitter, &input.submitter_parameter];
            fields.into_iter().flatten().chain([&input.message]).for_each(|expr| self.expr(expr));
            input.parameters.iter().for_each(|parameter| self.call(parameter));
        }
        directives.when.iter().flat_map(|w| &w.conditions).for_each(|c| self.condition(c));
        self.post(directives.post.as_ref());
    }

    fn agent(&mut self, agent: &Agent) {
        agent.fields.iter().for_each(|f| self.field(f));
    }

    fn field(&mut self, field: &AgentField) {
        match &field.value {
            AgentValue::Expr(expr) => self.expr(expr),
            AgentValue::Fields(fields) => fields.iter().for_each(|f| self.field(f)),
        }
    }

    fn environment(&mut self, environment: Option<&Environment>) {
        for entry in environment.iter().flat_map(|e| &e.entries) {
            match &entry.value {
                EnvironmentValue::Expr(expr) | EnvironmentValue::Credentials(expr) => self.expr(&translated(expr)),
            }
        }
    }

    fn post(&mut self, post: Option<&Post>) {
        post.iter().flat_map(|p| &p.branches).for_each(|b| self.closure(&b.steps.body));
    }

    fn tools(&mut self, tools: &[Tool]) {
        tools.iter().for_each(|t| self.expr(&t.name));
    }

    fn condition(&mut self, condition: &Condition) {
        match &condition.kind {
            ConditionKind::AllOf(inner) | ConditionKind::AnyOf(inner) => inner.iter().for_each(|c| self.condition(c)),
            ConditionKind::Not(inner) => self.condition(inner),
            ConditionKind::Expression(closure) => self.closure(closure),
            ConditionKind::Test { args, .. } => args.iter().for_each(|(_, e)| self.expr(e)),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        // What needs no fiber: `interpreter::plain`.
        let is_plain =
            matches!(&*expr.kind, ExprKind::Constant(constant) if super::interpreter::plain(constant).is_some());
        if !is_plain {
            self.add(Part::Value, expr.span, giving(expr.clone()));
        }
    }

    fn closure(&mut self, closure: &Rc<Closure>) {
        let span = closure.body.span;
        self.add(Part::Body, span, Expr { kind: Box::new(ExprKind::Closure(Rc::clone(closure))), span });
    }

    /// `[[a: 1], [x, y]]` from `f(x, y, a: 1)`.
    fn call(&mut self, call: &Call) {
        let span = call.span;
        let (named, others): (Vec<Arg>, Vec<Arg>) =
            call.args.iter().cloned().partition(|a| matches!(a, Arg::Named(..) | Arg::SpreadMap(_)));
        let entries = named.into_iter().filter_map(|arg| match arg {
            Arg::Named(key, value) => Some(groovy::ast::MapEntry::Pair(key, value)),
            Arg::SpreadMap(map) => Some(groovy::ast::MapEntry::Spread(map)),
            Arg::Positional(_) | Arg::Spread(_) => None,
        });
        let map = Expr { kind: Box::new(ExprKind::Map(entries.collect())), span };
        let list = Expr { kind: Box::new(ExprKind::List(others)), span };
        let both = vec![Arg::Positional(map), Arg::Positional(list)];
        self.add(Part::Arguments, span, giving(Expr { kind: Box::new(ExprKind::List(both)), span }));
    }

    fn add(&mut self, part: Part, span: Span, closure: Expr) {
        let next = self.parts.len();
        if *self.index.entry((part, span)).or_insert(next) == next {
            self.parts.push(closure);
        }
    }

    /// Replaces the closure after `pipeline`, in this statement of the script, by the list of parts.
    pub(crate) fn put_into(&mut self, script: &mut Script, statement: usize) {
        if let Some(statement) = script.body.get_mut(statement) {
            self.put_into_statement(statement);
        }
    }

    fn put_into_statement(&mut self, statement: &mut Stmt) {
        let list: Vec<Arg> = std::mem::take(&mut self.parts).into_iter().map(Arg::Positional).collect();
        let StmtKind::Expr(expr) = &mut statement.kind else { return };
        let span = expr.span;
        if let ExprKind::Call { args, .. } = &mut *expr.kind {
            *args = vec![Arg::Positional(Expr { kind: Box::new(ExprKind::List(list)), span })];
        }
    }

    /// The same for the statement at a place somewhere in these. True: it was there.
    pub(crate) fn put_into_block(&mut self, statements: &mut [Stmt], at: Span) -> bool {
        let mut open: Vec<&mut Stmt> = statements.iter_mut().collect();
        while let Some(statement) = open.pop() {
            if statement.span == at && matches!(statement.kind, StmtKind::Expr(_)) {
                self.put_into_statement(statement);
                return true;
            }
            match &mut statement.kind {
                StmtKind::Expr(expr) => {
                    if let ExprKind::Call { args, .. } | ExprKind::CallValue { args, .. } = &mut *expr.kind {
                        open.extend(args.iter_mut().flat_map(statements_of));
                    }
                }
                StmtKind::If { then, otherwise, .. } => {
                    open.push(then);
                    open.extend(otherwise.as_deref_mut());
                }
                StmtKind::While { body, .. } | StmtKind::ForIn { body, .. } | StmtKind::ForClassic { body, .. } => {
                    open.push(body);
                }
                StmtKind::Switch { cases, .. } => open.extend(cases.iter_mut().flat_map(|case| &mut case.body)),
                StmtKind::Try { body, catches, finally } => {
                    open.extend(&mut body.stmts);
                    open.extend(catches.iter_mut().flat_map(|catch| &mut catch.body.stmts));
                    open.extend(finally.iter_mut().flat_map(|block| &mut block.stmts));
                }
                StmtKind::Synchronized { body, .. } | StmtKind::Block(body) => open.extend(&mut body.stmts),
                _ => {}
            }
        }
        false
    }
}

/// The statements of a closure that is an argument.
fn statements_of(arg: &mut Arg) -> &mut [Stmt] {
    match arg {
        Arg::Positional(value) | Arg::Named(_, value) => match &mut *value.kind {
            ExprKind::Closure(closure) => &mut Rc::make_mut(closure).body.stmts,
            _ => &mut [],
        },
        _ => &mut [],
    }
}

/// `{ -> expr }`
fn giving(expr: Expr) -> Expr {
    let span = expr.span;
    let stmt = Stmt { labels: Vec::new(), kind: StmtKind::Expr(expr), span };
    let closure = Closure { params: Some(Vec::new()), body: Block { stmts: vec![stmt], span } };
    Expr { kind: Box::new(ExprKind::Closure(Rc::new(closure))), span }
}
