//! The signatures of a function. Parameters with defaults are left out from the right, and Groovy makes a method of its own of each
//! such list; a list that ends in an array takes any number of arguments, wherever that array stands in the declaration.

use std::ops::Range;

use super::bind::{UNFIT, given_params};
use super::overload::Argument;
use super::world::World;
use crate::compile::{Function, Parameter, Type};
use crate::value::{ListKind, Value};

/// Lists of parameters that end in an array, of one function, that are looked at: more than anybody writes.
const RESTS_MAX: usize = 16;

/// How the arguments of a call are laid out.
pub(super) struct Shape {
    /// The parameters that get arguments, by position.
    pub(super) given: Vec<usize>,
    /// Arguments from the last of them on go into its array.
    pub(super) into_array: bool,
}

impl Shape {
    /// The parameter that each argument is for, and whether the argument is an item of its array.
    pub(super) fn places<'f>(&self, params: &'f [Parameter], count: usize) -> impl Iterator<Item = &'f Type> {
        let fixed = self.given.len() - usize::from(self.into_array);
        let last = self.given.last().map(|at| &params[*at].ty);
        let types: Vec<&Type> = (0..count)
            .filter_map(|n| match last {
                Some(Type::Array(element)) if n >= fixed => Some(&**element),
                _ => self.given.get(n).map(|at| &params[*at].ty),
            })
            .collect();
        types.into_iter()
    }
}

fn is_array(ty: &Type) -> bool {
    matches!(ty, Type::Array(_))
}

/// Whether some list of its parameters ends in an array.
pub(super) fn takes_rest(function: &Function) -> bool {
    !function.plain_params && function.params.iter().any(|p| is_array(&p.ty))
}

/// Whether so many arguments may be for the parameters one by one, and how long the lists are that may end in an array for them.
fn lengths(function: &Function, count: usize) -> (bool, Range<usize>) {
    let params = &function.params;
    let required = params.iter().filter(|p| !p.has_default).count();
    let lengths = if takes_rest(function) { required.max(1)..(params.len() + 1).min(count + 2) } else { 0..0 };
    ((required..=params.len()).contains(&count), lengths)
}

/// What it costs to hold so many arguments against a function, in instructions: each argument is measured once for each shape. Depends on
/// nothing but the two.
pub(super) fn measuring(function: &Function, count: usize) -> usize {
    let (direct, lengths) = lengths(function, count);
    let shapes = usize::from(direct) + lengths.len().min(RESTS_MAX);
    let params = function.params.len() / 4;
    params + shapes * (count + params)
}

/// All that so many arguments may mean.
pub(super) fn shapes(function: &Function, count: usize) -> impl Iterator<Item = Shape> {
    let params = &function.params;
    let given = |n: usize| given_params(params, n).map(|(at, _)| at).collect::<Vec<usize>>();
    let (direct, lengths) = lengths(function, count);
    let direct = direct.then(|| Shape { given: given(count), into_array: false });
    let trailing = params.iter().rev().take_while(|p| p.has_default).count();
    let last = move |n: usize| params.len().checked_sub(1 + (params.len() - n).min(trailing));
    let ending = lengths.rev().filter(move |n| last(*n).is_some_and(|at| is_array(&params[at].ty)));
    let rest = ending.take(RESTS_MAX).map(move |n| Shape { given: given(n), into_array: true });
    direct.into_iter().chain(rest)
}

impl World {
    /// How far the arguments are from the parameters of a shape, as far as it tells whether they fit.
    pub(super) fn fit_shape(&self, function: &Function, shape: &Shape, args: &[Value]) -> u32 {
        let as_it_is = |last: &Value| match last {
            Value::List(list) => matches!(list.kind(), ListKind::JavaArray(_)),
            other => other.is_null(),
        };
        if shape.into_array && args.len() == shape.given.len() && args.last().is_some_and(as_it_is) {
            return UNFIT;
        }
        let places = shape.places(&function.params, args.len());
        let sum = places.zip(args).map(|(ty, arg)| self.distance(ty, arg)).fold(0u32, u32::saturating_add);
        let more = if shape.into_array { 1000 } else { function.params.len() - shape.given.len() };
        sum.saturating_add(more as u32)
    }

    /// The nearest of the shapes that fit, and its distance.
    pub(super) fn shape(&self, function: &Function, args: &[Value], classes: &[Argument]) -> Option<(i64, Shape)> {
        let fitting = shapes(function, args.len()).filter(|shape| self.fit_shape(function, shape, args) != UNFIT);
        fitting.map(|shape| (self.farness(function, &shape, classes), shape)).min_by_key(|(far, _)| *far)
    }
}
