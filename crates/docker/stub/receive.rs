//! The first program of a Swarm's task: it reads the program of init from its standard input, and becomes it.
//!
//! A config object of a Swarm holds 1,000 KB, which init is larger than; this is some thousand bytes. On the stream come eight bytes,
//! the length in little-endian order, then the program; what follows is for init, and stays unread. The program lies in sealed
//! memory: no file of the image, and nothing that a workload could overwrite.
//!
//! It has no library at all, for any would make it a hundred times as large.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

/// Largest program; more is no program of ours.
const MAX_BYTES: u64 = 64 << 20;
const CHUNK: usize = 64 * 1024;
/// The exit code where it cannot go on.
const FAILED: usize = 72;

const MFD_CLOEXEC: usize = 1;
const MFD_ALLOW_SEALING: usize = 2;
const MFD_EXEC: usize = 16;
const F_ADD_SEALS: usize = 1033;
/// `F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE`.
const ALL_SEALS: usize = 15;
const SEALING_TRIES: usize = 40;
/// `-EBUSY`
const BUSY: isize = -16;
const AT_EMPTY_PATH: usize = 0x1000;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const FCNTL: usize = 72;
    pub const EXIT: usize = 231;
    pub const MEMFD_CREATE: usize = 319;
    pub const EXECVEAT: usize = 322;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const FCNTL: usize = 25;
    pub const EXIT: usize = 94;
    pub const MEMFD_CREATE: usize = 279;
    pub const EXECVEAT: usize = 281;
}

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {receive}", receive = sym receive);

#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl {receive}", receive = sym receive);

/// # Safety
/// As the call itself.
unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let result: isize;
    // SAFETY: the caller's; the registers are those of the kernel's convention.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
             in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
        #[cfg(target_arch = "aarch64")]
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c, in("x3") d,
             in("x4") e, options(nostack));
    }
    result
}

/// Not on the stack: to empty it there would take a function of a library.
static mut BUFFER: [u8; CHUNK] = [0; CHUNK];

fn fail() -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { call(number::EXIT, FAILED, 0, 0, 0, 0) };
    }
}

/// Reads all of a buffer, or fails.
fn read(buffer: &mut [u8]) {
    let mut done = 0;
    while done < buffer.len() {
        // SAFETY: the kernel writes within the buffer.
        let count = unsafe { call(number::READ, 0, buffer.as_mut_ptr() as usize + done, buffer.len() - done, 0, 0) };
        if count <= 0 {
            fail();
        }
        done += count as usize;
    }
}

fn write(file: usize, buffer: &[u8]) {
    let mut done = 0;
    while done < buffer.len() {
        // SAFETY: the kernel reads within the buffer.
        let count = unsafe { call(number::WRITE, file, buffer.as_ptr() as usize + done, buffer.len() - done, 0, 0) };
        if count <= 0 {
            fail();
        }
        done += count as usize;
    }
}

fn memory() -> usize {
    let name = c"cofferdam-init".as_ptr() as usize;
    for flags in [MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC, MFD_CLOEXEC | MFD_ALLOW_SEALING] {
        // SAFETY: the name ends with a zero. Kernels before 6.3 do not know the last flag, and need none.
        let made = unsafe { call(number::MEMFD_CREATE, name, flags, 0, 0, 0) };
        if made >= 0 {
            return made as usize;
        }
    }
    fail()
}

/// Or fails. The kernel waits at each try until nothing else holds a page of it, though not for long.
fn seal(file: usize) {
    for _ in 0..SEALING_TRIES {
        // SAFETY: it takes no pointers.
        match unsafe { call(number::FCNTL, file, F_ADD_SEALS, ALL_SEALS, 0, 0) } {
            0 => return,
            BUSY => {}
            _ => break,
        }
    }
    fail()
}

/// `stack` is what the kernel gives a program: the number of arguments, the arguments, a zero, the environment.
extern "C" fn receive(stack: *const usize) -> ! {
    let mut length = [0; 8];
    read(&mut length);
    let mut left = u64::from_le_bytes(length);
    if left == 0 || left > MAX_BYTES {
        fail();
    }
    let file = memory();
    // SAFETY: nobody else uses it, and this function is called once.
    let buffer = unsafe { &mut *(&raw mut BUFFER) };
    while left > 0 {
        let part = &mut buffer[..CHUNK.min(left as usize)];
        read(part);
        write(file, part);
        left -= part.len() as u64;
    }
    seal(file);
    // SAFETY: the layout is the kernel's; the arguments are passed on as they came.
    unsafe {
        let arguments = stack.add(1);
        let environment = arguments.add(*stack + 1);
        let nothing = c"".as_ptr() as usize;
        call(number::EXECVEAT, file, nothing, arguments as usize, environment as usize, AT_EMPTY_PATH);
    }
    fail()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail()
}
