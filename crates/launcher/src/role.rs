//! What a program that works for a sandbox is given beside its plan's descriptors.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::mount::MountAttrFlags;

use crate::fault::Result;
use crate::layers::{bind, new_mount};
use crate::protocol::Role;
use crate::stage;

/// The user of a monitor, inside its jail.
const USER: u32 = 1000;

/// Descriptors that go with the plan, in the order in which the child takes them.
#[derive(Default)]
pub(crate) struct Things {
    /// Devices, the program's file.
    pub(crate) mounts: Vec<OwnedFd>,
    /// A folder for both sides.
    pub(crate) folder: Option<OwnedFd>,
}

/// The devices of a monitor.
pub(crate) fn devices(role: &Role) -> impl Iterator<Item = &'static str> + use<> {
    let (kvm, tun) = match role {
        Role::Monitor { kvm, tun, .. } => (*kvm, *tun),
        Role::Kernel { .. } => (false, false),
    };
    [("kvm", kvm), ("net/tun", tun)].into_iter().filter_map(|(name, given)| given.then_some(name))
}

impl Things {
    /// Those of a role in a sandbox whose ids begin with `first` and are mapped by `ids`.
    pub(crate) fn of(role: &Role, first: u32, ids: Option<BorrowedFd<'_>>) -> Result<Things> {
        let user = first + USER;
        let mut things = Things::default();
        for name in devices(role) {
            things.mounts.push(stage::device_for(user, name)?);
        }
        match role {
            Role::Monitor { program, folder, .. } => {
                things.mounts.extend(program.as_ref().map(|program| bind(program, ids)).transpose()?);
                things.folder = folder.then(|| folder_of(user)).transpose()?;
            }
            Role::Kernel { program, .. } => things.mounts.push(bind(program, ids)?),
        }
        Ok(things)
    }
}

/// A folder in memory, attached nowhere: it goes with the last who has a descriptor of it. Room for sockets, and for no file to
/// speak of.
fn folder_of(user: u32) -> Result<OwnedFd> {
    let user = user.to_string();
    let options = [("size", "64k"), ("nr_inodes", "16"), ("mode", "0700"), ("uid", &user), ("gid", &user)];
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    new_mount("tmpfs", &options, attributes)
}
