//! Numbers: arithmetic with Java's overflow and Groovy's decimals, and the methods of numbers.

use num_bigint::BigInt;

use super::{Answer, big_integers, decimals, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault, LimitKind};
use crate::value::decimal::{DIGITS_MAX, Rounding, TooManyDigits};
use crate::value::{Decimal, Value, numeric_order, to_decimal, to_f64};

pub(crate) fn digits<T>(result: Result<T, TooManyDigits>) -> Result<T, Fault> {
    result.map_err(|TooManyDigits| Fault::Limit(LimitKind::Digits))
}

/// The smallest integral type of a big number is not chosen: Groovy keeps `BigInteger`.
pub(super) fn to_big(v: &Value) -> Option<BigInt> {
    match v {
        Value::BigInt(n) => Some((**n).clone()),
        Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::Char(_) => {
            v.as_i64().map(BigInt::from)
        }
        _ => None,
    }
}

fn is_floating(v: &Value) -> bool {
    matches!(v, Value::Float(_) | Value::Double(_))
}

/// A number as arithmetic takes it: there is none of bytes and shorts.
pub(super) fn widened(n: &Value) -> Value {
    match n {
        Value::Byte(n) => Value::Int(i32::from(*n)),
        Value::Short(n) => Value::Int(i32::from(*n)),
        other => other.clone(),
    }
}

/// `a op b` for two numbers.
pub(crate) fn arithmetic(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Answer {
    match op {
        BinaryOp::Pow => return power(ctx, a, b),
        BinaryOp::Div if !is_floating(a) && !is_floating(b) => return divide(ctx, a, b),
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight | BinaryOp::ShiftRightUnsigned => return shift(ctx, op, a, b),
        _ => {}
    }
    if is_floating(a) || is_floating(b) {
        return floating(op, a, b);
    }
    if matches!(a, Value::Decimal(_)) || matches!(b, Value::Decimal(_)) {
        return decimal(ctx, op, a, b);
    }
    if matches!(a, Value::BigInt(_)) || matches!(b, Value::BigInt(_)) {
        return big(ctx, op, a, b);
    }
    let (Some(x), Some(y)) = (a.as_i64(), b.as_i64()) else { return Ok(None) };
    if matches!(op, BinaryOp::Mod) && y == 0 {
        return Err(ctx.fail("java.lang.ArithmeticException", "/ by zero"));
    }
    let long = matches!(a, Value::Long(_)) || matches!(b, Value::Long(_));
    let result = match op {
        BinaryOp::Add => x.wrapping_add(y),
        BinaryOp::Sub => x.wrapping_sub(y),
        BinaryOp::Mul => x.wrapping_mul(y),
        BinaryOp::Mod => x.wrapping_rem(y),
        BinaryOp::BitAnd => x & y,
        BinaryOp::BitOr => x | y,
        BinaryOp::BitXor => x ^ y,
        _ => return Ok(None),
    };
    yes(if long { Value::Long(result) } else { Value::Int(result as i32) })
}

fn floating(op: BinaryOp, a: &Value, b: &Value) -> Answer {
    let (Some(x), Some(y)) = (to_f64(a), to_f64(b)) else { return Ok(None) };
    yes(Value::Double(match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div => x / y,
        BinaryOp::Mod => x % y,
        _ => return Ok(None),
    }))
}

