//! Static methods of `Math`, of the classes of numbers, of `Boolean` and of `Character`.

use std::rc::Rc;

use super::{Answer, compare, convert, decimals, int, numbers, strings, yes};
use crate::machine::Ctx;
use crate::value::{Class, Value, is_number, to_f64};

pub(super) fn math(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    // No text or letter is a number to them, nor is null.
    if args.iter().any(|arg| !is_number(arg) || matches!(arg, Value::Char(_))) {
        return Ok(None);
    }
    let f = |i: usize| args.get(i).and_then(to_f64).unwrap_or(f64::NAN);
    match (name, args) {
        ("random", []) => super::java::random_double(ctx),
        ("max" | "min", [a, b]) => {
            let greater = compare::compare(ctx, a, b)?.is_ge();
            let chosen = if greater == (name == "max") { a } else { b };
            let wide = matches!(a, Value::Double(_))
                || matches!(b, Value::Double(_))
                || matches!(a, Value::Decimal(_))
                || matches!(b, Value::Decimal(_));
            let long = matches!(a, Value::Long(_)) || matches!(b, Value::Long(_));
            yes(match chosen {
                v if wide => Value::Double(to_f64(v).unwrap_or(f64::NAN)),
                v if long => Value::Long(v.as_i64().unwrap_or(0)),
                v => numbers::widened(v),
            })
        }
        ("abs", [v @ Value::Decimal(_)]) => yes(Value::Double(to_f64(v).unwrap_or(0.0).abs())),
        ("abs", [v]) => numbers::method(ctx, v, "abs", &[]),
        ("round", [Value::Float(n)]) => yes(Value::Int((f64::from(*n) + 0.5).floor() as i32)),
        ("round", [_]) => yes(Value::Long((f(0) + 0.5).floor() as i64)),
        ("floorMod", [a, b]) | ("floorDiv", [a, b]) => {
            let (Some(x), Some(y)) = (int(a), int(b)) else { return Ok(None) };
            if y == 0 {
                return Err(ctx.fail("java.lang.ArithmeticException", "/ by zero"));
            }
            let (quotient, rest) = (x.wrapping_div(y), x.wrapping_rem(y));
            let uneven = rest != 0 && (rest < 0) != (y < 0);
            let r = if name == "floorMod" { rest + i64::from(uneven) * y } else { quotient - i64::from(uneven) };
            yes(if matches!((a, b), (Value::Int(_), Value::Int(_))) { Value::Int(r as i32) } else { Value::Long(r) })
        }
        (
            "addExact" | "subtractExact" | "multiplyExact" | "incrementExact" | "decrementExact" | "negateExact"
            | "toIntExact",
            [a, rest @ ..],
        ) if rest.len() <= 1 => exact(ctx, name, a, rest.first()),
        ("signum", [Value::Int(_) | Value::Float(_)]) => {
            yes(Value::Float(if f(0) == 0.0 { 0.0 } else { f(0).signum() as f32 }))
        }
        ("hypot", [_, _]) => yes(Value::Double(f(0).hypot(f(1)))),
        ("atan2", [_, _]) => yes(Value::Double(f(0).atan2(f(1)))),
        ("copySign", [_, _]) => yes(Value::Double(f(0).copysign(f(1)))),
        ("fma", [_, _, _]) => yes(Value::Double(f(0).mul_add(f(1), f(2)))),
        ("ulp", [_]) => yes(Value::Double(f(0).abs().next_up() - f(0).abs())),
        ("nextUp", [_]) => yes(Value::Double(f(0).next_up())),
        ("nextDown", [_]) => yes(Value::Double(f(0).next_down())),
        ("pow", [_, _]) => yes(Value::Double(f(0).powf(f(1)))),
        (
            "sqrt" | "cbrt" | "ceil" | "floor" | "rint" | "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "sinh"
            | "cosh" | "tanh" | "exp" | "expm1" | "log" | "log1p" | "log10" | "toRadians" | "toDegrees" | "signum",
            [_],
        ) => {
            let x = f(0);
            yes(Value::Double(match name {
                "sqrt" => x.sqrt(),
                "cbrt" => x.cbrt(),
                "ceil" => x.ceil(),
                "floor" => x.floor(),
                "rint" => x.round_ties_even(),
                "sin" => x.sin(),
                "cos" => x.cos(),
                "tan" => x.tan(),
                "asin" => x.asin(),
                "acos" => x.acos(),
                "atan" => x.atan(),
                "sinh" => x.sinh(),
                "cosh" => x.cosh(),
                "tanh" => x.tanh(),
                "expm1" => x.exp_m1(),
                "log1p" => x.ln_1p(),
                "toRadians" => x.to_radians(),
                "toDegrees" => x.to_degrees(),
                "exp" => x.exp(),
                "log" => x.ln(),
                "log10" => x.log10(),
                _ => {
                    if x == 0.0 {
                        x
                    } else {
                        x.signum()
                    }
                }
            }))
        }
        _ => Ok(None),
    }
}

