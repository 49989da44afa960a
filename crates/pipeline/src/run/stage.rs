//! One stage (or cell of a matrix) through its layers:
//!
//! ```text
//!   skip? -> axes -> when(beforeOptions) -> options -> when(beforeInput) -> input
//!     content in parallel:  -> when -> environment -> branches
//!     otherwise:            -> when(beforeAgent) -> agent -> when -> environment -> tools -> steps or stages -> post
//!   -> post of content in parallel, whatever came before
//! ```
//!
//! So a stage with steps or stages whose agent, input or `when` fails has no `post`.
//!
//! Source: `evaluateStage` and `executeSingleStage` of `ModelInterpreter.groovy`.

use std::cell::Cell;
use std::rc::Rc;

use groovy::value::Value;
use model::event::Event;
use model::limits::MAX_BRANCHES;
use model::outcome::Outcome;

use super::interpreter::{Interpreter, body};
use super::options;
use super::post::{self, Where};
use super::tools::Tools;
use super::unit::{Content, Unit};
use super::{agent, environment, tools, when};
use crate::declarative::model::{Matrix, When};
use crate::engine::body::Body;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::args::Args;
use crate::steps::stage::framed;
use crate::steps::{self, Branch, SYMBOL, run_branches};

/// Why a stage does not run: what is so of the stage of that name. That is one around it, where it is only one of several in order.
#[derive(Clone, Debug)]
struct Skip {
    reason: Reason,
    stage: Rc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// `when` said no.
    When,
    /// Something failed before.
    Failure,
    /// `skipStagesAfterUnstable`
    Unstable,
    /// The run begins with a later one.
    Restart,
}

impl Skip {
    fn of(unit: &Unit, reason: Reason) -> Self {
        Skip { reason, stage: unit.name().into() }
    }

    /// What is said of the stages that stand in order in the skipped one.
    ///
    /// Source: `evaluateSequentialStages` of `ModelInterpreter.groovy`.
    fn for_inner(&self, inner: &Unit) -> Self {
        match self.reason {
            Reason::Restart => Skip::of(inner, Reason::Restart),
            _ => self.clone(),
        }
    }

    /// Source: `Messages.properties` of pipeline-model-definition, `SkippedStageReason`.
    fn words(&self, restart_from: Option<&str>) -> String {
        let reason = match self.reason {
            Reason::When => "when conditional".to_owned(),
            Reason::Failure => "earlier failure(s)".to_owned(),
            Reason::Unstable => "earlier stage(s) marking the build as unstable".to_owned(),
            Reason::Restart => format!("this build restarting at stage \"{}\"", restart_from.unwrap_or_default()),
        };
        format!("Stage \"{}\" skipped due to {reason}", self.stage)
    }
}

/// A unit on its way.
struct Passage {
    it: Rc<Interpreter>,
    unit: Unit,
    skip: Option<Skip>,
    /// `when` was asked, and said this.
    decided: Cell<Option<bool>>,
}

type Ran = Result<Value, Fault>;

/// The stages of a pipeline, or those of it that a restart is to run.
pub(super) async fn roots(it: &Rc<Interpreter>, scope: &Scope, units: Vec<Unit>) -> Result<(), Fault> {
    let before = match &it.core.facts.restart_from {
        Some(name) => units.iter().position(|unit| unit.name() == *name).unwrap_or_default(),
        None => 0,
    };
    in_order_after(it, scope, units, before, None).await
}

/// Runs stages one after the other; after an error the others are skipped.
async fn in_order(it: &Rc<Interpreter>, scope: &Scope, units: Vec<Unit>, skip: Option<&Skip>) -> Result<(), Fault> {
    in_order_after(it, scope, units, 0, skip).await
}

/// The same, but for the first few, which are not run again.
async fn in_order_after(
    it: &Rc<Interpreter>,
    scope: &Scope,
    units: Vec<Unit>,
    before: usize,
    skip: Option<&Skip>,
) -> Result<(), Fault> {
    let mut first: Option<Fault> = None;
    for (index, unit) in units.into_iter().enumerate() {
        let unstable = it.options.skip_after_unstable && it.core.run.result() == Some(Outcome::Unstable);
        // A plan's replies are invented, and so is what fails because of them.
        let failed = first.is_some() && !it.core.facts.planning;
        let own = match (index < before, failed, unstable) {
            (true, ..) => Some(Reason::Restart),
            (_, true, _) => Some(Reason::Failure),
            (.., unstable) => unstable.then_some(Reason::Unstable),
        };
        let own = own.map(|reason| Skip::of(&unit, reason));
        let skip = skip.map(|skip| skip.for_inner(&unit)).or(own);
        if let Err(fault) = run(it, scope, unit, skip).await {
            if fault.is_final() {
                return Err(fault);
            }
            first.get_or_insert(fault);
        }
    }
    first.map_or(Ok(()), Err)
}

