//! What an operator may set, and what is refused.

use std::collections::BTreeMap;

use super::event::Shape;

/// Most shapes that a pool keeps in mind. A pipeline may name any image, so a stranger can make up shapes; each costs
/// some hundred bytes here and a look at every event. No host runs so many kinds of jobs within a few half-lives.
pub const MAX_SHAPES: usize = 256;
/// Most members that may be in the making at once. Each is one command of a single decision.
pub const MAX_AT_ONCE: u32 = 1024;

/// How large a pool may and should be. Checked by [`super::Pool::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings<S: Shape> {
    /// Shapes with bounds of their own.
    pub shapes: BTreeMap<S, Bounds>,
    /// Most members, ready and in the making, of any other shape; its floor is 0.
    pub ceiling_of_others: u32,
    /// Most members, ready and in the making, of all shapes together.
    pub ceiling: u32,
    /// Most that they may cost together, in bytes of [`Shape::cost_bytes`].
    pub budget_bytes: u64,
    /// How demand becomes a number of members.
    pub demand: DemandSettings,
    /// A member that was made so long ago is destroyed, in milliseconds; at least 1.
    pub max_age_ms: u64,
    /// Most members in the making at once, of all shapes; from 1 to [`MAX_AT_ONCE`].
    pub at_once: u32,
    /// How long a shape that cannot be made is left alone.
    pub backoff: BackoffSettings,
}

/// How many members of one shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Kept always, whatever the demand.
    pub floor: u32,
    /// Most, ready and in the making.
    pub ceiling: u32,
}

/// How demand becomes a number of members: `factor × (waiting + claims per ms × ms to make one)`, rounded up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DemandSettings {
    /// Members per unit of demand. Above 1 leaves a reserve for bursts; 0 keeps nothing but floors.
    pub factor: f64,
    /// Demand that is not seen again counts half after so many milliseconds; at least 1.
    pub half_life_ms: u64,
    /// How long making a member is taken to last, in milliseconds, until one was made.
    pub first_make_ms: u64,
}

/// How long a shape that cannot be made is left alone: doubling with each failure in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffSettings {
    /// After the first failure, in milliseconds; at least 1.
    pub first_ms: u64,
    /// After any number of failures, in milliseconds; at least `first_ms`.
    pub longest_ms: u64,
}

impl<S: Shape> Default for PoolSettings<S> {
    fn default() -> Self {
        PoolSettings {
            shapes: BTreeMap::new(),
            ceiling_of_others: 8,
            ceiling: 32,
            budget_bytes: 1 << 30,
            demand: DemandSettings::default(),
            // Long enough to be made seldom, short enough that a new image, kernel or key is not waited for.
            max_age_ms: 30 * 60 * 1000,
            // More would take the processors from the runs that the pool is there for.
            at_once: 2,
            backoff: BackoffSettings::default(),
        }
    }
}

impl Default for DemandSettings {
    fn default() -> Self {
        // Half-life: the time between two pushes of somebody at work.
        DemandSettings { factor: 1.5, half_life_ms: 5 * 60 * 1000, first_make_ms: 100 }
    }
}

impl Default for BackoffSettings {
    fn default() -> Self {
        BackoffSettings { first_ms: 1000, longest_ms: 5 * 60 * 1000 }
    }
}

/// Why settings are refused. Fields are named as they are written: `demand.factor`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Not a number to count with.
    #[error("{field} is {value}, but must be a finite number of at least 0")]
    NotFinite {
        /// Which.
        field: &'static str,
        /// As given.
        value: f64,
    },
    /// Zero, where zero would mean that nothing works.
    #[error("{field} is 0, but must be at least 1")]
    Zero {
        /// Which.
        field: &'static str,
    },
    /// More than something else allows.
    #[error("{field} is {value}, but {bound} allows {most}")]
    Above {
        /// Which.
        field: String,
        /// Its value.
        value: u64,
        /// The field or constant that it goes beyond.
        bound: String,
        /// The value of that.
        most: u64,
    },
}

impl<S: Shape> PoolSettings<S> {
    /// The bounds of a shape.
    pub(super) fn bounds(&self, shape: &S) -> Bounds {
        self.shapes.get(shape).copied().unwrap_or(Bounds { floor: 0, ceiling: self.ceiling_of_others })
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let factor = self.demand.factor;
        if !factor.is_finite() || factor < 0.0 {
            return Err(SettingsError::NotFinite { field: "demand.factor", value: factor });
        }
        for (field, value) in [
            ("demand.half_life_ms", self.demand.half_life_ms),
            ("max_age_ms", self.max_age_ms),
            ("at_once", self.at_once.into()),
            ("backoff.first_ms", self.backoff.first_ms),
        ] {
            if value == 0 {
                return Err(SettingsError::Zero { field });
            }
        }
        at_most("backoff.first_ms", self.backoff.first_ms, "backoff.longest_ms", self.backoff.longest_ms)?;
        at_most("at_once", self.at_once.into(), "MAX_AT_ONCE", MAX_AT_ONCE.into())?;
        at_most("shapes", self.shapes.len() as u64, "MAX_SHAPES", MAX_SHAPES as u64)?;
        self.check_floors()
    }

