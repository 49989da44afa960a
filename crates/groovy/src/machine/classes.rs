//! Links compiled scripts into a machine: classes find their parents and get their fields.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use indexmap::IndexMap;

use super::ScriptId;
use super::world::{Script, World};
use crate::ast::{ClassKind, Text};
use crate::compile::{ClassPlan, Function, INHERITS_CONSTRUCTORS, Program, Scope};
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::value::{Class, FieldInfo, InitState, Native, Object, ScriptClass, Value};

/// Most fields of all classes that are linked at once. Each class lists those that it inherits, too.
const FIELDS_MAX: usize = 500_000;

/// Name of the class of a script, after the name of its file.
pub(super) fn script_class_name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    let stem = base.split('.').next().unwrap_or(base);
    if stem.is_empty() || stem.starts_with("Jenkinsfile") {
        return "WorkflowScript".into();
    }
    stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '$' { c } else { '_' }).collect()
}

/// Whether a class is one that a script declares, and not the class of the script.
fn declared_in(class: &Class, id: ScriptId) -> bool {
    class.script.as_ref().is_some_and(|script| script.script == id) && !class.is_a("groovy.lang.Script")
}

/// The constructors of a class, with those of its superclass where it has them, too (`@InheritConstructors`).
fn with_inherited(mut own: Vec<Rc<Function>>, annotations: &[Text], above: Option<&Class>) -> Vec<Rc<Function>> {
    let inherits = annotations.iter().any(|a| a.rsplit('.').next() == Some(INHERITS_CONSTRUCTORS));
    let Some(above) = above.and_then(|class| class.script.as_ref()).filter(|_| inherits) else { return own };
    let takes = |f: &Rc<Function>| f.params.iter().map(|p| p.ty.clone()).collect::<Vec<_>>();
    let hidden: Vec<_> = own.iter().map(takes).collect();
    own.extend(above.constructors.iter().filter(|f| !hidden.contains(&takes(f))).cloned());
    own
}

impl World {
    /// Makes a compiled script known. Its classes replace older ones of the same name.
    pub(super) fn link(&mut self, program: Program, scope: Scope, id: ScriptId) -> Result<(), Vec<Diagnostic>> {
        self.link_all(vec![(program, scope, id, 0)])
    }

    /// The same for several scripts whose classes know one another. Each comes with the number of its binding.
    pub(super) fn link_all(&mut self, programs: Vec<(Program, Scope, ScriptId, usize)>) -> Result<(), Vec<Diagnostic>> {
        let mut pending: IndexMap<Text, (ClassPlan, ScriptId)> = IndexMap::new();
        let mut scripts = Vec::new();
        for (mut program, scope, id, binding) in programs {
            let classes = std::mem::take(&mut program.classes);
            pending.extend(classes.into_iter().map(|plan| (plan.name.clone(), (plan, id))));
            scripts.push((program, scope, id, binding));
        }
        let mut room = FIELDS_MAX;
        let names: Vec<Text> = pending.keys().cloned().collect();
        for name in names {
            self.link_class(&name, &mut pending, &mut room)?;
        }
        for (program, scope, id, binding) in scripts {
            let plan = program.class;
            let (init, name) = (plan.init.clone(), plan.name.clone());
            // A file that is nothing but a class of its own name has no class of its script.
            let declared = self.classes.borrow().get(&name).filter(|c| declared_in(c, id)).cloned();
            let class = self.make_class(plan, None, Vec::new(), id);
            if let Some(declared) = declared {
                self.classes.borrow_mut().insert(name, declared);
            }
            let object = Value::Object(Rc::new(Object::new(class, Native::Script(id))));
            let (body, scope) = (program.body, Rc::new(scope));
            let script = Script { body, scope, object, init: RefCell::new(init), binding };
            match self.scripts.get_mut(id.0 as usize) {
                Some(before) => *before = script,
                None => self.scripts.push(script),
            }
        }
        Ok(())
    }

    /// What `name` is in a package: a class of a library, or else a package in it.
    pub(super) fn member_of_package(&self, package: &str, name: &str) -> Value {
        let full = if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") };
        match self.class(&full).filter(|class| class.script.is_some()) {
            Some(class) => Value::Class(class),
            None => self.package(&full),
        }
    }

    /// A package as a value.
    pub(super) fn package(&self, name: &str) -> Value {
        let class = self.java_class("org.jenkinsci.plugins.workflow.libs.LoadedClasses");
        Value::Object(Rc::new(Object::new(class, Native::Package(name.into()))))
    }

    /// Links one class after its parents. The chain of parents is followed in a loop.
    fn link_class(
        &mut self,
        name: &Text,
        pending: &mut IndexMap<Text, (ClassPlan, ScriptId)>,
        room: &mut usize,
    ) -> Result<(), Vec<Diagnostic>> {
        let mut chain = vec![name.clone()];
        let mut within: HashSet<Text> = chain.iter().cloned().collect();
        while let Some(current) = chain.last().cloned() {
            let Some((plan, _)) = pending.get(&current) else {
                chain.pop();
                continue;
            };
            let mut parents = plan.superclass.iter().chain(&plan.interfaces);
            if let Some(parent) = parents.find(|p| pending.contains_key(*p)) {
                if !within.insert(parent.clone()) {
                    let message = format!("Cyclic inheritance involving {parent}");
                    return Err(vec![Diagnostic::error(Span::default(), message)]);
                }
                chain.push(parent.clone());
                continue;
            }
            if let Some((plan, id)) = pending.swap_remove(&current) {
                let class = self.link_plan(plan, id);
                let fields = class.script.as_ref().map_or(0, |s| s.fields.len());
                *room = room.checked_sub(fields).ok_or_else(|| {
                    let message =
                        format!("the classes have more than {FIELDS_MAX} fields, inherited ones counted in each");
                    vec![Diagnostic::error(Span::default(), message)]
                })?;
            }
            chain.pop();
        }
        Ok(())
    }

