//! Files in memory that nobody changes any more.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{SealFlags, fcntl_add_seals};
use rustix::io::Errno;

/// How often it is tried.
const TRIES: u32 = 40;

/// Seals a file for ever. The kernel does so when nothing else holds a page of it, and waits for that at each try, though not for long:
/// on a busy machine its own lists do.
pub(crate) fn seal(file: impl AsFd) -> io::Result<()> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    for _ in 1..TRIES {
        match fcntl_add_seals(&file, seals) {
            Err(Errno::BUSY) => {}
            done => return Ok(done?),
        }
    }
    Ok(fcntl_add_seals(&file, seals)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};
    use std::ptr::null_mut;

    use rustix::fs::{MemfdFlags, memfd_create};
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    use super::*;

    #[test]
    fn what_is_sealed_stays_as_it_is() {
        let memory = memfd_create("sealed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        let mut file = std::fs::File::from(memory);
        file.write_all(b"as it is").unwrap();
        // SAFETY: a mapping of its own, which is used by nobody.
        let held = unsafe { mmap(null_mut(), 8, ProtFlags::WRITE, MapFlags::SHARED, &file, 0) }.unwrap();
        assert_eq!(seal(&file).unwrap_err().raw_os_error(), Some(Errno::BUSY.raw_os_error()), "it can be written");
        // SAFETY: it is the whole mapping.
        unsafe { munmap(held, 8) }.unwrap();
        seal(&file).unwrap();
        assert!(file.write_all(b"more").is_err() && file.set_len(1).is_err());
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "as it is");
    }
}
