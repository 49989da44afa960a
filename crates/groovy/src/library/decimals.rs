//! What `BigDecimal` has of Java: scales, quotients that are rounded, and contexts (`MathContext`).

use std::rc::Rc;

use num_bigint::BigInt;

use super::numbers::{digits, parse_decimal};
use super::{Answer, convert, enums, int, yes};
use crate::machine::{Ctx, Fault, LimitKind};
use crate::value::decimal::{Inexact, Rounding};
use crate::value::{Class, Decimal, Str, Value, is_number, to_decimal};

/// The constants of `RoundingMode`, where each is at its number.
const WAYS: [(&str, Option<Rounding>); 8] = [
    ("UP", Some(Rounding::Up)),
    ("DOWN", Some(Rounding::Down)),
    ("CEILING", Some(Rounding::Ceiling)),
    ("FLOOR", Some(Rounding::Floor)),
    ("HALF_UP", Some(Rounding::HalfUp)),
    ("HALF_DOWN", Some(Rounding::HalfDown)),
    ("HALF_EVEN", Some(Rounding::HalfEven)),
    ("UNNECESSARY", None),
];

/// `BigDecimal.ROUND_HALF_UP`
pub(super) fn number_of(constant: &str) -> Option<i32> {
    let name = constant.strip_prefix("ROUND_")?;
    WAYS.iter().position(|(n, _)| *n == name).map(|at| at as i32)
}

/// The way to round of a name; there is none where nothing may be lost.
pub(super) fn way_of(name: &str) -> Option<Option<Rounding>> {
    WAYS.iter().find(|(n, _)| *n == name).map(|(_, way)| *way)
}

/// The name of a constant of `RoundingMode`.
pub(super) fn name_of(value: &Value) -> Option<Str> {
    match value {
        Value::Object(o) if &*o.class.name == "java.math.RoundingMode" => match o.field("$name") {
            Some(Value::Str(name)) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The constant of `RoundingMode` of a name.
pub(super) fn constant(ctx: &mut Ctx<'_>, name: &Str) -> Result<Value, Fault> {
    match ctx.world.class("java.math.RoundingMode") {
        Some(class) => enums::named(ctx, &class, &Value::Str(name.clone())),
        None => Ok(Value::Null),
    }
}

/// The way to round that an argument is, as a constant or as its number; `None`: it is something else.
fn way(ctx: &Ctx<'_>, value: &Value) -> Result<Option<Option<Rounding>>, Fault> {
    match (name_of(value), value) {
        (Some(name), _) => Ok(way_of(&name)),
        (None, Value::Int(n)) => match usize::try_from(*n).ok().and_then(|n| WAYS.get(n)) {
            Some((_, way)) => Ok(Some(*way)),
            None => Err(ctx.world.illegal("Invalid rounding mode")),
        },
        _ => Ok(None),
    }
}

/// The number of digits and the way to round of a `MathContext`.
fn context(value: &Value) -> Option<(u64, Option<Rounding>)> {
    let Value::Object(o) = value else { return None };
    if &*o.class.name != "java.math.MathContext" {
        return None;
    }
    let digits = o.field("precision")?.as_i64()?;
    Some((u64::try_from(digits).ok()?, way_of(&name_of(&o.field("roundingMode")?)?)?))
}

/// An argument as a decimal, as Groovy makes one of any number.
fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Double(n) => Decimal::exactly(*n),
        Value::Float(n) => Decimal::exactly(f64::from(*n)),
        Value::Char(_) => None,
        other => to_decimal(other).filter(|_| is_number(other)),
    }
}

fn answer(ctx: &Ctx<'_>, result: Result<Decimal, Inexact>) -> Answer {
    match result {
        Ok(number) => yes(Value::decimal(number)),
        Err(Inexact::Digits) => Err(Fault::Limit(LimitKind::Digits)),
        Err(Inexact::Rounding) => Err(arithmetic(ctx, "Rounding necessary")),
    }
}

fn arithmetic(ctx: &Ctx<'_>, message: &str) -> Fault {
    ctx.fail("java.lang.ArithmeticException", message)
}

pub(super) fn method(ctx: &mut Ctx<'_>, d: &Decimal, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("divide" | "divideToIntegralValue" | "remainder" | "divideAndRemainder", [Value::Null, ..]) => {
            Err(ctx.world.null_pointer("Cannot invoke \"java.math.BigDecimal.signum()\" because \"divisor\" is null"))
        }
        ("divide", [other, how @ ..]) => match decimal(other) {
            Some(other) => divide(ctx, d, &other, how),
            None => Ok(None),
        },
        ("divideToIntegralValue" | "remainder" | "divideAndRemainder", [other]) => match decimal(other) {
            Some(other) => whole(ctx, d, &other, name),
            None => Ok(None),
        },
        ("setScale", [places, rest @ ..]) => {
            let way = rest.first().map_or(Ok(Some(None)), |w| way(ctx, w))?;
            match (int(places), way, rest.len()) {
                (Some(places), Some(way), 0 | 1) => answer(ctx, d.at(places, way)),
                _ => Ok(None),
            }
        }
        ("scale", []) => yes(Value::Int(d.scale() as i32)),
        ("precision", []) => yes(Value::Int(d.precision() as i32)),
        ("signum", []) => yes(Value::Int(d.signum())),
        ("stripTrailingZeros", []) => yes(Value::decimal(d.strip_trailing_zeros())),
        ("toPlainString", []) => yes(digits(d.plain())?),
        ("toEngineeringString", []) => yes(engineering(d)),
        ("unscaledValue", []) => yes(Value::big(d.unscaled().clone())),
        ("ulp", []) => yes(Value::decimal(Decimal::new(BigInt::from(1), d.scale()))),
        ("movePointLeft" | "movePointRight" | "scaleByPowerOfTen", [places]) => {
            let Some(places) = int(places) else { return Ok(None) };
            let places = if name == "movePointLeft" { places } else { -places };
            let moved = digits(d.moved(places))?;
            let spread = name != "scaleByPowerOfTen" && places != 0 && moved.scale() < 0;
            answer(ctx, if spread { moved.at(0, None) } else { Ok(moved) })
        }
        ("intValueExact" | "longValueExact" | "toBigIntegerExact", []) => {
            let Some(Value::Decimal(whole)) = answer(ctx, d.at(0, None))? else { return Ok(None) };
            let whole = whole.unscaled();
            match (name, i32::try_from(whole), i64::try_from(whole)) {
                ("toBigIntegerExact", ..) => yes(Value::big(whole.clone())),
                ("intValueExact", Ok(n), _) => yes(Value::Int(n)),
                ("longValueExact", _, Ok(n)) => yes(Value::Long(n)),
                _ => Err(arithmetic(ctx, "Overflow")),
            }
        }
        ("negate", []) => yes(Value::decimal(d.negate())),
        ("pow", [Value::Int(n)]) if !(0..=999_999_999).contains(n) => Err(arithmetic(ctx, "Invalid operation")),
        ("plus", []) => yes(Value::decimal(d.clone())),
        ("add" | "subtract" | "multiply", [other]) => match decimal(other) {
            Some(other) => {
                let (n, m) = (d.precision() as usize, other.precision() as usize);
                ctx.pay((n + m) / 4 + n * m / 65_536)?;
                yes(Value::decimal(digits(combined(d, name, &other))?))
            }
            None => Ok(None),
        },
        (_, [.., last]) if context(last).is_some() => in_context(ctx, d, name, args),
        ("round", [Value::Null]) => {
            Err(ctx.world.null_pointer("Cannot read field \"precision\" because \"mc\" is null"))
        }
        _ => Ok(None),
    }
}

