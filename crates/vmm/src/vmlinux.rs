//! The kernel within a kernel: what distributions ship (`bzImage`) is a small program that unpacks an ELF file, and Firecracker
//! wants that file.
//!
//! Sources: `Documentation/arch/x86/boot.rst` of Linux for where it is, `lz4_Block_format.md` and `lz4_Frame_format.md` ("legacy
//! frame") of LZ4 for how it is packed; Debian's kernels for clouds are packed so.
//!
//! Never: runs anything of it.

use std::ops::Range;

/// No kernel is near to it.
const KERNEL_BYTES: usize = 256 << 20;
/// What a block of a legacy frame can hold.
const BLOCK_BYTES: usize = 8 << 20;
const SECTOR: usize = 512;
const ELF: &[u8] = b"\x7fELF";
/// A match is never shorter.
const MATCH_BYTES: usize = 4;

/// Why there is no kernel to be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VmlinuxError {
    /// It does not begin like one.
    #[error("neither an ELF file nor a kernel of the boot protocol 2.08 or later")]
    Format,
    /// Its head says something that is not there.
    #[error("the packed kernel is not where the head says")]
    Place,
    /// It begins unlike LZ4.
    #[error("the kernel is packed with {with}, which is not supported")]
    Packing {
        /// As far as known.
        with: &'static str,
    },
    /// Broken, or larger than any kernel.
    #[error("the packed kernel is broken")]
    Broken,
}

/// The ELF file in `image`, or `image` itself if it is one.
pub fn extract(image: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
    if image.starts_with(ELF) {
        return Ok(image.to_vec());
    }
    let packed = image.get(payload(image)?).ok_or(VmlinuxError::Place)?;
    let kernel = match packed {
        [0x02, 0x21, 0x4c, 0x18, frame @ ..] => unpack(frame)?,
        [0x1f, 0x8b, ..] => return Err(VmlinuxError::Packing { with: "gzip" }),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => return Err(VmlinuxError::Packing { with: "xz" }),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Err(VmlinuxError::Packing { with: "zstd" }),
        _ => return Err(VmlinuxError::Packing { with: "something else" }),
    };
    if kernel.starts_with(ELF) { Ok(kernel) } else { Err(VmlinuxError::Broken) }
}

