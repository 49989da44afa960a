//! The values of numbers.

use super::Parser;
use crate::ast::{Constant, Text};
use crate::span::Span;

impl Parser<'_> {
    /// The value of the number at `index`, with a minus sign in front if `negative`: the sign belongs to the number,
    /// so that `-2147483648` is an int.
    pub(super) fn number(&mut self, index: usize, negative: bool) -> Constant {
        let span = self.token_span(index);
        let token = self.tokens[index];
        let text = self.text[token.start as usize..token.end as usize].replace('_', "");
        let value = integer(&text, negative).or_else(|| decimal(&text, negative));
        value.unwrap_or_else(|| self.bad_number(span, &text))
    }

    fn bad_number(&mut self, span: Span, text: &str) -> Constant {
        self.report(span, format!("the number {text} is out of range"), None);
        Constant::Int(0)
    }
}

/// `None` if the number has a point, an exponent or a suffix of its kind.
fn integer(text: &str, negative: bool) -> Option<Constant> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'0'..=b'9', ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let (digits, suffix) = match digits.as_bytes().last()? {
        b'i' | b'l' | b'g' => digits.split_at(digits.len() - 1),
        _ => (digits, ""),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let value = i128::from_str_radix(&format!("{sign}{digits}"), radix).ok();
    Some(match (suffix, value) {
        // Java's `intValue` and `longValue`: the low bits.
        ("i", Some(value)) => Constant::Int(value as i32),
        ("l", Some(value)) => Constant::Long(value as i64),
        ("", Some(value)) if i32::try_from(value).is_ok() => Constant::Int(value as i32),
        ("", Some(value)) if i64::try_from(value).is_ok() => Constant::Long(value as i64),
        (_, Some(value)) => Constant::BigInt(Text::from(value.to_string())),
        ("i" | "l", None) => return None,
        (_, None) => Constant::BigInt(Text::from(format!("{sign}{}", decimal_digits(digits, radix)))),
    })
}

/// Digits of any radix as decimal digits.
fn decimal_digits(digits: &str, radix: u32) -> String {
    if radix == 10 {
        let trimmed = digits.trim_start_matches('0');
        return if trimmed.is_empty() { "0".into() } else { trimmed.into() };
    }
    // Little-endian groups of nine decimal digits.
    let mut groups: Vec<u64> = vec![0];
    for c in digits.chars() {
        let mut carry = u64::from(c.to_digit(radix).unwrap_or(0));
        for group in &mut groups {
            let value = *group * u64::from(radix) + carry;
            *group = value % 1_000_000_000;
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    let mut text = groups.last().unwrap_or(&0).to_string();
    for group in groups.iter().rev().skip(1) {
        text.push_str(&format!("{group:09}"));
    }
    text
}

/// A number with a point, an exponent or a suffix `f`, `d`, `g`. `None` if it does not fit its type.
fn decimal(text: &str, negative: bool) -> Option<Constant> {
    let sign = if negative { "-" } else { "" };
    let (digits, suffix) = match text.as_bytes().last()? {
        b'f' | b'F' | b'd' | b'D' | b'g' | b'G' => text.split_at(text.len() - 1),
        _ => (text, ""),
    };
    let signed = format!("{sign}{digits}");
    match suffix {
        // Groovy's `-0.0d` is the zero without a sign.
        "f" | "F" => signed.parse::<f32>().ok().filter(|f| f.is_finite()).map(|f| Constant::Float(f + 0.0)),
        "d" | "D" => signed.parse::<f64>().ok().filter(|d| d.is_finite()).map(|d| Constant::Double(d + 0.0)),
        _ => Some(Constant::Decimal(Text::from(signed))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Constant) {
        let negative = text.starts_with('-');
        let text = text.trim_start_matches('-').replace('_', "");
        assert_eq!(integer(&text, negative).or_else(|| decimal(&text, negative)), Some(expect), "{text}");
    }

    #[test]
    fn integers() {
        check("0", Constant::Int(0));
        check("1_000", Constant::Int(1000));
        check("2147483647", Constant::Int(i32::MAX));
        check("2147483648", Constant::Long(2_147_483_648));
        check("-2147483648", Constant::Int(i32::MIN));
        check("9223372036854775808", Constant::BigInt("9223372036854775808".into()));
        check("-9223372036854775808", Constant::Long(i64::MIN));
        check("0x1F", Constant::Int(31));
        check("0xFFFFFFFF", Constant::Long(0xFFFF_FFFF));
        check("0xFFFFFFFFi", Constant::Int(-1));
        check("017", Constant::Int(15));
        check("0b1010", Constant::Int(10));
        check("0L", Constant::Long(0));
        check("3G", Constant::BigInt("3".into()));
        check(
            "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
            Constant::BigInt("5444517870735015415413993718908291383295".into()),
        );
        check(
            "1000000000000000000000000000000000000000000",
            Constant::BigInt("1000000000000000000000000000000000000000000".into()),
        );
    }

    #[test]
    fn decimals() {
        check("1.50", Constant::Decimal("1.50".into()));
        check("-1.5g", Constant::Decimal("-1.5".into()));
        check("1e3", Constant::Decimal("1e3".into()));
        check("1.5f", Constant::Float(1.5));
        check("2d", Constant::Double(2.0));
        check("007.5", Constant::Decimal("007.5".into()));
        assert_eq!(decimal("1e999d", false), None);
    }
}
