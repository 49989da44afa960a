//! What a driver and its launcher say to each other, one datagram each, over a pair of sockets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A read-only layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LayerSource {
    /// One EROFS image in a file.
    Erofs(PathBuf),
    /// A folder. For root: owned by the ids of the image (0 to 65535). For an unprivileged user: the image's id N is the user's
    /// Nth subordinate id, as made inside a user namespace that maps exactly those.
    Dir(PathBuf),
}

/// Numbers of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// User id inside the sandbox.
    pub uid: u32,
    /// Group id inside the sandbox.
    pub gid: u32,
}

/// Who a workload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// By numbers.
    Ids(Ids),
    /// `USER[:GROUP]` as in `docker run --user`, each a name in the image's `/etc/passwd` or `/etc/group`, or a number.
    Named(String),
}

impl Default for User {
    fn default() -> Self {
        User::Ids(Ids { uid: 1000, gid: 1000 })
    }
}

/// What of root's power a workload with user id 0 has, over the files and ids of its own sandbox only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capabilities {
    /// No capability at all.
    #[default]
    None,
    /// What package managers need: change owners and modes of files, act as another of the sandbox's users. The list stands in
    /// `data/capabilities.txt`.
    OwnFiles,
}

/// A file system in memory (`--tmpfs PATH:size=…`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Absolute path inside the sandbox.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Programs in it may be started.
    pub exec: bool,
}

/// Defences that stand. Removing one is for tests of the defences: a probe proves something only if it fires without its
/// defence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent switch of one defence")]
pub struct Walls {
    /// System call allow-list.
    pub seccomp: bool,
    /// Capabilities and the bounding set are dropped.
    pub drop_capabilities: bool,
    /// A set-user-id program gives nothing.
    pub no_new_privs: bool,
    /// `/proc` masks and read-only parts.
    pub masks: bool,
    /// `user.max_user_namespaces` is 0.
    pub no_nested_userns: bool,
    /// Descriptors that were not meant for the sandbox are closed.
    pub close_descriptors: bool,
    /// A session keyring of its own.
    pub keyring: bool,
    /// A process id namespace of its own.
    pub pid_namespace: bool,
    /// An IPC namespace of its own.
    pub ipc_namespace: bool,
    /// A network namespace of its own.
    pub network_namespace: bool,
    /// Writable mounts carry `nosuid` and `nodev`.
    pub nosuid_nodev: bool,
    /// Mounts do not propagate.
    pub private_propagation: bool,
    /// Resource limits of processes (core files among them).
    pub rlimits: bool,
}

impl Default for Walls {
    fn default() -> Self {
        Walls {
            seccomp: true,
            drop_capabilities: true,
            no_new_privs: true,
            masks: true,
            no_nested_userns: true,
            close_descriptors: true,
            keyring: true,
            pid_namespace: true,
            ipc_namespace: true,
            network_namespace: true,
            nosuid_nodev: true,
            private_propagation: true,
            rlimits: true,
        }
    }
}
