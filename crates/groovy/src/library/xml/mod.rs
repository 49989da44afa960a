//! XML as a tree of elements, for `XmlSlurper` and `XmlParser` (which are written in Groovy, in `shims/`).
//!
//! What is no well-formed XML is told in the words of the parser that Java has. A document type declaration is refused, as
//! Groovy does by default; where a script allows one it is skipped, so nothing that it names is fetched or expanded.

mod indented;
mod markup;
mod tree;

use quick_xml::errors::IllFormedError;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader};

use super::{Answer, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Throwable, Value};
use markup::{is_space, name_at_start};
use tree::Tree;

/// How deep elements may nest: scripts go down by calls within calls.
const NESTING_MAX: usize = 400;

/// Bytes that are read for the price of an instruction.
const BYTES_AT_ONCE: usize = 8;

/// What a script has said of how to read.
struct Options {
    /// Names are taken apart, and prefixes must be declared.
    namespaces: bool,
    /// Text between elements counts where it is nothing but space.
    whitespace: bool,
    /// A document type declaration is skipped instead of refused.
    doctype: bool,
    /// Attributes keep the order in which they are written.
    ordered: bool,
}

/// Why a text is no XML.
struct Problem(String);

impl From<&str> for Problem {
    fn from(text: &str) -> Problem {
        Problem(text.to_owned())
    }
}

/// Why reading ended early.
enum Stop {
    Problem(Problem),
    Fault(Fault),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Problem(problem)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

/// Static methods of the library's own classes: `$read(text, namespaces, whitespace, doctype, ordered)` answers the root element, and
/// the prefixes with what they stand for; `$indented(text)` the text with each element on a line of its own.
pub(super) fn statics(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("$read", [text, namespaces, whitespace, doctype, ordered]) => {
            let options = Options {
                namespaces: namespaces.truth(),
                whitespace: whitespace.truth(),
                doctype: doctype.truth(),
                ordered: ordered.truth(),
            };
            let text = source(ctx, text)?;
            let (root, prefixes) = document(ctx, &text, options)?;
            yes(Value::list(vec![root, prefixes]))
        }
        ("$indented", [text]) => {
            let text = source(ctx, text)?;
            let options = Options { namespaces: true, whitespace: false, doctype: false, ordered: true };
            document(ctx, &text, options)?;
            indented::indented(ctx, &text).and_then(yes)
        }
        _ => Ok(None),
    }
}

fn source(ctx: &mut Ctx<'_>, text: &Value) -> Result<String, Fault> {
    if text.is_null() {
        return Err(ctx.world.null_pointer("the argument is null"));
    }
    let text = ctx.text(text)?;
    ctx.pay(text.len() / BYTES_AT_ONCE)?;
    Ok(text)
}

/// The root element of a text, and the prefixes of all elements.
fn document(ctx: &mut Ctx<'_>, text: &str, options: Options) -> Result<(Value, Value), Fault> {
    let mut reader = reader(text);
    let mut tree = Tree::new(ctx, options);
    match read(ctx, text, &mut reader, &mut tree) {
        Ok(root) => Ok((root, tree.prefixes())),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Problem(Problem(message))) => Err(problem(ctx, message, before(text, &reader))),
    }
}

/// What it takes apart is checked here, in the words of Java's parser.
fn reader(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    config.check_comments = true;
    reader
}

/// What was read when something was wrong.
fn before<'t>(text: &'t str, reader: &Reader<&[u8]>) -> &'t str {
    let at = usize::try_from(reader.error_position().max(reader.buffer_position())).unwrap_or(usize::MAX);
    (0..=at.min(text.len())).rev().find_map(|at| text.get(..at)).unwrap_or_default()
}

fn problem(ctx: &Ctx<'_>, message: String, before: &str) -> Fault {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let place = |n: usize| Value::Int(i32::try_from(n).unwrap_or(i32::MAX));
    let facts = vec![("lineNumber".into(), place(line)), ("columnNumber".into(), place(column))];
    let what = Throwable { message: Value::str(message), facts, ..Throwable::default() };
    Fault::Throw(ctx.world.thrown("org.xml.sax.SAXParseException", what))
}

