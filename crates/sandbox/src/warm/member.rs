//! A member of a pool: what it does before it is ready, and whether it lives.

use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, Timespec};
use wire::init::{ExecSpec, User};

use crate::session::{CloseReason, Session, SessionError};
use crate::{Ids, Sandbox};

/// Does once what every job does first, with the shell of its image: the first time is the slow one, by far where a machine's
/// instructions are translated.
pub(super) async fn rehearse(sandbox: &Sandbox) -> Result<(), SessionError> {
    let stream = sandbox.stream.try_clone().and_then(|stream| {
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream)
    });
    let session =
        Session::start(stream.map_err(|error| SessionError::Closed(CloseReason::Stream(error.kind())))?).await?;
    let Ids { uid, gid } = sandbox.user;
    session.make_dir(None, &sandbox.workspace, 0o755, Some((uid, gid))).await?;
    let spec = ExecSpec {
        argv: ["sh", "-c", ":"].map(str::to_owned).into(),
        env: vec![("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned())],
        cwd: sandbox.workspace.clone(),
        user: User { uid, gid, groups: sandbox.groups.clone() },
        ..ExecSpec::default()
    };
    match session.exec(spec).await {
        Ok(mut running) => drop(running.wait().await?),
        // Not every image has one.
        Err(SessionError::Operation(_)) => {}
        Err(error) => return Err(error),
    }
    // Nothing of the image runs on while nobody has asked for it.
    session.kill_all().await
}

/// No end was told of it, and its process 1 has not hung up.
pub(super) fn lives(member: &Sandbox) -> bool {
    let mut stream = [PollFd::from_borrowed_fd(member.stream.as_fd(), PollFlags::empty())];
    let asked = rustix::event::poll(&mut stream, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    member.end.borrow().is_none() && asked.is_ok() && stream[0].revents().is_empty()
}