/// Where the packed kernel is.
fn payload(image: &[u8]) -> Result<Range<usize>, VmlinuxError> {
    let version = image.get(0x206..0x208).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
    if image.get(0x202..0x206) != Some(b"HdrS") || version.is_none_or(|version| version < 0x0208) {
        return Err(VmlinuxError::Format);
    }
    let setup = match image.get(0x1f1) {
        None => return Err(VmlinuxError::Format),
        Some(0) => 4,
        Some(&sectors) => usize::from(sectors),
    };
    let offset = word(image, 0x248).ok_or(VmlinuxError::Format)?;
    let length = word(image, 0x24c).ok_or(VmlinuxError::Format)?;
    let start = offset.checked_add((setup + 1) * SECTOR).ok_or(VmlinuxError::Place)?;
    Ok(start..start.checked_add(length).ok_or(VmlinuxError::Place)?)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

/// A legacy frame without its magic, and the length of what was packed.
fn unpack(mut frame: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
    let mut unpacked = Vec::new();
    while frame.len() > 4 {
        let length = word(frame, 0).ok_or(VmlinuxError::Broken)?;
        let block = frame.get(4..).and_then(|rest| rest.get(..length)).ok_or(VmlinuxError::Broken)?;
        unpack_block(block, &mut unpacked).ok_or(VmlinuxError::Broken)?;
        frame = &frame[4 + length..];
    }
    if word(frame, 0) == Some(unpacked.len()) { Ok(unpacked) } else { Err(VmlinuxError::Broken) }
}

/// Appends what a block holds; `None`: broken.
fn unpack_block(mut block: &[u8], unpacked: &mut Vec<u8>) -> Option<()> {
    let start = unpacked.len();
    let most = KERNEL_BYTES.min(start + BLOCK_BYTES);
    loop {
        let (&token, rest) = block.split_first()?;
        let (literals, rest) = count(usize::from(token >> 4), rest)?;
        let (plain, rest) = rest.split_at_checked(literals)?;
        unpacked.extend_from_slice(plain);
        if unpacked.len() > most {
            return None;
        }
        if rest.is_empty() {
            return Some(());
        }
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = count(usize::from(token & 15), rest)?;
        let from = unpacked.len().checked_sub(usize::from(u16::from_le_bytes(*offset)))?;
        let length = length + MATCH_BYTES;
        if from < start || from == unpacked.len() || unpacked.len() + length > most {
            return None;
        }
        // It may reach into what it appends, which repeats what is there.
        let end = unpacked.len() + length;
        while unpacked.len() < end {
            unpacked.extend_from_within(from..unpacked.len().min(from + end - unpacked.len()));
        }
        block = rest;
    }
}

/// A number of four bits, and more bytes of it where those are all ones.
fn count(four: usize, rest: &[u8]) -> Option<(usize, &[u8])> {
    if four < 15 {
        return Some((four, rest));
    }
    let ones = rest.iter().take_while(|byte| **byte == 255).count();
    let (last, rest) = rest.get(ones..)?.split_first()?;
    Some((15 + 255 * ones + usize::from(*last), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel image of one setup sector with `payload` right behind it.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * SECTOR];
        image[0x1f1] = 1;
        image[0x202..0x208].copy_from_slice(b"HdrS\x08\x02");
        image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        image.extend_from_slice(payload);
        image
    }

    fn frame(blocks: &[&[u8]], length: u32) -> Vec<u8> {
        let mut frame = vec![0x02, 0x21, 0x4c, 0x18];
        for block in blocks {
            frame.extend_from_slice(&u32::try_from(block.len()).unwrap().to_le_bytes());
            frame.extend_from_slice(block);
        }
        frame.extend_from_slice(&length.to_le_bytes());
        frame
    }

    fn check(payload: &[u8], expect: Result<&[u8], VmlinuxError>) {
        assert_eq!(extract(&image(payload)), expect.map(<[u8]>::to_vec), "{payload:02x?}");
    }

    #[test]
    fn blocks_are_unpacked() {
        check(&frame(&[b"\x40\x7fELF"], 4), Ok(ELF));
        // Four literals, then nineteen bytes from one byte before, then a last literal.
        check(&frame(&[b"\x4f\x7fELF\x01\x00\x00\x10!"], 24), Ok(b"\x7fELFFFFFFFFFFFFFFFFFFFF!".as_slice()));
        check(&frame(&[b"\x40\x7fELF", b"\x12a\x01\x00\x10b"], 12), Ok(b"\x7fELFaaaaaaab".as_slice()));
    }

    #[test]
    fn broken_ones_are_refused() {
        check(&frame(&[b"\x40\x7fELF"], 5), Err(VmlinuxError::Broken));
        check(&frame(&[b"\x40\x7fEL"], 4), Err(VmlinuxError::Broken));
        check(&frame(&[b"\x40ELF\x7f"], 4), Err(VmlinuxError::Broken));
        check(&frame(&[b"\x4f\x7fELF\x05\x00\x00\x10!"], 24), Err(VmlinuxError::Broken));
        check(&frame(&[b"\x4f\x7fELF\x00\x00\x00\x10!"], 24), Err(VmlinuxError::Broken));
        check(b"\xfd7zXZ\0", Err(VmlinuxError::Packing { with: "xz" }));
        assert_eq!(extract(b"MZ"), Err(VmlinuxError::Format));
        let mut far = image(b"");
        far[0x248] = 1;
        far[0x24c] = 1;
        assert_eq!(extract(&far), Err(VmlinuxError::Place));
    }

    /// Debian's own, where this host has one.
    #[test]
    fn a_real_kernel_is_unpacked() {
        let Ok(image) = std::fs::read("/vmlinuz") else {
            println!("skipped: no /vmlinuz here");
            return;
        };
        match extract(&image) {
            Ok(kernel) => assert!(kernel.len() > image.len(), "{} bytes", kernel.len()),
            Err(VmlinuxError::Packing { with }) => println!("skipped: /vmlinuz is packed with {with}"),
            Err(error) => panic!("{error}"),
        }
    }
}
