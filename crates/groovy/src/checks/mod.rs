//! What Groovy's compiler refuses of a text that its grammar accepts: names that are declared twice, and classes that leave methods
//! abstract. The messages are Groovy's own.
//!
//! Never refuses what Groovy compiles: where a class of another file or a transformation could make it right, nothing is said.

mod abstracts;
mod duplicates;
mod scopes;

use std::collections::HashMap;

use crate::ast::{Class, Method, Param, Script, Text, TypeRef};
use crate::diagnostic::Diagnostic;
use crate::limits;
use crate::span::Span;

/// How many parameters and methods the checks of classes look at before they give up on a text: what people write has far fewer.
const LOOKS: usize = 1_000_000;

/// Nested classes beyond so many are not looked at.
const CLASSES_MAX: usize = 10_000;

/// What is wrong with a script, in no order. Walks the tree recursively: the caller makes room.
pub(crate) fn check(script: &Script) -> Vec<Diagnostic> {
    let mut findings = Findings { found: Vec::new(), looks: LOOKS, types: HashMap::new() };
    let anonymous = scopes::check(script, &mut findings);
    duplicates::check(script, &mut findings);
    abstracts::check(script, &anonymous, &mut findings);
    findings.found
}

/// What was found, and what is left to spend.
struct Findings {
    found: Vec<Diagnostic>,
    looks: usize,
    /// Full names of types as written.
    types: HashMap<Text, Text>,
}

impl Findings {
    fn report(&mut self, span: Span, message: String) {
        if self.found.len() < limits::MAX_DIAGNOSTICS {
            self.found.push(Diagnostic::error(span, message));
        }
    }

    /// Whether so many more may be looked at.
    fn look(&mut self, count: usize) -> bool {
        self.looks = self.looks.saturating_sub(count + 1);
        self.looks > 0
    }

    /// A type as Groovy's messages write it: its full name, without type arguments.
    fn type_text(&mut self, ty: Option<&TypeRef>, varargs: bool) -> Text {
        let (name, dimensions) = match ty {
            Some(ty) => (self.full_name(&ty.name), ty.dimensions as usize + usize::from(varargs)),
            None => ("java.lang.Object".into(), usize::from(varargs)),
        };
        if dimensions == 0 { name } else { format!("{name}{}", "[]".repeat(dimensions)).into() }
    }

    fn full_name(&mut self, name: &Text) -> Text {
        if let Some(known) = self.types.get(name) {
            return known.clone();
        }
        let full: Text = match &**name {
            "def" | "Object" => "java.lang.Object".into(),
            written => crate::value::full_name(written).unwrap_or(written).into(),
        };
        self.types.insert(name.clone(), full.clone());
        full
    }

    fn param_types(&mut self, params: &[&Param]) -> Vec<Text> {
        params.iter().map(|p| self.type_text(p.ty.as_ref(), p.varargs)).collect()
    }

    /// `java.lang.Object m(int, java.lang.String)`
    fn signature(&mut self, method: &Method, types: &[Text]) -> String {
        let returns = self.type_text(method.return_type.as_ref(), false);
        format!("{returns} {}({})", method.name, types.join(", "))
    }
}

fn has_word(words: &[Text], word: &str) -> bool {
    words.iter().any(|w| &**w == word)
}

/// All classes of a script that have names, with those around them in theirs (`A$B`).
fn named_classes(script: &Script) -> Vec<(String, &Class)> {
    let mut out: Vec<(String, &Class)> = script.classes.iter().map(|c| (c.name.to_string(), &**c)).collect();
    let mut at = 0;
    while let Some((name, class)) = out.get(at).cloned().filter(|_| out.len() < CLASSES_MAX) {
        out.extend(class.classes.iter().map(|inner| (format!("{name}${}", inner.name), &**inner)));
        at += 1;
    }
    out
}
