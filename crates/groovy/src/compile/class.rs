//! Classes, interfaces, traits, enums, and the class of the script itself.

use std::rc::Rc;

use super::function::{Function, FunctionKind, Op, Site, Type};
use super::mentions::Mentions;
use super::{Compiler, Mode};
use crate::ast::{Block, Class, ClassKind, Field, LocalTarget, Script, Text, TypeRef};
use crate::span::Span;
use crate::value::{OUTER, Seen};

/// A field of a class.
#[derive(Clone, Debug)]
pub struct FieldPlan {
    /// Name.
    pub name: Text,
    /// Declared type.
    pub ty: Type,
    /// `static`
    pub is_static: bool,
    /// `final`
    pub is_final: bool,
    /// Where it is seen.
    pub seen: Seen,
}

/// A class as compiled, before the machine links it to its parents.
#[derive(Clone, Debug)]
pub struct ClassPlan {
    /// Full name.
    pub name: Text,
    /// What it is.
    pub kind: ClassKind,
    /// `abstract`, or an interface.
    pub is_abstract: bool,
    /// Full name of the superclass.
    pub superclass: Option<Text>,
    /// Full names.
    pub interfaces: Vec<Text>,
    /// Fields, static ones too.
    pub fields: Vec<FieldPlan>,
    /// Methods.
    pub methods: Vec<Rc<Function>>,
    /// Constructors.
    pub constructors: Vec<Rc<Function>>,
    /// Sets the fields of a new object.
    pub init: Option<Rc<Function>>,
    /// Sets the static fields.
    pub static_init: Option<Rc<Function>>,
    /// Class around it.
    pub outer: Option<Text>,
    /// The static property that has its one object (`@Singleton`).
    pub singleton: Option<Text>,
    /// Names of its annotations.
    pub annotations: Vec<Text>,
    /// Names of its own properties, as whoever lists them sees them.
    pub readable: Vec<Text>,
}

/// The name under which the class of a type is found.
pub(super) fn type_class_name(ty: &Type) -> Text {
    match ty {
        Type::Any => "java.lang.Object".into(),
        Type::Primitive(p) => (*p).into(),
        Type::Class(name) => name.clone(),
        Type::Array(inner) => format!("{}[]", type_class_name(inner)).into(),
    }
}

/// The annotation of a class whose constructors are those of its superclass; classes without a name have it unsaid.
pub(crate) const INHERITS_CONSTRUCTORS: &str = "InheritConstructors";

/// Names that objects of a class can be asked for from outside: fields that are properties, and getters.
///
/// Source: `MetaClassImpl.getProperties()`, and `Introspector.decapitalize` for what a getter is called.
fn readable(class: &Class) -> Vec<Text> {
    let has = |words: &[Text], any: &[&str]| words.iter().any(|w| any.contains(&&**w));
    let is_property = |f: &&Field| !has(&f.modifiers.words, &["private", "protected", "public"]);
    let fields = class.fields.iter().filter(is_property).map(|f| f.name.clone());
    let visible = class.methods.iter().filter(|m| !has(&m.modifiers.words, &["private", "protected"]));
    let getters = visible.filter_map(|method| {
        let boolean = || {
            method.return_type.as_ref().is_some_and(|t| matches!(&*t.name, "boolean" | "Boolean") && t.dimensions == 0)
        };
        let rest = match method.name.strip_prefix("get") {
            Some(rest) => rest,
            None => method.name.strip_prefix("is").filter(|_| boolean())?,
        };
        property_of(rest).filter(|_| method.params.iter().all(|p| p.default.is_some()))
    });
    fields.chain(getters).collect()
}

/// What `getName` gets, where `rest` is what follows the first word.
pub(super) fn property_of(rest: &str) -> Option<Text> {
    let mut chars = rest.chars();
    let first = chars.next()?;
    let is_short_for_something = first.is_uppercase() && chars.clone().next().is_some_and(char::is_uppercase);
    Some(match is_short_for_something {
        true => rest.into(),
        false => first.to_lowercase().chain(chars).collect::<String>().into(),
    })
}

fn seen(kind: ClassKind, words: &[Text]) -> Seen {
    match kind {
        ClassKind::Trait => Seen::Trait,
        ClassKind::Interface => Seen::Below,
        _ if words.iter().any(|w| &**w == "private") => Seen::Private,
        _ if words.iter().any(|w| matches!(&**w, "protected" | "public")) => Seen::Below,
        _ => Seen::Own,
    }
}

