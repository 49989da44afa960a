//! What all fibers of a machine share: classes, scripts, the binding, limits and caches.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use indexmap::IndexMap;

use super::ScriptId;
use super::host::Host;
use super::limits::{LimitKind, MachineLimits};
use super::need::{Fault, Memo, Need};
use super::prelude::Prelude;
use crate::ast::Text;
use crate::compile::{ClassIndex, Function, Mode, Scope};
use crate::outside::Outside;
use crate::value::render::{RenderStop, Style, render};
use crate::value::{
    Charge, Class, Meter, Native, Object, Pattern, Str, Throwable, Value, default_import, is_known_class, is_primitive,
    known_parents,
};

/// Compiled expressions by text and flags.
type PatternCache = HashMap<(Box<str>, i32), Rc<Pattern>>;

/// A loaded script.
pub(crate) struct Script {
    pub(crate) body: Rc<Function>,
    pub(crate) scope: Rc<Scope>,
    pub(crate) object: Value,
    /// Sets the `@Field`s; taken by the first fiber that needs them.
    pub(crate) init: RefCell<Option<Rc<Function>>>,
    /// Which of [`World::bindings`] its variables are in.
    pub(crate) binding: usize,
}

/// Shared by all fibers of a machine.
pub(crate) struct World {
    pub(crate) limits: MachineLimits,
    pub(crate) meter: Meter,
    pub(crate) fuel: u64,
    /// What was charged since the slice was last looked at: work of the library counts for the turn of a fiber too, or others (and
    /// whoever wants to end it) would wait for long.
    pub(crate) charged: u64,
    /// What [`super::Machine::grant_reserve`] gives.
    pub(crate) reserve: u64,
    pub(crate) scripts: Vec<Script>,
    /// Variables that were not declared. The first is of the definition and of what it loads; scripts of libraries have their own.
    pub(crate) bindings: Vec<IndexMap<Text, Value>>,
    /// Scripts of libraries by the names under which all scripts know them.
    pub(crate) globals: IndexMap<Text, Value>,
    /// Classes of libraries.
    pub(crate) index: Rc<ClassIndex>,
    pub(crate) classes: RefCell<HashMap<Text, Rc<Class>>>,
    pub(crate) prelude: Prelude,
    /// How scripts are run.
    pub(crate) mode: Mode,
    patterns: RefCell<PatternCache>,
    /// What the code of scripts that came as texts counts as.
    pub(super) texts: Vec<Charge>,
    /// Work on the library's own classes that is not charged yet.
    pub(super) shim_work: Cell<usize>,
}

/// Part of all fuel that is kept for cleaning up.
const RESERVE_SHARE: u64 = 100;

impl World {
    pub(crate) fn new(limits: MachineLimits) -> World {
        let meter = Meter::default();
        meter.make_current();
        World {
            fuel: limits.fuel,
            charged: 0,
            reserve: limits.fuel / RESERVE_SHARE,
            limits,
            meter,
            scripts: Vec::new(),
            bindings: vec![IndexMap::new()],
            globals: IndexMap::new(),
            index: Rc::default(),
            classes: RefCell::default(),
            prelude: Prelude::default(),
            mode: Mode::default(),
            patterns: RefCell::default(),
            texts: Vec::new(),
            shim_work: Cell::new(0),
        }
    }

    /// The variables of a script.
    pub(crate) fn binding(&self, script: ScriptId) -> &IndexMap<Text, Value> {
        let at = self.scripts.get(script.0 as usize).map_or(0, |s| s.binding);
        &self.bindings[at]
    }

    /// Whether a script is the definition of a pipeline, or loaded by that: what is a library's runs outside of Jenkins' sandbox.
    pub(crate) fn is_of_definition(&self, script: ScriptId) -> bool {
        self.mode == Mode::Pipeline && self.scripts.get(script.0 as usize).is_none_or(|s| s.binding == 0)
    }

    /// A variable of a script.
    pub(crate) fn variable(&self, script: ScriptId, name: &str) -> Option<&Value> {
        self.binding(script).get(name)
    }

    /// Sets a variable of a script.
    pub(crate) fn set_variable(&mut self, script: ScriptId, name: Text, value: Value) {
        let at = self.scripts.get(script.0 as usize).map_or(0, |s| s.binding);
        self.bindings[at].insert(name, value);
    }

