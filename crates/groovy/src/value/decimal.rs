//! `java.math.BigDecimal`: an integer and a scale, with Java's rules for scales and Groovy's for division.

mod quotient;

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, Sign};

use super::text::padded;
pub use quotient::Inexact;
use quotient::rounded;

/// Digits a number may grow to; a sum like `1e999999999 + 1` is refused instead of filling the memory.
pub const DIGITS_MAX: u64 = 100_000;

/// `unscaled × 10^-scale`.
#[derive(Clone, Debug)]
pub struct Decimal {
    unscaled: BigInt,
    scale: i64,
}

/// The result would have more than [`DIGITS_MAX`] digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyDigits;

fn pow10(n: u64) -> BigInt {
    BigInt::from(10u8).pow(n as u32)
}

/// A scale as Java has them, which are `int`s.
fn scale_in_range(scale: Option<i64>) -> Result<i64, TooManyDigits> {
    scale.filter(|s| i32::try_from(*s).is_ok()).ok_or(TooManyDigits)
}

impl Decimal {
    /// `unscaled × 10^-scale`.
    pub fn new(unscaled: BigInt, scale: i64) -> Self {
        Decimal { unscaled, scale }
    }

    /// From Java's text form: `-12.50`, `1e3`, `.5`.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 || (whole.len() + fraction.len()) as u64 > DIGITS_MAX {
            return None;
        }
        if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = BigInt::parse_bytes(format!("{whole}{fraction}").as_bytes(), 10)?;
        let unscaled = if negative { -number } else { number };
        Some(Decimal { unscaled, scale: fraction.len() as i64 - i64::from(exponent) })
    }

    /// The value of a finite double as `new BigDecimal(String.valueOf(d))` has it.
    pub fn from_double(value: f64) -> Option<Self> {
        if value.is_finite() { Self::parse(&super::render::double_text(value)) } else { None }
    }

    /// The number that the bits of a finite double are, as `new BigDecimal(d)` has it.
    pub fn exactly(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let bits = value.abs().to_bits();
        let exponent = (bits >> 52) as i32;
        let mantissa = bits & ((1 << 52) - 1) | u64::from(exponent > 0) << 52;
        if mantissa == 0 {
            return Some(Decimal::new(BigInt::ZERO, 0));
        }
        let zeros = mantissa.trailing_zeros();
        let exponent = exponent.max(1) - 1075 + zeros as i32;
        let size = BigInt::from(mantissa >> zeros);
        let power = exponent.unsigned_abs();
        let size = if exponent < 0 { size * BigInt::from(5u8).pow(power) } else { size << power };
        Some(Decimal::new(if value < 0.0 { -size } else { size }, i64::from(exponent.min(0).unsigned_abs())))
    }

    /// The unscaled value.
    pub fn unscaled(&self) -> &BigInt {
        &self.unscaled
    }

    /// Digits after the point (negative: zeros before it).
    pub fn scale(&self) -> i64 {
        self.scale
    }

    /// Number of digits of the unscaled value.
    pub fn precision(&self) -> u64 {
        digits(&self.unscaled)
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        match self.unscaled.sign() {
            Sign::Minus => -1,
            Sign::NoSign => 0,
            Sign::Plus => 1,
        }
    }

    /// -x
    pub fn negate(&self) -> Self {
        Decimal { unscaled: -&self.unscaled, scale: self.scale }
    }

    fn at_scale(&self, scale: i64) -> Result<BigInt, TooManyDigits> {
        let shift = (scale - self.scale).unsigned_abs();
        if self.signum() == 0 {
            return Ok(BigInt::ZERO);
        }
        if shift + self.precision() > DIGITS_MAX {
            return Err(TooManyDigits);
        }
        Ok(&self.unscaled * pow10(shift))
    }

    fn aligned(&self, other: &Self) -> Result<(BigInt, BigInt, i64), TooManyDigits> {
        let scale = self.scale.max(other.scale);
        Ok((self.at_scale(scale)?, other.at_scale(scale)?, scale))
    }

    /// `a + b`
    pub fn add(&self, other: &Self) -> Result<Self, TooManyDigits> {
        let (a, b, scale) = self.aligned(other)?;
        Ok(Decimal { unscaled: a + b, scale })
    }

    /// `a - b`
    pub fn subtract(&self, other: &Self) -> Result<Self, TooManyDigits> {
        self.add(&other.negate())
    }

    /// `a * b`
    pub fn multiply(&self, other: &Self) -> Result<Self, TooManyDigits> {
        if self.precision() + other.precision() > DIGITS_MAX {
            return Err(TooManyDigits);
        }
        let scale = scale_in_range(self.scale.checked_add(other.scale))?;
        Ok(Decimal { unscaled: &self.unscaled * &other.unscaled, scale })
    }

    /// `a / b` as Groovy's `BigDecimalMath` does it; `b` is not zero.
    pub fn divide(&self, other: &Self) -> Result<Self, TooManyDigits> {
        if let Some(exact) = self.divide_exact(other)? {
            return Ok(exact);
        }
        let precision = self.precision().max(other.precision()) + 10;
        let result = self.divide_to_precision(other, precision)?;
        let scale = self.scale.max(other.scale).max(10);
        if result.scale > scale { result.set_scale(scale, Rounding::HalfUp) } else { Ok(result) }
    }

    /// The quotient where it has finitely many digits; `other` is not zero.
    pub fn divide_exact(&self, other: &Self) -> Result<Option<Self>, TooManyDigits> {
        let preferred = self.scale - other.scale;
        if self.signum() == 0 {
            return Ok(Some(Decimal { unscaled: BigInt::ZERO, scale: preferred }));
        }
        // Java: the exact quotient needs no more than this many digits.
        let limit = self.precision() + (10 * other.precision()).div_ceil(3);
        if limit > DIGITS_MAX {
            return Err(TooManyDigits);
        }
        let (mut scale, mut top) = (preferred, self.unscaled.clone());
        let gcd = gcd(&top, &other.unscaled);
        let mut bottom = &other.unscaled / &gcd;
        top /= &gcd;
        if bottom.sign() == Sign::Minus {
            (bottom, top) = (-bottom, -top);
        }
        let (two, five) = (BigInt::from(2), BigInt::from(5));
        for _ in 0..=limit {
            if bottom == BigInt::from(1) {
                return Ok(Some(Decimal { unscaled: top, scale }));
            }
            if (&bottom % 10u8) == BigInt::ZERO {
                bottom /= 10u8;
            } else if (&bottom % 2u8) == BigInt::ZERO {
                bottom /= &two;
                top *= &five;
            } else if (&bottom % 5u8) == BigInt::ZERO {
                bottom /= &five;
                top *= &two;
            } else {
                return Ok(None);
            }
            scale += 1;
        }
        Ok(None)
    }

    fn divide_to_precision(&self, other: &Self, precision: u64) -> Result<Self, TooManyDigits> {
        // Enough digits for the wanted precision and one more to round by.
        let shift = (precision + other.precision() + 2).saturating_sub(self.precision().min(precision)) + 1;
        if shift + self.precision() > DIGITS_MAX {
            return Err(TooManyDigits);
        }
        let top = &self.unscaled * pow10(shift);
        let (quotient, rest) = (&top / &other.unscaled, &top % &other.unscaled);
        // A rest that is not zero only matters for ties; one more digit keeps it visible.
        let sticky = BigInt::from(u8::from(rest != BigInt::ZERO));
        let signed = if quotient.sign() == Sign::Minus { quotient * 10u8 - sticky } else { quotient * 10u8 + sticky };
        let wide = Decimal { unscaled: signed, scale: self.scale - other.scale + shift as i64 + 1 };
        let excess = wide.precision().saturating_sub(precision);
        let mut result = wide.set_scale(wide.scale - excess as i64, Rounding::HalfUp)?;
        if result.precision() > precision {
            result = result.set_scale(result.scale - 1, Rounding::HalfUp)?;
        }
        Ok(result)
    }

    /// Changes the number of digits after the point.
    pub fn set_scale(&self, scale: i64, rounding: Rounding) -> Result<Self, TooManyDigits> {
        if scale >= self.scale {
            return Ok(Decimal { unscaled: self.at_scale(scale)?, scale });
        }
        let drop = (self.scale - scale) as u64;
        if drop > self.precision() + 1 {
            let unscaled = match rounding {
                Rounding::Up if self.signum() != 0 => BigInt::from(self.signum()),
                Rounding::Floor if self.signum() < 0 => BigInt::from(-1),
                Rounding::Ceiling if self.signum() > 0 => BigInt::from(1),
                _ => BigInt::ZERO,
            };
            return Ok(Decimal { unscaled, scale });
        }
        match rounded(&self.unscaled, &pow10(drop), Some(rounding)) {
            Ok(unscaled) => Ok(Decimal { unscaled, scale }),
            Err(_) => Err(TooManyDigits),
        }
    }

    /// `a ** n` for n ≥ 0.
    pub fn pow(&self, n: u32) -> Result<Self, TooManyDigits> {
        if self.precision().saturating_mul(u64::from(n)) > DIGITS_MAX {
            return Err(TooManyDigits);
        }
        let scale = scale_in_range(self.scale.checked_mul(i64::from(n)))?;
        Ok(Decimal { unscaled: self.unscaled.pow(n), scale })
    }

    /// Without the zeros at the end.
    pub fn strip_trailing_zeros(&self) -> Self {
        if self.signum() == 0 {
            return Decimal { unscaled: BigInt::ZERO, scale: 0 };
        }
        let mut out = self.clone();
        while (&out.unscaled % 10u8) == BigInt::ZERO {
            out.unscaled /= 10u8;
            out.scale -= 1;
        }
        out
    }

    /// Times ten to the power of `-places`.
    pub fn moved(&self, places: i64) -> Result<Self, TooManyDigits> {
        let scale = scale_in_range(self.scale.checked_add(places))?;
        Ok(Decimal { unscaled: self.unscaled.clone(), scale })
    }

    /// The digits before the point.
    pub fn to_bigint(&self) -> Result<BigInt, TooManyDigits> {
        Ok(self.set_scale(0, Rounding::Down)?.unscaled)
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        format!("{}e{}", self.unscaled, -self.scale).parse().unwrap_or(f64::NAN)
    }

    /// Numeric order, whatever the scales.
    pub fn compare(&self, other: &Self) -> Ordering {
        match self.signum().cmp(&other.signum()) {
            Ordering::Equal => {}
            order => return order,
        }
        if self.signum() == 0 {
            return Ordering::Equal;
        }
        // Compare by magnitude first: scales may be far apart.
        let (a, b) = (self.precision() as i64 - self.scale, other.precision() as i64 - other.scale);
        let by_size = a.cmp(&b);
        if by_size != Ordering::Equal {
            return if self.signum() > 0 { by_size } else { by_size.reverse() };
        }
        match self.aligned(other) {
            Ok((a, b, _)) => a.cmp(&b),
            Err(TooManyDigits) => Ordering::Equal,
        }
    }

    /// `toPlainString()`
    pub fn plain(&self) -> Result<String, TooManyDigits> {
        if self.scale.unsigned_abs() + self.precision() > DIGITS_MAX {
            return Err(TooManyDigits);
        }
        if self.scale <= 0 {
            return Ok(self.at_scale(0)?.to_string());
        }
        let digits = self.unscaled.magnitude().to_string();
        let scale = self.scale as usize;
        let digits = padded(&digits, scale + 1, '0');
        let point = digits.len() - scale;
        let sign = if self.signum() < 0 { "-" } else { "" };
        Ok(format!("{sign}{}.{}", &digits[..point], &digits[point..]))
    }
}

