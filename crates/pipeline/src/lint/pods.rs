//! Containers of pods that a file does not define: an operator does.

use std::collections::{BTreeMap, HashSet};

use groovy::ast::Script;
use groovy::diagnostic::Diagnostic;
use groovy::span::Span;

use super::tree::{NamedCall, Node, literal, parts, roots};

/// What defines a pod, or brings code that may.
const DEFINING: [&str; 4] = ["kubernetes", "podTemplate", "library", "load"];

/// The first use of each container, where nothing in the file defines a pod. With a library nobody knows.
pub(super) fn check(script: &Script, defined: &HashSet<&str>, library: bool) -> Vec<Diagnostic> {
    let mut containers: BTreeMap<&str, Span> = BTreeMap::new();
    let mut open = if library || defined.contains("container") { Vec::new() } else { roots(script) };
    while let Some(node) = open.pop() {
        if let Node::Expr(expr) = node
            && let Some(call) = NamedCall::of(expr)
        {
            if DEFINING.contains(&call.name) {
                return Vec::new();
            }
            let name = call.named("name").or_else(|| call.first()).and_then(literal);
            if let Some(name) = name.filter(|_| call.name == "container" && call.block().is_some()) {
                let first = containers.entry(name).or_insert(call.span);
                *first = if call.span.start < first.start { call.span } else { *first };
            }
        }
        parts(node, &mut open);
    }
    let told = containers.into_iter().map(|(name, span)| {
        let text =
            format!("no pod in this file has a container `{name}`: its operator's template has, if one is there");
        let hint = "it is named with --pod-template, or in `pod_templates` of a project";
        Diagnostic::warning(span, text).with_hint(hint).of_rule("operator-pod")
    });
    told.collect()
}