    /// A floor is a promise: all of them must have room at once.
    fn check_floors(&self) -> Result<(), SettingsError> {
        let (mut members, mut bytes) = (0u64, 0u64);
        for (shape, bounds) in &self.shapes {
            let field = |name| format!("shapes[{shape:?}].{name}");
            at_most(&field("floor"), bounds.floor.into(), &field("ceiling"), bounds.ceiling.into())?;
            members = members.saturating_add(bounds.floor.into());
            bytes = bytes.saturating_add(shape.cost_bytes().saturating_mul(bounds.floor.into()));
        }
        at_most("sum of shapes[].floor", members, "ceiling", self.ceiling.into())?;
        at_most("cost of shapes[].floor", bytes, "budget_bytes", self.budget_bytes)
    }
}

fn at_most(field: &str, value: u64, bound: &str, most: u64) -> Result<(), SettingsError> {
    if value > most {
        return Err(SettingsError::Above { field: field.into(), value, bound: bound.into(), most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Gib(u64);

    impl Shape for Gib {
        fn cost_bytes(&self) -> u64 {
            self.0 << 30
        }
    }

    fn check(change: impl FnOnce(&mut PoolSettings<Gib>), expect: &str) {
        let mut settings = PoolSettings::default();
        change(&mut settings);
        let error = settings.check().err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(error, expect);
    }

    #[test]
    fn the_defaults_are_accepted_and_so_is_a_factor_of_0() {
        check(|_| (), "");
        check(|s| s.demand.factor = 0.0, "");
    }

    #[test]
    fn numbers_that_cannot_be_counted_with_are_refused() {
        let expect = |value| format!("demand.factor is {value}, but must be a finite number of at least 0");
        check(|s| s.demand.factor = f64::NAN, &expect("NaN"));
        check(|s| s.demand.factor = f64::INFINITY, &expect("inf"));
        check(|s| s.demand.factor = -0.5, &expect("-0.5"));
    }

    #[test]
    fn zero_is_refused_where_nothing_would_work() {
        check(|s| s.demand.half_life_ms = 0, "demand.half_life_ms is 0, but must be at least 1");
        check(|s| s.max_age_ms = 0, "max_age_ms is 0, but must be at least 1");
        check(|s| s.at_once = 0, "at_once is 0, but must be at least 1");
        check(|s| s.backoff.first_ms = 0, "backoff.first_ms is 0, but must be at least 1");
    }

    #[test]
    fn bounds_that_contradict_each_other_are_refused() {
        check(|s| s.at_once = 1025, "at_once is 1025, but MAX_AT_ONCE allows 1024");
        check(|s| s.backoff.longest_ms = 999, "backoff.first_ms is 1000, but backoff.longest_ms allows 999");
        check(
            |s| s.shapes = [(Gib(0), Bounds { floor: 3, ceiling: 2 })].into(),
            "shapes[Gib(0)].floor is 3, but shapes[Gib(0)].ceiling allows 2",
        );
        let many = (0..=MAX_SHAPES as u64).map(|n| (Gib(n), Bounds::default()));
        check(|s| s.shapes = many.collect(), "shapes is 257, but MAX_SHAPES allows 256");
    }

    #[test]
    fn floors_need_room_all_at_once() {
        let two = Bounds { floor: 2, ceiling: 2 };
        let shapes = || [(Gib(0), two), (Gib(1), two)].into();
        check(|s| (s.shapes, s.ceiling) = (shapes(), 3), "sum of shapes[].floor is 4, but ceiling allows 3");
        check(|s| s.shapes = shapes(), "cost of shapes[].floor is 2147483648, but budget_bytes allows 1073741824");
        check(|s| (s.shapes, s.ceiling, s.budget_bytes) = (shapes(), 4, 2 << 30), "");
        check(
            |s| s.shapes = [(Gib(u64::MAX >> 30), Bounds { floor: u32::MAX, ceiling: u32::MAX })].into(),
            "sum of shapes[].floor is 4294967295, but ceiling allows 32",
        );
    }
}
