//! The system call list, compiled to a program for the kernel: by the build script, whose module this is, too. At run time it would
//! cost each start more than a millisecond.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, TargetArch, compile_from_json, sock_filter};
use serde_json::{Value, json};

use super::lines::lines;

const LIST: &str = include_str!("../../data/seccomp.txt");
/// What is added to it where workloads may make namespaces.
const NESTED: &str = include_str!("../../data/seccomp-nested.txt");

/// The newest system call that the list has an opinion on (`mseal`, Linux 6.10). What is newer does not exist, so that
/// libraries fall back to what does.
const NEWEST: u32 = 462;
const CLONE3: u32 = 435;
/// System call numbers of the x32 mode, which would pass by the list.
const X32_BIT: u32 = 0x4000_0000;

const AUDIT_ARCH_X86_64: u32 = 0xC000_003E;
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;

/// The list could not be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// A line is not understood.
    #[error("data/seccomp.txt:{line}: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        what: String,
    },
    /// The compiler refuses it.
    #[error("data/seccomp.txt: {0}")]
    Compiler(#[from] seccompiler::Error),
}

/// The program, 8 bytes an instruction, in the byte order of the machine that compiles it.
pub(crate) fn compile(nested: bool) -> Result<Vec<u8>, CompileError> {
    let mut program = prefix();
    // Of one name, the entry without a condition counts.
    program.extend(if nested { listed(&[LIST, NESTED].concat())? } else { listed(LIST)? });
    Ok(program.iter().flat_map(bytes).collect())
}

fn bytes(instruction: &sock_filter) -> [u8; 8] {
    let ([c0, c1], [k0, k1, k2, k3]) = (instruction.code.to_ne_bytes(), instruction.k.to_ne_bytes());
    [c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3]
}

