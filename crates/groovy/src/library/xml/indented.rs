//! A document with each element on a line of its own, as Java's serializer writes it since version 9: what stands between elements is
//! text as well, on a line of its own, without the breaks that it begins with.

use std::borrow::Cow;

use quick_xml::events::Event;

use super::{markup, reader};
use crate::machine::{Ctx, Fault};

/// An element whose end was not written yet.
struct Open {
    name: String,
    /// It has more than text, so its parts stand on lines of their own.
    apart: bool,
}

/// What is written, and what is not yet.
#[derive(Default)]
struct Lines {
    out: String,
    open: Vec<Open>,
    /// Text of the innermost element, ready to be written.
    text: String,
    /// The innermost start tag still lacks its end.
    tag: bool,
}

/// A text that is well-formed, as a document with lines.
pub(super) fn indented(ctx: &mut Ctx<'_>, text: &str) -> Result<String, Fault> {
    let mut lines = Lines { out: r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned(), ..Lines::default() };
    let mut reader = reader(text);
    loop {
        ctx.room(lines.out.len())?;
        ctx.pay(1 + lines.open.len() / 8)?;
        // It was read before, so nothing is wrong with it.
        let Ok(event) = reader.read_event() else { break };
        match event {
            Event::Start(tag) => lines.start(&tag),
            Event::Empty(tag) => {
                lines.start(&tag);
                lines.end();
            }
            Event::End(_) => lines.end(),
            Event::Text(piece) => {
                let piece = piece.decode().unwrap_or_default();
                lines.add(&escaped(&markup::lines(&piece), false));
            }
            Event::GeneralRef(name) => {
                let found = markup::referenced(&String::from_utf8_lossy(&name));
                lines.add(&escaped(&found.map(String::from).unwrap_or_default(), false));
            }
            Event::CData(piece) => {
                let piece = piece.decode().unwrap_or_default();
                lines.add(&format!("<![CDATA[{}]]>", markup::lines(&piece)));
            }
            Event::Comment(piece) => {
                let piece = piece.decode().unwrap_or_default();
                lines.item(&format!("<!--{}-->", markup::lines(&piece)));
            }
            Event::PI(piece) => {
                let piece = String::from_utf8_lossy(&piece);
                let (target, data) = piece.split_once(markup::is_space).unwrap_or((&piece, ""));
                lines.item(&format!("<?{target} {}?>", data.trim_start_matches(markup::is_space)));
            }
            Event::Decl(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    Ok(lines.out + "\n")
}

impl Lines {
    /// Something that stands on a line of its own within an element.
    fn item(&mut self, text: &str) {
        self.apart();
        self.out.push_str(text);
    }

    /// Text that comes to what the element has so far; outside of the root it is nothing but space.
    fn add(&mut self, text: &str) {
        if !self.open.is_empty() {
            self.text.push_str(text);
        }
    }

    fn start(&mut self, tag: &quick_xml::events::BytesStart<'_>) {
        self.apart();
        let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
        self.out.push('<');
        self.out.push_str(&name);
        let mut attributes = markup::attributes(tag).unwrap_or_default();
        attributes.sort_by_key(|(name, _)| name != "xmlns" && !name.starts_with("xmlns:"));
        for (name, value) in attributes {
            self.out.push_str(&format!(" {name}=\"{}\"", escaped(&value, true)));
        }
        self.open.push(Open { name, apart: false });
        self.tag = true;
    }

    fn end(&mut self) {
        let Some(Open { name, apart }) = self.open.pop() else { return };
        let text = std::mem::take(&mut self.text);
        if self.tag && text.is_empty() {
            self.out.push_str("/>");
            self.tag = false;
            return;
        }
        self.close_tag();
        if apart {
            self.line(self.open.len() + 1, &text);
            self.out.push('\n');
            self.indent(self.open.len());
        } else {
            self.out.push_str(&text);
        }
        self.out.push_str(&format!("</{name}>"));
    }

    /// Goes to where the next part of the innermost element stands.
    fn apart(&mut self) {
        self.close_tag();
        let depth = self.open.len();
        let text = std::mem::take(&mut self.text);
        let Some(open) = self.open.last_mut() else { return };
        open.apart = true;
        self.line(depth, &text);
        self.out.push('\n');
        self.indent(depth);
    }

    /// Text on a line of its own, where there is any.
    fn line(&mut self, depth: usize, text: &str) {
        if !text.is_empty() {
            self.out.push('\n');
            self.indent(depth);
            self.out.push_str(text.trim_start_matches('\n'));
        }
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.tag) {
            self.out.push('>');
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("  ", depth));
    }
}

/// Text as it stands between tags or, within quotes, in one.
fn escaped(text: &str, attribute: bool) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '\r') || attribute && matches!(c, '"' | '\n' | '\t');
    if !text.contains(special) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            c if special(c) => out.push_str(&format!("&#{};", c as u32)),
            c => out.push(c),
        }
    }
    out.into()
}
