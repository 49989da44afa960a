//! What `BigInteger` has of Java beside arithmetic: quotients, bits, and numbers modulo another.

use num_bigint::{BigInt, Sign};

use super::numbers::to_big;
use super::{Answer, int, yes};
use crate::ast::BinaryOp;
use crate::machine::{Ctx, Fault, LimitKind};
use crate::value::Value;
use crate::value::decimal::{DIGITS_MAX, gcd};

fn arithmetic(ctx: &Ctx<'_>, message: &str) -> Fault {
    ctx.fail("java.lang.ArithmeticException", message)
}

pub(super) fn method(ctx: &mut Ctx<'_>, n: &BigInt, name: &str, args: &[Value]) -> Answer {
    let words = |n: &BigInt| n.bits() as usize / 64 + 1;
    match (name, args) {
        ("divide" | "remainder" | "divideAndRemainder", [other]) => {
            let Some(other) = to_big(other) else { return Ok(None) };
            if other == BigInt::ZERO {
                return Err(arithmetic(ctx, "BigInteger divide by zero"));
            }
            ctx.pay(words(n) * words(&other) / 64)?;
            yes(match name {
                "divide" => Value::big(n / other),
                "remainder" => Value::big(n % other),
                _ => Value::array(vec![Value::big(n / &other), Value::big(n % other)], "java.math.BigInteger"),
            })
        }
        ("gcd" | "modInverse" | "andNot", [other]) => {
            let Some(other) = to_big(other) else { return Ok(None) };
            ctx.pay(words(n) * words(&other) / 4)?;
            match name {
                "gcd" => yes(Value::big(gcd(n, &other))),
                "andNot" => yes(Value::big(n & !other)),
                _ => inverse(ctx, n, &other).map(|found| Some(Value::big(found))),
            }
        }
        ("modPow", [exponent, modulus]) => {
            let (Some(exponent), Some(modulus)) = (to_big(exponent), to_big(modulus)) else { return Ok(None) };
            let base = if exponent.sign() == Sign::Minus { inverse(ctx, n, &modulus)? } else { n.clone() };
            if modulus.sign() != Sign::Plus {
                return Err(arithmetic(ctx, "BigInteger: modulus not positive"));
            }
            let squared = words(&modulus).saturating_mul(words(&modulus));
            ctx.pay(squared.saturating_mul(exponent.bits() as usize) / 16 + words(n))?;
            yes(Value::big(base.modpow(&BigInt::from(exponent.magnitude().clone()), &modulus)))
        }
        ("pow", [Value::Int(exponent)]) if *exponent < 0 => Err(arithmetic(ctx, "Negative exponent")),
        ("negate", []) => yes(Value::big(-n)),
        ("not", []) => yes(Value::big(!n)),
        ("signum", []) => yes(Value::Int(match n.sign() {
            Sign::Minus => -1,
            Sign::NoSign => 0,
            Sign::Plus => 1,
        })),
        ("sqrt", []) if n.sign() == Sign::Minus => Err(arithmetic(ctx, "Negative BigInteger")),
        ("sqrt", []) => {
            ctx.pay(words(n) * words(n) / 4)?;
            yes(Value::big(n.sqrt()))
        }
        ("shiftLeft" | "shiftRight", [by]) => {
            let op = if name == "shiftLeft" { BinaryOp::ShiftLeft } else { BinaryOp::ShiftRight };
            super::numbers::arithmetic(ctx, op, &Value::big(n.clone()), by)
        }
        ("intValueExact", []) => {
            i32::try_from(n).map(|n| Some(Value::Int(n))).map_err(|_| arithmetic(ctx, "BigInteger out of int range"))
        }
        ("longValueExact", []) => {
            i64::try_from(n).map(|n| Some(Value::Long(n))).map_err(|_| arithmetic(ctx, "BigInteger out of long range"))
        }
        ("toByteArray", []) => {
            let bytes = n.to_signed_bytes_be();
            ctx.room_for_items(bytes.len() as u64)?;
            yes(Value::array(bytes.iter().map(|b| Value::Byte(*b as i8)).collect(), "byte"))
        }
        _ => bits(ctx, n, name, args),
    }
}

/// The number that makes one of this one, modulo another.
fn inverse(ctx: &Ctx<'_>, n: &BigInt, modulus: &BigInt) -> Result<BigInt, Fault> {
    if modulus.sign() != Sign::Plus {
        return Err(arithmetic(ctx, "BigInteger: modulus not positive"));
    }
    n.modinv(modulus).ok_or_else(|| arithmetic(ctx, "BigInteger not invertible."))
}

/// The bits of a number in two's complement, of which there are as many as anybody asks for.
fn bits(ctx: &Ctx<'_>, n: &BigInt, name: &str, args: &[Value]) -> Answer {
    let below_zero = n.sign() == Sign::Minus;
    match (name, args) {
        // Of a negative number those that are not as its sign is.
        ("bitLength", []) => yes(Value::Int(if below_zero { !n } else { n.clone() }.bits() as i32)),
        ("bitCount", []) => {
            let n = if below_zero { !n } else { n.clone() };
            yes(Value::Int(n.iter_u64_digits().map(u64::count_ones).sum::<u32>() as i32))
        }
        ("getLowestSetBit", []) => yes(Value::Int(n.trailing_zeros().map_or(-1, |at| at as i32))),
        ("testBit" | "setBit" | "clearBit" | "flipBit", [at]) => {
            let Some(at) = int(at) else { return Ok(None) };
            let Ok(at) = u64::try_from(at) else { return Err(arithmetic(ctx, "Negative bit address")) };
            if name == "testBit" {
                return yes(n.bit(at));
            }
            if at > DIGITS_MAX * 4 {
                return Err(Fault::Limit(LimitKind::Digits));
            }
            let mut n = n.clone();
            n.set_bit(at, name == "setBit" || name == "flipBit" && !n.bit(at));
            yes(Value::big(n))
        }
        _ => Ok(None),
    }
}
