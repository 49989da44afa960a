//! The files of `/etc` that belong to the machine, not to the image.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::root::Root;
use crate::fault::{Doing, Result};
use crate::protocol::Plan;

pub(super) fn write(plan: &Plan, root: &Root) -> Result<()> {
    let etc = root.folder("/etc")?;
    let hostname = format!("{}\n", plan.hostname);
    let machine_id = machine_id().doing(|| "read random numbers".into())?;
    for (name, text) in [
        ("hostname", &hostname),
        ("hosts", &plan.hosts),
        ("machine-id", &machine_id),
        ("resolv.conf", &plan.resolv_conf),
    ] {
        replace(etc.as_fd(), name, text).doing(|| format!("write /etc/{name}"))?;
    }
    Ok(())
}

/// Of no sandbox but this one: what an image brings is the same in all, and the host's is nobody's business. Format: machine-id(5).
fn machine_id() -> rustix::io::Result<String> {
    let mut random = [0; 16];
    // So few come whole or not at all.
    getrandom(&mut random, GetRandomFlags::empty())?;
    let id = uuid_4(u128::from_be_bytes(random));
    Ok(format!("{id:032x}\n"))
}

/// A random number as a UUID of version 4, which programs take a machine's for.
fn uuid_4(random: u128) -> u128 {
    const VERSION: u32 = 76;
    const VARIANT: u32 = 62;
    random & !(0xf << VERSION) & !(0b11 << VARIANT) | 4 << VERSION | 0b10 << VARIANT
}

/// Whatever stood there, a link included, is replaced, not written through.
fn replace(folder: BorrowedFd<'_>, name: &str, text: &str) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(folder, name, flags, Mode::from(0o644)) {
        Err(Errno::EXIST) => {
            match unlinkat(folder, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => unlinkat(folder, name, AtFlags::REMOVEDIR)?,
                result => result?,
            }
            openat(folder, name, flags, Mode::from(0o644))?
        }
        result => result?,
    };
    let mut left = text.as_bytes();
    while !left.is_empty() {
        let written = rustix::io::write(&file, left)?;
        left = &left[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_id_is_a_uuid_of_its_own() {
        let [one, other] = [machine_id().unwrap(), machine_id().unwrap()];
        assert!(one.len() == 33 && one.ends_with('\n') && one != other, "{one}{other}");
        assert_eq!(format!("{:032x}", uuid_4(0)), "00000000000040008000000000000000");
        assert_eq!(format!("{:032x}", uuid_4(u128::MAX)), "ffffffffffff4fffbfffffffffffffff");
    }
}
