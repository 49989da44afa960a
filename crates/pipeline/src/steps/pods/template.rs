//! What a pod is made from: the fields of `podTemplate` and `agent { kubernetes }`, and manifests.

use groovy::value::Value;
use model::ids::JobId;
use model::request::{AgentSpec, DockerSpec, PodContainer};

use super::defined;
use crate::engine::fault::Fault;
use crate::engine::values::entries;
use crate::steps::args::Args;
use crate::steps::utility::yaml;

/// The container that is the node itself.
const AGENT: &str = "jnlp";
/// Most containers of one pod.
const MAX_CONTAINERS: usize = 100;

/// What a pod is made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodTemplate {
    /// Nodes with this label are pods of it.
    pub(crate) label: Option<String>,
    containers: Vec<ContainerTemplate>,
    /// The container that is the node.
    agent: Option<String>,
    /// The one in which steps run where nothing else is said.
    pub(super) default: Option<String>,
    /// What it was to inherit from, and nobody has defined.
    pub(super) missing: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

/// What a container of a pod is made from.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerTemplate {
    pub(super) name: String,
    image: String,
    /// In place of the image's entry point.
    command: Vec<String>,
    /// In place of the image's words.
    args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Who its steps are, as a number; as in a pod, root where nothing is said.
    user: Option<String>,
    always_pull: bool,
    pub(super) dir: Option<String>,
}

impl PodTemplate {
    /// From the fields of `podTemplate(…)` or `agent { kubernetes { … } }`; `yaml` is the text of a manifest.
    ///
    /// # Errors
    /// A manifest or container that makes no sense.
    pub(crate) fn read(fields: &Args, yaml: Option<&str>) -> Result<PodTemplate, Fault> {
        let text = |name: &str| fields.get(name).map(Value::to_text).filter(|text| !text.trim().is_empty());
        let mut template = PodTemplate {
            label: text("label"),
            agent: text("agentContainer"),
            default: text("defaultContainer"),
            env: fields.get("envVars").map(variables).unwrap_or_default(),
            ..PodTemplate::default()
        };
        if let Some(yaml) = yaml {
            let read =
                documents(yaml).and_then(|documents| documents.first().map_or(Ok(()), |pod| template.manifest(pod)));
            read.map_err(|why| Fault::illegal(format!("The yaml of the pod: {why}")))?;
        }
        let several = ["containers", "containerTemplates"].into_iter().filter_map(|name| fields.get(name)?.items());
        for container in several.flatten().chain(fields.get("containerTemplate").cloned()) {
            template.add(described(&container)?).map_err(Fault::illegal)?;
        }
        Ok(template)
    }

    /// Reads `kind: Pod`.
    pub(super) fn manifest(&mut self, pod: &Value) -> Result<(), String> {
        let Some(spec) = at(pod, "spec") else { return Ok(()) };
        let user_of = |value: &Value| Some(at(&at(value, "securityContext")?, "runAsUser")?.to_text());
        let of_pod = user_of(&spec);
        for container in at(&spec, "containers").and_then(|list| list.items()).unwrap_or_default() {
            let field = |name: &str| at(&container, name).map(|value| value.to_text());
            self.add(ContainerTemplate {
                name: field("name").ok_or("a container has no name")?,
                image: field("image").unwrap_or_default(),
                env: at(&container, "env").as_ref().map(variables).unwrap_or_default(),
                user: user_of(&container).or_else(|| of_pod.clone()),
                command: at(&container, "command").as_ref().map(words).unwrap_or_default(),
                args: at(&container, "args").as_ref().map(words).unwrap_or_default(),
                always_pull: field("imagePullPolicy").is_some_and(|policy| policy == "Always"),
                dir: field("workingDir"),
            })?;
        }
        Ok(())
    }

    /// Adds a container; one of the same name is replaced.
    fn add(&mut self, container: ContainerTemplate) -> Result<(), String> {
        self.containers.retain(|other| other.name != container.name);
        if self.containers.len() >= MAX_CONTAINERS {
            return Err(format!("a pod of more than {MAX_CONTAINERS} containers"));
        }
        self.containers.push(container);
        Ok(())
    }

