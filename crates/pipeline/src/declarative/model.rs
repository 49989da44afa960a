//! The declarative model: what a valid `pipeline { … }` says, with the place of everything in it.
//!
//! A [`Pipeline`] exists only when validation found no error, so nothing here is "maybe missing because it was wrong".
//! What only a run can know stays syntax: step bodies and `expression { … }` are closures, arguments are expressions.

use std::rc::Rc;

use groovy::ast::{Arg, Block, Closure, Expr, MapKey, Text};
use groovy::span::Span;

/// A valid `pipeline { … }`.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// `agent`, required.
    pub agent: Agent,
    /// `stages { … }`, at least one.
    pub stages: Vec<Stage>,
    /// `environment { … }`.
    pub environment: Option<Environment>,
    /// `post { … }`.
    pub post: Option<Post>,
    /// `tools { … }`.
    pub tools: Vec<Tool>,
    /// `options { … }`.
    pub options: Vec<OptionCall>,
    /// `parameters { … }`: each names a parameter type (`string`, `choice` …).
    pub parameters: Vec<Call>,
    /// `triggers { … }`: each names a trigger (`cron`, `pollSCM` …).
    pub triggers: Vec<Call>,
    /// `libraries { lib('name@ref') … }`: the argument of each.
    pub libraries: Vec<Expr>,
    /// The whole statement.
    pub span: Span,
}

/// What a stage and a matrix (for each of its cells) may both carry.
#[derive(Clone, Debug, Default)]
pub struct Directives {
    /// `agent`.
    pub agent: Option<Agent>,
    /// `environment { … }`.
    pub environment: Option<Environment>,
    /// `tools { … }`.
    pub tools: Vec<Tool>,
    /// `options { … }`.
    pub options: Vec<OptionCall>,
    /// `input { … }`.
    pub input: Option<Input>,
    /// `when { … }`.
    pub when: Option<When>,
    /// `post { … }`.
    pub post: Option<Post>,
}

/// `stage('name') { … }`.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: Text,
    /// Where the name stands.
    pub name_span: Span,
    /// Everything but the content.
    pub directives: Directives,
    /// `failFast true`, for a stage with parallel or matrix content.
    pub fail_fast: bool,
    /// Exactly one of the four.
    pub content: StageContent,
    /// The whole statement.
    pub span: Span,
}

/// What a stage does.
#[derive(Clone, Debug)]
pub enum StageContent {
    /// `steps { … }`
    Steps(Steps),
    /// `stages { … }`: one after the other.
    Stages(Vec<Stage>),
    /// `parallel { … }`: at the same time.
    Parallel(Vec<Stage>),
    /// `matrix { … }`: the same stages for each combination of values, at the same time.
    Matrix(Box<Matrix>),
}

/// Steps in braces: `steps { … }`, or the block of a `post` condition.
#[derive(Clone, Debug)]
pub struct Steps {
    /// The closure as written; only steps stand in it, but they run like any Groovy code.
    pub body: Rc<Closure>,
    /// The whole statement.
    pub span: Span,
}

impl Steps {
    /// The statements with the braces around them.
    pub fn block(&self) -> &Block {
        &self.body.body
    }
}

/// `agent …`, of the pipeline, a stage or a matrix.
#[derive(Clone, Debug)]
pub struct Agent {
    /// `any`, `none`, `label`, `node`, `docker`, `dockerfile`, `kubernetes` … (`label { … }` with fields is a `node`).
    pub kind: Text,
    /// Where the kind stands.
    pub kind_span: Span,
    /// What configures it. A single value without braces (`docker 'maven:3'`) is the field that the kind requires
    /// (`image`), so both spellings read the same. `dockerfile true` has no field.
    pub fields: Vec<AgentField>,
    /// The whole directive.
    pub span: Span,
}

impl Agent {
    /// `agent none`: no machine is wanted here.
    pub fn is_none(&self) -> bool {
        &*self.kind == "none"
    }

    /// `agent any`: wherever there is room.
    pub fn is_any(&self) -> bool {
        &*self.kind == "any"
    }

    /// The expression of a field, where it is set to one.
    pub fn field(&self, name: &str) -> Option<&Expr> {
        self.fields.iter().find(|f| &*f.name == name).and_then(|f| match &f.value {
            AgentValue::Expr(expr) => Some(expr),
            AgentValue::Fields(_) => None,
        })
    }
}

/// One field of an agent.
#[derive(Clone, Debug)]
pub struct AgentField {
    /// Its name.
    pub name: Text,
    /// Where the name stands (the value's place where the name is implied).
    pub name_span: Span,
    /// Its value.
    pub value: AgentValue,
}

/// The value of an agent's field.
#[derive(Clone, Debug)]
pub enum AgentValue {
    /// `args '-v x:y'`; evaluated when the agent is allocated.
    Expr(Expr),
    /// `workspaceVolume { … }`
    Fields(Vec<AgentField>),
}

/// `environment { … }`; names are unique in it.
#[derive(Clone, Debug)]
pub struct Environment {
    /// In the order written; a later value may use an earlier one.
    pub entries: Vec<EnvironmentEntry>,
    /// The whole directive.
    pub span: Span,
}

