//! `readCSV`, `writeCSV`.

use groovy::value::Value;

use super::super::StepCall;
use super::tree::MAX_VALUES;
use super::{MAX_WRITTEN_BYTES, NO_FILE, one_text, too_large, write_file};
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::steps::objects;

/// The class of formats, which is written in Groovy (`groovy::library::shims`).
const FORMAT: &str = "org.apache.commons.csv.CSVFormat";

/// What is between the values of a record, and around them.
struct Format {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    trim: bool,
    /// Names of the values; of a text none: its first record has them.
    header: Option<Vec<String>>,
    skips_header: bool,
    ignores_case: bool,
    separator: String,
    null: Option<String>,
}

impl Default for Format {
    /// `CSVFormat.DEFAULT`: commas, quotes, no header, and lines without anything are no records.
    fn default() -> Self {
        let separator = "\r\n".to_owned();
        Format {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comment: None,
            trim: false,
            header: None,
            skips_header: false,
            ignores_case: false,
            separator,
            null: None,
        }
    }
}

impl Format {
    /// The one that a call asks for.
    fn of(call: &StepCall) -> Result<Format, Fault> {
        let Some(given) = call.args.get("format") else { return Ok(Format::default()) };
        let how = match &given {
            Value::Object(object) if &*object.class.name == FORMAT => {
                object.field("$how").and_then(|how| values::entries(&how))
            }
            _ => None,
        };
        let Some(how) = how else {
            let text = format!("{}.format expects class {FORMAT} but received {}", call.args.step, given.type_name());
            return Err(Fault::raised("java.lang.ClassCastException", text));
        };
        let get = |name: &str| how.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let text = |name: &str| get(name).filter(|value| !value.is_null()).map(Value::to_text);
        let letter = |name: &str| match text(name).as_deref().map(str::as_bytes) {
            None | Some([]) => Ok(None),
            Some([byte]) => Ok(Some(*byte)),
            Some(_) => {
                Err(Fault::illegal(format!("{}: the {name} of a format is one ASCII character", call.args.step)))
            }
        };
        let flag = |name: &str| get(name).is_some_and(Value::truth);
        Ok(Format {
            delimiter: letter("delimiter")?.unwrap_or(b','),
            quote: letter("quote")?,
            escape: letter("escape")?,
            comment: letter("comment")?,
            trim: flag("trim"),
            header: get("header").and_then(Value::items).map(|names| names.iter().map(Value::to_text).collect()),
            skips_header: flag("skipHeaderRecord"),
            ignores_case: flag("ignoreHeaderCase"),
            separator: text("recordSeparator").unwrap_or_default(),
            null: text("nullString"),
        })
    }

    fn value(&self, text: &str) -> Value {
        if self.null.as_deref() == Some(text) { Value::Null } else { values::text(text) }
    }

    fn read(&self, text: &str) -> Result<Vec<Value>, String> {
        let mut reader = ::csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(self.delimiter).escape(self.escape).comment(self.comment);
        reader.quoting(self.quote.is_some()).quote(self.quote.unwrap_or(b'"'));
        reader.trim(if self.trim { ::csv::Trim::All } else { ::csv::Trim::None });
        let (mut records, mut count) = (Vec::new(), 0);
        for record in reader.from_reader(text.as_bytes()).records() {
            let record = record.map_err(|error| error.to_string())?;
            count += record.len() + 1;
            if count > MAX_VALUES {
                return Err(format!("more than {MAX_VALUES} values"));
            }
            records.push(Value::list(record.iter().map(|text| self.value(text)).collect()));
        }
        Ok(records)
    }

