//! Classes, fields and methods that are declared twice.
//!
//! Source: `ClassCompletionVerifier` and `Verifier` of Groovy 2.4.

use std::collections::HashSet;
use std::rc::Rc;

use super::{Findings, has_word, named_classes};
use crate::ast::{Class, Method, Param, Script, Text};

/// As many parameters as the compiler takes.
const PARAMETERS_MAX: usize = 255;

pub(super) fn check(script: &Script, findings: &mut Findings) {
    methods(&script.methods, "the script", true, findings);
    let mut names = HashSet::new();
    for (name, class) in named_classes(script) {
        members(class, &name, findings);
        if !names.insert(name.clone()) {
            let message = format!("Invalid duplicate class definition of class {name}");
            findings.report(class.span, message);
        }
    }
}

fn members(class: &Class, name: &str, findings: &mut Findings) {
    methods(&class.methods, &format!("class '{name}'"), false, findings);
    // A field may stand beside a property of its name: it is the one that the property keeps its value in.
    let (mut properties, mut fields) = (HashSet::new(), HashSet::new());
    for constant in &class.constants {
        if !properties.insert(&constant.name) {
            findings.report(constant.span, declared_twice(&constant.name));
        }
    }
    for field in &class.fields {
        let words = &field.modifiers.words;
        let is_field = ["private", "protected", "public"].iter().any(|w| has_word(words, w));
        let same = if is_field { &mut fields } else { &mut properties };
        if !same.insert(&field.name) {
            findings.report(field.span, declared_twice(&field.name));
        }
    }
}

fn declared_twice(name: &str) -> String {
    format!("The field '{name}' is declared multiple times.")
}

/// The methods of one class, or of the script, whose body is its method `run()`.
fn methods(methods: &[Rc<Method>], place: &str, of_script: bool, findings: &mut Findings) {
    let mut known: HashSet<(Text, Vec<Text>)> = HashSet::new();
    if of_script {
        known.insert(("run".into(), Vec::new()));
    }
    // Type parameters of a method may stand for different types: those methods are left out.
    let plain = || methods.iter().filter(|m| m.type_params.is_empty() && m.params.len() <= PARAMETERS_MAX);
    for method in plain() {
        if !findings.look(method.params.len()) {
            return;
        }
        let all: Vec<&Param> = method.params.iter().collect();
        let types = findings.param_types(&all);
        if known.contains(&(method.name.clone(), types.clone())) {
            let signature = findings.signature(method, &types);
            let message = if of_script && &*method.name == "run" && types.is_empty() {
                format!("The method {signature} is a duplicate of the one declared for this script's body code")
            } else {
                format!("Repetitive method name/signature for method '{signature}' in {place}.")
            };
            findings.report(method.name_span, message);
        }
        known.insert((method.name.clone(), types));
    }
    for method in plain() {
        let defaults = method.params.iter().filter(|p| p.default.is_some()).count();
        for kept in 0..defaults {
            if !findings.look(method.params.len()) {
                return;
            }
            let types = findings.param_types(&with_defaults(&method.params, kept));
            if known.contains(&(method.name.clone(), types.clone())) {
                let all: Vec<&Param> = method.params.iter().collect();
                let all = findings.param_types(&all);
                let (whole, short) = (findings.signature(method, &all), findings.signature(method, &types));
                let message = format!(
                    "The method with default parameters \"{whole}\" defines a method \"{short}\" that is already defined."
                );
                findings.report(method.name_span, message);
                break;
            }
            known.insert((method.name.clone(), types));
        }
    }
}

/// Parameters without those that have default values, but for the first `kept` of them.
fn with_defaults(params: &[Param], kept: usize) -> Vec<&Param> {
    let mut defaults = 0;
    let given = |p: &&Param| {
        defaults += usize::from(p.default.is_some());
        p.default.is_none() || defaults <= kept
    };
    params.iter().filter(given).collect()
}
