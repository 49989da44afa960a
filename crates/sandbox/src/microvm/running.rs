//! A machine from its start on, and the ends of its ports.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use model::ids::SandboxId;
use model::limits::Limits;
use tokio::sync::watch;

use super::guest_link::GuestLink;
use super::kernel;
use super::machine::Jail;
use super::qemu::Qemu;
use crate::console::Console;
use crate::driver::wait_ended;
use crate::local::{Local, OfKernel};
use crate::{CreateError, Ended};

/// Our ends of a machine's ports.
pub(super) struct Ports {
    pub(super) control: UnixStream,
    pub(super) stream: UnixStream,
}

/// Both ends of the ports of a machine to be started: ours, its control port, its stream.
pub(super) fn ports() -> Result<(Ports, OwnedFd, OwnedFd), CreateError> {
    let pair = || UnixStream::pair().map_err(kernel("make a socket pair"));
    let ((control, its_control), (stream, its_stream)) = (pair()?, pair()?);
    Ok((Ports { control, stream }, its_control.into(), its_stream.into()))
}

/// A monitor whose guest nobody talks to yet. Dropping it ends it.
pub(super) struct Process {
    /// Where it makes its sockets, if it makes any.
    pub(super) folder: Option<OwnedFd>,
    id: SandboxId,
    console: Console,
    ended: watch::Receiver<Option<Ended>>,
    guard: Guard,
}

impl Process {
    /// Starts a monitor in its jail.
    pub(super) async fn start(local: &Local, jail: Jail, netns: Option<OwnedFd>) -> Result<Process, CreateError> {
        let (jail, folder) = local.jail(Ok(jail.plan), OfKernel::default(), netns, jail.given).await?;
        let guard = Guard { local: Some(local.clone()), id: jail.id };
        Ok(Process { folder, id: jail.id, console: Console::of(jail.stream), ended: jail.end, guard })
    }

    /// Talks to the guest over its control port.
    pub(super) fn connect(self, control: UnixStream) -> Result<Running, CreateError> {
        let link = GuestLink::new(control).map_err(kernel("talk to the guest"))?;
        let Process { id, console, ended, guard, .. } = self;
        Ok(Running { id, link, console, ended, guard })
    }

    /// Until it has ended.
    pub(super) fn ended(&self) -> impl Future<Output = Ended> + use<> {
        wait_ended(self.ended.clone())
    }

    /// As [`Running::explain`].
    pub(super) fn explain(&self, error: CreateError) -> CreateError {
        self.console.explain(error)
    }
}

/// A machine. Dropping it ends it.
pub(super) struct Running {
    pub(super) id: SandboxId,
    pub(super) link: GuestLink,
    console: Console,
    ended: watch::Receiver<Option<Ended>>,
    guard: Guard,
}

impl Running {
    /// Starts QEMU in its jail, with the other end of our control port.
    pub(super) async fn start(
        local: &Local,
        qemu: Qemu,
        control: UnixStream,
        netns: Option<OwnedFd>,
        limits: &Limits,
    ) -> Result<Running, CreateError> {
        Process::start(local, qemu.jail(limits)?, netns).await?.connect(control)
    }

    /// Adds the last word of its console to an error that says only that there is no machine.
    pub(super) fn explain(&self, error: CreateError) -> CreateError {
        self.console.explain(error)
    }

    /// Ends it. Returns what its console said, and its jail's end.
    pub(super) fn end(self) -> (Console, watch::Receiver<Option<Ended>>) {
        let Running { console, ended, guard, .. } = self;
        drop(guard);
        (console, ended)
    }

    /// From now on somebody else ends it. Returns its link and its jail's end.
    pub(super) fn hand_over(mut self) -> (GuestLink, watch::Receiver<Option<Ended>>) {
        self.guard.local = None;
        (self.link, self.ended)
    }
}

/// Ends a machine whose making was given up.
struct Guard {
    local: Option<Local>,
    id: SandboxId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(local) = self.local.take() {
            local.end(self.id);
        }
    }
}
