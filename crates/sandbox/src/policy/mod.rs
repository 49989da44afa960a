//! Lists that are policy: data files with a reason for each entry, parsed and compiled here, and handed to the launcher as data.

mod lines;
mod lists;
#[cfg(test)]
mod seccomp;

pub(crate) use lines::lines;
pub(crate) use lists::{devices, file_capabilities, masks, tools};

/// [`crate::Capabilities`] as a set, bit N for capability N: what init is told to give a workload with user id 0.
pub fn root_capabilities(capabilities: crate::Capabilities) -> u64 {
    match capabilities {
        crate::Capabilities::None => 0,
        crate::Capabilities::OwnFiles => file_capabilities().iter().fold(0, |set, number| set | 1 << number),
    }
}

/// The program that decides on system calls, 8 bytes an instruction: `data/seccomp.txt`, compiled by the build script.
pub(crate) fn seccomp_filter() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/seccomp.bpf"))
}

/// The same with what `data/seccomp-nested.txt` adds.
pub(crate) fn nested_seccomp_filter() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/seccomp-nested.bpf"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_entry_of_every_list_has_a_reason() {
        let lists = [
            ("seccomp.txt", include_str!("../../data/seccomp.txt")),
            ("seccomp-nested.txt", include_str!("../../data/seccomp-nested.txt")),
            ("proc-masks.txt", include_str!("../../data/proc-masks.txt")),
            ("devices.txt", include_str!("../../data/devices.txt")),
            ("capabilities.txt", include_str!("../../data/capabilities.txt")),
        ];
        for (name, text) in lists {
            for (number, _) in super::lines::lines(text) {
                let line = text.lines().nth(number - 1).unwrap();
                assert!(line.split_once('#').is_some_and(|(_, reason)| !reason.trim().is_empty()), "{name}:{number}");
            }
        }
    }
}
