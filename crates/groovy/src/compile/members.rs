//! What the classes of a file have by its name alone, where an import of static members has the same.

use std::collections::{HashMap, HashSet};

use super::class::property_of;
use crate::ast::{Arg, Class, Constant, ExprKind, Method, Text, TypeRef};

/// Superclasses that are looked through: more than anybody writes.
const ABOVE_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Members {
    classes: HashMap<Text, Own>,
}

#[derive(Debug)]
struct Own {
    extends: Option<TypeRef>,
    properties: HashSet<Text>,
    /// Name → the types of the parameters of each method of that name.
    methods: HashMap<Text, Vec<Vec<Text>>>,
}

impl Members {
    pub(super) fn add(&mut self, class: &Class, full: &Text) {
        let fields = class.fields.iter().map(|f| f.name.clone()).chain(class.constants.iter().map(|c| c.name.clone()));
        let mut methods: HashMap<Text, Vec<Vec<Text>>> = HashMap::new();
        for method in &class.methods {
            let types = method.params.iter().map(|p| p.ty.as_ref().map_or_else(|| "".into(), |ty| ty.name.clone()));
            methods.entry(method.name.clone()).or_default().push(types.collect());
        }
        let properties = fields.chain(class.methods.iter().filter_map(|m| of_getter(m))).collect();
        let own = Own { extends: class.extends.first().cloned(), properties, methods };
        self.classes.insert(full.clone(), own);
    }

    /// Whether a class of the file has a method whose parameters have the very types of the arguments, as they are written. What is above it
    /// does not count, nor does a type above another.
    ///
    /// Source: `ClassNode.tryFindPossibleMethod`.
    pub(super) fn has_method(&self, class: &Text, name: &str, args: &[Arg]) -> bool {
        let takes = |types: &Vec<Text>| {
            types.len() == args.len() && types.iter().zip(args).all(|(ty, arg)| written_type(arg) == Some(&**ty))
        };
        self.classes.get(class).and_then(|own| own.methods.get(name)).is_some_and(|all| all.iter().any(takes))
    }

    /// Whether a class of the file, one above it or one around it has a field or a getter of a name.
    ///
    /// Source: `VariableScopeVisitor.findClassMember`.
    pub(super) fn has_property(&self, class: &Text, name: &str, full: impl Fn(&TypeRef) -> Option<Text>) -> bool {
        // Classes without a name are not in the list: `A$1`.
        let mut around = std::iter::successors(Some(&**class), |class| Some(class.rsplit_once('$')?.0)).take(ABOVE_MAX);
        around.any(|class| self.above(class, &full).any(|own| own.properties.contains(name)))
    }

    fn above(&self, class: &str, full: impl Fn(&TypeRef) -> Option<Text>) -> impl Iterator<Item = &Own> {
        let next = move |own: &&Own| self.classes.get(&full(own.extends.as_ref()?)?);
        std::iter::successors(self.classes.get(class), next).take(ABOVE_MAX)
    }
}

fn of_getter(method: &Method) -> Option<Text> {
    let rest = method.name.strip_prefix("get").or_else(|| method.name.strip_prefix("is"))?;
    property_of(rest).filter(|_| method.params.is_empty())
}

/// The type of an argument that is a constant.
fn written_type(arg: &Arg) -> Option<&'static str> {
    let Arg::Positional(value) = arg else { return None };
    match &*value.kind {
        ExprKind::Constant(Constant::Str(_)) => Some("String"),
        // One with a sign is an expression.
        ExprKind::Constant(Constant::Int(n)) if *n >= 0 => Some("int"),
        _ => None,
    }
}
