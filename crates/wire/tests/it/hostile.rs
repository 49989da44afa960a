//! A bounded, repeatable fuzz: mutated streams must give messages or errors, in bounded memory, and never a panic.
//! The same body serves a fuzzer: see `fuzz_one`.

use model::limits::MAX_FRAME_BYTES;
use wire::frame::{Decoder, encode};
use wire::init::{Command, Event};

use crate::samples;

/// A small generator (xorshift), so that a failure is repeatable from its round.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

/// What must hold for any bytes in pieces of any size.
fn fuzz_one(bytes: &[u8], piece: usize) {
    let (mut commands, mut events) = (Decoder::new(), Decoder::new());
    for piece in bytes.chunks(piece.max(1)) {
        commands.push(piece);
        events.push(piece);
        while let Ok(Some(message)) = commands.message::<Command>() {
            // What was accepted can be sent on, unless it only fitted because numbers were written shorter.
            let _ = encode(&message, &mut Vec::new());
        }
        while let Ok(Some(_)) = events.message::<Event>() {}
        assert!(commands.pending() <= MAX_FRAME_BYTES + 4 + piece.len());
        assert!(events.pending() <= MAX_FRAME_BYTES + 4 + piece.len());
    }
}

#[test]
fn mutated_streams_never_panic() {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for command in samples::commands() {
        let mut bytes = Vec::new();
        encode(&command, &mut bytes).unwrap();
        seeds.push(bytes);
    }
    for event in samples::events() {
        let mut bytes = Vec::new();
        encode(&event, &mut bytes).unwrap();
        bytes.truncate(2000);
        seeds.push(bytes);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60_000 {
        let mut bytes = Vec::new();
        for _ in 0..=random.below(3) {
            bytes.extend_from_slice(&seeds[random.below(seeds.len())]);
        }
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, random.next().to_le_bytes()[0]),
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        fuzz_one(&bytes, 1 + random.below(40));
    }
}

#[test]
fn claimed_lengths_reserve_no_memory() {
    // A list of 2^60 strings, in a frame of a few bytes.
    for message in 0..20u8 {
        let body = [&[message, 1][..], &[0xff; 8], &[0x0f]].concat();
        let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(&body);
        fuzz_one(&bytes, 64);
    }
}
