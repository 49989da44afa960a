//! The elements that are open, and the namespaces that are declared in them.

use std::collections::HashMap;
use std::rc::Rc;

use super::markup::{Attribute, is_space};
use super::{NESTING_MAX, Options, Problem, Stop};
use crate::machine::Ctx;
use crate::value::{Class, Map, MapKind, Native, Object, Str, Value};

/// The class of the elements.
const ELEMENT: &str = "groovy.util.slurpersupport.Node";

/// Most declarations of namespaces that hold at the same place.
const MAX_DECLARED: usize = 50_000;

/// What the prefix `xml` always stands for.
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Declarations that are looked through for the price of an instruction.
const DECLARATIONS_AT_ONCE: usize = 8;

/// An element whose end was not read yet.
struct Open {
    name: String,
    object: Rc<Object>,
    children: Vec<Value>,
    text: String,
    /// Declarations of namespaces that hold outside of it.
    declared: usize,
}

pub(super) struct Tree {
    options: Options,
    class: Option<Rc<Class>>,
    open: Vec<Open>,
    root: Option<Value>,
    /// Prefixes and what they stand for, innermost last.
    declared: Vec<(String, Value)>,
    prefixes: Map,
    /// Each name and each namespace is one string, however many elements have it.
    names: HashMap<String, Str>,
}

impl Tree {
    pub(super) fn new(ctx: &Ctx<'_>, options: Options) -> Tree {
        Tree {
            options,
            class: ctx.world.class(ELEMENT),
            open: Vec::new(),
            root: None,
            declared: vec![("xml".to_owned(), Value::str(XML))],
            prefixes: Map::new(MapKind::Linked),
            names: HashMap::new(),
        }
    }

    pub(super) fn allows_doctype(&self) -> bool {
        self.options.doctype && self.root.is_none() && self.open.is_empty()
    }

    /// Whether the root element was closed.
    pub(super) fn is_over(&self) -> bool {
        self.root.is_some()
    }

    pub(super) fn root(&mut self) -> Option<Value> {
        self.root.take()
    }

    /// All prefixes of the document, and what they stand for.
    pub(super) fn prefixes(self) -> Value {
        Value::Map(Rc::new(self.prefixes))
    }

    /// The name of the innermost element, as it is written.
    pub(super) fn open_name(&self) -> Option<&str> {
        self.open.last().map(|open| open.name.as_str())
    }

    /// Text of the innermost element; `false`: there is none.
    pub(super) fn add(&mut self, text: &str) -> bool {
        self.open.last_mut().map(|open| open.text.push_str(text)).is_some()
    }

    /// Begins an element.
    pub(super) fn open(&mut self, ctx: &mut Ctx<'_>, name: String, attributes: Vec<Attribute>) -> Result<(), Stop> {
        if self.open.len() >= NESTING_MAX {
            return Err(Problem(format!("Elements are nested more than {NESTING_MAX} levels deep.")).into());
        }
        ctx.pay(4 + 2 * attributes.len())?;
        self.flush();
        let declared = self.declared.len();
        if self.options.namespaces {
            attributes.iter().for_each(|(name, value)| self.declare(name, value));
            if self.declared.len() > MAX_DECLARED {
                return Err(Problem(format!("More than {MAX_DECLARED} namespaces are declared.")).into());
            }
        }
        let (prefix, local) = self.split(&name);
        let not_bound = || Problem(format!("The prefix \"{prefix}\" for element \"{name}\" is not bound."));
        let uri = self.uri_of(ctx, prefix)?.ok_or_else(not_bound)?;
        let map = Map::new(if self.options.ordered { MapKind::Linked } else { MapKind::Hash });
        // Groovy goes from the last to the first; the order of a hash map follows from that.
        let (count, ordered) = (attributes.len(), self.options.ordered);
        for (written, value) in (0..count).map(|n| &attributes[if ordered { n } else { count - 1 - n }]) {
            let Some(key) = self.key(ctx, &name, written)? else { continue };
            if map.put(key, Value::str(value.as_str())).is_some() {
                let message = format!("Attribute \"{written}\" was already specified for element \"{name}\".");
                return Err(Problem(message).into());
            }
        }
        let (local, prefix) = (self.shared(local), self.shared(prefix));
        let fields = [("name", local), ("prefix", prefix), ("uri", uri), ("attributes", Value::Map(Rc::new(map)))];
        let class = self.class.clone().unwrap_or_else(|| ctx.world.java_class(ELEMENT));
        let object = Rc::new(Object::new(class, Native::None));
        fields.into_iter().for_each(|(name, value)| set(&object, name, value));
        self.open.push(Open { name, object, children: Vec::new(), text: String::new(), declared });
        Ok(())
    }

