//! A machine of a monitor that is asked over a socket, saved once and copied for each job.
//!
//! ```text
//!   boot, places for disks ── launcher ready, ports let go of ── pause, save ──▶ kept: machine/ (state, memory)  scratch  empty
//!                                                                                  │ any number of times
//!   a job: its disks under the numbers of the places, a socket of its own ◀── load ┘
//! ```
//!
//! As with QEMU's machines (`template`) nothing has been seen of an image, a secret or a name. What differs: such a machine's
//! devices are those that it was saved with, so it has places for disks, and an interface where it is to have one.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use model::limits::Limits;
use rustix::fs::{CWD, statvfs};
use rustix::mount::{OpenTreeFlags, open_tree};

use super::asked::{Asked, Begun, Parts};
use super::kept::{self, Making, copy_data, copy_with_holes};
use super::machine::Shape;
use super::order::Order;
use super::running::Running;
use super::{BOOT_PATIENCE, COPY_PATIENCE, MicroVmConfig, kernel, late, scratch};
use crate::CreateError;
use crate::driver::wait_ended;
use crate::local::Local;
use crate::net::machine::lone_tap;

/// What the monitor writes and reads.
const MACHINE: &str = "machine";
const SCRATCH: &str = "scratch";
/// What is in a place for a disk that is not there.
const EMPTY: &str = "empty";
/// Longer than any disk that comes into such a place, for its guest goes on believing in this length.
const PLACE_BYTES: u64 = 1 << 40;

/// A saved machine.
pub(super) struct Saved {
    /// As long as it is open, nobody removes it.
    _held: File,
    machine: PathBuf,
    scratch: File,
    empty: File,
}

impl Saved {
    /// The one that another process has kept, or a new one.
    pub(super) async fn get(
        local: &Local,
        config: &MicroVmConfig,
        asked: &Asked,
        shape: Shape,
    ) -> Result<Saved, CreateError> {
        let place = kept::place(config, &asked.program, shape, &format!("{:?}", local.settings()?));
        if let Ok(saved) = Saved::open(&place, shape) {
            return Ok(saved);
        }
        let failed = || kernel("keep a saved machine");
        // One that is damaged is replaced.
        kept::remove(&place);
        let making = Making::new(&place).map_err(failed())?;
        Saved::make(local, config, asked, shape, &making.path).await?;
        if let Err(error) = making.finish() {
            // Another process may have been faster.
            tracing::info!(%error, "a saved machine is not kept");
        }
        Saved::open(&place, shape).map_err(failed())
    }

