//! Values as YAML, laid out as SnakeYAML does it in blocks.

use std::collections::HashMap;
use std::io::{self, Write};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use groovy::value::Value;
use libyaml_safer::{Emitter, Encoding, Error, Event, MappingStyle, ScalarStyle, SequenceStyle};

use super::yaml::MERGE;
use super::yaml_date;
use super::yaml_scalar::resolve;
use super::{MAX_NESTING, MAX_WRITTEN_BYTES};

/// Columns that a line of words should have at most; SnakeYAML's.
const WIDTH: i32 = 80;
/// The tag of what cannot be printed.
const BINARY: &str = "tag:yaml.org,2002:binary";
/// The tag of a set.
const SET: &str = "tag:yaml.org,2002:set";

/// Why something has no text.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is too deep, or too long.
    TooLarge,
    /// It is no data; its class.
    Strange(String),
}

impl From<Error> for Refused {
    /// All that can fail is the writing, which has a limit.
    fn from(_: Error) -> Refused {
        Refused::TooLarge
    }
}

/// Each value as a document.
///
/// Source: `Representer`, `Serializer` and `Emitter` of SnakeYAML.
pub(super) fn documents(all: &[Value]) -> Result<String, Refused> {
    within(MAX_WRITTEN_BYTES, all)
}

fn within(most: usize, all: &[Value]) -> Result<String, Refused> {
    let mut text = Text { bytes: Vec::new(), most };
    let mut emitter = Emitter::new();
    emitter.set_output(&mut text);
    emitter.set_width(WIDTH);
    emitter.set_unicode(true);
    emitter.emit(Event::stream_start(Encoding::Utf8))?;
    for value in all {
        let mut document = Document { emitter, anchors: HashMap::new(), named: 0 };
        document.look(value, 0)?;
        document.emitter.emit(Event::document_start(None, &[], true))?;
        document.node(value)?;
        document.emitter.emit(Event::document_end(true))?;
        emitter = document.emitter;
    }
    emitter.emit(Event::stream_end())?;
    emitter.flush()?;
    drop(emitter);
    // SnakeYAML does not say that a text has ended.
    String::from_utf8(text.bytes).map(|text| text.replace("\n...\n", "\n")).map_err(|_| Refused::TooLarge)
}

/// What is written, up to its limit.
struct Text {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A collection by what it is, not by what it has.
type Identity = *const ();

/// A collection that is met more than once is written once, and has a name.
enum Anchor {
    None,
    Waits(String),
    Stands(String),
}

struct Document<'t> {
    emitter: Emitter<'t>,
    anchors: HashMap<Identity, Anchor>,
    named: usize,
}

