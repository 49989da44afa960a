//! What runs use of the host that they are on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Memory and processors. 0: nothing is said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Processor time, in thousandths of one processor.
    pub cpu_millis: u64,
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resources { memory_mib, cpu_millis } = *self;
        let cpus = format!("{}.{:03}", cpu_millis / 1000, cpu_millis % 1000);
        let cpus = cpus.trim_end_matches('0').trim_end_matches('.');
        match (memory_mib, cpu_millis) {
            (0, 0) => f.write_str("as much as each place has"),
            (_, 0) => write!(f, "{memory_mib} MiB of memory"),
            (0, _) => write!(f, "{cpus} processors"),
            _ => write!(f, "{memory_mib} MiB of memory and {cpus} processors"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_words() {
        let told = |memory_mib, cpu_millis| Resources { memory_mib, cpu_millis }.to_string();
        assert_eq!(told(512, 1500), "512 MiB of memory and 1.5 processors");
        assert_eq!(told(0, 20_000), "20 processors");
        assert_eq!(told(1, 0), "1 MiB of memory");
    }
}
