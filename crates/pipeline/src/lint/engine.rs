//! Which parts of a definition want a Docker Engine: `docker` in a shell script, and what the `docker` variable does beyond running
//! steps in an image.

use groovy::ast::{Arg, Constant, Expr, ExprKind, MapKey, Member, StrPart, Text};
use groovy::span::Span;

use model::docker_args::{ArgsError, DockerArgs};

use crate::declarative::model::{Agent, Directives, OptionCall, Pipeline, Stage, StageContent};

/// What one place of a definition asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A Docker Engine, in these words.
    Engine(String),
    /// A further sandbox with the same workspace, in these words.
    Sharing(String),
}

/// What is asked for where an agent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The words that want a Docker Engine.
    pub(crate) engine: Option<String>,
    /// The words that have further sandboxes share its workspace.
    pub(crate) shares: Option<String>,
}

impl Wanted {
    fn add(&mut self, wish: &Use) {
        match wish {
            Use::Engine(words) => drop(self.engine.get_or_insert_with(|| words.clone())),
            Use::Sharing(words) => drop(self.shares.get_or_insert_with(|| words.clone())),
        }
    }
}

/// A call whose block runs on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeBlock {
    span: Span,
    /// It brings one only where there is none: `docker.withRegistry`, `inside`.
    is_brought: bool,
}

/// What of a definition wants an engine, and what shares a workspace.
#[derive(Clone, Debug, Default)]
pub struct EngineUses {
    /// What has an agent of its own: pipeline, stages, `node { }`.
    scopes: Vec<(Span, Wanted)>,
    /// Every place whose words want an engine.
    words: Vec<(String, Span)>,
}

impl EngineUses {
    /// `uses` are what is asked for and where, `nodes` the `node { }` of the script and what else brings one.
    pub(crate) fn new(pipeline: Option<&Pipeline>, uses: &[(Use, Span)], nodes: &[NodeBlock]) -> EngineUses {
        let own = nodes.iter().filter(|node| !node.is_brought);
        let scopes = own.map(|node| (node.span, Wanted::default())).collect();
        let mut found = EngineUses { scopes, words: Vec::new() };
        let mut reused = Vec::new();
        if let Some(pipeline) = pipeline {
            let has_agent = !pipeline.agent.is_none();
            if has_agent {
                found.agent(pipeline.span, &pipeline.agent, pipeline.options.iter());
            }
            let mut open: Vec<(&Stage, bool)> = pipeline.stages.iter().map(|stage| (stage, has_agent)).collect();
            while let Some((stage, mut within)) = open.pop() {
                found.stage(stage.span, &stage.directives, &mut within, &mut reused);
                match &stage.content {
                    StageContent::Steps(_) => {}
                    StageContent::Stages(stages) | StageContent::Parallel(stages) => {
                        open.extend(stages.iter().map(|stage| (stage, within)));
                    }
                    StageContent::Matrix(matrix) => {
                        found.stage(matrix.span, &matrix.directives, &mut within, &mut reused);
                        open.extend(matrix.stages.iter().map(|stage| (stage, within)));
                    }
                }
            }
        }
        let own = found.scopes.len();
        let mut brought: Vec<_> = nodes.iter().filter(|node| node.is_brought).map(|node| node.span).collect();
        // What is around others comes before them.
        brought.sort_by_key(|span| span.start);
        for span in brought {
            if found.innermost(span.start).is_none() {
                found.scopes.push((span, Wanted::default()));
            }
        }
        let mut all: Vec<_> = uses.iter().chain(&reused).collect();
        // Of several wishes the first that is written is the reason.
        all.sort_by_key(|(_, span)| span.start);
        for (wish, span) in all {
            if let Use::Engine(words) = wish {
                found.words.push((words.clone(), *span));
            }
            match found.innermost(span.start) {
                Some(index) if index < own => found.scopes[index].1.add(wish),
                // A method that anything may call, or a block that has a node around it where such a one calls it.
                within => {
                    let scopes = found.scopes.iter_mut().enumerate();
                    let reached = scopes.filter(|(index, _)| *index < own || within.is_none_or(|at| at == *index));
                    reached.for_each(|(_, scope)| scope.1.add(wish));
                }
            }
        }
        found
    }

