//! Calls to names, and the closures that they stand in.

use groovy::ast::{Arg, Text};
use groovy::span::Span;

/// A call to a name.
pub(super) struct NameCall<'a> {
    /// The name.
    pub name: Text,
    /// Where the name stands.
    pub span: Span,
    /// Its arguments; none for a step that only stands for the class that was named.
    pub args: &'a [Arg],
    /// `steps.name(…)`: a step, where `steps` is not something else.
    pub of_steps: bool,
    /// It names a credential: what shares its name with a step may be a binding of `withCredentials`.
    pub of_credential: bool,
    /// It is written so; else it is the step that a class stands for (`step([$class: 'X'])`).
    pub is_written: bool,
    /// What it stands in.
    pub within: Within,
}

impl<'a> NameCall<'a> {
    /// A call as it is written.
    pub(super) fn new(name: Text, span: Span, args: &'a [Arg], within: Within) -> Self {
        NameCall { name, span, args, of_steps: false, of_credential: false, is_written: true, within }
    }
}

/// The closures around a place, as far as they may run with another object's methods: then a name may be one of those.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Within {
    /// A closure given to a method of some object.
    pub foreign: bool,
    /// A closure given to a call of a name: the index of that call in [`super::walk::Facts::calls`].
    pub call: Option<usize>,
    /// A closure, of whatever.
    pub in_closure: bool,
    /// What a trigger or an option of a plugin is given, which nobody here looks at: names in it are that plugin's.
    pub described: bool,
}

impl Within {
    pub(super) const FOREIGN: Within = Within { foreign: true, call: None, in_closure: true, described: false };
}
