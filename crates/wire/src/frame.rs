//! Framing: a little-endian `u32` length, then one postcard message.
//!
//! Both sides refuse a frame above [`MAX_FRAME_BYTES`] before they reserve memory for it, so a peer that claims 4 GiB costs
//! nothing. A frame must be used up by its message: trailing bytes are an error, not padding.

use model::limits::MAX_FRAME_BYTES;
use serde::{Serialize, de::DeserializeOwned};

const HEADER_BYTES: usize = 4;

/// Why bytes are not a message, or a message is not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field exceeds the limit, or the message to encode does.
    #[error("a frame of {bytes} bytes exceeds the limit of {MAX_FRAME_BYTES}")]
    TooLarge {
        /// Length that was claimed or needed.
        bytes: usize,
    },
    /// The content is no message of this protocol.
    #[error("a frame does not hold a message of this protocol")]
    Malformed,
    /// Bytes were left after the message.
    #[error("{bytes} bytes follow the message in its frame")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// Appends `message` to `out` as one frame; `out` is unchanged on error.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let body = postcard::to_allocvec(message).map_err(|_| FrameError::Malformed)?;
    if body.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge { bytes: body.len() });
    }
    let length = u32::try_from(body.len()).map_err(|_| FrameError::TooLarge { bytes: body.len() })?;
    out.reserve(HEADER_BYTES + body.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&body);
    Ok(())
}

/// Turns a stream of bytes, in pieces of any size, into messages.
///
/// Holds at most one incomplete frame plus the last piece that was pushed. After an error the stream has lost its frame
/// borders, so every later call returns the same error.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    failed: Option<FrameError>,
}

impl Decoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.start > 0 && (self.start == self.buffer.len() || self.start >= MAX_FRAME_BYTES) {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that were pushed and belong to no message yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next whole message, or `None` until more bytes are pushed.
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.decode();
        if let Err(error) = &result {
            self.failed = Some(*error);
            self.buffer = Vec::new();
            self.start = 0;
        }
        result
    }

    fn decode<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let pending = &self.buffer[self.start..];
        let Some((header, rest)) = pending.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge { bytes: length });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let (message, left) = postcard::take_from_bytes(body).map_err(|_| FrameError::Malformed)?;
        if !left.is_empty() {
            return Err(FrameError::Trailing { bytes: left.len() });
        }
        self.start += HEADER_BYTES + length;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            self.buffer.shrink_to(64 * 1024);
        }
        Ok(Some(message))
    }
}
