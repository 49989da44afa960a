//! What `H` stands for: values that look drawn by lot and are the same on every machine and in every version.
//!
//! The `n`-th `H` of a field (from 0, over all lines of the specification) that chooses one of `limit` values takes number
//! `mix(fnv1a64(name) + (field * 2^32 + n + 1) * 0x9e3779b97f4a7c15) * limit / 2^64`, where `field` is 0 for minutes to 4 for days of
//! the week, `fnv1a64` hashes the UTF-8 bytes of the job's full name and `mix` is the last part of SplitMix64. A golden test holds it fast:
//! a change of it would move every job of every server.
//!
//! The lines of a job draw anew, so that two equal lines are two runs; and a field does not depend on the others, so that a change of
//! the hours leaves the minutes as they are.

use crate::field::Field;

/// The values of the `H` of one specification, in the order in which they stand there.
pub(crate) struct Draws {
    seed: u64,
    drawn: [u32; Field::ALL.len()],
}

impl Draws {
    pub(crate) fn new(name: &str) -> Self {
        Self { seed: fnv1a64(name.as_bytes()), drawn: [0; Field::ALL.len()] }
    }

    /// The next number below `limit` for a field.
    pub(crate) fn below(&mut self, field: Field, limit: u8) -> u8 {
        let drawn = &mut self.drawn[field as usize];
        let index = ((field as u64) << 32) + u64::from(*drawn) + 1;
        *drawn += 1;
        let mixed = mix(self.seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        // Below `limit`, since `mixed` is below 2^64.
        ((u128::from(mixed) * u128::from(limit)) >> 64) as u8
    }
}

fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
