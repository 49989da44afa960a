//! What is wrong in a valid declarative pipeline that runs all the same.

use std::collections::HashSet;

use groovy::ast::{Arg, BinaryOp, Closure, Constant, Expr, ExprKind, Member, StmtKind};
use groovy::diagnostic::Diagnostic;
use groovy::span::Span;

use crate::catalogue::{Catalogue, nearest};
use crate::declarative::model::{Call, Condition, ConditionKind, Pipeline, Post, Stage, StageContent, Steps, WhenTest};

use super::code::holding_input;
use super::did_you_mean;
use super::tree::{NamedCall, Node, literal, parts};
use super::words::PLAIN_CLOSURE;

/// Looks at the model, and at the code around it for what it does with parameters.
pub(super) fn check(
    source: &str,
    all: &[Node<'_>],
    pipeline: &Pipeline,
    defined: &HashSet<&str>,
    library: bool,
) -> Vec<Diagnostic> {
    let mut model = Model { source, defined, found: Vec::new() };
    let has_agent = !pipeline.agent.is_none();
    model.post(pipeline.post.as_ref(), has_agent);
    let mut open: Vec<(&Stage, bool)> = pipeline.stages.iter().map(|stage| (stage, has_agent)).collect();
    while let Some((stage, around)) = open.pop() {
        let directives = &stage.directives;
        let here = directives.agent.as_ref().map_or(around, |agent| !agent.is_none());
        if around && let Some(input) = &directives.input {
            model.found.push(holding_input(Span::new(input.span.start, input.span.start + "input".len() as u32)));
        }
        if let Some(when) = &directives.when {
            model.never(&when.conditions);
        }
        model.post(directives.post.as_ref(), here);
        match &stage.content {
            StageContent::Steps(steps) => model.steps(steps, here),
            StageContent::Stages(stages) | StageContent::Parallel(stages) => {
                open.extend(stages.iter().map(|stage| (stage, here)));
            }
            StageContent::Matrix(matrix) => {
                let here = matrix.directives.agent.as_ref().map_or(here, |agent| !agent.is_none());
                if let Some(when) = &matrix.directives.when {
                    model.never(&when.conditions);
                }
                model.post(matrix.directives.post.as_ref(), here);
                open.extend(matrix.stages.iter().map(|stage| (stage, here)));
            }
        }
    }
    if !pipeline.parameters.is_empty() {
        model.parameters(all, &pipeline.parameters, library);
    }
    model.found
}

struct Model<'a> {
    source: &'a str,
    defined: &'a HashSet<&'a str>,
    found: Vec<Diagnostic>,
}

impl<'a> Model<'a> {
    fn post(&mut self, post: Option<&'a Post>, has_agent: bool) {
        for branch in post.iter().flat_map(|post| &post.branches) {
            self.steps(&branch.steps, has_agent);
        }
    }

    /// Steps that need a machine where there is none, and `input` where there is one.
    fn steps(&mut self, steps: &'a Steps, has_agent: bool) {
        let catalogue = Catalogue::get();
        let mut open = vec![Node::Block(&steps.block().stmts)];
        let mut inner = Vec::new();
        while let Some(node) = open.pop() {
            if let Node::Expr(expr) = node {
                // Who calls a closure of a variable, and where, is not known.
                if matches!(&*expr.kind, ExprKind::Closure(_)) {
                    continue;
                }
                if let Some(call) = NamedCall::of(expr).filter(|call| !self.defined.contains(call.name)) {
                    let entry = catalogue.step(call.name);
                    match entry {
                        Some(entry) if entry.node && !has_agent && entry.name != "node" => {
                            self.without_machine(&call);
                            continue;
                        }
                        Some(entry) if entry.name == "input" && has_agent => self.found.push(holding_input(call.span)),
                        _ => {}
                    }
                    // Others bring a machine of their own, or nobody knows what they bring.
                    if entry.is_some_and(|entry| !entry.node && entry.name != "podTemplate") {
                        open.extend(closures(call.args));
                    }
                }
                if let ExprKind::Call { object: Some(_), callee: Member::Name(name, _), args, .. } = &*expr.kind
                    && PLAIN_CLOSURE.contains(&&**name)
                {
                    open.extend(closures(args));
                }
            }
            parts(node, &mut inner);
            open.append(&mut inner);
        }
    }

