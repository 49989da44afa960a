//! Templates of pods that an operator defines (`RunFacts::pods`). In Jenkins they stand in the configuration of a cloud.
//!
//! They are read as an author's pods are, by the same code: nothing that means nothing there means anything here.

use std::collections::BTreeSet;

use groovy::value::Value;
use model::pod::{MAX_POD_DEFINITIONS, PodDefinition};

use super::template::{PodTemplate, at, documents};
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;

/// Of the labels and annotations of a pod, the one with the labels that nodes of it have: where the plugin puts them, too.
const LABEL: &str = "jenkins/label";

/// A template, as it was read.
#[derive(Debug)]
pub(crate) struct Defined {
    name: String,
    /// Its name, and those that it says.
    labels: BTreeSet<String>,
    /// Or why it is none.
    template: Result<PodTemplate, String>,
}

/// What a run is told of, read when it is first wanted.
fn known(core: &Core) -> &[Defined] {
    core.pods.get_or_init(|| core.facts.pods.iter().take(MAX_POD_DEFINITIONS).map(Defined::read).collect())
}

/// Checks a template as a run would read it.
///
/// # Errors
/// Why it is no pod.
pub fn check(pod: &PodDefinition) -> Result<(), String> {
    Defined::read(pod).template.map(drop)
}

impl Defined {
    fn read(PodDefinition { name, yaml }: &PodDefinition) -> Defined {
        let mut labels = BTreeSet::from([name.clone()]);
        let mut template = PodTemplate::default();
        let read = documents(yaml).and_then(|documents| {
            let pod = documents.first().filter(|pod| at(pod, "spec").is_some());
            let pod = pod.ok_or("it has no `spec`, as a pod of Kubernetes has (`kind: Pod`)")?;
            labels.extend(labels_of(pod));
            template.manifest(pod)
        });
        Defined { name: name.clone(), labels, template: read.map(|()| template) }
    }

    fn template(&self) -> Result<&PodTemplate, Fault> {
        let broken = |why: &String| Fault::illegal(format!("The template '{}' of pods: {why}", self.name));
        self.template.as_ref().map_err(broken)
    }
}

/// `metadata: { labels: { jenkins/label: linux }, annotations: { jenkins/label: linux jdk17 } }`
fn labels_of(pod: &Value) -> Vec<String> {
    let metadata = at(pod, "metadata");
    let said = ["labels", "annotations"].into_iter().filter_map(|kind| at(&at(metadata.as_ref()?, kind)?, LABEL));
    said.flat_map(|labels| labels.to_text().split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The template that makes nodes of a label, or of all labels in `a && b`.
///
/// # Errors
/// It is no pod.
pub(crate) fn of_label(core: &Core, label: &str) -> Result<Option<PodTemplate>, Fault> {
    let has_all = |defined: &&Defined| label.split("&&").all(|label| defined.labels.contains(label.trim()));
    known(core).iter().find(has_all).map(|defined| defined.template().cloned()).transpose()
}

/// A template that has a label and says nothing of what it is: what the operator means by that label.
pub(super) fn by_own_label(core: &Core, template: PodTemplate) -> Result<PodTemplate, Fault> {
    let label = template.label.as_deref().filter(|_| template.is_empty());
    match label.map(|label| of_label(core, label)).transpose()?.flatten() {
        Some(defined) => template.within(&defined),
        None => Ok(template),
    }
}

/// A template with those whose names stand in its `inheritFrom`; of two of these, what the later says goes first.
///
/// Jenkins says nothing of a name that nobody has defined. Here it is an error where nothing else says what the pod is, and else a warning.
pub(super) fn inherited(core: &Core, scope: &Scope, own: PodTemplate, names: &str) -> Result<PodTemplate, Fault> {
    let (mut template, mut seen) = (own, BTreeSet::new());
    for name in names.split_whitespace().rev().filter(|name| seen.insert(*name)).take(MAX_POD_DEFINITIONS) {
        match known(core).iter().find(|defined| defined.name == name) {
            Some(defined) => template = template.within(defined.template()?)?,
            None => template.missing.insert(0, name.to_owned()),
        }
    }
    let Some(missing) = template.missing.first() else { return Ok(template) };
    let text = format!("inheritFrom: there is no template '{missing}' of pods");
    if template.is_empty() {
        return Err(Fault::abort(text).with_hint(hint_of(core, missing)));
    }
    core.say(scope, &format!("WARNING: {text}: {}", hint_of(core, missing)));
    Ok(template)
}

/// How a template is defined, and which are.
fn hint_of(core: &Core, name: &str) -> String {
    let known: Vec<_> = known(core).iter().map(|defined| defined.name.as_str()).collect();
    match known.is_empty() {
        true => how(name),
        false => format!("{}; there is {}", how(name), known.join(", ")),
    }
}

/// How a template is defined.
pub(super) fn how(name: &str) -> String {
    format!("define it with --pod-template {name}=FILE, at a server in `pod_templates` of the project")
}

/// What a pod is, for a `container` that stands in none: perhaps nodes of this label were one in Jenkins.
pub(super) fn hint(label: Option<&str>) -> String {
    let own = "a pod is `agent { kubernetes { … } }`, or `podTemplate { node(POD_LABEL) { … } }`";
    match label {
        Some(label) => format!("{own}; where '{label}' is a template of pods in Jenkins, {}", how(label)),
        None => format!("{own}, or what nodes of a label are made from (--pod-template LABEL=FILE)"),
    }
}