    /// Ends the innermost element.
    pub(super) fn close(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Stop> {
        self.flush();
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.declared.truncate(open.declared);
        ctx.room_for_items(open.children.len() as u64)?;
        set(&open.object, "children", Value::list(open.children));
        let element = Value::Object(open.object);
        match self.open.last_mut() {
            Some(outer) => outer.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    /// Makes a child of the text so far.
    fn flush(&mut self) {
        let Some(open) = self.open.last_mut() else { return };
        let text = std::mem::take(&mut open.text);
        if !text.is_empty() && (self.options.whitespace || !text.chars().all(is_space)) {
            open.children.push(Value::str(text));
        }
    }

    fn declare(&mut self, name: &str, value: &str) {
        let prefix = match name.strip_prefix("xmlns") {
            Some("") => "",
            Some(rest) if rest.starts_with(':') => &rest[1..],
            _ => return,
        };
        let (prefix, uri) = (prefix.to_owned(), self.shared(value));
        self.prefixes.put(Value::str(prefix.as_str()), uri.clone());
        self.declared.push((prefix, uri));
    }

    /// Prefix and the rest of a name.
    fn split<'n>(&self, name: &'n str) -> (&'n str, &'n str) {
        if self.options.namespaces { name.split_once(':').unwrap_or(("", name)) } else { ("", name) }
    }

    /// What a prefix stands for; `None`: nobody has said it.
    fn uri_of(&mut self, ctx: &mut Ctx<'_>, prefix: &str) -> Result<Option<Value>, Stop> {
        ctx.pay(self.declared.len() / DECLARATIONS_AT_ONCE)?;
        let found = self.declared.iter().rev().find(|(name, _)| name == prefix).map(|(_, uri)| uri.clone());
        Ok(found.or_else(|| prefix.is_empty().then(|| self.shared(""))))
    }

    /// The key of an attribute: its name, with its namespace where it has one; `None` for a declaration.
    fn key(&mut self, ctx: &mut Ctx<'_>, element: &str, name: &str) -> Result<Option<Value>, Stop> {
        if !self.options.namespaces {
            return Ok(Some(self.shared(name)));
        }
        let (prefix, local) = self.split(name);
        if prefix == "xmlns" || name == "xmlns" {
            return Ok(None);
        }
        if prefix.is_empty() {
            return Ok(Some(self.shared(name)));
        }
        match self.uri_of(ctx, prefix)? {
            Some(uri) => {
                // A long namespace makes a long key of each short attribute.
                let key = format!("{{{uri}}}{local}");
                ctx.pay(key.len() / super::BYTES_AT_ONCE)?;
                ctx.room_for_items(key.len() as u64)?;
                Ok(Some(Value::str(key)))
            }
            None => {
                let message = format!(
                    "The prefix \"{prefix}\" for attribute \"{name}\" associated with an element type \"{element}\" is not bound."
                );
                Err(Problem(message).into())
            }
        }
    }

    fn shared(&mut self, text: &str) -> Value {
        if let Some(known) = self.names.get(text) {
            return Value::Str(known.clone());
        }
        let made = Str::new(text);
        self.names.insert(text.to_owned(), made.clone());
        Value::Str(made)
    }
}

fn set(object: &Object, name: &str, value: Value) {
    let Some(slot) = object.slot(name) else { return };
    if let Some(field) = object.fields.borrow_mut().get_mut(slot) {
        *field = value;
    }
}