impl Document<'_> {
    /// Finds what needs a name.
    fn look(&mut self, value: &Value, depth: usize) -> Result<(), Refused> {
        if depth > MAX_NESTING {
            return Err(Refused::TooLarge);
        }
        if let Some(identity) = identity(value) {
            match self.anchors.get_mut(&identity) {
                None => drop(self.anchors.insert(identity, Anchor::None)),
                Some(anchor) => {
                    if let Anchor::None = anchor {
                        self.named += 1;
                        *anchor = Anchor::Waits(format!("id{:03}", self.named));
                    }
                    return Ok(());
                }
            }
        }
        match value {
            Value::Map(map) => (0..map.len()).filter_map(|at| map.at(at)).try_for_each(|(key, value)| {
                self.look(&key, depth + 1)?;
                self.look(&value, depth + 1)
            }),
            other => other.items().unwrap_or_default().iter().try_for_each(|item| self.look(item, depth + 1)),
        }
    }

    fn node(&mut self, value: &Value) -> Result<(), Refused> {
        let anchor = match identity(value).and_then(|identity| self.anchors.get_mut(&identity)) {
            None | Some(Anchor::None) => None,
            Some(Anchor::Stands(name)) => return Ok(self.emitter.emit(Event::alias(name))?),
            Some(anchor @ Anchor::Waits(_)) => {
                let Anchor::Waits(name) = std::mem::replace(anchor, Anchor::None) else { unreachable!("it waits") };
                *anchor = Anchor::Stands(name.clone());
                Some(name)
            }
        };
        let anchor = anchor.as_deref();
        match value {
            Value::Map(map) => {
                let style = if map.is_empty() { MappingStyle::Flow } else { MappingStyle::Block };
                self.emitter.emit(Event::mapping_start(anchor, None, true, style))?;
                for (key, value) in (0..map.len()).filter_map(|at| map.at(at)) {
                    self.node(&key)?;
                    self.node(&value)?;
                }
                self.emitter.emit(Event::mapping_end())?;
            }
            Value::Set(set) => {
                let style = if set.is_empty() { MappingStyle::Flow } else { MappingStyle::Block };
                self.emitter.emit(Event::mapping_start(anchor, Some(SET), false, style))?;
                for key in set.keys() {
                    self.node(&key)?;
                    self.node(&Value::Null)?;
                }
                self.emitter.emit(Event::mapping_end())?;
            }
            Value::List(_) | Value::Range(_) => {
                let items = value.items().unwrap_or_default();
                let style = if items.is_empty() { SequenceStyle::Flow } else { SequenceStyle::Block };
                self.emitter.emit(Event::sequence_start(anchor, None, true, style))?;
                items.iter().try_for_each(|item| self.node(item))?;
                self.emitter.emit(Event::sequence_end())?;
            }
            leaf => self.emitter.emit(scalar(leaf)?)?,
        }
        Ok(())
    }
}

fn identity(value: &Value) -> Option<Identity> {
    match value {
        Value::List(list) => Some(Rc::as_ptr(list).cast()),
        Value::Map(map) | Value::Set(map) => Some(Rc::as_ptr(map).cast()),
        _ => None,
    }
}

/// What has no entries.
fn scalar(value: &Value) -> Result<Event, Refused> {
    let plain = |text: &str| Event::scalar(None, None, text, true, true, ScalarStyle::Plain);
    Ok(match value {
        Value::Null => plain("null"),
        other if groovy::value::json::is_null(other) => plain("null"),
        Value::Bool(_) | Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::BigInt(_) => {
            plain(&value.to_text())
        }
        Value::Double(_) | Value::Float(_) | Value::Decimal(_) => match value.to_text().as_str() {
            "NaN" => plain(".NaN"),
            "Infinity" => plain(".inf"),
            "-Infinity" => plain("-.inf"),
            text => plain(text),
        },
        Value::Str(_) | Value::GString(_) | Value::Char(_) => text(&value.to_text()),
        other => match other.date_ms() {
            Some(ms) => plain(&yaml_date::write(ms)),
            None => return Err(Refused::Strange(other.type_name())),
        },
    })
}

fn text(text: &str) -> Event {
    if !text.chars().all(is_printable) {
        let coded = STANDARD.encode(text);
        return Event::scalar(None, Some(BINARY), &coded, false, false, ScalarStyle::Literal);
    }
    let has_lines = text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}']);
    let style = if has_lines { ScalarStyle::Literal } else { ScalarStyle::Plain };
    let is_itself = matches!(resolve(text), Value::Str(_)) && text != MERGE && !is_number_at_first(text);
    Event::scalar(None, None, text, is_itself, true, style)
}