pub(super) fn integers(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    let long = &*class.name == "java.lang.Long";
    match (name, args) {
        // No property of a system is set here.
        ("getLong", [_, rest @ ..]) if long => yes(rest.first().cloned().unwrap_or_default()),
        ("getInteger", [_, rest @ ..]) if &*class.name == "java.lang.Integer" => {
            yes(rest.first().cloned().unwrap_or_default())
        }
        ("parseInt" | "parseLong" | "valueOf" | "decode", [Value::Null, ..]) => {
            Err(ctx.fail("java.lang.NumberFormatException", "Cannot parse null string"))
        }
        ("decode", [source]) if source.is_text() => {
            let text = ctx.text(source)?;
            let (sign, digits) = text.strip_prefix('-').map_or(("", &*text), |rest| ("-", rest));
            let prefixes = [("0x", 16), ("0X", 16), ("#", 16), ("0", 8)];
            let found =
                prefixes.iter().find_map(|(p, r)| digits.strip_prefix(p).filter(|d| !d.is_empty()).map(|d| (d, *r)));
            let (digits, radix) = found.unwrap_or((digits, 10));
            let text = format!("{sign}{digits}");
            if long { strings::parse_long(ctx, &text, radix) } else { strings::parse_int(ctx, &text, radix) }.map(Some)
        }
        ("parseInt" | "parseLong" | "valueOf" | "decode", [source, rest @ ..]) => {
            if !source.is_text() {
                return convert::to_type(ctx, source, &class.name, true);
            }
            let (text, radix) = (ctx.text(source)?, rest.first().and_then(int).unwrap_or(10));
            let small = match &*class.name {
                "java.lang.Byte" => Some(8),
                "java.lang.Short" => Some(16),
                _ => None,
            };
            let radix = u32::try_from(radix).ok().filter(|r| (2..=36).contains(r)).unwrap_or(10);
            if let Some(bits) = small {
                strings::parse_small(ctx, &text, radix, bits).map(Some)
            } else if long {
                strings::parse_long(ctx, &text, radix).map(Some)
            } else {
                strings::parse_int(ctx, &text, radix).map(Some)
            }
        }
        ("toString", [n]) => yes(ctx.text(n)?),
        ("toString", [n, radix]) => yes(in_radix(int(n).unwrap_or(0), int(radix).unwrap_or(10))),
        ("toHexString" | "toBinaryString" | "toOctalString", [n]) => {
            let n = int(n).unwrap_or(0);
            let bits = if long { n as u64 } else { u64::from(n as u32) };
            yes(match name {
                "toHexString" => format!("{bits:x}"),
                "toBinaryString" => format!("{bits:b}"),
                _ => format!("{bits:o}"),
            })
        }
        ("compare", [a, b]) => yes(Value::Int(compare::compare(ctx, a, b)? as i32)),
        ("max" | "min" | "abs", _) => math(ctx, name, args),
        ("signum", [n]) => yes(Value::Int(int(n).unwrap_or(0).signum() as i32)),
        ("sum", [a, b]) => numbers::arithmetic(ctx, crate::ast::BinaryOp::Add, a, b),
        ("parseShort" | "parseByte", [source, ..]) => {
            let radix = args.get(1).and_then(int).and_then(|r| u32::try_from(r).ok()).unwrap_or(10);
            let text = ctx.text(source)?;
            if !(2..=36).contains(&radix) {
                return Err(ctx.fail("java.lang.NumberFormatException", format!("radix {radix} out of range")));
            }
            strings::parse_small(ctx, &text, radix, if name == "parseByte" { 8 } else { 16 }).map(Some)
        }
        ("toUnsignedInt" | "toUnsignedLong", [Value::Byte(n)]) => yes(if name == "toUnsignedInt" {
            Value::Int(i32::from(*n as u8))
        } else {
            Value::Long(i64::from(*n as u8))
        }),
        ("toUnsignedInt" | "toUnsignedLong", [Value::Short(n)]) => yes(if name == "toUnsignedInt" {
            Value::Int(i32::from(*n as u16))
        } else {
            Value::Long(i64::from(*n as u16))
        }),
        ("hashCode", [n]) => yes(Value::Int(crate::value::hash::hash_code(n))),
        _ => bits(ctx, name, args, long),
    }
}