/// `NAME = value`.
#[derive(Clone, Debug)]
pub struct EnvironmentEntry {
    /// A letter or underscore, then letters, digits and underscores.
    pub name: Text,
    /// Where the name stands.
    pub name_span: Span,
    /// Its value.
    pub value: EnvironmentValue,
}

/// The right side of an environment entry.
#[derive(Clone, Debug)]
pub enum EnvironmentValue {
    /// A literal, a GString, a method call, or strings joined with `+`.
    Expr(Expr),
    /// `credentials(id)`: the argument (a literal or GString).
    Credentials(Expr),
}

/// `post { … }`.
#[derive(Clone, Debug)]
pub struct Post {
    /// As written; each condition at most once.
    pub branches: Vec<PostBranch>,
    /// The whole section.
    pub span: Span,
}

impl Post {
    /// The branches in the order in which they run, whatever the order in the file.
    pub fn in_run_order(&self) -> Vec<&PostBranch> {
        let mut branches: Vec<_> = self.branches.iter().collect();
        branches.sort_by_key(|b| b.condition);
        branches
    }
}

/// One condition of `post` with its steps.
#[derive(Clone, Debug)]
pub struct PostBranch {
    /// When the steps run.
    pub condition: PostCondition,
    /// What runs.
    pub steps: Steps,
}

/// The conditions of `post`, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the condition named by `name`")]
pub enum PostCondition {
    Always,
    Changed,
    Fixed,
    Regression,
    Aborted,
    Success,
    Unsuccessful,
    Unstable,
    Failure,
    NotBuilt,
    Cleanup,
}

impl PostCondition {
    /// All, in the order in which they run.
    pub const ALL: [PostCondition; 11] = [
        PostCondition::Always,
        PostCondition::Changed,
        PostCondition::Fixed,
        PostCondition::Regression,
        PostCondition::Aborted,
        PostCondition::Success,
        PostCondition::Unsuccessful,
        PostCondition::Unstable,
        PostCondition::Failure,
        PostCondition::NotBuilt,
        PostCondition::Cleanup,
    ];

    /// As written in a Jenkinsfile.
    pub fn name(self) -> &'static str {
        match self {
            PostCondition::Always => "always",
            PostCondition::Changed => "changed",
            PostCondition::Fixed => "fixed",
            PostCondition::Regression => "regression",
            PostCondition::Aborted => "aborted",
            PostCondition::Success => "success",
            PostCondition::Unsuccessful => "unsuccessful",
            PostCondition::Unstable => "unstable",
            PostCondition::Failure => "failure",
            PostCondition::NotBuilt => "notBuilt",
            PostCondition::Cleanup => "cleanup",
        }
    }

    /// The condition of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// `when { … }`: all conditions must hold.
#[derive(Clone, Debug)]
pub struct When {
    /// At least one.
    pub conditions: Vec<Condition>,
    /// `beforeAgent true`: decided before the stage's agent is allocated.
    pub before_agent: bool,
    /// `beforeInput true`: decided before the stage asks for input.
    pub before_input: bool,
    /// `beforeOptions true`: decided before the stage's options apply.
    pub before_options: bool,
    /// The whole directive.
    pub span: Span,
}

/// A condition of `when` and its place.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What it is.
    pub kind: ConditionKind,
    /// The whole condition.
    pub span: Span,
}

/// The kinds of condition.
#[derive(Clone, Debug)]
pub enum ConditionKind {
    /// `allOf { … }`
    AllOf(Vec<Condition>),
    /// `anyOf { … }`
    AnyOf(Vec<Condition>),
    /// `not { … }`: exactly one.
    Not(Box<Condition>),
    /// `expression { … }`: Groovy, evaluated in the run.
    Expression(Rc<Closure>),
    /// Every other condition.
    Test {
        /// Which.
        test: WhenTest,
        /// Its arguments by name; a single one without a name has got the name of the required one.
        args: Vec<(Text, Expr)>,
    },
}

impl ConditionKind {
    /// The argument of that name.
    pub fn arg(&self, name: &str) -> Option<&Expr> {
        match self {
            ConditionKind::Test { args, .. } => args.iter().find(|(n, _)| &**n == name).map(|(_, e)| e),
            _ => None,
        }
    }
}

/// The conditions of `when` that look at facts of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenTest {
    /// `branch 'main'`: `pattern`, `comparator` (GLOB)
    Branch,
    /// `buildingTag()`
    BuildingTag,
    /// `changelog '.*fix.*'`: `pattern`
    Changelog,
    /// `changeset '**/*.js'`: `pattern`, `comparator` (GLOB), `caseSensitive`
    Changeset,
    /// `changeRequest()`: `id`, `target`, `branch`, `fork`, `url`, `title`, `author`, `authorDisplayName`,
    /// `authorEmail`, `comparator` (EQUALS)
    ChangeRequest,
    /// `environment name: 'A', value: 'b'`: `name`, `value`, `ignoreCase`
    Environment,
    /// `equals expected: 2, actual: x`: `expected`, `actual`
    Equals,
    /// `isRestartedRun()`
    IsRestartedRun,
    /// `tag 'v*'`: `pattern`, `comparator` (GLOB)
    Tag,
    /// `triggeredBy 'TimerTrigger'`: `cause`, `detail`
    TriggeredBy,
}

