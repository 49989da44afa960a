//! Lists of system calls as data, and the filter made of them.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

macro_rules! numbers {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        /// Number of a system call that our lists may name.
        fn number(name: &str) -> Option<i64> {
            paste_calls!(name, $($(#[$attribute])* $name),*)
        }
    };
}

macro_rules! paste_calls {
    ($given:ident, $($(#[$attribute:meta])* $name:ident),*) => {{
        $($(#[$attribute])* if $given == &stringify!($name)[4..] { return Some(libc::$name); })*
        None
    }};
}

numbers! {
    SYS_read, SYS_write, SYS_pwrite64, SYS_ftruncate, SYS_lseek, SYS_close, SYS_brk, SYS_mmap, SYS_mremap, SYS_munmap,
    SYS_madvise, SYS_mprotect, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn, SYS_gettid, SYS_getpid,
    SYS_tgkill, SYS_sigaltstack, SYS_exit_group, SYS_exit, SYS_openat2, SYS_getdents64, SYS_mkdirat, SYS_symlinkat,
    SYS_linkat, SYS_renameat, SYS_mknodat, SYS_unlinkat, SYS_fchown, SYS_fchownat, SYS_fchmod, SYS_fchmodat,
    SYS_utimensat, SYS_fsetxattr, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fcntl,
}

/// Compiles a list. `self_id` is what `self` stands for.
///
/// # Errors
/// Says which line is wrong.
pub(super) fn compile(list: &str, self_id: u32) -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let number = number(name).ok_or_else(|| format!("unknown system call `{name}`"))?;
        let mut conditions = vec![];
        for word in words.take_while(|word| word.starts_with(|first: char| first.is_ascii_digit())) {
            conditions.push(condition(word, self_id).ok_or_else(|| format!("`{name}`: bad condition `{word}`"))?);
        }
        let rule = rules.entry(number).or_default();
        if !conditions.is_empty() {
            rule.push(SeccompRule::new(conditions).map_err(|error| error.to_string())?);
        }
    }
    let architecture = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)
        .and_then(TryInto::try_into)
        .map_err(|error| error.to_string())
}

fn condition(word: &str, self_id: u32) -> Option<SeccompCondition> {
    let (index, operator, value) = if let Some((index, value)) = word.split_once('=') {
        let value = if value == "self" { u64::from(self_id) } else { value.parse().ok()? };
        (index, SeccompCmpOp::Eq, value)
    } else {
        let (index, mask) = word.split_once('!')?;
        (index, SeccompCmpOp::MaskedEq(mask.parse().ok()?), 0)
    };
    SeccompCondition::new(index.parse().ok()?, SeccompCmpArgLen::Dword, operator, value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpack::walls::rise::{FOLDER_CALLS, STREAM_CALLS};

    #[test]
    fn our_lists_compile_and_give_a_reason_for_every_call() {
        for list in [STREAM_CALLS, FOLDER_CALLS] {
            assert!(compile(list, 1).unwrap().len() > 20);
            for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                assert!(line.split_whitespace().count() >= 2, "no reason: {line}");
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(compile("open  x\n", 1).unwrap_err().contains("`open`"));
        assert!(compile("mmap 2?4 x\n", 1).unwrap_err().contains("2?4"));
    }
}
