//! The host's `ip_forward` setting: switched on for the first way out, put back after the last.
//!
//! That it was off is written down before it is switched on. So whoever is the last to go puts it back, and where that one was
//! killed, the next one does, or [`put_back`] for `cofferdam clean`. A lock orders those who come and those who go: who comes
//! has made its interface before it asks, who goes looks for interfaces of others.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{Block, gateway, links};

const SETTING: &str = "net/ipv4/ip_forward";
/// Where root's programs keep their state until the next boot.
const STATE: &str = "/run/cofferdam";

/// Whether the host is no router, or was none before we came.
pub(super) fn is_or_was_off() -> io::Result<bool> {
    let _order = lock()?;
    Ok(!is_on()? || mark()?.exists())
}

/// Switches it on, after the caller has made its interface.
pub(super) fn switch_on() -> io::Result<()> {
    let _order = lock()?;
    if is_on()? {
        return Ok(());
    }
    fs::write(mark()?, "0\n")?;
    gateway::set(SETTING, "1")
}

/// Puts it back if it was off before us and no way out is left; whether it did.
///
/// # Errors
/// The state folder or the setting cannot be written.
pub fn put_back() -> io::Result<bool> {
    if !rustix::process::geteuid().is_root() || !Path::new(STATE).exists() {
        return Ok(false);
    }
    let _order = lock()?;
    let mark = mark()?;
    if !mark.exists() || (0..Block::COUNT).any(|number| links::index(&Block { number }.interface()).is_ok()) {
        return Ok(false);
    }
    gateway::set(SETTING, "0")?;
    fs::remove_file(mark)?;
    Ok(true)
}

fn is_on() -> io::Result<bool> {
    Ok(fs::read_to_string(format!("/proc/sys/{SETTING}"))?.trim() != "0")
}

fn lock() -> io::Result<File> {
    match fs::create_dir(STATE) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let file = File::options().create(true).append(true).open(Path::new(STATE).join("forwarding.lock"))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Each network namespace has a setting of its own.
fn mark() -> io::Result<PathBuf> {
    let namespace = fs::metadata("/proc/thread-self/ns/net")?.ino();
    Ok(Path::new(STATE).join(format!("forwarding-was-off-{namespace}")))
}
