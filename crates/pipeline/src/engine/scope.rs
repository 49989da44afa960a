//! What a step inherits from the blocks around it: node, folder, variables, stage. Scopes are values: a block step runs
//! its body in a changed copy, so leaving the block is nothing more than dropping it.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use groovy::value::Charge;
use model::ids::{JobId, StageId, StepId};
use model::outcome::Outcome;
use model::request::Allocated;

use super::tee::Tee;
use crate::steps::pods::{Pod, PodTemplate};

/// The dynamic surroundings of a step.
#[derive(Clone, Default)]
pub(crate) struct Scope(Rc<ScopeData>);

/// The fields of a [`Scope`].
#[derive(Clone, Default)]
pub(crate) struct ScopeData {
    /// The stage or branch.
    pub(crate) stage: Option<StageId>,
    /// The step whose body this is, or that is running.
    pub(crate) step: Option<StepId>,
    /// The sandbox.
    pub(crate) node: Option<Rc<Node>>,
    /// The working folder, where `dir` or `ws` changed it.
    pub(crate) dir: Option<Rc<Folder>>,
    /// Variables of `withEnv`, `environment` …, innermost first.
    pub(crate) env: Option<Rc<EnvLayer>>,
    /// Results that did not end the stage (`unstable`, `catchError`).
    pub(crate) warnings: Option<Rc<Warnings>>,
    /// Inside `post`: the result that the condition was decided with.
    pub(crate) post: Option<Outcome>,
    /// Blocks around it.
    pub(crate) depth: u32,
    /// It is inside of one of several branches.
    pub(crate) is_beside_others: bool,
    /// `timeout(activity: true)` around it.
    pub(crate) activity: Option<Rc<Activity>>,
    /// `tee` around it.
    pub(crate) tee: Option<Rc<Tee>>,
    /// `docker.withRegistry` around it: URL and credential.
    pub(crate) registry: Option<Rc<(Option<String>, Option<String>)>>,
    /// The templates of pods around it, outermost first.
    pub(crate) pods: Vec<Rc<PodTemplate>>,
    /// The pod, and the node that it began with.
    pub(crate) pod: Option<Rc<Pod>>,
    pod_node: Option<Rc<Node>>,
    /// While `environment { }` is evaluated: names that are null instead of missing.
    pub(crate) nullable: Option<Rc<[Rc<str>]>>,
}

/// One `node` block or agent.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its job.
    pub(crate) job: JobId,
    /// What the world says of it.
    pub(crate) place: Allocated,
    /// An image: `PATH` is the image's, whatever was set outside.
    pub(crate) container: bool,
    /// The label it was asked for.
    pub(crate) label: Option<String>,
    /// It has a Docker Engine, and a client of it.
    pub(crate) engine: bool,
}

impl Node {
    /// With more variables of its own: those of a block around it go before them, and a node within it does not have them.
    pub(crate) fn with_env(mut self, vars: &[(String, String)]) -> Node {
        self.place.env.extend_from_slice(vars);
        self
    }
}

/// A working folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Absolute.
    pub(crate) path: String,
    /// The workspace that it belongs to, where `ws` made one.
    pub(crate) workspace: Option<String>,
}

/// Variables of one block.
#[derive(Debug)]
pub(crate) struct EnvLayer {
    /// `PATH+X` stays as written.
    pub(crate) vars: Vec<(String, String)>,
    /// Their values are secrets.
    is_secret: bool,
    /// The block around it.
    pub(crate) outer: Option<Rc<EnvLayer>>,
    _charge: Charge,
}

impl EnvLayer {
    fn new(vars: Vec<(String, String)>, is_secret: bool, outer: Option<Rc<EnvLayer>>) -> Rc<EnvLayer> {
        let bytes = vars.iter().map(|(name, value)| var_bytes(name, value)).sum();
        Rc::new(EnvLayer { vars, is_secret, outer, _charge: Charge::new(bytes) })
    }
}

/// What one variable takes, in bytes.
pub(crate) fn var_bytes(name: &str, value: &str) -> usize {
    2 * size_of::<String>() + name.len() + value.len()
}

/// The worst result that was noted without ending a stage.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    worst: Cell<Option<Outcome>>,
    outer: Option<Rc<Warnings>>,
}

/// Counts what a body writes.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Lines so far.
    pub(crate) lines: Cell<u64>,
    outer: Option<Rc<Activity>>,
}

impl Deref for Scope {
    type Target = ScopeData;

    fn deref(&self) -> &ScopeData {
        &self.0
    }
}

impl Scope {
    /// A changed copy.
    pub(crate) fn with(&self, change: impl FnOnce(&mut ScopeData)) -> Scope {
        let mut data = ScopeData::clone(&self.0);
        change(&mut data);
        Scope(Rc::new(data))
    }

    /// With more variables.
    pub(crate) fn with_env(&self, vars: Vec<(String, String)>) -> Scope {
        self.with(|s| s.env = Some(EnvLayer::new(vars, false, s.env.take())))
    }

    /// The same with variables whose values are secrets.
    pub(crate) fn with_secrets(&self, vars: Vec<(String, String)>) -> Scope {
        self.with(|s| s.env = Some(EnvLayer::new(vars, true, s.env.take())))
    }

