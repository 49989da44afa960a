//! The first child: a compressed blob on standard input becomes an archive on standard output.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use super::fault::Fault;
use super::{Compression, Refusal};

/// What goes out at once. Fits the second-level cache, so that the parent's side of the pipe finds it there.
const OUT: usize = 128 * 1024;
const IN: usize = 128 * 1024;
/// Largest window of a zstd frame, as a power of two: what `zstd -d` accepts without being told.
const MAX_WINDOW: u32 = 27;

/// Decompresses all of `input` into `output`.
///
/// # Errors
/// Refuses a stream that is damaged, cut off, or followed by something else.
pub(super) fn decompress(compression: Compression, input: impl Read, mut output: impl Write) -> Result<(), Fault> {
    let mut input = BufReader::with_capacity(IN, input);
    let damaged = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => Fault::Refused(Refusal::Compressed("it is cut off".to_owned())),
        _ => Fault::Refused(Refusal::Compressed(error.to_string())),
    };
    match compression {
        Compression::Gzip => copy(flate2::bufread::MultiGzDecoder::new(&mut input), &mut output, damaged)?,
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut input).map_err(Fault::Input)?;
            decoder.window_log_max(MAX_WINDOW).map_err(Fault::Input)?;
            copy(decoder, &mut output, damaged)?;
        }
        Compression::Plain => copy(&mut input, &mut output, Fault::Input)?,
    }
    if input.fill_buf().map_err(Fault::Input)?.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Compressed("something follows it".to_owned()).into())
    }
}

fn copy(mut from: impl Read, to: &mut impl Write, damaged: impl Fn(io::Error) -> Fault) -> Result<(), Fault> {
    let mut buffer = vec![0; OUT];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count]).map_err(Fault::Output)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(compression: Compression, blob: &[u8], expect: Result<&[u8], &str>) {
        let mut out = vec![];
        match (decompress(compression, blob, &mut out), expect) {
            (Ok(()), Ok(bytes)) => assert_eq!(out, bytes),
            (Err(fault), Err(part)) => assert!(fault.to_string().contains(part), "{fault}"),
            (found, _) => panic!("{found:?} but expected {expect:?}"),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_members_and_damage() {
        let (one, two) = (gzip(b"one"), gzip(b"two"));
        check(Compression::Gzip, &one, Ok(b"one"));
        check(Compression::Gzip, &[&one[..], &two[..]].concat(), Ok(b"onetwo"));
        check(Compression::Gzip, &one[..one.len() - 1], Err("cut off"));
        check(Compression::Gzip, &one[..5], Err("cut off"));
        check(Compression::Gzip, &[&one[..], b"garbage after it"].concat(), Err("damaged"));
        let mut wrong_sum = one.clone();
        let at = wrong_sum.len() - 6;
        wrong_sum[at] ^= 1;
        check(Compression::Gzip, &wrong_sum, Err("damaged"));
    }

    #[test]
    fn zstd_frames_and_damage() {
        let (one, two) = (zstd::encode_all(&b"one"[..], 3).unwrap(), zstd::encode_all(&b"two"[..], 3).unwrap());
        let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
        check(Compression::Zstd, &[&one[..], skippable, &two[..]].concat(), Ok(b"onetwo"));
        check(Compression::Zstd, &one[..one.len() - 1], Err("damaged"));
        check(Compression::Zstd, &[&one[..], b"garbage"].concat(), Err("damaged"));
        // A frame that asks for a window of 2 GiB.
        check(Compression::Zstd, b"\x28\xb5\x2f\xfd\x00\xa8\x01\0\0", Err("damaged"));
    }
}