    fn stage(&mut self, span: Span, directives: &Directives, within: &mut bool, reused: &mut Vec<(Use, Span)>) {
        let Some(agent) = directives.agent.as_ref().filter(|agent| !agent.is_none()) else { return };
        if *within && reuses(agent) {
            // Another sandbox on the agent around it, to which everything that its steps want is added.
            let wish = of_agent(agent).unwrap_or_else(|| Use::Sharing("`reuseNode true`".to_owned()));
            reused.push((wish, span));
            return;
        }
        *within = true;
        self.agent(span, agent, directives.options.iter());
    }

    fn agent<'a>(&mut self, span: Span, agent: &Agent, mut options: impl Iterator<Item = &'a OptionCall>) {
        let mut wanted = Wanted::default();
        if let Some(wish) = of_agent(agent) {
            wanted.add(&wish);
            if let Use::Engine(words) = wish {
                self.words.push((words, agent.span));
            }
        }
        if &*agent.kind == "docker" && options.any(|option| &*option.call.name == "newContainerPerStage") {
            wanted.add(&Use::Sharing("`newContainerPerStage`".to_owned()));
        }
        self.scopes.push((span, wanted));
    }

    /// What is wanted of what has an agent of its own around that place.
    pub(crate) fn at(&self, offset: u32) -> Wanted {
        self.innermost(offset).map(|index| self.scopes[index].1.clone()).unwrap_or_default()
    }

    /// Every place whose words want an engine, with the words.
    pub(crate) fn words(&self) -> &[(String, Span)] {
        &self.words
    }

    fn innermost(&self, offset: u32) -> Option<usize> {
        let around = self.scopes.iter().enumerate().filter(|(_, (span, _))| span.start <= offset && offset < span.end);
        around.min_by_key(|(_, (span, _))| span.end - span.start).map(|(index, _)| index)
    }
}

fn reuses(agent: &Agent) -> bool {
    let is_true = |expr: &Expr| matches!(&*expr.kind, ExprKind::Constant(Constant::Bool(true)));
    matches!(&*agent.kind, "docker" | "dockerfile") && agent.field("reuseNode").is_some_and(is_true)
}

/// What the agent of a directive wants by itself.
fn of_agent(agent: &Agent) -> Option<Use> {
    match &*agent.kind {
        "dockerfile" => Some(Use::Engine("`agent { dockerfile }`".to_owned())),
        "kubernetes" => Some(Use::Sharing("`agent { kubernetes }`".to_owned())),
        "docker" => agent.field("args").and_then(text).and_then(|args| reaching(&args)),
        _ => None,
    }
}

/// Options of `docker run` that reach for a host.
fn reaching(args: &str) -> Option<Use> {
    match DockerArgs::parse(args) {
        Err(ArgsError::NeedsRung { word, .. }) => Some(Use::Engine(format!("docker args `{word}`"))),
        _ => None,
    }
}

/// The block of a call that runs on a node.
pub(super) fn node(object: Option<&Expr>, name: &Text, at: Span, args: &[Arg]) -> Option<NodeBlock> {
    let Some(Arg::Positional(block)) = args.last() else { return None };
    let is_closure = matches!(&*block.kind, ExprKind::Closure(_));
    let (start, is_brought) = match (object, &**name) {
        (_, "node") => (at.start, false),
        (Some(object), "inside" | "withRun") if is_closure => (object.span.start, true),
        (Some(object), "withRegistry" | "withServer" | "withTool") if of_docker(object) => (object.span.start, true),
        _ => return None,
    };
    Some(NodeBlock { span: Span::new(start, block.span.end), is_brought })
}

