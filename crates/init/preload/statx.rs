//! `statx` without `AT_NO_AUTOMOUNT`, in front of the C library's own.
//!
//! Loaded into every program of a sandbox whose kernel takes the flag for a mistake; nothing is mounted on demand there, so
//! that the flag says nothing. Needs no library but the one that it stands in front of.

#![no_std]
#![no_main]

use core::arch::asm;
use core::ffi::{c_char, c_int, c_uint, c_void};

const AT_NO_AUTOMOUNT: c_int = 0x800;

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// As the manual page `statx(2)` says.
///
/// # Safety
/// `path` ends with a zero, `found` has room for a `struct statx`; else the kernel fails with `EFAULT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statx(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    found: *mut c_void,
) -> c_int {
    let flags = flags & !AT_NO_AUTOMOUNT;
    // SAFETY: the kernel checks what it is given.
    let result = unsafe { call(folder, path, flags, mask, found) };
    if result < 0 {
        // SAFETY: the C library gives every thread its own.
        unsafe { *__errno_location() = -result as c_int };
        return -1;
    }
    0
}

#[cfg(target_arch = "x86_64")]
unsafe fn call(folder: c_int, path: *const c_char, flags: c_int, mask: c_uint, found: *mut c_void) -> isize {
    const STATX: isize = 332;
    let result;
    // SAFETY: the registers are those of the kernel's convention.
    unsafe {
        asm!("syscall", inlateout("rax") STATX => result, in("rdi") folder as isize, in("rsi") path, in("rdx") flags as isize,
            in("r10") mask as usize, in("r8") found, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn call(folder: c_int, path: *const c_char, flags: c_int, mask: c_uint, found: *mut c_void) -> isize {
    const STATX: isize = 291;
    let result;
    // SAFETY: the registers are those of the kernel's convention.
    unsafe {
        asm!("svc 0", in("x8") STATX, inlateout("x0") folder as isize => result, in("x1") path, in("x2") flags as isize,
            in("x3") mask as usize, in("x4") found, options(nostack));
    }
    result
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
