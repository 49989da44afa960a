//! From the text of a specification to its lines, one function per production. The grammar is that of Jenkins'
//! `core/src/main/antlr4/hudson/scheduler/CrontabParser.g4`: no names of months or days, no step after a single number.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::cursor::Cursor;
use crate::field::{Field, Set};
use crate::hash::Draws;
use crate::{CronError, MAX_BYTES, MAX_LINES};

const ALIASES: [(&str, &str); 7] = [
    ("@yearly", "H H H H *"),
    ("@annually", "H H H H *"),
    ("@monthly", "H H H * *"),
    ("@weekly", "H H * * H"),
    ("@daily", "H H * * *"),
    ("@midnight", "H H(0-2) * * *"),
    ("@hourly", "H * * * *"),
];

/// A line that names moments.
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: usize,
    /// As it was written, without the blanks around it.
    pub(crate) text: &'a str,
    /// In the order of [`Field::ALL`].
    pub(crate) fields: [FieldValues; Field::ALL.len()],
}

/// What stands in a field.
#[derive(Default)]
pub(crate) struct FieldValues {
    /// As written.
    pub(crate) terms: Vec<Term>,
    /// What that comes to.
    pub(crate) set: Set,
}

/// A part of a field, between commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) values: Values,
    /// After a slash.
    pub(crate) step: Option<u32>,
}

/// The values that a term steps through or chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// `*`
    All,
    /// `a`
    One(u8),
    /// `a-b`
    Range(u8, u8),
    /// `H`
    Hash,
    /// `H(a-b)`
    HashRange(u8, u8),
}

/// The time zone and the lines of a specification.
pub(crate) fn specification<'a>(text: &'a str, name: &str) -> Result<(TimeZone, Vec<Line<'a>>), CronError> {
    check_size(text)?;
    let mut draws = Draws::new(name);
    let mut zone = TimeZone::UTC;
    let mut lines = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        // What Java's `String.trim` takes away.
        let blank = |c: char| c <= ' ';
        let written = raw.trim_start_matches(blank);
        let column = 1 + raw.chars().count() - written.chars().count();
        let written = written.trim_end_matches(blank);
        let number = index + 1;
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        if let Some(zone_name) = written.strip_prefix("TZ=") {
            zone = time_zone(number, column, zone_name)?;
            continue;
        }
        let fields = line(Cursor::new(number, column, written), written, &mut draws)?;
        lines.push(Line { number, text: written, fields });
    }
    Ok((zone, lines))
}

fn check_size(text: &str) -> Result<(), CronError> {
    let error = |line, message| Err(CronError { line, column: 1, message });
    if text.len() > MAX_BYTES {
        return error(1, format!("a specification of {} bytes; at most {MAX_BYTES} are allowed", text.len()));
    }
    if text.lines().count() > MAX_LINES {
        return error(MAX_LINES + 1, format!("more than {MAX_LINES} lines"));
    }
    Ok(())
}

fn time_zone(line: usize, column: usize, name: &str) -> Result<TimeZone, CronError> {
    let error = |column, message| Err(CronError { line, column, message });
    if line != 1 {
        return error(column, "`TZ=` may stand on the first line only".to_owned());
    }
    TimeZoneDatabase::bundled().get(name).or_else(|_| {
        let name: String = name.chars().take(40).collect();
        let message = format!("no time zone is called `{name}`; their names are like `Europe/London` or `UTC`");
        error(column + "TZ=".len(), message)
    })
}

fn line(cursor: Cursor<'_>, text: &str, draws: &mut Draws) -> Result<[FieldValues; Field::ALL.len()], CronError> {
    if cursor.peek() != Some('@') {
        return five_fields(cursor, draws);
    }
    match ALIASES.iter().find(|(alias, _)| *alias == text) {
        Some((_, meaning)) => five_fields(Cursor::new(1, 1, meaning), draws),
        None => {
            let known: Vec<&str> = ALIASES.iter().map(|(alias, _)| *alias).collect();
            Err(cursor.error(cursor.column(), format!("expected one of {}, and nothing after it", known.join(", "))))
        }
    }
}

fn five_fields(mut cursor: Cursor<'_>, draws: &mut Draws) -> Result<[FieldValues; Field::ALL.len()], CronError> {
    let mut fields: [FieldValues; Field::ALL.len()] = Default::default();
    for (field, values) in Field::ALL.into_iter().zip(&mut fields) {
        if field != Field::Minute && !cursor.blanks() {
            return Err(cursor.expected(&format!("a blank and the {field}")));
        }
        *values = list(&mut cursor, field, draws)?;
    }
    let more_fields = cursor.blanks();
    match cursor.peek() {
        None => Ok(fields),
        Some('#') => Err(cursor.error(cursor.column(), "a comment needs a line of its own")),
        Some(_) if more_fields => Err(cursor.expected("the end of the line after five fields")),
        Some(_) => Err(cursor.expected("`,` or the end of the line")),
    }
}