    pub(super) fn link_plan(&self, mut plan: ClassPlan, id: ScriptId) -> Rc<Class> {
        let mut superclass = plan.superclass.take().map(|name| self.parent_class(&name));
        let mut interfaces: Vec<Rc<Class>> = plan.interfaces.iter().map(|n| self.parent_class(n)).collect();
        // `new I() { … }` of an interface: the parser of names cannot tell.
        let is_interface = |c: &Rc<Class>| {
            c.script.as_ref().is_some_and(|s| matches!(s.kind, ClassKind::Interface | ClassKind::Trait))
        };
        if superclass.as_ref().is_some_and(is_interface) {
            interfaces.extend(superclass.take());
        }
        self.make_class(plan, superclass, interfaces, id)
    }

    /// A parent that nothing declares is taken for a Java class of that name.
    fn parent_class(&self, name: &str) -> Rc<Class> {
        self.class(name).unwrap_or_else(|| self.java_class(name))
    }

    fn make_class(
        &self,
        plan: ClassPlan,
        superclass: Option<Rc<Class>>,
        interfaces: Vec<Rc<Class>>,
        id: ScriptId,
    ) -> Rc<Class> {
        let superclass = superclass.or_else(|| plan.superclass.as_ref().map(|n| self.parent_class(n)));
        let (mut fields, hides) = super::fields::layout(&plan, superclass.as_deref(), &interfaces);
        let own = plan.fields.iter().filter(|f| f.is_static);
        let statics = own.map(|f| (f.name.clone(), super::convert::default_value(&f.ty))).collect();
        if plan.annotations.iter().any(|a| a.rsplit('.').next() == Some("Immutable")) {
            let slot = fields.len();
            fields.insert("$tuple".into(), FieldInfo::mark(slot));
        }
        super::marks::mark(&plan.annotations, &mut fields);
        let static_fields = plan.fields.iter().filter(|f| f.is_static).cloned().collect();
        let accessed = super::fields::accessed_statics(&plan);
        let any = |test: &dyn Fn(&ScriptClass) -> bool| {
            superclass.iter().chain(&interfaces).filter_map(|c| c.script.as_ref()).any(test)
        };
        let answers =
            plan.methods.iter().any(|m| matches!(&*m.name, "getProperty" | "setProperty")) || any(&|s| s.answers);
        let intercepts = interfaces.iter().any(|c| c.name.rsplit('.').next() == Some("GroovyInterceptable"))
            || any(&|s| s.intercepts);
        let is_inner = fields.contains_key(crate::value::OUTER);
        let mut methods: HashMap<Text, Vec<Rc<Function>>> = HashMap::new();
        for method in plan.methods {
            methods.entry(method.name.clone()).or_default().push(method);
        }
        let above = || superclass.iter().chain(&interfaces).map(|class| &**class);
        for accessor in super::fields::overriding(&plan.name, id, &plan.fields, &methods, &above) {
            methods.entry(accessor.name.clone()).or_default().push(Rc::new(accessor));
        }
        let constructors = with_inherited(plan.constructors, &plan.annotations, superclass.as_deref());
        let state = if plan.static_init.is_some() { InitState::Pending } else { InitState::Done };
        let class = Rc::new(Class {
            name: plan.name.clone(),
            superclass,
            interfaces,
            script: Some(ScriptClass {
                script: id,
                readable: plan.readable,
                kind: plan.kind,
                is_abstract: plan.is_abstract,
                methods,
                constructors,
                fields,
                hides,
                answers,
                stands_in: false,
                intercepts,
                accessed,
                statics: RefCell::new(statics),
                static_fields,
                singleton: plan.singleton,
                is_inner,
                init: plan.init,
                static_init: plan.static_init,
                state: Cell::new(state),
                outer: plan.outer,
            }),
        });
        self.classes.borrow_mut().insert(plan.name, class.clone());
        class
    }

    /// Cuts what closures captured and objects hold, so that nothing keeps itself alive. Lists and maps stay as they are:
    /// the host may have kept some.
    pub(super) fn take_apart(&mut self) {
        let mut work: Vec<Value> = self.bindings.iter_mut().flat_map(|b| b.drain(..)).map(|(_, v)| v).collect();
        work.extend(self.globals.drain(..).map(|(_, v)| v));
        work.extend(self.scripts.drain(..).map(|s| s.object));
        for class in std::mem::take(self.classes.get_mut()).into_values() {
            if let Some(script) = &class.script {
                work.extend(script.statics.borrow_mut().drain(..).map(|(_, v)| v));
            }
        }
        let mut seen: HashSet<*const ()> = HashSet::new();
        while let Some(value) = work.pop() {
            match &value {
                Value::List(l) if seen.insert(Rc::as_ptr(l).cast()) => work.extend(l.snapshot()),
                Value::Map(m) if seen.insert(Rc::as_ptr(m).cast()) => {
                    work.extend(m.values());
                    work.extend(m.default().cloned());
                    work.extend(m.comparator().cloned());
                }
                Value::Object(o) => {
                    work.extend(std::mem::take(&mut *o.fields.borrow_mut()));
                    work.extend(o.take_shared().iter().map(|v| v.0.take()));
                    work.extend(o.held());
                }
                Value::Closure(c) => {
                    work.extend(c.delegate.borrow_mut().take());
                    work.extend(c.captured.iter().map(|v| v.0.take()));
                }
                _ => {}
            }
        }
    }
}
