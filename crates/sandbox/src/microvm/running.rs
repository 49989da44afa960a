//! A machine from its start on, and the ends of its ports.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use model::ids::SandboxId;
use model::limits::Limits;
use tokio::sync::watch;

use super::guest_link::GuestLink;
use super::kernel;
use super::machine::Monitor;
use crate::console::Console;
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

/// A machine. Dropping it ends it.
pub(super) struct Running {
    pub(super) id: SandboxId,
    pub(super) link: GuestLink,
    console: Console,
    ended: watch::Receiver<Option<Ended>>,
    guard: Guard,
}

impl Running {
    /// Starts a monitor in its jail.
    pub(super) async fn start(
        local: &Local,
        monitor: Monitor,
        control: UnixStream,
        netns: Option<OwnedFd>,
        limits: &Limits,
    ) -> Result<Running, CreateError> {
        let (plan, given) = monitor.jail(limits)?;
        let jail = local.jail(Ok(plan), OfKernel::default(), netns, given).await?;
        let guard = Guard { local: Some(local.clone()), id: jail.id };
        let console = Console::of(jail.stream);
        let link = GuestLink::new(control).map_err(kernel("talk to the guest"))?;
        Ok(Running { id: jail.id, link, console, ended: jail.end, guard })
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
