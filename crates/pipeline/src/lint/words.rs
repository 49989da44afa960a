//! Names that mean something to the walk over a file.

/// Methods that run a closure as it is; others may give it a delegate.
pub(super) const PLAIN_CLOSURE: [&str; 40] = [
    "any",
    "call",
    "collect",
    "collectEntries",
    "collectMany",
    "count",
    "downto",
    "each",
    "eachFile",
    "eachLine",
    "eachWithIndex",
    "every",
    "find",
    "findAll",
    "findIndexOf",
    "findResult",
    "findResults",
    "groupBy",
    "inject",
    "inside",
    "max",
    "min",
    "replaceAll",
    "reverseEach",
    "sort",
    "split",
    "step",
    "sum",
    "takeWhile",
    "times",
    "toSorted",
    "unique",
    "upto",
    "withCredentials",
    "withDockerContainer",
    "withEnv",
    "withRegistry",
    "withRun",
    "withServer",
    "withTool",
];

/// Methods with which a script defines names while it runs.
pub(super) const DEFINING: [&str; 6] =
    ["setVariable", "setProperty", "invokeMethod", "evaluate", "parseClass", "loadClass"];

/// Classes of Jenkins that a script may name although there is no Jenkins: annotations, and an exception people catch.
pub(super) const HARMLESS_IMPORTS: [&str; 6] = [
    "com.cloudbees.groovy.cps.NonCPS",
    "hudson.AbortException",
    "hudson.model.Result",
    "org.jenkinsci.plugins.workflow.libs.Library",
    "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException",
    "org.jenkinsci.plugins.pipeline.modeldefinition.Utils",
];

/// Annotations whose effect (methods made, code changed) is not there, or not whole, and what is said of each. By the packages
/// `groovy.transform` and `groovy.lang`.
const TRANSFORMS: [(&str, &str); 5] = [
    ("ExternalizeMethods", NO_EFFECT),
    ("ExternalizeVerifier", NO_EFFECT),
    ("ListenerList", NO_EFFECT),
    ("Mixin", NO_EFFECT),
    ("Newify", NO_EFFECT),
];
const NO_EFFECT: &str = "has no effect yet";

/// Types of fields whose `@Delegate` makes the object less than Groovy's.
const ITEMS: [&str; 11] = [
    "ArrayDeque",
    "ArrayList",
    "Collection",
    "Deque",
    "HashSet",
    "LinkedHashSet",
    "LinkedList",
    "List",
    "Queue",
    "Set",
    "TreeSet",
];

/// What is said of `@Delegate` on a field of a type.
pub(super) fn lack_of_delegate(ty: &str) -> Option<&'static str> {
    let simple = ty.rsplit('.').next().unwrap_or_default();
    let lack = "does not make its object a list to all others yet: `new ArrayList(it)` and JSON see an object";
    ITEMS.contains(&simple).then_some(lack)
}

/// What is said of an annotation that does not do all that it does in Groovy.
pub(super) fn lack_of(annotation: &str) -> Option<&'static str> {
    let simple = annotation.rsplit('.').next().unwrap_or_default();
    TRANSFORMS.iter().find(|(name, _)| *name == simple).map(|(_, lack)| *lack)
}
