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
pub(super) const HARMLESS_IMPORTS: [&str; 5] = [
    "com.cloudbees.groovy.cps.NonCPS",
    "hudson.AbortException",
    "hudson.model.Result",
    "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException",
    "org.jenkinsci.plugins.pipeline.modeldefinition.Utils",
];

/// Annotations whose effect (methods made, code changed) is not there. By the packages `groovy.transform` and `groovy.lang`.
pub(super) const TRANSFORMS: [&str; 5] =
    ["ExternalizeMethods", "ExternalizeVerifier", "ListenerList", "Mixin", "Newify"];