    /// With what a template around it has, or one that it inherits from: what it says itself goes first, also of a container of the same name.
    ///
    /// Source: `PodTemplateUtils.combine` of the kubernetes plugin.
    ///
    /// # Errors
    /// Together they have more containers than a pod may have.
    pub(super) fn within(mut self, outer: &PodTemplate) -> Result<PodTemplate, Fault> {
        for container in &outer.containers {
            match self.containers.iter_mut().find(|own| own.name == container.name) {
                Some(own) => own.complete(container),
                None => self.add(container.clone()).map_err(Fault::illegal)?,
            }
        }
        self.env = outer.env.iter().cloned().chain(self.env).collect();
        self.agent = self.agent.or_else(|| outer.agent.clone());
        Ok(self)
    }

    /// Nobody has said yet what it is made of.
    pub(super) fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    pub(super) fn container(&self, name: &str) -> Option<&ContainerTemplate> {
        self.containers.iter().find(|container| container.name == name && !container.image.is_empty())
    }

    /// What its node is: the container that an agent would run in, where it says one.
    pub(crate) fn node(&self) -> AgentSpec {
        let container = self.container(self.agent.as_deref().unwrap_or(AGENT));
        match container {
            Some(container) => AgentSpec::Docker(container.spec()),
            None if self.containers.is_empty() => self.label.clone().map_or(AgentSpec::Any, AgentSpec::Label),
            None => AgentSpec::Any,
        }
    }

    /// Variables of the container that is the node, whatever it is made from.
    pub(super) fn env_of_node(&self) -> &[(String, String)] {
        self.containers.iter().find(|container| self.is_node(&container.name)).map_or(&[], |container| &container.env)
    }

    /// Those that run something from the pod's start on, whether or not a step wants them.
    pub(super) fn services(&self) -> impl Iterator<Item = &ContainerTemplate> {
        let beside = |container: &&ContainerTemplate| !container.image.is_empty() && !self.is_node(&container.name);
        self.containers.iter().filter(beside).filter(|container| !container.waits())
    }

    /// The words that have further sandboxes share the workspace of its node.
    pub(crate) fn shares(&self) -> Option<String> {
        self.services().next().map(|container| format!("container `{}` of the pod", container.name))
    }

    /// What to do where a container is not in it.
    pub(super) fn hint(&self) -> String {
        let names: Vec<_> = self.containers.iter().map(|container| container.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        match self.missing.first() {
            Some(missing) => format!("it has {names}; {}", defined::how(missing)),
            None => format!("it has {names}"),
        }
    }

    pub(super) fn is_node(&self, name: &str) -> bool {
        name == self.agent.as_deref().unwrap_or(AGENT) || name == AGENT
    }
}

impl ContainerTemplate {
    /// Takes what it does not say itself from another.
    fn complete(&mut self, other: &ContainerTemplate) {
        if self.image.is_empty() {
            self.image.clone_from(&other.image);
        }
        for (own, other) in [(&mut self.command, &other.command), (&mut self.args, &other.args)] {
            if own.is_empty() {
                own.clone_from(other);
            }
        }
        self.env.splice(0..0, other.env.iter().cloned());
        self.user = self.user.take().or_else(|| other.user.clone());
        self.always_pull |= other.always_pull;
        self.dir = self.dir.take().or_else(|| other.dir.clone());
    }

    /// Beside a node, in a pod whose containers have these variables.
    pub(super) fn beside(&self, node: Option<JobId>, env: &[(String, String)]) -> DockerSpec {
        let pod = PodContainer {
            name: self.name.clone(),
            command: self.command.clone(),
            args: self.args.clone(),
            env: env.iter().chain(&self.env).cloned().collect(),
            dir: self.dir.clone(),
        };
        DockerSpec { workspace_of: node, pod: Some(Box::new(pod)), ..self.spec() }
    }

    /// It runs nothing but what waits for steps, so nobody misses it before one wants it.
    fn waits(&self) -> bool {
        let all: Vec<&str> = self.command.iter().chain(&self.args).map(String::as_str).collect();
        !self.command.is_empty() && waits(&all)
    }

    fn spec(&self) -> DockerSpec {
        DockerSpec {
            image: self.image.clone(),
            args: format!("-u {}", self.user.as_deref().unwrap_or("0")),
            always_pull: self.always_pull,
            ..DockerSpec::default()
        }
    }
}

/// The documents of a manifest.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, String> {
    yaml::manifest(text)
}

