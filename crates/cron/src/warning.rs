//! Lines that can be understood but are probably not what was meant. Those about load, every minute and short cycles are Jenkins'
//! (`hudson/scheduler/CronTab.java`, `checkSanity`); the others are about traps of the syntax itself.

use crate::Warning;
use crate::field::{Field, Set};
use crate::parse::{FieldValues, Line, Term, Values};

/// Steps of the day of the month up to this are noticeably uneven at the end of a month.
const SHORT_CYCLE: u32 = 5;

pub(crate) fn all(lines: &[Line<'_>]) -> Vec<Warning> {
    if lines.is_empty() {
        return vec![Warning { line: 1, message: "no line names a time, so this never starts a run".to_owned() }];
    }
    lines.iter().flat_map(|line| of(line).into_iter().map(|message| Warning { line: line.number, message })).collect()
}

/// At most one for each field, however many terms it has.
fn of(line: &Line<'_>) -> Vec<String> {
    let mut messages: Vec<String> =
        [never(line), every_minute(line).or_else(|| load(line))].into_iter().flatten().collect();
    for (field, values) in Field::ALL.into_iter().zip(&line.fields) {
        messages.extend(values.terms.iter().find_map(|term| steps(field, *term)));
    }
    messages
}

/// There are no such dates.
fn never(line: &Line<'_>) -> Option<String> {
    let [_, _, days, months, _] = line.fields.each_ref().map(|values| values.set);
    let longest = |month| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let earliest_day = days.at_least(0).next()?;
    let possible = months.at_least(0).any(|month| earliest_day <= longest(month));
    (!possible).then(|| format!("`{}` never starts a run: none of its months has such a day", line.text))
}

fn every_minute(line: &Line<'_>) -> Option<String> {
    let (first, last) = Field::Minute.bounds();
    let every = line.fields[Field::Minute as usize].set == Set::stepped(first, last, 1);
    every.then(|| {
        let better = with_minute(line, "H");
        format!("`{}` starts a run every minute; `{better}` starts one an hour", line.text)
    })
}

/// A fixed minute, at which many jobs start.
fn load(line: &Line<'_>) -> Option<String> {
    let uses_hash = line.text.contains('H') || line.text.starts_with('@');
    let minute = (!uses_hash).then(|| spread(&line.fields[Field::Minute as usize])).flatten()?;
    let better = with_minute(line, &minute);
    Some(format!("`{better}` rather than `{}` spreads the load of many jobs evenly", line.text))
}

/// The same minutes, chosen by `H`.
fn spread(minutes: &FieldValues) -> Option<String> {
    match minutes.terms[..] {
        [Term { values: Values::One(_), .. }] => Some("H".to_owned()),
        [Term { values: Values::All, step: Some(step) }] if step < 60 => Some(format!("H/{step}")),
        [Term { values: Values::All, step: Some(_) }] => Some("H".to_owned()),
        [Term { values: Values::One(0), .. }, Term { values: Values::One(step), .. }, ..] if step > 0 => {
            let last = Field::Minute.bounds().1;
            (minutes.set == Set::stepped(0, last, step.into())).then(|| format!("H/{step}"))
        }
        _ => None,
    }
}

fn with_minute(line: &Line<'_>, minute: &str) -> String {
    let rest = line.text.split_once([' ', '\t']).map_or("", |(_, rest)| rest.trim_start());
    format!("{minute} {rest}")
}

/// Steps that do not do what they seem to.
fn steps(field: Field, term: Term) -> Option<String> {
    let step = term.step?;
    let chooses = match term.values {
        Values::All => false,
        Values::Hash => true,
        Values::HashRange(..) if step == 1 => true,
        _ => return None,
    };
    if step == 1 {
        return chooses
            .then(|| format!("a step of 1 behind `H` chooses one {field}, as `H` alone does, not every one"));
    }
    let Some((count, whole)) = field.cycle() else {
        return (step <= SHORT_CYCLE).then(|| {
            format!("a step of {step} days starts afresh on the first day of each month, whatever the last was")
        });
    };
    if step > u32::from(count) {
        return Some(format!("a step of {step} is longer than the {whole}: only the first {field} matches"));
    }
    (u32::from(count) % step != 0)
        .then(|| format!("{count} is no multiple of {step}: where a new {whole} begins, the distance is another"))
}
