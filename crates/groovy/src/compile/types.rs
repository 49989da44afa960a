//! Names of types and classes as the script's imports and declarations resolve them.

use std::collections::{HashMap, HashSet};

use super::function::Type;
use crate::ast::{Class, Expr, ExprKind, Import, Member, Script, Text, TypeRef};
use crate::value::default_import;

/// What class names mean in one script.
#[derive(Debug, Default)]
pub(super) struct Names {
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

impl Names {
    pub(super) fn of(script: &Script) -> Names {
        let mut names = Names::default();
        for import in &script.imports {
            names.import(import);
        }
        for class in &script.classes {
            names.declare(class, None);
        }
        names
    }

    fn import(&mut self, import: &Import) {
        let simple = |path: &Text| -> Text { path.rsplit('.').next().unwrap_or(path).into() };
        match (import.is_static, import.star) {
            (true, false) => {
                if let Some((class, member)) = import.path.rsplit_once('.') {
                    let local = import.alias.clone().unwrap_or_else(|| member.into());
                    self.statics.insert(local, (class.into(), member.into()));
                }
            }
            (false, false) => {
                let local = import.alias.clone().unwrap_or_else(|| simple(&import.path));
                self.known.insert(local, import.path.clone());
            }
            (false, true) => self.stars.push(import.path.clone()),
            (true, true) => {}
        }
    }

    pub(super) fn declare(&mut self, class: &Class, outer: Option<&Text>) {
        let full: Text = match outer {
            Some(outer) => format!("{outer}${}", class.name).into(),
            None => class.name.clone(),
        };
        self.known.insert(class.name.clone(), full.clone());
        self.type_params.extend(class.type_params.iter().cloned());
        for inner in &class.classes {
            self.declare(inner, Some(&full));
        }
    }

    pub(super) fn static_import(&self, name: &str) -> Option<&(Text, Text)> {
        self.statics.get(name)
    }

    /// Full name of a class, where the script can know it.
    pub(super) fn class(&self, name: &str) -> Option<Text> {
        if let Some(full) = self.known.get(name) {
            return Some(full.clone());
        }
        if name.contains('.') {
            return self.dotted(name);
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
        Some(name.into())
    }

    pub(super) fn ty(&self, ty: &TypeRef) -> Type {
        let mut out = match &*ty.name {
            "def" | "Object" | "java.lang.Object" | "?" | "void" | "var" => Type::Any,
            name if self.type_params.contains(name) => Type::Any,
            // A lone capital letter that nothing declares is a type parameter of the method.
            name if name.len() == 1 && !self.known.contains_key(name) => Type::Any,
            name => match PRIMITIVES.iter().find(|p| **p == name) {
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
        (package && is_class(last) && PACKAGE_ROOTS.contains(&parts[0])).then(|| parts.join(".").into())
    }
}