/// What a map has of that name, where it is something.
pub(super) fn at(value: &Value, name: &str) -> Option<Value> {
    value.get(name).filter(|value| !value.is_null())
}

/// `containerTemplate(name: 'maven', image: 'maven:3')`
fn described(value: &Value) -> Result<ContainerTemplate, Fault> {
    let fields = entries(value).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null());
    let text = |name: &str| field(name).map(Value::to_text).filter(|text| !text.is_empty());
    Ok(ContainerTemplate {
        name: text("name").ok_or_else(|| Fault::illegal("containerTemplate needs a name"))?,
        image: text("image").unwrap_or_default(),
        command: field("command").map(words).unwrap_or_default(),
        args: field("args").map(words).unwrap_or_default(),
        env: field("envVars").map(variables).unwrap_or_default(),
        user: text("runAsUser"),
        always_pull: field("alwaysPullImage").is_some_and(Value::truth),
        dir: text("workingDir").filter(|dir| dir != "/home/jenkins/agent" && dir != "/home/jenkins"),
    })
}

/// `[envVar(key: 'A', value: 'b')]`, `[{name: A, value: b}]`: what is of a secret or of the pod itself is not there.
fn variables(list: &Value) -> Vec<(String, String)> {
    let pair = |value: &Value| {
        let fields = entries(value)?;
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null());
        Some((field("key").or_else(|| field("name"))?.to_text(), field("value")?.to_text()))
    };
    list.items().unwrap_or_default().iter().filter_map(pair).collect()
}

/// A list of words, or a text with blanks between them; one that begins with `"` goes on to the next.
fn words(value: &Value) -> Vec<String> {
    if let Some(items) = value.items() {
        return items.iter().map(Value::to_text).collect();
    }
    let text = value.to_text();
    let (mut rest, mut words) = (text.trim_start(), Vec::new());
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|inner| inner.split_once('"'));
        let (word, after) = quoted.or_else(|| rest.split_once(char::is_whitespace)).unwrap_or((rest, ""));
        words.push(word.replace('"', ""));
        rest = after.trim_start();
    }
    words
}

/// Whether a command does nothing but wait for its end.
fn waits(command: &[&str]) -> bool {
    let Some((program, args)) = command.split_first() else { return false };
    let program = program.rsplit('/').next().unwrap_or(program);
    match (program, args) {
        ("cat" | "sh" | "bash" | "ash" | "dash", []) | ("tail", ["-f", "/dev/null"]) | ("sleep", [_]) => true,
        ("sh" | "bash" | "ash" | "dash", ["-c" | "-lc", script]) => {
            let plain = script.chars().all(|c| c.is_ascii_alphanumeric() || " /.-_".contains(c));
            let words: Vec<_> = script.split_whitespace().skip_while(|word| *word == "exec").collect();
            // What it is said with is no shell once more.
            plain && !words.is_empty() && waits(&words)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_wait_are_known() {
        let check = |command: &str, expect: bool| {
            let command = words(&Value::str(command));
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            assert_eq!(waits(&command), expect, "{command:?}");
        };
        for command in ["cat", "/busybox/cat", "sleep 99d", "/bin/sleep infinity", "bash", "tail -f /dev/null"] {
            check(command, true);
        }
        for command in ["sh -c \"sleep 5\"", "/bin/bash -lc \"exec tail -f /dev/null\""] {
            check(command, true);
        }
        for command in
            ["", "cat /etc/passwd", "sh -c \"serve & sleep 5\"", "sh serve", "postgres", "tail -f log", "sh -c"]
        {
            check(command, false);
        }
    }

    #[test]
    fn words_are_told_apart_by_blanks() {
        let check = |text: &str, expect: &[&str]| assert_eq!(words(&Value::str(text)), expect, "{text}");
        check("", &[]);
        check("  a  b ", &["a", "b"]);
        check("sh -c \"a b\" c", &["sh", "-c", "a b", "c"]);
        check("\"a b", &["a", "b"]);
        check("--x=\"y\"", &["--x=y"]);
        assert_eq!(words(&Value::list(vec![Value::str("a b"), Value::Long(1)])), ["a b", "1"]);
    }
}
