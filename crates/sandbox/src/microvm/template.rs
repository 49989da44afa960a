//! A machine that has booted and waits, saved once and copied for each job.
//!
//! ```text
//!   boot, no disk, no interface ── launcher ready ── save ──▶ memory (sealed) + state
//!                                                                │ any number of times
//!   a job: its disks and interface in the empty places ◀── copy ─┘ memory is copied as it is changed
//! ```
//!
//! It is saved before it has seen an image, a secret or a name; a copy gets its own random numbers and clock before anything else.
//! The memory cannot be written to any more by whoever has it: not by a copy, not by this process.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use model::limits::Limits;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::kept::{self, Making, copy_data};
use super::machine::Shape;
use super::qemu::{Memory, PROGRAM, Qemu};
use super::qmp::Qmp;
use super::running::{Running, ports};
use super::{BOOT_PATIENCE, MicroVmConfig, kernel, open, scratch};
use crate::CreateError;
use crate::driver::wait_ended;
use crate::local::Local;
use crate::seal::seal;

const MEMORY: &str = "memory";
const STATE: &str = "state";
const SCRATCH: &str = "scratch";

/// A saved machine.
pub(super) struct Template {
    memory: OwnedFd,
    state: OwnedFd,
    /// Its scratch disk, as it was when it was saved.
    scratch: File,
}

impl Template {
    /// The one that another process has kept, or a new one.
    pub(super) async fn get(local: &Local, config: &MicroVmConfig, shape: Shape) -> Result<Template, CreateError> {
        let settings = format!("{:?}", local.settings()?);
        let folder = kept::place(config, Path::new(PROGRAM), shape, &settings);
        let kept = folder.clone();
        let loaded = tokio::task::spawn_blocking(move || Template::load(&kept, shape)).await;
        if let Ok(Ok(template)) = loaded {
            return Ok(template);
        }
        // One that does not load is replaced.
        kept::remove(&folder);
        let template = Template::make(local, config, shape).await?;
        let copy = template.try_clone().map_err(kernel("copy a descriptor"))?;
        // Awaited, for a short run would end before it is done.
        let kept = tokio::task::spawn_blocking(move || copy.keep(&folder)).await;
        if let Err(error) = kept.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::info!(%error, "a saved machine is not kept");
        }
        Ok(template)
    }

    async fn make(local: &Local, config: &MicroVmConfig, shape: Shape) -> Result<Template, CreateError> {
        let memory = memory_file(shape.memory_bytes).map_err(kernel("make a file in memory"))?;
        let state = memory_file(0).map_err(kernel("make a file in memory"))?;
        let (ours, control, stream) = ports()?;
        let (qmp, its_qmp) = UnixStream::pair().map_err(kernel("make a socket pair"))?;
        let copy = memory.try_clone().map_err(kernel("copy a descriptor"))?;
        let mut qemu = Qemu::new(shape, Memory::Saved(copy), control, stream);
        qemu.boot(open(&config.guest.kernel())?.into(), open(&config.guest.initrd())?.into());
        let scratch = shape.scratch.make(&config.scratch)?;
        qemu.own_disks(scratch.try_clone().map_err(kernel("copy a descriptor"))?, config)?;
        qemu.listen(its_qmp.into());
        let wall_ms = BOOT_PATIENCE.as_millis() as u64;
        let limits = Limits { wall_ms, ..Limits::default() };
        let machine = Running::start(local, qemu, ours.control, None, &limits).await?;
        let late = || CreateError::Unsupported { reason: "the machine to copy did not start in time".into() };
        let settings = local.settings()?;
        let prepared = tokio::time::timeout(BOOT_PATIENCE, machine.link.prepare(settings, shape)).await;
        prepared.map_err(|_| late()).and_then(|made| made).map_err(|error| machine.explain(error))?;
        let written = state.try_clone().map_err(kernel("copy a descriptor"))?;
        let saved = tokio::task::spawn_blocking(move || Qmp::start(qmp)?.save(written.as_fd())).await;
        let (_, ended) = machine.end();
        wait_ended(ended).await;
        saved.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(kernel("save a machine"))?;
        let template = Template { memory, state, scratch };
        template.seal().map_err(kernel("seal a saved machine"))?;
        Ok(template)
    }

    /// A copy to be started, and the number of its state's descriptor.
    pub(super) fn copy(
        &self,
        config: &MicroVmConfig,
        shape: Shape,
        control: OwnedFd,
        stream: OwnedFd,
    ) -> Result<(Qemu, usize), CreateError> {
        let failed = || kernel("copy a machine");
        // Opened anew: where a monitor reads is its own.
        let anew = |file: &OwnedFd, writes| {
            File::options().read(true).write(writes).open(format!("/proc/self/fd/{}", file.as_raw_fd()))
        };
        let memory = anew(&self.memory, true).map_err(failed())?;
        let mut qemu = Qemu::new(shape, Memory::CopyOf(memory.into()), control, stream);
        let state = anew(&self.state, false).map_err(failed())?;
        let number = qemu.wait_for(state.into());
        let scratch = scratch::empty_file(&config.scratch, shape.scratch.bytes).map_err(failed())?;
        copy_data(&self.scratch, &scratch).map_err(failed())?;
        qemu.own_disks(scratch, config)?;
        Ok((qemu, number))
    }

    fn try_clone(&self) -> io::Result<Template> {
        let (memory, state, scratch) = (self.memory.try_clone()?, self.state.try_clone()?, self.scratch.try_clone()?);
        Ok(Template { memory, state, scratch })
    }

    fn seal(&self) -> io::Result<()> {
        for file in [&self.memory, &self.state] {
            seal(file)?;
        }
        Ok(())
    }

    fn load(folder: &Path, shape: Shape) -> io::Result<Template> {
        let _used = kept::in_use(folder)?;
        let (kept, mut state_kept) = (File::open(folder.join(MEMORY))?, File::open(folder.join(STATE))?);
        let scratch = File::open(folder.join(SCRATCH))?;
        if kept.metadata()?.len() != shape.memory_bytes || scratch.metadata()?.len() != shape.scratch.bytes {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let template = Template { memory: memory_file(shape.memory_bytes)?, state: memory_file(0)?, scratch };
        copy_data(&kept, &template.memory.try_clone()?.into())?;
        io::copy(&mut state_kept, &mut File::from(template.state.try_clone()?))?;
        template.seal()?;
        Ok(template)
    }

    /// Whole or not at all.
    fn keep(&self, folder: &Path) -> io::Result<()> {
        let making = Making::new(folder)?;
        let memory: File = self.memory.try_clone()?.into();
        let file = File::create(making.path.join(MEMORY))?;
        file.set_len(memory.metadata()?.len())?;
        copy_data(&memory, &file)?;
        let mut state = File::open(format!("/proc/self/fd/{}", self.state.as_raw_fd()))?;
        io::copy(&mut state, &mut File::create(making.path.join(STATE))?)?;
        let file = File::create(making.path.join(SCRATCH))?;
        file.set_len(self.scratch.metadata()?.len())?;
        copy_data(&self.scratch, &file)?;
        making.finish()
    }
}

fn memory_file(bytes: u64) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and need none.
    let file = memfd_create("cofferdam-machine", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("cofferdam-machine", flags))?;
    // For the monitor's own user, who opens it by its number. Nobody else has a number of it.
    rustix::fs::fchmod(&file, rustix::fs::Mode::from(0o666))?;
    ftruncate(&file, bytes)?;
    Ok(file)
}
