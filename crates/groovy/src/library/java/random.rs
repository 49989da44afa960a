//! Randomness, identities and the clock: `Random`, `UUID`, `System`. Java's generator, so that a seed gives what it gives
//! in Java; without a seed the host gives one, which makes the numbers repeatable and no secret.

use std::rc::Rc;

use super::{byte_array, bytes_of, digest, object, set};
use crate::library::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::text::padded;
use crate::value::{Class, Java, Object, Value};

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

/// Java's next bits of a state.
pub(crate) fn next_bits(state: &mut u64, bits: u32) -> i32 {
    *state = (state.wrapping_mul(MULTIPLIER) + 0xB) & MASK;
    (*state >> (48 - bits)) as i32
}

fn double(state: &mut u64) -> f64 {
    let (high, low) = (next_bits(state, 26) as u64, next_bits(state, 27) as u64);
    ((high << 27) + low) as f64 / (1u64 << 53) as f64
}

fn long(state: &mut u64) -> i64 {
    (i64::from(next_bits(state, 32)) << 32).wrapping_add(i64::from(next_bits(state, 32)))
}

/// `nextInt(bound)`
pub(crate) fn below(state: &mut u64, bound: i32) -> i32 {
    if bound & -bound == bound {
        return ((i64::from(bound) * i64::from(next_bits(state, 31))) >> 31) as i32;
    }
    loop {
        let bits = next_bits(state, 31);
        let value = bits % bound;
        // What would make some numbers likelier than others is drawn again.
        if bits.checked_sub(value).and_then(|n| n.checked_add(bound - 1)).is_some() {
            return value;
        }
    }
}

/// `Math.random()`
pub(crate) fn random_double(ctx: &mut Ctx<'_>) -> Answer {
    let mut state = ctx.random_seed("java.lang.Math.random")? & MASK;
    yes(Value::Double(double(&mut state)))
}

pub(super) fn construct(ctx: &mut Ctx<'_>, class: &Rc<Class>, args: &[Value]) -> Answer {
    match (&*class.name, args) {
        ("java.util.UUID", [high, low]) => {
            let half = |v: &Value| u128::from(int(v).unwrap_or(0) as u64);
            yes(object(ctx, &class.name, Java::Uuid(half(high) << 64 | half(low))))
        }
        ("java.util.Random" | "java.security.SecureRandom", _) => {
            let state = match args.first().and_then(int) {
                Some(seed) => (seed as u64 ^ MULTIPLIER) & MASK,
                None => ctx.random_seed(&format!("new {}", class.name))? & MASK,
            };
            yes(object(ctx, &class.name, Java::Random(state)))
        }
        _ => Ok(None),
    }
}

pub(super) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    match (&*class.name, name, args) {
        ("java.lang.System", "currentTimeMillis", []) => {
            ctx.now_ms("java.lang.System.currentTimeMillis").map(|ms| Some(Value::Long(ms)))
        }
        ("java.lang.System", "nanoTime", []) => {
            let ms = ctx.now_ms("java.lang.System.nanoTime")?;
            yes(Value::Long(ms.wrapping_mul(1_000_000)))
        }
        ("java.lang.System", "lineSeparator", []) => yes("\n"),
        ("java.lang.System", "identityHashCode", [value]) => {
            crate::library::objects::method(ctx, value, "hashCode", &[])
        }
        ("java.lang.System", "arraycopy", [Value::List(from), start, Value::List(to), at, count]) => {
            let [start, at, count] = [start, at, count].map(|n| int(n).and_then(|n| usize::try_from(n).ok()));
            let items = from.snapshot();
            let part = start.zip(count).and_then(|(s, n)| items.get(s..s.checked_add(n)?));
            let (Some(part), Some(at)) = (part, at.filter(|at| at + part.map_or(0, <[_]>::len) <= to.len())) else {
                let class = "java.lang.ArrayIndexOutOfBoundsException";
                return Err(ctx.fail(class, "arraycopy: last source or destination index is out of bounds"));
            };
            to.change(|items| items[at..at + part.len()].clone_from_slice(part));
            yes(Value::Null)
        }
        ("java.util.UUID", "randomUUID", []) => {
            let mut draw = || ctx.random_seed("java.util.UUID.randomUUID").map(u128::from);
            let bits = draw()? << 64 | draw()?;
            yes(object(ctx, &class.name, Java::Uuid(versioned(bits, 4))))
        }
        ("java.util.UUID", "nameUUIDFromBytes", [bytes]) => {
            let bytes = bytes_of(ctx, bytes)?;
            let sum = digest::of_bytes("MD5", &bytes).unwrap_or_default();
            let bits = sum.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
            yes(object(ctx, &class.name, Java::Uuid(versioned(bits, 3))))
        }
        ("java.util.UUID", "fromString", [text]) => {
            let text = ctx.text(text)?;
            let parts: Vec<&str> = text.split('-').collect();
            let widths = [8, 4, 4, 4, 12];
            let fits = parts.len() == 5 && parts.iter().zip(widths).all(|(p, w)| !p.is_empty() && p.len() <= w);
            let hex: String = parts.iter().zip(widths).map(|(p, w)| padded(p, w, '0')).collect();
            match u128::from_str_radix(&hex, 16) {
                Ok(id) if fits => yes(object(ctx, &class.name, Java::Uuid(id))),
                _ => Err(ctx.world.illegal(format!("Invalid UUID string: {text}"))),
            }
        }
        ("java.util.concurrent.ThreadLocalRandom", "current", []) => {
            let state = ctx.random_seed("java.util.concurrent.ThreadLocalRandom.current")? & MASK;
            yes(object(ctx, "java.util.Random", Java::Random(state)))
        }
        _ => Ok(None),
    }
}