    /// Puts a record into a text. False: that is too long then.
    fn write(&self, record: &Value, out: &mut String) -> bool {
        // What has been read with a header is an object.
        let held = if let Value::Object(object) = record { object.field("values") } else { None };
        let fields = held.as_ref().unwrap_or(record).items().unwrap_or_else(|| vec![record.clone()]);
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                out.push(char::from(self.delimiter));
            }
            let text = match (field.is_null(), &self.null) {
                (true, null) => null.clone().unwrap_or_default(),
                (false, _) => field.to_text(),
            };
            if out.len() + text.len() > MAX_WRITTEN_BYTES {
                return false;
            }
            match self.quote.map(char::from) {
                Some(quote) if !field.is_null() && self.wants_quotes(&text, at) => {
                    out.push_str(&format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}"))));
                }
                _ => out.push_str(&text),
            }
        }
        out.push_str(&self.separator);
        out.len() <= MAX_WRITTEN_BYTES
    }

    /// A record of one empty field would be no line at all.
    fn wants_quotes(&self, text: &str, at: usize) -> bool {
        let marks = [Some(self.delimiter), self.quote].map(|mark| char::from(mark.unwrap_or(b'\n')));
        text.contains(marks)
            || text.contains(['\n', '\r'])
            || text.starts_with([' ', '#'])
            || text.ends_with(' ')
            || text.is_empty() && at == 0
    }
}

/// `readCSV file: 'x.csv'`: a list of records, each a list of texts; with a `format` that has a header, each an object that knows the names.
///
/// Source: `ReadCSVStepExecution`, and `CSVFormat` and `CSVRecord` of commons-csv.
pub(crate) async fn read_csv(call: StepCall) -> Result<Value, Fault> {
    let format = Format::of(&call)?;
    let text = match one_text(&call).await {
        // As in Jenkins: of no file there are no records.
        Err(fault) if fault.class() == NO_FILE => return Ok(Value::list(Vec::new())),
        text => text?,
    };
    let mut records = format.read(&text).map_err(|why| Fault::raised("java.io.IOException", why))?;
    let Some(names) = format.header else { return Ok(Value::list(records)) };
    let is_in_text = names.is_empty();
    let first = (!records.is_empty() && (is_in_text || format.skips_header)).then(|| records.remove(0));
    let names = match first.filter(|_| is_in_text) {
        Some(first) => first,
        None => Value::list(names.into_iter().map(Value::from).collect()),
    };
    objects::of(&call.core, &call.scope, "records", vec![Value::list(records), names, Value::Bool(format.ignores_case)])
        .await
}

/// `writeCSV file: 'x.csv', records: [['a', 'b']]`
///
/// Source: `WriteCSVStepExecution`; what is no list is a record of one value, and lines end as Windows ends them.
pub(crate) async fn write_csv(call: StepCall) -> Result<Value, Fault> {
    let format = Format::of(&call)?;
    let missing = || Fault::illegal("You have to provide a list of records to save for writeCSV.");
    let mut records = call.args.get("records").and_then(Value::items).ok_or_else(missing)?;
    let file = call.args.opt_text("file")?.filter(|file| !file.trim().is_empty());
    let file = file.ok_or_else(|| Fault::illegal("You have to provide a file for writeCSV."))?;
    if let Some(names) = format.header.as_ref().filter(|names| !names.is_empty() && !format.skips_header) {
        records.insert(0, Value::list(names.iter().map(|name| values::text(name)).collect()));
    }
    let mut out = String::new();
    if !records.iter().all(|record| format.write(record, &mut out)) {
        return Err(too_large("writeCSV"));
    }
    write_file(&call, &file, out, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let text = "a,\"b, \"\"c\"\"\"\r\n\r\n1\n,x\n";
        let texts: Vec<_> = Format::default().read(text).unwrap().iter().map(Value::to_text).collect();
        assert_eq!(texts, ["[a, b, \"c\"]", "[1]", "[, x]"]);
        let records = [Value::list(vec![values::text("a"), values::text("b, \"c\""), Value::Null]), Value::Int(1)];
        assert_eq!(written(&records).unwrap(), "a,\"b, \"\"c\"\"\",\r\n1\r\n");
        // Of one record, too.
        let long = values::text(&"a".repeat(MAX_WRITTEN_BYTES / 4));
        let three = written(&[Value::list(vec![long.clone(); 3])]);
        assert_eq!(three.map(|text| text.len()), Some(MAX_WRITTEN_BYTES / 4 * 3 + 4));
        assert_eq!(written(&[Value::list(vec![long; 1000])]), None);
    }

    fn written(records: &[Value]) -> Option<String> {
        let mut out = String::new();
        records.iter().all(|record| Format::default().write(record, &mut out)).then_some(out)
    }
}