/// How a digit that is dropped is rounded; Java's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is java.math.RoundingMode's constant of that name")]
pub enum Rounding {
    Up,
    Down,
    Floor,
    Ceiling,
    HalfUp,
    HalfDown,
    HalfEven,
}

/// What is before the point of a number, exactly; `None` where it is not finite.
pub(crate) fn whole(n: f64) -> Option<BigInt> {
    if !n.is_finite() {
        return None;
    }
    let bits = n.abs().to_bits();
    let exponent = (bits >> 52) as i32 - 1075;
    let mantissa = BigInt::from(bits & ((1 << 52) - 1) | 1 << 52);
    // Of a fraction nothing is left, and so of what is too small for the bit that the others do not write.
    let size = if exponent < 0 { mantissa >> exponent.unsigned_abs() } else { mantissa << exponent.unsigned_abs() };
    Some(if n < 0.0 { -size } else { size })
}

/// Number of decimal digits (1 for zero).
pub fn digits(n: &BigInt) -> u64 {
    let bits = n.bits();
    if bits < 60 {
        let small = n.iter_u64_digits().next().unwrap_or(0);
        return small.checked_ilog10().map_or(1, |d| u64::from(d) + 1);
    }
    // The logarithm of the highest words says it, unless it is next to a whole number.
    let mut words = n.iter_u64_digits().rev();
    let (high, low) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
    let top = high as f64 * 18_446_744_073_709_551_616.0 + low as f64;
    let words = bits.div_ceil(64);
    let log = top.log10() + words.saturating_sub(2) as f64 * 64.0 * std::f64::consts::LOG10_2;
    if bits > 128 && (1e-6..1.0 - 1e-6).contains(&log.fract()) {
        return log as u64 + 1;
    }
    n.magnitude().to_string().len() as u64
}

/// The greatest number that divides both.
pub(crate) fn gcd(a: &BigInt, b: &BigInt) -> BigInt {
    let (mut a, mut b) = (BigInt::from(a.magnitude().clone()), BigInt::from(b.magnitude().clone()));
    while b != BigInt::ZERO {
        (a, b) = (b.clone(), a % b);
    }
    a
}

impl fmt::Display for Decimal {
    /// Java's `toString()`: plain where the exponent is small, scientific else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.magnitude().to_string();
        let exponent = -self.scale + digits.len() as i64 - 1;
        if self.scale >= 0 && exponent >= -6 {
            return match self.plain() {
                Ok(text) => f.write_str(&text),
                Err(TooManyDigits) => f.write_str(&digits),
            };
        }
        let sign = if self.signum() < 0 { "-" } else { "" };
        let point = if digits.len() > 1 { "." } else { "" };
        let plus = if exponent >= 0 { "+" } else { "" };
        write!(f, "{sign}{}{point}{}", &digits[..1], &digits[1..])?;
        if exponent != 0 { write!(f, "E{plus}{exponent}") } else { Ok(()) }
    }
}