    /// A script of a library by its name.
    ///
    /// # Errors
    /// Its fields were not set yet.
    pub(crate) fn global(&self, name: &str) -> Result<Option<Value>, Fault> {
        let Some(value) = self.globals.get(name) else { return Ok(None) };
        // A variable whose file is nothing but a class is an object of it, made when somebody wants it first.
        if let Value::Class(class) = value {
            return Err(Fault::Global(name.into(), class.clone()));
        }
        if let Some(id) = value.script_id()
            && self.scripts.get(id.0 as usize).is_some_and(|s| s.init.borrow().is_some())
        {
            return Err(Fault::Fields(id));
        }
        Ok(Some(value.clone()))
    }

    /// Work of the library that is more than one instruction's worth.
    pub(crate) fn charge(&mut self, work: usize) {
        let work = work.saturating_add(self.shim_work.take());
        self.fuel = self.fuel.saturating_sub(work as u64);
        self.charged = self.charged.saturating_add(work as u64);
    }

    /// Pays for work before it is done, in instructions; an error where that is more than the script has left.
    pub(crate) fn pay(&mut self, work: usize) -> Result<(), Fault> {
        if work == 0 {
            return Ok(());
        }
        self.charge(work);
        if self.fuel == 0 { Err(Fault::Limit(LimitKind::Fuel)) } else { Ok(()) }
    }

    /// A class by full name (or a simple name that needs no import). Unknown exceptions are exceptions.
    pub(crate) fn class(&self, name: &str) -> Option<Rc<Class>> {
        if let Some(class) = self.classes.borrow().get(name) {
            return Some(class.clone());
        }
        if let Some(element) = name.strip_suffix("[]") {
            let element = self.class(element).map_or_else(|| element.to_string(), |c| c.name.to_string());
            return Some(self.java_class(&crate::value::array_name(&element)));
        }
        let dotted = name.contains('.');
        if let Some(class) = self.shim(name) {
            return Some(class);
        }
        let exception = dotted && (name.ends_with("Exception") || name.ends_with("Error"));
        if is_known_class(name) || is_primitive(name) || exception {
            return Some(self.java_class(name));
        }
        if dotted { None } else { default_import(name).and_then(|full| self.class(full)) }
    }

    /// The class of a Java name, made with its superclasses where it is not there yet.
    pub(crate) fn java_class(&self, name: &str) -> Rc<Class> {
        if let Some(class) = self.classes.borrow().get(name) {
            return class.clone();
        }
        let parents = known_parents(name);
        let fallback = if name.ends_with("Exception") && name != "java.lang.Exception" {
            Some("java.lang.Exception")
        } else {
            None
        };
        let parent = parents
            .first()
            .copied()
            .filter(|p| !crate::value::is_interface_name(p))
            .or(fallback.filter(|_| parents.is_empty()));
        let class = Rc::new(Class::named(name, parent.map(|p| self.java_class(p))));
        self.classes.borrow_mut().insert(name.into(), class.clone());
        class
    }

    /// The class of a value.
    pub(crate) fn class_of(&self, value: &Value) -> Rc<Class> {
        match value {
            Value::Object(o) => o.class.clone(),
            other => self.java_class(&other.type_name()),
        }
    }

    /// An exception object.
    pub(crate) fn throwable(&self, class: &str, message: Value) -> Value {
        self.thrown(class, Throwable { message, ..Throwable::default() })
    }

    /// An exception object that has more than a message.
    pub(crate) fn thrown(&self, class: &str, what: Throwable) -> Value {
        let class = self.class(class).unwrap_or_else(|| self.java_class(class));
        Value::Object(Rc::new(Object::new(class, Native::Throwable(what))))
    }

    /// A compiled expression, from the cache where it is there.
    pub(crate) fn pattern(&self, source: &str, flags: i32) -> Result<Rc<Pattern>, Fault> {
        if let Some(found) = self.patterns.borrow().get(&(source.into(), flags)) {
            return Ok(found.clone());
        }
        let pattern =
            Pattern::new(source, flags).map_err(|e| self.fail("java.util.regex.PatternSyntaxException", e.0))?;
        let pattern = Rc::new(pattern);
        let mut cache = self.patterns.borrow_mut();
        if cache.len() >= 64 {
            cache.clear();
        }
        cache.insert((source.into(), flags), pattern.clone());
        Ok(pattern)
    }

    /// A fault that throws a new exception.
    pub(crate) fn fail(&self, class: &str, message: impl Into<Box<str>>) -> Fault {
        Fault::Throw(self.throwable(class, Value::str(message)))
    }

    pub(crate) fn null_pointer(&self, message: impl Into<Box<str>>) -> Fault {
        self.fail("java.lang.NullPointerException", message)
    }

    pub(crate) fn illegal(&self, message: impl Into<Box<str>>) -> Fault {
        self.fail("java.lang.IllegalArgumentException", message)
    }