/// What `Integer` and `Long` say of the bits of a number, and of numbers without sign.
fn bits(ctx: &mut Ctx<'_>, name: &str, args: &[Value], long: bool) -> Answer {
    let number = |n: u64| if long { Value::Long(n as i64) } else { Value::Int(n as u32 as i32) };
    let unsigned = |v: &Value| int(v).map_or(0, |n| if long { n as u64 } else { u64::from(n as u32) });
    let width = if long { 64 } else { 32 };
    match (name, args) {
        ("bitCount", [n]) => yes(Value::Int(unsigned(n).count_ones() as i32)),
        ("numberOfLeadingZeros", [n]) => yes(Value::Int(unsigned(n).leading_zeros() as i32 - (64 - width))),
        ("numberOfTrailingZeros", [n]) => yes(Value::Int((unsigned(n).trailing_zeros() as i32).min(width))),
        ("highestOneBit", [n]) => yes(number(unsigned(n).checked_ilog2().map_or(0, |at| 1 << at))),
        ("lowestOneBit", [n]) => yes(number(unsigned(n) & unsigned(n).wrapping_neg())),
        ("reverse", [n]) => yes(number(unsigned(n).reverse_bits() >> (64 - width))),
        ("reverseBytes", [n]) => yes(number(unsigned(n).swap_bytes() >> (64 - width))),
        ("rotateLeft" | "rotateRight", [n, by]) => {
            let by = int(by).unwrap_or(0).rem_euclid(i64::from(width)) as u32;
            let by = if name == "rotateLeft" { by } else { (width as u32 - by) % width as u32 };
            let turned =
                if long { unsigned(n).rotate_left(by) } else { u64::from((unsigned(n) as u32).rotate_left(by)) };
            yes(number(turned))
        }
        ("toUnsignedString", [n]) => yes(unsigned(n).to_string()),
        ("toUnsignedLong", [n]) if !long => yes(Value::Long(unsigned(n) as i64)),
        ("compareUnsigned", [a, b]) => yes(Value::Int(unsigned(a).cmp(&unsigned(b)) as i32)),
        ("divideUnsigned" | "remainderUnsigned", [a, b]) => {
            let found = match name {
                "divideUnsigned" => unsigned(a).checked_div(unsigned(b)),
                _ => unsigned(a).checked_rem(unsigned(b)),
            };
            found.map(|n| Some(number(n))).ok_or_else(|| ctx.fail("java.lang.ArithmeticException", "/ by zero"))
        }
        ("parseUnsignedInt" | "parseUnsignedLong", [source, rest @ ..]) => {
            let text = ctx.text(source)?;
            let radix = rest.first().and_then(int).and_then(|r| u32::try_from(r).ok()).filter(|r| (2..=36).contains(r));
            let parsed =
                u64::from_str_radix(&text, radix.unwrap_or(10)).ok().filter(|n| long || *n <= u64::from(u32::MAX));
            parsed.map(|n| Some(number(n))).ok_or_else(|| strings::number_fault(ctx, &text))
        }
        _ => Ok(None),
    }
}

/// Whole numbers that must not overflow.
fn exact(ctx: &mut Ctx<'_>, name: &str, a: &Value, b: Option<&Value>) -> Answer {
    let (Some(x), Some(y)) = (int(a), b.map_or(Some(1), int)) else { return Ok(None) };
    let long = name != "toIntExact" && (matches!(a, Value::Long(_)) || matches!(b, Some(Value::Long(_))));
    let found = match name {
        "addExact" | "incrementExact" => x.checked_add(y),
        "subtractExact" | "decrementExact" => x.checked_sub(y),
        "multiplyExact" => x.checked_mul(y),
        "negateExact" => x.checked_neg(),
        _ => Some(x),
    };
    match found {
        Some(n) if long => yes(Value::Long(n)),
        Some(n) if i32::try_from(n).is_ok() => yes(Value::Int(n as i32)),
        _ => {
            let word = if long { "long" } else { "integer" };
            Err(ctx.fail("java.lang.ArithmeticException", format!("{word} overflow")))
        }
    }
}

