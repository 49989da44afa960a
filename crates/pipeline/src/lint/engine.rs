//! Which parts of a definition want a Docker Engine: `docker` in a shell script, and what the `docker` variable does beyond running
//! steps in an image.

use groovy::ast::{Arg, Constant, Expr, ExprKind, MapKey, Member, StrPart, Text};
use groovy::span::Span;

use crate::declarative::model::{Agent, Pipeline, Stage, StageContent};

/// Words of the client that follow its name; anything else that is called `docker` is a folder or a label.
const COMMANDS: [&str; 34] = [
    "attach",
    "build",
    "builder",
    "buildx",
    "commit",
    "compose",
    "container",
    "context",
    "cp",
    "create",
    "exec",
    "export",
    "image",
    "images",
    "import",
    "info",
    "inspect",
    "kill",
    "load",
    "login",
    "logs",
    "manifest",
    "network",
    "ps",
    "pull",
    "push",
    "rm",
    "rmi",
    "run",
    "save",
    "start",
    "stop",
    "system",
    "tag",
];
/// Further ones, which read like words of other programs.
const MORE_COMMANDS: [&str; 3] = ["version", "volume", "swarm"];
/// Words that stand before the program of a command.
const BEFORE: [&str; 14] =
    ["sudo", "env", "exec", "time", "nohup", "then", "do", "else", "if", "while", "until", "!", "timeout", "eval"];
/// Options of the client itself stand before its command.
const MOST_OPTIONS: usize = 6;

/// What of a definition wants an engine.
#[derive(Clone, Debug, Default)]
pub struct EngineUses {
    /// What has an agent of its own: pipeline, stages, `node { }`.
    scopes: Vec<(Span, Option<String>)>,
}

impl EngineUses {
    /// `uses` are the words and where they stand, `nodes` the `node { }` of the script.
    pub(crate) fn new(pipeline: Option<&Pipeline>, uses: &[(String, Span)], nodes: &[Span]) -> EngineUses {
        let mut scopes: Vec<_> = nodes.iter().map(|span| (*span, None)).collect();
        if let Some(pipeline) = pipeline {
            let of_agent = |agent: &Agent| (&*agent.kind == "dockerfile").then(|| "`agent { dockerfile }`".to_owned());
            if !pipeline.agent.is_none() {
                scopes.push((pipeline.span, of_agent(&pipeline.agent)));
            }
            let mut open: Vec<&Stage> = pipeline.stages.iter().collect();
            while let Some(stage) = open.pop() {
                if let Some(agent) = stage.directives.agent.as_ref().filter(|agent| !agent.is_none()) {
                    scopes.push((stage.span, of_agent(agent)));
                }
                match &stage.content {
                    StageContent::Steps(_) => {}
                    StageContent::Stages(stages) | StageContent::Parallel(stages) => open.extend(stages),
                    StageContent::Matrix(matrix) => {
                        if let Some(agent) = matrix.directives.agent.as_ref().filter(|agent| !agent.is_none()) {
                            scopes.push((matrix.span, of_agent(agent)));
                        }
                        open.extend(&matrix.stages);
                    }
                }
            }
        }
        let mut found = EngineUses { scopes };
        for (words, span) in uses {
            match found.innermost(span.start) {
                Some(index) => drop(found.scopes[index].1.get_or_insert_with(|| words.clone())),
                // A method that anything may call.
                None => {
                    for scope in &mut found.scopes {
                        scope.1.get_or_insert_with(|| words.clone());
                    }
                }
            }
        }
        found
    }

    /// The words for what has an agent of its own around that place.
    pub(crate) fn at(&self, offset: u32) -> Option<String> {
        self.scopes[self.innermost(offset)?].1.clone()
    }

    fn innermost(&self, offset: u32) -> Option<usize> {
        let around = self.scopes.iter().enumerate().filter(|(_, (span, _))| span.start <= offset && offset < span.end);
        around.min_by_key(|(_, (span, _))| span.end - span.start).map(|(index, _)| index)
    }
}

