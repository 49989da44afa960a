//! Names of types and classes as the script's imports and declarations resolve them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::function::Type;
use super::members::Members;
use crate::ast::{Arg, Class, ClassKind, Expr, ExprKind, Import, Member, Method, Script, Text, TypeRef};
use crate::value::default_import;

/// Classes of other files that a script may name: those of libraries.
#[derive(Clone, Debug, Default)]
pub struct ClassIndex {
    /// Full name → names of its static methods and fields, which `import static a.B.*` brings.
    classes: HashMap<Text, Statics>,
}

/// Name → the fewest and the most arguments of each static method of that name; a field or a getter takes any.
type Statics = HashMap<Text, Vec<(usize, usize)>>;

impl ClassIndex {
    /// Adds what a file declares. `file` is its name without ending: what is outside of any class there is a class of that name.
    pub fn add(&mut self, script: &Script, file: &str) {
        for class in &script.classes {
            self.add_class(class, &in_package(script, &class.name));
        }
        if !script.methods.is_empty() || script.classes.is_empty() {
            let statics = self.classes.entry(in_package(script, file)).or_default();
            add_methods(statics, &script.methods);
        }
    }

    fn add_class(&mut self, class: &Class, full: &Text) {
        let of_interface = class.kind == ClassKind::Interface;
        let fields = class.fields.iter().filter(|f| of_interface || has_static(&f.modifiers.words)).map(|f| &f.name);
        let constants = class.constants.iter().map(|c| &c.name);
        let getters = class.methods.iter().filter(|m| has_static(&m.modifiers.words) && m.params.is_empty());
        let properties = getters.filter_map(|m| super::class::property_of(m.name.strip_prefix("get")?));
        let statics = self.classes.entry(full.clone()).or_default();
        add_methods(statics, &class.methods);
        for name in fields.chain(constants).cloned().chain(properties) {
            statics.entry(name).or_default().push((0, usize::MAX));
        }
        for inner in &class.classes {
            self.add_class(inner, &format!("{full}${}", inner.name).into());
        }
    }

    fn has(&self, full: &str) -> bool {
        self.classes.contains_key(full)
    }

    /// Whether a class has a static member of a name, which takes so many arguments where it is called with a known count of them.
    fn has_static(&self, class: &str, member: &str, count: Option<usize>) -> bool {
        let takes = |(fewest, most): &(usize, usize)| count.is_none_or(|count| (*fewest..=*most).contains(&count));
        self.classes.get(class).and_then(|statics| statics.get(member)).is_some_and(|all| all.iter().any(takes))
    }
}

fn add_methods(statics: &mut Statics, methods: &[Rc<Method>]) {
    for method in methods.iter().filter(|m| has_static(&m.modifiers.words)) {
        let fewest = method.params.iter().filter(|p| p.default.is_none()).count();
        let takes = match method.params.last() {
            Some(last) if last.varargs || last.ty.as_ref().is_some_and(|ty| ty.dimensions > 0) => {
                (fewest.saturating_sub(1), usize::MAX)
            }
            _ => (fewest, method.params.len()),
        };
        statics.entry(method.name.clone()).or_default().push(takes);
    }
}

fn has_static(words: &[Text]) -> bool {
    words.iter().any(|word| &**word == "static")
}

/// A name of a script's package.
pub(super) fn in_package(script: &Script, name: &str) -> Text {
    match &script.package {
        Some((package, _)) => format!("{package}.{name}").into(),
        None => name.into(),
    }
}

/// What class names mean in one script.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Classes of libraries.
    index: Rc<ClassIndex>,
    package: Option<Text>,
    /// `import static a.B.*`
    static_stars: Vec<Text>,
    /// Classes of this file that `import static B.*` names.
    own: ClassIndex,
    members: Members,
    /// Methods of the script: they may take what those of that name do not.
    methods: HashSet<Text>,
    /// Simple name → full name: imports and classes of the script.
    known: HashMap<Text, Text>,
    /// `import static a.B.c [as d]`: d → (a.B, c).
    statics: HashMap<Text, (Text, Text)>,
    /// `import a.b.*`
    stars: Vec<Text>,
    /// Type parameters: they mean `Object`.
    type_params: HashSet<Text>,
}