fn decimal(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Answer {
    let (Some(x), Some(y)) = (to_decimal(a), to_decimal(b)) else { return Ok(None) };
    let (px, py) = (x.precision() as usize, y.precision() as usize);
    ctx.pay((px + py) / 4 + if op == BinaryOp::Mul { px * py / 65_536 } else { 0 })?;
    let result = match op {
        BinaryOp::Add => x.add(&y),
        BinaryOp::Sub => x.subtract(&y),
        BinaryOp::Mul => x.multiply(&y),
        BinaryOp::Mod => {
            let message = format!("Cannot use mod() on this number type: {} with value: {a}", a.type_name());
            return Err(ctx.fail("java.lang.UnsupportedOperationException", message));
        }
        _ => return Ok(None),
    };
    yes(Value::decimal(digits(result)?))
}

fn big(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Answer {
    let (Some(x), Some(y)) = (to_big(a), to_big(b)) else { return Ok(None) };
    let words = (x.bits() + y.bits()) as usize / 64;
    ctx.world.charge(words + words * words / 64);
    if x.bits() + y.bits() > DIGITS_MAX * 4 {
        return Err(Fault::Limit(LimitKind::Digits));
    }
    yes(Value::big(match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Mod if y == BigInt::ZERO => {
            return Err(ctx.fail("java.lang.ArithmeticException", "BigInteger: modulus not positive"));
        }
        BinaryOp::Mod if y.sign() == num_bigint::Sign::Minus => {
            return Err(ctx.fail("java.lang.ArithmeticException", "BigInteger: modulus not positive"));
        }
        // BigInteger's `mod` is never negative, unlike the remainder of smaller numbers.
        BinaryOp::Mod => ((x % &y) + &y) % y,
        BinaryOp::BitAnd => x & y,
        BinaryOp::BitOr => x | y,
        BinaryOp::BitXor => x ^ y,
        _ => return Ok(None),
    }))
}

fn divide(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Answer {
    let (Some(x), Some(y)) = (to_decimal(a), to_decimal(b)) else { return Ok(None) };
    if y.signum() == 0 {
        let word = if x.signum() == 0 { "undefined" } else { "by zero" };
        return Err(ctx.fail("java.lang.ArithmeticException", format!("Division {word}")));
    }
    ctx.world.charge((x.precision() * y.precision()) as usize / 64);
    yes(Value::decimal(digits(x.divide(&y))?))
}

fn shift(ctx: &mut Ctx<'_>, op: BinaryOp, a: &Value, b: &Value) -> Answer {
    let Some(n) = super::int(b) else { return Ok(None) };
    let a = &widened(a);
    yes(match (a, op) {
        (Value::Int(x), BinaryOp::ShiftLeft) => Value::Int(x.wrapping_shl(n as u32)),
        (Value::Int(x), BinaryOp::ShiftRight) => Value::Int(x.wrapping_shr(n as u32)),
        (Value::Int(x), _) => Value::Int((*x as u32).wrapping_shr(n as u32) as i32),
        (Value::Long(x), BinaryOp::ShiftLeft) => Value::Long(x.wrapping_shl(n as u32)),
        (Value::Long(x), BinaryOp::ShiftRight) => Value::Long(x.wrapping_shr(n as u32)),
        (Value::Long(x), _) => Value::Long((*x as u64).wrapping_shr(n as u32) as i64),
        (Value::BigInt(x), _) => {
            let left = (op == BinaryOp::ShiftLeft) == (n >= 0);
            let by = n.unsigned_abs();
            if left && by.saturating_add(x.bits()) > DIGITS_MAX * 4 {
                return Err(Fault::Limit(LimitKind::Digits));
            }
            ctx.world.charge((by.min(DIGITS_MAX * 4) + x.bits()) as usize / 64);
            let by = by.min(DIGITS_MAX * 4);
            Value::big(if left { &**x << by } else { &**x >> by })
        }
        _ => return Ok(None),
    })
}

/// `a ** b`
fn power(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> Answer {
    let whole = |v: &Value| matches!(v, Value::Int(_) | Value::Long(_) | Value::BigInt(_));
    // Only an exponent that is an Integer (or a BigInteger of one) keeps the result whole and exact.
    let exact = matches!(b, Value::Int(_)) || matches!((a, b), (Value::BigInt(_), Value::BigInt(_)));
    let exponent = b.as_i64().filter(|_| exact);
    match (a, exponent) {
        (_, Some(n)) if n >= 0 && whole(a) => {
            let Some(x) = to_big(a) else { return Ok(None) };
            let small = x == BigInt::ZERO || x == BigInt::from(1) || x == BigInt::from(-1);
            if !small && (x.bits().saturating_mul(n as u64) > DIGITS_MAX * 4 || n > i64::from(u32::MAX)) {
                return Err(Fault::Limit(LimitKind::Digits));
            }
            let n = if small { (n % 2 + 2 * i64::from(n > 1)) as u32 } else { n as u32 };
            ctx.world.charge((x.bits() as usize * n as usize / 64).pow(2) / 64);
            let result = x.pow(n);
            yes(match (a, i32::try_from(&result), i64::try_from(&result)) {
                (Value::BigInt(_), ..) => Value::big(result),
                (Value::Int(_), Ok(n), _) => Value::Int(n),
                (Value::Long(_), _, Ok(n)) => Value::Long(n),
                _ => Value::big(result),
            })
        }
        (Value::Decimal(x), Some(n)) if n >= 0 => {
            let n = u32::try_from(n).map_err(|_| Fault::Limit(LimitKind::Digits))?;
            yes(Value::decimal(digits(x.pow(n))?))
        }
        _ => {
            let (Some(x), Some(y)) = (to_f64(a), to_f64(b)) else { return Ok(None) };
            let result = x.powf(y);
            // A result without a fraction becomes the smallest type that holds it.
            yes(if f64::from(result as i32) == result {
                Value::Int(result as i32)
            } else if (result as i64) as f64 == result {
                Value::Long(result as i64)
            } else {
                Value::Double(result)
            })
        }
    }
}

/// `++`, `--`, unary `-`, `+`, `~`.
pub(crate) fn step(ctx: &mut Ctx<'_>, value: &Value, name: &str) -> Result<Value, Fault> {
    let by = |ctx: &mut Ctx<'_>, n: i32| {
        let op = if n > 0 { BinaryOp::Add } else { BinaryOp::Sub };
        Ok(arithmetic(ctx, op, value, &Value::Int(1))?.unwrap_or_default())
    };
    Ok(match (name, value) {
        (_, Value::Null) => {
            return Err(ctx.world.null_pointer(format!("Cannot invoke method {name}() on null object")));
        }
        (_, Value::Object(o)) if o.java().is_some() => match super::method(ctx, value, name, &[])? {
            Some(next) => next,
            None => return Err(ctx.world.missing_method(name, &value.type_name(), false, &[])),
        },
        ("next", Value::Str(s)) => super::text::neighbour(s, 1),
        ("previous", Value::Str(s)) => super::text::neighbour(s, -1),
        ("next", Value::Char(c)) => Value::Char(c.wrapping_add(1)),
        ("previous", Value::Char(c)) => Value::Char(c.wrapping_sub(1)),
        ("next", v) if crate::value::is_number(v) => by(ctx, 1)?,
        ("previous", v) if crate::value::is_number(v) => by(ctx, -1)?,
        ("positive", v) if crate::value::is_number(v) => v.clone(),
        ("negative", Value::Byte(n)) => Value::Byte(n.wrapping_neg()),
        ("negative", Value::Short(n)) => Value::Short(n.wrapping_neg()),
        ("negative", Value::Int(n)) => Value::Int(n.wrapping_neg()),
        ("negative", Value::Long(n)) => Value::Long(n.wrapping_neg()),
        ("negative", Value::Double(n)) => Value::Double(-n),
        ("negative", Value::Float(n)) => Value::Float(-n),
        ("negative", Value::BigInt(n)) => Value::big(-(**n).clone()),
        ("negative", Value::Decimal(n)) => Value::decimal(n.negate()),
        ("bitwiseNegate", Value::Byte(n)) => Value::Int(!i32::from(*n)),
        ("bitwiseNegate", Value::Short(n)) => Value::Int(!i32::from(*n)),
        ("bitwiseNegate", Value::Int(n)) => Value::Int(!n),
        ("bitwiseNegate", Value::Long(n)) => Value::Long(!n),
        ("bitwiseNegate", Value::BigInt(n)) => Value::big(-(**n).clone() - 1),
        ("bitwiseNegate", v) if v.is_text() => {
            let text = ctx.text(v)?;
            Value::Pattern(ctx.world.pattern(&text, 0)?)
        }
        ("negative" | "positive" | "bitwiseNegate", Value::List(l)) if !l.is_array() => {
            ctx.room_for_items(l.len() as u64)?;
            let step_of = |item: &Value| match item {
                Value::List(_) => Err(ctx.world.missing_method(name, &item.type_name(), false, &[])),
                other => step(ctx, other, name),
            };
            let items = l.snapshot();
            Value::list(items.iter().map(step_of).collect::<Result<Vec<Value>, Fault>>()?)
        }
        (_, Value::GString(_)) => return Err(ctx.world.missing_method(name, "java.lang.String", false, &[])),
        (_, other) => return Err(ctx.world.missing_method(name, &other.type_name(), false, &[])),
    })
}

/// Methods of numbers.
pub(crate) fn method(ctx: &mut Ctx<'_>, n: &Value, name: &str, args: &[Value]) -> Answer {
    let own = match n {
        Value::Decimal(d) => decimals::method(ctx, d, name, args)?,
        Value::BigInt(n) => big_integers::method(ctx, n, name, args)?,
        _ => None,
    };
    if own.is_some() {
        return Ok(own);
    }
    if let Some(op) = operator(name)
        && let [other] = args
    {
        return super::operators::binary(ctx, op, n, other);
    }
    match (name, args) {
        ("toString", [radix]) if matches!(n, Value::BigInt(_)) => {
            let Value::BigInt(n) = n else { return Ok(None) };
            let radix = super::int(radix).and_then(|r| u32::try_from(r).ok()).filter(|r| (2..=36).contains(r));
            ctx.new_str(n.to_str_radix(radix.unwrap_or(10))).map(Some)
        }
        ("intValue" | "toInteger", []) if is_floating(n) => yes(Value::Int(to_f64(n).unwrap_or(0.0) as i32)),
        ("intValue" | "toInteger", []) => yes(Value::Int(truncated(n) as i32)),
        ("shortValue" | "toShort", []) => yes(Value::Short(truncated(n) as i16)),
        ("byteValue", []) => yes(Value::Byte(truncated(n) as i8)),
        ("longValue" | "toLong", []) => yes(Value::Long(truncated(n))),
        // It goes by the digits that it is written with.
        ("toDouble", []) if matches!(n, Value::Float(_)) => yes(Value::Double(n.to_text().parse().unwrap_or(f64::NAN))),
        ("doubleValue" | "toDouble", []) => yes(Value::Double(to_f64(n).unwrap_or(f64::NAN))),
        ("floatValue" | "toFloat", []) => yes(Value::Float(to_f64(n).unwrap_or(f64::NAN) as f32)),
        ("toBigDecimal", []) => match to_decimal(n) {
            Some(d) => yes(Value::decimal(d)),
            None => Err(decimal_fault(ctx, &n.to_text())),
        },
        ("toBigInteger", []) => match to_decimal(n) {
            Some(d) => yes(Value::big(digits(d.to_bigint())?)),
            None => Ok(None),
        },
        ("abs", []) => {
            let n = &widened(n);
            let negative = numeric_order(n, &Value::Int(0)).is_some_and(|o| o.is_lt());
            if negative { step(ctx, n, "negative").map(Some) } else { Ok(Some(n.clone())) }
        }
        ("next" | "previous" | "negative" | "positive" | "bitwiseNegate" | "unaryMinus" | "unaryPlus", []) => {
            let name = match name {
                "unaryMinus" => "negative",
                "unaryPlus" => "positive",
                other => other,
            };
            step(ctx, n, name).map(Some)
        }
        ("intdiv", [d]) if crate::value::is_number(d) => intdiv(ctx, n, d),
        ("compareTo", [other]) => {
            let order = super::compare::java_compare(ctx, n, other)?;
            // The small ones answer how far they are apart.
            yes(Value::Int(match (n, other) {
                (Value::Byte(_), Value::Byte(_)) | (Value::Short(_), Value::Short(_)) => {
                    (truncated(n) - truncated(other)) as i32
                }
                _ => order as i32,
            }))
        }
        ("isNaN", []) => yes(to_f64(n).is_some_and(f64::is_nan)),
        ("isInfinite", []) => yes(to_f64(n).is_some_and(f64::is_infinite)),
        ("round" | "trunc" | "floor" | "ceil", _) if matches!(n, Value::Double(_) | Value::Float(_)) => {
            rounding(ctx, n, name, args)
        }
        ("add" | "subtract" | "multiply" | "pow", [other]) if matches!(n, Value::BigInt(_) | Value::Decimal(_)) => {
            let op = match name {
                "add" => BinaryOp::Add,
                "subtract" => BinaryOp::Sub,
                "multiply" => BinaryOp::Mul,
                _ => BinaryOp::Pow,
            };
            arithmetic(ctx, op, n, other)
        }
        ("min" | "max", [other]) if matches!(n, Value::Decimal(_) | Value::BigInt(_)) => {
            let less = super::compare::compare(ctx, n, other)?.is_lt();
            Ok(Some(if less == (name == "min") { n.clone() } else { other.clone() }))
        }
        _ => Ok(None),
    }
}

fn operator(name: &str) -> Option<BinaryOp> {
    Some(match name {
        "plus" => BinaryOp::Add,
        "minus" => BinaryOp::Sub,
        "multiply" => BinaryOp::Mul,
        "div" => BinaryOp::Div,
        "mod" => BinaryOp::Mod,
        "power" => BinaryOp::Pow,
        "leftShift" => BinaryOp::ShiftLeft,
        "rightShift" => BinaryOp::ShiftRight,
        "rightShiftUnsigned" => BinaryOp::ShiftRightUnsigned,
        "and" => BinaryOp::BitAnd,
        "or" => BinaryOp::BitOr,
        "xor" => BinaryOp::BitXor,
        _ => return None,
    })
}

/// Java's narrowing of any number to 64 bits.
pub(crate) fn truncated(n: &Value) -> i64 {
    match n {
        Value::BigInt(b) => b
            .iter_u64_digits()
            .next()
            .map_or(0, |d| if b.sign() == num_bigint::Sign::Minus { (d as i64).wrapping_neg() } else { d as i64 }),
        Value::Decimal(d) => d.to_bigint().map_or(0, |b| truncated(&Value::big(b))),
        other => other.as_i64().unwrap_or(0),
    }
}

fn intdiv(ctx: &mut Ctx<'_>, n: &Value, d: &Value) -> Answer {
    let is_big = matches!(n, Value::BigInt(_)) || matches!(d, Value::BigInt(_));
    if let (Some(x), Some(y), false) = (super::int(n), super::int(d), is_big) {
        if y == 0 {
            return Err(ctx.fail("java.lang.ArithmeticException", "/ by zero"));
        }
        let long = matches!(n, Value::Long(_)) || matches!(d, Value::Long(_));
        let result = x.wrapping_div(y);
        return yes(if long { Value::Long(result) } else { Value::Int(result as i32) });
    }
    match (to_big(n), to_big(d)) {
        (Some(_), Some(y)) if y == BigInt::ZERO => {
            Err(ctx.fail("java.lang.ArithmeticException", "BigInteger divide by zero"))
        }
        (Some(x), Some(y)) => yes(Value::big(x / y)),
        _ => {
            let message = format!("Cannot use intdiv() on this number type: {} with value: {n}", n.type_name());
            Err(ctx.fail("java.lang.UnsupportedOperationException", message))
        }
    }
}

fn rounding(ctx: &mut Ctx<'_>, n: &Value, name: &str, args: &[Value]) -> Answer {
    let places = args.first().and_then(super::int).unwrap_or(0);
    if let (Value::Double(x), "round", [_]) = (n, name, args) {
        return yes(Value::Double(round_double(*x, places)));
    }
    let mode = match name {
        "round" => Rounding::HalfUp,
        "trunc" => Rounding::Down,
        "floor" => Rounding::Floor,
        _ => Rounding::Ceiling,
    };
    let Some(d) = to_decimal(n) else { return Ok(Some(n.clone())) };
    let rounded = digits(d.set_scale(places, mode))?;
    let _ = ctx;
    yes(match n {
        Value::Double(_) if name == "round" && args.is_empty() => Value::Long(rounded.to_f64() as i64),
        Value::Float(_) if name == "round" && args.is_empty() => Value::Int(rounded.to_f64() as i32),
        Value::Double(_) => Value::Double(rounded.to_f64()),
        Value::Float(_) => Value::Float(rounded.to_f64() as f32),
        Value::Decimal(_) => Value::decimal(rounded),
        other => other.clone(),
    })
}

/// Groovy's `round(places)` of doubles, which computes with doubles: 1.005 has no half to round up.
fn round_double(x: f64, places: i64) -> f64 {
    let scale = 10f64.powi(i32::try_from(places).unwrap_or(i32::MAX));
    (x * scale + 0.5).floor() / scale
}

/// A number of no more digits than numbers may have.
pub(crate) fn checked_big(n: BigInt) -> Result<Value, Fault> {
    if crate::value::decimal::digits(&n) > DIGITS_MAX { digits(Err(TooManyDigits)) } else { Ok(Value::big(n)) }
}

/// A decimal from text, as `new BigDecimal(text)`.
pub(crate) fn parse_decimal(ctx: &Ctx<'_>, text: &str) -> Result<Decimal, Fault> {
    Decimal::parse(text.trim()).ok_or_else(|| decimal_fault(ctx, text.trim()))
}

/// The exception for what is no decimal, in the words of Java's parser.
pub(crate) fn decimal_fault(ctx: &Ctx<'_>, text: &str) -> Fault {
    const CLASS: &str = "java.lang.NumberFormatException";
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let foreign = mantissa.chars().find(|c| !c.is_ascii_digit() && *c != '.');
    let words = match foreign {
        Some(c) => {
            format!(
                "Character {c} is neither a decimal digit number, decimal point, nor \"e\" notation exponential mark."
            )
        }
        None if mantissa.matches('.').count() > 1 => {
            "Character array contains more than one decimal point.".to_string()
        }
        None if !text.is_empty() && !mantissa.contains(|c: char| c.is_ascii_digit()) => "No digits found.".to_string(),
        None => return Fault::Throw(ctx.world.throwable(CLASS, Value::Null)),
    };
    ctx.fail(CLASS, words)
}
