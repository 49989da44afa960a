//! Characters that a document of XML may have. The reader of documents lets any through; others, Jenkins' among them, refuse a document that has
//! a control character, as the colours of a terminal are.

use quick_xml::events::Event as Xml;

/// What a document may have, which its version says.
#[derive(Default)]
pub struct Chars {
    /// Of XML 1.1, where controls may be referred to.
    has_controls: bool,
}

impl Chars {
    /// Looks at a part of a document.
    ///
    /// # Errors
    /// A character, or a reference to one, that no such document may have.
    pub fn check(&mut self, part: &Xml<'_>) -> Result<(), String> {
        match part {
            Xml::Decl(declaration) => {
                self.has_controls = declaration.version().is_ok_and(|version| *version == *b"1.1");
                Ok(())
            }
            Xml::Start(tag) | Xml::Empty(tag) => plain(tag).and_then(|()| self.references(tag)),
            Xml::Text(text) => plain(text),
            Xml::CData(text) => plain(text),
            Xml::Comment(text) => plain(text),
            Xml::PI(text) => plain(text),
            Xml::GeneralRef(reference) => self.reference(reference),
            _ => Ok(()),
        }
    }

    /// References to characters among other bytes.
    fn references(&self, bytes: &[u8]) -> Result<(), String> {
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'&') {
            // No number of a character is longer.
            let rest = &bytes[at + 1..bytes.len().min(at + 16)];
            if let Some(end) = rest.iter().position(|byte| *byte == b';') {
                self.reference(&rest[..end])?;
            }
        }
        Ok(())
    }

    /// What stands between `&` and `;`. Names are none of ours.
    fn reference(&self, name: &[u8]) -> Result<(), String> {
        let Some(number) = name.strip_prefix(b"#").and_then(|number| std::str::from_utf8(number).ok()) else {
            return Ok(());
        };
        let number = match number.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        match number {
            Ok(number) if is_char(number) || self.has_controls && (1..0x20).contains(&number) => Ok(()),
            Ok(number) => Err(no_char(number)),
            Err(_) => Err("a number that names no character".to_owned()),
        }
    }
}

fn plain(bytes: &[u8]) -> Result<(), String> {
    match bytes.iter().find(|byte| !is_char(u32::from(**byte))) {
        Some(byte) => Err(no_char(u32::from(*byte))),
        None => Ok(()),
    }
}

/// Source: the production `Char` of XML 1.0.
fn is_char(number: u32) -> bool {
    matches!(number, 0x9 | 0xa | 0xd | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x1_0000..=0x10_ffff)
}

fn no_char(number: u32) -> String {
    format!("U+{number:04X} is no character of XML")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str) -> Result<(), String> {
        let (mut reader, mut chars) = (quick_xml::Reader::from_str(document), Chars::default());
        loop {
            match reader.read_event().unwrap() {
                Xml::Eof => return Ok(()),
                part => chars.check(&part)?,
            }
        }
    }

    #[test]
    fn what_is_no_character_is_found_wherever_it_stands() {
        assert_eq!(check("<a b='&#9;&amp;&lt;é&#x1F600;'>\t\r\n&#10; &nbsp; ü&#xE9;<![CDATA[]]></a>"), Ok(()));
        let wrong = [
            "<a>\u{1b}[31m</a>",
            "<a>&#x1;</a>",
            "<a>&#27;</a>",
            "<a b='&#0;'/>",
            "<a b='\u{8}'/>",
            "<a><![CDATA[\u{c}]]></a>",
            "<a><!--\u{0}--></a>",
            "<a><?b \u{1}?></a>",
            "<a b='&#xD800;'/>",
            "<a>&#x110000;</a>",
        ];
        for document in wrong {
            let said = check(document).unwrap_err();
            assert!(said.ends_with(" is no character of XML"), "{document:?}: {said}");
        }
        assert!(check("<a>&#99999999999;</a>").is_err());
    }

    #[test]
    fn a_document_of_xml_1_1_may_refer_to_controls() {
        assert_eq!(check("<?xml version='1.1'?><a b='&#1;'>&#x1B;</a>"), Ok(()));
        assert!(check("<?xml version='1.1'?><a>&#0;</a>").is_err());
        assert!(check("<?xml version='1.0'?><a>&#x1B;</a>").is_err());
    }
}