    fn without_machine(&mut self, call: &NamedCall<'_>) {
        let text = format!("`{}` needs a machine, and there is none: `agent none`", call.name);
        let hint = "give the stage an agent, or wrap the steps in `node('label') { … }`";
        self.found.push(Diagnostic::warning(call.span, text).with_hint(hint).of_rule("agent-none-step"));
    }

    /// Conditions all of which have to hold.
    fn never(&mut self, conditions: &'a [Condition]) {
        let mut open = vec![conditions];
        while let Some(all) = open.pop() {
            for (index, one) in all.iter().enumerate() {
                if let Some(why) = self.is_never(one) {
                    self.report_never(one.span, &why);
                }
                let others = &all[index + 1..];
                if let Some((other, why)) = others.iter().find_map(|other| Some((other, self.exclude(one, other)?))) {
                    self.report_never(other.span, &why);
                }
                if let ConditionKind::AllOf(inner) = &one.kind {
                    open.push(inner);
                }
            }
        }
    }

    fn report_never(&mut self, span: Span, why: &str) {
        let text = format!("this never holds, so the stage is always skipped: {why}");
        self.found.push(Diagnostic::warning(span, text).of_rule("when-never"));
    }

    fn is_never(&self, condition: &Condition) -> Option<String> {
        match &condition.kind {
            ConditionKind::Expression(closure) => {
                is_false(closure).then(|| "the expression is always false".to_owned())
            }
            ConditionKind::Test { test: WhenTest::Equals, .. } => {
                let [expected, actual] = ["expected", "actual"].map(|name| condition.kind.arg(name));
                match (&*expected?.kind, &*actual?.kind) {
                    (ExprKind::Constant(one), ExprKind::Constant(other)) if one != other => {
                        Some("two values that differ".to_owned())
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Why two conditions cannot both hold.
    fn exclude(&self, one: &Condition, other: &Condition) -> Option<String> {
        use WhenTest::{Branch, BuildingTag, ChangeRequest, Environment, Tag};
        let text = |condition: &Condition| {
            self.source.get(condition.span.start as usize..condition.span.end as usize).unwrap_or_default().trim()
        };
        match (&one.kind, &other.kind) {
            (ConditionKind::Not(inner), _) if text(inner) == text(other) => Some("it and its opposite".to_owned()),
            (_, ConditionKind::Not(inner)) if text(inner) == text(one) => Some("it and its opposite".to_owned()),
            (ConditionKind::Test { test: a, .. }, ConditionKind::Test { test: b, .. }) => match (a, b) {
                (Branch, Branch) => {
                    let (one, other) = (plain_branch(one)?, plain_branch(other)?);
                    let differ = !one.eq_ignore_ascii_case(other);
                    differ.then(|| format!("a run has one branch, and \"{one}\" is not \"{other}\""))
                }
                (Environment, Environment) => {
                    let value = |of: &'_ Condition, name| of.kind.arg(name).and_then(literal).map(str::to_owned);
                    let same = value(one, "name")? == value(other, "name")?;
                    let (one, other) = (value(one, "value")?, value(other, "value")?);
                    (same && !one.eq_ignore_ascii_case(&other)).then(|| "a variable has one value".to_owned())
                }
                (ChangeRequest, BuildingTag | Tag) | (BuildingTag | Tag, ChangeRequest) => {
                    Some("a pull request is no tag".to_owned())
                }
                (ChangeRequest, Branch) => of_pull_request(other),
                (Branch, ChangeRequest) => of_pull_request(one),
                _ => None,
            },
            _ => None,
        }
    }

    /// `params.NAME`, against what is declared.
    fn parameters(&mut self, all: &[Node<'_>], declared: &[Call], library: bool) {
        let named: Vec<_> = declared.iter().map(|call| (call.named("name").and_then(literal), &*call.name)).collect();
        // A parameter of a name that only a run knows may be any.
        let open_ended = library || named.iter().any(|(name, _)| name.is_none()) || self.defined.contains("params");
        let kinds: Vec<(&str, &str)> = named.into_iter().filter_map(|(name, kind)| Some((name?, kind))).collect();
        let mut excused = HashSet::new();
        let mut uses = Vec::new();
        let mut resets = false;
        for expr in all.iter().filter_map(Node::expr) {
            match &*expr.kind {
                // Somebody thought of its absence.
                ExprKind::Elvis { value, .. } => drop(excused.insert(value.span)),
                ExprKind::Binary { op: BinaryOp::Eq | BinaryOp::NotEq, left, right } => {
                    self.parameter_compared(left, right, &kinds);
                    self.parameter_compared(right, left, &kinds);
                }
                ExprKind::Call { object: None, callee: Member::Name(name, _), .. } => {
                    resets |= matches!(&**name, "properties" | "library" | "load");
                }
                _ => {}
            }
            uses.extend(of_params(expr).map(|(name, span)| (name, span, expr.span)));
        }
        if open_ended || resets {
            return;
        }
        uses.sort_by_key(|(_, span, _)| span.start);
        let mut told = HashSet::new();
        for (name, span, whole) in uses {
            let is_known = kinds.iter().any(|(known, _)| *known == name);
            if is_known || excused.contains(&whole) || !told.insert(name) {
                continue;
            }
            let near = nearest(name, kinds.iter().map(|(known, _)| *known));
            let text = format!("the pipeline declares no parameter \"{name}\": this is null");
            let mut found = Diagnostic::warning(span, text).of_rule("undeclared-parameter");
            found.hint = did_you_mean(&near);
            if let [only] = near[..] {
                found = found.with_fix(span, only);
            }
            self.found.push(found);
        }
    }

    fn parameter_compared(&mut self, value: &Expr, with: &Expr, kinds: &[(&str, &str)]) {
        let Some((name, _)) = of_params(value) else { return };
        let Some((_, kind)) = kinds.iter().find(|(known, _)| *known == name) else { return };
        let ExprKind::Constant(constant) = &*with.kind else { return };
        let fix = match (*kind, constant) {
            ("booleanParam", Constant::Str(text)) if matches!(&**text, "true" | "false") => text.to_string(),
            ("string" | "text" | "choice", Constant::Bool(truth)) => format!("'{truth}'"),
            _ => return,
        };
        let what = if *kind == "booleanParam" { "true or false, and never a text" } else { "a text, and never true" };
        let text = format!("the parameter \"{name}\" is {what}");
        self.found.push(Diagnostic::warning(with.span, text).of_rule("parameter-type").with_fix(with.span, fix));
    }
}

/// The bodies of closures among arguments.
fn closures(args: &[Arg]) -> impl Iterator<Item = Node<'_>> {
    args.iter().filter_map(|arg| match arg {
        Arg::Positional(expr) | Arg::Named(_, expr) => match &*expr.kind {
            ExprKind::Closure(closure) => Some(Node::Block(&closure.body.stmts)),
            _ => None,
        },
        Arg::Spread(_) | Arg::SpreadMap(_) => None,
    })
}

/// `params.NAME`
fn of_params(expr: &Expr) -> Option<(&str, Span)> {
    match &*expr.kind {
        ExprKind::Property { object, member: Member::Name(name, span), .. } => {
            matches!(&*object.kind, ExprKind::Name(of) if &**of == "params").then_some((&**name, *span))
        }
        _ => None,
    }
}

/// The name of a branch that is no pattern.
fn plain_branch(condition: &Condition) -> Option<&str> {
    let pattern = condition.kind.arg("pattern").and_then(literal)?;
    let is_plain = condition.kind.arg("comparator").is_none() && !pattern.contains(['*', '?', ',', '{']);
    is_plain.then_some(pattern)
}

/// A pull request's branch is called `PR-7`.
fn of_pull_request(branch: &Condition) -> Option<String> {
    let name = plain_branch(branch)?;
    let is_number = name.rsplit('-').next().is_some_and(|end| end.parse::<u64>().is_ok());
    (!is_number).then(|| format!("the branch of a pull request is called PR-7, not \"{name}\"; its target is `target`"))
}

fn is_false(closure: &Closure) -> bool {
    let value = match &closure.body.stmts[..] {
        [stmt] => match &stmt.kind {
            StmtKind::Expr(value) | StmtKind::Return(Some(value)) => value,
            _ => return false,
        },
        _ => return false,
    };
    matches!(&*value.kind, ExprKind::Constant(Constant::Bool(false)))
}