/// Runs (or skips) one unit as a stage.
async fn run(it: &Rc<Interpreter>, scope: &Scope, unit: Unit, skip: Option<Skip>) -> Result<(), Fault> {
    let name = unit.name();
    let passage = Rc::new(Passage { it: Rc::clone(it), unit, skip, decided: Cell::new(None) });
    it.core.mark(scope, "stage");
    let result = framed(&it.core, scope, &name, body(&passage, enter)).await;
    it.core.mark(scope, "// stage");
    result.map(drop)
}

fn enter(p: Rc<Passage>, scope: Scope) -> LocalFuture<Ran> {
    Box::pin(async move {
        if let Some(skip) = &p.skip {
            return skipped(&p, &scope, skip).await;
        }
        let inner = p.unit.axes().map_or_else(|| scope.clone(), |axes| scope.with_env(axes));
        let result = before_options(&p, &inner).await;
        if p.decided.get() == Some(false) && result.is_ok() {
            return skipped(&p, &scope, &Skip::of(&p.unit, Reason::When)).await;
        }
        match p.unit.is_parallel() {
            true => finish(&p, &scope, result.err()).await,
            false => result,
        }
    })
}

async fn before_options(p: &Rc<Passage>, scope: &Scope) -> Ran {
    if !asked(p, scope, |w| w.before_options).await? {
        return Ok(Value::Null);
    }
    options::within(&p.it, scope, &p.unit.directives().options, body(p, before_input)).await
}

fn before_input(p: Rc<Passage>, scope: Scope) -> LocalFuture<Ran> {
    Box::pin(async move {
        if !asked(&p, &scope, |w| w.before_input).await? {
            return Ok(Value::Null);
        }
        let scope = input(&p, &scope).await?;
        if p.unit.is_parallel() {
            return with_agent(p, scope).await;
        }
        if !asked(&p, &scope, |w| w.before_agent).await? {
            return Ok(Value::Null);
        }
        let directives = p.unit.directives();
        let own = options::of(&p.it, &scope, &directives.options).await?;
        let next = body(&p, with_agent);
        let steps = matches!(p.unit.content(), Content::Steps(_));
        if p.it.options.container_per_stage && directives.agent.is_none() && steps {
            return agent::fresh_container(&p.it, &scope, next).await;
        }
        agent::within(&p.it, &scope, directives.agent.as_ref(), &own, false, next).await
    })
}

/// Asks what the directive asks. What was said is in the environment of the stage.
async fn input(p: &Rc<Passage>, scope: &Scope) -> Result<Scope, Fault> {
    let Some(input) = &p.unit.directives().input else { return Ok(scope.clone()) };
    let mut named = vec![("message".to_owned(), p.it.eval(scope, &input.message).await?)];
    let fields = [
        ("id", &input.id),
        ("ok", &input.ok),
        ("submitter", &input.submitter),
        ("submitterParameter", &input.submitter_parameter),
    ];
    for (name, expr) in fields {
        if let Some(expr) = expr {
            named.push((name.to_owned(), p.it.eval(scope, expr).await?));
        }
    }
    let mut names = Vec::new();
    let mut definitions = Vec::new();
    for call in &input.parameters {
        let (own, others) = p.it.arguments(scope, call).await?;
        let args = steps::args_for(&call.name, own, others)?;
        names.extend(args.get("name").map(Value::to_text));
        let own = args.named.iter().map(|(name, value)| (name.as_str(), value.clone()));
        definitions.push(values::map([(SYMBOL, values::text(&call.name))].into_iter().chain(own)));
    }
    named.push(("parameters".to_owned(), Value::list(definitions)));
    names.extend(named.iter().find(|(name, _)| name == "submitterParameter").map(|(_, value)| value.to_text()));
    let args = Args { step: "input".to_owned(), named, body: None };
    let said = steps::run_named(&p.it.core, scope, args).await?;
    let env = match (values::entries(&said), names.as_slice()) {
        (Some(entries), _) => entries.into_iter().map(|(name, value)| (name, value.to_text())).collect(),
        (None, [name]) => vec![(name.clone(), said.to_text())],
        (None, _) => Vec::new(),
    };
    Ok(scope.with_env(env))
}