/// The root element.
fn read(ctx: &mut Ctx<'_>, text: &str, reader: &mut Reader<&[u8]>, tree: &mut Tree) -> Result<Value, Stop> {
    if text.starts_with('\u{feff}') {
        return Err(Problem::from("Content is not allowed in prolog.").into());
    }
    loop {
        let at_start = reader.buffer_position() == 0;
        match reader.read_event().map_err(|error| words_of(&error))? {
            Event::Start(tag) => start(ctx, tree, &tag)?,
            Event::Empty(tag) => {
                start(ctx, tree, &tag)?;
                tree.close(ctx)?;
            }
            Event::End(tag) => {
                let name = reader.decoder().decode(&tag).unwrap_or_default();
                match tree.open_name() {
                    Some(open) if *open == *name => tree.close(ctx)?,
                    Some(open) => {
                        let message = format!(
                            "The element type \"{open}\" must be terminated by the matching end-tag \"</{open}>\"."
                        );
                        return Err(Problem(message).into());
                    }
                    None => return Err(outside(tree, true).into()),
                }
            }
            Event::Text(piece) => {
                let piece = piece.decode().unwrap_or_default();
                markup::check_text(&piece)?;
                add(tree, &markup::lines(&piece))?;
            }
            Event::CData(piece) => {
                if tree.open_name().is_none() {
                    return Err(outside(tree, true).into());
                }
                let piece = piece.decode().unwrap_or_default();
                markup::check_characters(&piece, "CDATA section")?;
                add(tree, &markup::lines(&piece))?;
            }
            Event::GeneralRef(name) => reference(tree, &name)?,
            Event::DocType(_) if tree.allows_doctype() => {}
            Event::DocType(_) => {
                let message = "DOCTYPE is disallowed when the feature \
                               \"http://apache.org/xml/features/disallow-doctype-decl\" set to true.";
                return Err(Problem::from(message).into());
            }
            Event::Decl(_) if !at_start => {
                let message = "The processing instruction target matching \"[xX][mM][lL]\" is not allowed.";
                return Err(Problem::from(message).into());
            }
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof if tree.open_name().is_some() => return Err(Problem::from(CUT_OFF).into()),
            Event::Eof => return Ok(tree.root().ok_or(Problem::from("Premature end of file."))?),
        }
    }
}

fn start(ctx: &mut Ctx<'_>, tree: &mut Tree, tag: &BytesStart<'_>) -> Result<(), Stop> {
    let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
    if tree.is_over() || name_at_start(&name).len() != name.len() || name.is_empty() {
        return Err(outside(tree, true).into());
    }
    ctx.room_for_items(1)?;
    tree.open(ctx, name, markup::attributes(tag)?)
}

/// Text of the element that is open.
fn add(tree: &mut Tree, text: &str) -> Result<(), Problem> {
    if tree.add(text) || text.chars().all(is_space) { Ok(()) } else { Err(outside(tree, false)) }
}

fn reference(tree: &mut Tree, name: &BytesRef<'_>) -> Result<(), Problem> {
    if tree.open_name().is_none() {
        return Err(outside(tree, false));
    }
    let found = markup::referenced(&String::from_utf8_lossy(name))?;
    add(tree, found.encode_utf8(&mut [0; 4]))
}

/// What stands where it may not: before the root element, behind it, or in it.
fn outside(tree: &Tree, is_markup: bool) -> Problem {
    Problem::from(match (is_markup, tree.is_over(), tree.open_name().is_some()) {
        (_, _, true) => "The content of elements must consist of well-formed character data or markup.",
        (true, true, _) => "The markup in the document following the root element must be well-formed.",
        (true, false, _) => "The markup in the document preceding the root element must be well-formed.",
        (false, true, _) => "Content is not allowed in trailing section.",
        (false, false, _) => "Content is not allowed in prolog.",
    })
}

const CUT_OFF: &str = "XML document structures must start and end within the same entity.";

fn words_of(error: &Error) -> Problem {
    match error {
        Error::Syntax(_) => Problem::from(CUT_OFF),
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => {
            Problem::from("The string \"--\" is not permitted within comments.")
        }
        other => Problem(other.to_string()),
    }
}