    pub(crate) fn no_constant(&self, class: &Class, name: &str) -> Fault {
        self.illegal(format!("No enum constant {}.{name}", class.canonical_name()))
    }

    pub(crate) fn missing_property(&self, name: &str, class: &str) -> Fault {
        let facts = vec![("type".into(), self.class_value(class)), ("property".into(), Value::str(name))];
        let message = Value::str(format!("No such property: {name} for class: {class}"));
        let what = Throwable { message, facts, ..Throwable::default() };
        Fault::Throw(self.thrown("groovy.lang.MissingPropertyException", what))
    }

    fn class_value(&self, name: &str) -> Value {
        Value::Class(self.class(name).unwrap_or_else(|| self.java_class(name)))
    }

    /// A property of a collection is that of its items: one of them lacks it.
    pub(crate) fn missing_in_items(&self, name: &str, collection: &Value, class: &str) -> Fault {
        let inner = "groovy.lang.MissingPropertyException";
        let message = format!(
            "Exception evaluating property '{name}' for {}, Reason: {inner}: No such property: {name} for class: {class}",
            collection.type_name()
        );
        self.fail(inner, message)
    }

    pub(crate) fn missing_method(&self, name: &str, class: &str, is_static: bool, args: &[Value]) -> Fault {
        let values = args.iter().map(Value::to_text).collect();
        self.missing_method_of(name, class, is_static, args, values)
    }

    fn missing_method_of(
        &self,
        name: &str,
        class: &str,
        is_static: bool,
        args: &[Value],
        values: Vec<String>,
    ) -> Fault {
        let types: Vec<String> = args.iter().map(Value::type_name).collect();
        let values: Vec<String> = values.into_iter().map(shorten).collect();
        let word = if is_static { "static " } else { "" };
        let message = format!(
            "No signature of method: {word}{class}.{name}() is applicable for argument types: ({}) values: [{}]",
            types.join(", "),
            values.join(", ")
        );
        let facts = vec![
            ("type".into(), self.class_value(class)),
            ("method".into(), Value::str(name)),
            ("arguments".into(), Value::array(args.to_vec(), "java.lang.Object")),
            ("static".into(), Value::Bool(is_static)),
        ];
        let what = Throwable { message: Value::str(message), facts, ..Throwable::default() };
        Fault::Throw(self.thrown("groovy.lang.MissingMethodException", what))
    }

    pub(crate) fn cast_fault(&self, value: &Value, target: &str) -> Fault {
        self.cast_fault_of(value, value.to_text(), target)
    }

    fn cast_fault_of(&self, value: &Value, text: String, target: &str) -> Fault {
        let from = value.type_name();
        let message = if value.is_null() {
            format!(
                "Cannot cast object 'null' with class 'null' to class '{target}'. Try 'java.lang.{}' instead",
                "Integer"
            )
        } else {
            format!("Cannot cast object '{}' with class '{from}' to class '{target}'", shorten(text))
        };
        self.fail("org.codehaus.groovy.runtime.typehandling.GroovyCastException", message)
    }
}

/// How a closure in a GString is asked for its text: one with a parameter gets a writer, and what it answers is nothing.
fn rendering(value: &Value) -> &'static str {
    match value {
        Value::Closure(closure) if crate::library::maps::parameter_count(closure) == 0 => "call",
        Value::Closure(_) => "$written",
        // Of an exception that words its message itself, the rest of its text is known.
        Value::Object(o) if !o.class.has_method("toString") => o.message_method().unwrap_or("toString"),
        _ => "toString",
    }
}

/// Values in messages are cut, as Groovy does.
fn shorten(text: String) -> String {
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

/// What the library sees while it works: the world, the host, and what the script answered for this instruction.
pub(crate) struct Ctx<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) memo: &'a [Memo],
    pub(crate) memo_at: &'a Cell<usize>,
    pub(crate) depth: usize,
}