const PRIMITIVES: &[&str] = &["boolean", "byte", "char", "short", "int", "long", "float", "double"];
/// First words of package names that are not also names of variables.
const PACKAGE_ROOTS: &[&str] = &["java", "javax", "groovy", "groovyx", "hudson", "jenkins", "org", "com", "io", "net"];

/// The primitive type of a name.
pub(crate) fn primitive(name: &str) -> Option<&'static str> {
    PRIMITIVES.iter().find(|p| **p == name).copied()
}

impl Names {
    pub(super) fn of(script: &Script, index: Rc<ClassIndex>) -> Names {
        let package = script.package.as_ref().map(|(package, _)| package.clone());
        let methods = script.methods.iter().map(|method| method.name.clone()).collect();
        let mut names = Names { index, package, methods, ..Names::default() };
        let own = script.classes.iter().map(|class| names.full(&class.name)).collect();
        for import in &script.imports {
            names.import(import, &own);
        }
        for class in &script.classes {
            names.declare(class, None);
            names.add_own(class);
        }
        names
    }

    /// The full name of a class that stands at the top level of the script.
    pub(super) fn full(&self, simple: &Text) -> Text {
        match &self.package {
            Some(package) => format!("{package}.{simple}").into(),
            None => simple.clone(),
        }
    }

    /// `own`: classes at the top level of this file.
    fn import(&mut self, import: &Import, own: &HashSet<Text>) {
        let simple = |path: &Text| -> Text { path.rsplit('.').next().unwrap_or(path).into() };
        match (import.is_static, import.star) {
            (true, false) => {
                if let Some((class, member)) = import.path.rsplit_once('.') {
                    let local = import.alias.clone().unwrap_or_else(|| member.into());
                    let class = self.imported_class(class, own);
                    self.statics.insert(local, (class, member.into()));
                }
            }
            (false, false) => {
                let local = import.alias.clone().unwrap_or_else(|| simple(&import.path));
                let path = self.imported_class(&import.path, own);
                self.known.insert(local, path);
            }
            (false, true) => self.stars.push(import.path.clone()),
            (true, true) => self.static_stars.push(self.imported_class(&import.path, own)),
        }
    }

    /// The full name of a class that an import names, which may be within one of this file or of a library.
    fn imported_class(&self, path: &str, own: &HashSet<Text>) -> Text {
        let is_class = |name: &str| self.index.has(name) || own.contains(name);
        let mut outer = path;
        while !is_class(outer) {
            match outer.rsplit_once('.') {
                Some((rest, _)) => outer = rest,
                None => return path.into(),
            }
        }
        format!("{outer}{}", path[outer.len()..].replace('.', "$")).into()
    }

    fn add_own(&mut self, class: &Class) {
        if self.static_stars.is_empty() && self.statics.is_empty() {
            return;
        }
        self.own.add_class(class, &self.full(&class.name));
    }

    pub(super) fn declare(&mut self, class: &Class, outer: Option<&Text>) {
        let full: Text = match outer {
            Some(outer) => format!("{outer}${}", class.name).into(),
            None => self.full(&class.name),
        };
        self.known.insert(class.name.clone(), full.clone());
        if !self.static_stars.is_empty() || !self.statics.is_empty() {
            self.members.add(class, &full);
        }
        self.type_params.extend(class.type_params.iter().cloned());
        for inner in &class.classes {
            self.declare(inner, Some(&full));
        }
    }

    /// The class and the member that a name without a class stands for, in the code of a class `within`: what that has itself goes first.
    pub(super) fn static_import(&self, name: &str, within: Option<&Text>) -> Option<(Text, Text)> {
        let is_own = || within.is_some_and(|class| self.members.has_property(class, name, |ty| self.class(&ty.name)));
        self.imported(name, None, within).filter(|_| !is_own())
    }

    /// The same of a method that is called; closures look at what is imported first.
    ///
    /// Source: `StaticImportVisitor`.
    pub(super) fn static_import_of_call(
        &self,
        name: &str,
        args: &[Arg],
        within: Option<&Text>,
        in_closure: bool,
    ) -> Option<(Text, Text)> {
        let is_named = |arg: &Arg| matches!(arg, Arg::Named(..) | Arg::SpreadMap(_));
        let count = args.iter().filter(|arg| !is_named(arg)).count() + usize::from(args.iter().any(is_named));
        let has = |class| self.members.has_method(class, name, args);
        let known = Some(count).filter(|_| !args.iter().any(|arg| matches!(arg, Arg::Spread(_))));
        self.imported(name, known, within).filter(|_| in_closure || !within.is_some_and(has))
    }

