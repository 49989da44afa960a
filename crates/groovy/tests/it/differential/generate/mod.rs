//! Scripts from a seed: expressions out of templates, blocks of control flow, and classes with overloads.

mod blocks;
mod classes;
mod templates;

use super::cases::Case;

/// SplitMix64: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.below(from.len())]
    }
}

/// Expressions of one script.
const PROBES: usize = 10;

/// `count` scripts.
pub fn scripts(seed: u64, count: u64) -> Vec<Case> {
    let script = |n: u64| {
        let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(n));
        let id = format!("seed-{seed}-{n}");
        match random.below(8) {
            0 => Case::new(id, &blocks::script(&mut random), Vec::new()),
            1 => {
                let (script, probes) = classes::script(&mut random);
                Case::new(id, &script, probes)
            }
            _ => {
                let probes = (0..PROBES).map(|_| templates::any(&mut random, 3)).collect();
                Case::new(id, templates::PREAMBLE, probes)
            }
        }
    };
    (0..count).map(script).collect()
}