impl Ctx<'_> {
    /// Pays for work of the library, in instructions; an error where that is more than the script has left.
    pub(crate) fn pay(&mut self, work: usize) -> Result<(), Fault> {
        self.world.pay(work)
    }

    /// The script's answer to a question of this instruction; asks it where there is none yet.
    pub(crate) fn ask(&self, receiver: &Value, name: &'static str, args: &[Value]) -> Result<Value, Fault> {
        match self.known(receiver, name, args) {
            Some(value) => Ok(value),
            None => Err(Fault::Need(Box::new(Need { receiver: receiver.clone(), name, args: args.to_vec() }))),
        }
    }

    fn known(&self, receiver: &Value, name: &str, args: &[Value]) -> Option<Value> {
        let hit = |m: &Memo| m.depth == self.depth && m.need.answers(receiver, name, args);
        let next = self.memo_at.get();
        if let Some(found) = self.memo.get(next).filter(|m| hit(m)) {
            self.memo_at.set(next + 1);
            return Some(found.value.clone());
        }
        Meter::work(self.memo.len() / 4);
        let at = self.memo.iter().position(hit)?;
        self.memo_at.set(at + 1);
        Some(self.memo[at].value.clone())
    }

    /// Groovy's text of a value.
    pub(crate) fn text(&self, value: &Value) -> Result<String, Fault> {
        self.styled(value, Style::Groovy)
    }

    /// Text in another style.
    pub(crate) fn styled(&self, value: &Value, style: Style) -> Result<String, Fault> {
        if let (Value::Str(s), Style::Groovy) = (value, style) {
            return Ok(s.to_string());
        }
        let known = |v: &Value| self.known(v, rendering(v), &[]);
        // A text of many empty parts is work, too.
        let steps = usize::try_from(self.world.fuel).unwrap_or(usize::MAX);
        match render(value, style, self.world.limits.string_bytes, steps, &known) {
            Ok(text) => Ok(text),
            Err(RenderStop::TooMuch) => Err(Fault::Limit(LimitKind::Fuel)),
            Err(RenderStop::TooLong) => Err(Fault::Limit(LimitKind::StringLength)),
            Err(RenderStop::Ask(v)) => {
                Err(Fault::Need(Box::new(Need { name: rendering(&v), receiver: v, args: Vec::new() })))
            }
        }
    }

    /// The exception for a method that nothing has; objects of the script say what they are.
    pub(crate) fn missing_method(&self, name: &str, class: &str, is_static: bool, args: &[Value]) -> Fault {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            let text = match arg {
                Value::Range(r) => Ok(r.java_text()),
                other => self.text(other),
            };
            match text {
                Ok(text) => values.push(text),
                Err(fault) => return fault,
            }
        }
        self.world.missing_method_of(name, class, is_static, args, values)
    }

    /// The exception for a cast that cannot be made.
    pub(crate) fn cast_fault(&self, value: &Value, target: &str) -> Fault {
        match self.styled(value, Style::Java) {
            Ok(text) => self.world.cast_fault_of(value, text, target),
            Err(fault) => fault,
        }
    }

    /// Text as a shared string; no copy where it is one.
    pub(crate) fn str(&self, value: &Value) -> Result<Str, Fault> {
        match value {
            Value::Str(s) => Ok(s.clone()),
            other => Ok(Str::new(self.text(other)?)),
        }
    }

    /// A new string, unless it is longer than strings may be.
    pub(crate) fn new_str(&self, text: String) -> Result<Value, Fault> {
        self.room(text.len())?;
        Ok(Value::str(text))
    }

    /// Refuses a string of this many bytes where it is beyond the limit.
    pub(crate) fn room(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.world.limits.string_bytes { Err(Fault::Limit(LimitKind::StringLength)) } else { Ok(()) }
    }

    /// Refuses a collection of this many items where the heap has no room for it.
    pub(crate) fn room_for_items(&self, items: u64) -> Result<(), Fault> {
        let bytes = items.saturating_mul(size_of::<Value>() as u64);
        let left = self.world.limits.heap_bytes.saturating_sub(self.world.meter.used()) as u64;
        if bytes > left { Err(Fault::Limit(LimitKind::Heap)) } else { Ok(()) }
    }

    pub(crate) fn fail(&self, class: &str, message: impl Into<Box<str>>) -> Fault {
        self.world.fail(class, message)
    }
}

impl Ctx<'_> {
    /// The time, in milliseconds since 1970, as the host's clock says it.
    pub(crate) fn now_ms(&mut self, what: &str) -> Result<i64, Fault> {
        match self.host.clock() {
            Some(clock) => {
                let now = self.ask(&Value::Host(Rc::new(clock)), "now", &[])?;
                Ok(now.as_i64().unwrap_or(0))
            }
            None => Err(self.refuse(what, Outside::Clock)),
        }
    }

    /// Where a new source of random numbers starts.
    pub(crate) fn random_seed(&mut self, what: &str) -> Result<u64, Fault> {
        self.host.random_seed().ok_or_else(|| self.refuse(what, Outside::Randomness))
    }

    /// The exception for what would reach outside of the script.
    pub(crate) fn refuse(&mut self, what: &str, outside: Outside) -> Fault {
        match self.host.refused(what, outside) {
            Some(exception) => Fault::Throw(exception),
            None => self.fail("java.lang.SecurityException", format!("{what} reaches outside of the script")),
        }
    }
}
