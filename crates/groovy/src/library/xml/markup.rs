//! Names, text, references and attributes, as XML 1.0 has them.

use std::borrow::Cow;

use quick_xml::events::BytesStart;
use quick_xml::events::attributes::AttrError;

use super::{CUT_OFF, Problem};

/// An attribute: its name as it is written, and its value.
pub(super) type Attribute = (String, String);

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | ':')
}

/// The name that a text begins with; empty where it begins with none.
pub(super) fn name_at_start(text: &str) -> &str {
    let goes_on = |c: char| starts_name(c) || c.is_numeric() || matches!(c, '-' | '.' | '\u{b7}');
    if !text.starts_with(starts_name) {
        return "";
    }
    &text[..text.find(|c| !goes_on(c)).unwrap_or(text.len())]
}

fn is_allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Characters that no document may have.
pub(super) fn check_characters(text: &str, place: &str) -> Result<(), Problem> {
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(c) if place == "CDATA section" => Err(Problem(format!(
            "An invalid XML character (Unicode: 0x{:x}) was found in the CDATA section.",
            c as u32
        ))),
        Some(c) => Err(Problem(format!("An invalid XML character (Unicode: 0x{:x}) was found in {place}.", c as u32))),
        None => Ok(()),
    }
}

/// Whether text between markup may stand there.
pub(super) fn check_text(text: &str) -> Result<(), Problem> {
    check_characters(text, "the element content of the document")?;
    if text.contains("]]>") {
        let message =
            "The character sequence \"]]>\" must not appear in content unless used to mark the end of a CDATA section.";
        return Err(message.into());
    }
    match text.find('&') {
        Some(at) => Err(unfinished(&text[at + 1..])),
        None => Ok(()),
    }
}

/// A `&` that begins no reference.
fn unfinished(after: &str) -> Problem {
    match name_at_start(after) {
        "" => "The entity name must immediately follow the '&' in the entity reference.".into(),
        name => Problem(format!("The reference to entity \"{name}\" must end with the ';' delimiter.")),
    }
}

/// Text with ends of lines as scripts see them.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() }
}

/// What `&name;` stands for.
pub(super) fn referenced(name: &str) -> Result<char, Problem> {
    match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => {}
    }
    let Some(digits) = name.strip_prefix('#') else {
        return Err(match name_at_start(name) {
            whole if whole == name && !name.is_empty() => {
                Problem(format!("The entity \"{name}\" was referenced, but not declared."))
            }
            _ => unfinished(name),
        });
    };
    let code = match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let found = code.ok().filter(|_| !digits.contains('+')).and_then(char::from_u32).filter(|c| is_allowed(*c));
    found.ok_or_else(|| Problem(format!("Character reference \"&{name}\" is an invalid XML character.")))
}

/// Most attributes of an element, as Java's parser has it (`jdk.xml.elementAttributeLimit`).
const MAX_ATTRIBUTES: usize = 10_000;

/// The attributes of a start tag, in order.
pub(super) fn attributes(tag: &BytesStart<'_>) -> Result<Vec<Attribute>, Problem> {
    let element = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
    let mut out: Vec<Attribute> = Vec::new();
    // Duplicates are looked for by the tree, which does not look at each pair.
    for attribute in tag.attributes().with_checks(false) {
        if out.len() == MAX_ATTRIBUTES {
            let message = format!("JAXP00010002: Element \"{element}\" has more than \"{MAX_ATTRIBUTES}\" attributes.");
            return Err(Problem(message));
        }
        let attribute = attribute.map_err(|error| wrong_attribute(tag, &element, &error))?;
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        if name.is_empty() || name_at_start(&name).len() != name.len() {
            let message = format!(
                "Element type \"{element}\" must be followed by either attribute specifications, \">\" or \"/>\"."
            );
            return Err(Problem(message));
        }
        let value = value(&element, &name, &String::from_utf8_lossy(&attribute.value))?;
        out.push((name, value));
    }
    Ok(out)
}

/// The value of an attribute: space is spaces, references are what they stand for.
fn value(element: &str, name: &str, raw: &str) -> Result<String, Problem> {
    let place = format!("the value of attribute \"{name}\" and element is \"{element}\"");
    check_characters(raw, &place)?;
    if raw.contains('<') {
        let message = format!(
            "The value of attribute \"{name}\" associated with an element type \"{element}\" must not contain the '<' character."
        );
        return Err(Problem(message));
    }
    let spaces = lines(raw).replace(['\n', '\t'], " ");
    let mut parts = spaces.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part.split_once(';').ok_or_else(|| unfinished(part))?;
        out.push(referenced(reference)?);
        out.push_str(rest);
    }
    Ok(out)
}

fn wrong_attribute(tag: &BytesStart<'_>, element: &str, error: &AttrError) -> Problem {
    let at = match error {
        AttrError::ExpectedEq(at) | AttrError::ExpectedValue(at) | AttrError::UnquotedValue(at) => *at,
        AttrError::ExpectedQuote(..) | AttrError::Duplicated(..) => return CUT_OFF.into(),
    };
    let before = String::from_utf8_lossy(tag.get(..at).unwrap_or(tag)).into_owned();
    let name = before.trim_end_matches(|c| is_space(c) || c == '=').rsplit(is_space).next().unwrap_or_default();
    Problem(match error {
        AttrError::ExpectedEq(_) => format!(
            "Attribute name \"{name}\" associated with an element type \"{element}\" must be followed by the ' = ' character."
        ),
        // Two spaces: so it is.
        _ => {
            format!("Open quote is expected for attribute \"{name}\" associated with an  element type  \"{element}\".")
        }
    })
}
