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
    SYS_utimensat, SYS_fsetxattr, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fcntl, SYS_poll, SYS_ppoll, SYS_sched_getaffinity,
    SYS_futex, SYS_getrandom, SYS_setitimer,
}

/// Compiles a list: a call on each line, with conditions and the reason why it is there. `N=V` asks that argument N is V (`self` is the
/// process itself: `self_id`), `N!M` that argument N has none of the bits M.
///
/// # Errors
/// Says which line is wrong.
pub fn compile(list: &str, self_id: u32) -> Result<BpfProgram, String> {
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

/// A list in which a line gives no reason, or cannot be compiled: for the tests of those who have lists.
///
/// # Errors
/// Says which.
pub fn check(list: &str) -> Result<(), String> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    match lines.into_iter().find(|line| line.split_whitespace().count() < 2) {
        Some(line) => Err(format!("no reason: {line}")),
        None => compile(list, 1).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        assert!(compile("open  x\n", 1).unwrap_err().contains("`open`"));
        assert!(compile("mmap 2?4 x\n", 1).unwrap_err().contains("2?4"));
        assert!(check("read\n").unwrap_err().contains("no reason"));
    }
}
