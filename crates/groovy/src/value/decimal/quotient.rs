//! Decimals that are rounded and divided as they are told to: to a scale or to a number of digits, in a way of rounding.
//!
//! Source: `java.math.BigDecimal`, also for the scale that a result has. Without a way of rounding nothing may be lost
//! (`RoundingMode.UNNECESSARY`).

use num_bigint::{BigInt, Sign};

use super::{DIGITS_MAX, Decimal, Rounding, TooManyDigits, pow10};

/// Why there is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inexact {
    /// See [`TooManyDigits`].
    Digits,
    /// Something would be lost, and nothing may be.
    Rounding,
}

impl From<TooManyDigits> for Inexact {
    fn from(_: TooManyDigits) -> Self {
        Inexact::Digits
    }
}

/// `top / bottom` as a whole number; `bottom` is not zero.
pub(super) fn rounded(top: &BigInt, bottom: &BigInt, way: Option<Rounding>) -> Result<BigInt, Inexact> {
    let (quotient, rest) = (top / bottom, top % bottom);
    if rest == BigInt::ZERO {
        return Ok(quotient);
    }
    let negative = (top.sign() == Sign::Minus) != (bottom.sign() == Sign::Minus);
    let half = (rest.magnitude() * 2u8).cmp(bottom.magnitude());
    let away = match way.ok_or(Inexact::Rounding)? {
        Rounding::Up => true,
        Rounding::Down => false,
        Rounding::Floor => negative,
        Rounding::Ceiling => !negative,
        Rounding::HalfUp => half.is_ge(),
        Rounding::HalfDown => half.is_gt(),
        Rounding::HalfEven => half.is_gt() || half.is_eq() && (&quotient % 2u8) != BigInt::ZERO,
    };
    Ok(if away { quotient + if negative { -1 } else { 1 } } else { quotient })
}

impl Decimal {
    /// With so many digits behind the point.
    pub fn at(&self, scale: i64, way: Option<Rounding>) -> Result<Self, Inexact> {
        let result = self.set_scale(scale, way.unwrap_or(Rounding::Down))?;
        if way.is_none() && result.compare(self).is_ne() { Err(Inexact::Rounding) } else { Ok(result) }
    }

    /// With no more than so many digits in all; 0: as many as it has.
    pub fn round(&self, digits: u64, way: Option<Rounding>) -> Result<Self, Inexact> {
        let mut result = self.clone();
        // Rounding up may make one digit more.
        while digits > 0 && result.precision() > digits {
            let drop = result.precision() - digits;
            result = result.at(result.scale() - drop as i64, way)?;
        }
        Ok(result)
    }

    /// `a / b` with so many digits behind the point.
    pub fn divide_at(&self, other: &Self, scale: i64, way: Option<Rounding>) -> Result<Self, Inexact> {
        let shift = scale + other.scale() - self.scale();
        if shift.unsigned_abs() + self.precision() + other.precision() > DIGITS_MAX {
            return Err(Inexact::Digits);
        }
        let by = pow10(shift.unsigned_abs());
        let unscaled = match shift {
            0.. => rounded(&(self.unscaled() * by), other.unscaled(), way)?,
            _ => rounded(self.unscaled(), &(other.unscaled() * by), way)?,
        };
        Ok(Decimal::new(unscaled, scale))
    }

    /// `a / b` with no more than so many digits in all.
    pub fn divide_to(&self, other: &Self, digits: u64, way: Option<Rounding>) -> Result<Self, Inexact> {
        let preferred = self.scale() - other.scale();
        if self.signum() == 0 {
            return Ok(Decimal::new(BigInt::ZERO, preferred));
        }
        if digits > DIGITS_MAX {
            return Err(Inexact::Digits);
        }
        let (a, b) = (self.precision() as i64, other.precision() as i64);
        // Digits before the point: one more where the first number begins with more than the other does.
        let begins = Decimal::new(BigInt::from(self.unscaled().magnitude().clone()), a);
        let more = begins.compare(&Decimal::new(BigInt::from(other.unscaled().magnitude().clone()), b)).is_gt();
        let scale = preferred + digits as i64 - (a - b + i64::from(more));
        let exact = self.divide_at(other, scale, None);
        match exact {
            Ok(exact) => exact.stripped_to(preferred).round(digits, way),
            Err(Inexact::Rounding) => self.divide_at(other, scale, way)?.round(digits, way),
            Err(Inexact::Digits) => Err(Inexact::Digits),
        }
    }

    /// `a / b` without what is behind its point.
    pub fn divide_whole(&self, other: &Self) -> Result<Self, TooManyDigits> {
        let preferred = self.scale() - other.scale();
        let (a, b, _) = self.aligned(other)?;
        let whole = Decimal::new(a / b, 0);
        match whole.signum() {
            0 => Ok(Decimal::new(BigInt::ZERO, preferred)),
            _ if preferred > 0 => whole.set_scale(preferred, Rounding::Down),
            _ => Ok(whole.stripped_to(preferred)),
        }
    }

    /// Without zeros at the end, as long as the scale is greater than this.
    fn stripped_to(mut self, scale: i64) -> Self {
        while self.scale() > scale && (self.unscaled() % 10u8) == BigInt::ZERO {
            self = Decimal::new(self.unscaled() / 10u8, self.scale() - 1);
        }
        self
    }

    /// `a ** n` with no more than so many digits in all; `None`: Java refuses it.
    pub fn pow_to(&self, n: i32, digits: u64, way: Option<Rounding>) -> Result<Option<Self>, Inexact> {
        let count = n.unsigned_abs();
        let length = u64::from(count.checked_ilog10().map_or(0, |log| log + 1));
        if count > 999_999_999 || length > digits {
            return Ok(None);
        }
        let work = digits + length + 1;
        let one = Decimal::new(BigInt::from(1), 0);
        let mut result = one.clone();
        for bit in (0..32 - count.leading_zeros()).rev() {
            result = result.multiply(&result)?.round(work, way)?;
            if count >> bit & 1 == 1 {
                result = result.multiply(self)?.round(work, way)?;
            }
        }
        if n < 0 {
            result = one.divide_to(&result, work, way)?;
        }
        result.round(digits, way).map(Some)
    }
}