fn with_agent(p: Rc<Passage>, scope: Scope) -> LocalFuture<Ran> {
    Box::pin(async move {
        if !asked(&p, &scope, |_| true).await? {
            return Ok(Value::Null);
        }
        let environment = p.unit.directives().environment.as_ref();
        environment::within(&p.it, &scope, environment, body(&p, with_tools)).await
    })
}

fn with_tools(p: Rc<Passage>, scope: Scope) -> LocalFuture<Ran> {
    Box::pin(async move {
        let tools = Tools { own: &p.unit.directives().tools, outer: p.unit.outer_tools(), is_root: false };
        tools::within(&p.it, &scope, tools, body(&p, work)).await
    })
}

fn work(p: Rc<Passage>, scope: Scope) -> LocalFuture<Ran> {
    Box::pin(async move {
        let result = match p.unit.content() {
            Content::Steps(steps) => p.it.run(&scope, &steps.body).await.map(drop),
            Content::Stages(units) => in_order(&p.it, &scope, units, None).await,
            Content::Parallel(units) => return side_by_side(&p, &scope, units, None).await.map(|()| Value::Null),
            Content::Matrix(matrix) => {
                let units = cells(&p.unit, matrix)?;
                return side_by_side(&p, &scope, units, None).await.map(|()| Value::Null);
            }
        };
        finish(&p, &scope, result.err()).await
    })
}

/// Runs `post` and gives back what is wrong after all.
async fn finish(p: &Rc<Passage>, scope: &Scope, fault: Option<Fault>) -> Ran {
    let post = p.unit.directives().post.as_ref();
    post::run(&p.it, scope, post, Where::Stage, fault).await.map_or(Ok(Value::Null), Err)
}

/// Asks `when`, if it stands at this place and was not asked before.
async fn asked(p: &Rc<Passage>, scope: &Scope, here: fn(&When) -> bool) -> Result<bool, Fault> {
    if let Some(answer) = p.decided.get() {
        return Ok(answer);
    }
    let Some(when) = p.unit.directives().when.as_ref().filter(|w| here(w)) else { return Ok(true) };
    let answer = when::holds(&p.it, scope, when).await?;
    p.decided.set(Some(answer));
    Ok(answer)
}

/// Says why the stage does not run, and the same for the stages in it.
async fn skipped(p: &Rc<Passage>, scope: &Scope, skip: &Skip) -> Ran {
    if let Some(stage) = scope.stage {
        let reason = skip.words(p.it.core.facts.restart_from.as_deref());
        p.it.core.event(Event::StageSkipped { stage, reason });
    }
    match p.unit.content() {
        Content::Steps(_) => {}
        Content::Stages(units) => in_order(&p.it, scope, units, Some(skip)).await?,
        Content::Parallel(units) => side_by_side(p, scope, units, Some(skip)).await?,
        Content::Matrix(matrix) => side_by_side(p, scope, cells(&p.unit, matrix)?, Some(skip)).await?,
    }
    Ok(Value::Null)
}

/// The cells of a matrix.
fn cells(unit: &Unit, matrix: &Matrix) -> Result<Vec<Unit>, Fault> {
    let count = matrix.axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis.values.len()));
    match count {
        Some(count) if count <= MAX_BRANCHES => Ok(matrix.cells().into_iter().map(|c| unit.as_cell(c)).collect()),
        _ => Err(Fault::abort(format!("the matrix has more than {MAX_BRANCHES} cells")).at(matrix.span)),
    }
}

async fn side_by_side(p: &Rc<Passage>, scope: &Scope, units: Vec<Unit>, skip: Option<&Skip>) -> Result<(), Fault> {
    let branches = units.into_iter().map(|unit| {
        let skip = skip.map(|skip| Skip::of(&unit, skip.reason));
        Branch { name: unit.name(), body: branch(&p.it, unit, skip) }
    });
    let branches = branches.collect();
    let fail_fast = p.unit.stage().fail_fast || p.it.options.fail_fast;
    p.it.core.mark(scope, "parallel");
    let result = run_branches(&p.it.core, scope, branches, fail_fast).await;
    p.it.core.mark(scope, "// parallel");
    result.map(drop)
}

fn branch(it: &Rc<Interpreter>, unit: Unit, skip: Option<Skip>) -> Body {
    let it = Rc::clone(it);
    Body::native(move |scope| {
        let (it, unit, skip) = (Rc::clone(&it), unit.clone(), skip.clone());
        Box::pin(async move { run(&it, &scope, unit, skip).await.map(|()| Value::Null) })
    })
}
