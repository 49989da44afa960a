//! Archives, mutated: whatever comes out of the converter, it neither panics nor makes an image that a reader stumbles
//! over. Deterministic and bounded; the open-ended form is `fuzz/fuzz_targets/layer.rs`.

use std::io::{Read, Seek};

use image::unpack::{UnpackLimits, convert};

use super::archive::{Archive, Head};
use super::{fsck, reader};

const ROUNDS: u64 = 4_000;
/// Images that are also given to Debian's checker.
const CHECKED: u64 = 40;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }
}

fn seed(dice: &mut Dice) -> Vec<u8> {
    let names =
        ["a", "a/b", "a/b/c", "d", "d/.wh.x", "d/.wh..wh..opq", ".wh.a", "dev", "dev/x", "l/x", "/abs", "./", "é"];
    let mut archive = Archive::new();
    for _ in 0..=dice.roll(12) {
        let (name, other) = (names[dice.roll(names.len())], names[dice.roll(names.len())]);
        let long = "y".repeat(dice.roll(300));
        let data = "z".repeat([0, 1, 512, 1024, 1025, 5000][dice.roll(6)]);
        archive = match dice.roll(10) {
            0 | 1 => archive.file(name, &data),
            2 | 3 => archive.dir(name),
            4 => archive.symlink(name, other),
            5 => archive.hardlink(name, other),
            6 => archive.symlink("l", name),
            7 => archive.pax(&[("path", long.as_bytes()), ("mtime", b"-1.5")]).file(name, &data),
            8 => archive.pax(&[("SCHILY.xattr.user.a", long.as_bytes()), ("uid", b"70000")]).dir(name),
            _ => {
                let records: [(&str, &[u8]); 2] = [("GNU.sparse.map", b"0,1,9,1"), ("GNU.sparse.size", b"20")];
                archive.pax(&records).file(name, "qq")
            }
        };
    }
    archive.end()
}

fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(5) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes[at] = [0, b'/', b'.', b'7', 0x80, 0xff, b' '][dice.roll(7)],
            2 => bytes.truncate(at.max(1)),
            3 => {
                let (from, block) = (at / 512 * 512, dice.roll(bytes.len()) / 512 * 512);
                let copied: Vec<u8> = bytes[block..(block + 512).min(bytes.len())].to_vec();
                let end = (from + copied.len()).min(bytes.len());
                bytes[from..end].copy_from_slice(&copied[..end - from]);
            }
            _ => {
                // A header with another kind, its checksum right.
                let kind = b"0123456xgLKSV\0"[dice.roll(14)];
                let from = at / 512 * 512;
                let end = (from + 512).min(bytes.len());
                let head = Head::new(kind, "a/b").encode();
                bytes[from..end].copy_from_slice(&head[..end - from]);
            }
        }
    }
}

#[test]
fn mutated_archives() {
    let limits = UnpackLimits { content_bytes: 1 << 20, ..UnpackLimits::default() };
    let (mut dice, mut converted) = (Dice(7), 0);
    for round in 0..ROUNDS {
        let mut bytes = seed(&mut dice);
        mutate(&mut dice, &mut bytes);
        let mut output = tempfile::tempfile().unwrap();
        if convert(&limits, &bytes[..], &output).is_ok() {
            converted += 1;
            let mut image = vec![];
            output.rewind().unwrap();
            output.read_to_end(&mut image).unwrap();
            reader::nodes(&image);
            if converted <= CHECKED {
                assert!(fsck(&output), "fsck.erofs refuses the image of round {round}");
            }
        }
    }
    // Both ways were taken often.
    assert!((ROUNDS / 10..ROUNDS * 9 / 10).contains(&converted), "{converted} of {ROUNDS} converted");
}
