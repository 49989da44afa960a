//! `String.format`: `%[n$][flags][width][.precision]conversion`.

use crate::machine::{Ctx, Fault};
use crate::value::decimal::Rounding;
use crate::value::text::{filling, padded};
use crate::value::{Decimal, Value, to_decimal, to_f64};

#[derive(Default)]
struct Spec {
    position: Option<usize>,
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
    /// What of a date: `%tF`.
    of_date: Option<char>,
    /// `%<s`: the value that was written before.
    again: bool,
}

/// Formats; a single list or array gives the values (`sprintf`).
pub(crate) fn format_list(ctx: &mut Ctx<'_>, template: &str, values: &[Value]) -> Result<Value, Fault> {
    match values {
        [Value::List(l)] => format(ctx, template, &l.snapshot()),
        other => format(ctx, template, other),
    }
}

/// Formats; a single array gives the values (`String.format`).
pub(crate) fn format(ctx: &mut Ctx<'_>, template: &str, values: &[Value]) -> Result<Value, Fault> {
    let listed;
    let values = match values {
        [Value::List(l)] if l.is_array() => {
            listed = l.snapshot();
            &listed[..]
        }
        other => other,
    };
    let (mut out, mut next, mut last) = (String::new(), 0, 0);
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let spec = parse(&mut chars);
        match spec.conversion {
            '%' => out.push_str(&pad("%".into(), &spec)),
            'n' => out.push('\n'),
            _ => {
                let at = if spec.again { last } else { spec.position.map_or(next, |p| p - 1) };
                next += usize::from(spec.position.is_none() && !spec.again);
                last = at;
                let Some(value) = values.get(at) else {
                    let message = format!("Format specifier '%{}'", spec.conversion);
                    return Err(ctx.fail("java.util.MissingFormatArgumentException", message));
                };
                ctx.room(spec.width.max(spec.precision.unwrap_or(0)))?;
                let text = one(ctx, &spec, value)?;
                out.push_str(&pad(text, &spec));
            }
        }
        ctx.room(out.len())?;
    }
    ctx.new_str(out)
}

fn parse(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Spec {
    let mut spec = Spec::default();
    let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut n: Option<usize> = None;
        while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
            n = Some(n.unwrap_or(0).saturating_mul(10).saturating_add(d as usize));
            chars.next();
        }
        n
    };
    spec.again = chars.next_if(|c| *c == '<').is_some();
    while let Some(f) = chars.peek().copied().filter(|c| "-#+ 0,(".contains(*c)) {
        spec.flags.push(f);
        chars.next();
    }
    let width = number(chars);
    if chars.peek() == Some(&'$') {
        chars.next();
        spec.position = width.filter(|p| *p > 0);
        while let Some(f) = chars.peek().copied().filter(|c| "-#+ 0,(".contains(*c)) {
            spec.flags.push(f);
            chars.next();
        }
        spec.width = number(chars).unwrap_or(0);
    } else {
        spec.width = width.unwrap_or(0);
    }
    if chars.peek() == Some(&'.') {
        chars.next();
        spec.precision = number(chars);
    }
    spec.conversion = chars.next().unwrap_or('%');
    if matches!(spec.conversion, 't' | 'T') {
        spec.of_date = chars.next();
    }
    spec
}

fn one(ctx: &mut Ctx<'_>, spec: &Spec, value: &Value) -> Result<String, Fault> {
    let wrong = |ctx: &Ctx<'_>| {
        let message = format!("{} != {}", spec.conversion, value.type_name());
        ctx.fail("java.util.IllegalFormatConversionException", message)
    };
    let text = match spec.conversion {
        's' | 'S' => {
            let text = ctx.styled(value, crate::value::render::Style::Java)?;
            match spec.precision {
                Some(p) => text.chars().take(p).collect(),
                None => text,
            }
        }
        't' | 'T' if value.is_null() => "null".into(),
        't' | 'T' => {
            // The letters that Java shares with `date(1)`, as patterns.
            let pattern = match spec.of_date {
                Some('F') => "yyyy-MM-dd",
                Some('T') => "HH:mm:ss",
                Some('R') => "HH:mm",
                Some('D') => "MM/dd/yy",
                Some('r') => "hh:mm:ss a",
                Some('c') => "EEE MMM dd HH:mm:ss zzz yyyy",
                Some('Y') => "yyyy",
                Some('y') => "yy",
                Some('m') => "MM",
                Some('B') => "MMMM",
                Some('b' | 'h') => "MMM",
                Some('d') => "dd",
                Some('e') => "d",
                Some('A') => "EEEE",
                Some('a') => "EEE",
                Some('j') => "DDD",
                Some('H') => "HH",
                Some('k') => "H",
                Some('I') => "hh",
                Some('l') => "h",
                Some('M') => "mm",
                Some('S') => "ss",
                Some('L') => "SSS",
                Some('Z') => "zzz",
                Some('z') => "Z",
                Some('p') => "a",
                _ => return Err(ctx.fail("java.util.UnknownFormatConversionException", "Conversion = 't'")),
            };
            let date = match value {
                Value::Long(_) => {
                    let class = ctx.world.java_class("java.util.Date");
                    super::construct::java(ctx, &class, std::slice::from_ref(value))?.unwrap_or_default()
                }
                other => other.clone(),
            };
            match super::method(ctx, &date, "format", &[Value::str(pattern)])? {
                Some(text) => text.to_text(),
                None => return Err(wrong(ctx)),
            }
        }
        'd' if value.is_null() => "null".into(),
        'd' => {
            if !matches!(value, Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::BigInt(_)) {
                return Err(wrong(ctx));
            }
            signed(value.to_text(), spec)
        }
        'x' | 'X' | 'o' => {
            let bits = match value {
                Value::Byte(n) => u64::from(*n as u8),
                Value::Short(n) => u64::from(*n as u16),
                Value::Int(n) => u64::from(*n as u32),
                Value::Long(n) => *n as u64,
                Value::BigInt(n) => {
                    let digits = n.to_str_radix(if spec.conversion == 'o' { 8 } else { 16 });
                    return Ok(zeros(if spec.conversion == 'X' { digits.to_uppercase() } else { digits }, spec));
                }
                _ => return Err(wrong(ctx)),
            };
            let digits = if spec.conversion == 'o' { format!("{bits:o}") } else { format!("{bits:x}") };
            zeros(digits, spec)
        }
        'f' | 'e' | 'E' | 'g' | 'G' => floating(ctx, spec, value)?.ok_or_else(|| wrong(ctx))?,
        'b' | 'B' => {
            if let Value::Bool(b) = value {
                b.to_string()
            } else {
                (!value.is_null()).to_string()
            }
        }
        'c' => match value {
            Value::Byte(_) | Value::Short(_) | Value::Int(_) => Value::unit_text(value.as_i64().unwrap_or(0) as u16),
            other => ctx.text(other)?,
        },
        'h' => format!("{:x}", crate::value::hash::hash_code(value)),
        other => {
            return Err(ctx.fail("java.util.UnknownFormatConversionException", format!("Conversion = '{other}'")));
        }
    };
    Ok(if spec.conversion.is_uppercase() { text.to_uppercase() } else { text })
}