/// Bits as an identity of that version.
fn versioned(bits: u128, version: u128) -> u128 {
    bits & !(0xF << 76) & !(0x3 << 62) | version << 76 | 0x2 << 62
}

pub(super) fn uuid_method(id: u128, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("getMostSignificantBits", []) => yes(Value::Long((id >> 64) as i64)),
        ("getLeastSignificantBits", []) => yes(Value::Long(id as i64)),
        ("version", []) => yes(Value::Int((id >> 76 & 0xF) as i32)),
        ("variant", []) => yes(Value::Int(2)),
        ("hashCode", []) => {
            let folded = (id >> 64) as u64 ^ id as u64;
            yes(Value::Int((folded ^ folded >> 32) as i32))
        }
        _ => Ok(None),
    }
}

fn bound(ctx: &Ctx<'_>, n: i64) -> Result<i32, Fault> {
    i32::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| ctx.world.illegal("bound must be positive"))
}

pub(super) fn method(ctx: &mut Ctx<'_>, o: &Rc<Object>, mut state: u64, name: &str, args: &[Value]) -> Answer {
    let value = match (name, args) {
        ("nextInt", []) => Value::Int(next_bits(&mut state, 32)),
        ("nextInt", [to]) => Value::Int(below(&mut state, bound(ctx, int(to).unwrap_or(0))?)),
        ("nextInt", [from, to]) => {
            let (from, to) = (int(from).unwrap_or(0), int(to).unwrap_or(0));
            let drawn = below(&mut state, bound(ctx, to.saturating_sub(from))?);
            Value::Int((from + i64::from(drawn)) as i32)
        }
        ("nextLong", []) => Value::Long(long(&mut state)),
        ("nextDouble", []) => Value::Double(double(&mut state)),
        ("nextFloat", []) => Value::Float(next_bits(&mut state, 24) as f32 / (1 << 24) as f32),
        ("nextBoolean", []) => Value::Bool(next_bits(&mut state, 1) != 0),
        ("nextBytes", [Value::List(into)]) => {
            let mut bytes = Vec::with_capacity(into.len());
            while bytes.len() < into.len() {
                bytes.extend(next_bits(&mut state, 32).to_le_bytes());
            }
            bytes.truncate(into.len());
            let fresh = byte_array(&bytes).items().unwrap_or_default();
            into.change(|items| items.clone_from_slice(&fresh));
            Value::Null
        }
        ("setSeed", [seed]) => {
            state = (int(seed).unwrap_or(0) as u64 ^ MULTIPLIER) & MASK;
            Value::Null
        }
        _ => return Ok(None),
    };
    set(o, Java::Random(state));
    yes(value)
}

/// The state that a `Random` has, or a new one.
pub(crate) fn state_of(ctx: &mut Ctx<'_>, random: Option<&Value>, what: &str) -> Result<u64, Fault> {
    match random.and_then(super::value_of) {
        Some(Java::Random(state)) => Ok(state),
        _ => Ok(ctx.random_seed(what)? & MASK),
    }
}

/// `Collections.shuffle(list)` and `shuffle(list, random)`: as Java does it, so that a seed gives Java's order.
pub(crate) fn shuffle(ctx: &mut Ctx<'_>, items: &mut [Value], random: Option<&Value>) -> Result<(), Fault> {
    let mut state = state_of(ctx, random, "java.util.Collections.shuffle")?;
    for i in (1..items.len()).rev() {
        items.swap(i, below(&mut state, i as i32 + 1) as usize);
    }
    if let Some(Value::Object(o)) = random {
        set(o, Java::Random(state));
    }
    Ok(())
}