/// What does not depend on the list: architecture, x32, newer calls, `clone3`.
fn prefix() -> BpfProgram {
    let op = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        op(LOAD, 0, 0, OFFSET_ARCH),
        op(JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        op(RETURN, 0, 0, KILL_PROCESS),
        op(LOAD, 0, 0, OFFSET_NR),
        op(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        op(RETURN, 0, 0, KILL_PROCESS),
        op(JUMP_IF_EQUAL, 1, 0, CLONE3),
        op(JUMP_IF_GREATER, 0, 1, NEWEST),
        op(RETURN, 0, 0, ERRNO | libc::ENOSYS as u32),
    ]
}

fn listed(list: &str) -> Result<BpfProgram, CompileError> {
    let mut rules: BTreeMap<&str, Option<Vec<Value>>> = BTreeMap::new();
    for (line, text) in lines(list) {
        let (name, conditions) = text.split_once(' ').unwrap_or((text, ""));
        let conditions = conditions.trim();
        if conditions.is_empty() {
            rules.insert(name, None);
            continue;
        }
        let parsed: Option<Vec<Value>> = conditions.split(',').map(condition).collect();
        let parsed = parsed.ok_or_else(|| CompileError::Line { line, what: format!("no condition: {conditions}") })?;
        if let Some(alternatives) = rules.entry(name).or_insert_with(|| Some(Vec::new())) {
            alternatives.push(Value::Array(parsed));
        }
    }
    let mut filter = Vec::new();
    for (name, alternatives) in rules {
        match alternatives {
            None => filter.push(json!({ "syscall": name })),
            Some(alternatives) => {
                filter.extend(alternatives.into_iter().map(|args| json!({ "syscall": name, "args": args })));
            }
        }
    }
    let source = json!({ "workload": {
        "mismatch_action": { "errno": libc::EPERM }, "match_action": "allow", "filter": filter,
    }});
    let mut programs = compile_from_json(source.to_string().as_bytes(), TargetArch::x86_64)?;
    Ok(programs.remove("workload").unwrap_or_default())
}

/// `ARG == N`, `ARG != N`, `ARG & MASK == N`.
fn condition(text: &str) -> Option<Value> {
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [argument, "==", value] => {
            Some(json!({ "index": number(argument)?, "type": "dword", "op": "eq", "val": number(value)? }))
        }
        [argument, "!=", value] => {
            Some(json!({ "index": number(argument)?, "type": "dword", "op": "ne", "val": number(value)? }))
        }
        [argument, "&", mask, "==", value] => Some(json!({
            "index": number(argument)?, "type": "qword", "op": { "masked_eq": number(mask)? }, "val": number(value)?
        })),
        _ => None,
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do with a call: the instructions that this program uses, interpreted.
    fn verdict(program: &[u8], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            OFFSET_NR => nr,
            OFFSET_ARCH => arch,
            _ => {
                let argument = args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
        };
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let i = &program[at * 8..at * 8 + 8];
            let code = u16::from_ne_bytes([i[0], i[1]]);
            let k = u32::from_ne_bytes([i[4], i[5], i[6], i[7]]);
            let jump = |holds: bool| usize::from(if holds { i[2] } else { i[3] });
            at += 1 + match code {
                LOAD => {
                    accumulator = word(k);
                    0
                }
                0x54 => {
                    accumulator &= k;
                    0
                }
                0x05 => k as usize,
                JUMP_IF_EQUAL => jump(accumulator == k),
                JUMP_IF_GREATER => jump(accumulator > k),
                JUMP_IF_AT_LEAST => jump(accumulator >= k),
                RETURN => return k,
                other => panic!("instruction {other:#x}"),
            };
        }
    }

    const ALLOW: u32 = 0x7FFF_0000;
    const REFUSE: u32 = ERRNO | libc::EPERM as u32;
    const ABSENT: u32 = ERRNO | libc::ENOSYS as u32;

    fn check(name: &str, nr: i64, args: &[u64], expect: u32) {
        let program = compile(false).unwrap();
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        assert_eq!(verdict(&program, AUDIT_ARCH_X86_64, nr as u32, all), expect, "{name} {args:x?}");
    }

    #[test]
    fn ordinary_work_is_allowed() {
        for (name, nr) in [("read", libc::SYS_read), ("execve", libc::SYS_execve), ("openat2", libc::SYS_openat2)] {
            check(name, nr, &[], ALLOW);
        }
        check("clone", libc::SYS_clone, &[libc::SIGCHLD as u64], ALLOW);
        check("clone of a thread", libc::SYS_clone, &[0x3D_0F00], ALLOW);
        check("socket", libc::SYS_socket, &[libc::AF_INET as u64, 1], ALLOW);
        check("route socket", libc::SYS_socket, &[libc::AF_NETLINK as u64, 3, 0], ALLOW);
        check("ioctl", libc::SYS_ioctl, &[0, libc::TCGETS], ALLOW);
        check("personality", libc::SYS_personality, &[0xFFFF_FFFF], ALLOW);
    }

    #[test]
    fn what_leads_out_is_refused() {
        let refused = [
            ("mount", libc::SYS_mount),
            ("umount2", libc::SYS_umount2),
            ("pivot_root", libc::SYS_pivot_root),
            ("fsopen", libc::SYS_fsopen),
            ("open_tree", libc::SYS_open_tree),
            ("move_mount", libc::SYS_move_mount),
            ("setns", libc::SYS_setns),
            ("keyctl", libc::SYS_keyctl),
            ("add_key", libc::SYS_add_key),
            ("bpf", libc::SYS_bpf),
            ("perf_event_open", libc::SYS_perf_event_open),
            ("kexec_load", libc::SYS_kexec_load),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("userfaultfd", libc::SYS_userfaultfd),
            ("open_by_handle_at", libc::SYS_open_by_handle_at),
            ("pidfd_getfd", libc::SYS_pidfd_getfd),
            ("init_module", libc::SYS_init_module),
            ("reboot", libc::SYS_reboot),
            ("syslog", libc::SYS_syslog),
            ("sethostname", libc::SYS_sethostname),
            ("clock_settime", libc::SYS_clock_settime),
            ("chroot", libc::SYS_chroot),
        ];
        for (name, nr) in refused {
            check(name, nr, &[], REFUSE);
        }
        for flag in [0x20000u64, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
            check("clone into a namespace", libc::SYS_clone, &[flag | 17], REFUSE);
            check("unshare", libc::SYS_unshare, &[flag], REFUSE);
        }
        check("unshare time", libc::SYS_unshare, &[0x80], REFUSE);
        for family in [libc::AF_VSOCK, libc::AF_PACKET, libc::AF_ALG, libc::AF_BLUETOOTH] {
            check("socket", libc::SYS_socket, &[family as u64, 1, 0], REFUSE);
        }
        check("netfilter socket", libc::SYS_socket, &[libc::AF_NETLINK as u64, 3, 12], REFUSE);
        check("TIOCSTI", libc::SYS_ioctl, &[0, libc::TIOCSTI], REFUSE);
        check("TIOCSTI with high bits", libc::SYS_ioctl, &[0, libc::TIOCSTI | 1 << 32], REFUSE);
        check("TIOCLINUX", libc::SYS_ioctl, &[0, libc::TIOCLINUX], REFUSE);
        check("personality", libc::SYS_personality, &[0x0004_0000], REFUSE);
    }

    #[test]
    fn what_is_newer_does_not_exist_and_other_architectures_are_killed() {
        check("clone3", libc::SYS_clone3, &[], ABSENT);
        check("a new call", 470, &[], ABSENT);
        check("x32 write", 0x4000_0001, &[], KILL_PROCESS);
        let program = compile(false).unwrap();
        assert_eq!(verdict(&program, 0x4000_0003, 4, [0; 6]), KILL_PROCESS, "i386");
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let error = listed("read\nsocket zero\n").unwrap_err();
        assert_eq!(error.to_string(), "data/seccomp.txt:2: no condition: zero");
    }
}
