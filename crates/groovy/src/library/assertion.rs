//! What a failed `assert` says: its text with the values of its parts below them, as Groovy draws them.

use crate::machine::{Ctx, Fault};
use crate::value::Value;

/// Longest text of one value; the rest is cut.
const VALUE_MAX: usize = 4096;

/// The message: `text`, and the values of `recorded` (column, value, column, value …).
pub(crate) fn picture(ctx: &mut Ctx<'_>, text: &str, recorded: &[Value]) -> Result<String, Fault> {
    let mut values: Vec<(usize, String)> = Vec::new();
    for pair in recorded.chunks(2) {
        let [Value::Int(column), value] = pair else { continue };
        let column = (*column).max(1) as usize;
        let shown = shown(ctx, value)?;
        // Of two values at one place the later one counts.
        match values.iter_mut().find(|(c, _)| *c == column) {
            Some(before) => before.1 = shown,
            None => values.push((column, shown)),
        }
    }
    ctx.pay(values.iter().map(|(_, t)| t.len()).sum::<usize>() / 16 + values.len() * values.len())?;
    values.sort_by_key(|(column, _)| std::cmp::Reverse(*column));
    let mut lines: Vec<Vec<char>> = vec![text.chars().collect(), Vec::new()];
    let mut starts = vec![0usize, 0];
    'values: for (column, shown) in &values {
        let parts: Vec<&str> = shown.split(['\n']).map(|l| l.trim_end_matches('\r')).collect();
        let end = if parts.len() == 1 { column + parts[0].chars().count() } else { usize::MAX };
        for line in 1..lines.len() {
            if end < starts[line] {
                place(&mut lines[line], parts[0], *column);
                starts[line] = *column;
                continue 'values;
            }
            place(&mut lines[line], "|", *column);
            // The first line has no values.
            if line > 1 {
                starts[line] = column + 1;
            }
        }
        for part in parts {
            let mut line = Vec::new();
            place(&mut line, part, *column);
            lines.push(line);
            starts.push(*column);
        }
    }
    let lines: Vec<String> = lines.into_iter().map(|l| l.into_iter().collect()).collect();
    Ok(lines.join("\n"))
}

/// Writes a text at a column (from 1) over what is there.
fn place(line: &mut Vec<char>, text: &str, column: usize) {
    while line.len() < column {
        line.push(' ');
    }
    let text: Vec<char> = text.chars().collect();
    let end = (column - 1 + text.len()).min(line.len());
    line.splice(column - 1..end, text);
}

fn shown(ctx: &mut Ctx<'_>, value: &Value) -> Result<String, Fault> {
    let mut text = ctx.text(value)?;
    if text.is_empty() && value.is_text() {
        return Ok("\"\"".into());
    }
    if text.is_empty() {
        return Ok(format!("{}@1 (toString() == \"\")", value.type_name()));
    }
    if text.len() > VALUE_MAX {
        let cut = (0..=VALUE_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("...");
    }
    Ok(text)
}

/// Whether an assertion with this message is one without.
pub(crate) fn is_nothing(message: &Value) -> bool {
    message.is_null() || matches!(message, Value::Str(text) if text.is_empty())
}

/// The message of an assertion that has one of its own: it, the condition in words, the values of its variables (name, value, …).
pub(crate) fn sentence(ctx: &mut Ctx<'_>, message: &Value, words: &str, variables: &[Value]) -> Result<String, Fault> {
    if is_nothing(message) {
        return Ok(words.to_string());
    }
    let mut out = format!("{}. Expression: {words}", ctx.text(message)?);
    for (i, pair) in variables.chunks(2).enumerate() {
        let [name, value] = pair else { continue };
        out.push_str(if i == 0 { ". Values: " } else { ", " });
        let value = ctx.styled(value, crate::value::render::Style::Java)?;
        out.push_str(&format!("{} = {value}", ctx.text(name)?));
        ctx.room(out.len())?;
    }
    Ok(out)
}
