//! `DecimalFormat`, `NumberFormat` and `MessageFormat`, as in English.

use std::rc::Rc;

use super::{object, set};
use crate::library::{Answer, convert, decimals, numbers, yes};
use crate::machine::{Ctx, Fault};
use crate::value::decimal::Rounding;
use crate::value::text::padded;
use crate::value::{Class, Decimal, Java, NumberPattern, Object, Str, Value, is_number, to_decimal};

/// Most digits behind the point.
const DIGITS_MAX: usize = 340;

fn parse(pattern: &str) -> NumberPattern {
    // What follows `;` is for negative numbers, which get a minus here.
    let pattern = pattern.split(';').next().unwrap_or("");
    let is_digit = |c: char| "0#,.".contains(c);
    let start = pattern.find(is_digit).unwrap_or(pattern.len());
    let end = pattern.rfind(is_digit).map_or(start, |at| at + 1);
    let (whole, fraction) = pattern[start..end].split_once('.').unwrap_or((&pattern[start..end], ""));
    let suffix = &pattern[end..];
    let group = whole.rfind(',').map_or(0, |at| whole.len() - at - 1);
    NumberPattern {
        prefix: Str::new(pattern[..start].replace('\'', "").replace('¤', "$")),
        suffix: Str::new(suffix.replace('\'', "").replace('¤', "$")),
        least_whole: whole.matches('0').count(),
        least_fraction: fraction.matches('0').count(),
        most_fraction: fraction.len().min(DIGITS_MAX),
        group,
        shift: if suffix.contains('%') {
            2
        } else if suffix.contains('‰') {
            3
        } else {
            0
        },
        rounding: Str::new("HALF_EVEN"),
    }
}

pub(super) fn construct(ctx: &mut Ctx<'_>, args: &[Value]) -> Answer {
    let pattern = args.first().map_or(Ok("#,##0.###".to_string()), |p| ctx.text(p))?;
    if pattern.len() > super::pattern::PATTERN_MAX {
        return Err(ctx.world.illegal("the pattern is too long"));
    }
    yes(object(ctx, "java.text.DecimalFormat", Java::NumberFormat(parse(&pattern))))
}

pub(super) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    if &*class.name == "java.text.MessageFormat" {
        return match (name, args) {
            ("format", [template, values @ ..]) => message(ctx, template, values).map(Some),
            _ => Ok(None),
        };
    }
    let pattern = match name {
        "getInstance" | "getNumberInstance" => "#,##0.###",
        "getIntegerInstance" => "#,##0",
        "getPercentInstance" => "#,##0%",
        "getCurrencyInstance" => "¤#,##0.00",
        _ => return Ok(None),
    };
    yes(object(ctx, "java.text.DecimalFormat", Java::NumberFormat(parse(pattern))))
}

fn rounding(name: &str) -> Rounding {
    decimals::way_of(name).flatten().unwrap_or(Rounding::HalfEven)
}

