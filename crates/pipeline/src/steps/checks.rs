//! `publishChecks`: remarks on lines of files, kept with the run, and told to forges that show them.

use groovy::value::Value;
use model::annotation::{Annotation, Level, MAX_OF_RUN};
use model::event::Event;

use super::StepCall;
use super::args::Args;
use crate::engine::fault::Fault;
use crate::engine::values;

/// `publishChecks name: 'lint', title: '2 findings', annotations: [[path: 'a.c', startLine: 1, endLine: 1, message: 'unused']]`
///
/// Source: `PublishChecksStep` and `StepChecksAnnotation` of the checks-api plugin. A run has one check here, which says how the run ends:
/// `status`, `conclusion` and `actions` change nothing.
pub(crate) async fn publish_checks(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.opt_text("name")?;
    let told = ["title", "summary", "text", "detailsURL"].map(|field| call.args.opt_text(field));
    let mut told = told.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
    let head = [name, told.next()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    if !head.is_empty() {
        call.say(&head);
    }
    told.for_each(|text| call.say(&text));
    let items = call.args.get("annotations").and_then(Value::items).unwrap_or_default();
    let annotations = items.iter().take(MAX_OF_RUN).map(annotation).collect::<Result<Vec<_>, _>>()?;
    let annotations: Vec<_> = annotations.into_iter().filter_map(Annotation::bounded).collect();
    annotations.iter().for_each(|annotation| call.say(&annotation.to_string()));
    if !annotations.is_empty() {
        call.core.event(Event::Annotated { step: call.id, annotations });
    }
    Ok(Value::Null)
}

fn annotation(item: &Value) -> Result<Annotation, Fault> {
    let named = values::entries(item).unwrap_or_default();
    let args = Args { step: "publishChecks: annotations".to_owned(), named, body: None };
    let number = |value: i64| u32::try_from(value).unwrap_or(0);
    let columns = args.opt_int("startColumn")?.zip(args.opt_int("endColumn")?);
    let level = match args.opt_text("annotationLevel")?.unwrap_or_default().to_uppercase().as_str() {
        "NOTICE" => Level::Notice,
        "FAILURE" => Level::Failure,
        "" | "NONE" | "WARNING" => Level::Warning,
        other => return Err(Fault::illegal(format!("annotationLevel: {other} is none of NOTICE, WARNING, FAILURE"))),
    };
    let annotation = Annotation {
        path: args.text("path")?,
        first_line: number(args.int("startLine")?),
        last_line: number(args.int("endLine")?),
        columns: columns.map(|(first, last)| (number(first), number(last))),
        level,
        title: args.opt_text("title")?,
        message: args.text("message")?,
    };
    Ok(annotation)
}
