//! `readMavenPom`.

use groovy::value::Value;
use quick_xml::events::Event;

use super::super::StepCall;
use super::tree::MAX_VALUES;
use super::{MAX_NESTING, read_file};
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::steps::objects;

/// Java's name of the exception for what is no model.
const XML_EXCEPTION: &str = "org.codehaus.plexus.util.xml.pull.XmlPullParserException";
/// What is a list in a model, however many entries it has.
const LISTS: [&str; 23] = [
    "modules",
    "dependencies",
    "exclusions",
    "plugins",
    "executions",
    "goals",
    "profiles",
    "repositories",
    "pluginRepositories",
    "licenses",
    "developers",
    "contributors",
    "mailingLists",
    "extensions",
    "resources",
    "testResources",
    "includes",
    "excludes",
    "filters",
    "roles",
    "otherArchives",
    "reportSets",
    "reports",
];

/// `readMavenPom file: 'pom.xml'`: the model as it is written; nothing is inherited, and `${…}` stays.
///
/// Source: `ReadMavenPomStep`.
pub(crate) async fn read_maven_pom(call: StepCall) -> Result<Value, Fault> {
    let file = call.args.opt_text("file")?.filter(|file| !file.trim().is_empty());
    let text = read_file(&call, file.as_deref().unwrap_or("pom.xml"), None).await?;
    let model = parse(&text).map_err(|why| Fault::raised(XML_EXCEPTION, why))?;
    objects::of(&call.core, &call.scope, "model", vec![model]).await
}

/// An element that is not complete.
struct Open {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

/// A model as maps, lists and texts.
fn parse(text: &str) -> Result<Value, String> {
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut open, mut count): (Vec<Open>, usize) = (Vec::new(), 0);
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                count += 1;
                if open.len() >= MAX_NESTING || count > MAX_VALUES {
                    return Err(format!("more than {MAX_NESTING} levels, or {MAX_VALUES} elements"));
                }
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                if open.is_empty() && name != "project" {
                    return Err(format!("Expected root element 'project' but found '{name}'"));
                }
                open.push(Open { name, text: String::new(), children: Vec::new() });
                if is_empty && let Some(model) = close(&mut open) {
                    return Ok(model);
                }
            }
            Event::End(_) => {
                if let Some(model) = close(&mut open) {
                    return Ok(model);
                }
            }
            Event::Text(piece) => add(&mut open, &piece.decode().map_err(|error| error.to_string())?),
            Event::CData(piece) => add(&mut open, &String::from_utf8_lossy(&piece)),
            Event::GeneralRef(name) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                let known = match name.as_str() {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    other => character(other),
                };
                let known = known.ok_or_else(|| format!("could not resolve entity named '{name}'"))?;
                add(&mut open, known.encode_utf8(&mut [0; 4]));
            }
            // Entities of its own are what makes a small text a large one.
            Event::DocType(_) => return Err("a model has no document type".to_owned()),
            Event::Eof => return Err("unexpected end of the text".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn add(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn character(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    char::from_u32(code)
}

/// Closes the innermost element; its value where it was the last.
fn close(open: &mut Vec<Open>) -> Option<Value> {
    let element = open.pop()?;
    let Open { name, text, children } = element;
    let value = match () {
        () if LISTS.contains(&name.as_str()) => Value::list(children.into_iter().map(|(_, value)| value).collect()),
        () if children.is_empty() && name != "properties" && !open.is_empty() => values::text(text.trim()),
        () => values::map(children.iter().map(|(name, value)| (name.as_str(), value.clone()))),
    };
    match open.last_mut() {
        Some(parent) => {
            parent.children.push((name, value));
            None
        }
        None => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::compact;
    use super::*;

    #[test]
    fn a_model_as_it_is_written() {
        let text = "<?xml version='1.0'?><project xmlns='x'><!-- c --><version>${rev}&amp;1</version><properties><a.b>1</a.b></properties>
            <modules><module>one</module></modules><dependencies/><parent><groupId> g </groupId></parent></project>";
        let expect = r#"{"version":"${rev}&1","properties":{"a.b":"1"},"modules":["one"],"dependencies":[],"parent":{"groupId":"g"}}"#;
        assert_eq!(compact(&parse(text).unwrap()), expect);
        assert!(parse("<other/>").is_err());
        assert!(parse("<project><a>").is_err());
        assert!(parse("<!DOCTYPE project [<!ENTITY a 'b'>]><project/>").is_err());
        assert!(parse(&format!("<project>{}", "<a>".repeat(1000))).is_err());
    }
}