fn combined(d: &Decimal, name: &str, other: &Decimal) -> Result<Decimal, crate::value::decimal::TooManyDigits> {
    match name {
        "add" => d.add(other),
        "subtract" => d.subtract(other),
        _ => d.multiply(other),
    }
}

/// Methods whose last argument is a `MathContext`.
fn in_context(ctx: &mut Ctx<'_>, d: &Decimal, name: &str, args: &[Value]) -> Answer {
    let Some((most, way)) = args.last().and_then(context) else { return Ok(None) };
    let result = match (name, args) {
        ("round" | "plus", [_]) => d.round(most, way),
        ("negate", [_]) => d.negate().round(most, way),
        ("abs", [_]) if d.signum() < 0 => d.negate().round(most, way),
        ("abs", [_]) => d.round(most, way),
        ("pow", [Value::Int(n), _]) if most > 0 => {
            ctx.pay(usize::try_from(most.saturating_mul(most) / 1024).unwrap_or(usize::MAX))?;
            match d.pow_to(*n, most, way) {
                Ok(None) => return Err(arithmetic(ctx, "Invalid operation")),
                Ok(Some(number)) => Ok(number),
                Err(inexact) => Err(inexact),
            }
        }
        ("add" | "subtract" | "multiply" | "pow", [other, _]) => {
            match method(ctx, d, name, std::slice::from_ref(other))? {
                Some(Value::Decimal(exact)) => exact.round(most, way),
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    answer(ctx, result)
}

/// `divide` with what else it is given: nothing, a way to round, a scale and one, or a context.
fn divide(ctx: &mut Ctx<'_>, d: &Decimal, other: &Decimal, how: &[Value]) -> Answer {
    let (a, b) = (d.precision() as usize, other.precision() as usize);
    ctx.pay((a + b) / 4 + a * b / 64)?;
    let limit = how.last().and_then(context);
    match (how, limit) {
        ([], _) | ([_], Some((0, _))) => {
            not_by_zero(ctx, d, other)?;
            let exact = digits(d.divide_exact(other))?;
            let endless = "Non-terminating decimal expansion; no exact representable decimal result.";
            exact.map(|n| Some(Value::decimal(n))).ok_or_else(|| arithmetic(ctx, endless))
        }
        ([_], Some((most, way))) => {
            not_by_zero(ctx, d, other)?;
            ctx.pay(usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(b) / 64)?;
            answer(ctx, d.divide_to(other, most, way))
        }
        ([mode] | [_, mode], None) => {
            let scale = if how.len() == 1 { Some(d.scale()) } else { int(&how[0]) };
            let (Some(scale), Some(way)) = (scale, way(ctx, mode)?) else { return Ok(None) };
            if other.signum() == 0 {
                // Java looks at no divisor here: it divides.
                let small = i64::try_from(d.unscaled()).is_ok();
                return Err(arithmetic(ctx, if small { "/ by zero" } else { "BigInteger divide by zero" }));
            }
            ctx.pay(usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX).saturating_mul(b) / 64)?;
            answer(ctx, d.divide_at(other, scale, way))
        }
        _ => Ok(None),
    }
}

fn not_by_zero(ctx: &Ctx<'_>, d: &Decimal, other: &Decimal) -> Result<(), Fault> {
    match (other.signum(), d.signum()) {
        (0, 0) => Err(arithmetic(ctx, "Division undefined")),
        (0, _) => Err(arithmetic(ctx, "Division by zero")),
        _ => Ok(()),
    }
}

/// The whole quotient, and what is left.
fn whole(ctx: &mut Ctx<'_>, d: &Decimal, other: &Decimal, name: &str) -> Answer {
    not_by_zero(ctx, d, other)?;
    let (a, b) = (d.precision() as usize, other.precision() as usize);
    ctx.pay((a + b) / 4 + a * b / 64)?;
    let quotient = digits(d.divide_whole(other))?;
    let rest = digits(quotient.multiply(other).and_then(|whole| d.subtract(&whole)))?;
    yes(match name {
        "remainder" => Value::decimal(rest),
        "divideAndRemainder" => {
            Value::array(vec![Value::decimal(quotient), Value::decimal(rest)], "java.math.BigDecimal")
        }
        _ => Value::decimal(quotient),
    })
}

/// `new BigDecimal(source, …)` with a context, or a scale for a whole number.
pub(super) fn construct(ctx: &mut Ctx<'_>, class: &Rc<Class>, source: &Value, how: &[Value]) -> Answer {
    let number = match (how, source) {
        ([scale, ..], _) if int(scale).is_some() => match super::numbers::to_big(source) {
            Some(unscaled) => Decimal::new(unscaled, int(scale).unwrap_or(0)),
            None => return Ok(None),
        },
        (_, Value::Double(_) | Value::Float(_)) => match decimal(source) {
            Some(number) => number,
            None => return convert::to_type(ctx, source, &class.name, true),
        },
        (_, source) if source.is_text() => parse_decimal(ctx, &ctx.text(source)?)?,
        _ => match decimal(source) {
            Some(number) => number,
            None => return Ok(None),
        },
    };
    match how.last().map(|last| (context(last), how.len())) {
        Some((Some((most, way)), _)) => answer(ctx, number.round(most, way)),
        Some((None, 1)) if int(&how[0]).is_some() => yes(Value::decimal(number)),
        _ => Ok(None),
    }
}

/// `toEngineeringString()`: an exponent that is a multiple of three.
fn engineering(d: &Decimal) -> String {
    let text = d.to_string();
    let Some((_, exponent)) = text.split_once('E') else { return text };
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let sign = if d.signum() < 0 { "-" } else { "" };
    let mut digits = d.unscaled().magnitude().to_string();
    let (mut whole, mut exponent) = (exponent.rem_euclid(3) as usize + 1, exponent - exponent.rem_euclid(3));
    if d.signum() == 0 && whole > 1 {
        // Of zero nothing stands before the point.
        exponent += 3;
        digits = "0".repeat(5 - whole);
        whole = 1;
    }
    while digits.len() < whole {
        digits.push('0');
    }
    let point = if digits.len() > whole { "." } else { "" };
    let exponent = if exponent == 0 { String::new() } else { format!("E{exponent:+}") };
    format!("{sign}{}{point}{}{exponent}", &digits[..whole], &digits[whole..])
}
