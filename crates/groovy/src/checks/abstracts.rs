//! Classes that leave methods abstract without being abstract themselves.
//!
//! Source: `ClassCompletionVerifier` of Groovy 2.4. A method counts as there when one of its name takes as many arguments: Groovy looks
//! at the types, too.

use std::collections::{HashMap, HashSet};

use super::{Findings, has_word, named_classes};
use crate::ast::{Class, ClassKind, Method, Param, Script, Text, TypeRef};

/// A method of Java: its name, how many arguments it takes, and how messages write it.
type OfJava = (&'static str, usize, &'static str);

/// A method that is left open, in the same way.
type Open = (Text, usize, String);

/// A method that is there: its name, and how many arguments it takes at least and at most.
type There = (Text, usize, usize);

/// Interfaces of Java that scripts implement, with what they leave open.
const JAVA: &[(&str, &[OfJava])] = &[
    ("Runnable", &[("run", 0, "void run()")]),
    ("Comparable", &[("compareTo", 1, "int compareTo(java.lang.Object)")]),
    ("Comparator", &[("compare", 2, "int compare(java.lang.Object, java.lang.Object)")]),
    ("Iterable", &[("iterator", 0, "java.util.Iterator iterator()")]),
    ("Iterator", &[("hasNext", 0, "boolean hasNext()"), ("next", 0, "java.lang.Object next()")]),
    ("Closeable", &[("close", 0, "void close()")]),
    ("AutoCloseable", &[("close", 0, "void close()")]),
    ("Serializable", &[]),
    ("Cloneable", &[]),
];

/// What every object has.
const OF_OBJECTS: &[&str] = &[
    "toString",
    "equals",
    "hashCode",
    "getClass",
    "clone",
    "finalize",
    "wait",
    "notify",
    "notifyAll",
    "getProperty",
    "setProperty",
    "invokeMethod",
    "getMetaClass",
    "setMetaClass",
];

pub(super) fn check(script: &Script, anonymous: &[&Class], findings: &mut Findings) {
    let all = named_classes(script);
    let mut known: HashMap<&str, Option<&Class>> = HashMap::new();
    for (_, class) in &all {
        // Of two classes that are called the same in different places nobody knows which one is meant.
        known.entry(&class.name).and_modify(|c| *c = None).or_insert(Some(class));
    }
    let imported: HashSet<&str> = script.imports.iter().filter_map(|i| i.alias.as_deref()).collect();
    let known = Known { classes: known, imported };
    for (name, class) in &all {
        let is_abstract = has_word(&class.modifiers.words, "abstract");
        if matches!(class.kind, ClassKind::Class | ClassKind::Enum) && !is_abstract {
            own(class, name, findings);
            inherited(class, &format!("The class '{name}'"), &known, findings);
        }
    }
    for class in anonymous {
        inherited(class, "The class without a name", &known, findings);
    }
}

struct Known<'s> {
    classes: HashMap<&'s str, Option<&'s Class>>,
    imported: HashSet<&'s str>,
}

enum Parent<'s> {
    Script(&'s Class),
    Java(&'static [OfJava]),
    Unknown,
}

impl<'s> Known<'s> {
    fn parent(&self, ty: &TypeRef) -> Parent<'s> {
        match self.classes.get(&*ty.name).copied() {
            Some(Some(class)) => return Parent::Script(class),
            Some(None) => return Parent::Unknown,
            None => {}
        }
        let java = JAVA.iter().find(|(name, _)| *name == &*ty.name && !self.imported.contains(name));
        java.map_or(Parent::Unknown, |(_, methods)| Parent::Java(methods))
    }
}

fn is_open(class: &Class, method: &Method) -> bool {
    class.kind == ClassKind::Interface || method.body.is_none() && !has_word(&method.modifiers.words, "native")
}

fn own(class: &Class, name: &str, findings: &mut Findings) {
    if class.kind == ClassKind::Enum {
        return;
    }
    for method in class.methods.iter().filter(|m| has_word(&m.modifiers.words, "abstract")) {
        let params: Vec<&Param> = method.params.iter().collect();
        let types = findings.param_types(&params);
        let signature = findings.signature(method, &types);
        findings.report(
            method.name_span,
            format!(
                "Can't have an abstract method in a non-abstract class. The class '{name}' must be declared abstract or \
                 the method '{signature}' must not be abstract."
            ),
        );
    }
}

/// What the parents of a class leave open, and neither they nor the class itself have.
fn inherited(class: &Class, what: &str, known: &Known<'_>, findings: &mut Findings) {
    let (mut open, mut there): (Vec<Open>, Vec<There>) = (Vec::new(), Vec::new());
    let (mut pending, mut seen) = (vec![class], HashSet::new());
    while let Some(next) = pending.pop() {
        if !seen.insert(std::ptr::from_ref(next)) {
            continue;
        }
        // An annotation may bring methods.
        let is_marked = |annotations: &[crate::ast::Annotation]| !annotations.is_empty();
        if is_marked(&next.modifiers.annotations) || next.fields.iter().any(|f| is_marked(&f.modifiers.annotations)) {
            return;
        }
        if !findings.look(next.methods.len() + next.fields.len()) {
            return;
        }
        for method in &next.methods {
            let needed = method.params.iter().filter(|p| p.default.is_none()).count();
            if !is_open(next, method) {
                let takes_any = method.params.last().is_some_and(|p| p.varargs);
                let most = if takes_any { usize::MAX } else { method.params.len() };
                there.push((method.name.clone(), needed, most));
            } else if !OF_OBJECTS.contains(&&*method.name) && !std::ptr::eq(next, class) {
                let params: Vec<&Param> = method.params.iter().collect();
                let types = findings.param_types(&params);
                open.push((method.name.clone(), params.len(), findings.signature(method, &types)));
            }
        }
        accessors(next, &mut there);
        for ty in next.extends.iter().chain(&next.implements) {
            match known.parent(ty) {
                Parent::Script(parent) => pending.push(parent),
                Parent::Java(methods) => {
                    open.extend(methods.iter().map(|(name, count, text)| ((*name).into(), *count, (*text).into())));
                }
                Parent::Unknown => return,
            }
        }
    }
    let mut said = HashSet::new();
    for (name, count, signature) in open {
        if !findings.look(there.len()) {
            return;
        }
        let is_there = there.iter().any(|(n, least, most)| *n == name && *least <= count && count <= *most);
        if !is_there && said.insert(signature.clone()) {
            findings.report(
                class.span,
                format!(
                    "Can't have an abstract method in a non-abstract class. {what} must be declared abstract or the method \
                     '{signature}' must be implemented."
                ),
            );
        }
    }
}

/// The getters and setters of properties.
fn accessors(class: &Class, there: &mut Vec<There>) {
    for field in &class.fields {
        if ["private", "protected", "public"].iter().any(|w| has_word(&field.modifiers.words, w)) {
            continue;
        }
        let mut chars = field.name.chars();
        let rest: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
        there.push((format!("get{rest}").into(), 0, 0));
        there.push((format!("is{rest}").into(), 0, 0));
        there.push((format!("set{rest}").into(), 1, 1));
    }
}