/// A field that the script does not declare.
fn hidden(name: &str) -> FieldPlan {
    FieldPlan { name: name.into(), ty: Type::Any, is_static: false, is_final: false, seen: Seen::Own }
}

/// What an initialiser sets.
enum Init<'a> {
    Field(&'a Field),
    Block(&'a Block),
}

impl Compiler<'_> {
    fn parent(&self, ty: &TypeRef) -> Text {
        type_class_name(&self.scope.names.ty(ty))
    }

    /// Java numbers the classes without a name that stand within one.
    fn anonymous_name(&mut self, around: &Text) -> Text {
        let count = self.anonymous.entry(around.clone()).or_default();
        *count += 1;
        format!("{around}${count}").into()
    }

    /// A class without a name, and the variables around it that it uses: each object of it shares them.
    pub(super) fn anonymous_class(&mut self, ty: &TypeRef, body: &Rc<Class>) -> (Text, Vec<Text>) {
        let base = self.class.clone().unwrap_or_else(|| self.script_class.clone());
        let name = self.anonymous_name(&base);
        let parent = self.parent(ty);
        let mut plan = self.class_plan(body, name.clone(), None);
        plan.annotations.push(INHERITS_CONSTRUCTORS.into());
        if crate::value::is_interface_name(&parent) {
            plan.interfaces.push(parent);
        } else {
            // The machine moves it to the interfaces where it turns out to be one.
            plan.superclass = Some(parent);
        }
        let mut mentions = Mentions::default();
        mentions.class(body, 0);
        let mut used = mentions.names();
        used.retain(|n| body.fields.iter().all(|f| f.name != *n) && self.variable(n).is_some());
        plan.fields.extend(used.iter().map(|n| hidden(n)));
        plan.fields.push(hidden(OUTER));
        self.classes.push(plan);
        (name, used)
    }

    pub(super) fn class_declaration(&mut self, class: &Class, outer: Option<(&Text, &Class)>) {
        let name: Text = match outer {
            Some((outer, _)) => format!("{outer}${}", class.name).into(),
            None => self.scope.names.full(&class.name),
        };
        let mut plan = self.class_plan(class, name.clone(), outer.map(|(name, _)| name.clone()));
        let is_static = class.modifiers.words.iter().any(|w| &**w == "static");
        let kinds = (class.kind, outer.map(|(_, around)| around.kind));
        if !is_static && kinds == (ClassKind::Class, Some(ClassKind::Class)) {
            plan.fields.push(hidden(OUTER));
        }
        self.classes.push(plan);
        for inner in &class.classes {
            self.class_declaration(inner, Some((&name, class)));
        }
    }

    fn class_plan(&mut self, class: &Class, name: Text, outer: Option<Text>) -> ClassPlan {
        let before = self.class.replace(name.clone());
        let has = |words: &[Text], word: &str| words.iter().any(|w| &**w == word);
        let fields = class.fields.iter().map(|f| FieldPlan {
            name: f.name.clone(),
            ty: f.ty.as_ref().map_or(Type::Any, |t| self.scope.names.ty(t)),
            is_static: has(&f.modifiers.words, "static") || class.kind == ClassKind::Interface,
            is_final: has(&f.modifiers.words, "final") || class.kind == ClassKind::Interface,
            seen: seen(class.kind, &f.modifiers.words),
        });
        let mut fields: Vec<FieldPlan> = fields.collect();
        let statics = fields.iter().filter(|f| f.is_static).map(|f| f.name.clone()).collect();
        let statics_before = std::mem::replace(&mut self.statics, Rc::new(statics));
        if class.kind == ClassKind::Enum {
            self.enum_fields(class, &mut fields);
        }
        let (mut methods, mut constructors) = (Vec::new(), Vec::new());
        for method in &class.methods {
            let is_constructor = method.name == class.name && method.return_type.is_none();
            let function = Rc::new(self.method(method, is_constructor));
            if is_constructor { constructors.push(function) } else { methods.push(function) }
        }
        let is_static = |f: &&Field| has(&f.modifiers.words, "static") || class.kind == ClassKind::Interface;
        let inits = class.fields.iter().filter(|f| !is_static(f)).map(Init::Field);
        let inits: Vec<Init<'_>> = inits.chain(class.instance_init.iter().map(Init::Block)).collect();
        let init = self.initialiser("<init>", &inits, None, None);
        let statics = class.fields.iter().filter(is_static).map(Init::Field);
        let statics: Vec<Init<'_>> = statics.chain(class.static_init.iter().map(Init::Block)).collect();
        let constants = (class.kind == ClassKind::Enum).then_some((class, &name));
        let singleton = super::expand::annotation(&class.modifiers.annotations, "Singleton");
        let singleton = singleton.map(|of| {
            super::expand::names(of, "property").unwrap_or_default().pop().map_or_else(|| "instance".into(), Text::from)
        });
        if let Some(property) = &singleton {
            fields.push(FieldPlan { is_static: true, ..hidden(property) });
        }
        let static_init = self.initialiser("<clinit>", &statics, constants, singleton.as_ref().map(|of| (&name, of)));
        self.class = before;
        self.statics = statics_before;
        let (superclass, interfaces) = self.parents(class);
        ClassPlan {
            name,
            kind: class.kind,
            is_abstract: has(&class.modifiers.words, "abstract")
                || matches!(class.kind, ClassKind::Interface | ClassKind::Trait | ClassKind::Annotation),
            superclass,
            interfaces,
            fields,
            methods,
            constructors,
            init,
            static_init,
            outer,
            singleton,
            annotations: class.modifiers.annotations.iter().map(|a| a.name.clone()).collect(),
            readable: readable(class),
        }
    }

    fn parents(&self, class: &Class) -> (Option<Text>, Vec<Text>) {
        let mut interfaces: Vec<Text> = class.implements.iter().map(|t| self.parent(t)).collect();
        let extends: Vec<Text> = class.extends.iter().map(|t| self.parent(t)).collect();
        // As Jenkins' engine has them all.
        let kept: Text = "java.io.Serializable".into();
        if self.scope.mode == Mode::Pipeline && class.kind == ClassKind::Class && !interfaces.contains(&kept) {
            interfaces.push(kept);
        }
        match class.kind {
            ClassKind::Class => (extends.into_iter().next(), interfaces),
            ClassKind::Enum => (Some("java.lang.Enum".into()), interfaces),
            _ => {
                interfaces.extend(extends);
                (None, interfaces)
            }
        }
    }

    fn enum_fields(&self, class: &Class, fields: &mut Vec<FieldPlan>) {
        fields.insert(0, hidden("$name"));
        fields.insert(1, hidden("$ordinal"));
        let constant = |name: &str| FieldPlan { is_static: true, is_final: true, seen: Seen::Below, ..hidden(name) };
        fields.extend(class.constants.iter().map(|c| constant(&c.name)));
        fields.push(constant("$VALUES"));
    }

    /// A function that sets fields on `this` (for static ones `this` is the class).
    fn initialiser(
        &mut self,
        name: &str,
        inits: &[Init<'_>],
        constants: Option<(&Class, &Text)>,
        singleton: Option<(&Text, &Text)>,
    ) -> Option<Rc<Function>> {
        let needed = inits.iter().any(|i| match i {
            Init::Field(f) => f.init.is_some(),
            Init::Block(_) => true,
        });
        if !needed && constants.is_none() && singleton.is_none() {
            return None;
        }
        let mut mentions = Mentions::default();
        for init in inits {
            match init {
                Init::Field(f) => f.init.iter().for_each(|e| mentions.expr(e, 0)),
                Init::Block(b) => mentions.block(b, 0),
            }
        }
        let builder = self.builder(name.into(), FunctionKind::Init, 0, Rc::new(mentions));
        self.stack.push(builder);
        if let Some((class, full)) = constants {
            self.enum_constants(class, full);
        }
        for init in inits {
            match init {
                Init::Field(f) => self.init_field(f),
                Init::Block(b) => self.block(b),
            }
        }
        if let Some((class, property)) = singleton {
            self.emit(Op::This, Span::default());
            self.emit(Op::Null, Span::default());
            let site = self.f().site(Site::plain(class, 0));
            self.emit(Op::New(site), Span::default());
            let number = self.f().name(property);
            self.emit(Op::SetAttr(number), Span::default());
        }
        self.emit(Op::Null, Span::default());
        self.emit(Op::Return, Span::default());
        Some(Rc::new(self.pop()))
    }

    fn init_field(&mut self, f: &Field) {
        // Without a value it stays what it was when the object was made, also where a constructor above has set it.
        let Some(value) = &f.init else { return };
        let ty = f.ty.as_ref().map_or(Type::Any, |t| self.scope.names.ty(t));
        self.emit(Op::This, f.span);
        self.expr(value);
        self.coerce(&ty, f.span);
        let number = self.f().name(&f.name);
        self.emit(Op::SetAttr(number), f.span);
    }

    fn enum_constants(&mut self, class: &Class, full: &Text) {
        for (i, constant) in class.constants.iter().enumerate() {
            let (name, args, span) = (&constant.name, &constant.args, &constant.span);
            let class_name = match &constant.body {
                Some(body) => self.constant_class(full, body),
                None => full.clone(),
            };
            self.emit(Op::This, *span);
            self.emit(Op::Null, *span);
            let site = self.arguments(class_name, args, *span);
            let site = self.f().site(site);
            self.emit(Op::New(site), *span);
            for (field, op) in [("$name", None), ("$ordinal", Some(Op::Int(i as i32)))] {
                let field: Text = field.into();
                self.emit(Op::Dup, *span);
                let op = op.unwrap_or_else(|| Op::Const(self.f().text(name)));
                self.emit(op, *span);
                let number = self.f().name(&field);
                self.emit(Op::SetAttr(number), *span);
            }
            let number = self.f().name(name);
            self.emit(Op::SetAttr(number), *span);
        }
        let span = class.span;
        self.emit(Op::This, span);
        self.emit(Op::List(0), span);
        for constant in &class.constants {
            let number = self.f().name(&constant.name);
            self.emit(Op::This, constant.span);
            self.emit(Op::Attr(number), constant.span);
            self.emit(Op::ListAdd, constant.span);
        }
        let number = self.f().name(&"$VALUES".into());
        self.emit(Op::SetAttr(number), span);
    }

    /// A constant with members of its own is the one instance of a class below the enum.
    fn constant_class(&mut self, full: &Text, body: &Rc<Class>) -> Text {
        let class = self.anonymous_name(full);
        let mut plan = self.class_plan(body, class.clone(), None);
        plan.annotations.push(INHERITS_CONSTRUCTORS.into());
        plan.superclass = Some(full.clone());
        self.classes.push(plan);
        class
    }

    /// The class of the script: methods and `@Field`s.
    pub(super) fn script_class(&mut self, script: &Script, class_name: &str, mentions: &Rc<Mentions>) -> ClassPlan {
        let mut fields = Vec::new();
        let builder = self.builder("<init>".into(), FunctionKind::Init, 0, mentions.clone());
        self.stack.push(builder);
        for local in mentions.fields() {
            let LocalTarget::Names(names) = &local.target else { continue };
            let ty = local.ty.as_ref().map_or(Type::Any, |t| self.scope.names.ty(t));
            for d in names {
                fields.push(FieldPlan {
                    name: d.name.clone(),
                    ty: ty.clone(),
                    is_static: false,
                    is_final: false,
                    seen: Seen::Own,
                });
                self.emit(Op::This, d.span);
                match &d.init {
                    Some(e) => self.expr(e),
                    None => self.default_value(&ty, d.span),
                }
                self.coerce(&ty, d.span);
                let number = self.f().name(&d.name);
                self.emit(Op::SetAttr(number), d.span);
            }
        }
        self.emit(Op::Null, Span::default());
        self.emit(Op::Return, Span::default());
        let init = self.pop();
        let methods = script.methods.iter().map(|m| Rc::new(self.method(m, false))).collect();
        ClassPlan {
            name: class_name.into(),
            kind: ClassKind::Class,
            is_abstract: false,
            superclass: Some("groovy.lang.Script".into()),
            interfaces: Vec::new(),
            init: (!fields.is_empty()).then(|| Rc::new(init)),
            fields,
            methods,
            constructors: Vec::new(),
            static_init: None,
            outer: None,
            singleton: None,
            readable: Vec::new(),
            annotations: Vec::new(),
        }
    }
}
