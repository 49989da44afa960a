//! Starts the embedded launcher.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::DriverError;
use crate::seal::seal;

static LAUNCHER: &[u8] = include_bytes!(env!("COFFERDAM_LAUNCHER"));

/// The launcher's program; in a virtual machine it is the first process.
pub(crate) fn launcher_program() -> &'static [u8] {
    LAUNCHER
}

/// A static program that serves as process 1 of a sandbox that something else has made, where it is started as [`launcher::protocol::INIT`]
/// with `--stdin` or `--fd N`.
pub fn init_program() -> &'static [u8] {
    LAUNCHER
}

/// The launcher process, and the socket to it.
pub(super) fn launch() -> Result<(Child, OwnedFd), DriverError> {
    let fail = |what: &'static str| move |source: io::Error| DriverError::Start { what: what.into(), source };
    let program = sealed().map_err(fail("no sealed memory file"))?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|errno| fail("no socket pair")(errno.into()))?;
    let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .map_err(fail("the program does not start"))?;
    Ok((child, ours))
}

/// The program in memory, where nobody can change it: not even a process that gets hold of it through
/// `/proc/<pid>/exe`.
fn sealed() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and need none.
    let memory = memfd_create("cofferdam-launcher", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("cofferdam-launcher", flags))?;
    let mut file = std::fs::File::from(memory);
    file.write_all(LAUNCHER)?;
    let memory = OwnedFd::from(file);
    seal(&memory)?;
    Ok(memory)
}

/// Makes the state folder, and refuses one that somebody else could change.
pub(super) fn prepare_state(folder: &Path) -> Result<(), DriverError> {
    let fail = |source| DriverError::State { path: folder.to_owned(), source };
    let mode = if rustix::process::getuid().is_root() { 0o711 } else { 0o700 };
    match std::fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => result.map_err(fail)?,
    }
    let found = std::fs::symlink_metadata(folder).map_err(fail)?;
    if !found.is_dir() || found.uid() != rustix::process::getuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(fail(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not a folder that only this user can change",
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    /// The mechanism of CVE-2019-5736: whoever can open the program through `/proc` overwrites it for the next sandbox.
    #[test]
    fn nobody_can_write_to_the_program() {
        let overwrite = |memory: &OwnedFd| {
            let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
            OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(b"overwritten"))
        };
        let program = sealed().unwrap();
        assert!(overwrite(&program).is_err());
        // Without the seals it is possible.
        let open = memfd_create("open", MemfdFlags::CLOEXEC).unwrap();
        overwrite(&open).unwrap();
    }
}
