//! The part of the library that is written in Groovy: what calls closures. Such a method must be able to stop in the
//! middle of a closure (`list.each { sh it }`), which script code can and native code cannot.
//!
//! Each function is compiled when it is first called; a machine that needs none pays for none. The files are plain
//! scripts of functions `def name(self, …) { … }`, one after the other, each starting in the first column.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::ScriptId;
use super::world::World;
use crate::compile::{Function, FunctionKind, Mode, Op, Site};
use crate::span::Span;
use crate::value::{BufferKind, ListKind, Value, is_number};

const FILES: &[(&str, &str)] = &[
    ("collection", include_str!("../library/prelude/collection.groovy")),
    ("map", include_str!("../library/prelude/map.groovy")),
    ("string", include_str!("../library/prelude/string.groovy")),
    ("chars", include_str!("../library/prelude/chars.groovy")),
    ("number", include_str!("../library/prelude/number.groovy")),
    ("nodes", include_str!("../library/prelude/nodes.groovy")),
    ("writer", include_str!("../library/prelude/writer.groovy")),
    ("comparator", include_str!("../library/prelude/comparator.groovy")),
    ("json", include_str!("../library/prelude/json.groovy")),
    ("statics", include_str!("../library/prelude/statics.groovy")),
    ("closure", include_str!("../library/prelude/closure.groovy")),
    ("object", include_str!("../library/prelude/object.groovy")),
];

/// Name → family, number of arguments, text.
type Index = HashMap<&'static str, Vec<(&'static str, usize, &'static str)>>;

/// Functions written in Groovy.
#[derive(Default)]
pub(crate) struct Prelude {
    index: OnceCell<Index>,
    /// By the address of the text.
    compiled: RefCell<HashMap<*const u8, Rc<Function>>>,
    identity: OnceCell<Rc<Function>>,
    entry: OnceCell<Rc<Function>>,
}

/// Finds each function of a file and the numbers of arguments it takes.
fn index_file(family: &'static str, text: &'static str, index: &mut Index) {
    let starts: Vec<usize> =
        text.match_indices("def ").map(|(i, _)| i).filter(|i| *i == 0 || text.as_bytes()[i - 1] == b'\n').collect();
    for (n, start) in starts.iter().enumerate() {
        let source = &text[*start..starts.get(n + 1).copied().unwrap_or(text.len())];
        let (Some(open), Some(close)) = (source.find('('), source.find(") {")) else { continue };
        let name = source[4..open].trim();
        let params = source[open + 1..close].split(',').count() - 1;
        index.entry(name).or_default().push((family, params, source));
    }
}

/// The files in which a receiver's methods are looked for.
fn families(receiver: &Value) -> &'static [&'static str] {
    match receiver {
        Value::List(l) if *l.kind() == ListKind::Nodes => &["nodes", "collection", "object"],
        Value::List(_) | Value::Set(_) | Value::Range(_) | Value::Iter(_) | Value::Matcher(_) => {
            &["collection", "object"]
        }
        Value::Map(_) => &["map", "object"],
        Value::Object(o) if o.as_map().is_some() => &["map", "object"],
        Value::Object(o) if o.as_list().is_some() => &["collection", "object"],
        Value::Str(_) | Value::GString(_) => &["string", "chars", "object"],
        number if !matches!(number, Value::Char(_)) && is_number(number) => &["number", "object"],
        Value::Buffer(b) if b.kind == BufferKind::Writer => &["writer", "object"],
        Value::Buffer(_) => &["chars", "object"],
        Value::Closure(_) => &["closure", "object"],
        Value::Object(o) if o.class.is_a("java.util.Comparator") => &["comparator", "object"],
        Value::Class(c) if matches!(&*c.name, "java.util.Collections" | "java.util.Arrays" | "java.util.Objects") => {
            &["statics", "object"]
        }
        Value::Class(c) if &*c.name == "groovy.json.JsonOutput" => &["json", "object"],
        _ => &["object"],
    }
}

impl Prelude {
    /// A function that returns what is on its stack: it waits for answers whose place is not the stack.
    pub(super) fn identity(&self) -> Rc<Function> {
        self.identity.get_or_init(|| Rc::new(bare_function("identity", vec![Op::Return]))).clone()
    }

    /// A function that calls the method whose receiver, name and list of arguments are on its stack: where a fiber
    /// that the host started begins.
    pub(super) fn entry(&self) -> Rc<Function> {
        let make = || {
            let mut function = bare_function("entry", vec![Op::Call(0), Op::Return]);
            function.sites.push(Site {
                name: "".into(),
                count: 1,
                named: false,
                spread: true,
                dynamic: true,
                casts: Vec::new(),
                shares: Vec::new(),
            });
            Rc::new(function)
        };
        self.entry.get_or_init(make).clone()
    }
}

/// A function of the machine itself.
pub(super) fn bare_function(name: &str, code: Vec<Op>) -> Function {
    Function {
        name: name.into(),
        script: ScriptId::default(),
        class: None,
        kind: FunctionKind::Method { is_static: true },
        library: true,
        stepwise: false,
        around: None,
        is_abstract: false,
        is_private: false,
        is_test: false,
        params: Vec::new(),
        varargs: false,
        implicit_it: false,
        locals: 0,
        shared: 0,
        captures: Vec::new(),
        spans: vec![Span::default(); code.len()],
        code,
        consts: Vec::new(),
        names: Vec::new(),
        sites: Vec::new(),
        functions: Vec::new(),
        types: Vec::new(),
        texts: Vec::new(),
        handlers: Vec::new(),
        plain_params: true,
        span: Span::default(),
    }
}

impl World {
    /// The Groovy function that is this method of the receiver, with this many arguments.
    pub(super) fn prelude_function(&self, receiver: &Value, name: &str, count: usize) -> Option<Rc<Function>> {
        let index = self.prelude.index.get_or_init(|| {
            let mut index = Index::new();
            for (family, text) in FILES {
                index_file(family, text, &mut index);
            }
            index
        });
        let named = index.get(name)?;
        for family in families(receiver) {
            let Some((_, _, source)) = named.iter().find(|(f, n, _)| f == family && *n == count) else { continue };
            if let Some(found) = self.prelude.compiled.borrow().get(&source.as_ptr()) {
                return Some(found.clone());
            }
            let function = compile(source)?;
            self.prelude.compiled.borrow_mut().insert(source.as_ptr(), function.clone());
            return Some(function);
        }
        None
    }
}

fn compile(source: &str) -> Option<Rc<Function>> {
    let parsed = crate::parser::parse(source);
    let (program, _) =
        crate::compile::compile_script(&parsed.script, ScriptId::default(), "groovy", &Rc::default(), Mode::Library)
            .ok()?;
    program.class.methods.first().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_library_compiles() {
        let mut index = Index::new();
        for (family, text) in FILES {
            index_file(family, text, &mut index);
        }
        assert!(index.len() > 50);
        for (_, _, source) in index.into_values().flatten() {
            assert!(compile(source).is_some(), "does not compile:\n{source}");
        }
    }
}
