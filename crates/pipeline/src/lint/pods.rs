//! Containers of pods that a file does not define: an operator does.

use std::collections::{BTreeMap, HashSet};

use groovy::diagnostic::Diagnostic;
use groovy::span::Span;

use super::tree::{NamedCall, Node, literal};

/// What defines a pod, or brings code that may.
const DEFINING: [&str; 4] = ["kubernetes", "podTemplate", "library", "load"];

/// The first use of each container, where nothing in the file defines a pod. With a library nobody knows.
pub(super) fn check(all: &[Node<'_>], defined: &HashSet<&str>, library: bool) -> Vec<Diagnostic> {
    let mut containers: BTreeMap<&str, Span> = BTreeMap::new();
    if library || defined.contains("container") {
        return Vec::new();
    }
    for call in all.iter().filter_map(Node::expr).filter_map(NamedCall::of) {
        if DEFINING.contains(&call.name) {
            return Vec::new();
        }
        if call.name == "container"
            && call.block().is_some()
            && let Some(name) = call.named("name").or_else(|| call.first()).and_then(literal)
        {
            let first = containers.entry(name).or_insert(call.span);
            *first = if call.span.start < first.start { call.span } else { *first };
        }
    }
    let told = containers.into_iter().map(|(name, span)| {
        let text =
            format!("no pod in this file has a container `{name}`: its operator's template has, if one is there");
        let hint = "it is named with --pod-template, or in `pod_templates` of a project";
        Diagnostic::warning(span, text).with_hint(hint).of_rule("operator-pod")
    });
    told.collect()
}