/// As many digits behind the point as no double has.
const DIGITS_MAX: usize = 1100;

fn floating(ctx: &mut Ctx<'_>, spec: &Spec, value: &Value) -> Result<Option<String>, Fault> {
    if !matches!(value, Value::Double(_) | Value::Float(_) | Value::Decimal(_)) {
        return Ok(value.is_null().then(|| "null".into()));
    }
    let mut precision = spec.precision.unwrap_or(6);
    if matches!(spec.conversion, 'g' | 'G') {
        precision = precision.max(1);
        if let Some(text) = general(spec, value, precision)? {
            return Ok(Some(text));
        }
        precision -= 1;
    }
    if spec.conversion != 'f' {
        let number = to_f64(value).unwrap_or(f64::NAN);
        // A double has fewer digits than this, and the standard library panics beyond 65,535.
        let text = format!("{:.*e}", precision.min(DIGITS_MAX), number);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        let zeros = "0".repeat(precision.saturating_sub(DIGITS_MAX));
        return Ok(Some(format!("{mantissa}{zeros}e{sign}{:02}", exponent.abs())));
    }
    let _ = ctx;
    Ok(Some(match to_decimal(value) {
        Some(d) => {
            let rounded = super::numbers::digits(d.set_scale(precision as i64, Rounding::HalfUp))?;
            signed(super::numbers::digits(rounded.plain())?, spec)
        }
        None => value.to_text(),
    }))
}

/// A number with that many digits in all, where it is neither very small nor has more before the point.
fn general(spec: &Spec, value: &Value, precision: usize) -> Result<Option<String>, Fault> {
    let Some(number) = to_decimal(value) else { return Ok(Some(value.to_text())) };
    let precision = precision as i64;
    // The place of the first digit: 0 is that before the point.
    let first = |n: &Decimal| n.precision() as i64 - 1 - n.scale();
    let zero = number.signum() == 0;
    let mut places = if zero { precision - 1 } else { precision - 1 - first(&number) };
    let mut rounded = super::numbers::digits(number.set_scale(places, Rounding::HalfUp))?;
    if !zero {
        let at = first(&rounded);
        if at < -4 || at >= precision {
            return Ok(None);
        }
        places = precision - 1 - at;
        rounded = super::numbers::digits(rounded.set_scale(places, Rounding::HalfUp))?;
    }
    Ok(Some(signed(super::numbers::digits(rounded.plain())?, spec)))
}

/// Sign, grouping and zeros of a decimal number.
fn signed(text: String, spec: &Spec) -> String {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.to_string()),
        None => (false, text),
    };
    let digits = if spec.flags.contains(',') { grouped(&digits) } else { digits };
    let sign = match negative {
        true if spec.flags.contains('(') => "(",
        true => "-",
        false if spec.flags.contains('+') => "+",
        false if spec.flags.contains(' ') => " ",
        false => "",
    };
    let close = if sign == "(" { ")" } else { "" };
    let body = if spec.flags.contains('0') {
        padded(&digits, spec.width.saturating_sub(sign.len() + close.len()), '0')
    } else {
        digits
    };
    format!("{sign}{body}{close}")
}

fn grouped(digits: &str) -> String {
    let (whole, fraction) = digits.find('.').map_or((digits, ""), |i| digits.split_at(i));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    out + fraction
}

fn zeros(digits: String, spec: &Spec) -> String {
    let width = if spec.flags.contains('0') { spec.width } else { 0 };
    let prefix = match (spec.flags.contains('#'), spec.conversion) {
        (true, 'o') => "0",
        (true, _) => "0x",
        _ => "",
    };
    format!("{prefix}{}", padded(&digits, width.saturating_sub(prefix.len()), '0'))
}

fn pad(text: String, spec: &Spec) -> String {
    let spaces = filling(&text, spec.width, ' ');
    if spec.flags.contains('-') { text + &spaces } else { spaces + &text }
}
