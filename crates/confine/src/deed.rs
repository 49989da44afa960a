//! Deeds that a confined process must not be able to do, tried on purpose: how tests and the drill know that the walls
//! stand. Harmless: nothing is changed, and without walls each succeeds, which shows that the probe can fire at all.

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Nothing: shows that the walls alone stop nobody.
    Nothing,
    /// Open a file for reading.
    OpenFile,
    /// Create a file in the directory for temporary files; it is removed again.
    CreateFile,
    /// Open a socket.
    Socket,
    /// Start a program.
    Exec,
    /// Become two processes.
    Fork,
    /// Send a signal (number 0, which only asks whether one could) to the parent.
    SignalParent,
    /// Look at another process's memory.
    TraceParent,
    /// Map memory that can be executed.
    ExecutableMemory,
    /// Use more memory than allowed.
    Memory,
    /// Use more processor time than allowed.
    Time,
}

/// Those that walls stop; the others are stopped by limits.
pub const FORBIDDEN: [Deed; 8] = [
    Deed::OpenFile,
    Deed::CreateFile,
    Deed::Socket,
    Deed::Exec,
    Deed::Fork,
    Deed::SignalParent,
    Deed::TraceParent,
    Deed::ExecutableMemory,
];

/// Does it. `confined`: what takes time may take long, for it is to be ended.
///
/// # Errors
/// A call failed.
pub fn attempt(deed: Deed, confined: bool) -> io::Result<()> {
    let done = |result: i64| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    match deed {
        Deed::Nothing => Ok(()),
        Deed::OpenFile => File::open("/etc/passwd").map(drop),
        Deed::CreateFile => {
            let path = std::env::temp_dir().join(format!("unpack-probe-{}", std::process::id()));
            File::create(&path)?;
            std::fs::remove_file(path)
        }
        Deed::Socket => UdpSocket::bind("127.0.0.1:0").map(drop),
        Deed::Exec => Command::new("/bin/true").stdin(Stdio::null()).status().map(drop),
        // SAFETY: the second process does nothing but end.
        Deed::Fork => match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: ends this process at once.
            0 => unsafe { libc::_exit(0) },
            child => {
                let mut status = 0;
                // SAFETY: waits for the child made above.
                done(i64::from(unsafe { libc::waitpid(child, &raw mut status, 0) }))
            }
        },
        // SAFETY: signal 0 is sent to nobody.
        Deed::SignalParent => done(i64::from(unsafe { libc::kill(libc::getppid(), 0) })),
        Deed::TraceParent => {
            let mut byte = 0_u8;
            let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
            let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(1), iov_len: 1 };
            // SAFETY: `local` is one byte of ours; `remote` is an address of the other process.
            let read = unsafe { libc::process_vm_readv(libc::getppid(), &raw const local, 1, &raw const remote, 1, 0) };
            match io::Error::last_os_error() {
                // Permission is checked before the address, which is none.
                error if read < 0 && error.raw_os_error() != Some(libc::EFAULT) => Err(error),
                _ => Ok(()),
            }
        }
        Deed::ExecutableMemory => {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let rights = libc::PROT_READ | libc::PROT_EXEC;
            // SAFETY: a new mapping, never used.
            let memory = unsafe { libc::mmap(std::ptr::null_mut(), 4096, rights, flags, -1, 0) };
            if memory == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
        }
        Deed::Memory => {
            let mut hoard = vec![];
            for _ in 0..64 {
                hoard.push(vec![1_u8; 8 << 20]);
            }
            std::hint::black_box(&hoard);
            Ok(())
        }
        Deed::Time => {
            // Longer than the limit by the clock; the processor may be shared, so the bound is generous.
            let (started, longest) = (Instant::now(), if confined { 120 } else { 2 });
            while started.elapsed() < Duration::from_secs(longest) {
                std::hint::black_box(());
            }
            Ok(())
        }
    }
}