    fn open(place: &Path, shape: Shape) -> io::Result<Saved> {
        let held = kept::in_use(place)?;
        let (machine, scratch, empty) = (place.join(MACHINE), place.join(SCRATCH), place.join(EMPTY));
        let (scratch, empty) = (File::open(scratch)?, File::open(empty)?);
        let has_content = fs::read_dir(&machine)?.next().is_some();
        if !has_content || scratch.metadata()?.len() != shape.scratch.bytes || empty.metadata()?.len() != PLACE_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Saved { _held: held, machine, scratch, empty })
    }

    async fn make(
        local: &Local,
        config: &MicroVmConfig,
        asked: &Asked,
        shape: Shape,
        folder: &Path,
    ) -> Result<(), CreateError> {
        let failed = || kernel("save a machine");
        let (machine, empty) = (folder.join(MACHINE), folder.join(EMPTY));
        has_room(folder, shape.memory_bytes)?;
        let saved = make_places(&machine, &empty).and_then(|()| alone(&machine)).map_err(failed())?;
        let scratch = shape.scratch.make(&config.scratch)?;
        let alone = shape.interface.then(|| lone_tap(asked.opens_by_name())).transpose().map_err(failed())?;
        let (netns, tap) = alone.unzip();
        let wall_ms = BOOT_PATIENCE.as_millis() as u64;
        let parts = Parts {
            shape,
            guest: &config.guest,
            scratch: scratch.try_clone().map_err(kernel("copy a descriptor"))?,
            disks: &vec![empty; shape.places],
            tap: tap.as_ref(),
            netns,
            limits: &Limits { wall_ms, ..Limits::default() },
            saved: Some(&saved),
        };
        let Begun { machine: running, stream: _stream, mut api } = asked.boot(local, parts, BOOT_PATIENCE).await?;
        let settings = local.settings()?;
        let written = async {
            running.link.prepare(settings, shape).await?;
            running.link.part().await?;
            asked.save(&mut api, BOOT_PATIENCE).await
        };
        let written = tokio::time::timeout(BOOT_PATIENCE, written).await.unwrap_or_else(|_| Err(late(BOOT_PATIENCE)));
        let written = written.map_err(|error| running.explain(error));
        let (_, ended) = running.end();
        wait_ended(ended).await;
        written?;
        let place = folder.join(SCRATCH);
        let own = tokio::task::spawn_blocking(move || {
            take_over(&machine)?;
            let kept = File::create(place)?;
            kept.set_len(scratch.metadata()?.len())?;
            copy_data(&scratch, &kept)
        });
        own.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed())
    }

    /// A copy, whose guest listens.
    pub(super) async fn copy(
        &self,
        local: &Local,
        config: &MicroVmConfig,
        asked: &Asked,
        order: &Order,
    ) -> Result<(Running, UnixStream), CreateError> {
        let failed = || kernel("copy a machine");
        let scratch = scratch::empty_file(&config.scratch, order.shape.scratch.bytes).map_err(failed())?;
        copy_data(&self.scratch, &scratch).map_err(failed())?;
        let machine = alone(&self.machine).map_err(failed())?;
        let mut disks = order.disks.clone();
        disks.resize(order.shape.places, format!("/proc/self/fd/{}", self.empty.as_raw_fd()).into());
        let parts = Parts { disks: &disks, saved: Some(&machine), ..order.parts(&config.guest, scratch)? };
        let Begun { machine, stream, .. } = asked.copy(local, parts, COPY_PATIENCE).await?;
        Ok((machine, stream))
    }
}

/// A folder as the root of a mount that is attached nowhere: nothing leads out of it, and who has it shares it with nobody.
fn alone(folder: &Path) -> io::Result<OwnedFd> {
    Ok(open_tree(CWD, folder, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?)
}

/// A monitor writes all of the memory before it is known what of it is zero.
fn has_room(folder: &Path, bytes: u64) -> Result<(), CreateError> {
    let found = statvfs(folder).map_err(|errno| kernel("look at the guest's folder")(errno.into()))?;
    match found.f_bavail.saturating_mul(found.f_frsize) > bytes + bytes / 8 {
        true => Ok(()),
        false => {
            let reason = format!("no room in {} to save a machine of {} MiB", folder.display(), bytes >> 20);
            Err(CreateError::Unsupported { reason })
        }
    }
}

/// A folder that the monitor's user can write to, and what it finds in places for disks.
fn make_places(machine: &Path, empty: &Path) -> io::Result<()> {
    fs::create_dir(machine)?;
    fs::set_permissions(machine, Permissions::from_mode(0o777))?;
    let empty = File::create(empty)?;
    empty.set_len(PLACE_BYTES)?;
    empty.set_permissions(Permissions::from_mode(0o644))
}

/// What a monitor has written becomes this process's own: no copy of the machine can write to it. The memory keeps no room for zeros.
fn take_over(machine: &Path) -> io::Result<()> {
    let names: Vec<_> = fs::read_dir(machine)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    for name in names {
        let path = machine.join(&name);
        let written = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path)?;
        if !written.metadata()?.is_file() {
            return Err(io::Error::other("a monitor has written something that is no file"));
        }
        fs::remove_file(&path)?;
        let own = File::options().write(true).create_new(true).open(&path)?;
        own.set_permissions(Permissions::from_mode(0o644))?;
        copy_with_holes(&written, &own)?;
    }
    fs::set_permissions(machine, Permissions::from_mode(0o755))
}