    fn imported(&self, name: &str, count: Option<usize>, within: Option<&Text>) -> Option<(Text, Text)> {
        let starred = || {
            let has = |class: &&Text| {
                self.index.has_static(class, name, count)
                    || super::static_members(class).contains(&name)
                    || within != Some(*class) && self.own.has_static(class, name, count)
            };
            let class = self.static_stars.iter().find(has).filter(|_| !self.methods.contains(name))?;
            Some((class.clone(), name.into()))
        };
        // A method of the script takes what a class of the file does not.
        let takes = |(class, member): &&(Text, Text)| {
            !self.methods.contains(name) || !self.own.has(class) || self.own.has_static(class, member, count)
        };
        self.statics.get(name).filter(takes).cloned().or_else(starred)
    }

    /// Full name of a class, where the script can know it.
    pub(super) fn class(&self, name: &str) -> Option<Text> {
        if let Some(full) = self.known.get(name) {
            return Some(full.clone());
        }
        if name.contains('.') {
            return self.dotted(name);
        }
        if let Some(package) = &self.package {
            let full = format!("{package}.{name}");
            if self.index.has(&full) {
                return Some(full.into());
            }
        }
        // What the script imports of libraries goes before what everybody has.
        let of_library = |package: &Text| Some(format!("{package}.{name}")).filter(|full| self.index.has(full));
        if let Some(full) = self.stars.iter().find_map(of_library) {
            return Some(full.into());
        }
        if let Some(full) = default_import(name) {
            return Some(full.into());
        }
        let starred = |package: &Text| {
            let full = format!("{package}.{name}");
            crate::value::is_known_class(&full).then(|| full.into())
        };
        self.stars.iter().find_map(starred)
    }

    fn dotted(&self, name: &str) -> Option<Text> {
        let (head, rest) = name.split_once('.')?;
        if let Some(outer) = self.class(head) {
            return Some(format!("{outer}${}", rest.replace('.', "$")).into());
        }
        // What is within a class of Java: `java.util.Map.Entry`.
        let first = |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase());
        let packages = name.split('.').take_while(|part| !first(part)).map(|part| part.len() + 1).sum::<usize>();
        match name.get(packages..) {
            Some(classes) => Some(format!("{}{}", &name[..packages], classes.replace('.', "$")).into()),
            None => Some(name.into()),
        }
    }

    pub(super) fn ty(&self, ty: &TypeRef) -> Type {
        let mut out = match &*ty.name {
            "def" | "Object" | "java.lang.Object" | "?" | "void" | "var" => Type::Any,
            name if self.type_params.contains(name) => Type::Any,
            // A lone capital letter that nothing declares is a type parameter of the method.
            name if name.len() == 1 && !self.known.contains_key(name) => Type::Any,
            name => match primitive(name) {
                Some(primitive) => Type::Primitive(primitive),
                None => Type::Class(self.class(name).unwrap_or_else(|| ty.name.clone())),
            },
        };
        for _ in 0..ty.dimensions {
            out = Type::Array(Box::new(out));
        }
        out
    }

    /// The class that a dotted expression like `java.util.UUID` names.
    pub(super) fn class_path(&self, expr: &Expr) -> Option<Text> {
        let mut parts: Vec<&str> = Vec::new();
        let mut next = expr;
        loop {
            match &*next.kind {
                ExprKind::Property { object, member: Member::Name(name, _), attribute: false, .. } => {
                    parts.push(name);
                    next = object;
                }
                ExprKind::Name(name) => {
                    parts.push(name);
                    break;
                }
                _ => return None,
            }
        }
        parts.reverse();
        let is_class = |s: &str| s.starts_with(|c: char| c.is_ascii_uppercase());
        let (last, packages) = parts.split_last()?;
        let package = !packages.is_empty() && packages.iter().all(|p| !is_class(p));
        if !package || !is_class(last) {
            return None;
        }
        let path = parts.join(".");
        (PACKAGE_ROOTS.contains(&parts[0]) || self.index.has(&path)).then(|| path.into())
    }
}
