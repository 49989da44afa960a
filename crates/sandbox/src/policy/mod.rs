//! Lists that are policy: data files with a reason for each entry, parsed and compiled here, and handed to the launcher as data.

mod lists;
mod seccomp;

pub(crate) use lists::{devices, file_capabilities, masks, tools};
pub(crate) use seccomp::compile;

/// Lines of a data file without comments, each with its number.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_entry_of_every_list_has_a_reason() {
        let lists = [
            ("seccomp.txt", include_str!("../../data/seccomp.txt")),
            ("proc-masks.txt", include_str!("../../data/proc-masks.txt")),
            ("devices.txt", include_str!("../../data/devices.txt")),
            ("capabilities.txt", include_str!("../../data/capabilities.txt")),
        ];
        for (name, text) in lists {
            for (number, _) in super::lines(text) {
                let line = text.lines().nth(number - 1).unwrap();
                assert!(line.split_once('#').is_some_and(|(_, reason)| !reason.trim().is_empty()), "{name}:{number}");
            }
        }
    }
}