    /// The variables around it whose values are secrets, the innermost block's first.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let layers = std::iter::successors(self.env.as_deref(), |layer| layer.outer.as_deref());
        let vars = layers.filter(|layer| layer.is_secret).flat_map(|layer| &layer.vars);
        vars.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// On a node, in its workspace.
    pub(crate) fn on_node(&self, node: Rc<Node>) -> Scope {
        self.with(|s| {
            s.dir = None;
            if node.container && !node.place.path.is_empty() {
                let vars = vec![("PATH".to_owned(), node.place.path.clone())];
                s.env = Some(EnvLayer::new(vars, false, s.env.take()));
            }
            s.node = Some(node);
        })
    }

    /// In a pod that begins with the node where it is.
    pub(crate) fn in_pod(&self, pod: Rc<Pod>) -> Scope {
        self.with(|s| {
            s.pod = Some(pod);
            s.pod_node = s.node.clone();
        })
    }

    /// The node that the pod began with.
    pub(crate) fn pod_node(&self) -> Option<&Rc<Node>> {
        self.pod_node.as_ref()
    }

    /// On another container of the pod (or the node that it began with), in this folder.
    pub(crate) fn on_pod_container(&self, node: Rc<Node>, folder: Option<String>) -> Scope {
        let path = node.place.path.clone();
        let workspace = self.dir.as_ref().and_then(|dir| dir.workspace.clone());
        let scope = self.on_node(node);
        let scope = if path.is_empty() { scope } else { scope.with_env(vec![("PATH".to_owned(), path)]) };
        scope.with(|s| s.dir = folder.map(|path| Rc::new(Folder { path, workspace })))
    }

    /// In another folder.
    pub(crate) fn in_dir(&self, path: String) -> Scope {
        let workspace = self.dir.as_ref().and_then(|d| d.workspace.clone());
        self.with(|s| s.dir = Some(Rc::new(Folder { path, workspace })))
    }

    /// In another workspace of the same node.
    pub(crate) fn in_workspace(&self, path: String) -> Scope {
        self.with(|s| s.dir = Some(Rc::new(Folder { path: path.clone(), workspace: Some(path) })))
    }

    /// A place for the warnings of a new stage, which the stages around it see too.
    pub(crate) fn with_warnings(&self) -> Scope {
        self.with(|s| s.warnings = Some(Rc::new(Warnings { worst: Cell::new(None), outer: s.warnings.take() })))
    }

    /// A counter of what is written from here on.
    pub(crate) fn with_activity(&self) -> (Scope, Rc<Activity>) {
        let activity = Rc::new(Activity { lines: Cell::new(0), outer: self.activity.clone() });
        (self.with(|s| s.activity = Some(Rc::clone(&activity))), activity)
    }

    /// The working folder, where there is a node.
    pub(crate) fn cwd(&self) -> Option<&str> {
        match (&self.dir, &self.node) {
            (Some(dir), Some(_)) => Some(&dir.path),
            (None, Some(node)) => Some(&node.place.workspace),
            (_, None) => None,
        }
    }

    /// The workspace, where there is a node.
    pub(crate) fn workspace(&self) -> Option<&str> {
        let node = self.node.as_ref()?;
        Some(self.dir.as_ref().and_then(|d| d.workspace.as_deref()).unwrap_or(&node.place.workspace))
    }

    /// Notes a result that does not end the stage.
    pub(crate) fn warn(&self, outcome: Outcome) {
        let mut at = self.warnings.as_ref();
        while let Some(warnings) = at {
            warnings.worst.set(Some(warnings.worst.get().map_or(outcome, |w| w.worst(outcome))));
            at = warnings.outer.as_ref();
        }
    }

    /// The worst result noted in this stage.
    pub(crate) fn warned(&self) -> Option<Outcome> {
        self.warnings.as_ref().and_then(|w| w.worst.get())
    }

    /// Something was written here.
    pub(crate) fn note_activity(&self) {
        let mut at = self.activity.as_ref();
        while let Some(activity) = at {
            activity.lines.set(activity.lines.get() + 1);
            at = activity.outer.as_ref();
        }
    }
}

/// Joins `path` to `base` and takes out `.` and `..`; the result is absolute and never above `/`.
pub(crate) fn join_path(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(join_path("/w", "a/b"), "/w/a/b");
        assert_eq!(join_path("/w/x", "./../a//b/."), "/w/a/b");
        assert_eq!(join_path("/w", "/tmp/"), "/tmp");
        assert_eq!(join_path("/w", "../../../.."), "/");
    }

    #[test]
    fn a_warning_reaches_the_stages_around_it_but_not_its_neighbours() {
        let outer = Scope::default().with_warnings();
        let (a, b) = (outer.with_warnings(), outer.with_warnings());
        a.warn(Outcome::Unstable);
        a.warn(Outcome::Success);
        assert_eq!(a.warned(), Some(Outcome::Unstable));
        assert_eq!(outer.warned(), Some(Outcome::Unstable));
        assert_eq!(b.warned(), None);
    }
}