/// Static methods of `Character`: of characters, and of code points.
pub(super) fn characters(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let code = |v: &Value| match v {
        Value::Str(s) if s.units() == 1 => s.unit(0).map(u32::from),
        other => int(other).and_then(|n| u32::try_from(n).ok()),
    };
    match (name, args) {
        ("compare", [a, b]) => yes(Value::Int((code(a).unwrap_or(0) as i32).wrapping_sub(code(b).unwrap_or(0) as i32))),
        ("digit", [c, radix]) => {
            let radix = int(radix).and_then(|r| u32::try_from(r).ok()).filter(|r| (2..=36).contains(r));
            let digit = code(c).and_then(char::from_u32).zip(radix).and_then(|(c, radix)| c.to_digit(radix));
            yes(Value::Int(digit.map_or(-1, |n| n as i32)))
        }
        ("forDigit", [n, radix]) => {
            let radix = int(radix).and_then(|r| u32::try_from(r).ok()).filter(|r| (2..=36).contains(r));
            let digit = code(n).zip(radix).and_then(|(n, radix)| char::from_digit(n, radix));
            yes(Value::Char(digit.map_or(0, |c| c as u16)))
        }
        ("toChars", [c]) => {
            let mut units = [0; 2];
            let c = code(c).and_then(char::from_u32).unwrap_or('\u{fffd}');
            yes(Value::array(c.encode_utf16(&mut units).iter().map(|u| Value::Char(*u)).collect(), "char"))
        }
        (_, [c]) => {
            let Some(code) = code(c) else { return Ok(None) };
            let of_char = !matches!(c, Value::Int(_));
            let found = character(name, char::from_u32(code).unwrap_or('\u{fffd}'));
            if found.is_some() {
                return Ok(found);
            }
            let unit = u16::try_from(code).unwrap_or(0xfffd);
            Ok(super::text::char_method(ctx, unit, name, &[])?.map(|found| match found {
                Value::Char(unit) if !of_char => Value::Int(i32::from(unit)),
                other => other,
            }))
        }
        _ => Ok(None),
    }
}

fn character(name: &str, c: char) -> Option<Value> {
    Some(match name {
        "getNumericValue" => Value::Int(c.to_digit(36).map_or(-1, |n| n as i32)),
        "isAlphabetic" => Value::Bool(c.is_alphabetic()),
        "isSpaceChar" => Value::Bool(c == ' ' || !c.is_ascii() && c.is_whitespace()),
        "isISOControl" => Value::Bool(c.is_control()),
        "isJavaIdentifierStart" => Value::Bool(c.is_alphabetic() || matches!(c, '_' | '$')),
        "isJavaIdentifierPart" => Value::Bool(c.is_alphanumeric() || matches!(c, '_' | '$')),
        "valueOf" => Value::Char(c as u32 as u16),
        "hashCode" => Value::Int(c as i32),
        _ => return None,
    })
}

fn in_radix(n: i64, radix: i64) -> String {
    let radix = if (2..=36).contains(&radix) { radix as u64 } else { 10 };
    let (mut rest, mut digits) = (n.unsigned_abs(), Vec::new());
    loop {
        digits.push(char::from_digit((rest % radix) as u32, radix as u32).unwrap_or('0'));
        rest /= radix;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

pub(super) fn parsers(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        // No property of a system is set here.
        ("getBoolean", [_]) if &*class.name == "java.lang.Boolean" => yes(false),
        ("parseBoolean", [text]) => yes(!text.is_null() && ctx.text(text)?.eq_ignore_ascii_case("true")),
        ("valueOf", [source]) if &*class.name == "java.lang.Boolean" && source.is_text() => {
            yes(ctx.text(source)?.eq_ignore_ascii_case("true"))
        }
        ("valueOf", [source, scale]) if &*class.name == "java.math.BigDecimal" => {
            decimals::construct(ctx, class, source, std::slice::from_ref(scale))
        }
        ("parseDouble" | "parseFloat" | "valueOf", [source, ..]) => convert::to_type(ctx, source, &class.name, true),
        ("toString", [value]) => yes(ctx.text(value)?),
        ("compare", [a, b]) => yes(Value::Int(compare::compare(ctx, a, b)? as i32)),
        ("isInfinite", [n]) => yes(to_f64(n).is_some_and(f64::is_infinite)),
        ("isFinite", [n]) => yes(to_f64(n).is_some_and(f64::is_finite)),
        ("doubleToLongBits" | "doubleToRawLongBits", [n]) => {
            yes(Value::Long(to_f64(n).unwrap_or(f64::NAN).to_bits() as i64))
        }
        ("longBitsToDouble", [n]) => yes(Value::Double(f64::from_bits(int(n).unwrap_or(0) as u64))),
        ("max" | "min", [_, _]) => math(ctx, name, args),
        ("sum", [a, b]) => numbers::arithmetic(ctx, crate::ast::BinaryOp::Add, a, b),
        ("logicalAnd" | "logicalOr" | "logicalXor", [Value::Bool(a), Value::Bool(b)]) => yes(match name {
            "logicalAnd" => a & b,
            "logicalOr" => a | b,
            _ => a ^ b,
        }),
        ("isNaN", [n]) => yes(to_f64(n).is_some_and(f64::is_nan)),
        _ => Ok(None),
    }
}
