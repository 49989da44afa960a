//! What a plain scalar of YAML 1.1 is: Jenkins reads that version, in which `yes` is true, `010` is eight and `1:30` is ninety.

use groovy::value::Value;

use super::yaml_date;
use crate::engine::values;

/// The value of a scalar without quotes and tag.
///
/// Source: the implicit resolvers of SnakeYAML.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    let date = || yaml_date::read(text).map(Value::date);
    integer(text).or_else(|| float(text)).or_else(date).unwrap_or_else(|| values::text(text))
}

/// A whole number.
pub(super) fn integer(text: &str) -> Option<Value> {
    let (is_negative, digits) = sign(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = digits.replace('_', "");
    let number = match plain.strip_prefix('0') {
        Some("") => 0,
        Some(rest) => match (rest.strip_prefix('b'), rest.strip_prefix('x')) {
            (Some(rest), _) => radix(rest, 2)?,
            (_, Some(rest)) => radix(rest, 16)?,
            _ => radix(rest, 8)?,
        },
        None if plain.contains(':') => sixties(&plain)?,
        None => match radix(&plain, 10) {
            Some(number) => number,
            None => return big(&plain, is_negative),
        },
    };
    let number = if is_negative { -number } else { number };
    i64::try_from(number).ok().map(values::int).or_else(|| big(&plain, is_negative))
}

/// A number with a point, or a power of ten.
pub(super) fn float(text: &str) -> Option<Value> {
    let (is_negative, digits) = sign(text);
    let signed = |number: f64| Value::Double(if is_negative { -number } else { number });
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(signed(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if digits.len() == text.len() => return Some(Value::Double(f64::NAN)),
        _ => {}
    }
    let plain = digits.replace('_', "");
    let is_number = plain.starts_with(|c: char| c.is_ascii_digit())
        || plain.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let known = |b: u8| b.is_ascii_digit() || b".eE+-".contains(&b);
    (is_number && plain.bytes().all(known) && plain.contains(['.', 'e', 'E']))
        .then(|| plain.parse().ok().map(signed))?
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn radix(digits: &str, radix: u32) -> Option<i128> {
    let is_plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) && digits.len() < 38;
    is_plain.then(|| i128::from_str_radix(digits, radix).ok())?
}

/// `1:30:00`: each part counts sixty of the next.
fn sixties(digits: &str) -> Option<i128> {
    let mut parts = digits.split(':');
    let mut sum = radix(parts.next()?, 10)?;
    for part in parts {
        let part = radix(part, 10).filter(|part| *part < 60)?;
        sum = sum.checked_mul(60)?.checked_add(part)?;
    }
    Some(sum)
}

fn big(digits: &str, is_negative: bool) -> Option<Value> {
    let is_plain = digits.len() <= 400 && digits.bytes().all(|b| b.is_ascii_digit());
    let decimal = is_plain.then(|| groovy::value::Decimal::parse(digits))??;
    let decimal = if is_negative { decimal.negate() } else { decimal };
    decimal.to_bigint().ok().map(Value::big)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars() {
        for (text, ty, expect) in [
            ("yes", "java.lang.Boolean", "true"),
            ("Off", "java.lang.Boolean", "false"),
            ("010", "java.lang.Integer", "8"),
            ("0x1F", "java.lang.Integer", "31"),
            ("-0b11", "java.lang.Integer", "-3"),
            ("1_000", "java.lang.Integer", "1000"),
            ("1:30", "java.lang.Integer", "90"),
            ("3000000000", "java.lang.Long", "3000000000"),
            ("99999999999999999999", "java.math.BigInteger", "99999999999999999999"),
            ("1.10", "java.lang.Double", "1.1"),
            ("-.5", "java.lang.Double", "-0.5"),
            ("1e3", "java.lang.Double", "1000.0"),
            (".inf", "java.lang.Double", "Infinity"),
            ("1.2.3", "java.lang.String", "1.2.3"),
            ("089", "java.lang.String", "089"),
            ("2024-01-01", "java.util.Date", "Mon Jan 01 00:00:00 UTC 2024"),
            ("2024-01", "java.lang.String", "2024-01"),
            ("-", "java.lang.String", "-"),
            ("10:75", "java.lang.String", "10:75"),
            ("y", "java.lang.String", "y"),
            ("~", "null", "null"),
        ] {
            let value = resolve(text);
            assert_eq!((value.type_name().as_str(), value.to_text().as_str()), (ty, expect), "{text}");
        }
    }
}
