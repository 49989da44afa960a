//! Bytes of a process into lines of a log: any encoding, any length, any cut.

use encoding_rs::{Decoder, Encoding, UTF_8};
use model::limits::{MAX_LOG_LINE_BYTES, bytes_cut};

/// Collects the output of one stream into lines.
pub struct Lines {
    decoder: Decoder,
    line: String,
    /// Characters of the current line that were cut off.
    cut: u64,
}

impl Lines {
    /// Output in that character set (`None`, or an unknown name: UTF-8). Bytes that are none become U+FFFD.
    pub fn new(encoding: Option<&str>) -> Lines {
        let encoding = encoding.and_then(|name| Encoding::for_label(name.as_bytes())).unwrap_or(UTF_8);
        Lines { decoder: encoding.new_decoder_without_bom_handling(), line: String::new(), cut: 0 }
    }

    /// Takes bytes in, and hands out each line that they complete.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        let mut text = String::with_capacity(bytes.len() + 16);
        self.decode(bytes, false, &mut text);
        self.text(&text, &mut line);
    }

    /// The end: hands out what has no line break.
    pub fn finish(mut self, mut line: impl FnMut(String)) {
        let mut text = String::new();
        self.decode(&[], true, &mut text);
        self.text(&text, &mut line);
        if !self.line.is_empty() || self.cut > 0 {
            line(self.take());
        }
    }

    fn decode(&mut self, mut bytes: &[u8], last: bool, text: &mut String) {
        loop {
            text.reserve(self.decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 16));
            let (result, read, _) = self.decoder.decode_to_string(bytes, text, last);
            bytes = &bytes[read..];
            if result == encoding_rs::CoderResult::InputEmpty {
                return;
            }
        }
    }

    fn text(&mut self, text: &str, line: &mut impl FnMut(String)) {
        let mut rest = text;
        while let Some(at) = rest.find('\n') {
            self.append(&rest[..at]);
            if self.line.ends_with('\r') {
                self.line.pop();
            }
            line(self.take());
            rest = &rest[at + 1..];
        }
        self.append(rest);
    }

    fn append(&mut self, text: &str) {
        let room = MAX_LOG_LINE_BYTES.saturating_sub(self.line.len());
        if text.len() <= room && self.cut == 0 {
            self.line.push_str(text);
            return;
        }
        let keep = if self.cut == 0 { text.floor_char_boundary(room) } else { 0 };
        self.line.push_str(&text[..keep]);
        self.cut += (text.len() - keep) as u64;
    }

    fn take(&mut self) -> String {
        let mut line = std::mem::take(&mut self.line);
        if self.cut > 0 {
            line.push_str(&bytes_cut(self.cut));
            self.cut = 0;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&[u8]], encoding: Option<&str>, expect: &[&str]) {
        let mut got = Vec::new();
        let mut lines = Lines::new(encoding);
        for chunk in chunks {
            lines.push(chunk, |line| got.push(line));
        }
        lines.finish(|line| got.push(line));
        assert_eq!(got, expect);
    }

    #[test]
    fn lines_survive_any_cut() {
        check(&[b"a\nb", b"c\n", b"d"], None, &["a", "bc", "d"]);
        check(&[b"a\r\nb\n\n"], None, &["a", "b", ""]);
        check(&["ä".as_bytes().split_at(1).0, "ä".as_bytes().split_at(1).1, b"\n"], None, &["ä"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        check(&[b"\xff\xfe ok\n"], None, &["\u{fffd}\u{fffd} ok"]);
        check(&[b"gr\xfc\xdfe\n"], Some("ISO-8859-1"), &["grüße"]);
    }

    #[test]
    fn a_line_without_end_costs_a_bounded_amount() {
        let mut lines = Lines::new(None);
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            lines.push(&chunk, |_| panic!("there is no line break"));
            assert!(lines.line.capacity() <= 4 << 20);
        }
        let mut got = Vec::new();
        lines.finish(|line| got.push(line));
        assert_eq!(got.len(), 1);
        assert!(got[0].len() < MAX_LOG_LINE_BYTES + 100 && got[0].contains("bytes cut"));
    }
}