/// What a call asks for.
pub(super) fn wish(object: Option<&Expr>, name: &Text, args: &[Arg]) -> Option<Use> {
    let in_container = |args: Option<String>, call: &str| {
        args.and_then(|args| reaching(&args)).or_else(|| Some(Use::Sharing(format!("`{call}`"))))
    };
    match (object, &**name) {
        (Some(_), "inside") => in_container(
            args.iter().find_map(|arg| match arg {
                Arg::Positional(expr) => text(expr),
                _ => None,
            }),
            "inside",
        ),
        (None, "withDockerContainer") => in_container(named(args, "args"), name),
        (None, "container") => Some(Use::Sharing("`container`".to_owned())),
        _ => words(object, name).map(Use::Engine),
    }
}

fn of_docker(object: &Expr) -> bool {
    matches!(&*object.kind, ExprKind::Name(name) if &**name == "docker")
}

/// `docker.image(…)`
pub(super) fn is_image(expr: &Expr) -> bool {
    match &*expr.kind {
        ExprKind::Call { object: Some(of), callee: Member::Name(name, _), .. } => &**name == "image" && of_docker(of),
        _ => false,
    }
}

/// The variable of a call that wants an engine if it is an image's.
pub(super) fn of_variable<'a>(object: &'a Expr, name: &Text) -> Option<&'a Text> {
    match (&*object.kind, &**name) {
        (ExprKind::Name(variable), "run" | "push" | "tag") => Some(variable),
        _ => None,
    }
}

/// The words of a call that wants an engine.
fn words(object: Option<&Expr>, name: &Text) -> Option<String> {
    match (object, &**name) {
        (Some(object), "build" | "withServer") if of_docker(object) => Some(format!("`docker.{name}`")),
        (Some(_), "withRun") => Some("`withRun`".to_owned()),
        (Some(object), "run" | "push" | "tag") if is_image(object) => Some(format!("`docker.image(…).{name}`")),
        _ => None,
    }
}

/// The script of a call that is a shell's.
pub(super) fn script<'a>(object: Option<&Expr>, name: &Text, args: &'a [Arg]) -> Option<&'a Expr> {
    let on_steps = object.is_none_or(|object| matches!(&*object.kind, ExprKind::Name(name) if &**name == "steps"));
    if !on_steps || &**name != "sh" {
        return None;
    }
    let positional = args.iter().find_map(|arg| match arg {
        Arg::Positional(expr) => Some(expr),
        _ => None,
    });
    positional.or_else(|| {
        args.iter().find_map(|arg| match arg {
            Arg::Named(MapKey::Constant(Constant::Str(name), _), expr) if &**name == "script" => Some(expr),
            _ => None,
        })
    })
}

/// The text of an argument by its name, as far as it stands there.
fn named(args: &[Arg], wanted: &str) -> Option<String> {
    args.iter().find_map(|arg| match arg {
        Arg::Named(MapKey::Constant(Constant::Str(name), _), expr) if &**name == wanted => text(expr),
        _ => None,
    })
}

