//! A line of JSON for each message.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MAX_LINE_BYTES;

/// Why a line is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It has no end within the limit.
    #[error("a line of more than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// It is no message of this protocol.
    #[error("no message of this protocol: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

/// Appends a message to `out` as one line.
///
/// # Errors
/// It is longer than the other side reads; `out` is as it was.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), LineError> {
    let before = out.len();
    let written = serde_json::to_writer(&mut *out, message);
    let bytes = out.len() - before;
    match written {
        Ok(()) if bytes < MAX_LINE_BYTES => {
            out.push(b'\n');
            Ok(())
        }
        failed => {
            out.truncate(before);
            Err(failed.map_or_else(|error| LineError::Malformed { reason: error.to_string() }, |()| LineError::TooLong))
        }
    }
}

/// Whether the other side reads a message.
pub fn fits<T: Serialize>(message: &T) -> bool {
    serde_json::to_writer(Room(MAX_LINE_BYTES - 1), message).is_ok()
}

/// Takes so many bytes, and keeps none.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Turns bytes, in pieces of any size, into messages.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the line that comes next begins.
    start: usize,
    /// Up to here there is no end of a line.
    searched: usize,
    /// Bytes of all messages that were taken.
    taken: usize,
}

impl Lines {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// How long all messages were that were taken, in bytes.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The next whole message; `None`: more bytes are needed.
    ///
    /// # Errors
    /// The line is too long, or no message. Nothing that follows can be trusted.
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, LineError> {
        let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return if self.searched - self.start > MAX_LINE_BYTES { Err(LineError::TooLong) } else { Ok(None) };
        };
        let end = self.searched + length;
        let line = &self.buffer[self.start..end];
        let bytes = line.len();
        let message = serde_json::from_slice(line).map_err(|error| LineError::Malformed { reason: error.to_string() });
        (self.start, self.searched) = (end + 1, end + 1);
        self.taken += bytes;
        message.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_pieces() {
        let mut bytes = Vec::new();
        for text in ["one\n", "two", ""] {
            encode(&text.to_owned(), &mut bytes).unwrap();
        }
        for size in 1..bytes.len() {
            let (mut lines, mut got) = (Lines::default(), Vec::new());
            for piece in bytes.chunks(size) {
                lines.push(piece);
                while let Some(text) = lines.message::<String>().unwrap() {
                    got.push(text);
                }
            }
            assert_eq!(got, ["one\n", "two", ""], "pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let mut lines = Lines::default();
        lines.push(b"{}\n");
        assert!(matches!(lines.message::<String>(), Err(LineError::Malformed { .. })));
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE_BYTES + 1]);
        assert_eq!(lines.message::<String>(), Err(LineError::TooLong));
        // The quotes and the end of the line count.
        for (bytes, wanted) in [(MAX_LINE_BYTES - 3, Ok(())), (MAX_LINE_BYTES - 2, Err(LineError::TooLong))] {
            let (text, mut out) = ("x".repeat(bytes), b"before".to_vec());
            assert_eq!(fits(&text), wanted.is_ok());
            assert_eq!(encode(&text, &mut out), wanted);
            assert_eq!(out == b"before", wanted.is_err());
        }
    }
}