/// A call in a directive: an option, a parameter definition, a trigger.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub name: Text,
    /// Where the name stands.
    pub name_span: Span,
    /// The arguments as written.
    pub args: Vec<Arg>,
    /// The whole call.
    pub span: Span,
}

impl Call {
    /// The argument of that name.
    pub fn named(&self, name: &str) -> Option<&Expr> {
        self.args.iter().find_map(|arg| match arg {
            Arg::Named(MapKey::Constant(groovy::ast::Constant::Str(key), _), value) if &**key == name => Some(value),
            _ => None,
        })
    }

    /// The arguments without a name, in order.
    pub fn positional(&self) -> impl Iterator<Item = &Expr> {
        self.args.iter().filter_map(|arg| match arg {
            Arg::Positional(value) => Some(value),
            _ => None,
        })
    }

    /// The argument of that name, or the first without a name (`timeout(5)` is `timeout(time: 5)`).
    pub fn named_or_first(&self, name: &str) -> Option<&Expr> {
        self.named(name).or_else(|| self.positional().next())
    }
}

/// One entry of `options { … }`.
#[derive(Clone, Debug)]
pub struct OptionCall {
    /// What is written.
    pub call: Call,
    /// Who acts on it.
    pub kind: OptionKind,
}

/// Who acts on an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// The declarative interpreter itself: `skipDefaultCheckout`, `parallelsAlwaysFailFast` …
    Declarative,
    /// The project: `buildDiscarder`, `disableConcurrentBuilds` …
    JobProperty,
    /// A block step that wraps the stages: `timeout`, `retry`, `timestamps` …
    Wrapper,
}

/// One entry of `tools { … }`.
#[derive(Clone, Debug)]
pub struct Tool {
    /// `maven`, `jdk` …
    pub kind: Text,
    /// Where the kind stands.
    pub kind_span: Span,
    /// The name of the installation.
    pub name: Expr,
}

/// `input { … }` of a stage.
#[derive(Clone, Debug)]
pub struct Input {
    /// `message`, required.
    pub message: Expr,
    /// `id`; the stage's name where absent.
    pub id: Option<Expr>,
    /// `ok`: the caption of the button.
    pub ok: Option<Expr>,
    /// `submitter`: who may answer.
    pub submitter: Option<Expr>,
    /// `submitterParameter`: the variable that gets the name of who answered.
    pub submitter_parameter: Option<Expr>,
    /// `parameters { … }`.
    pub parameters: Vec<Call>,
    /// The whole directive.
    pub span: Span,
}

/// `matrix { … }`.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// `axes { … }`, at least one, names unique.
    pub axes: Vec<Axis>,
    /// `excludes { … }`.
    pub excludes: Vec<Exclude>,
    /// What each cell carries.
    pub directives: Directives,
    /// What each cell runs.
    pub stages: Vec<Stage>,
    /// The whole section.
    pub span: Span,
}

/// `axis { name 'X'; values 'a', 'b' }`.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The variable.
    pub name: Text,
    /// Its values, at least one, unique.
    pub values: Vec<Text>,
    /// The whole axis.
    pub span: Span,
}

/// `exclude { … }`: a cell that matches all its axes does not run.
#[derive(Clone, Debug)]
pub struct Exclude {
    /// At least one.
    pub axes: Vec<ExcludeAxis>,
}

/// `axis { name 'X'; values 'a' }` or `notValues 'a'` in an exclude.
#[derive(Clone, Debug)]
pub struct ExcludeAxis {
    /// The variable.
    pub name: Text,
    /// The values listed.
    pub values: Vec<Text>,
    /// `notValues`: matches what is *not* listed.
    pub inverse: bool,
}

/// One combination of a matrix: the name and value of each axis, in the order of the axes.
pub type Cell = Vec<(Text, Text)>;

impl Matrix {
    /// The cells that run: the product of the axes (the first varies fastest, as in Jenkins), without the excluded.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = vec![Vec::new()];
        for axis in &self.axes {
            let known = &cells;
            let add = |value: &Text, cell: &Cell| {
                let mut next = cell.clone();
                next.push((axis.name.clone(), value.clone()));
                next
            };
            cells = axis.values.iter().flat_map(|value| known.iter().map(move |cell| add(value, cell))).collect();
        }
        cells.retain(|cell| !self.excludes.iter().any(|exclude| exclude.matches(cell)));
        cells
    }
}

impl Exclude {
    fn matches(&self, cell: &Cell) -> bool {
        self.axes.iter().all(|axis| {
            // An axis that the matrix does not have has no value, which is none of those listed.
            let listed = cell.iter().any(|(name, value)| *name == axis.name && axis.values.contains(value));
            listed != axis.inverse
        })
    }
}
