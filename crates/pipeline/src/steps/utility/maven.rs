//! `readMavenPom`, `writeMavenPom`.

use groovy::value::Value;
use quick_xml::events::Event;

use super::super::StepCall;
use super::tree::MAX_VALUES;
use super::{MAX_NESTING, MAX_WRITTEN_BYTES, read_file, too_large, without_mark, write_file};
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
    let text = without_mark(read_file(&call, file.as_deref().unwrap_or("pom.xml"), None).await?);
    // In a plan every file is empty.
    let text = if call.core.facts.planning && text.trim().is_empty() { "<project/>".to_owned() } else { text };
    let model = parse(&text).map_err(|why| Fault::raised(XML_EXCEPTION, why))?;
    objects::of(&call.core, &call.scope, "model", vec![model]).await
}

/// `writeMavenPom model: pom, file: 'pom.xml'`
///
/// Source: `WriteMavenPomStep`, and the order of elements of Maven's `MavenXpp3Writer`.
pub(crate) async fn write_maven_pom(call: StepCall) -> Result<Value, Fault> {
    let file = call.args.opt_text("file")?.filter(|file| !file.trim().is_empty());
    let model = call.args.get("model").cloned().unwrap_or_default();
    let kind = model.type_name();
    let all = objects::of(&call.core, &call.scope, "modelMap", vec![model]).await?;
    let Some(elements) = values::entries(&all) else {
        return Err(Fault::illegal(format!("writeMavenPom: a model is what readMavenPom gives, not {kind}")));
    };
    if let Some((_, lost)) = elements.iter().find(|(name, _)| name == LOST) {
        let text = format!("writeMavenPom would lose what the model was read with: {}", lost.to_text());
        return Err(Fault::abort(text).with_hint("`mvn versions:set` changes a version, and `sed` a line"));
    }
    let mut out = String::from(HEAD);
    write(&elements, 1, &mut out)?;
    out.push_str("</project>\n");
    write_file(&call, file.as_deref().unwrap_or("pom.xml"), out, None).await
}

/// How a model begins, as Maven writes one.
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<project xmlns=\"http://maven.apache.org/POM/4.0.0\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"http://maven.apache.org/POM/4.0.0 http://maven.apache.org/xsd/maven-4.0.0.xsd\">
";

fn write(elements: &[(String, Value)], depth: usize, out: &mut String) -> Result<(), Fault> {
    elements.iter().try_for_each(|(name, value)| element(name, value, depth, out))
}

fn element(name: &str, value: &Value, depth: usize, out: &mut String) -> Result<(), Fault> {
    if depth > MAX_NESTING || out.len() > MAX_WRITTEN_BYTES {
        return Err(too_large("writeMavenPom"));
    }
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'));
    if !is_name {
        return Err(Fault::illegal(format!("writeMavenPom: ‘{name}’ is no name of an element")));
    }
    let indent = "  ".repeat(depth);
    let inner = match value {
        Value::Null => return Ok(()),
        Value::List(list) => {
            let one = one_of(name);
            list.snapshot().into_iter().map(|item| (one.clone(), item)).collect()
        }
        other => values::entries(other).unwrap_or_default(),
    };
    if inner.is_empty() {
        let text = match value {
            Value::List(_) | Value::Map(_) => String::new(),
            other => other.to_text(),
        };
        *out += &format!("{indent}<{name}>{}</{name}>\n", quick_xml::escape::partial_escape(&text));
        return Ok(());
    }
    *out += &format!("{indent}<{name}>\n");
    write(&inner, depth + 1, out)?;
    *out += &format!("{indent}</{name}>\n");
    Ok(())
}

/// What an entry of a list is called: `dependency` of `dependencies`.
fn one_of(list: &str) -> String {
    match list.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => list.strip_suffix('s').unwrap_or(list).to_owned(),
    }
}

/// An element that is not complete.
struct Open {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

/// Under this name stands what of a model its maps do not show, for `writeMavenPom`, which would lose it.
const LOST: &str = "$lost";

/// What an element has that its value does not show.
fn lost(element: &Open) -> Option<String> {
    let Open { name, text, children } = element;
    if LISTS.contains(&name.as_str()) {
        let one = one_of(name);
        let odd = children.iter().find(|(child, _)| *child != one).map(|(child, _)| format!("<{child}> in <{name}>"));
        let is_text = children.is_empty() && !text.trim().is_empty();
        return odd.or_else(|| is_text.then(|| format!("the text of <{name}>")));
    }
    let mut names: Vec<&str> = children.iter().map(|(child, _)| child.as_str()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    twice.map(|pair| format!("several <{}> in <{name}>", pair[0]))
}

/// A model as maps, lists and texts.
fn parse(text: &str) -> Result<Value, String> {
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut open, mut count): (Vec<Open>, usize) = (Vec::new(), 0);
    let mut missing: Option<String> = None;
    let whole = |model: Value, missing: Option<String>| {
        if let (Value::Map(map), Some(missing)) = (&model, missing) {
            map.put(Value::from(LOST), Value::from(missing));
        }
        model
    };
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
                if !open.is_empty() && start.attributes().next().is_some() {
                    missing.get_or_insert_with(|| format!("the attributes of <{name}>"));
                }
                open.push(Open { name, text: String::new(), children: Vec::new() });
                if is_empty && let Some(model) = close(&mut open) {
                    return Ok(whole(model, missing));
                }
            }
            Event::End(_) => {
                missing = missing.or_else(|| lost(open.last()?));
                if let Some(model) = close(&mut open) {
                    return Ok(whole(model, missing));
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