/// What is taken for a number until it is read: `08`.
fn is_number_at_first(text: &str) -> bool {
    text.starts_with('0') && text.len() > 1 && text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::values;

    #[test]
    fn blocks_and_quotes() {
        let map = |pairs: Vec<(&str, Value)>| values::map(pairs);
        let data = map(vec![
            ("name", values::text("x")),
            ("n", Value::Int(1)),
            ("s", values::text("1")),
            ("yes", values::text("true: ")),
            ("empty", Value::list(vec![])),
            (
                "list",
                Value::list(vec![
                    values::text("-a"),
                    map(vec![("k", Value::Null), ("l", Value::list(vec![Value::Bool(true)]))]),
                ]),
            ),
            ("inner", map(vec![("text", values::text("one\ntwo\n")), ("q", values::text("it's: \u{7}"))])),
        ]);
        let expect = "name: x\nn: 1\ns: '1'\n'yes': 'true: '\nempty: []\nlist:\n- -a\n- k: null\n  l:\n  - true\ninner:\n  text: |\n    one\n    two\n  q: !!binary |-\n    aXQnczogBw==\n";
        assert_eq!(documents(std::slice::from_ref(&data)).unwrap(), expect);
        assert_eq!(documents(&[Value::Int(1), map(vec![("a", values::text(""))])]).unwrap(), "1\n---\na: ''\n");
    }

    #[test]
    fn what_is_no_data_is_refused() {
        assert!(matches!(documents(&[Value::host("x", 0)]), Err(Refused::Strange(class)) if class == "x"));
        let mut deep = Value::Null;
        (0..1000).for_each(|_| deep = Value::list(vec![deep.clone()]));
        assert!(matches!(documents(&[deep]), Err(Refused::TooLarge)));
    }

    /// As SnakeYAML 1.33 writes them.
    #[test]
    fn long_lines_names_and_sets() {
        let map = |pairs: Vec<(&str, Value)>| values::map(pairs);
        let shared = map(vec![("a", Value::list(vec![Value::Int(1)]))]);
        let words = values::text(&"word ".repeat(20));
        let set = groovy::value::Map::new(groovy::value::MapKind::Linked);
        set.put(values::text("x"), Value::Bool(true));
        for (value, expect) in [
            (Value::list(vec![shared.clone(), shared]), "- &id001\n  a:\n  - 1\n- *id001\n"),
            (
                map(vec![("l", words.clone())]),
                "l: 'word word word word word word word word word word word word word word word word\n  word word word word '\n",
            ),
            (map(vec![("s", Value::Set(set.into()))]), "s: !!set\n  x: null\n"),
            (values::text("\u{7}"), "!!binary |-\n  Bw==\n"),
            (map(vec![("a", values::text("x\n\n")), ("b", values::text("\n  y"))]), "a: |+\n  x\n\nb: |2-\n\n    y\n"),
            (values::text("x\n\n"), "|+\n  x\n\n"),
            (
                Value::list(["08", "<<", "=", "yes", "1.2.3", "a: b"].map(values::text).into()),
                "- '08'\n- '<<'\n- =\n- 'yes'\n- 1.2.3\n- 'a: b'\n",
            ),
        ] {
            assert_eq!(documents(&[value]).unwrap(), expect);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_written() {
        // Deep, so that each line of a text has a long margin.
        let deep = |text: &str| (0..100).fold(values::text(text), |inner, _| values::map([("k", inner)]));
        let lines = ["a\n".repeat(1 << 13), "\u{7}".repeat(1 << 16), "a".repeat(1 << 16)];
        for text in &lines {
            let all = Value::list(vec![values::text(text); 40]);
            assert!(matches!(within(1 << 20, &[all]), Err(Refused::TooLarge)));
        }
        assert!(matches!(within(1 << 20, &[deep(&lines[0])]), Err(Refused::TooLarge)));
        // One that has itself is written with a name, as often as it is met.
        let own = Value::list(Vec::new());
        if let Value::List(list) = &own {
            list.push(own.clone());
        }
        assert_eq!(documents(std::slice::from_ref(&own)).unwrap(), "&id001\n- *id001\n");
        let many = Value::list(vec![Value::Null; 1 << 16]);
        assert!(within(1 << 20, &[Value::list(vec![many; 1000])]).is_ok());
    }
}