fn text(expr: &Expr) -> Option<String> {
    match &*expr.kind {
        ExprKind::Constant(Constant::Str(text)) => Some(text.to_string()),
        ExprKind::GString(parts) => Some(
            parts
                .iter()
                .map(|part| match part {
                    StrPart::Text(text) => text.to_string(),
                    StrPart::Expr(_) | StrPart::Closure(_) => "x".to_owned(),
                })
                .collect(),
        ),
        ExprKind::Call { object: Some(object), args, .. } if args.is_empty() => text(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::definition::{Surroundings, analyse};

    fn found(source: &str, mark: &str) -> Option<String> {
        let definition = analyse(source, &Surroundings::default());
        assert!(definition.errors().next().is_none(), "{:?}", definition.diagnostics);
        definition.engine.at(u32::try_from(source.find(mark).unwrap()).unwrap()).engine
    }

    #[test]
    fn the_stage_whose_agent_it_is_wants_it() {
        let source = "pipeline {\n agent none\n stages {\n stage('a') { agent any /*A*/\n steps { sh 'make' } }\n \
                      stage('b') { agent { label 'x' } /*B*/\n steps { sh \"docker build -t ${x} .\" } } } }";
        assert_eq!(found(source, "/*A*/"), None);
        assert_eq!(found(source, "/*B*/").as_deref(), Some("`docker build`"));
        let source = "pipeline {\n agent any /*P*/\n stages {\n stage('a') { steps { script { docker.build('x') } } }\n \
                      stage('b') { agent { docker 'y' } /*B*/\n steps { echo 'x' } } } }";
        assert_eq!(found(source, "/*P*/").as_deref(), Some("`docker.build`"));
        assert_eq!(found(source, "/*B*/"), None);
    }

    #[test]
    fn so_does_a_node_of_a_script() {
        let source =
            "node { /*A*/ sh 'make' }\nnode('x') { /*B*/ docker.image('db').withRun('-e A=b') { c -> echo c.id } }";
        assert_eq!(found(source, "/*A*/"), None);
        assert_eq!(found(source, "/*B*/").as_deref(), Some("`withRun`"));
        let source = "node { /*A*/ def list = []; list.push(1) }\nnode { /*B*/ def db = docker.image('db'); db.run() }";
        assert_eq!(found(source, "/*A*/"), None);
        assert_eq!(found(source, "/*B*/").as_deref(), Some("`docker.image(…).run`"));
        // What a method does, whoever calls it may do.
        let source = "def pack() { sh(script: 'docker push x') }\nnode { /*A*/ pack() }";
        assert_eq!(found(source, "/*A*/").as_deref(), Some("`docker push`"));
    }

    #[test]
    fn so_does_what_brings_a_node_where_there_is_none() {
        let source = "node { /*A*/ sh 'make' }\ndocker.withRegistry('https://r') { /*B*/ docker.build('x').push() }";
        assert_eq!(found(source, "/*B*/").as_deref(), Some("`docker.build`"));
        let source = "docker.withTool('d') { /*A*/ docker.image('db').withRun { /*B*/ sh 'make' } }";
        assert_eq!(found(source, "/*A*/").as_deref(), Some("`withRun`"));
        assert_eq!(found(source, "/*B*/"), found(source, "/*A*/"), "it is on the node around it");
        let source = "docker.image('a').inside('--privileged') { /*A*/ sh 'make' }\ndocker.image('b').inside { /*B*/ sh 'make' }";
        assert_eq!(found(source, "/*A*/").as_deref(), Some("docker args `--privileged`"));
        assert_eq!((found(source, "/*B*/"), shares(source, "/*B*/").as_deref()), (None, Some("`inside`")));
        // On a node, it is the node's.
        let source = "node { /*A*/ docker.withRegistry('https://r') { /*B*/ docker.build('x') } }";
        assert_eq!(found(source, "/*A*/").as_deref(), Some("`docker.build`"));
        let source = "def pack() { docker.withRegistry('https://r') { docker.build('x') } }\nnode { /*A*/ pack() }";
        assert_eq!(found(source, "/*A*/").as_deref(), Some("`docker.build`"));
    }

    #[test]
    fn scripts_are_made_of_variables() {
        let check =
            |source: &str, expect: Option<&str>| assert_eq!(found(source, "/*A*/").as_deref(), expect, "{source}");
        check("def make = 'docker build .'\nnode { /*A*/ sh make }", Some("`docker build`"));
        check("def engine = \"docker\"\nnode { /*A*/ sh \"${engine} build .\" }", Some("`docker build`"));
        check(
            "node { /*A*/ def tool; tool = 'docker'; def all = tool + ' run x'; sh(script: all.trim()) }",
            Some("`docker run`"),
        );
        check("def tool = podman ? 'podman' : 'docker'\nnode { /*A*/ sh \"$tool run x\" }", Some("`docker run`"));
        check("node { /*A*/ env.TOOL = 'docker'; sh '$TOOL ps' }", Some("`docker ps`"));
        check("node { /*A*/ env.TOOL = 'docker'; sh \"${env.TOOL} ps\" }", Some("`docker ps`"));
        check("node { /*A*/ def a; a = \"${a} build\"; sh a }", None);
        check("def words = 'docker build'\nnode { /*A*/ echo words; sh 'make' }", None);
        let source = "pipeline {\n agent any /*A*/\n environment { DOCKER = 'sudo docker' }\n stages {\n stage('a') { steps { sh '${DOCKER} push x' } } } }";
        check(source, Some("`docker push`"));
    }

    fn shares(source: &str, mark: &str) -> Option<String> {
        let definition = analyse(source, &Surroundings::default());
        assert!(definition.errors().next().is_none(), "{:?}", definition.diagnostics);
        definition.engine.at(u32::try_from(source.find(mark).unwrap()).unwrap()).shares
    }

    #[test]
    fn what_shares_a_workspace_is_seen_on_the_agent_that_it_is_of() {
        let source = "node { /*A*/ docker.image('a').inside('-e A=b') { sh 'make' } }\nnode { /*B*/ sh 'make' }";
        assert_eq!((found(source, "/*A*/"), shares(source, "/*A*/").as_deref()), (None, Some("`inside`")));
        assert_eq!(shares(source, "/*B*/"), None);
        let source = "pipeline {\n agent { docker 'a' } /*P*/\n stages {\n stage('a') { agent { docker { image 'b'; reuseNode true } } /*A*/\n                       steps { sh 'make' } } } }";
        assert_eq!((found(source, "/*P*/"), shares(source, "/*P*/").as_deref()), (None, Some("`reuseNode true`")));
        let source = "pipeline {\n agent { docker 'a' } /*P*/\n options { newContainerPerStage() }\n stages {\n stage('a') {                       steps { sh 'make' } } } }";
        assert_eq!(shares(source, "/*P*/").as_deref(), Some("`newContainerPerStage`"));
        // Without an agent around it, there is nothing to share.
        let source = "pipeline {\n agent none\n stages {\n stage('a') { agent { docker { image 'b'; reuseNode true } } /*A*/\n                       steps { sh 'make' } } } }";
        assert_eq!(shares(source, "/*A*/"), None);
    }

    #[test]
    fn what_reaches_for_a_host_from_a_shared_workspace_wants_an_engine_there() {
        let source =
            "node { /*A*/ docker.image('a').inside('-v /var/run/docker.sock:/var/run/docker.sock') { sh 'make' } }";
        let words = "docker args `-v /var/run/docker.sock:/var/run/docker.sock`";
        assert_eq!(found(source, "/*A*/").as_deref(), Some(words));
        let stages = |agent: &str, steps: &str| {
            format!(
                "pipeline {{\n agent any /*P*/\n stages {{\n stage('a') {{ agent {{ {agent} }}\n steps {{ {steps} }} }} }} }}"
            )
        };
        let check = |agent: &str, steps: &str, expect: Option<&str>| {
            assert_eq!(found(&stages(agent, steps), "/*P*/").as_deref(), expect, "{agent}");
        };
        check(
            "docker { image 'b'; args '--privileged'; reuseNode true }",
            "sh 'x'",
            Some("docker args `--privileged`"),
        );
        check("dockerfile { reuseNode true }", "sh 'x'", Some("`agent { dockerfile }`"));
        check("docker { image 'b'; reuseNode true }", "sh 'docker build .'", Some("`docker build`"));
        check("docker { image 'b' }", "sh 'docker build .'", None);
    }
}