fn write(ctx: &Ctx<'_>, value: &Value, p: &NumberPattern) -> Result<String, Fault> {
    let number = match value {
        Value::Double(n) if !n.is_finite() => return Ok(if n.is_nan() { "NaN" } else { "∞" }.into()),
        other => to_decimal(other).filter(|_| is_number(other)),
    };
    let Some(number) = number else { return Err(ctx.world.illegal("Cannot format given Object as a Number")) };
    let shifted = Decimal::new(number.unscaled().clone(), number.scale() - i64::from(p.shift));
    let rounded = numbers::digits(shifted.set_scale(p.most_fraction as i64, rounding(&p.rounding)))?;
    let digits = rounded.unscaled().magnitude().to_string();
    let digits = padded(&digits, p.most_fraction + 1, '0');
    let (whole, fraction) = digits.split_at(digits.len() - p.most_fraction);
    let mut fraction = fraction.to_string();
    while fraction.len() > p.least_fraction && fraction.ends_with('0') {
        fraction.pop();
    }
    // `#.##` writes no zero before the point, unless there is nothing else.
    let whole = whole.trim_start_matches('0');
    let least = if fraction.is_empty() { p.least_whole.max(1) } else { p.least_whole };
    let whole = padded(whole, least, '0');
    let mut grouped = String::new();
    for (i, c) in whole.chars().enumerate() {
        if p.group > 0 && i > 0 && (whole.len() - i).is_multiple_of(p.group) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    let is_zero = rounded.signum() == 0;
    let sign = if rounded.signum() < 0 && !is_zero { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(format!("{sign}{}{grouped}{point}{fraction}{}", p.prefix.as_str(), p.suffix.as_str()))
}

pub(super) fn method(ctx: &mut Ctx<'_>, o: &Rc<Object>, pattern: &NumberPattern, name: &str, args: &[Value]) -> Answer {
    let mut p = pattern.clone();
    let n = convert::count(args.first()).min(DIGITS_MAX);
    match (name, args) {
        ("format", [value]) => {
            let text = write(ctx, value, pattern)?;
            return ctx.new_str(text).map(Some);
        }
        ("parse", [text]) => {
            let text = ctx.text(text)?;
            let plain: String = text
                .trim()
                .chars()
                .take_while(|c| c.is_ascii_digit() || ".,-".contains(*c))
                .filter(|c| *c != ',')
                .collect();
            let number = Decimal::parse(plain.trim_end_matches('.'));
            return match number.map(|n| (n.to_f64(), n)) {
                Some((_, n)) if n.scale() <= 0 => convert::to_type(ctx, &Value::decimal(n), "java.lang.Long", true),
                Some((n, _)) => yes(Value::Double(n)),
                None => Err(ctx.fail("java.text.ParseException", format!("Unparseable number: \"{text}\""))),
            };
        }
        ("setMaximumFractionDigits", [_]) => {
            p.most_fraction = n;
            p.least_fraction = p.least_fraction.min(n);
        }
        ("setMinimumFractionDigits", [_]) => {
            p.least_fraction = n;
            p.most_fraction = p.most_fraction.max(n);
        }
        ("setMinimumIntegerDigits", [_]) => p.least_whole = n,
        ("setGroupingUsed", [on]) => p.group = if on.truth() { p.group.max(3) } else { 0 },
        ("setRoundingMode", [mode]) => match decimals::name_of(mode) {
            Some(name) => p.rounding = name,
            None => return Ok(None),
        },
        ("getRoundingMode", []) => return decimals::constant(ctx, &p.rounding).map(Some),
        ("setDecimalFormatSymbols" | "setMaximumIntegerDigits" | "setParseBigDecimal", [_]) => {}
        _ => return Ok(None),
    }
    set(o, Java::NumberFormat(p));
    yes(Value::Null)
}

/// `MessageFormat.format('{0} of {1}', a, b)`
fn message(ctx: &mut Ctx<'_>, template: &Value, values: &[Value]) -> Result<Value, Fault> {
    let template = ctx.text(template)?;
    let (mut out, mut quoted) = (String::new(), false);
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                out.push('\'');
            }
            '\'' => quoted = !quoted,
            '{' if !quoted => {
                let inner: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let (index, kind) = inner.split_once(',').unwrap_or((&inner, ""));
                let index: usize = index
                    .trim()
                    .parse()
                    .map_err(|_| ctx.world.illegal("can't parse argument number: ".to_string() + &inner))?;
                match values.get(index) {
                    None => out += &format!("{{{index}}}"),
                    Some(value) if is_number(value) && !matches!(value, Value::Char(_)) => {
                        let pattern = match kind.split_once(',').map_or(kind, |(_, style)| style).trim() {
                            "" | "number" => "#,##0.###",
                            "integer" => "#,##0",
                            "percent" => "#,##0%",
                            other => other,
                        };
                        out += &write(ctx, value, &parse(pattern))?;
                    }
                    Some(value) => out += &ctx.text(value)?,
                }
            }
            c => out.push(c),
        }
        ctx.room(out.len())?;
    }
    ctx.new_str(out)
}