fn list(cursor: &mut Cursor<'_>, field: Field, draws: &mut Draws) -> Result<FieldValues, CronError> {
    let mut values = FieldValues::default();
    loop {
        let (term, set) = term(cursor, field, draws)?;
        values.terms.push(term);
        values.set = values.set.union(set);
        if !cursor.eat(',') {
            break;
        }
    }
    if field == Field::Weekday {
        values.set = values.set.with_one_sunday();
    }
    Ok(values)
}

fn term(cursor: &mut Cursor<'_>, field: Field, draws: &mut Draws) -> Result<(Term, Set), CronError> {
    let values = values(cursor, field)?;
    let slash = cursor.column();
    if !cursor.eat('/') {
        let term = Term { values, step: None };
        return Ok((term, set(term, field, draws)));
    }
    if let Values::One(value) = values {
        let last = field.bounds().1;
        return Err(cursor.error(slash, format!("a step needs a range, as in `{value}-{last}/2` or `*/2`")));
    }
    let column = cursor.column();
    let step = cursor.number("how many steps to go on by")?;
    let most = match values {
        Values::Hash | Values::HashRange(..) => u32::from(choices(values, field)),
        _ => u32::MAX,
    };
    if step == 0 || step > most {
        let most = if most == u32::MAX { "1 or more".to_owned() } else { format!("1 to {most}") };
        return Err(cursor.error(column, format!("a step of {step}; {most} is possible here")));
    }
    let term = Term { values, step: Some(step) };
    Ok((term, set(term, field, draws)))
}

fn values(cursor: &mut Cursor<'_>, field: Field) -> Result<Values, CronError> {
    if cursor.eat('*') {
        return Ok(Values::All);
    }
    if cursor.eat('H') {
        if !cursor.eat('(') {
            return Ok(Values::Hash);
        }
        let first = value(cursor, field)?;
        let (first, last) = range_from(cursor, field, first)?;
        return if cursor.eat(')') { Ok(Values::HashRange(first, last)) } else { Err(cursor.expected("`)`")) };
    }
    let first = value(cursor, field)?;
    if cursor.peek() != Some('-') {
        return Ok(Values::One(first));
    }
    range_from(cursor, field, first).map(|(first, last)| Values::Range(first, last))
}

/// `-b`, after `first`.
fn range_from(cursor: &mut Cursor<'_>, field: Field, first: u8) -> Result<(u8, u8), CronError> {
    if !cursor.eat('-') {
        return Err(cursor.expected("`-` and the end of the range"));
    }
    let column = cursor.column();
    let last = value(cursor, field)?;
    if first > last {
        return Err(cursor.error(column, format!("the range ends before it begins; is `{last}-{first}` meant?")));
    }
    Ok((first, last))
}

fn value(cursor: &mut Cursor<'_>, field: Field) -> Result<u8, CronError> {
    let column = cursor.column();
    let what = match (field, cursor.peek()) {
        (Field::Month, Some('A'..='Z' | 'a'..='z')) => "a number (January is 1), `*` or `H` for the month".to_owned(),
        (Field::Weekday, Some('A'..='Z' | 'a'..='z')) => {
            "a number (Sunday is 0, Monday is 1), `*` or `H` for the day of the week".to_owned()
        }
        _ => format!("a number, `*` or `H` for the {field}"),
    };
    let number = cursor.number(&what)?;
    let (least, greatest) = field.bounds();
    match u8::try_from(number) {
        Ok(value) if (least..=greatest).contains(&value) => Ok(value),
        _ => Err(cursor.error(column, format!("{number} is no {field}; {least} to {greatest} are"))),
    }
}

/// How many values a term that steps or chooses has.
fn choices(values: Values, field: Field) -> u8 {
    let (first, last) = range(values, field);
    last - first + 1
}

fn range(values: Values, field: Field) -> (u8, u8) {
    match values {
        Values::All => field.bounds(),
        Values::One(value) => (value, value),
        Values::Range(first, last) | Values::HashRange(first, last) => (first, last),
        Values::Hash => field.hash_bounds(),
    }
}

fn set(term: Term, field: Field, draws: &mut Draws) -> Set {
    let (first, last) = range(term.values, field);
    let step = term.step.unwrap_or(1);
    if !matches!(term.values, Values::Hash | Values::HashRange(..)) {
        return Set::stepped(first, last, step);
    }
    if step > 1 {
        // At most the number of choices, as was checked.
        let offset = draws.below(field, u8::try_from(step).unwrap_or(u8::MAX));
        return Set::stepped(first + offset, last, step);
    }
    let chosen = first + draws.below(field, choices(term.values, field));
    Set::stepped(chosen, chosen, 1)
}
