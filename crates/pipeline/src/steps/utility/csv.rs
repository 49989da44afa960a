//! `readCSV`, `writeCSV`.

use groovy::value::Value;

use super::super::StepCall;
use super::tree::MAX_VALUES;
use super::{MAX_WRITTEN_BYTES, NO_FILE, one_text, too_large, write_file};
use crate::engine::fault::Fault;
use crate::engine::values;

/// `readCSV file: 'x.csv'`: a list of records, each a list of texts.
///
/// Source: `ReadCSVStepExecution`, and `CSVFormat.DEFAULT`: commas, quotes, no header, and lines without anything are no records.
pub(crate) async fn read_csv(call: StepCall) -> Result<Value, Fault> {
    default_format(&call)?;
    let text = match one_text(&call).await {
        // As in Jenkins: of no file there are no records.
        Err(fault) if fault.class() == NO_FILE => return Ok(Value::list(Vec::new())),
        text => text?,
    };
    parse(&text).map(Value::list).map_err(|why| Fault::raised("java.io.IOException", why))
}

fn parse(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut records, mut count) = (Vec::new(), 0);
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        count += record.len() + 1;
        if count > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        records.push(Value::list(record.iter().map(values::text).collect()));
    }
    Ok(records)
}

/// `writeCSV file: 'x.csv', records: [['a', 'b']]`
///
/// Source: `WriteCSVStepExecution`; what is no list is a record of one value, and lines end as Windows ends them.
pub(crate) async fn write_csv(call: StepCall) -> Result<Value, Fault> {
    default_format(&call)?;
    let missing = || Fault::illegal("You have to provided a list of records to save for writeCSV.");
    let records = call.args.get("records").and_then(Value::items).ok_or_else(missing)?;
    let file = call.args.opt_text("file")?.filter(|file| !file.trim().is_empty());
    let file = file.ok_or_else(|| Fault::illegal("You have to provided a file for writeCSV."))?;
    let text = format(&records).ok_or_else(|| too_large("writeCSV"))?;
    write_file(&call, &file, text, None).await
}

fn format(records: &[Value]) -> Option<String> {
    let mut out = String::new();
    for record in records {
        let fields = record.items().unwrap_or_else(|| vec![record.clone()]);
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            let text = if field.is_null() { String::new() } else { field.to_text() };
            if out.len() + text.len() > MAX_WRITTEN_BYTES {
                return None;
            }
            // A record of one empty field would be no line at all.
            let is_quoted = text.contains(['"', ',', '\n', '\r'])
                || text.starts_with([' ', '#'])
                || text.ends_with(' ')
                || text.is_empty() && at == 0 && !field.is_null();
            match is_quoted {
                true => out.push_str(&format!("\"{}\"", text.replace('"', "\"\""))),
                false => out.push_str(&text),
            }
        }
        out.push_str("\r\n");
        if out.len() > MAX_WRITTEN_BYTES {
            return None;
        }
    }
    Some(out)
}

fn default_format(call: &StepCall) -> Result<(), Fault> {
    match call.args.get("format") {
        None => Ok(()),
        Some(format) => {
            let text = format!("{}: the format {} is not supported", call.args.step, format.to_text());
            Err(Fault::raised("java.lang.UnsupportedOperationException", text)
                .with_hint("without `format` it is CSVFormat.DEFAULT: commas, quotes, and no header"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let text = "a,\"b, \"\"c\"\"\"\r\n\r\n1\n,x\n";
        let texts: Vec<_> = parse(text).unwrap().iter().map(Value::to_text).collect();
        assert_eq!(texts, ["[a, b, \"c\"]", "[1]", "[, x]"]);
        let records = [Value::list(vec![values::text("a"), values::text("b, \"c\""), Value::Null]), Value::Int(1)];
        assert_eq!(format(&records).unwrap(), "a,\"b, \"\"c\"\"\",\r\n1\r\n");
        // Of one record, too.
        let long = values::text(&"a".repeat(MAX_WRITTEN_BYTES / 4));
        assert_eq!(
            format(&[Value::list(vec![long.clone(); 3])]).map(|text| text.len()),
            Some(MAX_WRITTEN_BYTES / 4 * 3 + 4)
        );
        assert_eq!(format(&[Value::list(vec![long; 1000])]), None);
    }
}