/// The words of a call that wants an engine.
pub(super) fn words(object: Option<&Expr>, name: &Text, args: &[Arg]) -> Option<String> {
    let of_docker = |object: &Expr| matches!(&*object.kind, ExprKind::Name(name) if &**name == "docker");
    let of_image = |object: &Expr| match &*object.kind {
        ExprKind::Call { object: Some(of), callee: Member::Name(name, _), .. } => &**name == "image" && of_docker(of),
        _ => false,
    };
    match (object, &**name) {
        (Some(object), "build" | "withServer") if of_docker(object) => Some(format!("`docker.{name}`")),
        (Some(_), "withRun") => Some("`withRun`".to_owned()),
        (Some(object), "run" | "push" | "tag") if of_image(object) => Some(format!("`docker.image(…).{name}`")),
        (None, "sh") => script(args).and_then(|text| in_shell(&text)),
        (Some(object), "sh") if matches!(&*object.kind, ExprKind::Name(name) if &**name == "steps") => {
            script(args).and_then(|text| in_shell(&text))
        }
        _ => None,
    }
}

/// The text of a script, as far as it stands there.
fn script(args: &[Arg]) -> Option<String> {
    args.iter().find_map(|arg| match arg {
        Arg::Positional(expr) => text(expr),
        Arg::Named(MapKey::Constant(Constant::Str(name), _), expr) if &**name == "script" => text(expr),
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

/// `docker build`, where a shell script calls it so.
fn in_shell(text: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or(line));
    // What begins a command: a line, and what separates commands of one.
    let commands = lines.flat_map(|line| line.split([';', '|', '&', '(', '`', '{']));
    commands.into_iter().find_map(of_command)
}

/// The words of one command, where they call Docker's client.
fn of_command(command: &str) -> Option<String> {
    let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'', ')'])).peekable();
    // What stands before a program and runs it: variables, `sudo -E`, `then`.
    let before = |word: &&str| BEFORE.contains(word) || word.starts_with('-') || word.contains('=') || word.is_empty();
    while words.next_if(before).is_some() {}
    let program = words.next()?.rsplit('/').next()?;
    if program == "docker-compose" {
        return Some("`docker-compose`".to_owned());
    }
    if program != "docker" {
        return None;
    }
    let first = words.peek().copied()?;
    let mut rest = words.take(MOST_OPTIONS).skip_while(|word| word.starts_with('-'));
    let found = rest.find(|word| COMMANDS.contains(word) || MORE_COMMANDS.contains(word))?;
    // Its first word, or one after options of the client.
    (found == first || first.starts_with('-')).then(|| format!("`docker {found}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Surroundings, analyse};

    fn found(source: &str, mark: &str) -> Option<String> {
        let definition = analyse(source, &Surroundings::default());
        assert!(definition.errors().next().is_none(), "{:?}", definition.diagnostics);
        definition.engine.at(u32::try_from(source.find(mark).unwrap()).unwrap())
    }

    #[test]
    fn a_shell_that_calls_docker_is_seen() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(in_shell(text).as_deref(), expect, "{text}");
        check("docker build -t x .", Some("`docker build`"));
        check("set -e\nsudo docker --host x run --rm y", Some("`docker run`"));
        check("cd a && /usr/bin/docker compose up -d", Some("`docker compose`"));
        check("docker-compose -f x.yml up", Some("`docker-compose`"));
        check("echo $(docker ps -q)", Some("`docker ps`"));
        check("ls docker build", None);
        check("if ! DOCKER_BUILDKIT=1 sudo -E docker build .; then exit 1; fi", Some("`docker build`"));
        check("cd deploy/docker-compose && make", None);
        check("apt-get install -y docker-compose", None);
        check("echo \"skipping docker build\"", None);
        check("make # docker build", None);
        check("cd docker; make", None);
        check("# docker build\nmake", None);
        check("mvn docker:build", None);
        check("./docker/build.sh", None);
        check("apt-get install -y docker.io", None);
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
        // What a method does, whoever calls it may do.
        let source = "def pack() { sh(script: 'docker push x') }\nnode { /*A*/ pack() }";
        assert_eq!(found(source, "/*A*/").as_deref(), Some("`docker push`"));
    }
}
